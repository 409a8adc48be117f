//! Start-up parameters: which of the job's are passed on to the database.
//!
//! Invariant: an allow-list. What is not on it is refused with its name, never dropped in silence; so a session has
//! the settings that the job asked for, or does not begin.

mod own;

use crate::errors::{Kind, Refusal};

pub(crate) use own::Own;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

/// Settings of the session that change how it talks, not who it is.
const ALLOWED: [&str; 30] = [
    "application_name",
    "bytea_output",
    "check_function_bodies",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "enable_seqscan",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "plan_cache_mode",
    "random_page_cost",
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronous_commit",
    "timezone",
    "work_mem",
    "xmloption",
];

/// Whether a setting of this name, in lower case, may be given at start-up. Names with a dot are an application's own, but
/// for those that the server takes for options of the protocol where they stand in the packet itself.
fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok() || name.contains('.') && !name.starts_with("_pq_.")
}

/// What a start-up packet asks for beside user and database, each setting by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Names in lower case, as the server compares them, in the order in which it applies them: those of `options`
    /// first.
    settings: Vec<(String, String)>,
    /// The mode asked for, where it is one.
    replication: Option<String>,
    /// What is said to Hansard.
    pub(crate) own: Own,
}

impl Settings {
    /// Reads the parameters other than `user` and `database`. The names `options` and `replication` are the packet's
    /// own and written like that (the server's `ProcessStartupPacket`); all others are settings, whose case does not
    /// matter.
    pub(crate) fn read(parameters: &[(String, String)], replication: bool) -> Result<Settings, Refusal> {
        let mut settings = Settings::default();
        let mut plain = Vec::new();
        // Of several, the last one is the server's.
        let mut options = None;
        for (name, value) in parameters {
            match name.as_str() {
                "replication" if is_off(value) => settings.replication = None,
                "replication" if replication => settings.replication = Some(value.clone()),
                "replication" => {
                    return Err(Refusal::new(
                        Kind::Unsupported,
                        "replication connections are not permitted for this target",
                    )
                    .hint("Operators: `replication = true` permits them."));
                }
                "options" => options = Some(value),
                name => {
                    let lower = name.to_ascii_lowercase();
                    if lower.starts_with(own::PREFIX) {
                        plain.push((lower, value.clone()));
                        continue;
                    }
                    if !is_allowed(&lower) {
                        return Err(refuse(name));
                    }
                    plain.push((lower, value.clone()));
                }
            }
        }
        settings.settings = options.map(|options| options_of(options)).transpose()?.unwrap_or_default();
        settings.settings.append(&mut plain);
        for (name, value) in settings.settings.extract_if(.., |(name, _)| name.starts_with(own::PREFIX)) {
            settings.own.take(&name, &value)?;
        }
        Ok(settings)
    }

    /// The parameters as they are passed on: one for each setting. What the job wrote as `options` does not reach the
    /// server as one text, so that the server cannot read it otherwise than it was read here.
    pub(crate) fn forwarded(&self) -> impl Iterator<Item = (&str, &str)> {
        let replication = self.replication.iter().map(|mode| ("replication", mode.as_str()));
        replication.chain(self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The session is to a walsender.
    pub(crate) fn is_replication(&self) -> bool {
        self.replication.is_some()
    }

    /// The value of a setting; of several the server keeps the last one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn is_off(value: &str) -> bool {
    ["false", "off", "no", "0"].contains(&value.to_ascii_lowercase().as_str())
}

fn refuse(name: &str) -> Refusal {
    Refusal::new(Kind::Parameter, format!("start-up parameter \"{}\" is not passed on by Hansard", shown(name)))
        .recorded_as("a start-up parameter is not passed on by Hansard")
        .hint("Leave it out, and use SET once the session has begun.")
}

/// The settings of `-c name=value`, `-cname=value` and `--name=value`, as the server's `process_postgres_switches` reads
/// them; of all else, the word that is refused.
fn options_of(options: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut settings = Vec::new();
    let mut words = split(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if let Some(setting) = word.strip_prefix("--") {
            setting.to_owned()
        } else if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(setting) = word.strip_prefix("-c") {
            setting.to_owned()
        } else {
            return Err(refuse(&format!("options: {word}")));
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(refuse(&format!("options: {word} {setting}")).detail("It has no value."));
        };
        let name = name.replace('-', "_").to_ascii_lowercase();
        if !is_allowed(&name) {
            return Err(refuse(&format!("options: {name}")));
        }
        settings.push((name, value.to_owned()));
    }
    Ok(settings)
}

/// Words between blanks; a backslash takes the next character as it is (the server's `pg_split_opts`). Blanks are those
/// of C's `isspace`, the vertical tab among them.
fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r') {
            words.extend(word.take());
        } else {
            let taken = if character == '\\' { characters.next() } else { Some(character) };
            word.get_or_insert_default().extend(taken);
        }
    }
    words.extend(word);
    words
}

