//! What is written becomes what is meant, or complaints that name the key, the reason and the way out: all of them, not
//! the first alone.
//!
//! A key that is wrong is complained about and taken as if it were left out, so that the rest is looked at as well.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hansard_event_log::Fsync;
use hansard_ingest_proxy::{Durability, Options, SessionId};

use super::capture;
use super::issuers;
use super::leases;
use super::raw::{self, Raw};
use super::read::Read;
use super::targets;
use super::{Config, ConfigError, ConfigErrors, EventLog, Group, Lake, Logging, Nats, Proxy, Query, Web};

pub(super) fn validate(file: &Path, read: Read) -> Result<Config, ConfigErrors> {
    let Read { raw, faults, said } = read;
    let place = Place {
        file,
        base: std::path::absolute(file).ok().and_then(|file| file.parent().map(Path::to_path_buf)).unwrap_or_default(),
        faults: RefCell::new(faults),
        said,
        addresses: RefCell::default(),
    };
    let config = build(&place, raw);
    match place.faults.into_inner() {
        faults if faults.is_empty() => Ok(config),
        faults => Err(ConfigErrors(faults)),
    }
}

fn build(place: &Place<'_>, raw: Raw) -> Config {
    if raw.policy.unrestricted != Some(true) {
        place.fault(place.wrong(
            "policy.unrestricted",
            "this version records and does not restrict: say `unrestricted = true` under [policy] to accept that",
        ));
    }
    let event_log = event_log(place, raw.event_log, &raw.recording);
    let recorded = capture::of_all(place, &raw.recording);
    let issuers = issuers::issuers(place, raw.identity.issuers);
    let targets = targets::targets(place, raw.targets, recorded, &issuers);
    let admin = raw.admin.listen.and_then(|listen| place.listen("admin.listen", &listen));
    let data = event_log.path.parent().map_or_else(|| place.base.clone(), Path::to_path_buf);
    Config {
        file: place.file.to_path_buf(),
        admin,
        logging: logging(place, raw.logging),
        durability: match raw.recording.durability.as_deref() {
            None | Some("write-ahead") => Durability::WriteAhead,
            Some("before-reply") => Durability::BeforeReply,
            Some("async") => Durability::Async,
            // To measure what recording costs; start-up warns.
            Some("off") => Durability::Off,
            Some(other) => {
                place.fault(place.word("recording.durability", other, &["write-ahead", "before-reply", "async"]));
                Durability::WriteAhead
            }
        },
        group: raw.recording.group.and_then(|name| group(place, name)),
        lake: lake(place, raw.lake),
        issuers,
        proxy: proxy(place, raw.proxy),
        targets,
        policy_dir: raw.policy.dir,
        query: query(place, raw.query),
        web: web(place, raw.web, &data),
        leases: leases::leases(place, raw.leases),
        event_log,
        data,
    }
}

/// A file that is looked at, and what has been found in it.
pub(super) struct Place<'a> {
    file: &'a Path,
    base: PathBuf,
    faults: RefCell<Vec<ConfigError>>,
    /// Keys that have been complained about already: what follows from that is not told.
    said: Vec<String>,
    /// Addresses that are listened on, with their keys.
    addresses: RefCell<Vec<(String, SocketAddr)>>,
}

