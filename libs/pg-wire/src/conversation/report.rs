//! What the server says in words: ErrorResponse and NoticeResponse, by their fields.
//!
//! Source: the manual's "Error and Notice Message Fields". Invariant: of each field a bounded part is kept, and where that
//! is not all, it ends with `…`.

use serde::{Deserialize, Serialize};

use super::message::Reader;

/// Longest text of a field that is kept, in bytes.
const MAX_FIELD: usize = 4096;

/// What an error or a notice says beside its code and message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Details {
    /// DETAIL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// HINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The character of the text that was sent, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Likewise, of `internal_query`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_position: Option<u64>,
    /// QUERY: a statement that the server made itself, such as one of a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_query: Option<String>,
    /// CONTEXT: what was being run, the innermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The schema of what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The data type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    /// The constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
}

impl Details {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let Details { detail, hint, position: _, internal_position: _, internal_query, context, .. } = self;
        let Details { schema, table, column, data_type, constraint, .. } = self;
        [detail, hint, internal_query, context, schema, table, column, data_type, constraint]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }
}

/// NoticeResponse, or an error that is no statement's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `NOTICE`, `WARNING`, `ERROR`, `FATAL`, ...; empty where the record holds no such field.
    pub severity: String,
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The rest.
    #[serde(flatten)]
    pub details: Details,
}

impl Report {
    /// The body of a message; of one that was cut, as much as is there.
    pub fn read(body: &[u8]) -> Report {
        let mut reader = Reader(body);
        let (mut report, mut localised) = (Report::default(), String::new());
        let details = &mut report.details;
        while let Some(field) = reader.byte().filter(|field| *field != 0) {
            let value = reader.string();
            match field {
                b'V' => report.severity = kept(value, 16),
                // In the server's language, and all that servers before 9.6 say.
                b'S' => localised = kept(value, 16),
                b'C' => report.sqlstate = String::from_utf8_lossy(&value[..value.len().min(5)]).into_owned(),
                b'M' => report.message = kept(value, MAX_FIELD),
                b'D' => details.detail = Some(kept(value, MAX_FIELD)),
                b'H' => details.hint = Some(kept(value, MAX_FIELD)),
                b'P' => details.position = number(value),
                b'p' => details.internal_position = number(value),
                b'q' => details.internal_query = Some(kept(value, MAX_FIELD)),
                b'W' => details.context = Some(kept(value, MAX_FIELD)),
                b's' => details.schema = Some(kept(value, MAX_FIELD)),
                b't' => details.table = Some(kept(value, MAX_FIELD)),
                b'c' => details.column = Some(kept(value, MAX_FIELD)),
                b'd' => details.data_type = Some(kept(value, MAX_FIELD)),
                b'n' => details.constraint = Some(kept(value, MAX_FIELD)),
                _ => {}
            }
        }
        if report.severity.is_empty() {
            report.severity = localised;
        }
        report
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        self.severity.len() + self.sqlstate.len() + self.message.len() + self.details.bytes()
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A text within so many bytes, with a mark where that is not all of it.
fn kept(value: &[u8], limit: usize) -> String {
    if value.len() <= limit {
        return String::from_utf8_lossy(value).into_owned();
    }
    let mut end = limit;
    // A character is not broken: continuation bytes begin with 10.
    while end > 0 && value[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    String::from_utf8_lossy(&value[..end]).into_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(u8, &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (field, value) in fields {
            body.push(*field);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        body
    }

    #[test]
    fn every_field_that_psql_shows_is_read() {
        let body = fields(&[
            (b'S', "FEHLER"),
            (b'V', "ERROR"),
            (b'C', "23505"),
            (b'M', "duplicate key"),
            (b'D', "Key (id)=(1) already exists."),
            (b'H', "Take another."),
            (b'P', "8"),
            (b'p', "3"),
            (b'q', "INSERT"),
            (b'W', "PL/pgSQL function f() line 1"),
            (b's', "public"),
            (b't', "films"),
            (b'c', "id"),
            (b'd', "int4"),
            (b'n', "films_pkey"),
            (b'F', "nbtinsert.c"),
        ]);
        let report = Report::read(&body);
        assert_eq!((&*report.severity, &*report.sqlstate, &*report.message), ("ERROR", "23505", "duplicate key"));
        let text = |text: &str| Some(text.to_owned());
        let expected = Details {
            detail: text("Key (id)=(1) already exists."),
            hint: text("Take another."),
            position: Some(8),
            internal_position: Some(3),
            internal_query: text("INSERT"),
            context: text("PL/pgSQL function f() line 1"),
            schema: text("public"),
            table: text("films"),
            column: text("id"),
            data_type: text("int4"),
            constraint: text("films_pkey"),
        };
        assert_eq!(report.details, expected);
        // However it is cut, nothing panics and nothing is made up.
        for end in 0..body.len() {
            let part = Report::read(&body[..end]);
            assert!(report.message.starts_with(&part.message), "{end}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_a_mark() {
        let report = Report::read(&fields(&[(b'D', &"é".repeat(5000))]));
        let detail = report.details.detail.unwrap();
        assert!(detail.ends_with("é…") && detail.len() <= MAX_FIELD + "…".len(), "{}", detail.len());
        assert_eq!(kept(b"abc", 3), "abc");
    }
}
