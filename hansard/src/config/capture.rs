//! How much is recorded: of all sessions, of a target's, of some jobs'. What is not said is as one level further out.

use hansard_ingest_proxy::{CaptureLevel, CaptureOptions, CaptureRule};

use super::raw;
use super::validate::{Place, size};

/// Of `[recording]`.
pub(super) fn of_all(place: &Place<'_>, raw: &raw::Recording) -> CaptureOptions {
    let said = (raw.capture.as_deref(), raw.max_result_bytes.as_deref());
    options(place, "recording.", said, CaptureOptions::default())
}

/// Of an entry of `[[targets]]`, whose keys begin with `prefix`, and of its rules. `issuers` are the names of those that
/// are configured.
pub(super) fn of_target(
    place: &Place<'_>,
    prefix: &str,
    raw: &raw::Target,
    outer: CaptureOptions,
    issuers: &[&str],
) -> (CaptureOptions, Vec<CaptureRule>) {
    let said = (raw.capture.as_deref(), raw.max_result_bytes.as_deref());
    let target = options(place, prefix, said, outer);
    let mut rules: Vec<CaptureRule> = Vec::new();
    for (index, entry) in raw.capture_rules.iter().enumerate() {
        let at = format!("{prefix}capture_rules.{index}");
        let given = |name: &str, value: &Option<String>| {
            value.clone().map(|value| place.required(&format!("{at}.{name}"), Some(value)))
        };
        let rule = CaptureRule {
            issuer: given("issuer", &entry.issuer),
            subject: given("subject", &entry.subject),
            job: given("job", &entry.job),
            groups: entry.groups.clone().unwrap_or_default(),
            capture: options(
                place,
                &format!("{at}."),
                (entry.capture.as_deref(), entry.max_result_bytes.as_deref()),
                target,
            ),
        };
        if rule.groups.iter().any(|group| group.trim().is_empty()) {
            place.fault(place.wrong(&format!("{at}.groups"), "has an empty name"));
        } else if !rule.has_condition() {
            let reason = "says nothing of whose sessions it is for: add issuer, subject, job or groups, or set \
                          capture for the target";
            place.fault(place.wrong(&at, reason));
        }
        match &rule.issuer {
            Some(name) if !name.is_empty() && !issuers.contains(&name.as_str()) => {
                place.fault(place.word(&format!("{at}.issuer"), name, issuers));
            }
            None if issuers.len() > 1 => {
                let reason =
                    "is missing: there are several issuers, and each names jobs, subjects and groups as it likes";
                place.fault(place.wrong(&format!("{at}.issuer"), reason));
            }
            _ => {}
        }
        if entry.capture.is_none() && entry.max_result_bytes.is_none() {
            place.fault(place.wrong(&at, "has neither capture nor max_result_bytes, so it changes nothing"));
        }
        if rules.iter().any(|other| CaptureRule { capture: rule.capture, ..other.clone() } == rule) {
            place.fault(place.wrong(&at, "is for the same sessions as another one; the first one would count"));
        }
        rules.push(rule);
    }
    (target, rules)
}

fn options(
    place: &Place<'_>,
    prefix: &str,
    (capture, max_result_bytes): (Option<&str>, Option<&str>),
    outer: CaptureOptions,
) -> CaptureOptions {
    let level = match capture {
        None => outer.level,
        Some(word) => CaptureLevel::ALL.into_iter().find(|level| level.as_str() == word).unwrap_or_else(|| {
            place.fault(place.word(&format!("{prefix}capture"), word, &CaptureLevel::ALL.map(CaptureLevel::as_str)));
            outer.level
        }),
    };
    let key = format!("{prefix}max_result_bytes");
    let max_result_bytes = match max_result_bytes {
        None => outer.max_result_bytes,
        Some("none") => None,
        Some(text) => {
            let bytes = size(text);
            match bytes {
                Some(1..) => {}
                Some(0) => {
                    let reason = "0 bytes would keep no row; say `capture = \"statements\"` for that";
                    place.fault(place.wrong(&key, reason));
                }
                None => {
                    let reason = format!("{text:?} is not a size such as \"1MiB\", nor \"none\"");
                    place.fault(place.wrong(&key, reason));
                }
            }
            bytes
        }
    };
    CaptureOptions { level, max_result_bytes }
}
