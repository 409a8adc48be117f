//! Functions, procedures and code in statements, followed through their bodies.

use std::borrow::Cow;
use std::collections::HashMap;

use super::inside::{InBody, OnAnyPath, within};
use super::memo::{Piece, Read};
use super::{
    Around, Change, FIRST_NORMAL, Followed, Lost, MAX_BODIES, Made, Reach, Resolve, Resolved, Routine, Step, Via,
};
use crate::attached::WITHOUT_ARGUMENTS;
use crate::catalog::{Cast, Catalog, Enabled, Function, FunctionKind, Kind, Object, Oid, Text};
use crate::functions::{self, is_built_in_type, is_large_object};
use crate::{Call, CallKind, Effect, Name, NameChange, Operation, Statement, is_built_in};

impl<'a> Reach<'a> {
    /// A function, operator or cast that is named.
    pub(super) fn call(&mut self, call: &Call, names: &dyn Resolve, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let path = names.path();
        let visible = |schema: &Text| is_visible(&call.name, path, schema);
        match call.kind {
            CallKind::Function | CallKind::Field | CallKind::Procedure => {
                let own = call.kind == CallKind::Field || is_built_in(&call.name);
                match is_built_in(&call.name) {
                    false => _ = self.reached.code.insert(call.name.name.clone()),
                    true => self.takes_for_own(call, path),
                }
                let procedure = call.kind == CallKind::Procedure;
                let all = catalog.functions_named(&call.name.name);
                let found: Vec<Oid> = all
                    .filter(|(_, function)| {
                        visible(&function.schema) && call.arguments.is_none_or(|arguments| function.takes(arguments))
                    })
                    .filter(|(_, function)| (function.kind == FunctionKind::Procedure) == procedure)
                    .map(|(oid, _)| oid)
                    .collect();
                if is_large_object(&call.name) {
                    self.large_objects(&call.name.name, step);
                }
                let made = self.session.routines(&call.name.name).iter().filter(|routine| {
                    let function = &routine.function;
                    visible(&function.schema)
                        && call.arguments.is_none_or(|arguments| function.takes(arguments))
                        && (function.kind == FunctionKind::Procedure) == procedure
                });
                let made: Vec<&Routine> = made.collect();
                if found.is_empty() && made.is_empty() && !own && call.name.name != "set_config" {
                    return self.unknown_code(step, || format!("it calls {}, which may do anything", call.name).into());
                }
                for routine in &made {
                    let because = || format!("function {} may do it", call.name).into();
                    self.made(routine, resolve, &step.perhaps(Via::Function, because));
                }
                let sure = procedure
                    && found.len() == 1
                    && made.is_empty()
                    && step.certain
                    && (path.is_some() || call.name.schema.is_some());
                for oid in found {
                    let because = || format!("function {} may do it", call.name).into();
                    let step = if sure { step.next(Via::Function) } else { step.perhaps(Via::Function, because) };
                    self.function(oid, resolve, &step, sure);
                }
            }
            CallKind::Operator => {
                // Which one a definition means by its syntax is not written in it.
                let any = call.arguments.is_none() && is_own(&call.name, path);
                let operators = catalog.operators_named(&call.name.name);
                let operators = operators.filter(|operator| any || visible(&operator.schema));
                let found: Vec<Oid> = operators.map(|operator| operator.function).collect();
                let own = is_own(&call.name, path)
                    || (call.name.schema.is_none() && functions::is_built_in_operator(&call.name.name));
                match own {
                    false => _ = self.reached.code.insert(call.name.name.clone()),
                    true => self.takes_for_own(call, path),
                }
                let made = self.made_of(call, path);
                if found.is_empty() && made.is_empty() && !own {
                    let name = &call.name;
                    return self.unknown_code(step, || {
                        format!("it uses operator {}, which may do anything", said(name)).into()
                    });
                }
                made.into_iter().for_each(|made| self.use_of(made, &call.name, names, resolve, step));
                for function in found {
                    let because = || format!("operator {} may do it", call.name.name).into();
                    self.function(function, resolve, &step.perhaps(Via::Function, because), false);
                }
            }
            CallKind::Type => self.cast(call, names, resolve, step),
        }
    }

