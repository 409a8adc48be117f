//! From a text to its statements: the scanner splits it, and PostgreSQL's grammar reads each of them.
//!
//! Invariants: no text makes [`analyse`] panic or overflow the stack; what is not understood has a reason in
//! [`Statement::opaque`].

use std::ops::Range;

use pg_query::protobuf::RawStmt;

use crate::{
    Analysis, Dialect, Effect, Operation, Rows, Statement, changed_names, compact, deep, head, nesting, scan, utility,
};

/// Longest statement that is parsed, in bytes, without its comments and most of its constants; of a longer one the head
/// is read. libpg_query's tree and its decoded form take up to 800 bytes of memory and 1.5 us for a byte of text
/// (`select f(a), f(a), ...`, optimised build; `examples/cost.rs` measures it): 25 MiB and 50 ms for the worst text.
pub const MAX_TEXT: usize = 32 * 1024;

/// Most statements of one text that are told one by one.
pub const MAX_STATEMENTS: usize = 10_000;

/// Longest statement that gets a fingerprint, in bytes: it is parsed once more for that.
pub const MAX_FINGERPRINT: usize = 16 * 1024;

/// Why a text is opaque that the parser did not survive.
const PARSER_FAILED: &str = "the parser failed on it";

/// Nesting that any thread's stack has room for.
pub(crate) const SHALLOW: usize = 64;

impl Analysis {
    pub(crate) fn opaque(sql: &str, reason: impl Into<String>) -> Analysis {
        Analysis {
            statements: vec![Statement {
                opaque: Some(reason.into()),
                may_change_settings: true,
                may_end_transaction: true,
                ..Statement::new(Operation::Opaque, 0..sql.len())
            }],
        }
    }

    /// The text as a whole could not be read: how many statements it holds is not known.
    pub fn is_opaque(&self) -> bool {
        matches!(&self.statements[..], [Statement { operation: Operation::Opaque, .. }])
    }
}

/// Analyses a text as a session with default settings reads it.
pub fn analyse(sql: &str) -> Analysis {
    analyse_as(sql, Dialect::default())
}

/// Analyses a text as a session with these settings reads it.
pub fn analyse_as(sql: &str, dialect: Dialect) -> Analysis {
    if sql.contains('\0') {
        return Analysis::opaque(sql, "contains a zero byte");
    }
    let split = match scan::split(sql, dialect, MAX_STATEMENTS) {
        Ok(split) => split,
        Err(reason) => return Analysis::opaque(sql, reason),
    };
    let depths = split.parts.iter().map(|part| part.depth).filter(|depth| *depth <= nesting::MAX);
    if depths.max().unwrap_or(0) <= SHALLOW {
        return statements(sql, dialect, split);
    }
    deep::analyse(sql, dialect, split).unwrap_or_else(|| Analysis::opaque(sql, PARSER_FAILED))
}

/// Analyses the statements that a text consists of.
pub(crate) fn statements(sql: &str, dialect: Dialect, split: scan::Split) -> Analysis {
    if split.atomic {
        return whole(sql, dialect, &split.parts);
    }
    let statements = split.parts.into_iter().map(|part| {
        let text = &sql[part.range.clone()];
        let mut statement = one(text, dialect, part.depth);
        if let Effect::Prepare { statement: inner, .. } = &mut statement.effect {
            inner.range = part.range.clone();
            inner.fingerprint.clone_from(&statement.fingerprint);
        }
        statement.range = part.range;
        statement
    });
    Analysis { statements: statements.collect() }
}

/// Analyses a text that only the parser can split.
fn whole(sql: &str, dialect: Dialect, parts: &[scan::Part]) -> Analysis {
    if sql.len() > MAX_TEXT || parts.iter().any(|part| part.depth > nesting::MAX) {
        return Analysis::opaque(sql, "BEGIN ATOMIC in a text that is too long to be parsed");
    }
    let nodes = match parse(sql, dialect) {
        Ok(nodes) => nodes,
        Err(reason) => return Analysis::opaque(sql, reason),
    };
    let mut before = 0;
    let statements = nodes.iter().map(|raw| {
        let range = range(sql, before, raw);
        before = range.end;
        let mut statement = understood(raw);
        statement.range = range;
        statement
    });
    Analysis { statements: statements.collect() }
}

