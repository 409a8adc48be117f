//! What is written becomes what is meant, or a complaint that names the key, the reason and the way out.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hansard_event_log::Fsync;
use hansard_ingest_proxy::{
    CaptureOptions, Durability, Options, OptionsError, Password, TargetOptions, UpstreamOptions,
};

use super::capture;
use super::raw::{self, Raw};
use super::tls;
use super::{Config, ConfigError, EventLog, Issuer, Lake, Logging, Nats, Proxy, Query, Target, Web};

pub(super) fn validate(file: &Path, raw: Raw) -> Result<Config, ConfigError> {
    let place = Place {
        file,
        base: std::path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_path_buf)).unwrap_or_default(),
    };
    if raw.policy.unrestricted != Some(true) {
        return Err(place.wrong(
            "policy.unrestricted",
            "this version records and does not restrict: say `unrestricted = true` under [policy] to accept that",
        ));
    }
    let event_log = event_log(&place, raw.event_log, &raw.recording)?;
    let recorded = capture::of_all(&place, &raw.recording)?;
    let issuers = issuers(&place, raw.identity.issuers)?;
    let targets = targets(&place, raw.targets, recorded, &issuers)?;
    let data = event_log.path.parent().map_or_else(|| place.base.clone(), Path::to_path_buf);
    Ok(Config {
        file: file.to_path_buf(),
        admin: raw.admin.listen.map(|listen| place.address("admin.listen", &listen)).transpose()?,
        logging: logging(&place, raw.logging)?,
        durability: match raw.recording.durability.as_deref() {
            None | Some("write-ahead") => Durability::WriteAhead,
            Some("before-reply") => Durability::BeforeReply,
            Some("async") => Durability::Async,
            // To measure what recording costs; start-up warns.
            Some("off") => Durability::Off,
            Some(other) => {
                return Err(place.word("recording.durability", other, &["write-ahead", "before-reply", "async"]));
            }
        },
        lake: lake(&place, raw.lake)?,
        issuers,
        proxy: proxy(&place, raw.proxy)?,
        targets,
        policy_dir: raw.policy.dir,
        query: query(&place, raw.query)?,
        web: web(&place, raw.web, &data)?,
        event_log,
        data,
    })
}

pub(super) struct Place<'a> {
    file: &'a Path,
    base: PathBuf,
}

impl Place<'_> {
    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::Key { file: self.file.to_path_buf(), key: key.to_owned(), reason: reason.into() }
    }

    pub(super) fn word(&self, key: &str, found: &str, known: &[&str]) -> ConfigError {
        self.wrong(key, format!("found {found:?}, expected one of {}", known.join(", ")))
    }

    pub(super) fn required(&self, key: &str, value: Option<String>) -> Result<String, ConfigError> {
        match value {
            Some(value) if !value.trim().is_empty() => Ok(value),
            Some(_) => Err(self.wrong(key, "is empty")),
            None => Err(self.wrong(key, "is missing")),
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    fn address(&self, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        text.parse()
            .map_err(|_| self.wrong(key, format!("{text:?} is not an address and port such as \"127.0.0.1:6432\"")))
    }

    fn job_address(&self, key: &str, text: &str, safe: bool) -> Result<SocketAddr, ConfigError> {
        let address = self.address(key, text)?;
        if !address.ip().is_loopback() && !safe {
            return Err(self.wrong(
                key,
                format!(
                    "{address} is reached from other machines, and tokens would cross the network in clear; listen on \
                    127.0.0.1, give the target a certificate (`tls.cert_file`, `tls.key_file`), or say \
                    `allow_plaintext = true` beside it where the network is trusted"
                ),
            ));
        }
        Ok(address)
    }

    fn duration(&self, key: &str, text: &str) -> Result<Duration, ConfigError> {
        duration(text)
            .ok_or_else(|| self.wrong(key, format!("{text:?} is not a time such as \"50ms\", \"5s\" or \"2m\"")))
    }

    fn size(&self, key: &str, text: Option<String>, default: u64, least: u64) -> Result<u64, ConfigError> {
        let Some(text) = text else { return Ok(default) };
        let bytes = size(&text)
            .ok_or_else(|| self.wrong(key, format!("{text:?} is not a size such as \"64MiB\" or \"10GiB\"")))?;
        if bytes < least {
            return Err(self.wrong(key, format!("{text:?} is less than the {least} bytes that are needed")));
        }
        Ok(bytes)
    }
}

/// A whole number and a unit: ms, s, m, h, d. Not zero.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

/// A whole number and a unit: B, KiB, MiB, GiB, TiB.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn logging(place: &Place<'_>, raw: raw::Logging) -> Result<Logging, ConfigError> {
    let json = match raw.format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => return Err(place.word("logging.format", other, &["text", "json"])),
    };
    let level = raw.level.unwrap_or_else(|| "info".to_owned());
    if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        return Err(place
            .wrong("logging.level", format!("{level:?} is not a level such as \"info\" or \"warn,hansard=debug\"")));
    }
    Ok(Logging { json, level })
}

