//! One session: its events, its frames, and the row that it becomes.

use std::sync::Arc;

use bytes::Bytes;
use hansard_pg_wire::conversation::{Closed, Conversation, Event as ConversationEvent, Frame, Report};
use hansard_pg_wire::frame;
use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{
    Actor, CHAIN_START, ChainHead, Direction, Event, FrameRun, Omitted, Origin, Part, SessionClosed, SessionOpened,
    Tls, extend_chain,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::analyses::{Analyses, SqlText};
use super::catalogs::Catalogs;
use super::names::Start;
use super::rows::{ClientCertificate, Credential, Encryption, FrameRow, Rows, Run, SessionRow};
use super::statements::Statements;

/// Most gaps that are told one by one; the last one stands for all further.
const MAX_GAPS: usize = 1000;

/// Most that a session's counters may run ahead in one step before that is taken for damage.
const MAX_LEAP: u64 = 1 << 32;

/// What a session's rows have in common.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) session_id: Uuid,
    pub(super) target: Arc<str>,
    pub(super) job: Arc<str>,
    pub(super) subject: Arc<str>,
    pub(super) issuer: Arc<str>,
    pub(super) database: Arc<str>,
}

/// What is known of a session beside its statements.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) opened: bool,
    pub(super) opened_at: i64,
    pub(super) node: String,
    pub(super) instance: String,
    client_addr: String,
    application_name: String,
    db_user: String,
    database: String,
    groups: Vec<String>,
    auth_failure: Option<String>,
    last_seq: u64,
    last_event: u64,
    bytes_frontend: u64,
    bytes_backend: u64,
    frames: u64,
    gaps: Vec<Gap>,
    /// The capture level; empty: full.
    #[serde(default)]
    capture: String,
    #[serde(default)]
    max_result_bytes: u64,
    #[serde(default)]
    tls: Option<Encryption>,
    #[serde(default)]
    database_role: Option<String>,
    #[serde(default)]
    backend_pid: Option<u32>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    traceparent: Option<String>,
    #[serde(default)]
    credential: Credential,
    /// Of the last frame, UTC nanoseconds.
    #[serde(default)]
    last_frame_at: Option<i64>,
    /// The database said that the session is over.
    #[serde(default)]
    fatal: bool,
}

/// Something that was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    after_seq: u64,
    frames: u64,
    reason: String,
}

/// Content that is not in the record.
#[derive(Debug, Clone)]
struct Absent {
    withheld: Arc<str>,
    /// What the mark stands for; `None` for a secret.
    omitted: Option<Omitted>,
    /// The frame is there, and the secrets in it are overwritten.
    masked: bool,
}

/// What frames that were taken over together have in common.
struct Captured {
    at: i64,
    direction: Direction,
    part: Part,
    absent: Option<Absent>,
    origin: Origin,
}

/// A session that has not ended.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    pub(super) facts: Facts,
    pub(super) chain: ChainHead,
    pub(super) conversation: Conversation<SqlText>,
    pub(super) statements: Statements,
    /// Since the state was last saved.
    pub(super) changed: bool,
}

/// What all sessions of a shard share, and where rows go.
pub(super) struct Output<'a> {
    pub(super) analyses: &'a mut Analyses,
    pub(super) catalogs: &'a mut Catalogs,
    pub(super) events: &'a mut Vec<ConversationEvent<SqlText>>,
    pub(super) rows: &'a mut Rows,
}

/// What an event leaves a session in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Open,
    Ended,
}

fn nanoseconds(at: u64) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

impl Session {
    pub(super) fn new(session_id: Uuid, target: &str, at: i64) -> Session {
        let nobody: Arc<str> = "".into();
        Session {
            identity: Identity {
                session_id,
                target: target.into(),
                job: nobody.clone(),
                subject: nobody.clone(),
                issuer: nobody.clone(),
                database: nobody,
            },
            facts: Facts { opened_at: at, ..Facts::default() },
            chain: CHAIN_START,
            conversation: Conversation::new(),
            statements: Statements::default(),
            changed: true,
        }
    }

