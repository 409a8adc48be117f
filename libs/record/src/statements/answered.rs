//! What the server's answer says of a statement, as far as rows tell it.

use std::sync::Arc;

use hansard_pg_wire::conversation::{Details, Request};

use crate::analyses::SqlText;
use crate::rows::{Outcome, Status};

/// What the server's answer says of a statement.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) transaction: u64,
    pub(super) at: Option<i64>,
    pub(super) seq: u64,
    pub(super) count: Option<i64>,
    pub(super) sqlstate: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) severity: Option<Arc<str>>,
    pub(super) details: Option<Arc<Details>>,
    /// Where it is known without its transaction's.
    pub(super) outcome: Option<Outcome>,
    /// `None`: it goes on.
    pub(super) status: Option<Status>,
}

/// The server counts characters from the beginning of the text that was sent; a row has its statement alone.
pub(super) fn placed(mut details: Details, request: &Request<SqlText>) -> Arc<Details> {
    details.position = details.position.and_then(|position| match request {
        Request::Text { own, executes: None, .. } => own.text.place(own.part, position),
        // It may be of what is executed.
        Request::Text { executes: Some(_), .. } => None,
        _ => Some(position),
    });
    Arc::new(details)
}
