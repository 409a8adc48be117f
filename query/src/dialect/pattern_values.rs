//! Patterns that are not known before a question runs, such as a column's: each is put into the engine's dialect as it comes.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::functions::{invalid, result};
use super::longest::Taken;
use super::patterns;
use crate::Error;

/// What a text is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A pattern that only says whether there is a match.
    Matching,
    /// Likewise by lines.
    MatchingByLines,
    /// A pattern of which the match is taken.
    Taking,
    /// Likewise by lines.
    TakingByLines,
    /// What takes the place of a match.
    Replacement,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] =
        [Kind::Matching, Kind::MatchingByLines, Kind::Taking, Kind::TakingByLines, Kind::Replacement];

    pub(super) fn of(by_lines: bool, taken: Taken) -> Kind {
        match (by_lines, taken) {
            (false, Taken::Never) => Kind::Matching,
            (true, Taken::Never) => Kind::MatchingByLines,
            (false, Taken::Once | Taken::Repeatedly) => Kind::Taking,
            (true, Taken::Once | Taken::Repeatedly) => Kind::TakingByLines,
        }
    }

    /// The function of that name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Matching => "pattern",
            Kind::MatchingByLines => "pattern_by_lines",
            Kind::Taking => "pattern_of_match",
            Kind::TakingByLines => "pattern_of_match_by_lines",
            Kind::Replacement => "replacement_of_match",
        }
    }

    fn read(self, text: &str) -> Result<String, Error> {
        match self {
            Kind::Matching => patterns::constant(text, false, Taken::Never),
            Kind::MatchingByLines => patterns::constant(text, true, Taken::Never),
            Kind::Taking => patterns::constant(text, false, Taken::Repeatedly),
            Kind::TakingByLines => patterns::constant(text, true, Taken::Repeatedly),
            Kind::Replacement => patterns::replacement(text),
        }
    }
}

/// A function that puts a text into the engine's dialect.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InDialect {
    kind: Kind,
    signature: Signature,
}

impl InDialect {
    pub(super) fn new(kind: Kind) -> InDialect {
        InDialect { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for InDialect {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [kind] if kind.is_string() || kind.is_null() => Ok(vec![DataType::Utf8]),
            _ => Err(invalid("a regular expression is a text")),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        // Most often one follows its like.
        let mut known: Option<(&str, String)> = None;
        let mut all = Vec::with_capacity(arrays[0].len());
        for text in arrays[0].as_string::<i32>() {
            let Some(text) = text else {
                all.push(None);
                continue;
            };
            let read = match known.take() {
                Some((same, read)) if same == text => read,
                _ => self.kind.read(text).map_err(|error| DataFusionError::External(Box::new(error)))?,
            };
            all.push(Some(read.clone()));
            known = Some((text, read));
        }
        result(&args, Arc::new(StringArray::from(all)))
    }
}
