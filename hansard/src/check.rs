//! `hansard check`: reaches every part that the configuration names, and says what is wrong, where, and what to type.
//!
//! It leaves nothing behind, and may run beside a running instance.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::Value;

use hansard_identity::{KeySource, RemoteKeys};
use hansard_ingest_proxy::TargetOptions;

use crate::config::{Config, Issuer};
use crate::failure::Failure;
use crate::parts::with_config;
use crate::{note, output, parts, permissions, token};

const NO_ISSUER: &str = "there is none: no job could show who it is; add a section [[identity.issuers]]. For development \
                         `hansard init FOLDER` writes one, with a key";
const NO_TARGET: &str = "there is none: no job could connect; add a section [[targets]] with name, listen and upstream";

/// What was looked at, and how it is.
type Finding = (String, Result<String, String>);

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    with_config(file, async |config| {
        let mut wrong = 0;
        for (part, found) in look(config).await {
            match found {
                Ok(how) => output::line(&format!("ok    {part}: {how}"))?,
                Err(reason) => {
                    wrong += 1;
                    output::line(&format!("WRONG {part}: {}", reason.lines().collect::<Vec<_>>().join(" ")))?;
                }
            }
        }
        for (part, reason) in permissions::exposures(config) {
            output::line(&format!("warn  {part}: {reason}"))?;
        }
        match wrong {
            0 => Ok(()),
            1 => Err(Failure::finding("1 part is not as it should be, see above")),
            _ => Err(Failure::finding(format!("{wrong} parts are not as they should be, see above"))),
        }
    })
}

async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        (format!("configuration {}", config.file.display()), Ok("is complete".to_owned())),
        ("event_log.path".to_owned(), writable(&config.event_log.path)),
        ("lake.url".to_owned(), writable(&path_of(&config.lake.url))),
        ("lake.catalog".to_owned(), writable(path_of(&config.lake.catalog).parent().unwrap_or(Path::new("/")))),
    ];
    if let Some(nats) = &config.event_log.nats {
        let reached = parts::stream(config, nats).await;
        let reached = reached
            .map(|_| format!("{} answers", nats.servers.join(", ")))
            .map_err(|failure| failure.to_string().trim_start_matches("event_log.servers ").to_owned());
        findings.push(("event_log.servers".to_owned(), reached));
    }
    if config.issuers.is_empty() {
        findings.push(("identity.issuers".to_owned(), Err(NO_ISSUER.to_owned())));
    }
    for issuer in &config.issuers {
        let found = match &issuer.options.keys {
            KeySource::File(file) => keys(config, issuer, file).await,
            KeySource::Remote(remote) => remote_keys(issuer, remote).await,
        };
        findings.push((format!("issuer {}", issuer.options.name), found));
        if issuer.private_key_file.is_some() && issuer.jwks_file().is_none_or(Path::exists) {
            let key = token::check(issuer).map_err(|failure| failure.to_string());
            findings.push((format!("issuer {} private_key_file", issuer.options.name), key));
        }
    }
    if config.targets.is_empty() {
        findings.push(("targets".to_owned(), Err(NO_TARGET.to_owned())));
    }
    let used = note::addresses_in_use(config);
    for target in &config.targets {
        let reached = upstream(target).await.map_err(|reason| format!("{reason}; {}", try_without(target)));
        let is_reached = reached.is_ok();
        findings.push((format!("target {}", target.name), reached));
        if is_reached {
            findings.push((format!("target {} catalog", target.name), catalog(target).await));
        }
        if target.tls.is_some() {
            findings.push((format!("target {} tls", target.name), certificates(target)));
        }
        findings.push((format!("target {} listen", target.name), free(target.listen, &used)));
    }
    for (key, address) in [("admin.listen", config.admin), ("web.listen", config.web.as_ref().map(|web| web.listen))] {
        if let Some(address) = address {
            findings.push((key.to_owned(), free(address, &used)));
        }
    }
    findings
}

fn path_of(url: &str) -> PathBuf {
    PathBuf::from(url.split_once(':').map_or(url, |(_, path)| path))
}

/// Writes to the folder, or to the nearest one above it that exists.
fn writable(folder: &Path) -> Result<String, String> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let shown = existing.display();
    if !existing.is_dir() {
        return Err(format!("{shown} is not a folder; move it aside: mv {shown} {shown}.old"));
    }
    let probe = existing.join(format!(".hansard-check-{}", std::process::id()));
    std::fs::write(&probe, b"probe").map_err(|error| {
        format!("{shown} cannot be written: {error}; give it to the user that runs Hansard: chown USER {shown}")
    })?;
    std::fs::remove_file(&probe).map_err(|error| format!("{}: {error}", probe.display()))?;
    Ok(format!("{} can be written", folder.display()))
}

