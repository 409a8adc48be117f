//! What is told of a statement: data.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::catalog::Function;
use crate::{ChangedNames, Operation, Rows};

/// A text's statements, in order; none when it holds only blanks and comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The statements.
    pub statements: Vec<Statement>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Where it stands in the text, in bytes, with the comments before it, without blanks around it and semicolons.
    pub range: Range<usize>,
    /// What it does.
    pub operation: Operation,
    /// Relations that it touches, each once per operation.
    pub relations: Vec<Relation>,
    /// Functions that it names and runs, each once, in order of name; operators of a schema other than `pg_catalog`; and
    /// types that it casts to and PostgreSQL does not bring along.
    pub functions: Vec<Name>,
    /// The same, with operators and types, as a catalog needs them to tell what they are; those of queries that are not run
    /// are left out.
    pub calls: Vec<Call>,
    /// Code that stands in it.
    pub body: Option<Body>,
    /// What it does to names, in order.
    pub names: Vec<NameChange>,
    /// Names of relations that it may hang something on, as a trigger, a rule, a constraint or a partition.
    pub attaches: ChangedNames,
    /// Names of functions, types and operators that may do something else from now on.
    pub redefines: ChangedNames,
    /// The function or procedure that it makes, where what that does can be read from it; of its types the names.
    pub routine: Option<(Name, Function)>,
    /// The type or operator that it makes.
    pub definition: Option<Definition>,
    /// It runs expressions of the tables that it changes as a definition: of indexes, constraints, generated columns,
    /// partition keys and their types; as ALTER TABLE does that checks or writes all rows.
    pub rewrites: bool,
    /// It runs the expressions of indexes of whatever tables there are, which it does not name: ANALYZE, REINDEX DATABASE.
    pub maintains_all: bool,
    /// What it changes in the session.
    pub effect: Effect,
    /// Settings that it certainly changes by calls of `set_config`, in order, of those that [`Effect::Setting`] lists
    /// and `search_path`, which `effect` tells too where it has nothing else to tell.
    pub settings: Vec<SettingChange>,
    /// Settings that it certainly changes by calls of `set_config` to what is bound to a parameter, in order. Where there are
    /// any, `settings` is empty and `may_change_settings` holds: who knows the parameters knows more.
    pub bound_settings: Vec<BoundSetting>,
    /// It may change settings that its text does not tell: DO, CALL, a function that PostgreSQL does not bring along,
    /// `set_config` with what is no constant or where it may not run. What a trigger, a rule, a view's functions
    /// or a cast do is not counted: almost any statement could.
    pub may_change_settings: bool,
    /// What it did may stay although its transaction is rolled back later, and with it what the transaction did before:
    /// DO and CALL, which may COMMIT inside, and what commits by itself outside a transaction block (VACUUM, CREATE
    /// INDEX CONCURRENTLY and others, `PreventInTransactionBlock` in PostgreSQL's sources).
    pub may_end_transaction: bool,
    /// COPY ... FROM STDIN: the client's data follow.
    pub copies_from_client: bool,
    /// What its first words say that it does, and to which relation, where the whole could not be understood.
    pub head: Option<(Operation, Name)>,
    /// libpg_query's fingerprint: equal for statements that differ in constants only.
    pub fingerprint: Option<String>,
    /// Why it, or part of it, could not be understood, or does more than its text tells.
    pub opaque: Option<String>,
    /// `opaque` is for what a catalog can tell: DO, CALL and CASCADE.
    pub opaque_without_catalog: bool,
}

/// A relation, and what is done to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relation {
    /// As written.
    pub name: Name,
    /// What is done to it.
    pub operation: Operation,
    /// Columns that the text names for this operation and certainly mean this relation, in order of name; "*" for all.
    pub columns: Vec<String>,
    /// The number in the server's command tag counts rows of this relation.
    pub counted: bool,
    /// ONLY stands before it, wherever it stands: what inherits from it is not touched.
    pub only: bool,
    /// Which rows it is about.
    pub rows: Rows,
}

