//! What a statement gave back, as a grid.
//!
//! Invariant: null, the empty text and bytes that are not text stay distinct. A grid is bounded by who asks; it says
//! how much there was, and why something is absent.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// `GET /api/v1/sessions/{id}/steps/{no}/result?rows=N[&from=K]`: the recorded results of one statement, `N` rows from
/// row `K` on, which counts from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ResultGrid {
    /// One for each command of the statement that returned rows.
    #[serde(default)]
    pub sets: Vec<ResultSet>,
    /// What this answer does not show, in whole sentences.
    #[serde(default)]
    pub notices: Vec<String>,
}

/// One set of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ResultSet {
    /// In the order of the cells.
    pub columns: Vec<ResultColumn>,
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
    /// Rows recorded, shown here or not.
    pub total_rows: u64,
    /// The number of the first row shown here, from 1.
    #[serde(default = "first")]
    pub first_row: u64,
}

fn first() -> u64 {
    1
}

/// A column of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ResultColumn {
    /// As the server named it.
    pub name: String,
    /// `int8`, `text`, ... or the type's OID.
    pub type_name: String,
    /// True for what reads best flush right.
    #[serde(default)]
    pub numeric: bool,
}

/// One value. In JSON: `null`, a string, or `{"hex": "..."}` for bytes that are not text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Cell {
    /// SQL NULL.
    #[default]
    Null,
    /// Text, maybe cut.
    Text(String),
    /// Bytes in hex, maybe cut.
    Bytes {
        /// Lower case, two digits a byte.
        hex: String,
    },
}

impl<'de> Deserialize<'de> for Cell {
    /// As `untagged` would, without the code for all that JSON can be (see `flat`).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Cell;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("null, a text, or bytes in hex")
            }

            fn visit_unit<E>(self) -> Result<Cell, E> {
                Ok(Cell::Null)
            }

            fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
                Ok(Cell::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
                let mut found = None;
                while let Some((name, hex)) = map.next_entry::<String, String>()? {
                    found = found.or((name == "hex").then_some(hex));
                }
                found.map(|hex| Cell::Bytes { hex }).ok_or_else(|| de::Error::missing_field("hex"))
            }
        }

        deserializer.deserialize_any(Read)
    }
}
