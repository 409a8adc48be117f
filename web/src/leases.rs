//! Giving leases, and revoking: what is decided, recorded and told to the proxies. Nothing here knows HTTP.
//!
//! Invariants: no lease is given, and nothing is revoked, that is not in the record; where the record or the control feed takes
//! nothing, nothing is given; a password leaves by the answer alone; whoever is refused for a bad token learns the same whatever
//! is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hansard_event_log::{ControlLog, ControlRecord, EventLog, Followed, keep_following, mint_session_id};
use hansard_identity::leases::{Book, Holder, Lease, LeaseRequest as Wanted, Randomness, Revocation, Revoked};
use hansard_identity::{Actor, Identity, Principal};
use hansard_schemas::events::{self, Block, Compression, Event, Message, Payload, event::Kind as EventKind};
use hansard_schemas::http::{LeaseGiven, LeaseRequest, LeaseSummary, RevocationKind, RevocationRequest};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::failure::{Failure, Kind};

/// Longest life of a revocation: of what has a longer one, it has to be said again.
pub(crate) const LONGEST_REVOCATION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The shard of all events of leases, so that whoever reads them finds a revocation and what it ends together.
const SHARD: u16 = 0;

/// Tokens that may be wrong within [`WINDOW`]; then all are told to come again.
const MAX_WRONG: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// Most leases of one listing.
pub(crate) const MAX_LISTED: usize = 1000;

/// Who decides on leases, and where they go.
#[derive(Clone)]
pub struct LeaseOptions {
    /// Whether leases are given; without it they are listed and revoked alone.
    pub enabled: bool,
    /// Longest time that one is good for.
    pub max_duration: Duration,
    /// Most connections that one is good for.
    pub max_connections: Option<u32>,
    /// Whose tokens are believed; somebody else keeps its keys up to date.
    pub identity: Arc<Identity>,
    /// What proxies follow.
    pub feed: Arc<dyn ControlLog>,
    /// What is recorded.
    pub events: Arc<dyn EventLog>,
    /// The targets.
    pub targets: Vec<LeaseTarget>,
}

/// A target, as whoever has a lease reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseTarget {
    /// Its name.
    pub name: String,
    /// Where jobs reach it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database, where it serves one only.
    pub database: Option<String>,
    /// Whether it takes connections with TLS.
    pub tls: bool,
}

impl std::fmt::Debug for LeaseOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseOptions").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// See the module.
pub(crate) struct Leases {
    options: LeaseOptions,
    book: RwLock<Book>,
    current: AtomicBool,
    /// One lease at a time: their number is bounded.
    giving: tokio::sync::Mutex<()>,
    wrong: Mutex<(Instant, u32)>,
}

type Done<T> = Result<T, Failure>;

impl Leases {
    pub(crate) fn new(options: LeaseOptions) -> Leases {
        Leases {
            options,
            book: RwLock::default(),
            current: AtomicBool::new(false),
            giving: tokio::sync::Mutex::default(),
            wrong: Mutex::new((Instant::now(), 0)),
        }
    }

    /// Follows the feed for ever.
    pub(crate) async fn keep(&self) {
        let take = |followed| match followed {
            Followed::Current => self.current.store(true, Ordering::Relaxed),
            Followed::Record(record, _) => self.take(&record),
        };
        keep_following(&*self.options.feed, take).await;
    }

    fn take(&self, record: &ControlRecord) {
        self.book.write().apply(&record.key, &record.value, now());
    }

    /// Whose token that is.
    pub(crate) async fn identify(&self, token: &str) -> Done<Principal> {
        {
            let (since, wrong) = &mut *self.wrong.lock();
            if since.elapsed() >= WINDOW {
                (*since, *wrong) = (Instant::now(), 0);
            }
            if *wrong >= MAX_WRONG {
                return Err(Failure::new(Kind::Busy, "Too many tokens were wrong within a minute.")
                    .hint("Try again in a minute."));
            }
        }
        let refused = || {
            Failure::new(Kind::Unauthenticated, "The bearer token is not this instance's, nor a good one of a job.")
                .hint("The log of the web service says what is wrong with a job's token.")
        };
        let principal = match self.options.identity.verify(token.as_bytes(), None, now()).await {
            Ok(principal) => principal,
            Err(rejection) => {
                self.wrong.lock().1 += 1;
                tracing::info!(reason = %rejection.message, "a token for a lease was refused");
                return Err(refused());
            }
        };
        if self.book.read().revocation(&Holder::from(&principal), None, now()).is_some() {
            tracing::info!(job = %principal.job, "a token for a lease was refused: it is revoked");
            return Err(refused());
        }
        Ok(principal)
    }

