//! Cancel keys: what a job holds, and what it stands for at the database.
//!
//! Invariants: a job never sees the database's own key; a key dies with its session; a guess is answered like a hit, by
//! silence, and takes as long to tell apart however much of it is right; whoever guesses more than [`GUESSES`] times a
//! minute is not listened to. Source: the PostgreSQL manual, "Canceling Requests in Progress".
//!
//! A request acts on what the session runs when it arrives at the database, as without Hansard: the protocol does not
//! say which statement is meant. The job's connection is closed when the database has taken the request, so a client
//! that waits for that, as libpq does, never cancels a statement that it begins afterwards.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use rand::Rng;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// Wrong keys that one address may send in [`WINDOW`].
const GUESSES: u32 = 100;
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses whose guesses are counted.
const MOST_GUESSERS: u64 = 4096;

/// Bytes of a secret: of protocol 3.2, and before.
const LONG: usize = 32;
const SHORT: usize = 4;

/// Keys of all sessions of the process.
#[derive(Debug)]
pub(crate) struct CancelKeys {
    keys: Keys,
    guesses: Cache<IpAddr, Arc<AtomicU32>>,
}

/// By target and process id. One target's database gives an id again while a session that had it still ends, and
/// several databases behind one address give the same.
type Keys = Arc<Mutex<HashMap<(usize, u32), Vec<Entry>>>>;

#[derive(Debug)]
struct Entry {
    secret: Vec<u8>,
    meant: CancelTarget,
}

/// What a good key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CancelTarget {
    /// The session.
    pub(crate) session: Uuid,
    /// Its target, by place in the options.
    pub(crate) target: usize,
    pub(crate) upstream: UpstreamKey,
}

/// BackendKeyData of a connection to a database.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct UpstreamKey {
    pub(crate) process_id: u32,
    /// 4 to 256 bytes; none where the database gave no key.
    pub(crate) secret: Arc<[u8]>,
}

impl std::fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamKey").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// Somebody guesses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyGuesses;

/// The key of one session; it dies with this.
#[derive(Debug)]
pub(crate) struct Key {
    keys: Keys,
    place: (usize, u32),
    secret: Vec<u8>,
}

impl CancelKeys {
    pub(crate) fn new() -> CancelKeys {
        let guesses = Cache::builder().max_capacity(MOST_GUESSERS).time_to_live(WINDOW).build();
        CancelKeys { keys: Arc::default(), guesses }
    }

    /// A key that means `meant`: the database's process id, which is no secret and which jobs compare with
    /// `pg_backend_pid()` and with a notification's sender, and a secret of our own. `long` ones are for protocol 3.2.
    pub(crate) fn add(&self, meant: CancelTarget, long: bool) -> Key {
        let mut secret = vec![0; if long { LONG } else { SHORT }];
        rand::rng().fill(&mut secret[..]);
        let place = (meant.target, meant.upstream.process_id);
        self.keys.lock().entry(place).or_default().push(Entry { secret: secret.clone(), meant });
        Key { keys: self.keys.clone(), place, secret }
    }

    /// What a key from a CancelRequest stands for, if it is a good one for this target.
    pub(crate) fn find(
        &self,
        target: usize,
        process_id: u32,
        secret: &[u8],
        from: IpAddr,
    ) -> Result<Option<CancelTarget>, TooManyGuesses> {
        if self.guesses.get(&from).is_some_and(|guesses| guesses.load(Ordering::Relaxed) >= GUESSES) {
            return Err(TooManyGuesses);
        }
        let found = {
            let keys = self.keys.lock();
            let mut found = None;
            for entry in keys.get(&(target, process_id)).into_iter().flatten() {
                if entry.secret.ct_eq(secret).into() {
                    found = Some(entry.meant.clone());
                }
            }
            found
        };
        if found.is_none() {
            self.guesses.get_with(from, Arc::default).fetch_add(1, Ordering::Relaxed);
        }
        Ok(found)
    }
}

impl Key {
    /// The BackendKeyData frame that tells the job its key.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = vec![b'K', 0, 0, 0, 0];
        frame.extend(self.place.1.to_be_bytes());
        frame.extend(&self.secret);
        super::refusal::set_length(&mut frame);
        frame
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut keys = self.keys.lock();
        if let Some(entries) = keys.get_mut(&self.place) {
            entries.retain(|entry| entry.secret != self.secret);
            if entries.is_empty() {
                keys.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn meant() -> CancelTarget {
        CancelTarget { session: Uuid::nil(), target: 1, upstream: UpstreamKey { process_id: 7, secret: [1, 2].into() } }
    }

    #[test]
    fn only_the_right_key_of_a_live_session_is_known() {
        for (long, length) in [(false, 13), (true, 41)] {
            let keys = CancelKeys::new();
            let key = keys.add(meant(), long);
            let (process_id, secret) = (7, key.secret.clone());
            assert_eq!(keys.find(1, process_id, &secret, HERE), Ok(Some(meant())));
            let mut other = secret.clone();
            *other.last_mut().unwrap() ^= 1;
            for (target, process_id, secret) in [
                (0, process_id, &secret[..]),
                (1, process_id ^ 1, &secret),
                (1, process_id, &other),
                (1, process_id, &secret[..secret.len() - 1]),
                (1, process_id, &[0; 256]),
                (1, process_id ^ 1, &[0; 4]),
            ] {
                assert_eq!(keys.find(target, process_id, secret, HERE), Ok(None));
            }
            assert_eq!(key.frame().len(), length);
            assert_eq!(&key.frame()[5..9], [0, 0, 0, 7], "as pg_backend_pid() says");
            drop(key);
            assert_eq!(keys.find(1, process_id, &secret, HERE), Ok(None));
        }
    }

    #[test]
    fn sessions_with_one_process_id_have_a_key_each() {
        let keys = CancelKeys::new();
        let other = CancelTarget { session: Uuid::max(), ..meant() };
        let (first, second) = (keys.add(meant(), false), keys.add(other.clone(), false));
        assert_eq!(keys.find(1, 7, &first.secret, HERE), Ok(Some(meant())));
        assert_eq!(keys.find(1, 7, &second.secret, HERE), Ok(Some(other.clone())));
        let gone = first.secret.clone();
        drop(first);
        assert_eq!(keys.find(1, 7, &gone, HERE), Ok(None));
        assert_eq!(keys.find(1, 7, &second.secret, HERE), Ok(Some(other)));
        drop(second);
        assert!(keys.keys.lock().is_empty());
    }

    #[test]
    fn whoever_guesses_is_not_listened_to() {
        let keys = CancelKeys::new();
        let key = keys.add(meant(), false);
        for _ in 0..GUESSES {
            assert_eq!(keys.find(1, 7 ^ 1, &key.secret, HERE), Ok(None));
        }
        assert_eq!(keys.find(1, 7, &key.secret, HERE), Err(TooManyGuesses));
        let elsewhere = "192.0.2.1".parse().unwrap();
        assert_eq!(keys.find(1, 7, &key.secret, elsewhere), Ok(Some(meant())));
    }
}
