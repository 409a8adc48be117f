//! What a job is told at its log-in: the session's id, so that what it logs can name its record, and which of its names
//! were cut.

use std::fmt::Display;

use crate::options::SessionId;
use crate::postgres::refusal::set_length;
use crate::postgres::startup::CutName;

/// What a cut name names that the database gets as it is.
pub(super) const APPLICATION: &str = "application";

/// Its name among the parameters that a server reports. No server has one of this name, and drivers keep or leave
/// aside what they do not know (the PostgreSQL manual, "Asynchronous Operations").
const PARAMETER: &str = "hansard.session";

/// The message; empty where nothing is to be said.
pub(super) fn frame(way: SessionId, session: impl Display) -> Vec<u8> {
    let mut frame = match way {
        SessionId::Off => return Vec::new(),
        SessionId::Parameter => format!("S\0\0\0\0{PARAMETER}\0{session}\0"),
        SessionId::Notice => notice("00000", &format!("{PARAMETER} = {session}")),
    }
    .into_bytes();
    set_length(&mut frame);
    frame
}

/// That a name was cut (SQLSTATE `name_too_long`). It goes into the record, too.
pub(super) fn cut(CutName { what, bytes, kept }: &CutName) -> Vec<u8> {
    let text = match *what {
        APPLICATION => format!("the name of the application has {bytes} bytes: its first {kept} are recorded"),
        what => format!("the name of the {what} has {bytes} bytes: its first {kept} are taken, as PostgreSQL does"),
    };
    let mut frame = notice("42622", &text).into_bytes();
    set_length(&mut frame);
    frame
}

/// A NoticeResponse without its length.
fn notice(sqlstate: &str, text: &str) -> String {
    format!("N\0\0\0\0SNOTICE\0VNOTICE\0C{sqlstate}\0M{text}\0\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_a_parameter_or_a_notice_or_not_said() {
        assert_eq!(frame(SessionId::Parameter, "a1"), b"S\0\0\0\x17hansard.session\0a1\0");
        let notice = frame(SessionId::Notice, "01");
        assert_eq!(notice[..5], [b'N', 0, 0, 0, u8::try_from(notice.len() - 1).unwrap()]);
        assert!(notice.ends_with(b"C00000\0Mhansard.session = 01\0\0"), "{notice:?}");
        assert_eq!(frame(SessionId::Off, "01"), b"");
    }
}
