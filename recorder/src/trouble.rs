//! What does not work now and is tried again: said once when it begins and once when it is over.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::chain;

/// First pause before another try.
const SHORTEST: Duration = Duration::from_millis(100);

/// Longest pause before another try.
const LONGEST: Duration = Duration::from_secs(5);

/// A thing that may fail for a while.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: &'static str,
    since: Option<Instant>,
    pause: Duration,
}

impl Trouble {
    /// `what` is said, in lower case, when it begins.
    pub(crate) fn new(what: &'static str) -> Trouble {
        Trouble { what, since: None, pause: SHORTEST }
    }

    /// It failed.
    pub(crate) fn met(&mut self, error: &dyn std::error::Error) {
        if self.since.is_none() {
            self.since = Some(Instant::now());
            tracing::warn!(error = %chain(error), "{}; trying again until it works", self.what);
        }
    }

    /// It works.
    pub(crate) fn over(&mut self) {
        self.pause = SHORTEST;
        if let Some(since) = self.since.take() {
            tracing::info!(after = ?since.elapsed(), "works again: {}", self.what);
        }
    }

    /// How long to wait before the next try: longer each time, up to a bound.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut trouble = Trouble::new("nothing works");
        let pauses: Vec<Duration> = (0..10).map(|_| trouble.pause()).collect();
        assert!(pauses.is_sorted() && pauses[0] == SHORTEST && pauses[9] == LONGEST);
        trouble.over();
        assert_eq!(trouble.pause(), SHORTEST);
    }
}