fn event_log(place: &Place<'_>, raw: raw::EventLog, recording: &raw::Recording) -> Result<EventLog, ConfigError> {
    let nats = match raw.backend.as_deref() {
        None | Some("embedded") => {
            for (key, set) in [
                ("servers", raw.servers.is_some()),
                ("credentials_file", raw.credentials_file.is_some()),
                ("stream", raw.stream.is_some()),
                ("replicas", raw.replicas.is_some()),
                ("stream_max_size", raw.stream_max_size.is_some()),
            ] {
                if set {
                    return Err(place
                        .wrong(&format!("event_log.{key}"), "is for `backend = \"nats\"`; the backend is embedded"));
                }
            }
            if recording.wait_for.is_some() {
                return Err(
                    place.wrong("recording.wait_for", "is for `event_log.backend = \"nats\"`; the backend is embedded")
                );
            }
            None
        }
        Some("nats") => {
            let servers = raw.servers.unwrap_or_default();
            if servers.is_empty() {
                return Err(
                    place.wrong("event_log.servers", "is missing: name at least one, as \"nats://127.0.0.1:4222\"")
                );
            }
            let credentials_file = raw.credentials_file.as_deref().map(|file| place.path(file));
            if let Some(file) = credentials_file.as_deref().filter(|file| !file.is_file()) {
                return Err(place.wrong("event_log.credentials_file", format!("{} is not a file", file.display())));
            }
            Some(Nats {
                servers,
                credentials_file,
                stream: raw.stream.unwrap_or_else(|| "HANSARD".to_owned()),
                replicas: match raw.replicas {
                    None => 1,
                    Some(replicas @ (1 | 3 | 5)) => replicas,
                    Some(other) => {
                        return Err(place.wrong("event_log.replicas", format!("found {other}, expected 1, 3 or 5")));
                    }
                },
                max_bytes: place.size("event_log.stream_max_size", raw.stream_max_size, 10 << 30, 1 << 20)?,
                wait_for_stream: match recording.wait_for.as_deref() {
                    None | Some("stream") => true,
                    Some("spool") => false,
                    Some(other) => return Err(place.word("recording.wait_for", other, &["stream", "spool"])),
                },
            })
        }
        Some(other) => return Err(place.word("event_log.backend", other, &["embedded", "nats"])),
    };
    if let Some(shards) = raw.shards
        && !(1..=64).contains(&shards)
    {
        return Err(place.wrong("event_log.shards", format!("found {shards}, expected 1 to 64")));
    }
    let segment_bytes = place.size("event_log.segment_size", raw.segment_size, 64 << 20, 64 << 10)?;
    Ok(EventLog {
        path: place.path(raw.path.as_deref().unwrap_or("data/log")),
        shards: raw.shards,
        fsync: match recording.fsync.as_deref() {
            None => Fsync::Interval(Duration::from_millis(50)),
            Some("always") => Fsync::Always,
            Some(interval) => Fsync::Interval(place.duration("recording.fsync", interval)?),
        },
        segment_bytes,
        max_bytes: place.size("event_log.max_size", raw.max_size, 16 << 30, segment_bytes)?,
        nats,
    })
}