    /// Takes an event, unless it is known; `encoded` are its bytes.
    pub(super) fn event(&mut self, event: Event, encoded: &[u8], output: &mut Output<'_>) -> Lifecycle {
        let at = nanoseconds(event.at);
        let Some(kind) = event.kind else { return Lifecycle::Open };
        if let Kind::Frames(run) = kind {
            let last = run.first_seq.saturating_add(u64::from(run.count)).saturating_sub(1);
            if run.count > 0 && last > self.facts.last_seq && last - self.facts.last_seq < MAX_LEAP {
                self.chain = extend_chain(&self.chain, encoded);
                self.changed = true;
                let settled = run.settled;
                self.run(run, at, output);
                if settled {
                    self.conversation.settled(output.analyses, output.events);
                    self.take_events(output);
                }
            }
            return Lifecycle::Open;
        }
        let number = event.event_no;
        if number <= self.facts.last_event || number - self.facts.last_event >= MAX_LEAP {
            return Lifecycle::Open;
        }
        if number > self.facts.last_event + 1 {
            let missing = number - self.facts.last_event - 1;
            self.gap(0, &format!("{missing} events are missing"), output);
        }
        self.facts.last_event = number;
        self.chain = extend_chain(&self.chain, encoded);
        self.changed = true;
        match kind {
            Kind::SessionOpened(opened) => self.opened(opened, at),
            Kind::Authenticated(authenticated) => {
                self.identity.issuer = authenticated.issuer.into();
                self.identity.subject = authenticated.subject.into();
                self.identity.job = authenticated.job.into();
                self.facts.groups = authenticated.groups;
                self.facts.credential = Credential {
                    authentication: given(authenticated.authentication),
                    token_id: given(authenticated.token_id),
                    token_expires_at: i64::try_from(authenticated.token_expires_at).ok().filter(|at| *at > 0),
                    actors: actors(&authenticated.actors),
                    lease: given(authenticated.lease),
                };
                self.facts.database_role = given(authenticated.session_role.clone());
                self.facts.backend_pid = Some(authenticated.backend_pid).filter(|pid| *pid > 0);
                self.statements.context.names.begin(Start {
                    path: authenticated.search_path_setting.as_deref().map(hansard_policy::schemas_of_setting),
                    schemas: authenticated.search_path,
                    role: given(authenticated.role),
                    session_role: given(authenticated.session_role),
                    is_origin: authenticated.session_replication_role == "origin",
                    at: self.facts.opened_at,
                });
            }
            Kind::AuthenticationFailed(failed) => {
                let unrecorded = match failed.unrecorded {
                    0 => String::new(),
                    more => format!("{more} more from this address are not recorded one by one"),
                };
                let reasons = [failed.message, failed.detail, unrecorded];
                let said: Vec<&str> = reasons.iter().map(String::as_str).filter(|reason| !reason.is_empty()).collect();
                let Identity { issuer, subject, job, .. } = &mut self.identity;
                for (known, vouched) in [(issuer, failed.issuer), (subject, failed.subject), (job, failed.job)] {
                    if !vouched.is_empty() {
                        *known = vouched.into();
                    }
                }
                self.facts.auth_failure = Some(format!("{}: {}", failed.sqlstate, said.join(": ")));
            }
            Kind::Gap(gap) => {
                let reason = if gap.reason.is_empty() { "not recorded" } else { &gap.reason };
                self.gap(gap.frames, reason, output);
            }
            Kind::SessionClosed(closed) => {
                self.closed(&closed, at, output);
                return Lifecycle::Ended;
            }
            // Of processes, not of sessions; frames were taken above.
            Kind::ProxyStarted(_)
            | Kind::ProxyAlive(_)
            | Kind::ProxyStopped(_)
            | Kind::CatalogRead(_)
            | Kind::CatalogChanging(_)
            | Kind::LeaseIssued(_)
            | Kind::LeaseRevoked(_)
            | Kind::Revoked(_)
            | Kind::Frames(_) => {}
        }
        Lifecycle::Open
    }

    fn opened(&mut self, opened: SessionOpened, at: i64) {
        let facts = &mut self.facts;
        (facts.opened, facts.opened_at) = (true, at);
        (facts.node, facts.instance) = (opened.node, opened.instance);
        (facts.client_addr, facts.application_name) = (opened.client_addr, opened.application_name);
        self.identity.database = opened.database.as_str().into();
        (facts.db_user, facts.database) = (opened.db_user, opened.database);
        (facts.capture, facts.max_result_bytes) = (opened.capture, opened.max_result_bytes);
        facts.tls = opened.tls.map(encryption);
        facts.purpose = given(opened.purpose);
        facts.traceparent = given(opened.traceparent);
    }

