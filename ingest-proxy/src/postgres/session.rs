//! One connection, from its first byte to the closing event.
//!
//! Invariants: a session's record ends with a SessionClosed and its reason, whatever happened; the database is asked
//! for nothing before the job's name is in the log; a job that is refused is told why before the connection closes.

mod announcement;
mod opened;
mod relaying;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hansard_event_log::mint_session_id;
use hansard_identity::leases::Holder;
use hansard_identity::{Principal, Vouched};
use hansard_schemas::events::{self, event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::capture::Capture;
use crate::direction::Direction;
use crate::errors::{Kind, Refusal};
use crate::metrics::{self, OpenSession};
use crate::options::TargetOptions;
use crate::postgres::cancel::CancelTarget;
use crate::postgres::parameters::Settings;
use crate::postgres::startup::{
    Content, EarlyMessage, RefusalFormat, SessionRequest, StartupExchange, StartupFailure, StartupRequest, minor,
};
use crate::postgres::upstream::{self, Failure, Upstream};
use crate::relay::Relay;
use crate::relay::stream::Stream;
use crate::worker::Worker;

use super::authentication::{self, Identified};
use super::beginning::{self, Beginning};
use super::catalog::changes::SessionChanges;
use super::conversation::PostgresConversation;
use super::identity_settings;
use super::refusal as message;
use crate::admission::LINGER;
use crate::admission::leases::Registered;
use crate::clock;
use opened::{actor, parameter};
use relaying::Session;

/// For a turn to connect to the database.
const TURN: Duration = Duration::from_secs(30);

/// Between two attempts to append while nothing else can be done.
const RETRY: Duration = Duration::from_millis(100);

/// The minor version of protocol 3 from which on cancel keys are longer than 4 bytes.
const LONG_KEYS: u16 = 2;

/// AuthenticationOk.
const AUTHENTICATED: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// Why a session ended: the words in its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Terminated,
    ClosedByJob,
    JobLost,
    ClosedByDatabase,
    DatabaseUnavailable,
    NotAuthenticated,
    TokenExpired,
    Revoked,
    LogUnavailable,
    ProtocolViolation,
    Refused,
    ProxyStopping,
    CancelForwarded,
    CancelUnknown,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Reason::Terminated => "terminated by job",
            Reason::ClosedByJob => "closed by job",
            Reason::JobLost => "connection to job lost",
            Reason::ClosedByDatabase => "closed by database",
            Reason::DatabaseUnavailable => "database unavailable",
            Reason::NotAuthenticated => "not authenticated",
            Reason::TokenExpired => "token expired",
            Reason::Revoked => "revoked",
            Reason::LogUnavailable => "event log unavailable",
            Reason::ProtocolViolation => "protocol violation",
            Reason::Refused => "refused",
            Reason::ProxyStopping => "proxy stopped",
            Reason::CancelForwarded => "cancel request forwarded",
            Reason::CancelUnknown => "cancel request with an unknown key",
        }
    }

    fn of(kind: Kind) -> Reason {
        match kind {
            Kind::Protocol => Reason::ProtocolViolation,
            Kind::Tls | Kind::Token | Kind::Identity | Kind::Timeout => Reason::NotAuthenticated,
            Kind::Expired => Reason::TokenExpired,
            Kind::Revoked => Reason::Revoked,
            Kind::Unrecordable => Reason::LogUnavailable,
            Kind::Unreachable | Kind::Upstream => Reason::DatabaseUnavailable,
            Kind::Lost => Reason::ClosedByDatabase,
            Kind::Stopping => Reason::ProxyStopping,
            Kind::Unsupported | Kind::Parameter | Kind::Database | Kind::TooMany => Reason::Refused,
        }
    }
}

/// Serves one connection.
pub(crate) fn serve(
    worker: Arc<Worker>,
    target: usize,
    stream: TcpStream,
    peer: SocketAddr,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(run(worker, target, stream, peer))
}

