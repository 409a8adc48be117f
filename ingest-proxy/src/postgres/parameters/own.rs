//! Start-up parameters that are for Hansard itself: their names begin with `hansard.`, and none of them is passed on.
//!
//! Invariant: what is not known here is refused, so that no job sets a name of Hansard's at the database by its start-up packet.

use hansard_identity::leases::MAX_PURPOSE;
use hansard_identity::names::MAX_NAME;

use crate::errors::{Kind, Refusal};
use crate::options::Authentication;

/// What names of such parameters begin with, in lower case.
pub(super) const PREFIX: &str = "hansard.";

/// What a job says to Hansard at start-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// How it sends its token, where it chooses.
    pub(crate) authentication: Option<Authentication>,
    /// What it is about to do, in its own words: a ticket, a run's number.
    pub(crate) purpose: String,
    /// Of which trace its work is a part (W3C Trace Context).
    pub(crate) traceparent: String,
}

impl Own {
    /// Takes one, whose name is in lower case; of several of one name the last counts, as with the server's.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        match &name[PREFIX.len()..] {
            "authentication" => {
                let known = Authentication::ALL.into_iter().find(|way| way.as_str() == value);
                let words = Authentication::ALL.map(Authentication::as_str).join(", ");
                self.authentication = Some(known.ok_or_else(|| wrong(name, &format!("is none of {words}")))?);
            }
            "purpose" if value.len() > MAX_PURPOSE => {
                return Err(wrong(name, &format!("has {} bytes, and at most {MAX_PURPOSE} are taken", value.len())));
            }
            "purpose" => value.clone_into(&mut self.purpose),
            "traceparent" if !is_traceparent(value) => {
                return Err(wrong(name, "is not as W3C Trace Context has it: 00-TRACE-PARENT-FLAGS in lower-case hex"));
            }
            "traceparent" => value.clone_into(&mut self.traceparent),
            _ => {
                return Err(wrong(name, "is not known").hint(
                    "Known are hansard.authentication, hansard.purpose and hansard.traceparent; other names that begin \
                     with hansard. are not the job's to set.",
                ));
            }
        }
        Ok(())
    }
}

/// `version-trace-parent-flags`, of version 00 or one that begins alike (W3C Trace Context, section 3.2).
fn is_traceparent(value: &str) -> bool {
    let mut fields = value.split('-');
    let mut field = |length: usize| {
        let fits = |field: &&str| {
            field.len() == length && field.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        fields.next().filter(fits)
    };
    let (version, trace, parent, flags) = (field(2), field(32), field(16), field(2));
    let is_set = |field: Option<&str>| field.is_some_and(|field| field.bytes().any(|byte| byte != b'0'));
    version.is_some_and(|version| version != "ff")
        && is_set(trace)
        && is_set(parent)
        && flags.is_some()
        && (fields.next().is_none() || version != Some("00"))
        && value.len() <= MAX_NAME
}

fn wrong(name: &str, reason: &str) -> Refusal {
    let name: String = name.chars().filter(|character| !character.is_control()).take(64).collect();
    Refusal::new(Kind::Parameter, format!("start-up parameter \"{name}\" {reason}"))
        .recorded_as("a start-up parameter for Hansard is not valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_hansard_is_taken_or_refused_by_name() {
        let mut own = Own::default();
        for (name, value) in [
            ("hansard.purpose", "TICKET-1"),
            ("hansard.purpose", "TICKET-2: reindex"),
            ("hansard.authentication", "oauthbearer"),
            ("hansard.traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ] {
            own.take(name, value).unwrap();
        }
        assert_eq!(
            (own.purpose.as_str(), own.authentication),
            ("TICKET-2: reindex", Some(Authentication::OAuthBearer))
        );
        let long = "x".repeat(MAX_PURPOSE + 1);
        for (name, value, reason) in [
            ("hansard.job", "root", "\"hansard.job\" is not known"),
            ("hansard.", "", "\"hansard.\" is not known"),
            ("hansard.authentication", "scram", "is none of password, oauthbearer"),
            ("hansard.purpose", &long, "has 513 bytes"),
            ("hansard.traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "W3C"),
            ("hansard.traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", "W3C"),
            ("hansard.traceparent", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "W3C"),
            ("hansard.traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "W3C"),
            ("hansard.traceparent", "", "W3C"),
        ] {
            let refusal = own.take(name, value).unwrap_err();
            assert!(refusal.message.contains(reason), "{name}: {}", refusal.message);
            assert!(refusal.recorded.is_some(), "{name}");
        }
        assert_eq!(own.purpose, "TICKET-2: reindex");
    }
}
