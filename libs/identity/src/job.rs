//! The job's name, out of a token's claims.
//!
//! Invariant: two tokens whose claims differ where a template has them have different names.

use serde_json::{Map, Value};

use crate::Rejection;
use crate::claims::text;
use crate::names::MAX_NAME;
use crate::options::{JobName, Template};
use crate::{too_long, unknown, with_zero};

/// The job that a token is of.
pub(crate) fn name(claims: &Map<String, Value>, job: &JobName) -> Result<String, Rejection> {
    let name = full_name(claims, job)?;
    match job {
        _ if name.contains('\0') => Err(with_zero("that names the job")),
        _ if name.len() <= MAX_NAME => Ok(name),
        JobName::Claim(claim) => Err(too_long(&format!("claim \"{claim}\""), &name)),
        JobName::Template(_) => Err(too_long("job's name by job_template", &name)),
    }
}

/// Likewise, however long it is.
pub(crate) fn full_name(claims: &Map<String, Value>, job: &JobName) -> Result<String, Rejection> {
    match job {
        JobName::Claim(claim) => value(claims, claim),
        JobName::Template(template) => fill(claims, template),
    }
}

fn fill(claims: &Map<String, Value>, template: &Template) -> Result<String, Rejection> {
    let mut name = template.begin.clone();
    for (claim, behind) in &template.claims {
        let value = value(claims, claim)?;
        let ended = format!("{value}{behind}");
        if !behind.is_empty() && ended.find(behind.as_str()) != Some(value.len()) {
            return Err(unknown(format!(
                "the token's claim \"{claim}\" holds \"{behind}\", which ends it in the job's name: another token could have the same name"
            ))
            .hint("Let this issuer's job_template have something behind the claim that no value holds."));
        }
        name.push_str(&ended);
    }
    Ok(name)
}

fn value(claims: &Map<String, Value>, claim: &str) -> Result<String, Rejection> {
    text(claims, claim).filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| {
        unknown(format!("the token does not name the job: it has no claim \"{claim}\""))
            .hint("Let the issuer add the claim, or set another job_claim or job_template for this issuer.")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(a: &str, b: &str) -> Map<String, Value> {
        json!({ "a": a, "b": b }).as_object().unwrap().clone()
    }

    proptest! {
        #[test]
        fn other_values_have_other_names(one in "[a:]{1,3}", two in "[a:]{1,3}", three in "[a:]{1,3}", four in "[a:]{1,3}") {
            for text in ["{a}:{b}", "{a}::{b}", "x{a}::{b}:", "{a}a:a{b}a"] {
                let job = JobName::Template(Template::parse(text).unwrap());
                if let (Ok(first), Ok(second)) = (name(&claims(&one, &two), &job), name(&claims(&three, &four), &job)) {
                    prop_assert_eq!(first == second, (&one, &two) == (&three, &four));
                }
            }
        }
    }
}
