//! How much is recorded: of all sessions, of a target's, of a role's. What is not said is as one level further out.

use hansard_ingest_proxy::{CaptureLevel, CaptureOptions, RoleOptions};

use super::ConfigError;
use super::raw;
use super::validate::{Place, size};

/// Of `[recording]`.
pub(super) fn of_all(place: &Place<'_>, raw: &raw::Recording) -> Result<CaptureOptions, ConfigError> {
    let said = (raw.capture.as_deref(), raw.max_result_bytes.as_deref());
    options(place, "recording.", said, CaptureOptions::default())
}

/// Of an entry of `[[targets]]`, whose keys begin with `prefix`, and of its roles.
pub(super) fn of_target(
    place: &Place<'_>,
    prefix: &str,
    said: (Option<&str>, Option<&str>),
    raw: &[raw::Role],
    outer: CaptureOptions,
) -> Result<(CaptureOptions, Vec<RoleOptions>), ConfigError> {
    let target = options(place, prefix, said, outer)?;
    let mut roles: Vec<RoleOptions> = Vec::new();
    for (index, entry) in raw.iter().enumerate() {
        let prefix = format!("{prefix}roles.{index}.");
        let key = format!("{prefix}role");
        let role = place.required(&key, entry.role.clone())?;
        if roles.iter().any(|other| other.role == role) {
            return Err(place.wrong(&key, format!("{role:?} is configured twice; the first one would count")));
        }
        if entry.capture.is_none() && entry.max_result_bytes.is_none() {
            return Err(place.wrong(&key, "has neither capture nor max_result_bytes beside it, so it changes nothing"));
        }
        let said = (entry.capture.as_deref(), entry.max_result_bytes.as_deref());
        roles.push(RoleOptions { role, capture: options(place, &prefix, said, target)? });
    }
    Ok((target, roles))
}

fn options(
    place: &Place<'_>,
    prefix: &str,
    (capture, max_result_bytes): (Option<&str>, Option<&str>),
    outer: CaptureOptions,
) -> Result<CaptureOptions, ConfigError> {
    let level = match capture {
        None => outer.level,
        Some(word) => CaptureLevel::ALL.into_iter().find(|level| level.as_str() == word).ok_or_else(|| {
            place.word(&format!("{prefix}capture"), word, &CaptureLevel::ALL.map(CaptureLevel::as_str))
        })?,
    };
    let max_result_bytes = match max_result_bytes {
        None => outer.max_result_bytes,
        Some("none") => None,
        Some(text) => match size(text) {
            Some(bytes @ 1..) => Some(bytes),
            Some(0) => {
                return Err(place.wrong(
                    &format!("{prefix}max_result_bytes"),
                    "0 bytes would keep no row; say `capture = \"statements\"` for that",
                ));
            }
            None => {
                return Err(place.wrong(
                    &format!("{prefix}max_result_bytes"),
                    format!("{text:?} is not a size such as \"1MiB\", nor \"none\""),
                ));
            }
        },
    };
    Ok(CaptureOptions { level, max_result_bytes })
}