/// Asks the issuer for its keys.
async fn remote_keys(issuer: &Issuer, remote: &RemoteKeys) -> Result<String, String> {
    let first = remote.first_address(&issuer.options.issuer);
    // What follows may be a secret.
    let asked = first.split(['?', '#']).next().unwrap_or_default();
    let count = hansard_identity::count_keys(&issuer.options)
        .await
        .map_err(|reason| format!("{reason}; try it without Hansard: curl -fsS {asked}"))?;
    Ok(format!("{count} key(s), by {asked}"))
}

async fn keys(config: &Config, issuer: &Issuer, path: &Path) -> Result<String, String> {
    let file = path.display();
    let way = if issuer.private_key_file.is_some() {
        let (config, name) = (config.file.display(), &issuer.options.name);
        format!("make a pair: hansard token --config {config} --issuer {name} --new-key")
    } else {
        let url = issuer.options.issuer.trim_end_matches('/');
        format!(
            "leave jwks_file out, and Hansard asks the issuer; or get the keys: curl -fsSo {file} JWKS_URI, with the jwks_uri \
             of {url}/.well-known/openid-configuration"
        )
    };
    let wrong = |reason: &str| format!("jwks_file {file}: {reason}; {way}");
    let text = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    if String::from_utf8_lossy(&text).contains("-----BEGIN") {
        return Err(wrong("is in PEM; a key set in JSON is wanted (RFC 7517), of public keys"));
    }
    let set: Value = serde_json::from_slice(&text).map_err(|error| wrong(&format!("is not a key set: {error}")))?;
    let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_symmetric = |key: &Value| key.get("kty").and_then(Value::as_str) == Some("oct");
    if let Some(place) = keys.iter().position(|key| !is_symmetric(key) && key.get("d").is_some()) {
        return Err(wrong(&format!(
            "key {} of it is a private one: who reads the file can make tokens; keep its public half alone, without d, \
             p, q, dp, dq and qi",
            place + 1
        )));
    }
    if !keys.is_empty() && keys.iter().all(is_symmetric) {
        return Err(wrong(
            "has symmetric keys alone, which are not taken; have the issuer sign with RS256, ES256 or EdDSA",
        ));
    }
    let count = hansard_identity::count_keys(&issuer.options).await.map_err(|reason| wrong(&reason))?;
    Ok(format!("{count} key(s) in {file}"))
}

/// How to see for oneself whether it is the database.
fn try_without(target: &TargetOptions) -> String {
    let upstream = &target.upstream;
    let database = upstream.database.as_deref().unwrap_or("postgres");
    format!("try it without Hansard: psql -h {} -p {} -U {} {database}", upstream.host, upstream.port, upstream.user)
}

async fn upstream(target: &TargetOptions) -> Result<String, String> {
    hansard_ingest_proxy::check_target(target).await
}

async fn catalog(target: &TargetOptions) -> Result<String, String> {
    hansard_ingest_proxy::check_catalog(target).await
}

fn certificates(target: &TargetOptions) -> Result<String, String> {
    hansard_ingest_proxy::check_tls(target).map_err(|reason| format!("{reason}; {}", what_they_are(target)))?;
    let tls = target.tls.as_ref().map(|tls| tls.cert_file.display().to_string());
    Ok(format!("{} and its key can be used", tls.unwrap_or_default()))
}

/// How to set a target's certificate and key right.
fn what_they_are(target: &TargetOptions) -> String {
    let Some(tls) = &target.tls else { return String::new() };
    let holds = |file: &Path, what: &str| std::fs::read_to_string(file).is_ok_and(|text| text.contains(what));
    let (certificate, key) = (tls.cert_file.display(), tls.key_file.display());
    if holds(&tls.cert_file, "PRIVATE KEY-----") && !holds(&tls.cert_file, "CERTIFICATE-----") {
        return format!("it is a private key: say `cert_file` for the certificate and `key_file` for {certificate}");
    }
    format!("see what the files are: head -n 1 {certificate} {key}")
}

fn free(address: SocketAddr, used: &[SocketAddr]) -> Result<String, String> {
    if used.contains(&address) {
        return Ok(format!("{address} is the running instance's"));
    }
    let error = match TcpListener::bind(address) {
        Ok(_) => return Ok(format!("{address} is free")),
        Err(error) => error,
    };
    let who = format!("see who has it: ss -ltnp 'sport = :{}'", address.port());
    match free_after(address) {
        Some(free) => Err(format!("{address}: {error}; say `listen = \"{free}\"`, which is free, or {who}")),
        None => Err(format!("{address}: {error}; is it an address of this machine? {who}")),
    }
}

/// The next address that can be listened on, if one of the next ones can.
pub(crate) fn free_after(address: SocketAddr) -> Option<SocketAddr> {
    let next = (1..=50).filter_map(|more| Some(SocketAddr::new(address.ip(), address.port().checked_add(more)?)));
    next.into_iter().find(|address| TcpListener::bind(address).is_ok())
}
