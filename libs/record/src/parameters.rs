//! Bound values as a JSON array.

use hansard_pg_wire::conversation::{Parameter, Parameters};
use hansard_pg_wire::value::text_of_binary;
use serde_json::{Value, json};

/// Text as strings, known binary types in their text form, everything else as `{"hex": "..."}`; `None` without values.
pub(super) fn to_json(parameters: &Parameters) -> Option<String> {
    if parameters.values.is_empty() {
        return None;
    }
    let of = |(place, parameter): (usize, &Parameter)| {
        let Some(bytes) = &parameter.value else { return Value::Null };
        let text = if parameter.binary {
            parameters.types.get(place).and_then(|type_oid| text_of_binary(*type_oid, bytes))
        } else {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        };
        text.map_or_else(|| json!({ "hex": hex::encode(bytes) }), Value::String)
    };
    Some(Value::Array(parameters.values.iter().enumerate().map(of).collect()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_text_where_their_type_is_known() {
        let value = |binary, bytes: &[u8]| Parameter { binary, value: Some(bytes.to_vec()) };
        let parameters = Parameters {
            values: vec![
                value(false, b"a\"b"),
                value(false, &[0xff]),
                value(true, &[0, 0, 0, 7]),
                value(true, &[0, 0, 0, 7]),
                Parameter { binary: false, value: None },
            ],
            types: vec![25, 25, 23],
            truncated: false,
        };
        assert_eq!(to_json(&parameters).unwrap(), r#"["a\"b",{"hex":"ff"},"7",{"hex":"00000007"},null]"#);
        assert_eq!(to_json(&Parameters::default()), None);
    }
}
