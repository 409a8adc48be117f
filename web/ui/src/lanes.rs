//! The timeline's lanes: stretches of time in which statements of a kind ran.
//!
//! Invariants: places are times, as the server counted them, so a session's length costs nothing here; the number of pieces is
//! bounded by that of the server's stretches.

use hansard_schemas::http::{Overview, Stretch};

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Only read.
    Reads,
    /// Changed something.
    Writes,
    /// Denied, or failed.
    Errors,
    /// Nothing ran.
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

    fn holds(self, stretch: &Stretch) -> bool {
        match self {
            Lane::Reads => stretch.reads > 0,
            Lane::Writes => stretch.writes > 0,
            Lane::Errors => stretch.denied + stretch.failed > 0,
            Lane::Idle => false,
        }
    }
}

/// A piece of a lane, in thousandths of its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub from: i64,
    /// How far it goes.
    pub width: i64,
}

/// The pieces of one lane.
pub fn pieces(overview: &Overview, lane: Lane) -> Vec<Piece> {
    let all = overview.stretches.max(1);
    let mut found: Vec<Piece> = Vec::new();
    let mut fill = |from: i64, to: i64| {
        let (from, to) = (from * 1000 / all, to * 1000 / all);
        match found.last_mut() {
            Some(last) if last.from + last.width >= from => last.width = to - last.from,
            _ if to > from => found.push(Piece { from, width: to - from }),
            _ => {}
        }
    };
    if lane == Lane::Idle {
        let mut after = 0;
        for stretch in &overview.busy {
            if stretch.no > after {
                fill(after, stretch.no);
            }
            after = stretch.no + 1;
        }
        if after < overview.stretches {
            fill(after, overview.stretches);
        }
    } else {
        for stretch in overview.busy.iter().filter(|stretch| lane.holds(stretch)) {
            fill(stretch.no, stretch.no + 1);
        }
    }
    found
}

/// A time in thousandths of the lanes' width, with three places.
pub fn place(overview: &Overview, offset_ns: i64) -> i64 {
    let all = i128::from(overview.width_ns.max(1)) * i128::from(overview.stretches.max(1));
    let since = i128::from(offset_ns.saturating_sub(overview.from_ns));
    i64::try_from((since * 1_000_000 / all).clamp(0, 1_000_000)).unwrap_or(0)
}

/// The statement to show for a click at so many thousandths: the first one of that stretch, or the next that has one, else
/// the last one.
pub fn statement_at(overview: &Overview, thousandths: i64) -> i64 {
    let no = thousandths.clamp(0, 999) * overview.stretches / 1000;
    let next = overview.busy.iter().find(|stretch| stretch.no >= no);
    next.map_or(overview.last, |stretch| stretch.first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(busy: Vec<Stretch>) -> Overview {
        Overview { last: 9, from_ns: 100, width_ns: 10, stretches: 10, busy, ..Overview::default() }
    }

    fn stretch(no: i64, reads: i64, writes: i64, failed: i64) -> Stretch {
        Stretch { no, first: no + 1, statements: reads + writes + failed, reads, writes, denied: 0, failed }
    }

    #[test]
    fn neighbours_are_one_piece_and_what_is_between_is_idle() {
        let overview = overview(vec![stretch(0, 1, 0, 0), stretch(1, 2, 1, 0), stretch(5, 0, 0, 1)]);
        assert_eq!(pieces(&overview, Lane::Reads), [Piece { from: 0, width: 200 }]);
        assert_eq!(pieces(&overview, Lane::Writes), [Piece { from: 100, width: 100 }]);
        assert_eq!(pieces(&overview, Lane::Errors), [Piece { from: 500, width: 100 }]);
        assert_eq!(pieces(&overview, Lane::Idle), [Piece { from: 200, width: 300 }, Piece { from: 600, width: 400 }]);
    }

    #[test]
    fn times_and_clicks_have_places() {
        let overview = overview(vec![stretch(0, 1, 0, 0), stretch(5, 0, 0, 1)]);
        assert_eq!((place(&overview, 100), place(&overview, 150), place(&overview, i64::MAX)), (0, 500_000, 1_000_000));
        assert_eq!((statement_at(&overview, 0), statement_at(&overview, 300), statement_at(&overview, 900)), (1, 6, 9));
    }

    #[test]
    fn nothing_has_no_pieces_and_no_place() {
        let nothing = Overview::default();
        assert!(Lane::ALL.into_iter().all(|lane| pieces(&nothing, lane).is_empty()));
        assert_eq!((place(&nothing, 5), statement_at(&nothing, 5)), (1_000_000, 0));
    }
}