    /// Gives a lease.
    pub(crate) async fn give(&self, principal: &Principal, request: &LeaseRequest) -> Done<LeaseGiven> {
        let options = &self.options;
        if !options.enabled {
            return Err(Failure::not_found("This Hansard gives no leases (leases.enabled).")
                .hint("Log in with the job's token as the password."));
        }
        let target = options.targets.iter().find(|target| target.name == request.target).ok_or_else(|| {
            Failure::invalid("There is no target of that name.").of("target").hint("GET /api/v1/status names them.")
        })?;
        let now = now();
        let wanted = self.wanted(request, now)?;
        if !self.current.load(Ordering::Relaxed) {
            return Err(unavailable("the control feed has not been read yet"));
        }
        let _one = self.giving.lock().await;
        let holder = Holder::from(principal);
        if !self.book.read().has_room(&holder, now) {
            return Err(Failure::new(Kind::Busy, "There are as many leases as there may be.")
                .hint("Revoke those that are done with, or wait until some end."));
        }
        let record = mint_session_id(SHARD, options.events.shards());
        let wanted = Wanted { record: record.to_string(), ..wanted };
        let random = Randomness { id: rand::random(), password: rand::random() };
        let (lease, password) = Lease::issue(wanted, holder, now, &random);
        self.append(record, 1, EventKind::LeaseIssued(issued(&lease)), now).await?;
        let put = ControlRecord { key: lease.key(), value: lease.to_bytes(), expires_at: lease.expires_at };
        if let Err(error) = options.feed.put(put.clone()).await {
            let revoked = events::LeaseRevoked {
                lease: lease.user.clone(),
                by: "hansard".into(),
                reason: "it could not be told to the proxies".into(),
            };
            // Where this fails, too, the record has a lease that nobody has.
            let _ = self.append(record, 2, EventKind::LeaseRevoked(revoked), now).await;
            return Err(unavailable(&error.to_string()));
        }
        self.take(&put);
        tracing::info!(lease = %lease.user, job = %principal.job, target_name = %lease.target, "a lease was given");
        Ok(given(&lease, password.reveal(), target))
    }

