//! The text form of setting `search_path`.

/// The schemas that a value of setting `search_path` names, as PostgreSQL splits it (`SplitIdentifierString`):
/// unquoted names are folded to lower case, quoted ones are taken as they are, empty ones are left out.
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
    schemas
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
}
