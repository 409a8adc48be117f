//! Bound values as a JSON array.

use std::borrow::Cow;

use hansard_pg_wire::conversation::{Parameter, Parameters};
use hansard_pg_wire::value::text_of_binary;

/// Text as strings, known binary types in their text form, everything else as `{"hex": "..."}`; `None` without values.
pub(super) fn to_json(parameters: &Parameters) -> Option<String> {
    if parameters.values.is_empty() {
        return None;
    }
    let mut json = String::from("[");
    for (place, Parameter { binary, value }) in parameters.values.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        let Some(bytes) = value else {
            json.push_str("null");
            continue;
        };
        let text = if *binary {
            let type_oid = parameters.types.get(place);
            type_oid.and_then(|type_oid| text_of_binary(*type_oid, bytes)).map(Cow::Owned)
        } else {
            std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
        };
        match text {
            Some(text) => push_string(&mut json, &text),
            None => {
                json.push_str("{\"hex\":\"");
                json.push_str(&hex::encode(bytes));
                json.push_str("\"}");
            }
        }
    }
    json.push(']');
    Some(json)
}

/// Most values hold nothing that JSON escapes.
fn push_string(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&serde_json::Value::from(text).to_string());
    } else {
        json.push('"');
        json.push_str(text);
        json.push('"');
    }
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
                value(false, "tab\t, \u{1}, \\, é".as_bytes()),
                value(false, b""),
            ],
            types: vec![25, 25, 23],
            truncated: false,
        };
        assert_eq!(
            to_json(&parameters).unwrap(),
            r#"["a\"b",{"hex":"ff"},"7",{"hex":"00000007"},null,"tab\t, \u0001, \\, é",""]"#
        );
        assert_eq!(to_json(&Parameters::default()), None);
    }
}
