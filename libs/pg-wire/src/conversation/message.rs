//! The fields of messages that a conversation reads.
//!
//! Invariant: a message that ends too early gives `None`, whatever its own counts say.

use serde::{Deserialize, Serialize};

use super::report::{Details, Report};
use super::{Body, MAX_PARAMETERS, MAX_TEXT, Parameter, Parameters, RawText};

/// What is kept of a name, in bytes: more than the server compares, in whatever encoding it came.
pub(super) const NAME_KEPT: usize = 256;

/// What is kept of a text where there is no room for all of it, in bytes: its head tells what it does.
const TEXT_HEAD: usize = 16 * 1024;

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

    pub(crate) fn name(&mut self) -> Vec<u8> {
        let name = self.string();
        name[..name.len().min(NAME_KEPT)].to_vec()
    }

    /// A short text, for display.
    pub(super) fn shown(&mut self) -> String {
        String::from_utf8_lossy(&self.name()).into_owned()
    }
}

/// A statement's text; `cut`: the message was, so that only a zero byte shows that the text is whole.
fn raw_text(reader: &mut Reader<'_>, cut: bool, room: usize) -> RawText {
    let cut = cut && !reader.0.contains(&0);
    // One zero byte, at the end.
    let zero = reader.0.iter().position(|&byte| byte == 0);
    let malformed = !cut && zero.is_none_or(|zero| zero + 1 != reader.0.len());
    let text = reader.string();
    let limit = MAX_TEXT.min(if text.len() > room { TEXT_HEAD } else { room.max(TEXT_HEAD) });
    RawText { bytes: text[..text.len().min(limit)].to_vec(), cut: cut || text.len() > limit, malformed }
}

/// A request's body. `cut`: its end is missing. `room`: bytes that may be kept.
pub(super) fn body(tag: u8, body: &[u8], cut: bool, room: usize) -> Body {
    let mut reader = Reader(body);
    match tag {
        b'Q' => Body::Query(raw_text(&mut reader, cut, room)),
        b'P' => {
            let name = reader.name();
            let text = raw_text(&mut reader, cut, room);
            Body::Parse { name, text, types: parameter_types(&mut reader) }
        }
        b'B' => {
            let (portal, statement) = (reader.name(), reader.name());
            let Bound { values, result_formats, truncated } = bound(&mut reader, cut);
            let parameters = within(Parameters { values, types: Vec::new(), truncated }, room);
            Body::Bind { portal, statement, parameters, formats: result_formats }
        }
        b'D' if reader.byte() == Some(b'S') => Body::DescribeStatement(reader.name()),
        b'D' => Body::DescribePortal(reader.name()),
        b'E' => Body::Execute { portal: reader.name(), rows: 0 },
        b'C' if reader.byte() == Some(b'S') => Body::CloseStatement(reader.name()),
        b'C' => Body::ClosePortal(reader.name()),
        b'F' => {
            let oid = reader.u32().unwrap_or(0);
            let (values, truncated) = values(&mut reader, cut);
            Body::Function { oid, parameters: within(Parameters { values, types: Vec::new(), truncated }, room) }
        }
        _ => Body::Sync,
    }
}

fn within(parameters: Parameters, room: usize) -> Parameters {
    if parameters.bytes() <= room { parameters } else { Parameters { truncated: true, ..Parameters::default() } }
}

impl Body {
    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Body::Query(text) => text.bytes.len(),
            Body::Parse { name, text, types } => name.len() + text.bytes.len() + 4 * types.len(),
            Body::Bind { portal, statement, parameters, formats } => {
                portal.len() + statement.len() + parameters.bytes() + 2 * formats.len()
            }
            Body::DescribeStatement(name)
            | Body::DescribePortal(name)
            | Body::Execute { portal: name, .. }
            | Body::ClosePortal(name)
            | Body::CloseStatement(name) => name.len(),
            Body::Function { parameters, .. } => parameters.bytes(),
            Body::Sync | Body::Omitted { .. } => 0,
        }
    }
}