    /// The name is taken for that of something which PostgreSQL brings along, as long as there is nothing else of it.
    fn takes_for_own(&mut self, Call { kind, name, .. }: &Call, path: Option<&[Text]>) {
        if name.schema.is_none() && !is_own(name, path) {
            let kind = if *kind == CallKind::Field { CallKind::Function } else { *kind };
            self.reached.built_in.insert((kind, name.name.clone()));
        }
    }

    /// A type that is named: what makes a value of it.
    fn cast(&mut self, call: &Call, names: &dyn Resolve, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let visible = |schema: &Text| is_visible(&call.name, names.path(), schema);
        let types = |name: &str| -> Vec<Oid> {
            catalog.types_named(name).filter(|(_, kind)| visible(&kind.schema)).map(|(oid, _)| oid).collect()
        };
        let rows = |name: &str| -> Vec<Oid> {
            let all = catalog.relations_named(name).iter().copied();
            all.filter(|oid| catalog.relation(*oid).is_some_and(|relation| visible(&relation.schema))).collect()
        };
        let name = call.name.name.as_str();
        let mut found = (types(name), rows(name));
        // The catalog does not hold the types of arrays.
        if let (([], []), Some(element)) = ((&found.0[..], &found.1[..]), name.strip_prefix('_')) {
            found = (types(element), rows(element));
        }
        let built_in = is_built_in_type(&call.name);
        // Nor those of PostgreSQL's own relations.
        let of_relation = call.name.schema.is_none() && name.starts_with("pg_");
        let own = built_in || of_relation || is_own(&call.name, names.path());
        match built_in {
            false if is_own(&call.name, names.path()) => {}
            false => _ = self.reached.code.insert(name.to_owned()),
            true => self.takes_for_own(call, names.path()),
        }
        let made = self.made_of(call, names.path());
        // Types are looked for in the temporary schema, too, which PostgreSQL's own come before only where the path says so.
        let temporary = match call.name.schema {
            None if !built_in => names.temporary(name),
            _ => Some(false),
        };
        let because = || format!("it uses type {}, which may run any code", call.name).into();
        let found_none = temporary == Some(true) || (found.0.is_empty() && found.1.is_empty() && !own);
        if found_none && made.is_empty() {
            self.unknown_code(step, because);
        } else if temporary.is_none() {
            self.unread_code(step, because);
        }
        made.into_iter().for_each(|made| self.use_of(made, &call.name, names, resolve, step));
        for oid in found.0 {
            self.type_of_value(oid, resolve, step);
            for cast in catalog.casts_to(oid).filter(|cast| cast.implicit || call.arguments.is_some()) {
                let because = || format!("a cast to {} may do it", call.name).into();
                self.function(cast.function, resolve, &step.perhaps(Via::Function, because), false);
            }
        }
        for relation in found.1.into_iter().filter_map(|oid| catalog.relation(oid)) {
            relation.columns.iter().for_each(|column| self.type_of_value(column.kind, resolve, step));
        }
    }

