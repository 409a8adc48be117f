//! What a database is told of the jobs that it serves.

use std::path::PathBuf;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// `application_name` of sessions, instead of the job's own.
    pub application_name: Option<NamePattern>,
    /// Settings `hansard.job`, `hansard.subject` and so on: who the job has shown to be.
    pub settings: bool,
    /// A file with the key, in hex, by which setting `hansard.signed` is signed; read again when it changes.
    pub key_file: Option<PathBuf>,
}

/// Text with what is known of a job in it, as `hansard:{job}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(pub(crate) Vec<NamePart>);

/// A piece of a [`NamePattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamePart {
    Text(String),
    Word(NameWord),
}

/// What may stand in a [`NamePattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameWord {
    Job,
    Subject,
    Issuer,
    Session,
    /// What the job calls itself.
    ApplicationName,
}

const WORDS: [(&str, NameWord); 5] = [
    ("job", NameWord::Job),
    ("subject", NameWord::Subject),
    ("issuer", NameWord::Issuer),
    ("session", NameWord::Session),
    ("application_name", NameWord::ApplicationName),
];

impl NamePattern {
    /// Reads one. `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<NamePattern, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (word, after) = behind.split_once('}').ok_or_else(|| format!("has no }} behind {{{behind}"))?;
            let known = WORDS.iter().find(|(name, _)| *name == word);
            let Some((_, word)) = known else {
                let names = WORDS.map(|(name, _)| format!("{{{name}}}")).join(", ");
                return Err(format!("has {{{word}}} in it, and known are {names}"));
            };
            parts.push(NamePart::Text(before.to_owned()));
            parts.push(NamePart::Word(*word));
            rest = after;
        }
        parts.push(NamePart::Text(rest.to_owned()));
        parts.retain(|part| *part != NamePart::Text(String::new()));
        if text.contains('\0') || parts.is_empty() {
            return Err("is no name".to_owned());
        }
        Ok(NamePattern(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_and_faults_in_them_named() {
        let read = NamePattern::parse("hansard:{job}").unwrap();
        assert_eq!(read.0, [NamePart::Text("hansard:".to_owned()), NamePart::Word(NameWord::Job)]);
        for (text, reason) in [("{jobs}", "known are {job}"), ("a{job", "has no }"), ("", "is no name"), ("{}", "{}")] {
            let told = NamePattern::parse(text).unwrap_err();
            assert!(told.contains(reason), "{text}: {told}");
        }
    }
}
