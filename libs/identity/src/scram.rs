//! SCRAM-SHA-256: what a password becomes, and the server's side of the exchange.
//!
//! Invariants: a verifier does not tell the password, nor lets anybody in who has read it; nothing of a client's message is
//! taken that has not been measured first; whoever is not known gets the same exchange, with the same work, and the same end
//! as a wrong password. Source: RFC 5802, RFC 5929, RFC 7677; the PostgreSQL manual, "SASL Authentication".

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore as _;
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq as _;

/// Name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// Likewise, bound to the connection's TLS.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Longest message of a client's, in bytes.
const MAX_MESSAGE: usize = 4096;

/// What the exchange is bound to, by its name.
const END_POINT: &str = "p=tls-server-end-point";

/// What a password becomes with a salt and a number of iterations.
#[derive(Clone)]
pub struct DerivedKeys {
    /// ClientKey.
    pub client: [u8; 32],
    /// ServerKey.
    pub server: [u8; 32],
}

impl std::fmt::Debug for DerivedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DerivedKeys(withheld)")
    }
}

/// Thousands of hashes. As the server does it: what is no valid text by SASLprep is taken as it is.
pub fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> DerivedKeys {
    let normalized = stringprep::saslprep(password).unwrap_or(password.into());
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, normalized.as_bytes(), &mut salted);
    DerivedKeys { client: signature(&salted, b"Client Key"), server: signature(&salted, b"Server Key") }
}

/// What is kept of a password, and checks it (RFC 5802, section 3).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Random, of each password.
    pub salt: Vec<u8>,
    /// How often it is hashed.
    pub iterations: NonZeroU32,
    /// StoredKey: the hash of ClientKey.
    pub stored_key: [u8; 32],
    /// ServerKey.
    pub server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Of a password, with a salt of its own.
    pub fn of(password: &str, iterations: NonZeroU32) -> Verifier {
        let mut salt = vec![0; 16];
        rand::rng().fill_bytes(&mut salt);
        let keys = derive(password, &salt, iterations);
        Verifier { salt, iterations, stored_key: hash(&keys.client), server_key: keys.server }
    }

    /// Of a name that nobody has: the same for the same name as long as `secret` is, and good for no password.
    pub fn mock(name: &str, secret: &[u8; 32], iterations: NonZeroU32) -> Verifier {
        let keyed = |what: &[u8]| signature(secret, &[what, name.as_bytes()].concat());
        Verifier {
            salt: keyed(b"salt ")[..16].to_vec(),
            iterations,
            stored_key: keyed(b"stored "),
            server_key: keyed(b"server "),
        }
    }
}

/// What a connection lets a client bind the exchange to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelBinding {
    /// No TLS, or a certificate that none can be made of: [`MECHANISM`] alone is offered.
    None,
    /// `tls-server-end-point`: the hash of the certificate that the client was shown. Both mechanisms are offered.
    EndPoint(Vec<u8>),
}

/// Why an exchange ends; of a bad password it says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The client's message is not as the mechanism has it, and why.
    Malformed(&'static str),
    /// The client would have bound the exchange, had it seen that offered: somebody is in between.
    Downgraded,
    /// It is bound to another certificate than this connection's.
    OtherChannel,
    /// The password is not the verifier's.
    Password,
}

/// An exchange in which the server has sent its challenge.
pub struct Challenged {
    /// The server-first-message.
    pub message: String,
    nonce: String,
    header: String,
    bare: String,
    verifier: Verifier,
    binding: Vec<u8>,
}

impl std::fmt::Debug for Challenged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenged").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