    /// Types or operators that the session has made and that a name may mean.
    fn made_of(&self, call: &Call, path: Option<&[Text]>) -> Vec<&'a Made> {
        let of = |made: &&Made| made.kind == call.kind && is_visible(&call.name, path, &made.schema);
        self.session.made(&call.name.name).iter().filter(of).collect()
    }

    /// A type or an operator is used that the session has made.
    fn use_of(&mut self, made: &Made, name: &Name, names: &dyn Resolve, resolve: &dyn Resolve, step: &Step) {
        let step = step.perhaps(Via::Function, || format!("{} may do it", said(name)).into());
        if self.cut.is_some() || !self.followed.insert((Followed::Code(step.around), made.number)) {
            return;
        }
        if step.depth > super::MAX_DEPTH {
            self.cut = Some("it runs more functions than are followed");
            return;
        }
        match &made.calls {
            Some(calls) => calls.iter().for_each(|call| self.call(call, names, resolve, &step)),
            None => self.unknown_code(&step, || format!("it uses {}, which may run any code", said(name)).into()),
        }
    }

    /// The protocol's FunctionCall.
    pub(super) fn call_by_number(&mut self, oid: Oid, resolve: &dyn Resolve, step: &Step) {
        if let Some((_, name)) = LARGE_OBJECT_FUNCTIONS.iter().find(|(known, _)| *known == oid) {
            return self.large_objects(name, step);
        }
        if self.catalog.function(oid).is_none() {
            return self.unknown_code(step, || "a function was called by its OID that is not known".into());
        }
        let because = || "a function that was called by its OID may do it".into();
        self.function(oid, resolve, &step.perhaps(Via::Function, because), false);
    }

    /// Large objects are rows of a table of PostgreSQL's own.
    fn large_objects(&mut self, function: &str, step: &Step) {
        let operation = match function {
            "lo_creat" | "lo_create" | "lo_from_bytea" | "lo_import" => Operation::Insert,
            "lowrite" | "lo_put" | "lo_truncate" | "lo_truncate64" => Operation::Update,
            "lo_unlink" => Operation::Delete,
            "loread" | "lo_get" | "lo_export" => Operation::Select,
            _ => return,
        };
        let name = Name { schema: Some("pg_catalog".to_owned()), name: "pg_largeobject".to_owned() };
        let because = || format!("{function} may do it").into();
        // Through the protocol it is called once; in a query, perhaps not at all.
        let sure = step.via == Via::Function && step.certain;
        let step = if sure { step.clone() } else { step.perhaps(Via::Function, because) };
        self.touch(Some(name), None, &Change::of(operation), false, &step);
    }

    /// DO.
    pub(super) fn anonymous(&mut self, language: &str, text: &str, resolve: &dyn Resolve, step: &Step) {
        let step = step.next(Via::Function);
        if language != "plpgsql" {
            return self.unknown_code(&step, || format!("code in language {language} is not read").into());
        }
        let read = Read::procedure(text);
        self.body(&read, resolve, &step, step.certain, (1, "DO"));
    }

    pub(super) fn event_triggers(&mut self, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let enabled =
            |trigger: &&crate::catalog::EventTrigger| trigger.enabled != Enabled::Disabled && trigger.event != "login";
        for trigger in catalog.event_triggers().filter(enabled) {
            let because = || format!("event trigger {} may do it", Name::quoted(&trigger.name)).into();
            self.function(trigger.function, resolve, &step.perhaps(Via::Trigger, because), false);
        }
    }

    /// Follows a function. `always`: it certainly runs.
    pub(super) fn function(&mut self, oid: Oid, resolve: &dyn Resolve, step: &Step, always: bool) {
        if self.cut.is_some() {
            return;
        }
        let catalog = self.catalog;
        let Some(function) = catalog.function(oid) else {
            if oid >= FIRST_NORMAL {
                self.unknown_code(step, || "it runs a function that is not known".into());
            }
            return;
        };
        self.reached.code.insert(function.name.to_string());
        // The session may have put another one in its place, whatever is called by it: an operator, an aggregate, a trigger.
        let made = self.session.routines(&function.name).iter().filter(|routine| {
            let other = &routine.function;
            other.schema == function.schema && other.arguments.len() == function.arguments.len()
        });
        let made: Vec<&Routine> = made.collect();
        let because = || "the session may just have replaced it".into();
        let replaced = if made.is_empty() { step.clone() } else { step.perhaps(step.via, because) };
        let (step, always) = (&replaced, always && made.is_empty());
        made.into_iter().for_each(|routine| self.made(routine, resolve, step));
        let own_path = function.settings.iter().find(|setting| setting.name == "search_path");
        let inside = own_path.is_some() || function.security_definer;
        let around = match own_path {
            Some(_) => Around { function: oid, lost: false },
            None if inside => Around { function: oid, ..step.around },
            None => step.around,
        };
        if !self.followed.insert((Followed::Code(around), oid)) {
            return;
        }
        self.work += 1;
        self.bodies += usize::from(!runs_no_sql(function));
        if self.bodies > MAX_BODIES || self.work > super::MAX_WORK || step.depth > super::MAX_DEPTH {
            self.cut = Some("it runs more functions than are followed");
            return;
        }
        let step = Step { around, ..step.next(step.via) };
        function.parts.iter().for_each(|part| self.function(*part, resolve, &step, false));
        let defaults = self.memo.read(catalog, (Kind::Function, oid, 1), |object| match object {
            Object::Function(function) => {
                function.default_values.as_ref().map(|values| (values.len(), Read::expression(values)))
            }
            _ => None,
        });
        if let Some(defaults) = defaults {
            self.runs(&defaults, resolve, &step, "the default of an argument may do it");
        }
        let types = self.memo.read(catalog, (Kind::Function, oid, 2), |object| match object {
            Object::Function(function) => {
                Some((function.signature.len() + function.result.len(), Read::types(function)))
            }
            _ => None,
        });
        if let Some(types) = types {
            self.runs(&types, resolve, &step, "the type of an argument or a result may do it");
        }
        if function.kind == FunctionKind::Aggregate {
            return;
        }
        let name = Name { schema: Some(function.schema.to_string()), name: function.name.to_string() };
        let read = self.memo.read(catalog, (Kind::Function, oid, 0), |object| match object {
            Object::Function(function) => {
                Some((function.source.as_ref().map_or(0, |source| source.len()), Read::function(function)?))
            }
            _ => None,
        });
        let Some(read) = read else {
            if runs_no_sql(function) {
                return;
            }
            let because = || format!("function {name} in language {} is not read", function.language).into();
            self.unread_code(&step, because);
            // Without a text it has no SQL to run but its own.
            if !(is_compiled(function) && is_given_no_text(function)) {
                self.lose_names();
            }
            return;
        };
        let what = format!("function {name}");
        if !inside {
            return self.body(&read, resolve, &step, always, (oid, &what));
        }
        let within = within(catalog, function, own_path.map(|setting| &*setting.value), resolve);
        let before = std::mem::take(&mut self.path_lost);
        self.body(&read, &within, &step, always, (oid, &what));
        // A function with a path of its own gives the caller's back.
        self.path_lost = before || (self.path_lost && own_path.is_none());
    }

    /// Follows a function that the session has made.
    fn made(&mut self, routine: &Routine, resolve: &dyn Resolve, step: &Step) {
        let Routine { function, number, .. } = routine;
        self.reached.code.insert(function.name.to_string());
        if self.cut.is_some() || !self.followed.insert((Followed::Code(step.around), *number)) {
            return;
        }
        self.bodies += 1;
        if self.bodies > MAX_BODIES || step.depth > super::MAX_DEPTH {
            self.cut = Some("it runs more functions than are followed");
            return;
        }
        let name = Name { schema: Some(function.schema.to_string()), name: function.name.to_string() };
        let what = format!("function {name}");
        let typed = step.perhaps(Via::Function, || "the type of an argument or a result may do it".into());
        for piece in &routine.types().pieces {
            // What they mean was found out when it was made.
            self.statement(&piece.statement, &OnAnyPath(resolve), resolve, &typed);
            if piece.statement.opaque.is_some() {
                self.unknown_code(&typed, || format!("{what} has types that are not understood").into());
            }
        }
        match routine.read() {
            Some(read) => self.body(&read, resolve, &step.next(step.via), false, (*number, &what)),
            None => self.unknown_code(step, || format!("{what} is not read").into()),
        }
    }

    /// Follows the body of a function of that number and name.
    fn body(&mut self, read: &Read, resolve: &dyn Resolve, step: &Step, always: bool, (oid, what): (Oid, &str)) {
        self.reached.may_end_transaction |= read.ends_transactions;
        if let Some(reason) = read.opaque {
            self.unknown_code(step, || format!("{what} {reason}").into());
        }
        let outer = (std::mem::take(&mut self.path_lost), std::mem::take(&mut self.relations_lost));
        let mut temporary: HashMap<&str, bool> = HashMap::new();
        let mut lost = step.around.lost || read.opaque.is_some();
        let mut relations = lost;
        for piece in &read.pieces {
            lost |= self.piece(piece, (resolve, lost, relations), step, always, (oid, what), &temporary);
            relations |= self.relations_lost;
            for change in &piece.statement.names {
                if let NameChange::Create { name, temporary: true, .. } = change {
                    let known = temporary.entry(&name.name).or_default();
                    *known |= piece.always && always;
                }
            }
        }
        if !temporary.is_empty() || (lost && !step.around.lost) {
            // In a loop, what comes later may have been run before.
            for piece in read.pieces.iter().filter(|piece| !piece.always) {
                self.piece(piece, (resolve, true, relations), step, false, (oid, what), &temporary);
            }
        }
        if read.assigns_fields {
            self.fields(read, resolve, step);
        }
        self.path_lost |= outer.0;
        self.relations_lost |= outer.1 || !temporary.is_empty();
    }

    /// A field of a row that a query has read gets another value: one of a column's type.
    fn fields(&mut self, read: &Read, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let step = step.perhaps(Via::Function, || "the type of a field may do it".into());
        for relation in read.pieces.iter().flat_map(|piece| &piece.statement.relations) {
            let oids = match resolve.relation(&relation.name) {
                Resolved::Known { oid, .. } => Vec::from_iter(oid),
                Resolved::OneOf { candidates, .. } => candidates.into_iter().filter_map(|(oid, _)| oid).collect(),
            };
            for column in oids.into_iter().filter_map(|oid| catalog.relation(oid)).flat_map(|found| &found.columns) {
                self.type_of_value(column.kind, resolve, &step);
            }
        }
    }

    /// Follows a statement of a body, and tells whether names mean something else behind it. `lost`: they do already, and
    /// `relations`: because other relations may have them.
    fn piece(
        &mut self,
        Piece { statement, always: unconditional }: &Piece,
        (around, lost, relations): (&dyn Resolve, bool, bool),
        step: &Step,
        always: bool,
        (oid, what): (Oid, &str),
        temporary: &HashMap<&str, bool>,
    ) -> bool {
        let changes = self.changes_names(statement);
        let because = || format!("{what} may not come to it").into();
        let step = if *unconditional && always { step.clone() } else { step.perhaps(step.via, because) };
        let function = if temporary.is_empty() { step.around.function } else { oid };
        let step = Step { around: Around { function, lost }, ..step };
        let inside = InBody { catalog: self.catalog, around, temporary };
        let names: &dyn Resolve = if lost { &Lost { catalog: self.catalog, relations } } else { &inside };
        self.statement(statement, names, names, &step);
        if let Some(reason) = statement.opaque.as_ref().filter(|_| !statement.opaque_without_catalog) {
            self.unknown_code(&step, || format!("{what}: {reason}").into());
        }
        if matches!(statement.effect, Effect::Execute(_) | Effect::Fetch(_)) {
            self.unknown_code(&step, || format!("{what} runs what was prepared before").into());
        }
        changes || self.path_lost || self.relations_lost
    }

    /// The statement of a body changes what names mean behind it, by temporary relations aside.
    fn changes_names(&mut self, statement: &Statement) -> bool {
        let calls = statement.calls.iter().any(|call| call.name.name == "set_config");
        let sets = matches!(
            statement.effect,
            Effect::SearchPath { .. } | Effect::Setting { .. } | Effect::ResetAll | Effect::Discard { .. }
        );
        let temporary = |change: &NameChange| matches!(change, NameChange::Create { temporary: true, .. });
        let makes = !statement.names.iter().all(temporary);
        self.reached.may_change_settings |= calls || sets;
        self.reached.may_change_names |=
            !statement.names.is_empty() || !statement.attaches.is_empty() || statement.routine.is_some();
        self.path_lost |= calls || sets;
        self.relations_lost |= makes;
        calls || sets || makes
    }

    /// Code that may do anything.
    pub(super) fn unknown_code(&mut self, step: &Step, because: impl FnOnce() -> Cow<'static, str>) {
        self.unread_code(step, because);
        self.lose_names();
    }

    /// Code that may touch anything.
    fn unread_code(&mut self, step: &Step, because: impl FnOnce() -> Cow<'static, str>) {
        let via = if step.via == Via::Direct { Via::Function } else { step.via };
        // Why it is unknown says more than why it may not be reached.
        let step = Step { reason: Some(because()), ..step.perhaps(via, || "".into()) };
        self.touch_anything(Operation::Opaque, &step);
    }

    /// Code may have done anything to what names mean.
    fn lose_names(&mut self) {
        self.reached.may_change_settings = true;
        self.reached.may_change_names = true;
        self.reached.may_end_transaction = true;
        (self.path_lost, self.relations_lost) = (true, true);
    }
}

