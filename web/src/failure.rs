//! What an API caller is told when it does not work out.
//!
//! Invariant: the text is chosen here, sentence by sentence; a chain of internals goes to the log, never to a caller.

use std::borrow::Cow;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hansard_schemas::http::{ApiError, ErrorBody};

/// The closed set of ways to fail; also the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Unauthenticated,
    Forbidden,
    NotFound,
    Invalid,
    WrongMethod,
    TooLarge,
    Busy,
    Timeout,
    Unavailable,
    Internal,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Kind; 10] = [
        Kind::Invalid,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::WrongMethod,
        Kind::TooLarge,
        Kind::Internal,
        Kind::Busy,
        Kind::Unavailable,
        Kind::Timeout,
    ];

    /// When it happens.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Kind::Invalid => "The request is wrong: a parameter, its body, or what it asks in SQL.",
            Kind::Unauthenticated => {
                "There is neither a browser's session nor the owner's token; of leases, nor a good one of a job."
            }
            Kind::Forbidden => {
                "Another host is named, or another site makes a browser ask; of leases, somebody else may do it."
            }
            Kind::NotFound => "There is nothing of that name.",
            Kind::WrongMethod => "The address does not take that method; `Allow` names those that it takes.",
            Kind::TooLarge => "The request is too long, or its answer would take more than is allowed.",
            Kind::Internal => "A fault of Hansard's own; the log of the web service has it.",
            Kind::Busy => "Others are being answered; `Retry-After` says when to ask again.",
            Kind::Unavailable => "The record cannot be read, or written, now.",
            Kind::Timeout => "It took too long.",
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::Invalid | Kind::WrongMethod => "invalid",
            Kind::TooLarge => "too_large",
            Kind::Busy => "busy",
            Kind::Timeout => "timeout",
            Kind::Unavailable => "unavailable",
            Kind::Internal => "internal",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Busy | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// A refusal or a fault, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) parameter: Option<Cow<'static, str>>,
    pub(crate) nearest: Vec<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None, parameter: None, nearest: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Which parameter of the request is at fault.
    pub(crate) fn of(mut self, parameter: impl Into<Cow<'static, str>>) -> Failure {
        self.parameter = Some(parameter.into());
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure::new(Kind::NotFound, message)
    }

    /// A fault of our own: `what` is logged with its cause, the caller learns only that it happened.
    pub(crate) fn internal(what: &'static str, cause: &dyn std::fmt::Display) -> Failure {
        tracing::error!(%cause, "{what}");
        Failure::new(Kind::Internal, "Something went wrong inside Hansard.").hint("The log of the web service has it.")
    }
}

impl From<Failure> for ErrorBody {
    fn from(failure: Failure) -> ErrorBody {
        ErrorBody {
            code: failure.kind.code().into(),
            message: failure.message,
            hint: failure.hint,
            parameter: failure.parameter.map(Cow::into_owned),
            nearest: failure.nearest,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let kind = self.kind;
        metrics::counter!("hansard_web_failures_total", "code" => kind.code()).increment(1);
        let mut response = (kind.status(), Json(ApiError { error: self.into() })).into_response();
        match kind {
            Kind::Unauthenticated => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            Kind::Busy => {
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
