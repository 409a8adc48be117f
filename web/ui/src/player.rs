//! The replay as a state machine: which statement is shown, and where going on leads.
//!
//! Invariants: what is shown is the statement that was asked for, also where the session has none of that number; positions
//! are statements, never offsets in time; time comes in as elapsed nanoseconds, so the same inputs always lead to the
//! same state. It knows how many statements there are, never which are loaded. Nothing here draws, fetches or reads a clock.

use hansard_schemas::http::{CONTROLS, READS, Step};

/// Speeds to choose from, in recorded time per real time.
pub const SPEEDS: [u32; 7] = [1, 2, 4, 8, 16, 60, 600];
/// Pauses longer than this are idle time.
pub const IDLE_NS: i64 = 2_000_000_000;
/// What is left of a pause when idle time is skipped.
const SKIPPED_IDLE_NS: i64 = 500_000_000;
/// Statements of a leap.
const LEAP: i64 = 10;

/// What a statement is to somebody who looks for what matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Policy did not let it through.
    Denied,
    /// The database refused it.
    Failed,
    /// The database did not run it, because one before it had failed.
    NotRun,
    /// It changed something, or may have.
    Write,
    /// It only read.
    Read,
    /// Session and transaction control.
    Control,
}

/// What kind of statement a step is.
pub fn classify(step: &Step) -> Class {
    let operation = step.operation.as_str();
    match () {
        () if step.verdict == "deny" => Class::Denied,
        () if step.is_not_run() => Class::NotRun,
        () if step.sqlstate.is_some() => Class::Failed,
        () if READS.contains(&operation) => Class::Read,
        () if CONTROLS.contains(&operation) => Class::Control,
        // What is not known to be harmless counts as a write.
        () => Class::Write,
    }
}

/// Where a key leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// `j`, arrow down
    Next,
    /// `k`, arrow up
    Previous,
    /// Page down
    LeapOn,
    /// Page up
    LeapBack,
    /// Home
    First,
    /// End
    Last,
}

/// The state of one replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// How many statements the session has, as far as is known.
    last: i64,
    /// The number of the statement shown; 0 before there is one.
    at: i64,
    /// While playing: time waited for the next statement.
    waited_ns: i64,
    playing: bool,
    speed: usize,
    skip_idle: bool,
}

impl Player {
    /// `step` is the deep link's statement.
    pub fn new(step: Option<i64>) -> Player {
        Player { last: 0, at: step.unwrap_or(0), waited_ns: 0, playing: false, speed: 0, skip_idle: true }
    }

    /// So many statements are known to be there: a session that goes on gets more, none ever gets fewer.
    pub fn grow(&mut self, last: i64) {
        self.last = self.last.max(last);
    }

    /// Where to begin, unless an address or somebody said so.
    pub fn land(&mut self, no: i64) {
        if self.at == 0 && no >= 1 && no <= self.last {
            self.at = no;
        }
    }

    /// The number of the statement that is asked for; `None` before there is one.
    pub fn at(&self) -> Option<i64> {
        (self.at != 0).then_some(self.at)
    }

    /// How many statements there are.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The session has a statement of that number.
    pub fn has(&self, no: i64) -> bool {
        no >= 1 && no <= self.last
    }

    /// Goes to a statement by its number, whether there is one or not: what is shown says so.
    pub fn go(&mut self, no: i64) {
        self.at = no;
        self.waited_ns = 0;
    }

    /// Moves; false where there is nothing that way.
    pub fn step(&mut self, to: Move) -> bool {
        match self.after(to) {
            Some(no) => {
                self.go(no);
                true
            }
            None => false,
        }
    }

    /// Whether a move leads anywhere.
    pub fn can(&self, to: Move) -> bool {
        self.after(to).is_some()
    }

    fn after(&self, to: Move) -> Option<i64> {
        let no = match to {
            Move::Next => self.at.checked_add(1)?,
            // From beyond the end it leads back into the session.
            Move::Previous => self.at.checked_sub(1)?.min(self.last),
            Move::LeapOn => self.at.checked_add(LEAP)?.min(self.last),
            Move::LeapBack => self.at.checked_sub(LEAP)?.clamp(1, self.last.max(1)),
            Move::First => 1,
            Move::Last => self.last,
        };
        (self.has(no) && no != self.at).then_some(no)
    }

    /// True while it plays.
    pub fn is_playing(&self) -> bool {
        self.playing
    }

    /// Space: plays, or stops. At the end it begins again.
    pub fn toggle_play(&mut self) {
        self.playing = !self.playing && self.last > 0;
        if self.playing && self.at >= self.last {
            self.go(1);
        }
    }

    /// Recorded time per real time.
    pub fn speed(&self) -> u32 {
        SPEEDS[self.speed]
    }

    /// The fastest speed that is not above `wanted`.
    pub fn set_speed(&mut self, wanted: u32) {
        self.speed = SPEEDS.iter().rposition(|speed| *speed <= wanted).unwrap_or(0);
    }

    /// `>`
    pub fn faster(&mut self) {
        self.speed = (self.speed + 1).min(SPEEDS.len() - 1);
    }

    /// `<`
    pub fn slower(&mut self) {
        self.speed = self.speed.saturating_sub(1);
    }

    /// Whether long pauses are shortened.
    pub fn skips_idle(&self) -> bool {
        self.skip_idle
    }

    /// `i`
    pub fn toggle_skip_idle(&mut self) {
        self.skip_idle = !self.skip_idle;
    }

    /// Recorded time shown, from the session's opening: between two statements it runs evenly. `offset` tells when a
    /// statement began, where that is loaded.
    pub fn clock_ns(&self, offset: impl Fn(i64) -> Option<i64>) -> i64 {
        let Some(here) = offset(self.at) else { return 0 };
        let Some(next) = offset(self.at + 1) else { return here };
        let wait = self.wait(next.saturating_sub(here));
        if wait == 0 {
            return here;
        }
        let passed = i128::from(next.saturating_sub(here)) * i128::from(self.waited_ns.min(wait)) / i128::from(wait);
        here.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Lets real time pass; true where the statement shown changed. Stops at the last one, and waits where the next one is
    /// not loaded.
    pub fn tick(&mut self, elapsed_ns: i64, offset: impl Fn(i64) -> Option<i64>) -> bool {
        if !self.playing {
            return false;
        }
        let before = self.at;
        self.waited_ns = self.waited_ns.saturating_add(elapsed_ns.max(0).saturating_mul(i64::from(self.speed())));
        while self.at < self.last {
            let (Some(here), Some(next)) = (offset(self.at), offset(self.at + 1)) else {
                // A hole in the record, or not here yet: no time passes over it.
                self.waited_ns = 0;
                break;
            };
            let wait = self.wait(next.saturating_sub(here));
            if self.waited_ns < wait {
                break;
            }
            self.waited_ns -= wait;
            self.at += 1;
        }
        if self.at >= self.last {
            self.playing = false;
            self.waited_ns = 0;
        }
        self.at != before
    }

    /// From one start to the next one's, a skipped pause shortened.
    fn wait(&self, gap: i64) -> i64 {
        let gap = gap.max(0);
        if self.skip_idle && gap > IDLE_NS { SKIPPED_IDLE_NS } else { gap }
    }
}

#[cfg(test)]
mod tests;
