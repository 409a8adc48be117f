//! The timeline's lanes: stretches of statements of one kind.
//!
//! Invariants: places are statements, evenly spaced, so that lanes and the slider above them agree; the number of
//! stretches is bounded, whatever the session's length, and a stretch is never thinner than what can be seen.

use crate::player::{Class, IDLE_NS, Mark};

/// Lanes have at most so many distinct places.
const RESOLUTION: usize = 400;

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Only read.
    Reads,
    /// Changed something.
    Writes,
    /// Denied, or failed.
    Errors,
    /// Long pauses before a statement.
    Idle,
}

impl Lane {
    /// Top to bottom.
    pub const ALL: [Lane; 4] = [Lane::Reads, Lane::Writes, Lane::Errors, Lane::Idle];

    /// Its label.
    pub fn name(self) -> &'static str {
        match self {
            Lane::Reads => "Reads",
            Lane::Writes => "Writes",
            Lane::Errors => "Errors",
            Lane::Idle => "Idle",
        }
    }
}

/// A stretch of a lane, in thousandths of its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: usize,
    /// How far it goes.
    pub width: usize,
}

/// The stretches of one lane.
pub fn stretches(marks: &[Mark], lane: Lane) -> Vec<Stretch> {
    let all = marks.len();
    let bins = all.min(RESOLUTION);
    let mut filled = vec![false; bins];
    for (place, mark) in marks.iter().enumerate() {
        let here = match lane {
            Lane::Reads => mark.class == Class::Read,
            Lane::Writes => mark.class == Class::Write,
            Lane::Errors => mark.is_trouble(),
            Lane::Idle => place > 0 && mark.offset_ns.saturating_sub(marks[place - 1].offset_ns) > IDLE_NS,
        };
        if here {
            filled[place * bins / all] = true;
        }
    }
    let mut found: Vec<Stretch> = Vec::new();
    let edge = |bin: usize| bin * 1000 / bins;
    for (bin, _) in filled.iter().enumerate().filter(|(_, filled)| **filled) {
        let (from, to) = (edge(bin), edge(bin + 1));
        match found.last_mut() {
            Some(last) if last.from + last.width == from => last.width = to - last.from,
            _ => found.push(Stretch { from, width: to - from }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(classes: &[Class]) -> Vec<Mark> {
        let mark = |(no, class): (i64, &Class)| Mark {
            no,
            offset_ns: no * 1_000,
            duration_ns: 0,
            transaction_id: no,
            class: *class,
        };
        (1..).zip(classes).map(mark).collect()
    }

    #[test]
    fn neighbours_are_one_stretch() {
        let marks = marks(&[Class::Read, Class::Read, Class::Write, Class::Failed]);
        assert_eq!(stretches(&marks, Lane::Reads), [Stretch { from: 0, width: 500 }]);
        assert_eq!(stretches(&marks, Lane::Writes), [Stretch { from: 500, width: 250 }]);
        assert_eq!(stretches(&marks, Lane::Errors), [Stretch { from: 750, width: 250 }]);
        assert_eq!(stretches(&marks, Lane::Idle), []);
    }

    #[test]
    fn a_pause_stands_before_its_statement() {
        let mut marks = marks(&[Class::Read, Class::Read]);
        marks[1].offset_ns += 2 * IDLE_NS;
        assert_eq!(stretches(&marks, Lane::Idle), [Stretch { from: 500, width: 500 }]);
    }

    #[test]
    fn long_sessions_stay_bounded_and_lose_no_error() {
        let mut classes = vec![Class::Read; 100_000];
        classes[77_777] = Class::Denied;
        let marks = marks(&classes);
        assert_eq!(stretches(&marks, Lane::Reads).len(), 1);
        let errors = stretches(&marks, Lane::Errors);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].width > 0);
    }

    #[test]
    fn nothing_has_no_stretches() {
        assert_eq!(stretches(&[], Lane::Reads), []);
    }
}