/// The name may mean something of that schema.
fn is_visible(name: &Name, path: Option<&[Text]>, schema: &Text) -> bool {
    match (&name.schema, path) {
        (Some(written), _) => *schema == written.as_str(),
        (None, Some(path)) => path.contains(schema),
        (None, None) => true,
    }
}

/// The name is of PostgreSQL's own: by its schema, or as no other is looked in.
fn is_own(name: &Name, path: Option<&[Text]>) -> bool {
    match &name.schema {
        Some(schema) => matches!(schema.as_str(), "pg_catalog" | "information_schema"),
        None => matches!(path, Some([only]) if *only == "pg_catalog"),
    }
}

/// An operator's name, which is no identifier.
fn said(Name { schema, name }: &Name) -> String {
    schema.as_ref().map_or_else(|| name.clone(), |schema| format!("{}.{name}", Name::quoted(schema)))
}

/// It is another name for an immutable function that PostgreSQL brings along; or it is of an extension whose compiled
/// code runs none, by the sources of PostgreSQL 12 to 18 and of pgvector. Only who may do anything can make a function in C.
fn runs_no_sql(function: &Function) -> bool {
    const EXTENSIONS: [&str; 21] = [
        "btree_gin",
        "btree_gist",
        "citext",
        "cube",
        "dict_int",
        "dict_xsyn",
        "earthdistance",
        "fuzzystrmatch",
        "intarray",
        "isn",
        "ltree",
        "pg_trgm",
        "pgcrypto",
        "seg",
        "unaccent",
        "uuid-ossp",
        "vector",
        "hstore",
        "insert_username",
        "moddatetime",
        "pg_stat_statements",
    ];
    if function.language == "internal" {
        return function.source.is_some();
    }
    function.language == "c" && function.extension.as_deref().is_some_and(|name| EXTENSIONS.contains(&name))
}