    fn run(&mut self, run: FrameRun, at: i64, output: &mut Output<'_>) {
        if run.first_seq > self.facts.last_seq + 1 {
            self.gap(run.first_seq - self.facts.last_seq - 1, "frames are missing", output);
        }
        let stated = run.tag.map(|tag| u8::try_from(tag).unwrap_or(0));
        let (direction, part, origin) = (run.direction(), run.part(), run.origin());
        let bytes = run.frames;
        let withheld: Option<Arc<str>> = match run.withheld {
            withheld if withheld.is_empty() => None,
            withheld if run.sha256.is_empty() => Some(withheld.into()),
            withheld => Some(format!("{withheld}, sha256 {}", hex::encode(&run.sha256)).into()),
        };
        let absent = withheld.map(|withheld| Absent { withheld, omitted: run.omitted, masked: run.masked });
        let captured = Captured { at, direction, part, absent, origin };
        let end = run.first_seq + u64::from(run.count);
        if let Some(absent) = captured.absent.as_ref().filter(|absent| !absent.masked) {
            let kept = if absent.omitted.is_some() { bytes } else { Bytes::new() };
            for seq in run.first_seq.max(self.facts.last_seq + 1)..end {
                self.frame(seq, stated.unwrap_or(0), &kept, &captured, output);
                self.rows(seq, stated.unwrap_or(0), kept.clone(), 1, &captured, output);
            }
            return;
        }
        if part != Part::Whole || stated.is_some() {
            let tag = stated.or_else(|| bytes.first().copied()).unwrap_or(0);
            self.frame(end - 1, tag, &bytes, &captured, output);
            self.rows(end - 1, tag, bytes, 1, &captured, output);
            return;
        }
        // What is known of the run's beginning is left out.
        let (mut next, mut place) = (run.first_seq, 0);
        let (mut first, mut from) = (None, 0);
        for frame in frame::frames(&bytes).take(run.count as usize) {
            if next > self.facts.last_seq {
                if first.is_none() {
                    (first, from) = (Some((next, frame.tag)), place);
                }
                self.frame(next, frame.tag, frame.bytes, &captured, output);
            }
            next += 1;
            place += frame.bytes.len();
        }
        if let Some((first, tag)) = first {
            let count = u32::try_from(next - first).expect("a run has no more frames than it says");
            self.rows(first, tag, bytes.slice(from..place), count, &captured, output);
        }
        if next < end {
            // Fewer frames than the run says: its counter stands, what they were does not.
            self.gap(end - next, "a run of frames does not decode", output);
            self.facts.last_seq = self.facts.last_seq.max(end - 1);
        }
    }

    fn frame(&mut self, seq: u64, tag: u8, bytes: &[u8], captured: &Captured, output: &mut Output<'_>) {
        let facts = &mut self.facts;
        (facts.last_seq, facts.frames, facts.last_frame_at) = (seq, facts.frames + 1, Some(captured.at));
        let absent = captured.absent.as_ref();
        let omitted = absent.and_then(|absent| absent.omitted);
        let length = omitted.map_or(bytes.len() as u64, |omitted| omitted.bytes);
        let side = match captured.direction {
            Direction::Backend => {
                facts.bytes_backend = facts.bytes_backend.saturating_add(length);
                frame::Direction::Backend
            }
            _ => {
                facts.bytes_frontend = facts.bytes_frontend.saturating_add(length);
                frame::Direction::Frontend
            }
        };
        // Secrets are no matter of statements, and what Hansard says is no word of the database.
        let from_job_or_database = captured.origin != Origin::Hansard;
        if side == frame::Direction::Backend && matches!(tag, b'E' | b'N') && captured.part == Part::Whole {
            self.said(captured, bytes);
        }
        if !from_job_or_database || absent.is_some_and(|absent| !absent.masked) && omitted.is_none() {
            return;
        }
        let part = match captured.part {
            Part::Whole => None,
            Part::First => Some(frame::Part::First),
            Part::Middle => Some(frame::Part::Middle),
            Part::Last => Some(frame::Part::Last),
        };
        let frame = Frame { seq, at: captured.at, direction: side, tag, part, bytes };
        self.statements.context.passed(length);
        let Some(omitted) = omitted else {
            self.conversation.feed(&frame, output.analyses, output.events);
            return self.take_events(output);
        };
        let row = side == frame::Direction::Backend && matches!(tag, b'D' | b'd' | b'V');
        let answering = self.answering().filter(|_| row);
        self.statements.omitted(answering, omitted);
        self.conversation.feed_omitted(&frame, omitted.frames, output.analyses, output.events);
        self.take_events(output);
        if row && answering.is_none() {
            // Of a text that is not known, the row itself begins the statement.
            self.statements.omitted(self.answering(), omitted);
        }
    }

