//! What of PostgreSQL's messages is not recorded as it came: what the capture level leaves out ([`level`]), and passwords in
//! SQL ([`secrets`]).

mod level;
mod secrets;

use hansard_pg_wire::frame::frames;

use crate::capture::redactor::{Piece, Recorded, Redactor};
use crate::direction::{Direction, Part};
use crate::options::CaptureOptions;
use level::Filter;
use secrets::{IN_SQL, Secrets};

/// Of one session.
#[derive(Debug)]
pub(crate) struct Redaction {
    /// Where not everything is recorded.
    filter: Option<Box<Filter>>,
    secrets: Secrets,
}

impl Redaction {
    pub(crate) fn new(options: CaptureOptions) -> Redaction {
        Redaction { filter: Filter::new(options), secrets: Secrets::default() }
    }
}

impl Redactor for Redaction {
    fn whole(&mut self, direction: Direction, bytes: &[u8], pieces: &mut Vec<Piece>) -> bool {
        let concerned = self.secrets.concern(direction, bytes);
        if !concerned && self.filter.is_none() {
            return false;
        }
        for frame in frames(bytes) {
            let masked = if concerned { self.secrets.frame(direction, &frame) } else { None };
            let mark = self.filter.as_mut().and_then(|filter| filter.frame(direction, &frame));
            Piece::add(pieces, frame.bytes.len(), recorded(masked, mark));
        }
        true
    }

    fn part(&mut self, direction: Direction, bytes: &[u8], tag: u8, part: Part) -> Recorded {
        let masked = self.secrets.part(direction, bytes, tag, part);
        let mark = self.filter.as_mut().and_then(|filter| {
            let bytes = masked.as_deref().unwrap_or(bytes);
            filter.part(direction, bytes, tag, part)
        });
        recorded(masked, mark)
    }
}

fn recorded(masked: Option<Vec<u8>>, mark: Option<crate::capture::marks::Mark>) -> Recorded {
    match (mark, masked) {
        (Some(mark), _) => Recorded::LeftOut(mark),
        (None, Some(bytes)) => Recorded::Masked { bytes, withheld: IN_SQL },
        (None, None) => Recorded::AsItCame { messages: 1 },
    }
}
