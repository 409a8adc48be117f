//! Whether somebody still waits for a question's answer, and the memory that all questions share.
//!
//! Invariants: a question that was given up gets no more memory, no more rows and no more values: each of its operators
//! ends with an error at its next step. The memory of all questions together has one limit, and what the pages ask keeps
//! a part of it for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

use crate::Error;

/// Most memory that is kept for what the pages ask.
const RESERVE: usize = 64 * 1024 * 1024;

/// Whether somebody still waits.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    given_up: AtomicBool,
}

impl Standing {
    /// Nobody waits any more.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// An error, once nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), DataFusionError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(DataFusionError::External(Box::new(Error::GivenUp)));
        }
        Ok(())
    }
}

/// The memory of all questions.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    used: AtomicUsize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Memory {
        Memory { limit, used: AtomicUsize::new(0) }
    }

    /// Bytes that all questions hold now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that questions of a lane may bring the sum to.
    fn limit(&self, pages: bool) -> usize {
        if pages { self.limit } else { self.limit - (self.limit / 4).min(RESERVE) }
    }
}

/// What one question takes of the memory of all.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    standing: Arc<Standing>,
    pages: bool,
}

impl Share {
    pub(crate) fn new(memory: &Arc<Memory>, standing: &Arc<Standing>, pages: bool) -> Share {
        Share { memory: Arc::clone(memory), standing: Arc::clone(standing), pages }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the memory of all questions")
    }
}

impl MemoryPool for Share {
    fn name(&self) -> &str {
        "questions"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.memory.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.memory.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), DataFusionError> {
        self.standing.check()?;
        let limit = self.memory.limit(self.pages);
        let more = |used: usize| used.checked_add(additional).filter(|sum| *sum <= limit);
        match self.memory.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(used) => Err(DataFusionError::ResourcesExhausted(format!(
                "{} wants {additional} bytes more than the {used} of {limit} that all questions hold",
                reservation.consumer().name()
            ))),
        }
    }

    fn reserved(&self) -> usize {
        self.memory.used()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.memory.limit(self.pages))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryConsumer;

    use super::*;

    fn share(memory: &Arc<Memory>, standing: &Arc<Standing>, pages: bool) -> Arc<dyn MemoryPool> {
        Arc::new(Share::new(memory, standing, pages))
    }

    #[test]
    fn all_questions_share_one_memory_and_pages_keep_a_part_of_it() {
        let (memory, standing) = (Arc::new(Memory::new(1000)), Arc::new(Standing::default()));
        let asked = [share(&memory, &standing, false), share(&memory, &standing, false)];
        let first = MemoryConsumer::new("a").register(&asked[0]);
        let second = MemoryConsumer::new("b").register(&asked[1]);
        first.try_grow(500).unwrap();
        second.try_grow(251).unwrap_err();
        second.try_grow(250).unwrap();
        let page = MemoryConsumer::new("c").register(&share(&memory, &standing, true));
        page.try_grow(251).unwrap_err();
        page.try_grow(250).unwrap();
        drop((first, second, page));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_was_given_up_gets_no_more_memory() {
        let (memory, standing) = (Arc::new(Memory::new(1000)), Arc::new(Standing::default()));
        let reservation = MemoryConsumer::new("a").register(&share(&memory, &standing, false));
        reservation.try_grow(1).unwrap();
        standing.give_up();
        reservation.try_grow(1).unwrap_err();
    }
}
