//! What an API caller is told when it does not work out.
//!
//! Invariant: the text is chosen here, sentence by sentence; a chain of internals goes to the log, never to a caller.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hansard_schemas::http::{ApiError, ErrorBody};

/// The closed set of ways to fail; also the label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unauthenticated,
    Forbidden,
    NotFound,
    Invalid,
    TooLarge,
    Busy,
    Timeout,
    Unavailable,
    Internal,
}

impl Kind {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not_found",
            Kind::Invalid => "invalid",
            Kind::TooLarge => "too_large",
            Kind::Busy => "busy",
            Kind::Timeout => "timeout",
            Kind::Unavailable => "unavailable",
            Kind::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Invalid => StatusCode::BAD_REQUEST,
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
    pub(crate) parameter: Option<&'static str>,
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
    pub(crate) fn of(mut self, parameter: &'static str) -> Failure {
        self.parameter = Some(parameter);
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

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        metrics::counter!("hansard_web_failures_total", "code" => self.kind.code()).increment(1);
        let error = ErrorBody {
            code: self.kind.code().into(),
            message: self.message,
            hint: self.hint,
            parameter: self.parameter.map(str::to_owned),
            nearest: self.nearest,
        };
        let body = ApiError { error };
        let mut response = (self.kind.status(), Json(body)).into_response();
        match self.kind {
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
