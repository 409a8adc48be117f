//! Targets: where jobs connect, and which database that is.

use std::collections::HashSet;
use std::time::Duration;

use hansard_ingest_proxy::{
    Authentication, CaptureOptions, IdentitySettings, NamePattern, OptionsError, Password, PasswordCommand,
    TargetOptions, UpstreamOptions,
};

use super::validate::Place;
use super::{Issuer, capture, raw, tls};

/// How long a password that a command printed is used.
const PASSWORD_INTERVAL: Duration = Duration::from_secs(300);

/// The targets that can be made of what is written; of the others there are complaints.
pub(super) fn targets(
    place: &Place<'_>,
    raw: Vec<raw::Target>,
    recorded: CaptureOptions,
    issuers: &[Issuer],
) -> Vec<TargetOptions> {
    let issuers: Vec<&str> = issuers.iter().map(|issuer| issuer.options.name.as_str()).collect();
    let mut targets: Vec<TargetOptions> = Vec::new();
    let mut names = HashSet::new();
    for (index, entry) in raw.into_iter().enumerate() {
        let key = |name: &str| format!("targets.{index}.{name}");
        let (capture, capture_rules) = capture::of_target(place, &key(""), &entry, recorded, &issuers);
        let name = place.required(&key("name"), entry.name);
        if !name.is_empty() && !names.insert(name.clone()) {
            place.fault(place.wrong(&key("name"), format!("{name:?} names two targets; name this one otherwise")));
        }
        match entry.protocol.as_deref() {
            None | Some("postgres") => {}
            Some(other) => place.fault(place.word(&key("protocol"), other, &["postgres"])),
        }
        let allow_plaintext = entry.allow_plaintext.unwrap_or(false);
        let authentication = match entry.authentication.as_deref() {
            None => Authentication::default(),
            Some(word) => Authentication::ALL.into_iter().find(|way| way.as_str() == word).unwrap_or_else(|| {
                let words = Authentication::ALL.map(Authentication::as_str);
                place.fault(place.word(&key("authentication"), word, &words));
                Authentication::default()
            }),
        };
        let pattern = entry.application_name.map(|text| {
            NamePattern::parse(&text)
                .map_err(|reason| place.wrong(&key("application_name"), format!("{text:?} {reason}")))
        });
        let identity_settings = IdentitySettings {
            application_name: pattern.and_then(|pattern| place.take(pattern)),
            settings: entry.identity_settings.unwrap_or(false),
            key_file: entry.identity_key_file.map(|file| place.path(file)),
        };
        let has_tls = entry.tls.is_some();
        let tls = entry.tls.and_then(|tls| tls::of_target(place, &key("tls"), tls));
        let listen = match place.required(&key("listen"), entry.listen) {
            empty if empty.is_empty() => None,
            text => place.listen(&key("listen"), &text),
        };
        if let Some(address) = listen.filter(|address| !address.ip().is_loopback() && !allow_plaintext && !has_tls) {
            place.fault(place.wrong(
                &key("listen"),
                format!(
                    "{address} is reached from other machines, and tokens would cross the network in clear; listen on \
                    127.0.0.1, give the target a certificate (`tls.cert_file`, `tls.key_file`), or say \
                    `allow_plaintext = true` beside it where the network is trusted"
                ),
            ));
        }
        let upstream = match place.required(&key("upstream"), entry.upstream) {
            empty if empty.is_empty() => None,
            text => place.take(text.parse::<UpstreamOptions>().map_err(|error: OptionsError| {
                place.wrong(&key("upstream"), error.to_string().trim_start_matches("upstream "))
            })),
        };
        let interval =
            place.time(&key("upstream_password_interval"), entry.upstream_password_interval, PASSWORD_INTERVAL);
        let in_url = upstream.as_ref().is_some_and(|upstream| upstream.password.is_some());
        let given = [
            in_url,
            entry.upstream_password.is_some(),
            entry.upstream_password_file.is_some(),
            entry.upstream_password_command.is_some(),
        ];
        if given.iter().filter(|given| **given).count() > 1 {
            let reason = "is given twice; keep upstream_password_file or upstream_password_command alone";
            place.fault(place.wrong(&key("upstream_password"), reason));
        }
        let (Some(listen), Some(mut upstream)) = (listen, upstream) else { continue };
        if let Some(password) = entry.upstream_password {
            upstream.password = Some(Password::new(password));
        }
        upstream.password_file = entry.upstream_password_file.map(|file| place.path(file));
        upstream.password_command = entry.upstream_password_command.and_then(|words| {
            if words.first().is_none_or(String::is_empty) {
                let reason = "names no program; write it as [\"vault\", \"kv\", \"get\", …]";
                place.fault(place.wrong(&key("upstream_password_command"), reason));
                return None;
            }
            Some(PasswordCommand { words, kept: interval })
        });
        for file in upstream.files_mut() {
            *file = place.path(&*file);
        }
        let replication = entry.replication.unwrap_or(false);
        targets.push(TargetOptions {
            name,
            listen,
            upstream,
            tls,
            allow_plaintext,
            authentication,
            identity_settings,
            replication,
            capture,
            capture_rules,
        });
    }
    targets
}
