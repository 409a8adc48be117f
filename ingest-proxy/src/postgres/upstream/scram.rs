//! SCRAM-SHA-256, the client's side, with the thousands of hashes kept for the next session.
//!
//! Invariants: nothing of a server's message is taken that has not been measured first (length, nonce, salt, number of
//! iterations); derived keys are kept only after the server has proved that it knows them, too; a proof is compared in
//! constant time. Source: RFC 5802, RFC 7677; the PostgreSQL manual, "SASL Authentication".

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hansard_identity::scram::{self, DerivedKeys};
use parking_lot::Mutex;
use rand::RngCore;
use ring::{digest, hmac};

use crate::options::Password;

/// Most rounds of hashing that a server may ask for: its own default is 4,096, and this many take a second.
pub(super) const MAX_ITERATIONS: u32 = 1_000_000;

/// Longest message of a server's, in bytes.
const MAX_MESSAGE: usize = 4096;

/// Keys kept for a target. One server has one salt for a role; behind a balancer there may be several.
const KEPT: usize = 8;

/// What a password becomes with a salt and a number of iterations.
#[derive(Clone)]
pub(super) struct Derived {
    client: [u8; 32],
    server: hmac::Key,
}

/// The keys that one target's password has become.
#[derive(Default)]
pub(super) struct Keys(Mutex<VecDeque<Kept>>);

struct Kept {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    derived: Arc<Derived>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("kept", &self.0.lock().len()).finish()
    }
}

impl Keys {
    pub(super) fn find(&self, salt: &[u8], iterations: NonZeroU32) -> Option<Arc<Derived>> {
        let kept = self.0.lock();
        kept.iter().find(|kept| kept.salt == salt && kept.iterations == iterations).map(|kept| kept.derived.clone())
    }

    fn keep(&self, salt: Vec<u8>, iterations: NonZeroU32, derived: Arc<Derived>) {
        let mut kept = self.0.lock();
        if kept.iter().any(|kept| kept.salt == salt && kept.iterations == iterations) {
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept { salt, iterations, derived });
    }
}

/// What the exchange is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding {
    /// Hansard does not ask for it.
    None,
    /// Hansard would, but the server does not offer it: a server that does will know that somebody has lied.
    NotOffered,
    /// The server's certificate, by its hash.
    EndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static str {
        match self {
            Binding::None => "n,,",
            Binding::NotOffered => "y,,",
            Binding::EndPoint(_) => "p=tls-server-end-point,,",
        }
    }

    fn encoded(&self) -> String {
        let mut bytes = self.header().as_bytes().to_vec();
        if let Binding::EndPoint(hash) = self {
            bytes.extend(hash);
        }
        STANDARD.encode(bytes)
    }
}

/// Before the server's challenge.
pub(super) struct Begun {
    binding: Binding,
    nonce: String,
}

/// Before the server's proof.
pub(super) struct Answered {
    /// The client-final-message.
    pub(super) message: String,
    derived: Arc<Derived>,
    challenge: Challenge,
    signed: String,
}

/// A server-first-message, read.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    nonce: String,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl Begun {
    pub(super) fn new(binding: Binding) -> Begun {
        let mut random = [0; 18];
        rand::rng().fill_bytes(&mut random);
        Begun::with_nonce(binding, STANDARD.encode(random))
    }

    pub(super) fn with_nonce(binding: Binding, nonce: String) -> Begun {
        Begun { binding, nonce }
    }

    /// The client-first-message; the role is the one of the StartupMessage.
    pub(super) fn message(&self) -> String {
        format!("{}n=,r={}", self.binding.header(), self.nonce)
    }

    /// Answers the server's challenge.
    pub(super) async fn answer(self, message: &[u8], password: &Password, keys: &Keys) -> Result<Answered, String> {
        let (challenge, text) = Challenge::read(message, &self.nonce)?;
        let derived = match keys.find(&challenge.salt, challenge.iterations) {
            Some(derived) => derived,
            None => {
                let (password, salt) = (password.clone(), challenge.salt.clone());
                let iterations = challenge.iterations;
                // Thousands of hashes: other sessions of this thread shall not wait for them.
                let derived = tokio::task::spawn_blocking(move || derive(&password, &salt, iterations)).await;
                Arc::new(derived.map_err(|_| "the SCRAM exchange was cut off".to_owned())?)
            }
        };
        let bare = format!("c={},r={}", self.binding.encoded(), challenge.nonce);
        let signed = format!("n=,r={},{text},{bare}", self.nonce);
        let stored = digest::digest(&digest::SHA256, &derived.client);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref()), signed.as_bytes());
        let mut proof = derived.client;
        for (byte, mask) in proof.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        let message = format!("{bare},p={}", STANDARD.encode(proof));
        Ok(Answered { message, derived, challenge, signed })
    }
}

impl Answered {
    /// The server-final-message of a server that knows the password.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn proof(&self) -> String {
        let proof = hmac::sign(&self.derived.server, self.signed.as_bytes());
        format!("v={}", STANDARD.encode(proof.as_ref()))
    }

    /// Checks the server's proof.
    pub(super) fn finish(self, message: &[u8], keys: &Keys) -> Result<(), String> {
        let text = text(message)?;
        if let Some(error) = text.strip_prefix("e=") {
            return Err(format!("it ended the SCRAM exchange: {error}"));
        }
        let proof = text.strip_prefix("v=").and_then(|proof| STANDARD.decode(proof).ok());
        let proof = proof.ok_or("its SCRAM proof is not valid")?;
        hmac::verify(&self.derived.server, self.signed.as_bytes(), &proof)
            .map_err(|_| "it did not prove that it knows the password")?;
        keys.keep(self.challenge.salt, self.challenge.iterations, self.derived);
        Ok(())
    }
}

