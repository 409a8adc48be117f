//! Reads the file and the environment into [`Raw`]; every complaint is one line that names the place and the key.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::raw::Raw;

/// Begins the names of variables that override keys of the file.
const PREFIX: &str = "HANSARD__";

/// Reads `path`, then the variables of `environment` over it.
pub(super) fn read(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Raw, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: path.to_path_buf(), reason: source.to_string() })?;
    let file = Figment::from(Toml::string(&text));
    let mut dict: Dict = file.extract().map_err(|error| explain(path, &text, &error))?;
    // The file alone first: a complaint about it then names it, and not the environment.
    let raw: Raw = Figment::from(Layer(dict.clone())).extract().map_err(|error| explain(path, &text, &error))?;
    let mut overridden = false;
    for (name, value) in environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let keys: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            set(&mut dict, &keys, &value).map_err(|reason| ConfigError::Variable { name: name.clone(), reason })?;
            // One at a time, so that the complaint can name the variable.
            Figment::from(Layer(dict.clone()))
                .extract::<Raw>()
                .map_err(|error| ConfigError::Variable { name: name.clone(), reason: reason(&error) })?;
            overridden = true;
        }
    }
    if !overridden {
        return Ok(raw);
    }
    Figment::from(Layer(dict)).extract().map_err(|error| explain(path, &text, &error))
}

/// A dictionary as figment wants it.
struct Layer(Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}

/// Puts a value at its place; a number as a key is a place in a list, one past its end adds an entry.
fn set(dict: &mut Dict, keys: &[String], text: &str) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        return Err("names no key".to_owned());
    };
    if key.is_empty() {
        return Err("has an empty part; keys are joined by two underscores".to_owned());
    }
    if rest.is_empty() {
        dict.insert(key.clone(), scalar(text));
        return Ok(());
    }
    let list = rest[0].parse::<usize>().ok();
    let place = dict.entry(key.clone()).or_insert_with(|| match list {
        Some(_) => Value::Array(Tag::Default, Vec::new()),
        None => Value::Dict(Tag::Default, Dict::new()),
    });
    match (place, list) {
        (Value::Dict(_, inner), _) => set(inner, rest, text),
        (Value::Array(_, entries), Some(index)) => {
            if index > entries.len() {
                return Err(format!("{key} has {} entries, counted from 0", entries.len()));
            }
            if index == entries.len() {
                entries.push(Value::Dict(Tag::Default, Dict::new()));
            }
            match (&mut entries[index], rest.len()) {
                (entry, 1) => *entry = scalar(text),
                (Value::Dict(_, inner), _) => return set(inner, &rest[1..], text),
                _ => return Err(format!("{key}.{index} has no keys of its own")),
            }
            Ok(())
        }
        (Value::Array(..), None) => Err(format!("{key} is a list: write {key}__0__…")),
        _ => Err(format!("{key} has no keys of its own")),
    }
}

/// `true`, a whole number, `[a, b]`, else text.
fn scalar(text: &str) -> Value {
    if let Ok(flag) = text.parse::<bool>() {
        return Value::from(flag);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Value::from(number);
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let entries = inner.split(',').map(|part| part.trim().trim_matches('"')).filter(|part| !part.is_empty());
        return Value::Array(Tag::Default, entries.map(Value::from).collect());
    }
    Value::from(text)
}

fn explain(path: &Path, text: &str, error: &figment::Error) -> ConfigError {
    let line = match &error.kind {
        Kind::UnknownField(key, _) => line_of(text, key),
        _ => error.path.last().and_then(|key| line_of(text, key)),
    };
    ConfigError::Invalid { file: PathBuf::from(path), line, reason: reason(error) }
}

/// The first line that sets the key or opens its table.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let sets = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
            || line.starts_with('[') && line.trim_matches(['[', ']', ' ']).split('.').any(|part| part.trim() == key)
    };
    text.lines().position(sets).map(|index| index + 1)
}

fn reason(error: &figment::Error) -> String {
    let place = if error.path.is_empty() { String::new() } else { format!("{}: ", error.path.join(".")) };
    match &error.kind {
        Kind::UnknownField(key, known) => match nearest(key, known) {
            Some(near) => format!("unknown key `{}`; did you mean `{near}`?", dotted(&error.path, key)),
            None => format!("unknown key `{}`; known here: {}", dotted(&error.path, key), known.join(", ")),
        },
        Kind::InvalidType(actual, expected) => format!("{place}found {actual}, expected {expected}"),
        // The TOML parser draws the line and points at it; its first and last lines say it all.
        Kind::Message(message) => {
            let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            match lines.as_slice() {
                [] => format!("{place}not valid TOML"),
                [one] => format!("{place}{one}"),
                [first, .., last] => format!("{first}: {last}"),
            }
        }
        other => format!("{place}{other}"),
    }
}

/// The path of an unknown key; figment's own path may or may not end with the key.
fn dotted(path: &[String], key: &str) -> String {
    let mut parts: Vec<&str> = path.iter().map(String::as_str).collect();
    if parts.last() != Some(&key) {
        parts.push(key);
    }
    parts.join(".")
}

/// The known key that is most like the given one, if any is like it.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(key, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}
