//! Whose tokens are believed: issuers as they are written, and those whose tokens are known here by a word.

use std::collections::BTreeMap;
use std::time::Duration;

use hansard_identity::{IssuerOptions, JobName, KeySource, RemoteKeys, RequiredClaim, Template};

use super::Issuer;
use super::raw;
use super::validate::Place;

/// How long keys are believed that were had, where none can be had any more.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

const LEAST_AGE: Duration = Duration::from_secs(600);

/// An issuer whose tokens are known.
struct Preset {
    name: &'static str,
    /// The `iss` of its tokens, where all have the same.
    issuer: Option<&'static str>,
    job: Named,
    groups_claim: &'static str,
    /// Claims of which one has to be required, because everybody in the world can get tokens of this issuer.
    one_of: &'static [&'static str],
}

/// What names the job.
enum Named {
    Claim(&'static str),
    Template(&'static str),
}

/// docs/identity.md says where each is from.
const PRESETS: [Preset; 8] = [
    Preset {
        name: "github-actions",
        issuer: Some("https://token.actions.githubusercontent.com"),
        // The workflow's name is free to choose for whoever may push a branch; its file and ref are not.
        job: Named::Claim("workflow_ref"),
        groups_claim: "groups",
        one_of: &[
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
            "enterprise",
            "enterprise_id",
        ],
    },
    Preset {
        name: "gitlab-ci",
        issuer: Some("https://gitlab.com"),
        job: Named::Template("{project_path}:{ref_type}:{ref}"),
        groups_claim: "groups",
        one_of: &["project_path", "project_id", "namespace_path", "namespace_id"],
    },
    Preset {
        name: "kubernetes",
        issuer: None,
        job: Named::Template("{/kubernetes.io/namespace}:{/kubernetes.io/serviceaccount/name}"),
        groups_claim: "groups",
        one_of: &[],
    },
    Preset { name: "spiffe", issuer: None, job: Named::Claim("sub"), groups_claim: "groups", one_of: &[] },
    Preset {
        name: "keycloak",
        issuer: None,
        job: Named::Claim("azp"),
        groups_claim: "/realm_access/roles",
        one_of: &[],
    },
    Preset { name: "entra-id", issuer: None, job: Named::Claim("azp"), groups_claim: "roles", one_of: &[] },
    Preset {
        name: "google",
        issuer: Some("https://accounts.google.com"),
        job: Named::Claim("email"),
        groups_claim: "groups",
        one_of: &["email", "hd", "sub"],
    },
    Preset { name: "aws", issuer: None, job: Named::Claim("sub"), groups_claim: "groups", one_of: &[] },
];

pub(super) fn issuers(place: &Place<'_>, raw: Vec<raw::Issuer>) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, entry) in raw.into_iter().enumerate() {
        let key = |name: &str| format!("identity.issuers.{index}.{name}");
        let issuer = issuer(place, &key, entry);
        let IssuerOptions { name, issuer: url, .. } = &issuer.options;
        if !name.is_empty() && issuers.iter().any(|other| other.options.name == *name) {
            place.fault(place.wrong(&key("name"), format!("{name:?} names two issuers; name this one otherwise")));
        }
        if !url.is_empty() && issuers.iter().any(|other| other.options.issuer == *url) {
            place.fault(place.wrong(&key("issuer"), format!("{url:?} is configured twice; keep one entry")));
        }
        issuers.push(issuer);
    }
    issuers
}

fn issuer(place: &Place<'_>, key: &dyn Fn(&str) -> String, mut entry: raw::Issuer) -> Issuer {
    let preset = entry.preset.take().and_then(|word| {
        let found = PRESETS.iter().find(|preset| preset.name == word);
        if found.is_none() {
            place.fault(place.word(&key("preset"), &word, &PRESETS.map(|preset| preset.name)));
        }
        found
    });
    let url = entry.issuer.take().or_else(|| preset.and_then(|preset| preset.issuer).map(str::to_owned));
    let required_claims = required(place, key, entry.required_claims.take().unwrap_or_default());
    // Whatever preset is named: it is the issuer that gives tokens to anybody.
    let written = url.as_deref().map(|url| url.trim_end_matches('/'));
    let public = PRESETS.iter().find(|preset| preset.issuer.is_some() && preset.issuer == written).or(preset);
    // A star alone keeps nobody out.
    let says_something =
        |required: &RequiredClaim| required.values.iter().all(|value| value.chars().any(|character| character != '*'));
    if let Some(preset) = public
        && !preset.one_of.is_empty()
        && !required_claims
            .iter()
            .any(|required| preset.one_of.contains(&required.claim.as_str()) && says_something(required))
    {
        let reason = format!(
            "is missing: anybody can get tokens of this issuer; require one of {}, as required_claims = {{ {} = \"…\" }}",
            preset.one_of.join(", "),
            preset.one_of[0]
        );
        place.fault(place.wrong(&key("required_claims"), reason));
    }
    let options = IssuerOptions {
        name: place.required(&key("name"), entry.name.take()),
        issuer: place.required(&key("issuer"), url),
        audience: place.required(&key("audience"), entry.audience.take()),
        job: job(place, key, &entry, preset),
        groups_claim: Some(
            entry
                .groups_claim
                .take()
                .unwrap_or_else(|| preset.map_or("groups", |preset| preset.groups_claim).to_owned()),
        ),
        required_claims,
        keys: keys(place, key, &mut entry),
    };
    if let KeySource::Remote(remote) = &options.keys
        && !options.issuer.is_empty()
        && let Err(reason) = remote.check(&options.issuer)
    {
        place.fault(place.wrong(&key(if remote.url.is_some() { "jwks_url" } else { "issuer" }), reason));
    }
    Issuer { options, private_key_file: entry.private_key_file.map(|file| place.path(file)) }
}

fn job(place: &Place<'_>, key: &dyn Fn(&str) -> String, entry: &raw::Issuer, preset: Option<&Preset>) -> JobName {
    let template = |text: &str| {
        Template::parse(text).map_err(|reason| place.wrong(&key("job_template"), format!("{text:?} {reason}")))
    };
    match (&entry.job_claim, entry.job_template.as_deref(), preset.map(|preset| &preset.job)) {
        (Some(_), Some(_), _) => {
            place.fault(place.wrong(&key("job_template"), "is given beside job_claim; keep one of them"));
        }
        (Some(claim), None, _) => return JobName::Claim(place.required(&key("job_claim"), Some(claim.clone()))),
        (None, Some(text), _) | (None, None, Some(&Named::Template(text))) => {
            if let Some(template) = place.take(template(text)) {
                return JobName::Template(template);
            }
        }
        (None, None, Some(&Named::Claim(claim))) => return JobName::Claim(claim.to_owned()),
        (None, None, None) => {}
    }
    JobName::Claim("sub".to_owned())
}

fn keys(place: &Place<'_>, key: &dyn Fn(&str) -> String, entry: &mut raw::Issuer) -> KeySource {
    let max_age = entry.keys_max_age.take();
    match (entry.jwks_file.take(), entry.jwks_url.take()) {
        (Some(file), url) => {
            for (name, given) in
                [("jwks_url", url.is_some()), ("ca_file", entry.ca_file.is_some()), ("keys_max_age", max_age.is_some())]
            {
                if given {
                    place.fault(place.wrong(&key(name), "is for keys that are asked for, and jwks_file has them here"));
                }
            }
            KeySource::File(place.path(place.required(&key("jwks_file"), Some(file))))
        }
        (None, url) => KeySource::Remote(RemoteKeys {
            url: url.map(|url| place.required(&key("jwks_url"), Some(url))),
            ca_file: entry.ca_file.take().map(|file| place.path(file)),
            max_age: match place.time(&key("keys_max_age"), max_age, MAX_AGE) {
                short if short < LEAST_AGE => {
                    let reason = "is less than 10m: keys are asked for about so often, and would be too old in between";
                    place.fault(place.wrong(&key("keys_max_age"), reason));
                    MAX_AGE
                }
                age => age,
            },
        }),
    }
}

fn required(
    place: &Place<'_>,
    key: &dyn Fn(&str) -> String,
    raw: BTreeMap<String, raw::OneOrSeveral>,
) -> Vec<RequiredClaim> {
    let one = |(claim, values): (String, raw::OneOrSeveral)| {
        let values = match values {
            raw::OneOrSeveral::One(value) => vec![value.text()],
            raw::OneOrSeveral::Several(values) => values.into_iter().map(raw::Scalar::text).collect(),
        };
        if claim.is_empty() || values.is_empty() || values.iter().any(String::is_empty) {
            let reason = "is empty: say what the claim has to be; * stands for any text";
            place.fault(place.wrong(&key(&format!("required_claims.{claim}")), reason));
        }
        RequiredClaim { claim, values }
    };
    raw.into_iter().map(one).collect()
}
