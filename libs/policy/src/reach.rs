//! What a statement touches behind the names it writes: through views, rules, triggers, functions, cascades, partitions
//! and inheritance, as a catalog tells.
//!
//! Invariants: what is not provable is possible, with a reason; what cannot be followed is one possible touch of a relation
//! that is not known; work and the number of touches are bounded, whatever catalog and statement hold.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::catalog::{Catalog, Oid, TEMPORARY, Text};
use crate::{Body, Call, CallKind, Effect, Name, NameChange, Operation, Rows, Statement};

mod changes;
mod code;
mod inside;
mod memo;
mod partitions;
mod resolve;
#[cfg(test)]
mod tests;

pub use code::values_may_run_code;
pub use memo::{Made, Memo, Routine};
use resolve::{Defined, Lost};
pub use resolve::{OnPath, Resolve, Resolved, resolve};

/// Most touches that are told of one statement; one more tells that there are others. Those of what it names itself are
/// told beyond that, up to as many again.
pub const MAX_TOUCHED: usize = 256;

/// Most partitions and inheriting tables that are told of one statement.
const MAX_CHILDREN: usize = 64;

/// Most bodies of functions that are read for one statement.
const MAX_BODIES: usize = 64;

/// Most partitions that are told of a read: of one with more, it is told that there are.
const MAX_READ_CHILDREN: usize = 16;

/// Most relations and calls that are followed for one statement, however often they occur.
const MAX_WORK: usize = 20_000;

/// How deep views, triggers and functions are followed.
const MAX_DEPTH: usize = 32;

/// The first OID that PostgreSQL gives to what it does not bring along.
const FIRST_NORMAL: Oid = 16_384;

/// How a relation was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Via {
    /// The statement names it.
    Direct,
    /// A view that it names.
    View,
    /// A rule.
    Rule,
    /// A trigger's function.
    Trigger,
    /// A function, procedure, operator, cast or constraint, or code in DO.
    Function,
    /// A foreign key's action, or CASCADE.
    Cascade,
    /// It is a partition.
    Partition,
    /// It inherits.
    Inheritance,
}

impl Via {
    /// The word, as it stands in column `via`.
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Direct => "direct",
            Via::View => "view",
            Via::Rule => "rule",
            Via::Trigger => "trigger",
            Via::Function => "function",
            Via::Cascade => "cascade",
            Via::Partition => "partition",
            Via::Inheritance => "inheritance",
        }
    }
}

/// A relation that a statement touches or may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Its name: with a schema where that is known; `None` where it may be any relation.
    pub relation: Option<Name>,
    /// Its number, where the catalog holds it.
    pub oid: Option<Oid>,
    /// What is done to it; [`Operation::Opaque`] where that is not known.
    pub operation: Operation,
    /// How it was reached, seen from the relation: the last step.
    pub via: Via,
    /// It certainly is touched; otherwise it may be.
    pub certain: bool,
    /// It certainly is where the number in the command tag is not 0: a trigger runs for each row.
    pub if_rows: bool,
    /// Why it is not certain.
    pub reason: Option<Cow<'static, str>>,
    /// The number in the command tag counts its rows.
    pub counted: bool,
    /// Columns, as in [`crate::Relation::columns`]; of what is not direct, only those that a change sets.
    pub columns: Vec<String>,
}

/// What a statement reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    /// Each relation once per operation and way.
    pub touched: Vec<Touched>,
    /// Code that it runs may change settings, as `search_path`: a closer answer than
    /// [`Statement::may_change_settings`].
    pub may_change_settings: bool,
    /// Code that it runs may make, rename or drop relations, temporary ones among them.
    pub may_change_names: bool,
    /// What it did may stay although its transaction is rolled back: a closer answer than
    /// [`Statement::may_end_transaction`] for DO and CALL, and the same for all else.
    pub may_end_transaction: bool,
    /// Names of functions and domains that it calls, or that are called by what it reaches; of PostgreSQL's own only those
    /// that the catalog holds.
    pub code: BTreeSet<String>,
    /// Names of functions, operators and types that it uses without a schema and that are taken for PostgreSQL's own, though
    /// others of these names would be meant if there were any.
    pub built_in: BTreeSet<(CallKind, String)>,
    /// It defines something, or code that it runs does: event triggers run for it.
    pub defines: bool,
}

