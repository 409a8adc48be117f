//! Events to rows: a pure function of a session's state and its next block.
//!
//! Used twice and alike: by the recorder, whose rows become files, and by the query engine, which begins with
//! the states of a catalog snapshot and projects the log above its watermarks. So hot and cold rows can't differ.
//!
//! Invariants: applying a block again changes nothing (frames at or below the last `seq`, and events at or
//! below the last `event_no`, are dropped); what is missing in between becomes an explicit gap; a statement's row
//! appears once, when its transaction has ended, and is 'open' in [`Projector::unfinished`] until then; nothing
//! here reads a clock or a socket.

use hansard_schemas::events::Block;
use uuid::Uuid;

use crate::catalog::OpenSession;

mod rows;

pub use rows::{FrameRow, Outcome, Rows, SessionRow, StatementRow, TouchRow};

/// The unfinished sessions of one shard, and how to go on with them.
#[derive(Debug)]
pub struct Projector {}

/// What changed since the last call of [`Projector::take_changes`].
#[derive(Debug, Default)]
pub struct Changes {
    /// Unfinished sessions with a new state.
    pub sessions: Vec<OpenSession>,
    /// Sessions that ended.
    pub ended: Vec<Uuid>,
}

/// Why events could not be projected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A saved state is not one that this version wrote or reads.
    #[error("the saved state of session {session_id} cannot be read: {reason}")]
    State {
        /// The session.
        session_id: Uuid,
        /// Why.
        reason: String,
    },
}

impl Projector {
    /// Begins with the unfinished sessions of a catalog; none for a new shard.
    pub fn restore(_shard: u16, _sessions: &[OpenSession]) -> Result<Projector, Error> {
        Ok(Projector {})
    }

    /// Adds a block: what is finished by it is pushed to `rows`. A block that cannot be opened becomes a gap of its
    /// session, with the reason.
    pub fn apply(&mut self, _block: &Block, _rows: &mut Rows) {}

    /// Pushes the rows of what has not ended: open sessions, statements in flight or in an open transaction.
    pub fn unfinished(&self, _rows: &mut Rows) {}

    /// Ends every session that is still open, as incomplete, at `at` (UTC nanoseconds): its proxy is gone.
    pub fn abandon(&mut self, _at: i64, _reason: &str, _rows: &mut Rows) {}

    /// The states to save with the rows that were pushed since the last call.
    pub fn take_changes(&mut self) -> Changes {
        Changes::default()
    }
}