/// Analyses one statement.
fn one(text: &str, dialect: Dialect, depth: usize) -> Statement {
    let mut statement = of_one(text, dialect, depth);
    if statement.attaches.is_all() {
        statement.attaches = changed_names(text.as_bytes()).unwrap_or_default();
    }
    if statement.redefines.is_all() {
        statement.redefines = changed_names(text.as_bytes()).unwrap_or_default();
    }
    statement
}

fn of_one(text: &str, dialect: Dialect, depth: usize) -> Statement {
    if depth > nesting::MAX {
        return head::statement(text, dialect, &format!("nested deeper than {} levels", nesting::MAX));
    }
    let compact = (text.len() > MAX_FINGERPRINT).then(|| compact::compact(text, dialect));
    let short = compact.as_ref().map_or(text, |compact| &compact.sql);
    if short.len() > MAX_TEXT {
        return head::statement(text, dialect, &format!("longer than {MAX_TEXT} bytes: only its head was read"));
    }
    let mut statement = match parse(short, dialect).as_deref() {
        Ok([raw]) => understood(raw),
        Ok(_) => return refused(text, dialect, "the parser takes it for several"),
        Err(reason) => return refused(text, dialect, reason),
    };
    match compact {
        Some(compact) if compact.constants_cut && statement.depends_on_constants() => {
            return head::statement(text, dialect, "a constant that it depends on is too long");
        }
        Some(_) => without_constants(&mut statement),
        None => {
            let fingerprint = pg_query::fingerprint(text, parser_options(dialect), 0);
            statement.fingerprint = fingerprint.ok().map(|fingerprint| fingerprint.hex);
        }
    }
    statement
}

/// Takes away what the text no longer tells whose lists were made shorter.
pub(crate) fn without_constants(statement: &mut Statement) {
    statement.relations.iter_mut().for_each(|relation| relation.rows = Rows::Any);
    statement.calls.iter_mut().for_each(|call| call.arguments = None);
    if let Effect::Prepare { statement, .. } = &mut statement.effect {
        without_constants(statement);
    }
}

/// A statement that the grammar refuses; a server of another version may take it, and what its head makes certain is so
/// then.
fn refused(text: &str, dialect: Dialect, reason: &str) -> Statement {
    Statement { head: head::hint(text, dialect), ..head::statement(text, dialect, reason) }
}

fn understood(raw: &RawStmt) -> Statement {
    match raw.stmt.as_ref().and_then(|node| node.node.as_ref()) {
        Some(node) => utility::statement(node),
        None => Analysis::opaque("", "the parser gave no tree").statements.remove(0),
    }
}

/// The trees of the text's statements, or why there are none. The grammar's bindings assert what they expect of its
/// output: a text that breaks such an assertion is one that is not understood, and must not take the process along.
pub(crate) fn parse(sql: &str, dialect: Dialect) -> Result<Vec<RawStmt>, String> {
    match std::panic::catch_unwind(|| pg_query::parse(sql, parser_options(dialect))) {
        Ok(Ok(parsed)) => Ok(parsed.protobuf.stmts),
        Ok(Err(pg_query::Error::Parse(reason))) => Err(reason),
        Ok(Err(_)) => Err("the parser's answer does not decode".to_owned()),
        Err(_) => Err(PARSER_FAILED.to_owned()),
    }
}

pub(crate) fn parser_options(dialect: Dialect) -> pg_query::ParserOptions {
    if dialect.standard_conforming_strings {
        pg_query::ParserOptions::DEFAULT
    } else {
        pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS
    }
}

/// Where the statement stands, with the comments before it; the whole text where the parser's numbers do not fit it.
pub(crate) fn range(sql: &str, before: usize, raw: &RawStmt) -> Range<usize> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let end = match usize::try_from(raw.stmt_len) {
        Ok(0) | Err(_) => sql.len(),
        Ok(length) => start.saturating_add(length),
    };
    if sql.get(before..end).is_some() { scan::trim(sql, before..end) } else { 0..sql.len() }
}