impl Place<'_> {
    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        ConfigError::Key { file: self.file.to_path_buf(), key: key.to_owned(), reason: reason.into() }
    }

    pub(super) fn word(&self, key: &str, found: &str, known: &[&str]) -> ConfigError {
        self.wrong(key, format!("found {found:?}, expected one of {}", known.join(", ")))
    }

    /// Notes a complaint, unless it follows from one that is noted.
    pub(super) fn fault(&self, fault: ConfigError) {
        let follows = |said: &String| match &fault {
            ConfigError::Key { key, .. } => {
                key.strip_prefix(said.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            _ => false,
        };
        if !self.said.iter().any(follows) {
            self.faults.borrow_mut().push(fault);
        }
    }

    /// A value, or none and a complaint.
    pub(super) fn take<T>(&self, value: Result<T, ConfigError>) -> Option<T> {
        value.map_err(|fault| self.fault(fault)).ok()
    }

    /// A text that must be there; empty with a complaint where it is not.
    pub(super) fn required(&self, key: &str, value: Option<String>) -> String {
        match value {
            Some(value) if !value.trim().is_empty() => return value,
            Some(_) => self.fault(self.wrong(key, "is empty")),
            None => self.fault(self.wrong(key, "is missing")),
        }
        String::new()
    }

    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    pub(super) fn address(&self, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        text.parse()
            .map_err(|_| self.wrong(key, format!("{text:?} is not an address and port such as \"127.0.0.1:6432\"")))
    }

    /// An address that is listened on: nobody else's.
    pub(super) fn listen(&self, key: &str, text: &str) -> Option<SocketAddr> {
        let address = self.take(self.address(key, text))?;
        let mut addresses = self.addresses.borrow_mut();
        let taken = addresses.iter().find(|(_, other)| overlap(*other, address)).map(|(other, _)| other.clone());
        if let Some(other) = taken {
            let free = (1..=u16::MAX - address.port().min(u16::MAX - 1))
                .map(|more| SocketAddr::new(address.ip(), address.port().saturating_add(more)))
                .find(|free| !addresses.iter().any(|(_, other)| overlap(*other, *free)));
            let way = free.map(|free| format!(", such as `listen = \"{free}\"`")).unwrap_or_default();
            self.fault(
                self.wrong(key, format!("{address} is the address of {other} as well; give it another one{way}")),
            );
        }
        addresses.push((key.to_owned(), address));
        Some(address)
    }

    pub(super) fn duration(&self, key: &str, text: &str) -> Result<Duration, ConfigError> {
        duration(text)
            .ok_or_else(|| self.wrong(key, format!("{text:?} is not a time such as \"50ms\", \"5s\" or \"2m\"")))
    }

    /// A time, or `default` where there is none (to use).
    pub(super) fn time(&self, key: &str, text: Option<String>, default: Duration) -> Duration {
        text.and_then(|text| self.take(self.duration(key, &text))).unwrap_or(default)
    }

    fn size(&self, key: &str, text: Option<String>, default: u64, least: u64) -> u64 {
        let Some(text) = text else { return default };
        match size(&text) {
            None => self.fault(self.wrong(key, format!("{text:?} is not a size such as \"64MiB\" or \"10GiB\""))),
            Some(bytes) if bytes < least => {
                self.fault(self.wrong(key, format!("{text:?} is less than the {least} bytes that are needed")));
            }
            Some(bytes) => return bytes,
        }
        default
    }
}

/// Whether two addresses cannot be listened on at once. Port 0 is a free one each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || any(one.ip()) || any(other.ip()))
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

fn logging(place: &Place<'_>, raw: raw::Logging) -> Logging {
    let json = match raw.format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            place.fault(place.word("logging.format", other, &["text", "json"]));
            false
        }
    };
    let level = raw.level.unwrap_or_else(|| "info".to_owned());
    if level.parse::<tracing_subscriber::EnvFilter>().is_err() {
        place.fault(
            place
                .wrong("logging.level", format!("{level:?} is not a level such as \"info\" or \"warn,hansard=debug\"")),
        );
    }
    Logging { json, level }
}

/// A group of the operating system: its name in /etc/group, or its number.
fn group(place: &Place<'_>, name: String) -> Option<Group> {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let known = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(&name)).then(|| fields.nth(1)?.parse().ok())?
    });
    let id = known.or_else(|| name.parse().ok());
    if id.is_none() {
        let reason =
            format!("{name:?} is no group in /etc/group; make it with `groupadd {name}`, or give a group's number");
        place.fault(place.wrong("recording.group", reason));
    }
    Some(Group { name, id: id? })
}

fn event_log(place: &Place<'_>, raw: raw::EventLog, recording: &raw::Recording) -> EventLog {
    let nats = match raw.backend.as_deref() {
        None | Some("embedded") => {
            for (key, set) in [
                ("event_log.servers", raw.servers.is_some()),
                ("event_log.credentials_file", raw.credentials_file.is_some()),
                ("event_log.stream", raw.stream.is_some()),
                ("event_log.replicas", raw.replicas.is_some()),
                ("event_log.stream_max_size", raw.stream_max_size.is_some()),
                ("recording.wait_for", recording.wait_for.is_some()),
            ] {
                if set {
                    let reason = "is for `event_log.backend = \"nats\"`; the backend is embedded: leave it out";
                    place.fault(place.wrong(key, reason));
                }
            }
            None
        }
        Some("nats") => {
            let servers = raw.servers.unwrap_or_default();
            if servers.is_empty() {
                let reason = "is missing: name at least one, as \"nats://127.0.0.1:4222\"";
                place.fault(place.wrong("event_log.servers", reason));
            }
            let credentials_file = raw.credentials_file.as_deref().map(|file| place.path(file));
            if let Some(file) = credentials_file.as_deref().filter(|file| !file.is_file()) {
                place.fault(place.wrong("event_log.credentials_file", format!("{} is not a file", file.display())));
            }
            Some(Nats {
                servers,
                credentials_file,
                stream: raw.stream.unwrap_or_else(|| "HANSARD".to_owned()),
                replicas: match raw.replicas {
                    None => 1,
                    Some(replicas @ (1 | 3 | 5)) => replicas,
                    Some(other) => {
                        place.fault(place.wrong("event_log.replicas", format!("found {other}, expected 1, 3 or 5")));
                        1
                    }
                },
                max_bytes: place.size("event_log.stream_max_size", raw.stream_max_size, 10 << 30, 1 << 20),
                wait_for_stream: match recording.wait_for.as_deref() {
                    None | Some("stream") => true,
                    Some("spool") => false,
                    Some(other) => {
                        place.fault(place.word("recording.wait_for", other, &["stream", "spool"]));
                        true
                    }
                },
            })
        }
        Some(other) => {
            place.fault(place.word("event_log.backend", other, &["embedded", "nats"]));
            None
        }
    };
    if let Some(shards) = raw.shards
        && !(1..=64).contains(&shards)
    {
        place.fault(place.wrong("event_log.shards", format!("found {shards}, expected 1 to 64")));
    }
    let segment_bytes = place.size("event_log.segment_size", raw.segment_size, 64 << 20, 64 << 10);
    EventLog {
        path: place.path(raw.path.as_deref().unwrap_or("data/log")),
        shards: raw.shards,
        fsync: match recording.fsync.clone() {
            Some(always) if always == "always" => Fsync::Always,
            interval => Fsync::Interval(place.time("recording.fsync", interval, Duration::from_millis(50))),
        },
        segment_bytes,
        max_bytes: place.size("event_log.max_size", raw.max_size, 16 << 30, segment_bytes),
        nats,
    }
}