    /// What is asked for, where it may be.
    fn wanted(&self, request: &LeaseRequest, now: u64) -> Done<Wanted> {
        let options = &self.options;
        let LeaseRequest { target, role, database, purpose, duration, max_connections, certificate_sha256 } = request;
        let wrong = |parameter: &'static str, reason: String| Failure::invalid(reason).of(parameter);
        let longest = options.max_duration;
        let lasts = match duration.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => longest,
            Some(text) => {
                let lasts = length(text).filter(|length| !length.is_zero());
                lasts.ok_or_else(|| wrong("duration", "It is no length of time, as 30m is.".into()))?
            }
        };
        if lasts > longest {
            let reason = format!("A lease is good for {} s at most (leases.max_duration).", longest.as_secs());
            return Err(wrong("duration", reason));
        }
        for (parameter, text, most) in [
            ("role", Some(role), 63),
            ("database", database.as_ref(), 63),
            ("purpose", purpose.as_ref(), hansard_identity::leases::MAX_PURPOSE),
        ] {
            let Some(text) = text else { continue };
            if text.len() > most || text.contains('\0') || parameter != "purpose" && text.is_empty() {
                return Err(wrong(
                    parameter,
                    format!("It has to have between 1 and {most} bytes, and none that is zero."),
                ));
            }
        }
        let most = match (*max_connections, options.max_connections) {
            (Some(0), _) => {
                return Err(wrong("max_connections", "A lease is good for one connection at least.".into()));
            }
            (Some(asked), Some(most)) if asked > most => {
                let reason = format!("A lease is good for {most} connections at most (leases.max_connections).");
                return Err(wrong("max_connections", reason));
            }
            (asked, most) => asked.or(most),
        };
        let certificate = certificate_sha256.as_ref().map(|hex| hex.to_ascii_lowercase());
        if certificate.as_ref().is_some_and(|hex| hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(wrong("certificate_sha256", "It has to be 64 digits of hex.".into()));
        }
        Ok(Wanted {
            record: String::new(),
            target: target.clone(),
            role: role.clone(),
            database: database.clone(),
            purpose: purpose.clone().unwrap_or_default(),
            expires_at: now.saturating_add(nanoseconds(lasts)),
            max_connections: most,
            certificate_sha256: certificate,
        })
    }

    /// Leases that are good: all, or those of one identity; and how many there are.
    pub(crate) fn list(&self, of: Option<&Principal>) -> (Vec<LeaseSummary>, u64) {
        let book = self.book.read();
        let is_theirs = |lease: &Lease| of.is_none_or(|principal| is_of(lease, principal));
        let leases: Vec<_> = book.leases(now()).into_iter().filter(|(lease, _)| is_theirs(lease)).collect();
        let items = leases.iter().take(MAX_LISTED).map(|(lease, used)| summary(lease, *used)).collect();
        (items, leases.len() as u64)
    }

    /// Revokes a lease: of anybody, or of one identity alone. Once more changes nothing.
    pub(crate) async fn revoke_lease(
        &self,
        id: &str,
        by: Option<&Principal>,
        reason: Option<&str>,
    ) -> Done<Revocation> {
        let reason = checked_reason(reason)?;
        let now = now();
        let (lease, before) = {
            let book = self.book.read();
            let lease = book.lease(id, now).filter(|lease| by.is_none_or(|principal| is_of(lease, principal)));
            let lease =
                lease.cloned().ok_or_else(|| Failure::not_found("There is no lease of that name that is good."))?;
            let before = book.revocation(&lease.holder, Some(id), now).cloned();
            (lease, before)
        };
        if let Some(before) = before.filter(|before| matches!(before.revoked, Revoked::Lease { .. })) {
            return Ok(before);
        }
        let revocation = Revocation {
            revoked: Revoked::Lease { id: id.to_owned() },
            reason,
            by: by_whom(by),
            at: now,
            until: lease.expires_at,
        };
        let event =
            events::LeaseRevoked { lease: id.to_owned(), by: revocation.by.clone(), reason: revocation.reason.clone() };
        let record =
            Uuid::parse_str(&lease.record).unwrap_or_else(|_| mint_session_id(SHARD, self.options.events.shards()));
        self.append(record, 2, EventKind::LeaseRevoked(event), now).await?;
        self.tell(revocation).await
    }

    /// Revokes what somebody holds.
    pub(crate) async fn revoke(&self, request: &RevocationRequest) -> Done<Revocation> {
        let RevocationRequest { kind, issuer, token_id, subject, job, reason, duration } = request;
        let said = |parameter: &'static str, text: &Option<String>| {
            let text = text.clone().filter(|text| !text.is_empty());
            text.ok_or_else(|| Failure::invalid("It is missing: it says what is revoked.").of(parameter))
        };
        let issuer = || {
            let name = said("issuer", issuer)?;
            match self.options.identity.has_issuer(&name) {
                true => Ok(name),
                false => Err(Failure::invalid("No issuer has that name in the configuration.").of("issuer")),
            }
        };
        let revoked = match kind {
            RevocationKind::Token => Revoked::Token { issuer: issuer()?, id: said("token_id", token_id)? },
            RevocationKind::Subject => Revoked::Subject { issuer: issuer()?, subject: said("subject", subject)? },
            RevocationKind::Job => Revoked::Job { job: said("job", job)? },
            RevocationKind::Issuer => Revoked::Issuer { issuer: issuer()? },
        };
        let lasts = match duration.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => LONGEST_REVOCATION,
            Some(text) => length(text)
                .filter(|length| !length.is_zero() && *length <= LONGEST_REVOCATION)
                .ok_or_else(|| Failure::invalid("It has to be a length of time of at most 7d.").of("duration"))?,
        };
        let now = now();
        let until = now.saturating_add(nanoseconds(lasts));
        let reason = checked_reason(reason.as_deref())?;
        let revocation = Revocation { revoked, reason, by: by_whom(None), at: now, until };
        let mut event = events::Revoked {
            kind: revocation.revoked.kind().into(),
            by: revocation.by.clone(),
            reason: revocation.reason.clone(),
            until,
            ..events::Revoked::default()
        };
        match &revocation.revoked {
            Revoked::Token { issuer, id } => (event.issuer, event.token_id) = (issuer.clone(), id.clone()),
            Revoked::Subject { issuer, subject } => (event.issuer, event.subject) = (issuer.clone(), subject.clone()),
            Revoked::Job { job } => event.job.clone_from(job),
            Revoked::Issuer { issuer } => event.issuer.clone_from(issuer),
            Revoked::Lease { .. } => {}
        }
        let record = mint_session_id(SHARD, self.options.events.shards());
        self.append(record, 1, EventKind::Revoked(event), now).await?;
        self.tell(revocation).await
    }

    /// Tells the proxies.
    async fn tell(&self, revocation: Revocation) -> Done<Revocation> {
        let record =
            ControlRecord { key: revocation.revoked.key(), value: revocation.to_bytes(), expires_at: revocation.until };
        self.options.feed.put(record.clone()).await.map_err(|error| unavailable(&error.to_string()))?;
        self.take(&record);
        tracing::info!(kind = revocation.revoked.kind(), by = %revocation.by, "revoked");
        Ok(revocation)
    }

    /// Records an event under a session of its own.
    async fn append(&self, record: Uuid, event_no: u64, kind: EventKind, at: u64) -> Done<()> {
        let payload = Payload { events: vec![Event { at, event_no, kind: Some(kind) }] }.encode_to_vec();
        let block = Block {
            session_id: record.as_bytes().to_vec(),
            first_seq: 1,
            first_event: event_no,
            last_event: event_no,
            compression: Compression::None as i32,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        };
        match self.options.events.append(SHARD, block).await {
            Ok(_) => Ok(()),
            Err(error) => Err(unavailable(&error.to_string())),
        }
    }
}

