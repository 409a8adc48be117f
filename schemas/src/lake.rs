//! The Arrow schemas of the lake's tables.
//!
//! Tools outside rely on names and meaning of these columns: add, never rename. Times are UTC nanoseconds.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A table of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// One row per wire frame (or part of a long one).
    Frames,
    /// One row per statement.
    Statements,
    /// One row per statement and relation that it touched.
    Touches,
    /// One row per ended transaction, per range of statements that a savepoint's rollback undid, and per COMMIT PREPARED
    /// or ROLLBACK PREPARED.
    Transactions,
    /// One row per session.
    Sessions,
    /// One row per object of a database's schema and version that brought, changed or took it.
    Catalog,
    /// One row per lease.
    Leases,
}

/// Outcome of a transaction that PREPARE TRANSACTION ended, in table `transactions` as it is written.
pub const PREPARED: &str = "prepared";

impl Table {
    /// All tables.
    pub const ALL: [Table; 7] = [
        Table::Frames,
        Table::Statements,
        Table::Touches,
        Table::Transactions,
        Table::Sessions,
        Table::Catalog,
        Table::Leases,
    ];

    /// The table's name in SQL and in the lake's paths.
    pub fn name(self) -> &'static str {
        match self {
            Table::Frames => "frames",
            Table::Statements => "statements",
            Table::Touches => "touches",
            Table::Transactions => "transactions",
            Table::Sessions => "sessions",
            Table::Catalog => "catalog",
            Table::Leases => "leases",
        }
    }

    /// The table with that name.
    pub fn from_name(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Columns that its files are sorted by, first one first.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Table::Frames => &["session_id", "seq"],
            Table::Statements => &["started_at", "session_id", "statement_no"],
            Table::Touches => &["relation", "operation", "at", "session_id", "statement_no"],
            Table::Transactions => &["session_id", "transaction_id", "first_statement"],
            Table::Sessions => &["opened_at", "session_id"],
            Table::Catalog => &["kind", "name", "read_at", "database", "version", "oid"],
            Table::Leases => &["issued_at", "id"],
        }
    }

    /// The column whose value places a row in a day and an hour.
    pub fn time_column(self) -> &'static str {
        match self {
            Table::Frames | Table::Touches => "at",
            Table::Statements => "started_at",
            Table::Transactions => "ended_at",
            Table::Sessions => "opened_at",
            Table::Catalog => "read_at",
            Table::Leases => "issued_at",
        }
    }

    /// The column that says what became of a row's transaction; `None` where rows have none.
    pub fn outcome_column(self) -> Option<&'static str> {
        match self {
            Table::Statements | Table::Touches => Some("transaction_outcome"),
            Table::Transactions => Some("outcome"),
            Table::Frames | Table::Sessions | Table::Catalog | Table::Leases => None,
        }
    }

    /// True for a row whose outcome another row tells: of `transactions` one that was prepared, of the others one that
    /// was written before its transaction ended, whose outcome is null.
    pub fn is_unsettled(self, outcome: Option<&str>) -> bool {
        match self {
            Table::Statements | Table::Touches => outcome.is_none(),
            Table::Transactions => outcome == Some(PREPARED),
            Table::Frames | Table::Sessions | Table::Catalog | Table::Leases => false,
        }
    }

    /// The columns.
    pub fn schema(self) -> SchemaRef {
        let fields = match self {
            Table::Frames => vec![
                required("session_id", DataType::Utf8),
                required("seq", DataType::Int64),
                required("at", timestamp()),
                required("direction", DataType::Utf8),
                required("tag", DataType::Utf8),
                required("frame", DataType::Binary),
                // True where bytes of the frame were masked or withheld.
                required("masked", DataType::Boolean),
                // Why the bytes are absent; null where they are not.
                optional("withheld", DataType::Utf8),
                // 'whole', or 'first' | 'middle' | 'last' of a long frame.
                required("part", DataType::Utf8),
                required("target", DataType::Utf8),
                // Where the capture level or the limit left content out: the frames that end here, and their length on
                // the wire; null elsewhere.
                optional("omitted_frames", DataType::Int64),
                optional("omitted_bytes", DataType::Int64),
            ],
            Table::Statements => vec![
                required("session_id", DataType::Utf8),
                required("statement_no", DataType::Int64),
                required("target", DataType::Utf8),
                required("job", DataType::Utf8),
                required("subject", DataType::Utf8),
                required("issuer", DataType::Utf8),
                required("operation", DataType::Utf8),
                required("sql", DataType::Utf8),
                // JSON array of bound values in text form; binary ones as {"hex": "..."}; null without parameters.
                optional("parameters", DataType::Utf8),
                optional("fingerprint", DataType::Utf8),
                required("started_at", timestamp()),
                optional("finished_at", timestamp()),
                optional("rows", DataType::Int64),
                // Null when it succeeded.
                optional("sqlstate", DataType::Utf8),
                // The server's message, when it failed.
                optional("error", DataType::Utf8),
                required("verdict", DataType::Utf8),
                // Counts the session's transactions, from 1.
                required("transaction_id", DataType::Int64),
                // Null when the transaction had not ended when the row was written: table `transactions` tells then.
                optional("transaction_outcome", DataType::Utf8),
                optional("committed_at", timestamp()),
                required("first_seq", DataType::Int64),
                required("last_seq", DataType::Int64),
                // True where `sql` or `parameters` is longer than what this row keeps; the frames hold all of it.
                required("truncated", DataType::Boolean),
                // Rows of the result that the capture level or the limit left out, and their length on the wire; null
                // when none were.
                optional("omitted_rows", DataType::Int64),
                optional("omitted_bytes", DataType::Int64),
                // Why the outcome is 'unknown'.
                optional("outcome_reason", DataType::Utf8),
                // Why the text, or part of it, was not understood.
                optional("opaque", DataType::Utf8),
                // 'done', 'failed', 'not run' (another statement had failed before it), 'running', or 'no answer' (the record
                // holds none). Null in files from before it was written.
                optional("status", DataType::Utf8),
                // What EXECUTE, FETCH or MOVE ran: the PREPARE or DECLARE, or the text that was parsed under that name; ends
                // with `…` where that is not all of it.
                optional("executed", DataType::Utf8),
                // Fields of the server's error, as psql shows them; null where it has none, or where they are not recorded.
                // 'ERROR', 'FATAL' or 'PANIC'.
                optional("error_severity", DataType::Utf8),
                optional("error_detail", DataType::Utf8),
                optional("error_hint", DataType::Utf8),
                // The character of `sql`, from 1.
                optional("error_position", DataType::Int64),
                optional("error_context", DataType::Utf8),
                // A statement that the server made itself, and the character of it.
                optional("error_internal_query", DataType::Utf8),
                optional("error_internal_position", DataType::Int64),
                optional("error_schema", DataType::Utf8),
                optional("error_table", DataType::Utf8),
                optional("error_column", DataType::Utf8),
                optional("error_data_type", DataType::Utf8),
                optional("error_constraint", DataType::Utf8),
                // JSON array of what the server said while it ran: {"at", "severity", "sqlstate", "message", "detail", ...};
                // the last one is {"more"} where there were more than are kept.
                optional("notices", DataType::Utf8),
            ],
            Table::Touches => vec![
                required("relation", DataType::Utf8),
                required("operation", DataType::Utf8),
                required("at", timestamp()),
                optional("committed_at", timestamp()),
                required("job", DataType::Utf8),
                required("subject", DataType::Utf8),
                required("session_id", DataType::Utf8),
                required("statement_no", DataType::Int64),
                required("target", DataType::Utf8),
                optional("rows", DataType::Int64),
                // As in `statements`.
                optional("transaction_outcome", DataType::Utf8),
                required("columns", list()),
                // Null in files from before it was written; their rows have their outcomes.
                optional("transaction_id", DataType::Int64),
                // 'certain' or 'possible'; null in files from before it was written: certain.
                optional("certainty", DataType::Utf8),
                // Why it is only possible.
                optional("reason", DataType::Utf8),
                optional("outcome_reason", DataType::Utf8),
                // 'direct', 'view', 'rule', 'trigger', 'function', 'cascade', 'partition' or 'inheritance'; null in files from
                // before it was written: direct.
                optional("via", DataType::Utf8),
            ],
            Table::Transactions => vec![
                required("session_id", DataType::Utf8),
                required("transaction_id", DataType::Int64),
                required("target", DataType::Utf8),
                required("database", DataType::Utf8),
                // 'transaction', 'savepoint' (a range that ROLLBACK TO SAVEPOINT undid) or 'resolution' (of a prepared
                // transaction, by COMMIT PREPARED or ROLLBACK PREPARED, whoever prepared it).
                required("kind", DataType::Utf8),
                required("first_statement", DataType::Int64),
                required("last_statement", DataType::Int64),
                // 'committed', 'rolled back', 'unknown', or PREPARED.
                required("outcome", DataType::Utf8),
                optional("reason", DataType::Utf8),
                required("ended_at", timestamp()),
                optional("committed_at", timestamp()),
                // Of PREPARE TRANSACTION, or of the resolution.
                optional("gid", DataType::Utf8),
                // When its earliest statement began; null where that is not known, and of a resolution.
                optional("started_at", timestamp()),
            ],
            Table::Sessions => vec![
                required("session_id", DataType::Utf8),
                required("target", DataType::Utf8),
                required("job", DataType::Utf8),
                required("subject", DataType::Utf8),
                required("issuer", DataType::Utf8),
                required("groups", list()),
                required("client_addr", DataType::Utf8),
                required("application_name", DataType::Utf8),
                required("db_user", DataType::Utf8),
                required("database", DataType::Utf8),
                required("opened_at", timestamp()),
                optional("closed_at", timestamp()),
                optional("close_reason", DataType::Utf8),
                // False while open, and for ever when the closing event is missing or there is a gap.
                required("complete", DataType::Boolean),
                required("statements", DataType::Int64),
                required("frames", DataType::Int64),
                required("bytes_frontend", DataType::Int64),
                required("bytes_backend", DataType::Int64),
                required("denied", DataType::Int64),
                // Why the job was not let in; null when it was.
                optional("auth_failure", DataType::Utf8),
                // JSON array of {"after_seq", "frames", "reason"}: what was not recorded; null without gaps.
                optional("gaps", DataType::Utf8),
                // Hex of the SHA-256 chain over the session's events so far.
                required("chain_head", DataType::Utf8),
                // 'full', 'statements' or 'metadata'; null in files from before there were levels, which are full.
                optional("capture", DataType::Utf8),
                // Bytes of one result's rows that are recorded; null without a limit.
                optional("max_result_bytes", DataType::Int64),
                // Of the connection from the job; null without TLS.
                optional("tls_version", DataType::Utf8),
                optional("tls_cipher", DataType::Utf8),
                // Subject and hex of the SHA-256 of the certificate that the job showed; null when it showed none.
                optional("client_dn", DataType::Utf8),
                optional("client_certificate_sha256", DataType::Utf8),
                // How often the server's answers contradicted what the session was taken for; null in files from before
                // it was counted.
                optional("contradictions", DataType::Int64),
                // The role that the database knows the session by (`session_user`), and the number of its process there; null
                // where they could not be learned.
                optional("database_role", DataType::Utf8),
                optional("backend_pid", DataType::Int64),
                // Statements that failed; those that were not run because of it are not counted.
                optional("errors", DataType::Int64),
                // JSON array, as in `statements`, of what was said outside of any statement: notices, and errors such as the
                // FATAL that ended it. {"by": "hansard"} marks Hansard's own words.
                optional("notices", DataType::Utf8),
                // How the session ended, whatever of it is recorded: 'open', 'terminated' (the job took its leave), 'lost' (the
                // job's connection ended without that), 'ended by database', 'ended by hansard', 'refused', 'cancel request', or
                // 'unknown' (the proxy was gone before it could say so).
                optional("ending", DataType::Utf8),
                // When the last frame came; null where there was none.
                optional("last_frame_at", timestamp()),
                // What the job said that it was about to do, and of which trace (W3C) its work is a part; null where it did not.
                optional("purpose", DataType::Utf8),
                optional("traceparent", DataType::Utf8),
                // By what it was let in: 'password' (a token as the password), 'oauthbearer' or 'scram-sha-256' (a lease), the token's `jti` and `exp`.
                optional("authentication", DataType::Utf8),
                optional("token_id", DataType::Utf8),
                optional("token_expires_at", timestamp()),
                // The subject, where others act for it; and these, a JSON array of {"subject", "issuer"}, whoever used the token first.
                optional("acting_for", DataType::Utf8),
                optional("actors", DataType::Utf8),
                // The lease by which it was let in, as in `leases.id`; null where it showed a token.
                optional("lease", DataType::Utf8),
            ],
            Table::Catalog => vec![
                required("target", DataType::Utf8),
                required("database", DataType::Utf8),
                // Of the process that read it: each counts its versions by itself.
                required("node", DataType::Utf8),
                required("instance", DataType::Utf8),
                required("version", DataType::Int64),
                // The version that this row changes; 0: of that database nothing holds any more that is not in this version.
                required("base_version", DataType::Int64),
                required("begun_at", timestamp()),
                required("read_at", timestamp()),
                // 'relation', 'function', ...; 'missing': what could not be read.
                required("kind", DataType::Utf8),
                required("oid", DataType::Int64),
                optional("schema", DataType::Utf8),
                // Of 'missing' the kind that could not be read; empty: nothing could.
                required("name", DataType::Utf8),
                // JSON; null where it was removed. Of 'missing' the reason, as a JSON string.
                optional("definition", DataType::Utf8),
                required("removed", DataType::Boolean),
            ],
            Table::Leases => vec![
                // The user name to log in with, as in `sessions.lease`.
                required("id", DataType::Utf8),
                required("target", DataType::Utf8),
                required("role", DataType::Utf8),
                // Null where it is good for any.
                optional("database", DataType::Utf8),
                required("job", DataType::Utf8),
                required("subject", DataType::Utf8),
                required("issuer", DataType::Utf8),
                required("groups", list()),
                // Of the token for which it was given.
                optional("token_id", DataType::Utf8),
                // As in `sessions`.
                optional("purpose", DataType::Utf8),
                optional("acting_for", DataType::Utf8),
                optional("actors", DataType::Utf8),
                required("issued_at", timestamp()),
                required("expires_at", timestamp()),
                // Null: any number.
                optional("max_connections", DataType::Int64),
                // Hex; null where no certificate is asked for.
                optional("certificate_sha256", DataType::Utf8),
                // Null where it ends, or has ended, by its time.
                optional("revoked_at", timestamp()),
                // Who revoked it, or what it was given by, and why.
                optional("revoked_by", DataType::Utf8),
                optional("reason", DataType::Utf8),
            ],
        };
        Arc::new(Schema::new(fields))
    }
}

/// Type of every time column.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))
}

fn list() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}
