//! Start-up parameters: which of the job's are passed on to the database.
//!
//! Invariant: an allow-list. What is not on it is refused with its name, never dropped in silence; so a session has
//! the settings that the job asked for, or does not begin.

use crate::errors::{Kind, Refusal};

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

/// Whether a setting may be given at start-up. Names with a dot are an application's own.
fn is_allowed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ALLOWED.binary_search(&name.as_str()).is_ok() || name.contains('.')
}

/// Checks the parameters other than `user` and `database`.
pub(crate) fn check(parameters: &[(String, String)], replication: bool) -> Result<(), Refusal> {
    for (name, value) in parameters {
        match name.as_str() {
            "replication" if replication || is_off(value) => {}
            "replication" => {
                return Err(Refusal::new(
                    Kind::Unsupported,
                    "replication connections are not permitted for this target",
                )
                .hint("Operators: `replication = true` permits them."));
            }
            "options" => check_options(value)?,
            name if is_allowed(name) => {}
            name => return Err(refuse(name)),
        }
    }
    Ok(())
}

/// The parameters as they are passed on.
pub(crate) fn forwarded(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    let plain = |name: &str, value: &str| name == "replication" && is_off(value);
    parameters
        .iter()
        .filter(move |(name, value)| !plain(name, value))
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The parameters that decide the search path, as command-line options.
pub(crate) fn search_path_options(parameters: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in parameters {
        if name == "options" && value.to_ascii_lowercase().replace('-', "_").contains("search_path") {
            out.push_str(value);
            out.push(' ');
        }
        if name == "search_path" {
            out.push_str("-c search_path=");
            for character in value.chars() {
                if character.is_whitespace() || character == '\\' {
                    out.push('\\');
                }
                out.push(character);
            }
            out.push(' ');
        }
    }
    out
}

fn is_off(value: &str) -> bool {
    ["false", "off", "no", "0"].contains(&value.to_ascii_lowercase().as_str())
}

fn refuse(name: &str) -> Refusal {
    Refusal::new(Kind::Parameter, format!("start-up parameter \"{}\" is not passed on by Hansard", shown(name)))
        .hint("Leave it out, and use SET once the session has begun.")
}

/// `-c name=value`, `-cname=value` and `--name=value`, as in the server's `process_postgres_switches`.
fn check_options(options: &str) -> Result<(), Refusal> {
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
        let name = setting.split('=').next().unwrap_or_default().replace('-', "_");
        if !is_allowed(&name) {
            return Err(refuse(&format!("options: {name}")));
        }
    }
    Ok(())
}

/// Words between blanks; a backslash takes the next character as it is (the server's `pg_split_opts`).
fn split(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        if character.is_ascii_whitespace() {
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

    fn check_one(name: &str, value: &str) -> Result<(), Refusal> {
        check(&[(name.to_owned(), value.to_owned())], false)
    }

    #[test]
    fn the_list_can_be_searched() {
        assert!(ALLOWED.is_sorted());
    }

    #[test]
    fn what_drivers_send_passes() {
        for (name, value) in [
            ("application_name", "pgbench"),
            ("DateStyle", "ISO"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "2"),
            ("options", "-c search_path=a,b --statement-timeout=5s -cmyapp.tenant=7"),
            ("options", r"-c search_path=a,\ b"),
            ("replication", "false"),
            ("myapp.user", "x"),
        ] {
            assert_eq!(check_one(name, value), Ok(()), "{name}={value}");
        }
    }

    #[test]
    fn what_changes_who_the_session_is_does_not() {
        for (name, value) in [
            ("role", "postgres"),
            ("session_authorization", "postgres"),
            ("replication", "database"),
            ("replication", "true"),
            ("options", "-c role=postgres"),
            ("options", "--session-authorization=postgres"),
            ("options", r"-c r\ole=postgres"),
            ("options", "-P"),
            ("options", "-c"),
        ] {
            let refusal = check_one(name, value).unwrap_err();
            assert_eq!(crate::postgres::refusal::sqlstate(refusal.kind), "0A000", "{name}={value}");
        }
        assert_eq!(check(&[("replication".to_owned(), "database".to_owned())], true), Ok(()));
    }

    #[test]
    fn the_search_path_is_asked_for_with_the_same_settings() {
        let parameters =
            [("search_path".to_owned(), "a, b".to_owned()), ("options".to_owned(), "-c jit=off".to_owned())];
        assert_eq!(search_path_options(&parameters), r"-c search_path=a,\ b ");
    }
}