/// A function, operator or type that a statement names and that runs code when it runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// What is named.
    pub kind: CallKind,
    /// As written.
    pub name: Name,
    /// How many arguments are given, where that is known; `None` of an operator that no text writes, but the syntax means,
    /// and of a type whose values come by assignment, as those of variables and results.
    pub arguments: Option<usize>,
}

/// What a call names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CallKind {
    /// A function or aggregate.
    Function,
    /// A field of a value in parentheses, `(v).name`, or a function of that name that takes the value.
    Field,
    /// A procedure, by CALL.
    Procedure,
    /// An operator.
    Operator,
    /// A type that is cast to.
    Type,
}

/// A type or an operator that a statement makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// [`CallKind::Type`] or [`CallKind::Operator`].
    pub kind: CallKind,
    /// As written.
    pub name: Name,
    /// What runs where it is used; `None` where that is not known.
    pub calls: Option<Vec<Call>>,
}

/// Code that stands in a statement: the body of DO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// In lower case.
    pub language: String,
    /// The code.
    pub text: String,
}

/// What a statement does to the names of relations and schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChange {
    /// A relation comes into being.
    Create {
        /// Its name; of a schema when it is told.
        name: Name,
        /// It is temporary: TEMP, or in schema `pg_temp`. One is not, without a schema, is made in the first schema of
        /// the search path, and is temporary where that is `pg_temp`.
        temporary: bool,
        /// ON COMMIT DROP: it is gone when the transaction is over.
        on_commit_drop: bool,
        /// IF NOT EXISTS, or OR REPLACE: it may have been there.
        may_exist: bool,
        /// A view: where it reads a temporary relation and has no schema, PostgreSQL makes it a temporary one.
        view: bool,
        /// Nothing hangs on it: what is written to it stays there, and runs no code. Where values may run code by their
        /// types alone, as those of domains do, a catalog has to say.
        bare: bool,
        /// A partitioned table: it takes its partitions along when it is dropped.
        partitioned: bool,
    },
    /// A relation is dropped.
    Drop {
        /// Its name.
        name: Name,
        /// And what depends on it, which is not told.
        cascade: bool,
    },
    /// A relation gets another name, in its schema.
    Rename {
        /// Its name before.
        from: Name,
        /// The name after.
        to: String,
    },
    /// A relation goes to another schema.
    Move {
        /// Its name before.
        name: Name,
        /// The schema after.
        schema: String,
    },
    /// A relation is a view, or gets a trigger or a rule: what is done to it is not all that is done.
    Attached(Name),
    /// A schema comes into being; `None`: of the current role's name.
    CreateSchema(Option<String>),
    /// A schema is dropped.
    DropSchema {
        /// Its name.
        name: String,
        /// With what is in it.
        cascade: bool,
    },
    /// A schema gets another name.
    RenameSchema {
        /// The name before.
        from: String,
        /// The name after.
        to: String,
    },
    /// A role gets another name, or other settings (ALTER ROLE ... SET), or a database does.
    Settings,
    /// Relations may be dropped that depend on what is dropped: a type, a function, an extension.
    DropDependents,
    /// Names change in a way that the text does not tell: DROP OWNED, an extension, IMPORT FOREIGN SCHEMA.
    Unknown,
}

/// A call of `set_config` whose value is a parameter of the statement, as `$1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundSetting {
    /// The setting, in lower case.
    pub name: String,
    /// Which parameter is the value, from 1 on.
    pub parameter: u32,
    /// Until the end of the transaction only.
    pub local: bool,
}

impl Relation {
    /// A relation of which only the operation is known.
    pub fn new(name: Name, operation: Operation) -> Relation {
        Relation { name, operation, columns: Vec::new(), counted: false, only: false, rows: Rows::Any }
    }
}

/// The name of a relation or a function, as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// When the name is qualified.
    pub schema: Option<String>,
    /// The name itself.
    pub name: String,
}

/// A change of a setting by a function call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingChange {
    /// In lower case.
    pub name: String,
    /// As written; `None` when it goes back to the session's default.
    pub value: Option<String>,
    /// Until the end of the transaction only.
    pub local: bool,
}

