//! `regexp_match`: what the groups of a pattern matched, with a null for one that took no part.

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use regex::{Regex, RegexBuilder};

use super::functions::{invalid, result};
use super::patterns::SIZE;

/// Most bytes of what one call returns: groups within groups match the same text again.
const MOST: usize = 128 * 1024 * 1024;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RegexpMatch {
    signature: Signature,
}

impl Default for RegexpMatch {
    fn default() -> RegexpMatch {
        RegexpMatch { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for RegexpMatch {
    fn name(&self) -> &'static str {
        "regexp_match"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |kind: &DataType| kind.is_string() || kind.is_null();
        match arg_types.len() {
            2 | 3 if arg_types.iter().all(is_text) => Ok(vec![DataType::Utf8; arg_types.len()]),
            _ => Err(invalid("regexp_match takes a text, a pattern, and flags")),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (texts, patterns) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
        let flags = arrays.get(2).map(|flags| flags.as_string::<i32>());
        let mut known: Option<(&str, &str, Regex)> = None;
        let mut lists = ListBuilder::new(StringBuilder::new());
        let mut bytes = 0;
        for row in 0..texts.len() {
            let is_null = texts.is_null(row) || patterns.is_null(row) || flags.is_some_and(|flags| flags.is_null(row));
            if is_null {
                lists.append_null();
                continue;
            }
            let (pattern, flags) = (patterns.value(row), flags.map_or("", |flags| flags.value(row)));
            let regex = match known.take() {
                Some((same, as_well, regex)) if same == pattern && as_well == flags => regex,
                _ => compiled(pattern, flags)?,
            };
            match regex.captures(texts.value(row)) {
                Some(captures) => {
                    // Without a group it is all that matched.
                    let from = usize::from(captures.len() > 1);
                    for group in captures.iter().skip(from) {
                        let group = group.map(|group| group.as_str());
                        bytes += group.map_or(0, str::len);
                        if bytes > MOST {
                            return Err(invalid("regexp_match would return more than 128 MiB of one batch of rows"));
                        }
                        lists.values().append_option(group);
                    }
                    lists.append(true);
                }
                None => lists.append_null(),
            }
            known = Some((pattern, flags, regex));
        }
        result(&args, Arc::new(lists.finish()))
    }
}

fn compiled(pattern: &str, flags: &str) -> Result<Regex> {
    if flags.contains('g') {
        return Err(invalid("regexp_match returns the first match: flag g is none of its"));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .ignore_whitespace(flags.contains('x'))
        .size_limit(SIZE)
        .build()
        .map_err(|_| invalid("a regular expression cannot be read, or is too large"))
}
