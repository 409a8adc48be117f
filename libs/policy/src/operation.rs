//! What a statement does, as a closed list of words.

use serde::{Deserialize, Serialize};

/// What a statement does, or does to one relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// SELECT, TABLE, VALUES.
    Select,
    /// INSERT, and the inserting action of MERGE.
    Insert,
    /// UPDATE, ON CONFLICT DO UPDATE, and the updating action of MERGE.
    Update,
    /// DELETE, and the deleting action of MERGE.
    Delete,
    /// MERGE as a statement; as a relation's operation, a MERGE that does nothing to it.
    Merge,
    /// TRUNCATE.
    Truncate,
    /// COPY ... FROM.
    CopyIn,
    /// COPY ... TO.
    CopyOut,
    /// CREATE, ALTER, DROP, COMMENT, SELECT INTO and their like.
    Ddl,
    /// Who may do what: GRANT, REVOKE, roles, default privileges, owners.
    Grant,
    /// CALL, and the protocol's function call.
    Call,
    /// SET, RESET, DISCARD.
    Set,
    /// SHOW.
    Show,
    /// BEGIN, COMMIT, ROLLBACK, savepoints, two-phase commit, SET TRANSACTION.
    Transaction,
    /// PREPARE.
    Prepare,
    /// EXECUTE of something that is not known.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// DECLARE CURSOR.
    Declare,
    /// FETCH, MOVE.
    Fetch,
    /// CLOSE of a cursor.
    Close,
    /// EXPLAIN; as a relation's operation, planned only.
    Explain,
    /// DO.
    Do,
    /// LISTEN, UNLISTEN, NOTIFY.
    Listen,
    /// LOCK.
    Lock,
    /// VACUUM, ANALYZE, CLUSTER, REINDEX, REFRESH MATERIALIZED VIEW, CHECKPOINT.
    Maintenance,
    /// No statement: blanks and comments.
    Empty,
    /// Not understood.
    Opaque,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 27] = [
        Operation::Select,
        Operation::Insert,
        Operation::Update,
        Operation::Delete,
        Operation::Merge,
        Operation::Truncate,
        Operation::CopyIn,
        Operation::CopyOut,
        Operation::Ddl,
        Operation::Grant,
        Operation::Call,
        Operation::Set,
        Operation::Show,
        Operation::Transaction,
        Operation::Prepare,
        Operation::Execute,
        Operation::Deallocate,
        Operation::Declare,
        Operation::Fetch,
        Operation::Close,
        Operation::Explain,
        Operation::Do,
        Operation::Listen,
        Operation::Lock,
        Operation::Maintenance,
        Operation::Empty,
        Operation::Opaque,
    ];

    /// The word, as it stands in column `operation`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Select => "select",
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Merge => "merge",
            Operation::Truncate => "truncate",
            Operation::CopyIn => "copy_in",
            Operation::CopyOut => "copy_out",
            Operation::Ddl => "ddl",
            Operation::Grant => "grant",
            Operation::Call => "call",
            Operation::Set => "set",
            Operation::Show => "show",
            Operation::Transaction => "transaction",
            Operation::Prepare => "prepare",
            Operation::Execute => "execute",
            Operation::Deallocate => "deallocate",
            Operation::Declare => "declare",
            Operation::Fetch => "fetch",
            Operation::Close => "close",
            Operation::Explain => "explain",
            Operation::Do => "do",
            Operation::Listen => "listen",
            Operation::Lock => "lock",
            Operation::Maintenance => "maintenance",
            Operation::Empty => "empty",
            Operation::Opaque => "opaque",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
