//! How a record begins: with what was sent before it was known who is there.
//!
//! Invariant: words of somebody who has not shown a valid token are not recorded, only how many bytes they were and
//! their digest.

use hansard_schemas::events::{self, event};

use super::UnauthenticatedConnection;
use super::announcement::APPLICATION;
use crate::capture::level;
use crate::direction::Direction;
use crate::options::CaptureLevel;
use crate::postgres::authentication::is_question;
use crate::postgres::parameters::Settings;
use crate::postgres::redaction::Redaction;
use crate::postgres::startup::{Content, CutName, EarlyMessage, SessionRequest};
use crate::relay::stream::Stream;
use crate::{admission::tls, clock};
use hansard_identity::leases::Lease;
use hansard_identity::names::{MAX_NAME, bounded, cut};
use hansard_identity::{Actor, Principal};

impl UnauthenticatedConnection {
    /// SessionOpened, and what has been said so far, of a job that has shown who it is.
    pub(super) fn open_record(&mut self, request: &SessionRequest, settings: &Settings, principal: &Principal) {
        let capture = level::of(principal, self.options());
        self.capture.redact_by(Box::new(Redaction::new(capture)));
        let is_name = |name: &str| name.eq_ignore_ascii_case("application_name");
        let parameters = request.parameters.iter().filter(|(name, _)| !is_name(name)).map(parameter).collect();
        self.open(events::SessionOpened {
            application_name: bounded(settings.get("application_name").unwrap_or_default(), MAX_NAME),
            db_user: request.user.clone(),
            database: request.database.clone(),
            parameters,
            protocol_version: (3 << 16) | u32::from(request.minor),
            purpose: settings.own.purpose.clone(),
            traceparent: settings.own.traceparent.clone(),
            capture: capture.level.as_str().to_owned(),
            max_result_bytes: capture.max_result_bytes.unwrap_or(0),
            ..events::SessionOpened::default()
        });
        for EarlyMessage { at, direction, content } in std::mem::take(&mut self.startup.messages) {
            match content {
                Content::Packet(bytes) => self.capture.untagged(direction, at, &bytes),
                Content::Frame(bytes) => self.capture.own(at, &bytes),
                Content::Password => self.capture.withheld(direction, at, b'p', "password"),
                Content::Challenge => self.capture.withheld(direction, at, b'R', "password"),
            }
        }
    }

    /// The same of somebody who has not: how much was said, and a digest of it. What Hansard said is known.
    pub(super) fn open_unidentified(&mut self) {
        let metadata = CaptureLevel::Metadata.as_str().to_owned();
        self.open(events::SessionOpened { capture: metadata, ..events::SessionOpened::default() });
        for EarlyMessage { at, direction, content } in std::mem::take(&mut self.startup.messages) {
            match content {
                Content::Packet(bytes) if direction == Direction::Backend => {
                    self.capture.untagged(direction, at, &bytes);
                }
                Content::Packet(bytes) => self.capture.digest(direction, at, 0, &bytes),
                Content::Frame(bytes) if is_question(&bytes) => self.capture.own(at, &bytes),
                // It repeats what was asked for.
                Content::Frame(bytes) => self.capture.digest(direction, at, bytes[0], &bytes),
                Content::Password => self.capture.withheld(direction, at, b'p', "password"),
                Content::Challenge => self.capture.withheld(direction, at, b'R', "password"),
            }
        }
        match self.startup.inbox.first() {
            None => {}
            Some(b'p') => self.capture.withheld(Direction::Frontend, clock::now(), b'p', "password"),
            Some(_) => self.capture.digest(Direction::Frontend, clock::now(), 0, &self.startup.inbox),
        }
    }

    /// SessionOpened, with what is known of every connection.
    pub(super) fn open(&mut self, opened: events::SessionOpened) {
        let log = self.worker.journal.log();
        let opened = events::SessionOpened {
            client_addr: self.peer.to_string(),
            node: log.node().to_owned(),
            instance: log.instance().to_owned(),
            hansard_version: env!("CARGO_PKG_VERSION").to_owned(),
            tls: self.startup.stream.as_ref().and_then(Stream::agreed).map(tls::described),
            ..opened
        };
        let at = self.startup.messages.first().map_or_else(clock::now, |message| message.at);
        self.capture.event(at, event::Kind::SessionOpened(opened));
    }
}

/// Names that are not recorded whole, but for the frame that brought them.
pub(super) fn cut_names(request: &SessionRequest, settings: &Settings) -> Vec<CutName> {
    let application = settings.get("application_name").unwrap_or_default();
    let kept = cut(application, MAX_NAME).len();
    let application =
        (kept < application.len()).then_some(CutName { what: APPLICATION, bytes: application.len(), kept });
    request.cut.iter().cloned().chain(application).collect()
}

/// What a lease was given for is what its session asks for. The lease's name.
pub(super) fn as_leased(request: &mut SessionRequest, settings: &mut Settings, lease: Lease) -> String {
    if request.database == request.user {
        request.database = lease.database.unwrap_or_else(|| lease.role.clone());
    }
    if settings.own.purpose.is_empty() {
        settings.own.purpose = lease.purpose;
    }
    request.user = lease.role;
    lease.user
}

pub(super) fn parameter((name, value): &(String, String)) -> events::Parameter {
    events::Parameter { name: name.clone(), value: value.clone() }
}

pub(super) fn actor(Actor { subject, issuer }: &Actor) -> events::Actor {
    events::Actor { subject: subject.clone(), issuer: issuer.clone() }
}