    /// An error or a notice: Hansard's own is the session's, and a FATAL of the database says how it ends.
    fn said(&mut self, captured: &Captured, bytes: &[u8]) {
        let by_hansard = captured.origin == Origin::Hansard;
        let report = Report::read(bytes.get(frame::HEADER..).unwrap_or_default());
        self.facts.fatal |= !by_hansard && matches!(report.severity.as_str(), "FATAL" | "PANIC");
        if by_hansard && !report.message.is_empty() {
            self.statements.context.reports.push(captured.at, true, report);
        }
    }

    /// Rows of frames that were taken over together.
    fn rows(&self, seq: u64, tag: u8, frame: Bytes, count: u32, captured: &Captured, output: &mut Output<'_>) {
        let Captured { at, direction, part, ref absent, origin: _ } = *captured;
        let first = FrameRow {
            session_id: self.identity.session_id,
            seq,
            at,
            direction,
            tag,
            frame,
            masked: absent.is_some(),
            withheld: absent.as_ref().map(|absent| absent.withheld.clone()),
            part,
            target: self.identity.target.clone(),
            omitted: absent.as_ref().and_then(|absent| absent.omitted),
        };
        output.rows.frames.push(Run { first, count });
    }

    /// The statement that a row sent now belongs to.
    fn answering(&self) -> Option<u64> {
        self.conversation.answering().map(|answering| answering.statement)
    }

    fn take_events(&mut self, output: &mut Output<'_>) {
        if !output.events.is_empty() {
            let told = output.catalogs.are_told_by(&self.facts.node, &self.facts.instance);
            self.statements.context.names.catalogs_are_told(told);
            let known = output.catalogs.known(&self.facts.node, &self.facts.instance, &self.identity);
            self.statements.take(output.events, &self.identity, known, output.rows);
        }
    }

    /// Something is missing after the last frame.
    pub(super) fn gap(&mut self, frames: u64, reason: &str, output: &mut Output<'_>) {
        self.changed = true;
        let after_seq = self.facts.last_seq;
        let full = self.facts.gaps.len() >= MAX_GAPS;
        match self.facts.gaps.last_mut() {
            // Told by an event, and then by the counter.
            Some(gap) if gap.after_seq == after_seq && reason == "frames are missing" => {
                gap.frames = gap.frames.max(frames);
            }
            Some(gap) if full => {
                gap.frames = gap.frames.saturating_add(frames);
                "and more, for several reasons".clone_into(&mut gap.reason);
            }
            _ => self.facts.gaps.push(Gap { after_seq, frames, reason: reason.to_owned() }),
        }
        self.conversation.gap(output.analyses, output.events);
        self.take_events(output);
        self.statements.gap();
    }

    /// A block of the session could not be opened: it held frames up to `last_seq` and events up to `last_event`.
    pub(super) fn unreadable(&mut self, last_seq: u64, last_event: u64, reason: &str, output: &mut Output<'_>) {
        let frames = last_seq.saturating_sub(self.facts.last_seq);
        let known = last_seq <= self.facts.last_seq && last_event <= self.facts.last_event;
        if known || frames >= MAX_LEAP || last_event.saturating_sub(self.facts.last_event) >= MAX_LEAP {
            return;
        }
        self.gap(frames, reason, output);
        self.facts.last_seq = self.facts.last_seq.max(last_seq);
        self.facts.last_event = self.facts.last_event.max(last_event);
    }

    fn closed(&mut self, closed: &SessionClosed, at: i64, output: &mut Output<'_>) {
        if closed.frames > self.facts.last_seq {
            self.gap(closed.frames - self.facts.last_seq, "frames are missing", output);
        }
        let facts = &mut self.facts;
        facts.bytes_frontend = facts.bytes_frontend.max(closed.bytes_frontend);
        facts.bytes_backend = facts.bytes_backend.max(closed.bytes_backend);
        self.end(at, &closed.reason, true, output);
    }

