//! Texts of a catalog's objects, analysed once: view definitions, bodies, rules, expressions.
//!
//! Invariant: what is kept is bounded by [`MAX_BYTES`] of text, short ones counted with what they take beside it, and is of the very object that the catalog holds.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use pg_query::NodeEnum;
use pg_query::protobuf::{CmdType, RuleStmt};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Function, FunctionKind, Kind, Object, Oid, Text};
use crate::expression::MAX_CALLS;
use crate::{
    Call, CallKind, ChangedNames, Dialect, Operation, SHALLOW, Statement, analyse, procedural, routines, scan, utility,
};

/// Most bytes of text whose analyses are kept; then all are forgotten.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that an analysis is counted with beside its text.
const ENTRY: usize = 512;

/// Analyses of what catalogs hold. One serves all versions of a catalog: of an object that has changed it is made anew.
#[derive(Debug, Default)]
pub struct Memo {
    read: HashMap<Part, (Arc<Object>, Arc<Read>)>,
    bytes: usize,
}

/// A function or procedure that a session has made, and its body as far as it was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Routine {
    /// As the catalog will have it, but for its types: of those that are not PostgreSQL's own for certain, the signature has
    /// one parameter each.
    pub function: Function,
    /// Different from those of the session's others, and less than 16384.
    pub number: Oid,
    #[serde(skip)]
    read: Arc<OnceLock<Option<Arc<Read>>>>,
    #[serde(skip)]
    types: Arc<OnceLock<Arc<Read>>>,
}

impl Routine {
    /// One whose body has not been read.
    pub fn new(function: Function, number: Oid) -> Routine {
        Routine { function, number, read: Arc::default(), types: Arc::default() }
    }

    pub(super) fn types(&self) -> Arc<Read> {
        self.types.get_or_init(|| Arc::new(Read::types(&self.function))).clone()
    }

    pub(super) fn read(&self) -> Option<Arc<Read>> {
        self.read.get_or_init(|| Read::function(&self.function).map(Arc::new)).clone()
    }
}

/// A type or an operator that a session has made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Made {
    /// Its schema.
    pub schema: Text,
    /// [`CallKind::Type`] or [`CallKind::Operator`].
    pub kind: CallKind,
    /// What runs where it is used; `None` where that is not known.
    pub calls: Option<Vec<Call>>,
    /// Different from those of the session's others and of its routines, and less than 16384.
    pub number: Oid,
}

/// A text of an object: which one, where it has several.
type Part = (Kind, Oid, usize);

/// What a text consists of.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) pieces: Vec<Piece>,
    /// Why it may do more.
    pub(super) opaque: Option<&'static str>,
    pub(super) ends_transactions: bool,
    /// It assigns to fields, perhaps of rows that its queries read.
    pub(super) assigns_fields: bool,
    pub(super) rule: Option<RuleHead>,
}

/// A statement of a text.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) statement: Statement,
    /// It is run whenever the text is run to its end.
    pub(super) always: bool,
}

/// When a rule acts, and whether what was asked for is done, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleHead {
    pub(super) event: Operation,
    pub(super) instead: bool,
    pub(super) conditional: bool,
}

impl Memo {
    /// The analysis of a text of an object.
    pub(super) fn read(
        &mut self,
        catalog: &Catalog,
        key: Part,
        read: impl FnOnce(&Object) -> Option<(usize, Read)>,
    ) -> Option<Arc<Read>> {
        let object = catalog.object(key.0, key.1)?;
        if let Some((known, read)) = self.read.get(&key)
            && Arc::ptr_eq(known, object)
        {
            return Some(read.clone());
        }
        let (text, read) = read(object)?;
        let bytes = text + ENTRY;
        let read = Arc::new(read);
        if self.bytes + bytes > MAX_BYTES {
            self.read.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.read.insert(key, (object.clone(), read.clone()));
        Some(read)
    }
}

impl Read {
    /// SQL statements, one after the other.
    pub(super) fn sql(text: &str) -> Read {
        let pieces = analyse(text).statements.into_iter();
        let pieces = pieces.take(procedural::MAX_PIECES).map(|statement| Piece { statement, always: true }).collect();
        Read { pieces, ..Read::default() }
    }

    /// A body in PL/pgSQL.
    pub(super) fn procedure(text: &str) -> Read {
        let found = procedural::read(text, Dialect::default());
        let pieces = found.pieces.into_iter().flat_map(|piece| {
            let statements = analyse(&piece.sql).statements;
            statements.into_iter().map(move |statement| Piece { statement, always: piece.always })
        });
        let types = found.types.chunks(MAX_CALLS / 2).map(|types| {
            let parameters: Vec<String> = types.iter().map(|kind| format!("a {kind}")).collect();
            Piece { statement: Read::of_types(&parameters.join(", "), ""), always: false }
        });
        Read {
            pieces: types.chain(pieces.take(procedural::MAX_PIECES)).collect(),
            opaque: found.opaque,
            ends_transactions: found.ends_transactions,
            assigns_fields: found.assigns_fields,
            rule: None,
        }
    }

