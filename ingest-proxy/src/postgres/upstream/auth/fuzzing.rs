//! Messages of a server before the session is ready.

use super::{Ask, error_text, field, is_about_the_version, parameter, read_ask};

/// Frames, one behind the other.
pub(in crate::postgres::upstream) fn messages(bytes: &[u8]) {
    for frame in hansard_pg_wire::frame::frames(bytes) {
        match read_ask(frame.body) {
            Some(Ask::SaslContinue(rest) | Ask::SaslFinal(rest)) => assert_eq!(rest, frame.body[4..]),
            Some(Ask::Sasl(offered)) => assert!(!(offered.scram || offered.plus) || frame.body.len() >= 4 + 13),
            Some(_) => {}
            None => assert!(frame.body.len() < 8),
        }
        assert!(!is_about_the_version(frame.bytes) || field(frame.body, b'C').is_some_and(|code| code.len() == 5));
        let text = error_text(frame.body);
        assert!(text.len() <= frame.body.len() + "no reason given (SQLSTATE unknown)".len());
        // The first one of that name that is text.
        let mut words = frame.body.split(|&byte| byte == 0);
        if let (b'S', Some(name), Some(value)) = (frame.tag, words.next(), words.next())
            && let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value))
        {
            assert_eq!(parameter(frame.bytes, name), Some(value));
            assert!(parameter(bytes, name).is_some());
        }
    }
}