/// The full name of a relation.
pub fn name_of(catalog: &Catalog, oid: Oid) -> Option<Name> {
    let relation = catalog.relation(oid)?;
    Some(Name { schema: Some(relation.schema.to_string()), name: relation.name.to_string() })
}

/// The view that a statement creates reads a temporary relation, by what names mean to it, and so is one itself. `None`: it
/// may. What it reads stands in [`Statement::relations`] beside the view.
pub fn reads_temporary(statement: &Statement, names: &dyn Resolve) -> Option<bool> {
    let of = |relation: &crate::Relation| match names.relation(&relation.name) {
        Resolved::Known { name, .. } => Some(name.schema.is_some_and(|schema| schema.starts_with(TEMPORARY))),
        // It has a schema that is not a session's own, or is none of the session's.
        Resolved::OneOf { .. } => names.temporary(&relation.name.name).filter(|temporary| !temporary),
    };
    let mut all = Some(false).filter(|_| statement.opaque.is_none());
    let is_made = |name: &Name| {
        statement.names.iter().any(|change| matches!(change, NameChange::Create { name: made, .. } if made == name))
    };
    for relation in statement.relations.iter().filter(|relation| !is_made(&relation.name)) {
        match of(relation) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => all = None,
        }
    }
    all
}

/// What a statement reaches. Of EXECUTE, FETCH and PREPARE that is nothing: ask for the statement that they run. `names`: what
/// names mean in it; `code`: in functions that it calls, and in DO.
pub fn reach(
    statement: &Statement,
    catalog: &Catalog,
    names: &dyn Resolve,
    code: &dyn Resolve,
    memo: &mut Memo,
) -> Reached {
    let mut reach = Reach::new(catalog, code, memo);
    let step =
        Step { via: Via::Direct, certain: true, if_rows: false, reason: None, depth: 0, around: Around::SESSION };
    reach.statement(statement, names, code, &step);
    let sets = statement.calls.iter().any(|call| call.name.name == "set_config");
    let unread = statement.opaque.is_some() && !statement.opaque_without_catalog;
    reach.reached.may_change_settings |= statement.may_change_settings && (sets || unread);
    let mut reached = reach.finish();
    if unread || !matches!(statement.operation, Operation::Do | Operation::Call) {
        // Within a query no code can end it.
        reached.may_end_transaction = statement.may_end_transaction;
    } else if reached.may_end_transaction {
        // A procedure that is called rolls back what its caller has done, too.
        for touched in reached.touched.iter_mut().filter(|touched| touched.certain || touched.if_rows) {
            (touched.certain, touched.if_rows) = (false, false);
            touched.reason = Some("code that it runs may roll it back".into());
        }
    }
    reached
}

/// What a call of a function by its number reaches, as the protocol's FunctionCall makes it.
pub fn reach_call(function: Oid, catalog: &Catalog, resolve: &dyn Resolve, memo: &mut Memo) -> Reached {
    let mut reach = Reach::new(catalog, resolve, memo);
    let step =
        Step { via: Via::Function, certain: true, if_rows: false, reason: None, depth: 0, around: Around::SESSION };
    reach.call_by_number(function, resolve, &step);
    reach.finish()
}

/// Where in the following of names something stands.
#[derive(Debug, Clone)]
struct Step {
    /// How what is named here is reached.
    via: Via,
    /// It is certain that it is run.
    certain: bool,
    /// It is where the statement's command tag counts rows.
    if_rows: bool,
    /// Why it is not: the first cause.
    reason: Option<Cow<'static, str>>,
    depth: usize,
    /// What names mean where its code runs.
    around: Around,
}

/// What names mean somewhere, as far as two places in one following can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Around {
    /// The function whose own search path, role or temporary relations count; 0: those of the session.
    function: Oid,
    /// It is not known any more.
    lost: bool,
}

impl Around {
    const SESSION: Around = Around { function: 0, lost: false };
}

impl Step {
    /// One step on.
    fn next(&self, via: Via) -> Step {
        Step { via, depth: self.depth + 1, ..self.clone() }
    }

    /// One step on, which may not be taken.
    fn perhaps(&self, via: Via, reason: impl FnOnce() -> Cow<'static, str>) -> Step {
        let reason = self.reason.clone().or_else(|| Some(reason()));
        Step { certain: false, if_rows: false, reason, ..self.next(via) }
    }
}

