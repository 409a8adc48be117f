//! Which rows of a long list are on the screen.
//!
//! Invariant: the list is never higher than browsers can scroll; where its rows would be, the scroll bar's way is shared
//! among them, and a row has its full height all the same.

/// Height of a row, in pixels; the style sheet has the same.
pub const ROW: f64 = 48.0;
/// Highest element; browsers give up at 17 to 33 million pixels.
const HIGHEST: f64 = 8_000_000.0;
/// Rows beyond the edges, so that scrolling shows no blank.
const BEYOND: i64 = 6;

/// A view into a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Rows of the list.
    pub total: i64,
    /// Height of the view, in pixels.
    pub height: f64,
    /// How far it is scrolled, in pixels.
    pub scroll: f64,
}

#[expect(clippy::cast_precision_loss, reason = "fewer rows than a float counts")]
fn float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "floored on purpose")]
fn floor(number: f64) -> i64 {
    number.floor() as i64
}

impl Window {
    /// Height of the whole list, in whole pixels.
    pub fn list_height(&self) -> i64 {
        floor((float(self.total) * ROW).min(HIGHEST))
    }

    /// How far the list can be scrolled.
    fn way(&self) -> f64 {
        (float(self.list_height()) - self.height).max(0.0)
    }

    /// The row at the top of the view, with what of it is scrolled away; from 0.
    fn top(&self) -> f64 {
        let way = self.way();
        if way == 0.0 {
            return 0.0;
        }
        let rows = float(self.total) - self.height / ROW;
        self.scroll.clamp(0.0, way) / way * rows
    }

    /// First and last row to draw, from 1.
    pub fn rows(&self) -> (i64, i64) {
        let first = floor(self.top());
        let shown = floor(self.height / ROW) + 2;
        ((first + 1 - BEYOND).max(1), (first + shown + BEYOND).min(self.total))
    }

    /// Where a row is drawn, in whole pixels from the list's top.
    pub fn offset(&self, row: i64) -> i64 {
        let way = self.way();
        floor(self.scroll.clamp(0.0, way) + (float(row - 1) - self.top()) * ROW + 0.5)
    }

    /// How far to scroll so that a row is in view; `None` where it is already.
    pub fn reveal(&self, row: i64) -> Option<f64> {
        let (row, top) = (float(row - 1), self.top());
        let shown = self.height / ROW;
        if row >= top && row + 1.0 <= top + shown {
            return None;
        }
        let near = if row < top && row + shown >= top { row } else { row + 1.0 - shown };
        let near = if row < top - shown || row > top + 2.0 * shown { row - shown / 2.0 } else { near };
        let (way, rows) = (self.way(), float(self.total) - shown);
        Some(if rows <= 0.0 { 0.0 } else { (near / rows).clamp(0.0, 1.0) * way })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revealed(mut window: Window, row: i64) -> Window {
        if let Some(scroll) = window.reveal(row) {
            window.scroll = scroll;
        }
        window
    }

    #[test]
    fn every_row_can_be_brought_into_view() {
        for total in [1, 5, 20, 1_000, 100_000, 1_000_000, 50_000_000] {
            for row in
                [1, 2, total / 3, total / 2, total - 1, total].into_iter().filter(|row| (1..=total).contains(row))
            {
                let window = revealed(Window { total, height: 500.0, scroll: 0.0 }, row);
                assert_eq!(window.reveal(row), None, "{row} of {total}");
                let (first, last) = window.rows();
                assert!(first <= row && row <= last && last - first < 40, "{row} of {total}: {first} to {last}");
                let place = float(window.offset(row)) - window.scroll;
                assert!((-1.0..=500.0).contains(&place), "{row} of {total} at {place}");
            }
        }
    }

    #[test]
    fn a_short_list_is_all_there_and_rows_follow_each_other() {
        let window = Window { total: 5, height: 500.0, scroll: 0.0 };
        assert_eq!((window.rows(), window.list_height()), ((1, 5), 240));
        assert_eq!((window.offset(1), window.offset(2)), (0, 48));
        let window = Window { total: 1_000_000, height: 500.0, scroll: 1_234_567.0 };
        assert!(float(window.list_height()) <= HIGHEST);
        assert!((window.offset(200_001) - window.offset(200_000) - 48).abs() <= 1);
    }

    #[test]
    fn the_next_row_scrolls_by_one() {
        let window = Window { total: 1_000, height: 480.0, scroll: 0.0 };
        assert_eq!(window.reveal(11), Some(ROW));
        let window = Window { scroll: 480.0, ..window };
        assert_eq!(window.reveal(10), Some(9.0 * ROW));
    }

    #[test]
    fn nothing_has_no_rows() {
        let window = Window { total: 0, height: 0.0, scroll: 0.0 };
        assert_eq!(window.list_height(), 0);
        assert!(window.rows().0 > window.rows().1);
    }
}
