//! What bytes of any protocol have: which way they go, and which part of a message they are.

use hansard_schemas::events;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the job.
    Frontend,
    /// To the job.
    Backend,
}

/// A part of a message that is too long to be handled whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    First,
    Middle,
    Last,
}

impl From<Direction> for events::Direction {
    fn from(direction: Direction) -> events::Direction {
        match direction {
            Direction::Frontend => events::Direction::Frontend,
            Direction::Backend => events::Direction::Backend,
        }
    }
}

impl From<Part> for events::Part {
    fn from(part: Part) -> events::Part {
        match part {
            Part::First => events::Part::First,
            Part::Middle => events::Part::Middle,
            Part::Last => events::Part::Last,
        }
    }
}
