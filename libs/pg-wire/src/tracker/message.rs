//! The fields of messages that a tracker reads.
//!
//! Invariant: a message that ends too early gives `None`, whatever its own counts say.

use serde::{Deserialize, Serialize};

use super::{MAX_PARAMETERS, MAX_TEXT, Parameter};

/// Longest name of a statement, a portal or a savepoint that is kept, in bytes.
const MAX_NAME: usize = 256;

/// Most columns that a result can have, as in the server (`MaxTupleAttributeNumber`).
const MAX_COLUMNS: usize = 1664;

/// A message's body, read from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn i16(&mut self) -> Option<i16> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
    }

    /// A count of 16 bits; the protocol counts columns and parameters without a sign.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.take(2).and_then(|bytes| bytes.try_into().ok()).map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    /// Up to the next zero byte, which is left out; all that is there where the message was cut.
    pub(crate) fn string(&mut self) -> &'a [u8] {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (string, rest) = self.0.split_at(length);
        self.0 = rest.get(1..).unwrap_or_default();
        string
    }

    pub(crate) fn name(&mut self) -> String {
        let name = self.string();
        String::from_utf8_lossy(&name[..name.len().min(MAX_NAME)]).into_owned()
    }
}

/// A statement's text, and whether more of it was left out.
pub(crate) fn text(bytes: &[u8], cut: bool) -> (String, bool) {
    if bytes.len() <= MAX_TEXT {
        return (String::from_utf8_lossy(bytes).into_owned(), cut);
    }
    let mut end = MAX_TEXT;
    while end > MAX_TEXT - 4 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), true)
}

/// Parse, behind its name and text: the types that the job gives its parameters, 0 where it leaves them open.
pub(crate) fn parameter_types(reader: &mut Reader<'_>) -> Vec<u32> {
    let count = reader.count().unwrap_or(0);
    (0..count).map_while(|_| reader.u32()).collect()
}

/// Bind, behind its two names.
pub(crate) struct Bound {
    pub(crate) values: Vec<Parameter>,
    pub(crate) result_formats: Vec<i16>,
    pub(crate) truncated: bool,
}

pub(crate) fn bound(reader: &mut Reader<'_>, cut: bool) -> Bound {
    let (values, truncated) = values(reader, cut);
    let result_formats = if truncated { Vec::new() } else { formats(reader) };
    Bound { values, result_formats, truncated }
}

fn formats(reader: &mut Reader<'_>) -> Vec<i16> {
    let count = reader.count().unwrap_or(0);
    (0..count).map_while(|_| reader.i16()).collect()
}

/// Format codes, and values that each has one: of Bind and FunctionCall. Whether some were left out.
pub(crate) fn values(reader: &mut Reader<'_>, cut: bool) -> (Vec<Parameter>, bool) {
    let formats = formats(reader);
    let count = reader.count().unwrap_or(0);
    let mut values = Vec::new();
    let mut room = MAX_PARAMETERS;
    for place in 0..count {
        let value = match reader.i32() {
            Some(-1) => None,
            Some(length) => {
                let Some(value) = usize::try_from(length).ok().and_then(|length| reader.take(length)) else {
                    return (values, true);
                };
                if value.len() > room {
                    return (values, true);
                }
                room -= value.len();
                Some(value.to_vec())
            }
            None => return (values, true),
        };
        values.push(Parameter { binary: format_of(&formats, place) == 1, value });
    }
    (values, cut)
}

/// None: all text. One: it is for all.
pub(crate) fn format_of(formats: &[i16], place: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(place).copied().unwrap_or(0),
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name; lossy where it is not UTF-8.
    pub name: String,
    /// The table that it is a column of, 0 for an expression.
    pub table: u32,
    /// Its number in that table.
    pub number: i16,
    /// Its type.
    pub type_oid: u32,
    /// Values are in binary format.
    pub binary: bool,
}

/// RowDescription.
pub(crate) fn row_description(body: &[u8]) -> Vec<Column> {
    let mut reader = Reader(body);
    let count = reader.count().unwrap_or(0).min(MAX_COLUMNS);
    let mut column = || {
        let name = reader.name();
        let (table, number, type_oid) = (reader.u32()?, reader.i16()?, reader.u32()?);
        let (_size, _modifier, format) = (reader.i16()?, reader.i32()?, reader.i16()?);
        Some(Column { name, table, number, type_oid, binary: format == 1 })
    };
    (0..count).map_while(|_| column()).collect()
}

/// ErrorResponse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The session is over with it.
    pub fatal: bool,
}

/// Longest error message that is kept, in bytes.
const MAX_MESSAGE: usize = 4096;

pub(crate) fn failure(body: &[u8]) -> Failure {
    let mut reader = Reader(body);
    let mut failure = Failure { sqlstate: "XX000".to_owned(), message: String::new(), fatal: false };
    while let Some(field) = reader.byte() {
        if field == 0 {
            break;
        }
        let value = reader.string();
        match field {
            b'V' => failure.fatal = matches!(value, b"FATAL" | b"PANIC"),
            b'S' if matches!(value, b"FATAL" | b"PANIC") => failure.fatal = true,
            b'C' => failure.sqlstate = String::from_utf8_lossy(&value[..value.len().min(5)]).into_owned(),
            b'M' => failure.message = String::from_utf8_lossy(&value[..value.len().min(MAX_MESSAGE)]).into_owned(),
            _ => {}
        }
    }
    failure
}

/// The number at the end of a command tag.
pub(crate) fn rows_of_tag(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}
