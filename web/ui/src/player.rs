//! The replay as a state machine: which statement is shown, and where going on leads.
//!
//! Invariants: the cursor is always a statement that exists, or none when there are none; positions are statements,
//! never offsets in time; time comes in as elapsed nanoseconds, so the same inputs always lead to the same state.
//! Nothing here draws, fetches or reads a clock.

use hansard_schemas::http::Step;

/// Speeds to choose from, in recorded time per real time.
pub const SPEEDS: [u32; 7] = [1, 2, 4, 8, 16, 60, 600];
/// Pauses longer than this are idle time.
pub const IDLE_NS: i64 = 2_000_000_000;
/// What is left of a pause when idle time is skipped.
const SKIPPED_IDLE_NS: i64 = 500_000_000;

/// What a statement is to somebody who looks for what matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Policy did not let it through.
    Denied,
    /// The database refused it.
    Failed,
    /// It changed something, or may have.
    Write,
    /// It only read.
    Read,
    /// Session and transaction control.
    Control,
}

/// A statement as the player sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The statement's number in its session.
    pub no: i64,
    /// From the session's opening, nanoseconds.
    pub offset_ns: i64,
    /// How long it ran; 0 where that is unknown.
    pub duration_ns: i64,
    /// The transaction it is in.
    pub transaction_id: i64,
    /// What it is.
    pub class: Class,
}

impl Mark {
    /// From a step of the API.
    pub fn of(step: &Step) -> Mark {
        Mark {
            no: step.no,
            offset_ns: step.offset_ns.max(0),
            duration_ns: step.duration_ns.unwrap_or(0).max(0),
            transaction_id: step.transaction_id,
            class: classify(step),
        }
    }

    /// True for what `n` and `N` go to.
    pub fn is_trouble(&self) -> bool {
        matches!(self.class, Class::Denied | Class::Failed)
    }
}

/// What kind of statement a step is.
pub fn classify(step: &Step) -> Class {
    if step.verdict == "deny" {
        return Class::Denied;
    }
    if step.sqlstate.is_some() {
        return Class::Failed;
    }
    match step.operation.as_str() {
        "select" | "copy_out" | "show" | "explain" | "fetch" => Class::Read,
        "transaction" | "set" | "prepare" | "deallocate" | "declare" | "close" | "listen" | "lock" | "empty" => {
            Class::Control
        }
        // What is not known to be harmless counts as a write.
        _ => Class::Write,
    }
}

/// Where a key leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// `j`
    NextStatement,
    /// `k`
    PreviousStatement,
    /// `J`
    NextTransaction,
    /// `K`
    PreviousTransaction,
    /// `n`
    NextTrouble,
    /// `N`
    PreviousTrouble,
    /// Home
    First,
    /// End
    Last,
    /// Right arrow: recorded time, nanoseconds; negative goes back.
    Seek(i64),
}

/// The state of one replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    marks: Vec<Mark>,
    /// Index into `marks`; 0 when there are none.
    at: usize,
    /// While playing: time waited for the next statement, of what [`Player::wait`] demands.
    waited_ns: i64,
    playing: bool,
    speed: usize,
    skip_idle: bool,
    /// A deep link to a statement that has not been loaded yet.
    wanted: Option<i64>,
    /// Somebody moved: loading more must not move again.
    settled: bool,
}

impl Default for Player {
    fn default() -> Player {
        Player::new(None)
    }
}

impl Player {
    /// A player without statements; `step` is the deep link's statement.
    pub fn new(step: Option<i64>) -> Player {
        Player {
            marks: Vec::new(),
            at: 0,
            waited_ns: 0,
            playing: false,
            speed: 0,
            skip_idle: true,
            wanted: step,
            settled: false,
        }
    }

    /// Replaces the statements by a longer list of the same session: the cursor stays on its statement. Before
    /// anybody moved it lands on the deep link's, else on the first denial, error or write, else on the first one.
    pub fn load(&mut self, marks: Vec<Mark>) {
        let shown = self.current().map(|mark| mark.no);
        self.marks = marks;
        self.at = match (self.settled, shown) {
            (true, Some(no)) => self.place_of(no).unwrap_or(0),
            _ => self.landing(),
        };
    }

    fn landing(&mut self) -> usize {
        if let Some(no) = self.wanted {
            if let Some(place) = self.place_of(no) {
                self.wanted = None;
                self.settled = true;
                return place;
            }
            // Not loaded yet: the nearest before it, until it comes.
            return self.marks.iter().rposition(|mark| mark.no < no).unwrap_or(0);
        }
        let first = |wanted: fn(&Mark) -> bool| self.marks.iter().position(wanted);
        first(|mark| mark.class == Class::Denied)
            .or_else(|| first(|mark| mark.class == Class::Failed))
            .or_else(|| first(|mark| mark.class == Class::Write))
            .unwrap_or(0)
    }

    /// The statements.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The statement shown.
    pub fn current(&self) -> Option<&Mark> {
        self.marks.get(self.at)
    }

    /// Its place in the list, from 0.
    pub fn place(&self) -> usize {
        self.at
    }

    /// A deep link's statement that is still to be loaded.
    pub fn wanted(&self) -> Option<i64> {
        self.wanted
    }