async fn run(worker: Arc<Worker>, target: usize, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = upstream::prepare(&stream) {
        tracing::debug!(%error, %peer, "a connection broke before it began");
        return;
    }
    let Some(place) = worker.shared.unauthenticated.take() else {
        // Not recorded: whoever floods the port shall not fill the log as well.
        let total = worker.shared.unauthenticated.total();
        let refusal = Refusal::new(Kind::TooMany, "too many connections that have not shown a token")
            .hint(format!("At most {total} may wait at once; try again in a moment."));
        metrics::refused(refusal.kind);
        // Words take a while to be heard, and a flood shall not hold that many connections open either.
        if let Some(_place) = worker.shared.being_refused.take() {
            linger_close(Some(Stream::Plain(stream)), &message::frame(&refusal)).await;
        }
        return;
    };
    let session = mint_session_id(worker.journal.shard(), worker.journal.log().shards());
    let capture = Capture::new(worker.clone(), session, &worker.shared.options.targets[target].name);
    let connection = UnauthenticatedConnection {
        capture,
        worker,
        target,
        peer,
        startup: StartupExchange::new(Stream::Plain(stream)),
    };
    // The start-up's state is large and short-lived; the data phase should not carry it.
    let Some(admitted) = Box::pin(connection.admit()).await else { return };
    drop(place);
    let Some(session) = Box::pin(admitted.connect()).await else { return };
    session.relay().await;
}

/// A connection that has not shown who it is.
struct UnauthenticatedConnection {
    worker: Arc<Worker>,
    target: usize,
    peer: SocketAddr,
    startup: StartupExchange,
    capture: Capture,
}

/// A job that has.
struct AuthenticatedConnection {
    connection: UnauthenticatedConnection,
    request: SessionRequest,
    settings: Settings,
    principal: Principal,
    /// How it was shown.
    way: &'static str,
    /// The lease's name, where it was one; else empty.
    lease: String,
    registered: Registered,
    database: String,
    open: OpenSession,
    place: crate::admission::places::Place,
}

impl UnauthenticatedConnection {
    fn options(&self) -> &TargetOptions {
        &self.worker.shared.options.targets[self.target]
    }