/// Bounded, and without control characters.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameters: &[(&str, &str)], replication: bool) -> Result<Settings, Refusal> {
        let owned: Vec<_> = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::read(&owned, replication)
    }

    /// What is passed on of one parameter.
    #[track_caller]
    fn forwarded(name: &str, value: &str) -> Vec<(String, String)> {
        let settings = read(&[(name, value)], false).unwrap();
        settings.forwarded().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn the_list_can_be_searched() {
        assert!(ALLOWED.is_sorted());
    }

    #[test]
    fn what_drivers_send_passes_setting_by_setting() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        for (name, value, expected) in [
            ("application_name", "pgbench", &[("application_name", "pgbench")][..]),
            ("DateStyle", "ISO", &[("datestyle", "ISO")]),
            ("extra_float_digits", "2", &[("extra_float_digits", "2")]),
            (
                "options",
                "-c search_path=a,b --statement-timeout=5s -cMyApp.tenant=7",
                &[("search_path", "a,b"), ("statement_timeout", "5s"), ("myapp.tenant", "7")],
            ),
            ("options", r"-c search_path=a,\ b", &[("search_path", "a, b")]),
            ("options", "-c search_path=x=y,\\\\", &[("search_path", r"x=y,\")]),
            ("options", " \t", &[]),
            ("options", "", &[]),
            ("replication", "false", &[]),
            ("myapp.user", "x", &[("myapp.user", "x")]),
        ] {
            assert_eq!(forwarded(name, value), pairs(expected), "{name}={value}");
        }
    }

    #[test]
    fn what_changes_who_the_session_is_does_not() {
        for (name, value) in [
            ("role", "postgres"),
            ("ROLE", "postgres"),
            ("session_authorization", "postgres"),
            ("Session_Authorization", "postgres"),
            ("replication", "database"),
            ("replication", "true"),
            // The server takes these for settings that it does not have.
            ("Options", "-c jit=off"),
            ("USER", "postgres"),
            ("options", "-c role=postgres"),
            ("options", "-c ROLE=postgres"),
            ("options", "-c jit=off\x0b-c\x0brole=admin"),
            ("options", "-c\x0brole=admin"),
            ("options", "-c jit=off\x0c--role=admin"),
            ("options", "--session-authorization=postgres"),
            ("options", r"-c r\ole=postgres"),
            ("options", "-P"),
            ("options", "-c"),
            ("options", "-c jit"),
            ("options", "-c=on"),
            ("options", "--"),
            ("options", "-ec jit=off"),
            ("options", "jit=off"),
            // Settings of an application for the server, which would be options of the protocol as they are passed on.
            ("options", "-c _pq_.command_compression=on"),
            ("_PQ_.command_compression", "on"),
            // One word, whose setting is named " jit".
            ("options", r"-c\ jit=off"),
        ] {
            let refusal = read(&[(name, value)], false).unwrap_err();
            assert_eq!(crate::postgres::refusal::sqlstate(refusal.kind), "0A000", "{name}={value}");
        }
        let told = read(&[("options", "-c jit=off -W 5")], false).unwrap_err().message;
        assert_eq!(told, "start-up parameter \"options: -W\" is not passed on by Hansard");
        let database = read(&[("replication", "database")], true).unwrap();
        assert_eq!(database.forwarded().collect::<Vec<_>>(), [("replication", "database")]);
    }

    #[test]
    fn the_last_of_several_counts_and_options_come_first() {
        let settings = read(
            &[
                ("Search_Path", "plain"),
                ("options", "-c search_path=never -c role=admin"),
                ("options", "-c search_path=b --Application-Name=x"),
            ],
            false,
        )
        .unwrap();
        assert_eq!(settings.get("search_path"), Some("plain"));
        assert_eq!(settings.get("application_name"), Some("x"));
        let all: Vec<_> = settings.forwarded().collect();
        assert_eq!(all, [("search_path", "b"), ("application_name", "x"), ("search_path", "plain")]);
    }
}
