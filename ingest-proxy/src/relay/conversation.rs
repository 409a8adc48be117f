//! What a protocol says of the bytes that pass.
//!
//! A [`Conversation`] is fed with the bytes of both directions in the order in which they are passed on, and answers
//! with [`Step`]s. It does no I/O; the relay does, and knows nothing of what the bytes say.

use std::borrow::Cow;

use hansard_schemas::events::event;

use crate::direction::{Direction, Part};
use crate::errors::Refusal;

/// Follows both directions of one session.
pub(crate) trait Conversation {
    /// What becomes of the beginning of `bytes`, which are those of one direction that no step has taken yet. `ended`:
    /// no more will come.
    fn next(&mut self, direction: Direction, bytes: &[u8], ended: bool) -> Step;

    /// A message of Hansard's own waits: the next step of the job's direction is [`Step::Insert`], whatever has come.
    fn has_message(&self) -> bool;

    /// What the session is doing.
    fn activity(&self) -> Activity;

    /// By what was passed last to the job, all that it has asked for is answered.
    fn is_settled(&self) -> bool;

    /// What has been passed of one direction ends where a message ends.
    fn is_at_boundary(&self, direction: Direction) -> bool;

    /// The job has said that it ends the session.
    fn job_has_terminated(&self) -> bool;

    /// The last thing that the database said tells why it ends the session.
    fn database_has_explained(&self) -> bool;
}

/// What is done next with one direction.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing before more bytes have come.
    Wait,
    /// Nothing before the other direction has gone on.
    Hold,
    /// The piece goes on as it is.
    Pass(Piece),
    /// A whole message goes on, and is recorded, in the piece's place.
    Replace(Piece, Vec<u8>),
    /// The piece goes nowhere.
    Drop(Piece),
    /// A message of Hansard's own goes on before the piece that comes next. It is not recorded: the other side of the
    /// session does not see it.
    Insert(Cow<'static, [u8]>),
    /// The piece goes nowhere; a whole message is its answer, and recorded as one.
    Answer(Piece, Vec<u8>),
    /// Nothing before all readers of the log have been told this; then it is asked again.
    Announce(Box<event::Kind>),
    /// The session ends.
    End(Refusal),
}

/// Bytes at the beginning of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) len: usize,
    pub(crate) record: Record,
}

/// How a piece is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record {
    /// So many whole messages.
    Whole(u32),
    /// A part of a message that is too long to be handled whole.
    Part { tag: u8, part: Part },
    /// Not at all: it belongs to a message of Hansard's own.
    Nothing,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Nothing is asked and no transaction is open.
    Idle,
    /// A transaction is open, and nothing is asked.
    InTransaction,
    /// Something is asked that has not been answered.
    Running,
    /// Data is streamed for as long as a side likes.
    Streaming,
}
