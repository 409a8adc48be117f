//! Refusals as messages of the protocol.

use crate::errors::{Kind, Refusal};

/// SQLSTATE of a refusal; the PostgreSQL manual, appendix A.
pub(crate) fn sqlstate(kind: Kind) -> &'static str {
    match kind {
        Kind::Protocol => "08P01",
        Kind::Unsupported | Kind::Parameter => "0A000",
        Kind::Database => "3D000",
        Kind::Token => "28P01",
        Kind::Tls | Kind::Identity | Kind::Expired | Kind::Revoked | Kind::Timeout => "28000",
        Kind::TooMany => "53300",
        Kind::Unrecordable => "58030",
        Kind::Unreachable => "08001",
        Kind::Upstream => "08004",
        Kind::Lost => "08006",
        Kind::Stopping => "57P01",
    }
}

/// An ErrorResponse of severity FATAL.
pub(crate) fn frame(refusal: &Refusal) -> Vec<u8> {
    let mut frame = vec![b'E', 0, 0, 0, 0];
    let mut field = |code: u8, text: &str| {
        frame.push(code);
        // A zero byte would end the field.
        frame.extend(text.bytes().filter(|&byte| byte != 0));
        frame.push(0);
    };
    field(b'S', "FATAL");
    field(b'V', "FATAL");
    field(b'C', sqlstate(refusal.kind));
    field(b'M', &refusal.message);
    if let Some(detail) = &refusal.detail {
        field(b'D', detail);
    }
    if let Some(hint) = &refusal.hint {
        field(b'H', hint);
    }
    frame.push(0);
    set_length(&mut frame);
    frame
}

/// Writes the length of a frame that has been built behind its five header bytes.
pub(crate) fn set_length(frame: &mut [u8]) {
    let length = u32::try_from(frame.len() - 1).expect("frames built here are short");
    frame[1..5].copy_from_slice(&length.to_be_bytes());
}