impl Challenge {
    /// `r=NONCE,s=SALT,i=ITERATIONS`, and its text.
    fn read<'a>(message: &'a [u8], nonce: &str) -> Result<(Challenge, &'a str), String> {
        let text = text(message)?;
        let mut fields = text.split(',');
        let mut field =
            |name| fields.next().and_then(|field| field.strip_prefix(name)).ok_or("its SCRAM challenge is not valid");
        let (theirs, salt, iterations) = (field("r=")?, field("s=")?, field("i=")?);
        if fields.next().is_some() {
            return Err("its SCRAM challenge asks for what Hansard does not know".to_owned());
        }
        if !theirs.starts_with(nonce) || theirs.len() == nonce.len() {
            return Err("the nonce of its SCRAM challenge does not continue Hansard's".to_owned());
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        let salt = salt.ok_or("the salt of its SCRAM challenge is not valid")?;
        let iterations = iterations.parse().ok().filter(|count: &NonZeroU32| count.get() <= MAX_ITERATIONS);
        let iterations = iterations.ok_or_else(|| {
            format!("the iteration count of its SCRAM challenge is not between 1 and {MAX_ITERATIONS}")
        })?;
        Ok((Challenge { nonce: theirs.to_owned(), salt, iterations }, text))
    }
}

/// Printable text of a bounded length.
fn text(message: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(message).ok();
    let fits = |text: &&str| text.len() <= MAX_MESSAGE && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    text.filter(fits).ok_or_else(|| "its SCRAM message is not valid".to_owned())
}

fn derive(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Derived {
    let DerivedKeys { client, server } = scram::derive(password.reveal(), salt, iterations);
    Derived { client, server: hmac::Key::new(hmac::HMAC_SHA256, &server) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3, but for the user's name, which PostgreSQL leaves out.
    #[tokio::test]
    async fn the_proofs_of_a_known_exchange() {
        let begun = Begun::with_nonce(Binding::None, "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(begun.message(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
        let first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (keys, password) = (Keys::default(), Password::new("pencil"));
        let answered = begun.answer(first, &password, &keys).await.unwrap();
        assert!(answered.message.starts_with("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p="));
        let last = answered.proof();
        answered.finish(last.as_bytes(), &keys).unwrap();
        assert_eq!(keys.0.lock().len(), 1);
    }

    #[test]
    fn keys_as_in_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let derived = derive(&Password::new("pencil"), &salt, 4096.try_into().unwrap());
        let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD.decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        hmac::verify(&derived.server, signed.as_bytes(), &proof).unwrap();
        let stored = digest::digest(&digest::SHA256, &derived.client);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, stored.as_ref()), signed.as_bytes());
        let client: Vec<_> = derived.client.iter().zip(signature.as_ref()).map(|(key, mask)| key ^ mask).collect();
        assert_eq!(STANDARD.encode(client), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    }

    #[test]
    fn challenges_that_are_refused() {
        let read = |message: &str| Challenge::read(message.as_bytes(), "ours").map(|(challenge, _)| challenge);
        assert_eq!(read("r=oursandtheirs,s=c2FsdA==,i=1").unwrap().iterations.get(), 1);
        let long = format!("r=ours{},s=c2FsdA==,i=4096", "x".repeat(MAX_MESSAGE));
        for bad in [
            "",
            "r=ours,s=c2FsdA==,i=4096",
            "r=our,s=c2FsdA==,i=4096",
            "r=theirs,s=c2FsdA==,i=4096",
            "r=oursandtheirs,s=,i=4096",
            "r=oursandtheirs,s=?,i=4096",
            "r=oursandtheirs,s=c2FsdA==,i=0",
            "r=oursandtheirs,s=c2FsdA==,i=-1",
            "r=oursandtheirs,s=c2FsdA==,i=1000001",
            "r=oursandtheirs,s=c2FsdA==,i=4294967297",
            "r=oursandtheirs,s=c2FsdA==",
            "r=oursandtheirs,s=c2FsdA==,i=4096,x=y",
            "m=must,r=oursandtheirs,s=c2FsdA==,i=4096",
            "r=ours\0theirs,s=c2FsdA==,i=4096",
            &long,
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_of_a_server_is_too_much(message in "r=ours[ -~]{0,20},s=[A-Za-z0-9+/=]{0,12},i=[0-9]{0,12}[ -~]{0,3}", cut in 0usize..64, bytes: Vec<u8>) {
            let message = message.as_bytes();
            for message in [message, &message[..cut.min(message.len())], &bytes] {
                if let Ok((challenge, _)) = Challenge::read(message, "ours") {
                    proptest::prop_assert!(challenge.iterations.get() <= MAX_ITERATIONS && !challenge.salt.is_empty());
                    proptest::prop_assert!(challenge.nonce.len() > "ours".len());
                }
            }
        }
    }

    #[test]
    fn the_number_of_kept_keys_is_bounded() {
        let keys = Keys::default();
        let derived = Arc::new(derive(&Password::new("x"), b"salt", NonZeroU32::MIN));
        for salt in 0..=255u8 {
            keys.keep(vec![salt], NonZeroU32::MIN, derived.clone());
        }
        assert_eq!(keys.0.lock().len(), KEPT);
        assert!(keys.find(&[255], NonZeroU32::MIN).is_some() && keys.find(&[0], NonZeroU32::MIN).is_none());
    }
}