    /// Up to a valid token; everything else ends here.
    async fn admit(mut self) -> Option<AuthenticatedConnection> {
        let patience = self.worker.shared.options.authentication_timeout;
        let deadline = tokio::time::Instant::now() + patience;
        let timeout = |_| {
            StartupFailure::from(
                Refusal::new(Kind::Timeout, format!("no valid token came within {} s", patience.as_secs()))
                    .hint("Send the token as the password right after the start-up message."),
            )
        };
        let request =
            tokio::time::timeout_at(deadline, self.startup.request(&self.worker.shared.listener_tls[self.target]))
                .await
                .unwrap_or_else(|late| Err(timeout(late)));
        let mut request = match request {
            Ok(StartupRequest::Session(request)) => request,
            Ok(StartupRequest::Cancel { process_id, secret }) => {
                self.cancel(process_id, &secret).await;
                return None;
            }
            Err(StartupFailure::Unused) => return None,
            Err(failure) => {
                self.refuse(failure, None).await;
                return None;
            }
        };
        let checked = Settings::read(&request.parameters, self.options().replication)
            .and_then(|settings| Ok((settings, self.database(&request)?)));
        let (mut settings, mut database) = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.refuse(refusal.into(), None).await;
                return None;
            }
        };
        let way = settings.own.authentication.unwrap_or(self.options().authentication);
        let shared = self.worker.shared.clone();
        let asked = (request.database != request.user).then_some(database.as_str());
        let target = (shared.options.targets[self.target].name.as_str(), asked);
        let identified = authentication::identify(&mut self.startup, &request, way, target, &shared);
        let identified = tokio::time::timeout_at(deadline, identified).await;
        let Identified { principal, way, lease } = match identified.unwrap_or_else(|late| Err(timeout(late))) {
            Ok(identified) => identified,
            Err(failure) => {
                self.refuse(failure, None).await;
                return None;
            }
        };
        let mut lease_name = String::new();
        if let Some(lease) = lease {
            lease_name = opened::as_leased(&mut request, &mut settings, lease);
            match self.database(&request) {
                Ok(found) => database = found,
                Err(refusal) => {
                    self.refuse(refusal.into(), Some((&request, &settings, &principal))).await;
                    return None;
                }
            }
        }
        let by = (!lease_name.is_empty()).then(|| lease_name.clone());
        let Some(registered) = shared.leases.register(Holder::from(&principal), by) else {
            let Principal { issuer, subject, job, .. } = principal.clone();
            let vouched = Some(Box::new(Vouched { issuer, subject, job }));
            let refusal = Refusal { vouched, ..Refusal::revoked() };
            self.refuse(refusal.into(), Some((&request, &settings, &principal))).await;
            return None;
        };
        let Some(place) = self.worker.shared.sessions.take() else {
            let total = self.worker.shared.sessions.total();
            let refusal = Refusal::new(Kind::TooMany, "too many sessions")
                .hint(format!("At most {total} may be open at once (max_sessions); try again later."));
            self.refuse(refusal.into(), Some((&request, &settings, &principal))).await;
            return None;
        };
        self.open_record(&request, &settings, &principal);
        Some(AuthenticatedConnection {
            connection: self,
            request,
            settings,
            principal,
            way,
            lease: lease_name,
            registered,
            database,
            open: OpenSession::begin(),
            place,
        })
    }

    /// The database to connect to.
    fn database(&self, request: &SessionRequest) -> Result<String, Refusal> {
        let options = self.options();
        match &options.upstream.database {
            None => Ok(request.database.clone()),
            // Clients that are told no database ask for one of the user's name.
            Some(only) if *only == request.database || request.database == request.user => Ok(only.clone()),
            Some(only) => Err(Refusal::new(
                Kind::Database,
                format!("database \"{}\" is not served by target \"{}\"", request.database, options.name),
            )
            .recorded_as("a database that this target does not serve")
            .hint(format!("Connect to database \"{only}\"."))),
        }
    }

    /// Says no, and records it. `known` is who it is said to, and what that asked for.
    async fn refuse(mut self, failure: StartupFailure, known: Option<(&SessionRequest, &Settings, &Principal)>) {
        let unrecorded = match known {
            Some((request, settings, principal)) => {
                self.open_record(request, settings, principal);
                Some(0)
            }
            None => {
                let unrecorded = self.worker.shared.refusals.record(self.peer.ip());
                if unrecorded.is_some() {
                    self.open_unidentified();
                }
                unrecorded
            }
        };
        let (refusal, format) = match failure {
            StartupFailure::Refused(refusal, _) if self.startup.stream.is_none() => (refusal, RefusalFormat::Nothing),
            StartupFailure::Refused(refusal, format) => (refusal, format),
            StartupFailure::Unused | StartupFailure::Disconnected if unrecorded.is_none() => return,
            StartupFailure::Unused | StartupFailure::Disconnected => {
                return close(self.capture, Reason::ClosedByJob).await;
            }
        };
        metrics::refused(refusal.kind);
        let bytes = format.bytes(&refusal);
        let Some(unrecorded) = unrecorded else { return linger_close(self.startup.stream, &bytes).await };
        tracing::info!(
            target_name = %self.options().name, peer = %self.peer, sqlstate = message::sqlstate(refusal.kind),
            reason = %refusal.message, "a connection was refused"
        );
        let now = clock::now();
        // What the message repeats is the job's own as long as nobody vouches for it.
        let repeats = refusal.recorded.filter(|_| known.is_none());
        let Vouched { issuer, subject, job } = refusal.vouched.map(|vouched| *vouched).unwrap_or_default();
        self.capture.event(
            now,
            event::Kind::AuthenticationFailed(events::AuthenticationFailed {
                sqlstate: message::sqlstate(refusal.kind).to_owned(),
                message: repeats.map_or(refusal.message, str::to_owned),
                detail: refusal.internal.into_string(),
                unrecorded,
                issuer,
                subject,
                job,
            }),
        );
        match format {
            RefusalFormat::Postgres if repeats.is_some() => self.capture.digest(Direction::Backend, now, b'E', &bytes),
            RefusalFormat::Postgres => self.capture.own(now, &bytes),
            RefusalFormat::Http | RefusalFormat::TlsAlert => self.capture.untagged(Direction::Backend, now, &bytes),
            RefusalFormat::Nothing => {}
        }
        tokio::join!(linger_close(self.startup.stream, &bytes), close(self.capture, Reason::of(refusal.kind)));
    }

    /// A CancelRequest: a record of its own, which names the session that is meant.
    async fn cancel(mut self, process_id: u32, secret: &[u8]) {
        let shared = self.worker.shared.clone();
        let Ok(meant) = shared.cancel_keys.find(self.target, process_id, secret, self.peer.ip()) else {
            // Not recorded: whoever guesses shall not fill the log as well.
            return metrics::refused(Kind::TooMany);
        };
        let cancels = |meant: &CancelTarget| ("cancels_session".to_owned(), meant.session.to_string());
        let parameters = meant.as_ref().map(|meant| parameter(&cancels(meant))).into_iter().collect();
        self.open(events::SessionOpened { parameters, ..events::SessionOpened::default() });
        for EarlyMessage { at, direction, content } in std::mem::take(&mut self.startup.messages) {
            // Requests for encryption and their answers.
            if let Content::Packet(bytes) = content {
                self.capture.untagged(direction, at, &bytes);
            }
        }
        self.capture.withheld(Direction::Frontend, clock::now(), 0, "cancel key");
        let Some(meant) = meant else {
            return close(self.capture, Reason::CancelUnknown).await;
        };
        if !record(&mut self.capture, shared.options.log_patience).await {
            return close(self.capture, Reason::LogUnavailable).await;
        }
        let (target, route) = (&shared.options.targets[meant.target], &shared.routes[meant.target]);
        let reason = match upstream::cancel(target, route, &meant.upstream, shared.options.connect_timeout).await {
            Ok(()) => Reason::CancelForwarded,
            Err(failure) => {
                let reason = failure.line();
                tracing::warn!(session = %meant.session, %reason, "a cancel request could not be forwarded");
                Reason::DatabaseUnavailable
            }
        };
        close(self.capture, reason).await;
    }
}