/// A value of a plain definition may run code: there are domains, casts that run without being written, or types and
/// functions that are named like PostgreSQL's own.
pub fn values_may_run_code(catalog: &Catalog) -> bool {
    let runs_code = |cast: &Cast| catalog.function(cast.function).is_some_and(|function| !runs_no_sql(function));
    let of_own_name = |name: &str| is_built_in_type(&Name { schema: None, name: name.to_owned() });
    let others = |name: &&str| catalog.functions_named(name).any(|(_, function)| !runs_no_sql(function));
    WITHOUT_ARGUMENTS.iter().any(others)
        || catalog.has_domains()
        || catalog.implicit_casts().any(runs_code)
        || catalog.type_names().any(of_own_name)
}

/// It was compiled, by somebody who may do anything.
fn is_compiled(function: &Function) -> bool {
    matches!(&*function.language, "c" | "internal")
}

/// No argument can be SQL: text, varchar, cstring, unknown, or of any type.
fn is_given_no_text(function: &Function) -> bool {
    const TEXTS: [Oid; 12] = [19, 25, 705, 1009, 1015, 1042, 1043, 2275, 2276, 2277, 2283, 3500];
    function.arguments.iter().all(|kind| !TEXTS.contains(kind) && *kind < FIRST_NORMAL)
}

/// Functions of large objects, by their OIDs in `pg_proc.dat`.
const LARGE_OBJECT_FUNCTIONS: &[(Oid, &str)] = &[
    (715, "lo_create"),
    (764, "lo_import"),
    (765, "lo_export"),
    (767, "lo_import"),
    (952, "lo_open"),
    (953, "lo_close"),
    (954, "loread"),
    (955, "lowrite"),
    (956, "lo_lseek"),
    (957, "lo_creat"),
    (958, "lo_tell"),
    (964, "lo_unlink"),
    (1004, "lo_truncate"),
    (3170, "lo_lseek64"),
    (3171, "lo_tell64"),
    (3172, "lo_truncate64"),
    (3457, "lo_from_bytea"),
    (3458, "lo_get"),
    (3459, "lo_get"),
    (3460, "lo_put"),
];
