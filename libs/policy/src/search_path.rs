//! The text form of setting `search_path`.

/// The schemas that a value of setting `search_path` names, as PostgreSQL splits it (`SplitIdentifierString`):
/// unquoted names are folded to lower case, quoted ones are taken as they are, long ones are cut, empty ones are left out.
pub fn schemas_of_setting(value: &str) -> Vec<String> {
    let mut schemas = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => schemas.push(std::mem::take(&mut name)),
            letter if quoted => name.push(letter),
            letter if letter.is_ascii_whitespace() => {}
            letter => name.push(letter.to_ascii_lowercase()),
        }
    }
    schemas.push(name);
    schemas.retain(|name| !name.is_empty());
    schemas.iter_mut().for_each(cut);
    schemas
}

/// The schema is that of some session's temporary relations, by its number (`pg_temp_N`): it may be that of the session
/// at hand.
pub fn is_numbered_temporary(schema: &str) -> bool {
    let number = schema.strip_prefix("pg_temp_");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Cuts a name as the server does, to 63 bytes (`NAMEDATALEN` - 1) and whole characters.
pub(crate) fn cut(name: &mut String) {
    name.truncate(name.floor_char_boundary(63));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_postgres_does() {
        for (value, expected) in [
            ("\"$user\", public", vec!["$user", "public"]),
            ("Sales,  \"Mixed, \"\"Case\"\"\"", vec!["sales", "Mixed, \"Case\""]),
            ("", vec![]),
            ("\"\", a", vec!["a"]),
        ] {
            assert_eq!(schemas_of_setting(value), expected, "{value}");
        }
    }

    #[test]
    fn cuts_as_postgres_does() {
        let (long, wide) = ("a".repeat(70), format!("{}é", "a".repeat(62)));
        let expected = ["a".repeat(63), "a".repeat(62)];
        assert_eq!(schemas_of_setting(&format!("{long}, \"{wide}\"")), expected);
    }
}