impl AuthenticatedConnection {
    /// A connection to the database, and the word to the job that its session begins.
    async fn connect(mut self) -> Option<Session> {
        let shared = self.connection.worker.shared.clone();
        if !record(&mut self.connection.capture, shared.options.log_patience).await {
            self.refuse(Refusal::unrecordable(&"no record can be made of a new session")).await;
            return None;
        }
        let (target, route) = (&shared.options.targets[self.connection.target], &shared.routes[self.connection.target]);
        let told = identity_settings::Beginning {
            target,
            key: &shared.signing_keys[self.connection.target],
            principal: &self.principal,
            session: self.connection.capture.session().to_string(),
            settings: &self.settings,
        };
        let told = match told.parameters() {
            Ok(told) => told,
            Err(refusal) => {
                self.authenticated(events::Authenticated::default());
                self.refuse(refusal).await;
                return None;
            }
        };
        let Ok(turn) = tokio::time::timeout(TURN, shared.connecting.acquire()).await else {
            self.authenticated(events::Authenticated::default());
            let refusal = Refusal::new(Kind::TooMany, "too many sessions begin at once")
                .hint(format!("The database let none of them in for {} s; try again later.", TURN.as_secs()));
            self.refuse(refusal).await;
            return None;
        };
        // The server keeps the last one of a name.
        let passed = self.settings.forwarded().chain(told.iter().map(|(name, value)| (*name, value.as_str())));
        let patience = shared.options.connect_timeout;
        let connected = match upstream::connect(target, route, &self.database, passed, patience).await {
            // A walsender has no names to look up.
            Ok(upstream) if self.settings.is_replication() => Ok((upstream, Beginning::default())),
            Ok(upstream) => beginning::learn(upstream, target, patience).await,
            Err(failure) => Err(failure),
        };
        drop(turn);
        let (upstream, beginning) = match connected {
            Ok(connected) => connected,
            Err(failure) => {
                tracing::error!(target_name = %target.name, reason = %failure.line(), "no connection to the database");
                self.authenticated(events::Authenticated::default());
                match failure {
                    Failure::Refusal(refusal) => self.refuse(refusal).await,
                    Failure::Passed(frame) => self.pass_on(&frame).await,
                }
                return None;
            }
        };
        let database = shared.catalogs.database(self.connection.target, &target.name, &self.database);
        let (mut search_path, mut changes) = (Vec::new(), None);
        if let (Some(database), Some(records)) = (database, shared.records()) {
            let schemas = database.ready().await;
            search_path = schemas.path(beginning.search_path.as_deref().unwrap_or_default(), &beginning.role);
            let session = self.connection.capture.session();
            changes = Some(SessionChanges::begin(database, session, upstream.key.process_id, records.node()));
        }
        self.authenticated(events::Authenticated {
            search_path,
            search_path_setting: beginning.search_path,
            role: beginning.role,
            session_role: beginning.session_role,
            session_replication_role: beginning.replication_role,
            backend_pid: upstream.key.process_id,
            ..events::Authenticated::default()
        });
        self.begin(upstream, changes).await
    }

