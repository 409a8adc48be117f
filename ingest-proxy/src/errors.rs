//! What can go wrong: [`Error`] for the operator, [`Refusal`] for the job.
//!
//! Invariant: a refusal's text is written here or by the database itself. It holds no token, no password, and nothing
//! of Hansard's own way to the database.

use std::io;
use std::net::SocketAddr;

use hansard_identity::{Rejection, RejectionKind, Vouched};

use crate::options::OptionsError;

/// Why the proxy could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot work.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A listening address cannot be had.
    #[error(
        "target \"{target}\" cannot listen on {listen}: {source}; choose another address or stop what uses this one"
    )]
    Listen {
        /// Its name.
        target: String,
        /// Its address.
        listen: SocketAddr,
        /// From the operating system.
        source: io::Error,
    },
    /// An issuer's keys cannot be had.
    #[error(transparent)]
    Keys(#[from] hansard_identity::KeysError),
    /// A certificate, a key, a certificate authority or a password cannot be used.
    #[error("target \"{target}\": {reason}")]
    Credentials {
        /// Its name.
        target: String,
        /// The setting, the file, and what is wrong with it.
        reason: String,
    },
    /// A thread or its runtime could not be started.
    #[error("a worker thread cannot be started: {0}")]
    Worker(io::Error),
    /// A thread died; this is a defect in Hansard.
    #[error("a worker thread has died: its sessions are gone; restart Hansard and report this")]
    Died,
}

/// Kind of refusal: decides the SQLSTATE, and is the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// What the job sent is not what the protocol has here.
    Protocol,
    /// Right protocol, but a feature that is not there.
    Unsupported,
    /// A start-up parameter or option that is not passed on.
    Parameter,
    /// A database that this target does not serve.
    Database,
    /// No TLS where it is asked for, or not the way it has to be.
    Tls,
    /// The token is not a good one.
    Token,
    /// A good token of somebody who is not known here.
    Identity,
    /// A good token, once.
    Expired,
    /// A good token or lease, until somebody revoked it.
    Revoked,
    /// No answer within the time allowed.
    Timeout,
    /// Too many sessions.
    TooMany,
    /// The event log takes nothing.
    Unrecordable,
    /// The database cannot be reached.
    Unreachable,
    /// The database does not accept Hansard's own credentials.
    Upstream,
    /// The connection to the database was lost.
    Lost,
    /// The proxy stops.
    Stopping,
}

impl Kind {
    /// Metric label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Protocol => "protocol",
            Kind::Unsupported => "unsupported",
            Kind::Parameter => "parameter",
            Kind::Database => "database",
            Kind::Tls => "tls",
            Kind::Token => "token",
            Kind::Identity => "identity",
            Kind::Expired => "expired",
            Kind::Revoked => "revoked",
            Kind::Timeout => "timeout",
            Kind::TooMany => "too_many",
            Kind::Unrecordable => "unrecordable",
            Kind::Unreachable => "unreachable",
            Kind::Upstream => "upstream",
            Kind::Lost => "lost",
            Kind::Stopping => "stopping",
        }
    }
}

/// What a job is told when its session ends by Hansard's hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// For the record and the operator's log only.
    pub(crate) internal: Box<str>,
    /// What is recorded of it as long as nobody vouches for the job, where the message repeats what that sent.
    pub(crate) recorded: Option<&'static str>,
    /// Whose token was refused, where its signature was good.
    pub(crate) vouched: Option<Box<Vouched>>,
}

impl Refusal {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            internal: Box::default(),
            recorded: None,
            vouched: None,
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Refusal {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Refusal {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn internal(mut self, internal: impl Into<Box<str>>) -> Refusal {
        self.internal = internal.into();
        self
    }

    pub(crate) fn recorded_as(mut self, message: &'static str) -> Refusal {
        self.recorded = Some(message);
        self
    }

    pub(crate) fn unrecordable(reason: &impl std::fmt::Display) -> Refusal {
        Refusal::new(Kind::Unrecordable, "this session cannot be recorded, so it cannot go on")
            .detail("The event log does not accept new records; nothing unrecorded reaches the database.")
            .hint("Try again later. Operators: look at the log's disk space and server; Hansard resumes by itself.")
            .internal(reason.to_string())
    }

    pub(crate) fn expired(expires_at: u64) -> Refusal {
        Refusal::new(
            Kind::Expired,
            format!("the token of this session expired at {}", hansard_identity::in_words(expires_at / 1_000_000_000)),
        )
        .hint("Connect again with a fresh token.")
    }

    pub(crate) fn revoked() -> Refusal {
        Refusal::new(Kind::Revoked, "the right by which this session began was revoked")
            .hint("Ask those who run Hansard; the record says who revoked it, and why.")
    }

    pub(crate) fn lost() -> Refusal {
        Refusal::new(Kind::Lost, "the database closed the connection")
            .detail("What ran at that moment may or may not have been completed.")
            .hint("Connect again and check before repeating it.")
    }

    pub(crate) fn stopping() -> Refusal {
        Refusal::new(Kind::Stopping, "terminating connection: Hansard is stopping").hint("Connect again in a moment.")
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        let kind = match rejection.kind {
            RejectionKind::Token => Kind::Token,
            RejectionKind::Identity => Kind::Identity,
        };
        Refusal {
            kind,
            message: rejection.message,
            detail: rejection.detail,
            hint: rejection.hint,
            internal: Box::default(),
            recorded: rejection.recorded,
            vouched: rejection.vouched,
        }
    }
}