    /// The types of a function's arguments and results.
    pub(super) fn types(function: &Function) -> Read {
        // Of an aggregate of ordered sets, the list is no list of parameters.
        let parameters = match function.kind {
            FunctionKind::Aggregate if function.signature.contains("ORDER BY") => "",
            _ => &*function.signature,
        };
        let pieces = vec![Piece { statement: Read::of_types(parameters, &function.result), always: false }];
        Read { pieces, ..Read::default() }
    }

    fn of_types(parameters: &str, result: &str) -> Statement {
        let calls = routines::types(parameters, result).filter(|calls| calls.len() <= MAX_CALLS);
        let opaque = calls.is_none().then(|| "types that are not understood".to_owned());
        let (attaches, redefines) = (ChangedNames::default(), ChangedNames::default());
        let calls = calls.unwrap_or_default();
        Statement { calls, opaque, attaches, redefines, ..Statement::new(Operation::Select, 0..0) }
    }

    /// The body of a function; none where its language is not read.
    pub(super) fn function(function: &Function) -> Option<Read> {
        let source = function.source.as_deref()?;
        match &*function.language {
            "plpgsql" => Some(Read::procedure(source)),
            "sql" => {
                let body = source.trim();
                let head = |words: &str| body.get(..words.len()).filter(|head| head.eq_ignore_ascii_case(words));
                if head("BEGIN ATOMIC").is_some() {
                    let inner = body["BEGIN ATOMIC".len()..].trim_end();
                    let end = inner.len().saturating_sub("END".len());
                    return Some(Read::sql(inner.get(..end).unwrap_or_default()));
                }
                match head("RETURN ") {
                    Some(head) => Some(Read::sql(&format!("select {}", &body[head.len()..]))),
                    None => Some(Read::sql(body)),
                }
            }
            _ => None,
        }
    }

    /// An expression, a constraint or an index, as PostgreSQL writes them.
    pub(super) fn expression(text: &Text) -> Read {
        let word = text.split_ascii_whitespace().next().unwrap_or_default();
        match word {
            "CREATE" => Read::sql(text),
            "CHECK" | "EXCLUDE" => Read::sql(&format!("alter table x add {text}")).without_relations(),
            _ => Read::sql(&format!("select {text}")),
        }
        .calls_only()
    }

    /// Of the statement around an expression, what it names is no touch.
    fn without_relations(mut self) -> Read {
        self.pieces.iter_mut().for_each(|piece| piece.statement.relations.clear());
        self
    }

    /// The text is no statement of its own: nothing is defined by it.
    fn calls_only(mut self) -> Read {
        for piece in &mut self.pieces {
            let statement = &mut piece.statement;
            statement.relations.retain(|relation| relation.operation == Operation::Select);
            if statement.operation != Operation::Opaque {
                statement.operation = Operation::Select;
            }
        }
        self
    }

    /// What `pg_get_ruledef` writes.
    pub(super) fn rule(definition: &str) -> Read {
        let opaque = || Read { opaque: Some("is a rule that is not understood"), ..Read::default() };
        let depth = scan::split(definition, Dialect::default(), 2)
            .map(|split| split.parts.iter().map(|part| part.depth).max().unwrap_or(0));
        if definition.len() > crate::MAX_TEXT || depth.is_err() || depth.is_ok_and(|depth| depth > SHALLOW) {
            return opaque();
        }
        let Ok(nodes) = crate::parse(definition, Dialect::default()) else { return opaque() };
        match nodes.first().and_then(|raw| raw.stmt.as_ref()?.node.as_ref()) {
            Some(NodeEnum::RuleStmt(rule)) => Read::rule_of(rule),
            _ => opaque(),
        }
    }

    fn rule_of(rule: &RuleStmt) -> Read {
        let event = match CmdType::try_from(rule.event) {
            Ok(CmdType::CmdInsert) => Operation::Insert,
            Ok(CmdType::CmdUpdate) => Operation::Update,
            Ok(CmdType::CmdDelete) => Operation::Delete,
            _ => Operation::Select,
        };
        let condition = rule.where_clause.as_deref().map(utility::expression);
        let actions = rule.actions.iter().filter_map(|node| node.node.as_ref()).map(utility::statement);
        let pieces = condition.into_iter().chain(actions).map(|mut statement| {
            // The rows that the rule is about are no relations.
            statement.relations.retain(|relation| {
                relation.name.schema.is_some() || !matches!(relation.name.name.as_str(), "old" | "new")
            });
            Piece { statement, always: rule.where_clause.is_none() }
        });
        let head = RuleHead { event, instead: rule.instead, conditional: rule.where_clause.is_some() };
        Read { pieces: pieces.collect(), rule: Some(head), ..Read::default() }
    }
}
