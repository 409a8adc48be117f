//! `hansard check`: reaches every part that the configuration names, and says what is wrong and where.
//!
//! It leaves nothing behind, and may run beside a running instance.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::JwkSet;

use crate::cli::Configured;
use crate::config::{Config, Issuer, Target};
use crate::failure::Failure;
use crate::parts::with_config;
use crate::{note, output, parts};

/// What was looked at, and how it is.
type Finding = (String, Result<String, String>);

pub(crate) fn run(asked: &Configured) -> Result<(), Failure> {
    with_config(&asked.config, async |config| {
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
        findings.push(("identity.issuers".to_owned(), Err("there is none: no job could show who it is".to_owned())));
    }
    findings.extend(config.issuers.iter().map(|issuer| (format!("issuer {}", issuer.name), keys(issuer))));
    if config.targets.is_empty() {
        findings.push(("targets".to_owned(), Err("there is none: no job could connect".to_owned())));
    }
    let used = note::addresses_in_use(config);
    for target in &config.targets {
        let reached = upstream(target).await;
        let is_reached = reached.is_ok();
        findings.push((format!("target {}", target.options.name), reached));
        if is_reached {
            findings.push((format!("target {} catalog", target.options.name), catalog(target).await));
        }
        if target.options.tls.is_some() {
            findings.push((format!("target {} tls", target.options.name), certificates(target)));
        }
        findings.push((format!("target {} listen", target.options.name), free(target.options.listen, &used)));
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
    if !existing.is_dir() {
        return Err(format!("{} is not a folder", existing.display()));
    }
    let probe = existing.join(format!(".hansard-check-{}", std::process::id()));
    std::fs::write(&probe, b"probe").map_err(|error| {
        format!("{} cannot be written: {error}; give it to the user that runs Hansard", existing.display())
    })?;
    std::fs::remove_file(&probe).map_err(|error| format!("{}: {error}", probe.display()))?;
    Ok(format!("{} can be written", folder.display()))
}

fn keys(issuer: &Issuer) -> Result<String, String> {
    let file = issuer.jwks_file.display();
    let text = std::fs::read(&issuer.jwks_file).map_err(|error| format!("jwks_file {file}: {error}"))?;
    let set: JwkSet =
        serde_json::from_slice(&text).map_err(|error| format!("jwks_file {file}: is not a key set: {error}"))?;
    match set.keys.len() {
        0 => Err(format!("jwks_file {file}: holds no key")),
        count => Ok(format!("{count} key(s) in {file}")),
    }
}

async fn upstream(target: &Target) -> Result<String, String> {
    let options = parts::target_options(target).map_err(|failure| failure.to_string())?;
    hansard_ingest_proxy::check_target(&options).await
}

async fn catalog(target: &Target) -> Result<String, String> {
    let options = parts::target_options(target).map_err(|failure| failure.to_string())?;
    hansard_ingest_proxy::check_catalog(&options).await
}

fn certificates(target: &Target) -> Result<String, String> {
    hansard_ingest_proxy::check_tls(&target.options)?;
    let tls = target.options.tls.as_ref().map(|tls| tls.cert_file.display().to_string());
    Ok(format!("{} and its key can be used", tls.unwrap_or_default()))
}

fn free(address: SocketAddr, used: &[SocketAddr]) -> Result<String, String> {
    if used.contains(&address) {
        return Ok(format!("{address} is the running instance's"));
    }
    match TcpListener::bind(address) {
        Ok(_) => Ok(format!("{address} is free")),
        Err(error) => Err(format!("{address}: {error}; choose a free address")),
    }
}
