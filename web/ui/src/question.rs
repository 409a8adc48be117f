//! Who changed a relation: the question as an address, and the words of its answer.
//!
//! Invariant: address, form and API name a question's parts alike.

/// The operations that the form offers, and how it calls them; others come by the address.
pub const OPERATIONS: [(&str, &str); 8] = [
    ("update", "Update"),
    ("insert", "Insert"),
    ("delete", "Delete"),
    ("truncate", "Truncate"),
    ("copy_in", "Copy in"),
    ("ddl", "Definition"),
    ("select", "Read"),
    ("any", "Any"),
];

/// Those that change a relation or its definition.
const CHANGES: [&str; 7] = ["update", "insert", "delete", "merge", "truncate", "copy_in", "ddl"];

/// How far before and after a time is looked, where nothing else is said.
pub const WINDOW: &str = "1m";

/// Operations as an address has them, each once; `update` where it has none.
pub fn operations(text: &str) -> Vec<String> {
    let mut operations: Vec<String> = Vec::new();
    for word in text.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()) {
        if !operations.contains(&word) {
            operations.push(word);
        }
    }
    if operations.is_empty() {
        operations.push("update".to_owned());
    }
    operations
}

/// Chosen operations as an address has them.
pub fn joined(operations: &[String]) -> String {
    if operations.iter().any(|operation| operation == "any") { "any".to_owned() } else { operations.join(",") }
}

/// What somebody certainly did, as a heading.
pub fn done(operations: &[String]) -> &'static str {
    match operations {
        [one] => match one.as_str() {
            "update" => "Updated",
            "insert" => "Inserted",
            "delete" => "Deleted",
            "truncate" => "Truncated",
            "copy_in" => "Copied in",
            "ddl" => "Changed its definition",
            "select" => "Read",
            _ => "Touched",
        },
        several if several.iter().all(|one| CHANGES.contains(&one.as_str())) => "Changed",
        _ => "Touched",
    }
}

/// The same inside a sentence.
pub fn did(operations: &[String]) -> String {
    let mut done = done(operations).to_owned();
    if let Some(first) = done.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    done
}

/// Operations in words.
pub fn named(operations: &[String]) -> String {
    match operations {
        [any] if any == "any" => "any operation".to_owned(),
        operations => operations.join(", "),
    }
}

/// What to ask of whoever else touched a relation that a statement touched: `None` where its name is not known. Of
/// `?.name` the schema is not.
pub fn relation_of(touched: &str) -> Option<&str> {
    match touched.strip_prefix("?.") {
        Some(name) => Some(name),
        None => Some(touched).filter(|relation| *relation != "?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_as_an_address_has_them() {
        assert_eq!(operations(""), ["update"]);
        assert_eq!(operations(" insert, DELETE,insert,"), ["insert", "delete"]);
        assert_eq!(joined(&operations("insert,delete")), "insert,delete");
        assert_eq!(joined(&operations("insert,any")), "any");
    }

    #[test]
    fn the_answer_is_worded_by_what_was_asked() {
        assert_eq!((done(&operations("")), did(&operations("copy_in"))), ("Updated", "copied in".to_owned()));
        assert_eq!((done(&operations("insert,delete")), done(&operations("lock"))), ("Changed", "Touched"));
        assert_eq!((done(&operations("any")), done(&operations("insert,select"))), ("Touched", "Touched"));
        assert_eq!(named(&operations("any")), "any operation");
        assert_eq!(named(&operations("insert,delete")), "insert, delete");
    }

    #[test]
    fn an_unknown_schema_is_left_out_of_the_next_question() {
        assert_eq!(relation_of("?.rankings"), Some("rankings"));
        assert_eq!(relation_of("public.rankings"), Some("public.rankings"));
        assert_eq!(relation_of("?"), None);
    }
}
