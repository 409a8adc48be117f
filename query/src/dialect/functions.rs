//! Functions of PostgreSQL on bytes as well as on texts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::Error;

pub(super) fn invalid(text: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Error::Invalid(text.into())))
}

/// The result of a function for all rows, or for the only one of constants.
pub(super) fn result(args: &ScalarFunctionArgs, all: ArrayRef) -> Result<ColumnarValue> {
    let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&all, 0)?) } else { ColumnarValue::Array(all) })
}

/// `length` counts a text's characters, `octet_length` its bytes; of bytes both count bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Length {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl Length {
    pub(super) fn new(name: &'static str, aliases: &[&str]) -> Length {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Length { name, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [kind] if kind.is_binary() => Ok(vec![DataType::Binary]),
            [kind] if kind.is_string() || kind.is_null() => Ok(vec![DataType::Utf8]),
            [_] => Err(invalid(format!("{} takes a text or bytes; write {}(value::text)", self.name, self.name))),
            _ => Err(invalid(format!("{} takes one argument", self.name))),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let values = &arrays[0];
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let all: Int64Array = match values.data_type() {
            DataType::Binary => {
                values.as_binary::<i32>().iter().map(|bytes| bytes.map(|bytes| count(bytes.len()))).collect()
            }
            _ => {
                let in_bytes = self.name == "octet_length";
                let length = |text: &str| count(if in_bytes { text.len() } else { text.chars().count() });
                values.as_string::<i32>().iter().map(|text| text.map(length)).collect()
            }
        };
        result(&args, Arc::new(all))
    }
}

/// `convert_from(bytes, 'UTF8')`: bytes as the text that they are.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ConvertFrom {
    signature: Signature,
}

impl Default for ConvertFrom {
    fn default() -> ConvertFrom {
        ConvertFrom { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ConvertFrom {
    fn name(&self) -> &'static str {
        "convert_from"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [bytes, _] if bytes.is_binary() || bytes.is_null() => Ok(vec![DataType::Binary, DataType::Utf8]),
            _ => Err(invalid("convert_from takes bytes and the name of their encoding, 'UTF8'")),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (bytes, encodings) = (arrays[0].as_binary::<i32>(), arrays[1].as_string::<i32>());
        let text = |row: usize| -> Result<Option<String>> {
            if bytes.is_null(row) || encodings.is_null(row) {
                return Ok(None);
            }
            let encoding = encodings.value(row).to_ascii_lowercase().replace('-', "");
            if encoding != "utf8" {
                return Err(invalid(format!("'{encoding}' is no encoding that is read here; write 'UTF8'")));
            }
            match std::str::from_utf8(bytes.value(row)) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(invalid("not all of these bytes are UTF-8; write encode(bytes, 'hex')")),
            }
        };
        let all: StringArray = (0..bytes.len()).map(text).collect::<Result<_>>()?;
        result(&args, Arc::new(all))
    }
}