struct Reach<'a> {
    catalog: &'a Catalog,
    session: &'a dyn Resolve,
    memo: &'a mut Memo,
    reached: Reached,
    places: HashMap<(Option<Name>, Operation, Via), usize>,
    /// What has been followed.
    followed: HashSet<(Followed, Oid)>,
    children: usize,
    bodies: usize,
    work: usize,
    /// Why not all is told.
    cut: Option<&'static str>,
    /// Code has changed what names mean behind it: the search path or the role.
    path_lost: bool,
    /// Or which relations there are.
    relations_lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Followed {
    Relation(Operation, Vec<String>, Rows, Around),
    Rule(Around),
    Code(Around),
}

impl<'a> Reach<'a> {
    fn new(catalog: &'a Catalog, session: &'a dyn Resolve, memo: &'a mut Memo) -> Reach<'a> {
        Reach {
            catalog,
            session,
            memo,
            reached: Reached::default(),
            places: HashMap::new(),
            followed: HashSet::new(),
            children: 0,
            bodies: 0,
            work: 0,
            cut: None,
            path_lost: false,
            relations_lost: false,
        }
    }

    fn finish(mut self) -> Reached {
        if let Some(reason) = self.cut {
            self.reached.touched.push(anything(Via::Function, reason.into()));
            self.reached.may_change_settings = true;
            self.reached.may_change_names = true;
            self.reached.may_end_transaction = true;
        }
        // A rule of PostgreSQL's own makes set_config of it.
        let settings = |name: &Name| name.schema.as_deref() == Some("pg_catalog") && name.name == "pg_settings";
        self.reached.may_change_settings |=
            self.reached.touched.iter().any(|touched| {
                touched.operation == Operation::Update && touched.relation.as_ref().is_some_and(settings)
            });
        self.reached
    }

    /// Follows a statement: of a session, a body, a rule or an expression. `names`: what the names mean that it holds.
    /// `code`: what those mean that stand in code that it runs.
    fn statement(&mut self, statement: &Statement, names: &dyn Resolve, code: &dyn Resolve, step: &Step) {
        if self.cut.is_some() {
            return;
        }
        if step.depth > MAX_DEPTH {
            self.cut = Some("views, triggers or functions nest too deeply");
            return;
        }
        self.work += 1 + statement.relations.len() + statement.calls.len();
        if self.work > MAX_WORK {
            self.cut = Some("the functions that it runs hold too many statements");
            return;
        }
        if let Effect::Prepare { .. } = statement.effect {
            return;
        }
        let lost = self.path_lost || self.relations_lost;
        let sets = statement.calls.iter().any(|call| call.name.name == "set_config");
        if !sets {
            self.runs_and_touches(statement, names, code, step);
        }
        let loses = (self.path_lost || self.relations_lost) && !lost && statement.calls.len() > 1;
        if sets || loses {
            // Some of the code that it runs may come after.
            let lost = Lost { catalog: self.catalog, relations: step.around.lost || self.relations_lost };
            let step = Step { around: Around { lost: true, ..step.around }, ..step.clone() };
            self.runs_and_touches(statement, names, &lost, &step);
        }
        if let Some(Body { language, text }) = &statement.body {
            self.anonymous(language, text, code, step);
        }
        if matches!(statement.operation, Operation::Ddl | Operation::Grant | Operation::Maintenance) {
            self.reached.defines = true;
            self.event_triggers(code, step);
        }
        self.dropped(&statement.names, names, step);
    }

    fn runs_and_touches(&mut self, statement: &Statement, names: &dyn Resolve, code: &dyn Resolve, step: &Step) {
        for relation in &statement.relations {
            let columns = if step.via == Via::Direct || !crate::relations::reads(relation.operation) {
                relation.columns.clone()
            } else {
                Vec::new()
            };
            let cascades = statement.opaque_without_catalog && relation.operation == Operation::Truncate;
            let rows = relation.rows.clone();
            // ON CONFLICT DO UPDATE counts both.
            let other = |other: &crate::Relation| {
                other.operation != relation.operation && !crate::relations::reads(other.operation)
            };
            let tagged = step.via == Via::Direct
                && relation.counted
                && !statement.relations.iter().any(|one| one.name == relation.name && other(one));
            let operation = relation.operation;
            let rewrites = statement.rewrites && operation == Operation::Ddl;
            let change = Change { operation, columns, only: relation.only, cascades, rows, tagged, rewrites };
            match self.meant(&relation.name, relation.operation, statement, names) {
                Resolved::Known { oid, name } => {
                    self.attributes(oid, relation, names, code, step);
                    self.change(oid, name, &change, relation.counted, code, step);
                }
                Resolved::OneOf { candidates, reason } => {
                    let reason = step.reason.clone().or(Some(reason));
                    let step = Step { certain: false, if_rows: false, reason, ..step.clone() };
                    let unqualified = Name { schema: None, name: relation.name.name.clone() };
                    self.touch(Some(unqualified), None, &change, relation.counted, &step);
                    for (oid, name) in candidates {
                        self.change(oid, name, &change, relation.counted, code, &step);
                    }
                }
            }
        }
        statement.calls.iter().for_each(|call| self.call(call, names, code, step));
        if statement.maintains_all {
            self.all_indexes(code, step);
        }
    }

    /// `t.f` is a call of `f(t)` where `t` has no such column.
    fn attributes(
        &mut self,
        oid: Option<Oid>,
        of: &crate::Relation,
        names: &dyn Resolve,
        code: &dyn Resolve,
        step: &Step,
    ) {
        let Some(relation) = oid.and_then(|oid| self.catalog.relation(oid)) else { return };
        for name in of.columns.iter().filter(|_| of.operation == Operation::Select) {
            let made = !self.session.routines(name).is_empty();
            if (made || self.catalog.functions_named(name).next().is_some())
                && !relation.columns.iter().any(|column| column.name == name.as_str())
            {
                let name = Name { schema: None, name: name.clone() };
                let call = Call { kind: CallKind::Function, name, arguments: Some(1) };
                self.call(&call, names, code, step);
            }
        }
    }

    /// What a name of a statement means: what is created is where it is created, whatever else has its name.
    fn meant(&self, name: &Name, operation: Operation, statement: &Statement, names: &dyn Resolve) -> Resolved {
        let created = statement.names.iter().find_map(|change| match change {
            NameChange::Create { name: created, temporary, view, .. } if created == name => {
                Some(if *temporary || !view { Some(*temporary) } else { reads_temporary(statement, names) })
            }
            _ => None,
        });
        let schema = match created.filter(|_| operation == Operation::Ddl && name.schema.is_none()) {
            Some(Some(true)) => Some(TEMPORARY.into()),
            Some(Some(false)) => names.creation(),
            Some(None) => {
                let schemas = [names.creation(), Some(TEMPORARY.into())].into_iter().flatten();
                let candidate = |schema: Text| {
                    let oid = self.catalog.relation_named(&schema, &name.name);
                    (oid, Name { schema: Some(schema.to_string()), name: name.name.clone() })
                };
                let reason = "whether it is a temporary view is not known".into();
                return Resolved::OneOf { candidates: schemas.map(candidate).collect(), reason };
            }
            // DROP IF EXISTS and the like do nothing where it is not.
            None if operation == Operation::Ddl => return names.relation(name),
            None => return names.existing(name),
        };
        match schema {
            Some(schema) => {
                let oid = self.catalog.relation_named(&schema, &name.name);
                Resolved::Known { oid, name: Name { schema: Some(schema.to_string()), name: name.name.clone() } }
            }
            None => Resolved::OneOf { candidates: Vec::new(), reason: "the search path is not known".into() },
        }
    }

    /// DROP reaches partitions, and with CASCADE what depends on what is dropped.
    fn dropped(&mut self, names: &[NameChange], resolve: &dyn Resolve, step: &Step) {
        for change in names {
            let cascades = match change {
                NameChange::Drop { name, cascade } => {
                    if let Resolved::Known { oid: Some(oid), .. } = resolve.relation(name) {
                        self.drop_children(oid, *cascade, step);
                    }
                    *cascade
                }
                NameChange::DropSchema { name, cascade: true } => {
                    self.drop_schema(name, step);
                    true
                }
                NameChange::DropDependents | NameChange::Unknown => true,
                _ => false,
            };
            if cascades {
                let reason = "it drops what depends on it".into();
                self.touch_anything(Operation::Ddl, &step.perhaps(Via::Cascade, || reason));
            }
        }
    }

    fn drop_children(&mut self, oid: Oid, cascade: bool, step: &Step) {
        let mut next = vec![oid];
        while let Some(oid) = next.pop() {
            for child in self.catalog.children(oid) {
                let partition = self.catalog.relation(*child).is_some_and(|child| child.bound.is_some());
                self.children += 1;
                if self.children > MAX_CHILDREN || !(partition || cascade) {
                    continue;
                }
                if let Some(name) = name_of(self.catalog, *child) {
                    let via = if partition { Via::Partition } else { Via::Inheritance };
                    self.touch(Some(name), Some(*child), &Change::of(Operation::Ddl), false, &step.next(via));
                    next.push(*child);
                }
            }
        }
        if self.children > MAX_CHILDREN {
            let reason = "there are more partitions than are told".into();
            self.touch_anything(Operation::Ddl, &step.perhaps(Via::Partition, || reason));
        }
    }

    fn drop_schema(&mut self, schema: &str, step: &Step) {
        let step = step.next(Via::Cascade);
        let all: Vec<Oid> = self.catalog.relations_of(schema).take(MAX_CHILDREN + 1).collect();
        if all.len() > MAX_CHILDREN {
            let reason = "it drops all relations of a schema with many".into();
            return self.touch_anything(Operation::Ddl, &step.perhaps(Via::Cascade, || reason));
        }
        for oid in all {
            if let Some(name) = name_of(self.catalog, oid) {
                self.touch(Some(name), Some(oid), &Change::of(Operation::Ddl), false, &step);
            }
        }
    }

    /// Tells of a touch: each relation once per operation and way, certain where it is so once.
    fn touch(&mut self, relation: Option<Name>, oid: Option<Oid>, change: &Change, counted: bool, step: &Step) {
        let key = (relation, change.operation, step.via);
        if let Some(place) = self.places.get(&key) {
            let known = &mut self.reached.touched[*place];
            known.counted |= counted;
            known.certain |= step.certain;
            known.if_rows = (known.if_rows || step.if_rows) && !known.certain;
            if known.certain {
                known.reason = None;
            }
            for column in &change.columns {
                if !known.columns.contains(column) {
                    known.columns.push(column.clone());
                }
            }
            return;
        }
        let touched = &mut self.reached.touched;
        let most = if step.via == Via::Direct { 2 * MAX_TOUCHED } else { MAX_TOUCHED };
        if touched.len() >= most {
            self.cut = Some("it touches more relations than are told");
            return;
        }
        self.places.insert(key.clone(), touched.len());
        touched.push(Touched {
            relation: key.0,
            oid,
            operation: change.operation,
            via: step.via,
            certain: step.certain,
            if_rows: step.if_rows && !step.certain,
            reason: step.reason.clone().filter(|_| !step.certain),
            counted,
            columns: change.columns.clone(),
        });
    }

    /// Tells that any relation may be touched.
    fn touch_anything(&mut self, operation: Operation, step: &Step) {
        let step = Step { certain: false, if_rows: false, ..step.clone() };
        self.touch(None, None, &Change::of(operation), false, &step);
    }
}

/// What is done to a relation.
#[derive(Debug, Clone)]
struct Change {
    operation: Operation,
    /// That are set, where they are known; none: any may be.
    columns: Vec<String>,
    only: bool,
    /// TRUNCATE or DROP ... CASCADE.
    cascades: bool,
    /// To which rows.
    rows: Rows,
    /// The number in the command tag counts what is done so and nothing else.
    tagged: bool,
    /// [`Statement::rewrites`].
    rewrites: bool,
}

impl Change {
    fn of(operation: Operation) -> Change {
        let (only, cascades, tagged, rewrites) = (false, false, false, false);
        Change { operation, columns: Vec::new(), only, cascades, rows: Rows::Any, tagged, rewrites }
    }
}

fn anything(via: Via, reason: Cow<'static, str>) -> Touched {
    Touched {
        relation: None,
        oid: None,
        operation: Operation::Opaque,
        via,
        certain: false,
        if_rows: false,
        reason: Some(reason),
        counted: false,
        columns: Vec::new(),
    }
}
