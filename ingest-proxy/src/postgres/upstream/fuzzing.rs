//! What a server may send while a session is set up: nothing of it makes Hansard fall, or believe without a proof.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::runtime::{Builder, Runtime};

use super::scram::{Begun, Binding, Keys, MAX_ITERATIONS};
use super::{auth, first_value};
use crate::options::Password;

/// Iterations up to which a challenge is answered here; more are only read.
const FEW: u32 = 64;

const PASSWORD: &str = "correct horse battery staple";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without drivers can be made"));

/// The server's side of a SCRAM exchange.
#[derive(Debug)]
pub struct ScramBytes<'a> {
    /// The hash that the exchange is bound to.
    pub end_point: Option<&'a [u8]>,
    /// The server-first-message; with `continues`, behind `r=` and Hansard's nonce.
    pub first: &'a [u8],
    /// See `first`.
    pub continues: bool,
    /// The server-final-message.
    pub last: &'a [u8],
    /// Not that one, but the one that proves what has to be proven.
    pub proves: bool,
}

/// One exchange.
pub fn scram(server: &ScramBytes<'_>) {
    let binding = server.end_point.map_or(Binding::NotOffered, |hash| Binding::EndPoint(hash.to_vec()));
    let begun = Begun::with_nonce(binding, "fyko+d2lbbFgONRv9qkxdawL".to_owned());
    let message = begun.message();
    let (header, nonce) = message.split_once("n=,r=").expect("it asks with a nonce");
    let (header, nonce) = (header.to_owned(), nonce.to_owned());
    let first = if server.continues { [b"r=", nonce.as_bytes(), server.first].concat() } else { server.first.to_vec() };
    let readable = readable(&first, &nonce);
    if readable.as_ref().is_some_and(|(_, _, iterations)| *iterations > FEW) {
        return;
    }
    let (password, keys) = (Password::new(PASSWORD), Keys::default());
    let answered = match (RUNTIME.block_on(begun.answer(&first, &password, &keys)), &readable) {
        (Ok(answered), Some(_)) => answered,
        (Err(reason), None) => return assert!(!reason.contains(PASSWORD)),
        (Ok(_), None) => panic!("a challenge was taken that is none"),
        (Err(reason), Some(_)) => panic!("a good challenge was refused: {reason}"),
    };
    let Some((theirs, salt, iterations)) = readable else { return };
    let mut bound = header.into_bytes();
    bound.extend(server.end_point.unwrap_or_default());
    let bare = format!("c={},r={theirs}", STANDARD.encode(bound));
    let proof = answered.message.strip_prefix(&format!("{bare},p=")).expect("the answer says what it is bound to");
    assert_eq!(STANDARD.decode(proof).map(|proof| proof.len()), Ok(32));
    let genuine = answered.proof();
    let last = if server.proves { genuine.clone().into_bytes() } else { server.last.to_vec() };
    let finished = answered.finish(&last, &keys);
    assert_eq!(finished.is_ok(), last == genuine.as_bytes(), "{finished:?}");
    let iterations = NonZeroU32::new(iterations).expect("a readable challenge has iterations");
    assert_eq!(keys.find(&salt, iterations).is_some(), finished.is_ok(), "keys are kept once they are proven");
    assert!(finished.err().is_none_or(|reason| !reason.contains(PASSWORD)));
}

/// Nonce, salt and iterations of a challenge, by the words of RFC 5802, section 7, without extensions.
fn readable(message: &[u8], nonce: &str) -> Option<(String, Vec<u8>, u32)> {
    let printable = message.len() <= 4096 && message.iter().all(|byte| (b'!'..=b'~').contains(byte));
    let text = String::from_utf8(message.to_vec()).ok().filter(|_| printable)?;
    let [theirs, salt, iterations] = text.split(',').collect::<Vec<_>>().try_into().ok()?;
    let theirs = theirs.strip_prefix("r=").filter(|theirs| theirs.len() > nonce.len() && theirs.starts_with(nonce))?;
    let salt = STANDARD.decode(salt.strip_prefix("s=")?).ok().filter(|salt| !salt.is_empty())?;
    let iterations = iterations.strip_prefix("i=")?.parse().ok()?;
    (1..=MAX_ITERATIONS).contains(&iterations).then(|| (theirs.to_owned(), salt, iterations))
}

/// Messages of a server before it is ready: Authentication, ErrorResponse, ParameterStatus, and rows of an answer.
pub fn messages(bytes: &[u8]) {
    auth::fuzzing::messages(bytes);
    for frame in hansard_pg_wire::frame::frames(bytes) {
        if let Some(value) = first_value(frame.body) {
            assert!(value.len() + 6 <= frame.body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_server_proves_what_it_knows(
            first in "[ -~]{0,4},s=(c2FsdA==|[A-Za-z0-9+/=]{0,6}),i=[0-9]{0,3}(,x=y)?",
            last in "(v=|e=)[A-Za-z0-9+/=]{0,44}",
            bound: bool,
            continues: bool,
            proves: bool,
        ) {
            let end_point = bound.then_some(&b"\0\xffhash"[..]);
            scram(&ScramBytes { end_point, first: first.as_bytes(), continues, last: last.as_bytes(), proves });
        }

        #[test]
        fn messages_are_read_within_their_bounds(tag in "[RESDNK]", body: Vec<u8>, cut in 0u32..8) {
            let mut bytes = tag.into_bytes();
            bytes.extend((u32::try_from(body.len()).unwrap() + 4 + cut).to_be_bytes());
            bytes.extend(body);
            bytes.extend(vec![0; cut as usize]);
            messages(&bytes);
        }
    }
}