    /// The session is over: all its rows leave.
    pub(super) fn end(&mut self, at: i64, reason: &str, closed: bool, output: &mut Output<'_>) {
        let recorded = if closed { Closed::Recorded } else { Closed::Lost };
        self.conversation.close(at, recorded, output.analyses, output.events);
        self.take_events(output);
        let mut row = self.row();
        row.ending = self.ending(reason, closed);
        row.closed_at = Some(at);
        row.close_reason = Some(reason.to_owned());
        row.complete = closed && self.facts.opened && self.facts.gaps.is_empty();
        output.rows.sessions.push(row);
    }

    /// Rows of what has not ended.
    pub(super) fn in_flight(&self, analyses: &mut Analyses, catalogs: &mut Catalogs, rows: &mut Rows) {
        let ahead = self.conversation.in_flight(analyses);
        let known = catalogs.known(&self.facts.node, &self.facts.instance, &self.identity);
        self.statements.in_flight(ahead, &self.identity, known, rows);
        rows.sessions.push(self.row());
    }

    fn row(&self) -> SessionRow {
        let facts = &self.facts;
        let gaps = (!facts.gaps.is_empty()).then(|| serde_json::to_string(&facts.gaps).unwrap_or_default());
        SessionRow {
            session_id: self.identity.session_id,
            target: self.identity.target.clone(),
            job: self.identity.job.clone(),
            subject: self.identity.subject.clone(),
            issuer: self.identity.issuer.clone(),
            groups: facts.groups.clone(),
            client_addr: facts.client_addr.clone(),
            application_name: facts.application_name.clone(),
            db_user: facts.db_user.clone(),
            database: facts.database.clone(),
            opened_at: facts.opened_at,
            closed_at: None,
            close_reason: None,
            complete: false,
            statements: self.conversation.statements(),
            frames: facts.frames,
            bytes_frontend: facts.bytes_frontend,
            bytes_backend: facts.bytes_backend,
            denied: 0,
            auth_failure: facts.auth_failure.clone(),
            gaps,
            chain_head: self.chain,
            capture: if facts.capture.is_empty() { "full".to_owned() } else { facts.capture.clone() },
            max_result_bytes: (facts.max_result_bytes > 0).then_some(facts.max_result_bytes),
            tls: facts.tls.clone(),
            contradictions: self.conversation.contradictions() + self.statements.context.contradictions,
            database_role: facts.database_role.clone(),
            backend_pid: facts.backend_pid,
            errors: self.statements.context.errors,
            notices: self.statements.context.reports.to_json(),
            ending: "open",
            last_frame_at: facts.last_frame_at,
            purpose: facts.purpose.clone(),
            traceparent: facts.traceparent.clone(),
            credential: facts.credential.clone(),
        }
    }

    /// As it stands in column `ending`.
    fn ending(&self, reason: &str, closed: bool) -> &'static str {
        if !closed {
            return "unknown";
        }
        match reason {
            _ if self.facts.auth_failure.is_some() => "refused",
            "not authenticated" | "refused" | "database unavailable" => "refused",
            reason if reason.starts_with("cancel request") => "cancel request",
            "closed by database" => "ended by database",
            "terminated by job" | "closed by job" | "connection to job lost" if self.facts.fatal => "ended by database",
            "terminated by job" => "terminated",
            "closed by job" | "connection to job lost" => "lost",
            _ => "ended by hansard",
        }
    }
}

/// A text of an event, where it has one.
pub(super) fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Actors as a JSON array, where there are some.
pub(super) fn actors(actors: &[Actor]) -> Option<String> {
    let actor = |actor: &Actor| serde_json::json!({ "subject": actor.subject, "issuer": actor.issuer });
    (!actors.is_empty()).then(|| serde_json::Value::from_iter(actors.iter().map(actor)).to_string())
}

fn encryption(tls: Tls) -> Encryption {
    let client = tls
        .client_certificate
        .map(|certificate| ClientCertificate { subject: certificate.subject, sha256: hex::encode(certificate.sha256) });
    Encryption { version: tls.version, cipher: tls.cipher, client }
}
