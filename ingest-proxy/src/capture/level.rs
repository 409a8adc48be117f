//! How much of a job's sessions is recorded: by what its token says, and by nothing that the job says itself.

use hansard_identity::{Principal, is_like};

use crate::options::{CaptureOptions, CaptureRule, TargetOptions};

/// How much is recorded of a session of that job with this target.
pub(crate) fn of(principal: &Principal, target: &TargetOptions) -> CaptureOptions {
    let rule = target.capture_rules.iter().find(|rule| fits(principal, rule));
    rule.map_or(target.capture, |rule| rule.capture)
}

fn fits(principal: &Principal, rule: &CaptureRule) -> bool {
    rule.has_condition()
        && rule.issuer.as_ref().is_none_or(|issuer| *issuer == principal.issuer)
        && rule.subject.as_ref().is_none_or(|subject| is_like(&principal.subject, subject))
        && rule.job.as_ref().is_none_or(|job| is_like(&principal.job, job))
        && rule.groups.iter().all(|group| principal.groups.contains(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_rule_says_has_to_be_true() {
        let principal = Principal {
            issuer: "ci".to_owned(),
            subject: "repo:films/reranker".to_owned(),
            job: "etl_night".to_owned(),
            groups: vec!["batch".to_owned(), "films".to_owned()],
            actors: Vec::new(),
            token_id: String::new(),
            token_expires_at: 0,
            ends_at: 0,
        };
        let rule = |issuer: &str, subject: &str, job: &str, groups: &[&str]| {
            let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            CaptureRule {
                issuer: given(issuer),
                subject: given(subject),
                job: given(job),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                capture: CaptureOptions::default(),
            }
        };
        for good in [
            rule("ci", "", "", &[]),
            rule("", "repo:films/*", "", &[]),
            rule("", "", "etl_*", &[]),
            rule("", "", "", &["films"]),
            rule("ci", "*reranker", "etl_night", &["films", "batch"]),
        ] {
            assert!(fits(&principal, &good), "{good:?}");
        }
        for fails in [
            rule("", "", "", &[]),
            rule("other", "", "etl_*", &[]),
            rule("ci", "repo:*/other", "etl_*", &[]),
            rule("ci", "", "etl", &["films"]),
            rule("ci", "", "etl_*", &["films", "dba"]),
        ] {
            assert!(!fits(&principal, &fails), "{fails:?}");
        }
    }
}
