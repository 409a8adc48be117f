//! Messages of Hansard's own that tell which Syncs the database has answered, and their answers.

use hansard_pg_wire::frame::Frame;

use super::copies::Effect;
use super::{FLUSH, PostgresConversation};

pub(super) const SYNC: &[u8] = b"S\0\0\0\x04";

impl PostgresConversation {
    /// The job's next Sync is answered by the ReadyForQuery that the server has sent already.
    pub(super) fn answer_sync(&mut self) -> Vec<u8> {
        let status = self.barrier.skipped();
        self.copies.sync();
        self.requested(b'S', None, Effect::Nothing, false);
        self.answer(b'Z', Some(status), false);
        ready(status)
    }

    /// An answer to Hansard's own messages, or one that may be: what the job gets in its place.
    pub(super) fn take_marked(&mut self, frame: Frame<'_>) -> Option<Vec<u8>> {
        let status = frame.body.first().copied().unwrap_or(b'I');
        let status = self.barrier.marked(frame.tag, status, self.exchange.is_skipping())?;
        self.answer(b'Z', Some(status), false);
        Some(ready(status))
    }

    /// A Sync comes before it where the server may skip everything up to one.
    pub(super) fn marker_message(&self, sync: bool, double: bool) -> Vec<u8> {
        let length = u32::try_from(4 + 1 + self.marker.len() + 1).unwrap_or(0);
        let mut message = if sync { SYNC.to_vec() } else { Vec::new() };
        for _ in 0..1 + u8::from(double) {
            message.push(b'C');
            message.extend(length.to_be_bytes());
            message.push(b'S');
            message.extend(self.marker.as_bytes());
            message.push(0);
        }
        message.extend(FLUSH);
        message
    }
}

pub(super) fn ready(status: u8) -> Vec<u8> {
    vec![b'Z', 0, 0, 0, 5, status]
}