    /// Goes to a statement by its number; false where it is not loaded.
    pub fn go(&mut self, no: i64) -> bool {
        match self.place_of(no) {
            Some(place) => {
                self.move_to(place);
                true
            }
            None => false,
        }
    }

    /// Goes to a place in the list, from 0; beyond the end means the last.
    pub fn go_to_place(&mut self, place: usize) {
        self.move_to(place.min(self.marks.len().saturating_sub(1)));
    }

    /// Moves; false where there is nothing that way.
    pub fn step(&mut self, to: Move) -> bool {
        match self.place_after(to) {
            Some(place) => {
                self.move_to(place);
                true
            }
            None => false,
        }
    }

    /// Whether a move leads anywhere.
    pub fn can(&self, to: Move) -> bool {
        self.place_after(to).is_some()
    }

    fn place_after(&self, to: Move) -> Option<usize> {
        let place = match to {
            Move::NextStatement => Some(self.at + 1),
            Move::PreviousStatement => self.at.checked_sub(1),
            Move::NextTransaction => self.next_transaction(),
            Move::PreviousTransaction => self.previous_transaction(),
            Move::NextTrouble => self
                .marks
                .iter()
                .enumerate()
                .skip(self.at + 1)
                .find(|(_, mark)| mark.is_trouble())
                .map(|(place, _)| place),
            Move::PreviousTrouble => self.marks.iter().take(self.at).rposition(Mark::is_trouble),
            Move::First => Some(0),
            Move::Last => self.marks.len().checked_sub(1),
            Move::Seek(by) => self.seek(by),
        };
        place.filter(|place| *place < self.marks.len() && *place != self.at)
    }

    fn next_transaction(&self) -> Option<usize> {
        let here = self.current()?.transaction_id;
        let later = self.marks.iter().enumerate().skip(self.at + 1);
        later.into_iter().find(|(_, mark)| mark.transaction_id != here).map(|(place, _)| place)
    }

    /// The beginning of this transaction; from there the beginning of the one before.
    fn previous_transaction(&self) -> Option<usize> {
        let start = self.transaction_start(self.at)?;
        if start < self.at { Some(start) } else { self.transaction_start(start.checked_sub(1)?) }
    }

    fn transaction_start(&self, place: usize) -> Option<usize> {
        let id = self.marks.get(place)?.transaction_id;
        let other = self.marks.iter().take(place).rposition(|mark| mark.transaction_id != id);
        Some(other.map_or(0, |other| other + 1))
    }

    /// The last statement begun by then; always moves at least one, or the key would seem dead.
    fn seek(&self, by: i64) -> Option<usize> {
        let then = self.current()?.offset_ns.saturating_add(by);
        let place = self.marks.iter().rposition(|mark| mark.offset_ns <= then).unwrap_or(0);
        if by >= 0 { Some(place.max(self.at + 1)) } else { Some(place.min(self.at.checked_sub(1)?)) }
    }

    fn move_to(&mut self, place: usize) {
        self.settled = true;
        self.wanted = None;
        self.at = place;
        self.waited_ns = 0;
    }

    fn place_of(&self, no: i64) -> Option<usize> {
        self.marks.binary_search_by_key(&no, |mark| mark.no).ok()
    }

    /// True while it plays.
    pub fn is_playing(&self) -> bool {
        self.playing
    }

    /// Space: plays, or stops. At the end it begins again.
    pub fn toggle_play(&mut self) {
        self.playing = !self.playing && !self.marks.is_empty();
        if self.playing && self.at + 1 >= self.marks.len() {
            self.move_to(0);
        }
    }

    /// Stops.
    pub fn pause(&mut self) {
        self.playing = false;
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

    /// Recorded time shown, from the session's opening: between two statements it runs evenly.
    pub fn clock_ns(&self) -> i64 {
        let Some(here) = self.current() else { return 0 };
        let wait = self.wait();
        let Some(next) = self.marks.get(self.at + 1).filter(|_| wait > 0) else { return here.offset_ns };
        let gap = i128::from(next.offset_ns.saturating_sub(here.offset_ns));
        let passed = gap * i128::from(self.waited_ns.min(wait)) / i128::from(wait);
        here.offset_ns.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Lets real time pass; true where the statement shown changed. Stops at the last one.
    pub fn tick(&mut self, elapsed_ns: i64) -> bool {
        if !self.playing {
            return false;
        }
        let before = self.at;
        self.waited_ns = self.waited_ns.saturating_add(elapsed_ns.max(0).saturating_mul(i64::from(self.speed())));
        while self.at + 1 < self.marks.len() && self.waited_ns >= self.wait() {
            self.waited_ns -= self.wait();
            self.at += 1;
            self.settled = true;
        }
        if self.at + 1 >= self.marks.len() {
            self.playing = false;
            self.waited_ns = 0;
        }
        self.at != before
    }

    /// From this statement's start to the next one's, a skipped pause shortened.
    fn wait(&self) -> i64 {
        let (Some(here), Some(next)) = (self.current(), self.marks.get(self.at + 1)) else { return 0 };
        let gap = next.offset_ns.saturating_sub(here.offset_ns).max(0);
        if self.skip_idle && gap > IDLE_NS { SKIPPED_IDLE_NS } else { gap }
    }
}

#[cfg(test)]
mod tests;