/// What is in the log in full, and told to nobody.
fn unavailable(reason: &str) -> Failure {
    tracing::error!(%reason, "leases cannot be given or revoked");
    Failure::new(Kind::Unavailable, "It cannot be recorded, or told to the proxies, so it is not done.")
        .hint("Try again in a moment; /readyz and the log of the web service say why.")
}

fn is_of(lease: &Lease, principal: &Principal) -> bool {
    lease.holder.issuer == principal.issuer && lease.holder.subject == principal.subject
}

fn by_whom(principal: Option<&Principal>) -> String {
    principal.map_or_else(|| "owner".into(), |principal| format!("{}: {}", principal.issuer, principal.subject))
}

fn checked_reason(reason: Option<&str>) -> Done<String> {
    let reason = reason.unwrap_or_default().trim();
    match reason.len() <= hansard_identity::leases::MAX_REASON {
        true => Ok(reason.to_owned()),
        false => Err(Failure::invalid("It is longer than 512 bytes.").of("reason")),
    }
}

fn issued(lease: &Lease) -> events::LeaseIssued {
    let holder = lease.holder.clone();
    let actor = |Actor { subject, issuer }| events::Actor { subject, issuer };
    let certificate = lease.certificate_sha256.as_ref().and_then(|text| hex::decode(text).ok());
    events::LeaseIssued {
        lease: lease.user.clone(),
        target: lease.target.clone(),
        role: lease.role.clone(),
        database: lease.database.clone().unwrap_or_default(),
        issuer: holder.issuer,
        subject: holder.subject,
        job: holder.job,
        groups: holder.groups,
        token_id: holder.token_id,
        actors: holder.actors.into_iter().map(actor).collect(),
        purpose: lease.purpose.clone(),
        expires_at: lease.expires_at,
        max_connections: lease.max_connections.unwrap_or(0),
        certificate_sha256: certificate.unwrap_or_default(),
    }
}

fn given(lease: &Lease, password: &str, target: &LeaseTarget) -> LeaseGiven {
    let LeaseTarget { host, port, .. } = target;
    let database = lease.database.clone().or_else(|| target.database.clone());
    let user = &lease.user;
    let mut environment = BTreeMap::from([
        ("PGHOST".to_owned(), host.clone()),
        ("PGPORT".to_owned(), port.to_string()),
        ("PGUSER".to_owned(), user.clone()),
        ("PGPASSWORD".to_owned(), password.to_owned()),
    ]);
    environment.extend(database.clone().map(|database| ("PGDATABASE".to_owned(), database)));
    let in_url = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.clone(),
    };
    // Of the password and the user name each letter stands for itself in a URL.
    let path = database.as_deref().map(|database| format!("/{}", percent(database))).unwrap_or_default();
    let with = if target.tls { "?sslmode=require" } else { "" };
    if target.tls {
        environment.insert("PGSSLMODE".to_owned(), "require".to_owned());
    }
    let field = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    LeaseGiven {
        user: user.clone(),
        password: password.to_owned(),
        expires_at: in_words(lease.expires_at),
        target: lease.target.clone(),
        host: host.clone(),
        port: *port,
        url: format!("postgres://{user}:{password}@{in_url}:{port}{path}{with}"),
        pgpass: format!("{}:{port}:{}:{user}:{password}", field(host), database.as_deref().map_or("*".into(), field)),
        database,
        environment,
    }
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn summary(lease: &Lease, used: u32) -> LeaseSummary {
    LeaseSummary {
        id: lease.user.clone(),
        target: lease.target.clone(),
        role: lease.role.clone(),
        database: lease.database.clone(),
        job: lease.holder.job.clone(),
        subject: lease.holder.subject.clone(),
        issuer: lease.holder.issuer.clone(),
        purpose: Some(lease.purpose.clone()).filter(|purpose| !purpose.is_empty()),
        issued_at: in_words(lease.issued_at),
        expires_at: in_words(lease.expires_at),
        max_connections: lease.max_connections,
        connections: lease.max_connections.map(|_| used),
        certificate_sha256: lease.certificate_sha256.clone(),
    }
}

/// RFC 3339 in UTC, of nanoseconds since 1970.
pub(crate) fn in_words(nanoseconds: u64) -> String {
    hansard_identity::in_words(nanoseconds / 1_000_000_000)
}

fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

fn now() -> u64 {
    nanoseconds(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

/// A number with s, m, h or d.
fn length(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests;
