//! The statements of a session that are in the browser: pages of them, the ones used last.
//!
//! Invariants: memory is bounded, whatever the session's length; a statement that the record lacks is told apart from one
//! that is not loaded.

use std::{collections::BTreeMap, sync::Arc};

use hansard_schemas::http::Step;

/// Statements of a page.
pub const PAGE: i64 = 100;
/// Pages kept.
const KEPT: usize = 40;

/// A statement, as far as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Not asked for, or on its way.
    NotLoaded,
    /// The record has none of that number.
    Absent,
    /// Here.
    Here(Arc<Step>),
}

#[derive(Debug, Default)]
struct Kept {
    steps: Vec<Arc<Step>>,
    used: u64,
}

/// The pages that are here.
#[derive(Debug, Default)]
pub struct Steps {
    pages: BTreeMap<i64, Kept>,
    clock: u64,
}

/// The page that a statement is on.
pub fn page_of(no: i64) -> i64 {
    (no - 1).div_euclid(PAGE)
}

/// The first statement of a page.
pub fn first_of(page: i64) -> i64 {
    page * PAGE + 1
}

impl Steps {
    /// A statement by its number.
    pub fn get(&self, no: i64) -> Lookup {
        let Some(kept) = self.pages.get(&page_of(no)) else { return Lookup::NotLoaded };
        match kept.steps.binary_search_by_key(&no, |step| step.no) {
            Ok(place) => Lookup::Here(kept.steps[place].clone()),
            Err(_) => Lookup::Absent,
        }
    }

    /// The same, where only one that is here is of use.
    pub fn here(&self, no: i64) -> Option<Arc<Step>> {
        match self.get(no) {
            Lookup::Here(step) => Some(step),
            Lookup::Absent | Lookup::NotLoaded => None,
        }
    }

    /// True where a page is here; it counts as used.
    pub fn use_page(&mut self, page: i64) -> bool {
        self.clock += 1;
        match self.pages.get_mut(&page) {
            Some(kept) => {
                kept.used = self.clock;
                true
            }
            None => false,
        }
    }

    /// Takes a page over, as it was answered; what belongs to other pages is left out, and the page that was used
    /// longest ago makes room.
    pub fn put(&mut self, page: i64, steps: Vec<Step>) {
        self.clock += 1;
        let steps = steps.into_iter().filter(|step| page_of(step.no) == page).map(Arc::new).collect();
        self.pages.insert(page, Kept { steps, used: self.clock });
        if self.pages.len() > KEPT
            && let Some(oldest) = self.pages.iter().min_by_key(|(_, kept)| kept.used).map(|(page, _)| *page)
        {
            self.pages.remove(&oldest);
        }
    }

    /// Replaces a statement by a fuller one.
    pub fn replace(&mut self, step: Step) {
        if let Some(kept) = self.pages.get_mut(&page_of(step.no))
            && let Ok(place) = kept.steps.binary_search_by_key(&step.no, |step| step.no)
        {
            kept.steps[place] = Arc::new(step);
        }
    }

    /// Pages that may say more by now: they are not full, or something in them has not ended.
    pub fn unsettled(&self) -> Vec<i64> {
        let full = usize::try_from(PAGE).unwrap_or(usize::MAX);
        let open = |step: &Arc<Step>| step.transaction_outcome == "open" || step.duration_ns.is_none();
        let unsettled = |kept: &Kept| kept.steps.len() < full || kept.steps.iter().any(open);
        self.pages.iter().filter(|(_, kept)| unsettled(kept)).map(|(page, _)| *page).collect()
    }

    /// All that are here, in order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Step>> {
        self.pages.values().flat_map(|kept| &kept.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(numbers: impl IntoIterator<Item = i64>) -> Vec<Step> {
        let step = |no| Step { no, duration_ns: Some(1), transaction_outcome: "committed".into(), ..Step::default() };
        numbers.into_iter().map(step).collect()
    }

    #[test]
    fn what_the_record_lacks_is_not_what_is_not_loaded() {
        let mut all = Steps::default();
        all.put(0, steps([1, 2, 4, 101]));
        assert!(matches!(all.get(4), Lookup::Here(step) if step.no == 4));
        assert_eq!((all.get(3), all.get(100)), (Lookup::Absent, Lookup::Absent));
        assert_eq!(
            (all.get(101), all.get(0), all.get(i64::MIN + 1)),
            (Lookup::NotLoaded, Lookup::NotLoaded, Lookup::NotLoaded)
        );
    }

    #[test]
    fn a_long_session_is_not_kept_whole() {
        let mut all = Steps::default();
        for page in 0..10_000 {
            all.put(page, steps(first_of(page)..first_of(page + 1)));
            all.use_page(0);
        }
        assert_eq!(all.all().count(), KEPT * 100);
        assert!(all.here(1).is_some() && all.here(1_000_000).is_some() && all.here(500_000).is_none());
        assert!(all.all().map(|step| step.no).is_sorted());
    }

    #[test]
    fn what_may_have_gone_on_is_asked_for_again() {
        let mut all = Steps::default();
        all.put(0, steps(1..=100));
        all.put(1, steps(101..=150));
        let mut open = steps(201..=300);
        open[3].transaction_outcome = "open".into();
        all.put(2, open);
        assert_eq!(all.unsettled(), [1, 2]);
        let whole = Step { no: 101, sql: "whole".into(), ..Step::default() };
        all.replace(whole);
        assert_eq!(all.here(101).unwrap().sql, "whole");
    }
}