    async fn begin(mut self, upstream: Upstream, changes: Option<SessionChanges>) -> Option<Session> {
        let shared = self.connection.worker.shared.clone();
        let capture = &mut self.connection.capture;
        let meant = CancelTarget { session: capture.session(), target: self.connection.target, upstream: upstream.key };
        let key = shared.cancel_keys.add(meant.clone(), minor(&self.request) >= LONG_KEYS);
        let now = clock::now();
        capture.own(now, AUTHENTICATED);
        let announced = announcement::frame(shared.options.session_id, capture.session());
        let mut told = Vec::new();
        for notice in opened::cut_names(&self.request, &self.settings).iter().map(announcement::cut).chain([announced])
        {
            if !notice.is_empty() {
                capture.own(now, &notice);
                told.extend(notice);
            }
        }
        if upstream.greetings > 0 {
            capture.frames(Direction::Backend, now, &upstream.greeting, upstream.greetings);
        }
        capture.withheld(Direction::Backend, now, b'K', "cancel key");
        capture.frames(Direction::Backend, now, &upstream.ready, 1);
        if !record(capture, shared.options.log_patience).await {
            self.refuse(Refusal::unrecordable(&"no record can be made of a new session")).await;
            return None;
        }
        let welcome = [AUTHENTICATED, &told, &upstream.greeting, &key.frame(), &upstream.ready].concat();
        let welcomed = self.connection.startup.send(&welcome).await.is_ok();
        let replication = self.settings.is_replication();
        let UnauthenticatedConnection { worker, startup, capture, .. } = self.connection;
        let Some(job) = startup.stream.filter(|_| welcomed) else {
            close(capture, Reason::JobLost).await;
            return None;
        };
        let already = (&startup.inbox[..], &upstream.rest[..]);
        let marker = format!("hansard:{:032x}", rand::random::<u128>());
        let conversation = PostgresConversation::new(marker, replication, changes);
        let streams = (job, upstream.stream);
        let until = (self.principal.ends_at, self.registered.standing());
        let relay = Relay::new(worker, streams, capture, conversation, already, until);
        let registered = self.registered;
        Some(Session { relay, key, upstream: meant, registered, _open: self.open, _place: self.place })
    }

    /// `beginning` is what the session begins with.
    fn authenticated(&mut self, beginning: events::Authenticated) {
        let principal = &self.principal;
        let authenticated = events::Authenticated {
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            job: principal.job.clone(),
            groups: principal.groups.clone(),
            token_id: principal.token_id.clone(),
            token_expires_at: principal.token_expires_at,
            actors: principal.actors.iter().map(actor).collect(),
            authentication: self.way.to_owned(),
            lease: self.lease.clone(),
            ..beginning
        };
        self.connection.capture.event(clock::now(), event::Kind::Authenticated(authenticated));
    }

    async fn refuse(mut self, refusal: Refusal) {
        metrics::refused(refusal.kind);
        let frame = message::frame(&refusal);
        self.connection.capture.own(clock::now(), &frame);
        tokio::join!(
            linger_close(self.connection.startup.stream, &frame),
            close(self.connection.capture, Reason::of(refusal.kind))
        );
    }

    /// The database's own refusal.
    async fn pass_on(mut self, frame: &[u8]) {
        self.connection.capture.frames(Direction::Backend, clock::now(), frame, 1);
        tokio::join!(
            linger_close(self.connection.startup.stream, frame),
            close(self.connection.capture, Reason::ClosedByDatabase)
        );
    }
}

/// Appends what is pending and waits for its acknowledgement; false when the log has not taken it within `patience`.
/// A log that has been refusing for that long already is asked once.
async fn record(capture: &mut Capture, patience: Duration) -> bool {
    let journal = capture.journal();
    let spent = journal.refusing_for().unwrap_or_default();
    let deadline = tokio::time::Instant::now() + patience.saturating_sub(spent);
    loop {
        match capture.append() {
            Ok(None) => return true,
            Ok(Some(position)) => {
                let journal = capture.journal();
                let acknowledged = journal.log().acknowledged(journal.shard(), position);
                return journal.is_acknowledged(position)
                    || matches!(tokio::time::timeout_at(deadline, acknowledged).await, Ok(Ok(())));
            }
            Err(_) if tokio::time::Instant::now() >= deadline => return false,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Ends a record.
async fn close(mut capture: Capture, reason: Reason) {
    let (frames, bytes_frontend, bytes_backend) = capture.totals();
    let closed = events::SessionClosed { reason: reason.text().to_owned(), frames, bytes_frontend, bytes_backend };
    let closed = event::Kind::SessionClosed(closed);
    // What cannot be appended now is kept: the session need not wait for it.
    if capture.append().is_err() {
        return capture.keep(clock::now(), "the event log was unavailable", closed);
    }
    capture.event(clock::now(), closed);
    if capture.append().is_err() {
        capture.keep_pending();
    }
}

/// Says the final message and closes. The rest of what the job sends is read for a moment: a connection that is closed
/// with unread bytes is reset, and a reset can overtake the words.
async fn linger_close(stream: Option<Stream>, final_bytes: &[u8]) {
    let Some(mut stream) = stream else { return };
    let closing = async {
        stream.write_all(final_bytes).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        for _ in 0..256 {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // Whoever does not listen has heard enough.
    let _ = tokio::time::timeout(LINGER, closing).await;
}