fn lake(place: &Place<'_>, raw: raw::Lake) -> Result<Lake, ConfigError> {
    let url = raw.url.unwrap_or_else(|| "file:data/lake".to_owned());
    let Some(folder) = url.strip_prefix("file:") else {
        return Err(
            place.wrong("lake.url", format!("{url:?} is not a place this version can write to; use \"file:FOLDER\""))
        );
    };
    let catalog = raw.catalog.unwrap_or_else(|| "sqlite:data/catalog.db".to_owned());
    let Some(database) = catalog.strip_prefix("sqlite:") else {
        return Err(place
            .wrong("lake.catalog", format!("{catalog:?} is not a catalog this version can use; use \"sqlite:FILE\"")));
    };
    let path = |text: &str| place.path(text.strip_prefix("//").unwrap_or(text)).display().to_string();
    Ok(Lake {
        url: format!("file:{}", path(folder)),
        catalog: format!("sqlite:{}", path(database)),
        flush_interval: match raw.flush_interval {
            None => Duration::from_secs(5),
            Some(interval) => place.duration("lake.flush_interval", &interval)?,
        },
    })
}

fn issuers(place: &Place<'_>, raw: Vec<raw::Issuer>) -> Result<Vec<Issuer>, ConfigError> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, entry) in raw.into_iter().enumerate() {
        let key = |name: &str| format!("identity.issuers.{index}.{name}");
        let issuer = Issuer {
            name: place.required(&key("name"), entry.name)?,
            issuer: place.required(&key("issuer"), entry.issuer)?,
            jwks_file: place.path(&place.required(&key("jwks_file"), entry.jwks_file)?),
            audience: place.required(&key("audience"), entry.audience)?,
            job_claim: entry.job_claim.unwrap_or_else(|| "sub".to_owned()),
            groups_claim: entry.groups_claim.unwrap_or_else(|| "groups".to_owned()),
            private_key_file: entry.private_key_file.map(|file| place.path(&file)),
        };
        if issuers.iter().any(|other| other.name == issuer.name) {
            return Err(place.wrong(&key("name"), format!("{:?} names two issuers", issuer.name)));
        }
        if issuers.iter().any(|other| other.issuer == issuer.issuer) {
            return Err(place.wrong(&key("issuer"), format!("{:?} is configured twice", issuer.issuer)));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

fn proxy(place: &Place<'_>, raw: raw::Proxy) -> Result<Proxy, ConfigError> {
    let defaults = Options::default();
    let count = |key: &str, value: Option<usize>, default: usize| match value {
        Some(0) => Err(place.wrong(key, format!("0 would let nobody in; leave it out for {default}"))),
        value => Ok(value.unwrap_or(default)),
    };
    let time = |key: &str, value: Option<String>, default| match value {
        None => Ok(default),
        Some(text) => place.duration(key, &text),
    };
    Ok(Proxy {
        max_sessions: count("proxy.max_sessions", raw.max_sessions, defaults.max_sessions)?,
        max_unauthenticated: count("proxy.max_unauthenticated", raw.max_unauthenticated, defaults.max_unauthenticated)?,
        shutdown_grace: time("proxy.shutdown_grace", raw.shutdown_grace, defaults.shutdown_grace)?,
        log_patience: time("proxy.log_patience", raw.log_patience, defaults.log_patience)?,
    })
}

fn targets(
    place: &Place<'_>,
    raw: Vec<raw::Target>,
    recorded: CaptureOptions,
    issuers: &[Issuer],
) -> Result<Vec<Target>, ConfigError> {
    let issuers: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    let mut targets: Vec<Target> = Vec::new();
    let mut addresses = HashSet::new();
    for (index, entry) in raw.into_iter().enumerate() {
        let key = |name: &str| format!("targets.{index}.{name}");
        let (capture, capture_rules) = capture::of_target(place, &key(""), &entry, recorded, &issuers)?;
        let name = place.required(&key("name"), entry.name)?;
        if targets.iter().any(|other| other.options.name == name) {
            return Err(place.wrong(&key("name"), format!("{name:?} names two targets")));
        }
        match entry.protocol.as_deref() {
            None | Some("postgres") => {}
            Some(other) => return Err(place.word(&key("protocol"), other, &["postgres"])),
        }
        let allow_plaintext = entry.allow_plaintext.unwrap_or(false);
        let listen = place.required(&key("listen"), entry.listen)?;
        let tls = entry.tls.map(|tls| tls::of_target(place, &key("tls"), tls)).transpose()?;
        let listen = place.job_address(&key("listen"), &listen, allow_plaintext || tls.is_some())?;
        if listen.port() != 0 && !addresses.insert(listen) {
            return Err(place.wrong(&key("listen"), format!("{listen} is another target's address too")));
        }
        let mut upstream: UpstreamOptions =
            place.required(&key("upstream"), entry.upstream)?.parse().map_err(|error: OptionsError| {
                place.wrong(&key("upstream"), error.to_string().trim_start_matches("upstream "))
            })?;
        let given =
            [upstream.password.is_some(), entry.upstream_password.is_some(), entry.upstream_password_file.is_some()];
        if given.iter().filter(|given| **given).count() > 1 {
            return Err(place.wrong(&key("upstream_password"), "is given twice; keep upstream_password_file alone"));
        }
        if let Some(password) = entry.upstream_password {
            upstream.password = Some(Password::new(password));
        }
        for file in upstream.files_mut() {
            *file = place.base.join(&*file);
        }
        let replication = entry.replication.unwrap_or(false);
        targets.push(Target {
            options: TargetOptions {
                name,
                listen,
                upstream,
                tls,
                allow_plaintext,
                replication,
                capture,
                capture_rules,
            },
            password_file: entry.upstream_password_file.map(|file| place.path(&file)),
        });
    }
    Ok(targets)
}

fn query(place: &Place<'_>, raw: raw::Query) -> Result<Query, ConfigError> {
    if raw.row_limit == Some(0) {
        return Err(place.wrong("query.row_limit", "0 rows would answer nothing; leave it out for the default"));
    }
    let size = |key, text: Option<String>, least| text.map(|text| place.size(key, Some(text), 0, least)).transpose();
    let memory = size("query.memory_limit", raw.memory_limit, 16 << 20)?;
    Ok(Query {
        pgwire_listen: raw.pgwire_listen.map(|listen| place.address("query.pgwire_listen", &listen)).transpose()?,
        memory_limit: memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        hot_limit: size("query.hot_limit", raw.hot_limit, 1 << 20)?,
        row_limit: raw.row_limit,
        timeout: raw.timeout.map(|limit| place.duration("query.timeout", &limit)).transpose()?,
    })
}

fn web(place: &Place<'_>, raw: raw::Web, data: &Path) -> Result<Option<Web>, ConfigError> {
    let Some(listen) = raw.listen else { return Ok(None) };
    let address = place.address("web.listen", &listen)?;
    if !address.ip().is_loopback() {
        return Err(place.wrong(
            "web.listen",
            format!(
                "{address} is reached from other machines, and the web has no TLS; listen on 127.0.0.1 and reach it \
                through an SSH tunnel"
            ),
        ));
    }
    Ok(Some(Web {
        listen: address,
        token_file: raw.token_file.map_or_else(|| data.join("api-token"), |file| place.path(&file)),
    }))
}