fn lake(place: &Place<'_>, raw: raw::Lake) -> Lake {
    let url = raw.url.unwrap_or_else(|| "file:data/lake".to_owned());
    if !url.starts_with("file:") {
        let reason = format!("{url:?} is not a place this version can write to; use \"file:FOLDER\"");
        place.fault(place.wrong("lake.url", reason));
    }
    let catalog = raw.catalog.unwrap_or_else(|| "sqlite:data/catalog.db".to_owned());
    if !catalog.starts_with("sqlite:") {
        let reason = format!("{catalog:?} is not a catalog this version can use; use \"sqlite:FILE\"");
        place.fault(place.wrong("lake.catalog", reason));
    }
    let path = |url: &str| {
        let path = url.split_once(':').map_or(url, |(_, path)| path);
        place.path(path.strip_prefix("//").unwrap_or(path)).display().to_string()
    };
    Lake {
        url: format!("file:{}", path(&url)),
        catalog: format!("sqlite:{}", path(&catalog)),
        flush_interval: place.time("lake.flush_interval", raw.flush_interval, Duration::from_secs(5)),
    }
}

fn proxy(place: &Place<'_>, raw: raw::Proxy) -> Proxy {
    let defaults = Options::default();
    let count = |key: &str, value: Option<usize>, default: usize| {
        if value == Some(0) {
            place.fault(place.wrong(key, format!("0 would let nobody in; leave it out for {default}")));
        }
        value.unwrap_or(default)
    };
    Proxy {
        max_sessions: count("proxy.max_sessions", raw.max_sessions, defaults.max_sessions),
        max_unauthenticated: count("proxy.max_unauthenticated", raw.max_unauthenticated, defaults.max_unauthenticated),
        shutdown_grace: place.time("proxy.shutdown_grace", raw.shutdown_grace, defaults.shutdown_grace),
        log_patience: place.time("proxy.log_patience", raw.log_patience, defaults.log_patience),
        session_id: match raw.session_id.as_deref() {
            None => defaults.session_id,
            Some(word) => SessionId::ALL.into_iter().find(|way| way.as_str() == word).unwrap_or_else(|| {
                place.fault(place.word("proxy.session_id", word, &SessionId::ALL.map(SessionId::as_str)));
                defaults.session_id
            }),
        },
    }
}

fn query(place: &Place<'_>, raw: raw::Query) -> Query {
    if raw.row_limit == Some(0) {
        let reason = "0 rows would answer nothing; leave it out for the default";
        place.fault(place.wrong("query.row_limit", reason));
    }
    let size = |key, text: Option<String>, least| text.map(|text| place.size(key, Some(text), least, least));
    let memory = size("query.memory_limit", raw.memory_limit, 16 << 20);
    Query {
        pgwire_listen: raw.pgwire_listen.and_then(|listen| place.listen("query.pgwire_listen", &listen)),
        memory_limit: memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        hot_limit: size("query.hot_limit", raw.hot_limit, 1 << 20),
        row_limit: raw.row_limit,
        timeout: raw.timeout.and_then(|limit| place.take(place.duration("query.timeout", &limit))),
        export_timeout: raw.export_timeout.and_then(|limit| place.take(place.duration("query.export_timeout", &limit))),
    }
}

fn web(place: &Place<'_>, raw: raw::Web, data: &Path) -> Option<Web> {
    let address = place.listen("web.listen", &raw.listen?)?;
    if !address.ip().is_loopback() {
        place.fault(place.wrong(
            "web.listen",
            format!(
                "{address} is reached from other machines, and the web has no TLS; listen on 127.0.0.1 and reach it \
                through an SSH tunnel"
            ),
        ));
    }
    Some(Web {
        listen: address,
        token_file: raw.token_file.map_or_else(|| data.join("api-token"), |file| place.path(&file)),
    })
}
