//! Names of relations as SQL writes and reads them.

use std::borrow::Cow;
use std::fmt;

use crate::head::Head;
use crate::{Dialect, Name};

impl Name {
    /// Reads a name that somebody wrote, as SQL does: unquoted letters are folded to lower case, quotes are taken away,
    /// each part is cut to 63 bytes, a database's name before the schema is left out.
    ///
    /// # Errors
    /// A reason, in words, where it is no name.
    pub fn parse(text: &str) -> Result<Name, String> {
        let mut head = Head::new(text, Dialect::default());
        let (Some(name), parts) = head.name_of_parts() else { return Err(format!("{text} is no name as SQL has it")) };
        match parts {
            _ if !head.is_at_end() => Err(format!("{text} is more than a name")),
            1..=3 => Ok(name),
            _ => Err(format!("{text} has more parts than database, schema and relation")),
        }
    }

    /// The database of a name that has three parts, as SQL reads it; `None` where it has fewer.
    pub fn database_of(text: &str) -> Option<String> {
        let mut head = Head::new(text, Dialect::default());
        (head.name_of_parts().1 == 3).then(|| Head::new(text, Dialect::default()).part())?
    }

    /// A part of a name as SQL writes it: in double quotes where it would be read as something else without them. Words
    /// that are keywords are left as they are.
    pub fn quoted(part: &str) -> Cow<'_, str> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter == '_' || !letter.is_ascii();
        let mut letters = part.chars();
        let safe = letters.next().is_some_and(plain)
            && letters.all(|letter| plain(letter) || letter.is_ascii_digit() || letter == '$');
        if safe { part.into() } else { format!("\"{}\"", part.replace('"', "\"\"")).into() }
    }
}

/// `schema.name`, each quoted where it needs to be: equal texts are equal names, and [`Name::parse`] reads it.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", Name::quoted(schema))?;
        }
        f.write_str(&Name::quoted(&self.name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(schema: Option<&str>, name: &str) -> Name {
        Name { schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn a_relation_is_read_as_sql_does() {
        for (text, expected) in [
            ("Rankings", name(None, "rankings")),
            ("\"Rankings\"", name(None, "Rankings")),
            (" public . \"MixedCase\" ", name(Some("public"), "MixedCase")),
            ("a.\"b.c\"", name(Some("a"), "b.c")),
            ("\"a.b\".c", name(Some("a.b"), "c")),
            ("db.s.t", name(Some("s"), "t")),
            ("\"a\"\"b\"", name(None, "a\"b")),
            ("Caf\u{e9}", name(None, "caf\u{e9}")),
            ("U&\"\\0074\"", name(None, "t")),
            (&"X".repeat(70), name(None, &"x".repeat(63))),
            (&format!("\"{}\"", "\u{20ac}".repeat(22)), name(None, &"\u{20ac}".repeat(21))),
        ] {
            assert_eq!(Name::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "a b", "a.", ".a", "a.b.c.d", "'a'", "1", "\"a", "\"\"", "a; b", "a.*"] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    /// Known failure: `a."b.c"` and `"a.b".c` are two names.
    #[test]
    fn a_quoted_dot_does_not_split_a_name() {
        assert_eq!(name(Some("a"), "b.c").to_string(), "a.\"b.c\"");
        assert_eq!(name(Some("a.b"), "c").to_string(), "\"a.b\".c");
        assert_eq!(name(Some("public"), "caf\u{e9}").to_string(), "public.caf\u{e9}");
        assert_eq!(name(Some("public"), "MixedCase").to_string(), "public.\"MixedCase\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(schema in proptest::option::of("[a-zA-Z_.\"$ 0-9\u{e9}]{1,12}"), part in "[a-zA-Z_.\"$ 0-9\u{e9}]{1,12}") {
            let name = name(schema.as_deref(), &part);
            prop_assert_eq!(Name::parse(&name.to_string()), Ok(name));
        }
    }
}
