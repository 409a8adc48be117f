//! What a statement did, as its command tag tells: for statements whose text is not in the record.
//!
//! Source: the PostgreSQL manual, "Message Formats" (CommandComplete), and the server's list of tags
//! (`src/include/tcop/cmdtaglist.h`). A tag says less than a text: CREATE TABLE AS and SELECT INTO answer SELECT, EXECUTE
//! answers what it executed, EXPLAIN ANALYZE answers EXPLAIN.

use hansard_pg_wire::conversation::CommandTag;
use hansard_policy::Operation;

/// The operation behind an answer.
pub(super) fn operation(command: &CommandTag) -> Operation {
    let mut words = command.words.split(' ');
    let first = words.next().unwrap_or("");
    let second = words.next().unwrap_or("");
    match (first, second) {
        ("", _) => Operation::Empty,
        ("SELECT", _) => Operation::Select,
        ("INSERT", _) => Operation::Insert,
        ("UPDATE", _) => Operation::Update,
        ("DELETE", _) => Operation::Delete,
        ("MERGE", _) => Operation::Merge,
        ("TRUNCATE", _) => Operation::Truncate,
        ("COPY", _) if command.copied_in => Operation::CopyIn,
        ("COPY", _) => Operation::CopyOut,
        ("PREPARE", "TRANSACTION") | ("BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE", _) => {
            Operation::Transaction
        }
        ("PREPARE", _) => Operation::Prepare,
        ("DEALLOCATE", _) => Operation::Deallocate,
        ("DECLARE", _) => Operation::Declare,
        ("FETCH" | "MOVE", _) => Operation::Fetch,
        ("CLOSE", _) => Operation::Close,
        ("EXPLAIN", _) => Operation::Explain,
        ("DO", _) => Operation::Do,
        ("CALL", _) => Operation::Call,
        ("LISTEN" | "UNLISTEN" | "NOTIFY", _) => Operation::Listen,
        ("LOCK", _) => Operation::Lock,
        ("VACUUM" | "ANALYZE" | "CLUSTER" | "REINDEX" | "CHECKPOINT" | "REFRESH", _) => Operation::Maintenance,
        ("SET" | "RESET" | "DISCARD", _) => Operation::Set,
        ("SHOW", _) => Operation::Show,
        ("GRANT" | "REVOKE" | "REASSIGN", _)
        | ("CREATE" | "ALTER" | "DROP", "ROLE" | "OWNED")
        | ("ALTER", "DEFAULT") => Operation::Grant,
        ("CREATE" | "ALTER" | "DROP" | "COMMENT" | "SECURITY" | "IMPORT" | "LOAD", _) => Operation::Ddl,
        _ => Operation::Opaque,
    }
}

/// Whether the server's answer is one to such a statement.
pub(super) fn fits(asked: Operation, command: &CommandTag) -> bool {
    let answered = operation(command);
    asked == answered
        || match asked {
            // SELECT INTO, CREATE TABLE AS and CREATE MATERIALIZED VIEW answer SELECT; a tag does not tell GRANT's
            // relatives, nor objects that are created as parts of others, apart.
            Operation::Ddl | Operation::Grant => {
                matches!(answered, Operation::Ddl | Operation::Grant | Operation::Select | Operation::Maintenance)
            }
            Operation::Maintenance => matches!(answered, Operation::Ddl | Operation::Maintenance),
            // What it explains, where that is run: CREATE TABLE AS.
            Operation::Explain => matches!(answered, Operation::Explain | Operation::Select),
            Operation::Select => matches!(answered, Operation::Select | Operation::Ddl),
            // SET TRANSACTION and SET CONSTRAINTS.
            Operation::Transaction => answered == Operation::Set,
            Operation::CopyIn | Operation::CopyOut => matches!(answered, Operation::CopyIn | Operation::CopyOut),
            _ => false,
        }
}

/// Whether what answered so may have run code, or changed a setting or what names mean.
pub(super) fn may_change_names(command: &CommandTag) -> bool {
    !matches!(
        operation(command),
        Operation::Empty
            | Operation::Transaction
            | Operation::Prepare
            | Operation::Deallocate
            | Operation::Declare
            | Operation::Close
            | Operation::Listen
            | Operation::Lock
            | Operation::Show
    )
}

/// Whether the operation itself says that rows were written, or that code ran that may have.
pub(super) fn writes_rows(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Insert
            | Operation::Update
            | Operation::Delete
            | Operation::Merge
            | Operation::Truncate
            | Operation::CopyIn
            | Operation::Call
            | Operation::Do
    )
}

/// Whether such a statement can do something to a relation that nobody named.
pub(super) fn touches_relations(operation: Operation) -> bool {
    !matches!(
        operation,
        Operation::Transaction
            | Operation::Set
            | Operation::Show
            | Operation::Prepare
            | Operation::Deallocate
            | Operation::Close
            | Operation::Listen
            | Operation::Empty
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fit_what_they_answer() {
        let fits = |asked, words: &str| super::fits(asked, &CommandTag { words: words.to_owned(), copied_in: false });
        for (asked, words) in [
            (Operation::Update, "UPDATE"),
            (Operation::Ddl, "SELECT"),
            (Operation::Ddl, "CREATE TABLE"),
            (Operation::Grant, "ALTER ROLE"),
            (Operation::Explain, "EXPLAIN"),
            (Operation::CopyIn, "COPY"),
            (Operation::Maintenance, "REINDEX"),
        ] {
            assert!(fits(asked, words), "{asked:?} {words}");
        }
        for (asked, words) in [
            (Operation::Select, "UPDATE"),
            (Operation::Update, "SELECT"),
            (Operation::Ddl, "DELETE"),
            (Operation::Transaction, "UPDATE"),
            (Operation::Empty, "UPDATE"),
            (Operation::Update, ""),
        ] {
            assert!(!fits(asked, words), "{asked:?} {words}");
        }
    }

    #[test]
    fn tags_tell_operations() {
        for (tag, copied_in, expected) in [
            ("SELECT 12", false, "select"),
            ("INSERT 0 3", false, "insert"),
            ("COPY 7", true, "copy_in"),
            ("COPY 7", false, "copy_out"),
            ("TRUNCATE TABLE", false, "truncate"),
            ("PREPARE TRANSACTION", false, "transaction"),
            ("PREPARE", false, "prepare"),
            ("START TRANSACTION", false, "transaction"),
            ("FETCH 10", false, "fetch"),
            ("DECLARE CURSOR", false, "declare"),
            ("CREATE TABLE", false, "ddl"),
            ("DROP OWNED", false, "grant"),
            ("CREATE ROLE", false, "grant"),
            ("REFRESH MATERIALIZED VIEW", false, "maintenance"),
            ("", false, "empty"),
            ("A TAG OF TOMORROW", false, "opaque"),
        ] {
            let words = tag.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == ' ').to_owned();
            let command = CommandTag { words, copied_in };
            assert_eq!(operation(&command).as_str(), expected, "{tag}");
        }
    }
}