impl Challenged {
    /// Answers a client-first-message that came with a mechanism's name.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    pub fn begin(
        mechanism: &str,
        message: &[u8],
        offered: &ChannelBinding,
        verifier: Verifier,
    ) -> Result<Challenged, Failed> {
        let mut random = [0; 18];
        rand::rng().fill_bytes(&mut random);
        Challenged::with_nonce(mechanism, message, offered, verifier, &STANDARD.encode(random))
    }

    fn with_nonce(
        mechanism: &str,
        message: &[u8],
        offered: &ChannelBinding,
        verifier: Verifier,
        nonce: &str,
    ) -> Result<Challenged, Failed> {
        let text = text(message)?;
        let mut fields = text.splitn(3, ',');
        let mut field = || fields.next().ok_or(Failed::Malformed("it ends too early"));
        let (flag, identity, bare) = (field()?, field()?, field()?);
        if !identity.is_empty() {
            return Err(Failed::Malformed("it asks to act as somebody else"));
        }
        let binding = match (mechanism, flag, offered) {
            (MECHANISM_PLUS, END_POINT, ChannelBinding::EndPoint(hash)) => hash.clone(),
            (MECHANISM, "n", _) | (MECHANISM, "y", ChannelBinding::None) => Vec::new(),
            (MECHANISM, "y", ChannelBinding::EndPoint(_)) => return Err(Failed::Downgraded),
            _ => return Err(Failed::Malformed("its channel binding does not fit the mechanism")),
        };
        let (user, rest) = bare.split_once(',').ok_or(Failed::Malformed("it ends too early"))?;
        // The name is the start-up packet's, as in PostgreSQL.
        if !user.starts_with("n=") {
            return Err(Failed::Malformed(if user.starts_with("m=") {
                "it needs an extension that is not known"
            } else {
                "it has no name"
            }));
        }
        let (theirs, _extensions) = rest.split_once(',').unwrap_or((rest, ""));
        let theirs = theirs.strip_prefix("r=").filter(|nonce| !nonce.is_empty() && is_printable(nonce));
        let theirs = theirs.ok_or(Failed::Malformed("it has no nonce"))?;
        let nonce = format!("{theirs}{nonce}");
        let message = format!("r={nonce},s={},i={}", STANDARD.encode(&verifier.salt), verifier.iterations);
        Ok(Challenged { message, nonce, header: format!("{flag},,"), bare: bare.to_owned(), verifier, binding })
    }

    /// Checks the client-final-message; the server-final-message, which proves the server to the client.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    pub fn finish(self, message: &[u8]) -> Result<String, Failed> {
        let text = text(message)?;
        let (unproved, proof) = text.rsplit_once(",p=").ok_or(Failed::Malformed("it has no proof"))?;
        let mut fields = unproved.split(',');
        let channel = fields.next().and_then(|field| field.strip_prefix("c="));
        let channel = channel.and_then(|channel| STANDARD.decode(channel).ok());
        let channel = channel.ok_or(Failed::Malformed("it has no channel binding"))?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r="));
        if nonce != Some(self.nonce.as_str()) {
            return Err(Failed::Malformed("its nonce is another one"));
        }
        let proof = STANDARD.decode(proof).ok().and_then(|proof| <[u8; 32]>::try_from(proof).ok());
        let mut proof = proof.ok_or(Failed::Malformed("its proof is not valid"))?;
        match channel.strip_prefix(self.header.as_bytes()) {
            None => return Err(Failed::Malformed("its channel binding is not the one that it began with")),
            Some(bound) if bound != self.binding => return Err(Failed::OtherChannel),
            Some(_) => {}
        }
        let signed = format!("{},{},{unproved}", self.bare, self.message);
        let mask = signature(&self.verifier.stored_key, signed.as_bytes());
        for (byte, mask) in proof.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        if !bool::from(hash(&proof).ct_eq(&self.verifier.stored_key)) {
            return Err(Failed::Password);
        }
        Ok(format!("v={}", STANDARD.encode(signature(&self.verifier.server_key, signed.as_bytes()))))
    }
}