/// What a statement changes in the session, beside what it does to relations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that the text tells.
    None,
    /// A transaction begins.
    Begin,
    /// It is committed.
    Commit {
        /// And another one begins.
        chain: bool,
    },
    /// It is rolled back.
    Rollback {
        /// And another one begins.
        chain: bool,
    },
    /// A savepoint is set.
    Savepoint(String),
    /// A savepoint is forgotten.
    Release(String),
    /// What was done since a savepoint is rolled back.
    RollbackTo(String),
    /// PREPARE TRANSACTION under this global identifier: the transaction leaves the session undecided.
    PrepareTransaction(String),
    /// COMMIT PREPARED of the transaction with this global identifier.
    CommitPrepared(String),
    /// ROLLBACK PREPARED of the transaction with this global identifier.
    RollbackPrepared(String),
    /// The schemas that unqualified names are looked up in.
    SearchPath {
        /// As written; `None` when it goes back to the session's default.
        schemas: Option<Vec<String>>,
        /// Until the end of the transaction only.
        local: bool,
    },
    /// SET or RESET of `client_encoding`, `standard_conforming_strings`, `backslash_quote`, `role`,
    /// `session_authorization` or `session_replication_role`, under whichever syntax.
    Setting {
        /// In lower case.
        name: String,
        /// As written; `None` when it goes back to the session's default.
        value: Option<String>,
        /// Until the end of the transaction only.
        local: bool,
    },
    /// RESET ALL: every setting but `role` and `session_authorization` goes back to the session's default.
    ResetAll,
    /// DISCARD ALL, or part of it.
    Discard {
        /// Temporary tables go.
        temporary: bool,
        /// Settings and prepared statements go too.
        all: bool,
    },
    /// PREPARE: the statement is not run yet.
    Prepare {
        /// Its name.
        name: String,
        /// What EXECUTE will do.
        statement: Box<Statement>,
    },
    /// EXECUTE of a prepared statement.
    Execute(String),
    /// DEALLOCATE of one prepared statement, or of all.
    Deallocate(Option<String>),
    /// DECLARE: a cursor of this name is opened. What its query does is done by FETCH.
    Declare(String),
    /// FETCH or MOVE: what the cursor or portal of this name runs is run, or goes on.
    Fetch(String),
    /// CLOSE of one cursor, or of all.
    CloseCursor(Option<String>),
    /// A temporary relation comes into being.
    CreateTemporary(String),
    /// Relations are dropped.
    Drop(Vec<Name>),
}

impl Statement {
    /// A statement of which nothing is known but what kind it is.
    pub fn new(operation: Operation, range: Range<usize>) -> Statement {
        Statement {
            range,
            operation,
            relations: Vec::new(),
            functions: Vec::new(),
            calls: Vec::new(),
            body: None,
            names: Vec::new(),
            attaches: ChangedNames::all(),
            redefines: ChangedNames::all(),
            routine: None,
            definition: None,
            rewrites: false,
            maintains_all: false,
            effect: Effect::None,
            settings: Vec::new(),
            bound_settings: Vec::new(),
            may_change_settings: false,
            may_end_transaction: false,
            copies_from_client: false,
            head: None,
            fingerprint: None,
            opaque: None,
            opaque_without_catalog: false,
        }
    }
}

impl Statement {
    /// About how many bytes it takes, for who keeps many.
    pub fn bytes(&self) -> usize {
        let of = |name: &Name| size_of::<Name>() + name.name.len() + name.schema.as_ref().map_or(0, String::len);
        let columns =
            |relation: &Relation| relation.columns.iter().map(|column| size_of::<String>() + column.len()).sum();
        let relations = self.relations.iter().map(|relation| {
            let columns: usize = columns(relation);
            size_of::<Relation>() + of(&relation.name) + columns + relation.rows.bytes()
        });
        let calls = self.calls.iter().map(|call| size_of::<Call>() + of(&call.name));
        let inner = match &self.effect {
            Effect::Prepare { statement, .. } => statement.bytes(),
            _ => 0,
        };
        size_of::<Statement>()
            + relations.sum::<usize>()
            + calls.sum::<usize>()
            + self.functions.iter().map(of).sum::<usize>()
            + self.names.len() * size_of::<NameChange>()
            + self.body.as_ref().map_or(0, |body| body.text.len())
            + inner
    }
}
