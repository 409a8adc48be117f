//! What a statement did, as its command tag tells: for statements whose text is not in the record.
//!
//! Source: the PostgreSQL manual, "Message Formats" (CommandComplete), and the server's list of tags
//! (`src/include/tcop/cmdtaglist.h`). A tag says less than a text: CREATE TABLE AS and SELECT INTO answer SELECT, EXECUTE
//! answers what it executed, EXPLAIN ANALYZE answers EXPLAIN.

use hansard_pg_wire::tracker::Command;
use hansard_policy::Operation;

/// The operation behind an answer.
pub(super) fn operation(command: &Command) -> Operation {
    let mut words = command.tag.split(' ');
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
        ("CREATE" | "ALTER" | "DROP" | "COMMENT" | "SECURITY" | "IMPORT", _) => Operation::Ddl,
        _ => Operation::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let command = Command { tag: tag.to_owned(), copied_in };
            assert_eq!(operation(&command).as_str(), expected, "{tag}");
        }
    }
}
