//! Cancel keys: what a job holds, and what it stands for at the database.
//!
//! Invariants: a job never sees the database's own key; a key dies with its session; a guess is answered like a hit,
//! by silence. Source: the PostgreSQL manual, "Canceling Requests in Progress".

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use uuid::Uuid;

/// Keys of all sessions of the process.
#[derive(Debug, Default)]
pub(crate) struct CancelKeys(Arc<Mutex<HashMap<u32, Entry>>>);

#[derive(Debug)]
struct Entry {
    secret: u32,
    meant: Meant,
}

/// What a good key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meant {
    /// The session.
    pub(crate) session: Uuid,
    /// Its target, by place in the options.
    pub(crate) target: usize,
    /// BackendKeyData of its connection to the database.
    pub(crate) upstream: (u32, u32),
}

/// The key of one session; it dies with this.
#[derive(Debug)]
pub(crate) struct Key {
    keys: Arc<Mutex<HashMap<u32, Entry>>>,
    process_id: u32,
    secret: u32,
}

impl CancelKeys {
    /// A random key that means `meant`.
    pub(crate) fn add(&self, meant: Meant) -> Key {
        let mut random = rand::rng();
        let secret = random.random();
        let mut keys = self.0.lock();
        let process_id = loop {
            // Clients take it as a signed number and some print it: no negative ones.
            let candidate = random.random_range(1..=i32::MAX.cast_unsigned());
            if !keys.contains_key(&candidate) {
                break candidate;
            }
        };
        keys.insert(process_id, Entry { secret, meant });
        Key { keys: self.0.clone(), process_id, secret }
    }

    /// What a key from a CancelRequest stands for, if it is a good one for this target.
    pub(crate) fn find(&self, target: usize, process_id: u32, secret: &[u8]) -> Option<Meant> {
        let keys = self.0.lock();
        let entry = keys.get(&process_id)?;
        (entry.secret.to_be_bytes() == secret && entry.meant.target == target).then_some(entry.meant)
    }
}

impl Key {
    /// The BackendKeyData frame that tells the job its key.
    pub(crate) fn frame(&self) -> [u8; 13] {
        let mut frame = *b"K\0\0\0\x0c\0\0\0\0\0\0\0\0";
        frame[5..9].copy_from_slice(&self.process_id.to_be_bytes());
        frame[9..].copy_from_slice(&self.secret.to_be_bytes());
        frame
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_of_a_live_session_is_known() {
        let keys = CancelKeys::default();
        let meant = Meant { session: Uuid::nil(), target: 1, upstream: (7, 8) };
        let key = keys.add(meant);
        let (process_id, secret) = (key.process_id, key.secret.to_be_bytes());
        assert_eq!(keys.find(1, process_id, &secret), Some(meant));
        assert_eq!(keys.find(0, process_id, &secret), None);
        assert_eq!(keys.find(1, process_id, &[0; 256]), None);
        assert_eq!(keys.find(1, process_id, &(!key.secret).to_be_bytes()), None);
        assert_eq!(&key.frame()[5..9], process_id.to_be_bytes());
        drop(key);
        assert_eq!(keys.find(1, process_id, &secret), None);
    }
}
