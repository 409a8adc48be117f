//! Which processor core each worker thread runs on, and how exactly its timers ring.
//!
//! Left to itself, the scheduler moves busy threads between cores and at times puts two of them on one. A proxy with
//! as many threads as the process has cores therefore binds each thread to a core of its own as soon as two
//! connections are served. With one connection, its job, the thread and the database take turns, and the scheduler
//! does best to keep them side by side: the threads are let go when the last connection ends.
//!
//! A connection goes to the thread on the core where its packets arrive, if that is not busier than the others.
//!
//! Invariants: a thread is bound only to a core that the process was given; where cores and threads are not as many
//! (a CPU quota, a number of shards of the operator's own), none is.

use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::socket_incoming_cpu;
use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_setaffinity, set_current_timer_slack};

/// Connections from which on threads are bound.
const BIND_FROM: usize = 2;

/// How much later than asked a thread's timers may ring; see prctl(2), `PR_SET_TIMERSLACK`. The kernel then serves
/// them at its own next tick. Without it, each wait for the next message sets the clock's hardware and takes it back,
/// which costs a virtual machine more than recording does.
pub(crate) const TIMER_SLACK: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Cores {
    /// The process's cores, one for each thread; empty when threads are never bound.
    cores: Vec<usize>,
    threads: Vec<OnceLock<Pid>>,
    connections: AtomicUsize,
    bound: Mutex<bool>,
}

impl Cores {
    /// For so many threads.
    pub(crate) fn new(threads: usize) -> Cores {
        let given = sched_getaffinity(None).unwrap_or_default();
        let mut cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| given.is_set(core)).collect();
        // Under a CPU quota fewer than all of them may run at once, and other processes share them.
        let usable = std::thread::available_parallelism().map_or(0, usize::from);
        if cores.len() != threads || usable != threads {
            cores.clear();
        }
        Cores {
            cores,
            threads: (0..threads).map(|_| OnceLock::new()).collect(),
            connections: AtomicUsize::new(0),
            bound: Mutex::new(false),
        }
    }

    /// Tells which thread the calling one is, and sets its timers.
    pub(crate) fn enter(&self, own: usize) {
        let slack = u64::try_from(TIMER_SLACK.as_nanos()).ok().and_then(NonZeroU64::new);
        if let Err(error) = set_current_timer_slack(slack) {
            tracing::debug!(%error, own, "a thread's timers stay exact, which costs processor time");
        }
        if let Some(thread) = self.threads.get(own) {
            let _ = thread.set(gettid());
        }
    }

    /// The thread on the core that took in the connection's last packet: on one machine that of the peer, else the one
    /// that serves the network card's queue. What passes between the two then wakes no other core.
    pub(crate) fn thread_for(&self, connection: &impl AsFd) -> Option<usize> {
        let core = socket_incoming_cpu(connection).ok()?;
        let core = usize::try_from(core).ok()?;
        self.cores.iter().position(|&own| own == core)
    }

    pub(crate) fn connection_begins(&self) {
        if self.connections.fetch_add(1, Ordering::SeqCst) + 1 == BIND_FROM {
            self.adapt();
        }
    }

    pub(crate) fn connection_ends(&self) {
        if self.connections.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.adapt();
        }
    }

    /// Binds the threads, or lets them go.
    fn adapt(&self) {
        let mut bound = self.bound.lock();
        let bind = match self.connections.load(Ordering::SeqCst) {
            0 => false,
            BIND_FROM.. => true,
            _ => *bound,
        };
        if *bound == bind {
            return;
        }
        *bound = bind;
        for (own, thread) in self.threads.iter().enumerate() {
            let (Some(&thread), Some(_)) = (thread.get(), self.cores.get(own)) else { continue };
            let mut set = CpuSet::new();
            let allowed = if bind { &self.cores[own..=own] } else { &self.cores };
            allowed.iter().for_each(|&core| set.set(core));
            if let Err(error) = sched_setaffinity(Some(thread), &set) {
                tracing::debug!(%error, own, "a thread could not be bound to a core");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> u32 {
        sched_getaffinity(None).unwrap().count()
    }

    #[test]
    fn a_thread_is_bound_from_two_connections_on_until_there_are_none() {
        let threads = std::thread::available_parallelism().unwrap().get();
        let before = allowed();
        let cores = Cores::new(threads);
        cores.enter(0);
        let bound = if cores.cores.is_empty() { before } else { 1 };
        cores.connection_begins();
        assert_eq!(allowed(), before, "one connection");
        cores.connection_begins();
        assert_eq!(allowed(), bound, "two connections");
        cores.connection_ends();
        assert_eq!(allowed(), bound, "one is left");
        cores.connection_ends();
        assert_eq!(allowed(), before, "none is left");
    }

    #[test]
    fn a_connection_belongs_to_the_core_of_its_peer() {
        let given = sched_getaffinity(None).unwrap();
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| given.is_set(core)).collect();
        let cores = Cores { cores: all.clone(), ..Cores::new(0) };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for (thread, &core) in all.iter().enumerate() {
            let mut only = CpuSet::new();
            only.set(core);
            sched_setaffinity(None, &only).unwrap();
            let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert_eq!(cores.thread_for(&listener.accept().unwrap().0), Some(thread));
        }
        let none = Cores { cores: Vec::new(), ..cores };
        let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(none.thread_for(&listener.accept().unwrap().0), None);
    }

    #[test]
    fn as_many_threads_as_cores_or_none_is_bound() {
        let threads = std::thread::available_parallelism().unwrap().get() + 1;
        let before = allowed();
        let cores = Cores::new(threads);
        cores.enter(0);
        cores.connection_begins();
        cores.connection_begins();
        assert_eq!(allowed(), before);
    }
}