fn text(message: &[u8]) -> Result<&str, Failed> {
    let text = std::str::from_utf8(message).ok().filter(|text| text.len() <= MAX_MESSAGE && !text.contains('\0'));
    text.ok_or(Failed::Malformed("it is no text, or too long"))
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn signature(key: &[u8], signed: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed).as_ref());
    bytes
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

    fn pencil() -> Verifier {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = derive("pencil", &salt, ITERATIONS);
        Verifier { salt, iterations: ITERATIONS, stored_key: hash(&keys.client), server_key: keys.server }
    }

    /// A client that knows a password, with RFC 7677's nonce.
    fn proved(first: &str, message: &str, password: &str, channel: &[u8]) -> String {
        let mut fields = message.split(',').map(|field| &field[2..]);
        let (nonce, salt) = (fields.next().unwrap(), STANDARD.decode(fields.next().unwrap()).unwrap());
        let keys = derive(password, &salt, fields.next().unwrap().parse().unwrap());
        let unproved = format!("c={},r={nonce}", STANDARD.encode(channel));
        let bare = first.splitn(3, ',').last().unwrap();
        let mask = signature(&hash(&keys.client), format!("{bare},{message},{unproved}").as_bytes());
        let proof: Vec<u8> = keys.client.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        format!("{unproved},p={}", STANDARD.encode(proof))
    }

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";

    fn begun(first: &str) -> Result<Challenged, Failed> {
        let ours = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        Challenged::with_nonce(MECHANISM, first.as_bytes(), &ChannelBinding::None, pencil(), ours)
    }

    #[test]
    fn the_exchange_of_rfc_7677() {
        let begun = begun(FIRST).unwrap();
        assert_eq!(
            begun.message,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(begun.finish(last.as_bytes()).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_is_bound_is_bound_to_this_connection() {
        let here = ChannelBinding::EndPoint(vec![7; 32]);
        let verifier = Verifier::of("secret", ITERATIONS);
        let begin = |mechanism: &str, first: &str, offered: &ChannelBinding| {
            Challenged::begin(mechanism, first.as_bytes(), offered, verifier.clone())
        };
        let first = "p=tls-server-end-point,,n=,r=abc";
        for (bound, expected) in [(7, None), (8, Some(Failed::OtherChannel))] {
            let begun = begin(MECHANISM_PLUS, first, &here).unwrap();
            let channel = [b"p=tls-server-end-point,,".as_slice(), &[bound; 32]].concat();
            let last = proved(first, &begun.message, "secret", &channel);
            assert_eq!(begun.finish(last.as_bytes()).err(), expected);
        }
        // It saw no -PLUS, which was offered.
        assert_eq!(begin(MECHANISM, "y,,n=,r=abc", &here).unwrap_err(), Failed::Downgraded);
        assert!(
            begin(MECHANISM, "n,,n=,r=abc", &here).is_ok()
                && begin(MECHANISM, "y,,n=,r=a", &ChannelBinding::None).is_ok()
        );
        for (mechanism, first, offered) in [
            (MECHANISM_PLUS, "n,,n=,r=abc", &here),
            (MECHANISM_PLUS, "p=tls-unique,,n=,r=abc", &here),
            (MECHANISM_PLUS, first, &ChannelBinding::None),
            (MECHANISM, first, &here),
            ("PLAIN", "n,,n=,r=abc", &here),
        ] {
            assert!(matches!(begin(mechanism, first, offered), Err(Failed::Malformed(_))), "{mechanism} {first}");
        }
        // What it began with cannot be taken back.
        let begun = begin(MECHANISM_PLUS, first, &here).unwrap();
        let last = proved(first, &begun.message, "secret", b"n,,");
        assert!(matches!(begun.finish(last.as_bytes()), Err(Failed::Malformed(_))));
    }

    #[test]
    fn wrong_and_unknown_end_alike() {
        let secret = [3; 32];
        let mock = Verifier::mock("lease-x", &secret, ITERATIONS);
        assert_eq!(mock, Verifier::mock("lease-x", &secret, ITERATIONS));
        assert_ne!(mock.salt, Verifier::mock("lease-y", &secret, ITERATIONS).salt);
        assert_eq!(mock.salt.len(), Verifier::of("x", ITERATIONS).salt.len());
        for verifier in [mock, Verifier::of("secret", ITERATIONS)] {
            let begun = Challenged::begin(MECHANISM, b"n,,n=,r=abc", &ChannelBinding::None, verifier).unwrap();
            let last = proved("n,,n=,r=abc", &begun.message, "guess", b"n,,");
            assert_eq!(begun.finish(last.as_bytes()).unwrap_err(), Failed::Password);
        }
    }

    #[test]
    fn messages_that_are_none_are_refused() {
        for first in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,r=abc,n=",
            "n,,m=x,n=,r=abc",
            "n,a=root,n=,r=abc",
            "n,,n=,r=",
            "n,,n=,r=a b",
            "x,,n=,r=a",
        ] {
            assert!(matches!(begun(first), Err(Failed::Malformed(_))), "{first:?}");
        }
        let long = format!("n,,n=,r={}", "x".repeat(MAX_MESSAGE));
        assert!(begun(&long).is_err());
        let good = proved(FIRST, &begun(FIRST).unwrap().message, "pencil", b"n,,");
        assert!(begun(FIRST).unwrap().finish(good.as_bytes()).is_ok());
        for last in [
            "",
            "c=biws",
            &good[2..],
            &good[..good.len() - 1],
            &good.replace("c=biws", "c=eSws"),
            &good.replace("r=rO", "r=rP"),
        ] {
            assert!(matches!(begun(FIRST).unwrap().finish(last.as_bytes()), Err(Failed::Malformed(_))), "{last:?}");
        }
    }

    #[test]
    fn nothing_of_a_verifier_is_shown() {
        let verifier = Verifier::of("secret", ITERATIONS);
        let shown = format!("{verifier:?} {:?}", derive("secret", b"salt", ITERATIONS));
        assert_eq!(shown, "Verifier { iterations: 4096, .. } DerivedKeys(withheld)");
    }

    proptest::proptest! {
        #[test]
        fn no_message_of_a_client_is_too_much(first in "[nypm=,r]{0,12}[ -~]{0,20}", last in "c=[A-Za-z+/=]{0,8},r=[ -~]{0,40},p=[A-Za-z+/=]{0,48}", bytes: Vec<u8>) {
            for first in [first.as_bytes(), &bytes, FIRST.as_bytes()] {
                for last in [last.as_bytes(), &bytes] {
                    if let Ok(begun) = Challenged::begin(MECHANISM, first, &ChannelBinding::None, pencil()) {
                        proptest::prop_assert!(begun.finish(last).is_err());
                    }
                }
            }
        }
    }
}
