//! Reads the file and the environment into [`Raw`]; every complaint is one line that names the place and the key. What is
//! complained about is left out, so that the rest can be looked at.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::ConfigError;
use super::raw::Raw;

/// Begins the names of variables that override keys of the file.
const PREFIX: &str = "HANSARD__";

/// Most complaints about one file.
const MAX_FAULTS: usize = 100;

/// What could be read, and what was wrong with the rest.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) raw: Raw,
    pub(super) faults: Vec<ConfigError>,
    /// Keys that are complained about, and those that were probably meant.
    pub(super) said: Vec<String>,
}

/// Reads `path`, then the variables of `environment` over it. `Err` where the file cannot be read at all.
pub(super) fn read(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Read, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: path.to_path_buf(), reason: source.to_string() })?;
    let mut dict: Dict = Figment::from(Toml::string(&text)).extract().map_err(|error| explain(path, &text, &error))?;
    let (mut faults, mut said) = (Vec::new(), Vec::new());
    // The file alone first: a complaint about it then names it, and not the environment.
    let mut raw = extract(&mut dict, &mut said, |error| faults.push(explain(path, &text, error)))
        .map_err(|error| explain(path, &text, &error))?;
    for (name, value) in environment {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let keys: Vec<String> = key.split("__").map(str::to_lowercase).collect();
        let wrong = |reason| ConfigError::Variable { name: name.clone(), reason };
        // One at a time, so that the complaint can name the variable; one that is wrong is left out.
        let mut over = dict.clone();
        match set(&mut over, &keys, &value) {
            Err(reason) => faults.push(wrong(reason)),
            Ok(()) => match Figment::from(Layer(over.clone())).extract() {
                Ok(read) => (raw, dict) = (read, over),
                Err(error) => {
                    said.extend(meant(&error));
                    faults.push(wrong(reason(&error)));
                }
            },
        }
    }
    Ok(Read { raw, faults, said })
}

/// The configuration without the keys that are none or have values of the wrong kind, each of which is told.
fn extract(
    dict: &mut Dict,
    said: &mut Vec<String>,
    mut tell: impl FnMut(&figment::Error),
) -> Result<Raw, Box<figment::Error>> {
    for _ in 0..MAX_FAULTS {
        let error = match Figment::from(Layer(dict.clone())).extract() {
            Ok(raw) => return Ok(raw),
            Err(error) => error,
        };
        let mut path = error.path.clone();
        if let Kind::UnknownField(key, _) = &error.kind
            && path.last() != Some(key)
        {
            path.push(key.clone());
        }
        if !remove(dict, &path) {
            return Err(Box::new(error));
        }
        said.push(path.join("."));
        said.extend(meant(&error));
        tell(&error);
    }
    Figment::from(Layer(dict.clone())).extract().map_err(Box::new)
}

/// The key that was probably meant by one that is not known.
fn meant(error: &figment::Error) -> Option<String> {
    let Kind::UnknownField(key, known) = &error.kind else { return None };
    let near = nearest(key, known)?;
    let dotted = dotted(&error.path, key);
    Some(format!("{}{near}", dotted.strip_suffix(key.as_str()).unwrap_or_default()))
}

/// Takes out what is at that place, or the nearest list around it that it is an entry of; false where nothing is there.
fn remove(dict: &mut Dict, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        return dict.remove(key).is_some();
    }
    let inner = match (dict.get_mut(key), rest.first().and_then(|index| index.parse::<usize>().ok())) {
        (Some(Value::Dict(_, inner)), _) => remove(inner, rest),
        (Some(Value::Array(_, entries)), Some(index)) => match entries.get_mut(index) {
            Some(Value::Dict(_, inner)) if rest.len() > 1 => remove(inner, &rest[1..]),
            _ => false,
        },
        _ => false,
    };
    inner || dict.remove(key).is_some()
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
