//! Which of several matches is taken: in PostgreSQL the longest one, or the shortest where the first quantifier says so; in the
//! engine's dialect that of the first alternative, and each quantifier decides for itself.
//!
//! Invariant: what both take is the same, as far as alternatives and quantifiers of both kinds go; or the pattern is refused.
//! Whether there is a match is the same in any case. Source: the PostgreSQL manual, "Regular Expression Matching Rules".

use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Hir, HirKind};

use crate::Error;

/// What comes of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Taken {
    /// That there is one.
    Never,
    /// What it is.
    Once,
    /// What all of them are.
    Repeatedly,
}

/// Refuses a pattern in the engine's dialect of which another match may be taken.
pub(super) fn verify(pattern: &str, taken: Taken) -> Result<(), Error> {
    if taken == Taken::Never {
        return Ok(());
    }
    // What does not read is told elsewhere.
    let Ok(hir) = regex_syntax::parse(pattern) else { return Ok(()) };
    let lengths = hir.properties();
    if taken == Taken::Repeatedly && lengths.minimum_len() == Some(0) && lengths.maximum_len() != Some(0) {
        return Err(Error::Invalid(
            "where a pattern can match nothing, PostgreSQL finds that behind what it matched, too: write + for *"
                .to_owned(),
        ));
    }
    let mut seen = Seen::default();
    walk(&hir, &mut seen);
    if seen.ambiguous {
        return Err(Error::Invalid(
            "of alternatives that begin alike PostgreSQL takes the one that makes the match longest, and here the first \
             is taken: write them so that none is the beginning of another, as in foo(bar)? for foo|foobar"
                .to_owned(),
        ));
    }
    if seen.lazy && (seen.greedy || seen.alternatives) {
        return Err(Error::Invalid(
            "a quantifier such as *? beside others is read in another sense by PostgreSQL: write what is not matched, as in \
             [^x]* for .*?x"
                .to_owned(),
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    lazy: bool,
    greedy: bool,
    alternatives: bool,
    ambiguous: bool,
}

fn walk(hir: &Hir, seen: &mut Seen) {
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            if repetition.max != Some(repetition.min) {
                seen.lazy |= !repetition.greedy;
                seen.greedy |= repetition.greedy;
            }
            walk(&repetition.sub, seen);
        }
        HirKind::Capture(capture) => walk(&capture.sub, seen),
        HirKind::Concat(parts) => parts.iter().for_each(|part| walk(part, seen)),
        HirKind::Alternation(parts) => {
            seen.alternatives = true;
            seen.ambiguous |= begin_alike(parts);
            parts.iter().for_each(|part| walk(part, seen));
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// Whether the same text may begin with two of them, as far as the first characters of each say.
fn begin_alike(parts: &[Hir]) -> bool {
    let extractor = Extractor::new();
    let mut beginnings: Vec<(Vec<u8>, usize)> = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        match extractor.extract(part).literals() {
            Some(literals) => beginnings.extend(literals.iter().map(|literal| (literal.as_bytes().to_vec(), place))),
            None => return true,
        }
    }
    // In order, what others begin with stands before them.
    beginnings.sort_unstable();
    let mut around: Vec<&(Vec<u8>, usize)> = Vec::new();
    for beginning in &beginnings {
        while around.pop_if(|outer| !beginning.0.starts_with(&outer.0)).is_some() {}
        if around.iter().any(|outer| outer.1 != beginning.1) {
            return true;
        }
        around.push(beginning);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_otherwise_is_refused() {
        for pattern in [
            "foo|far",
            "(error|warning): (.*)",
            "a*b+",
            "x(.*?)y",
            "a|b",
            "(a[bc]|ad)e",
            "(?s)a.*",
            "[0-9]{3}.*?",
            "foo(bar)?",
        ] {
            assert!(verify(pattern, Taken::Once).is_ok(), "{pattern}");
        }
        for pattern in [
            "foo|foobar",
            "(a|ab)(c|bcd)",
            "(o|oo)",
            "x*?([0-9]{1,3})",
            "(^|,)x",
            "(ab?|ac)d",
            "(a|)b",
            ".*?|a",
            "a*|b",
        ] {
            assert!(verify(pattern, Taken::Once).is_err() && verify(pattern, Taken::Never).is_ok(), "{pattern}");
        }
        assert!(verify("x*", Taken::Repeatedly).is_err() && verify("x*", Taken::Once).is_ok());
        assert!(verify("x+", Taken::Repeatedly).is_ok() && verify("", Taken::Repeatedly).is_ok());
    }
}