/// Parse, behind its name and text: the types that the job gives its parameters, 0 where it leaves them open.
pub(crate) fn parameter_types(reader: &mut Reader<'_>) -> Vec<u32> {
    let count = reader.count().unwrap_or(0);
    (0..count).map_while(|_| reader.u32()).collect()
}

/// Bind, behind its two names.
struct Bound {
    values: Vec<Parameter>,
    result_formats: Vec<i16>,
    truncated: bool,
}

fn bound(reader: &mut Reader<'_>, cut: bool) -> Bound {
    let (values, truncated) = values(reader, cut);
    let result_formats = if truncated { Vec::new() } else { formats(reader) };
    Bound { values, result_formats, truncated }
}

fn formats(reader: &mut Reader<'_>) -> Vec<i16> {
    let count = reader.count().unwrap_or(0);
    (0..count).map_while(|_| reader.i16()).collect()
}

/// Format codes, and values that each has one: of Bind and FunctionCall. Whether some were left out.
fn values(reader: &mut Reader<'_>, cut: bool) -> (Vec<Parameter>, bool) {
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
        let name = reader.shown();
        let (table, number, type_oid) = (reader.u32()?, reader.i16()?, reader.u32()?);
        let (_size, _modifier, format) = (reader.i16()?, reader.i32()?, reader.i16()?);
        Some(Column { name, table, number, type_oid, binary: format == 1 })
    };
    (0..count).map_while(|_| column()).collect()
}

/// ErrorResponse.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The session is over with it.
    pub fatal: bool,
    /// The server could not read the text, or knows no such statement or portal: nothing was carried out.
    pub not_understood: bool,
    /// `ERROR`, `FATAL` or `PANIC`; empty of a statement that failed with another one.
    #[serde(default)]
    pub severity: String,
    /// The statement never ran: another one had failed before it.
    #[serde(default)]
    pub not_run: bool,
    /// What else it says.
    #[serde(default)]
    pub details: Option<Box<Details>>,
}

impl Failure {
    /// As a report of its own.
    pub(super) fn report(&self) -> Report {
        let Failure { severity, sqlstate, message, details, .. } = self;
        let details = details.as_deref().cloned().unwrap_or_default();
        Report { severity: severity.clone(), sqlstate: sqlstate.clone(), message: message.clone(), details }
    }

    /// Of statements that never ran because of it.
    pub(super) fn of_not_run(&self) -> Failure {
        Failure { severity: String::new(), details: None, not_run: true, ..self.clone() }
    }
}

pub(crate) fn failure(body: &[u8]) -> Failure {
    let Report { severity, mut sqlstate, message, details } = Report::read(body);
    if sqlstate.is_empty() {
        "XX000".clone_into(&mut sqlstate);
    }
    // A text within the text, or code that was running.
    let inside = details.internal_query.is_some() || details.context.is_some();
    let position = details.position.is_some();
    let fatal = matches!(severity.as_str(), "FATAL" | "PANIC");
    let details = (details != Details::default()).then(|| Box::new(details));
    let mut failure = Failure { sqlstate, message, fatal, severity, details, ..Failure::default() };
    failure.not_understood = !inside
        && match failure.sqlstate.as_str() {
            "42601" => position,
            // No such portal, no such prepared statement; the transaction has failed before.
            "34000" | "26000" | "25P02" => true,
            _ => false,
        };
    failure
}

/// A command tag's words, and the number at its end.
pub(crate) fn command_tag(body: &[u8]) -> (String, Option<u64>) {
    /// The server's own tags are shorter (`COMPLETION_TAG_BUFSIZE`).
    const MAX_TAG: usize = 64;
    let tag = Reader(body).string();
    let tag = String::from_utf8_lossy(&tag[..tag.len().min(MAX_TAG)]);
    let rows = tag.rsplit(' ').next().and_then(|number| number.parse().ok());
    let words = tag.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ' ');
    (words.to_owned(), rows)
}
