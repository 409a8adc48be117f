//! Statements: which operation each kind is, and the relations of those that are no queries.
//!
//! Invariant: a kind of statement that is not listed here is opaque.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableType, CopyStmt, CreateTableAsStmt, DiscardMode, DropBehavior, DropStmt, ExplainStmt, GrantStmt, Node,
    ObjectType, RangeVar,
};

use crate::expression::{MAX_CALLS, strings, text, truth};
use crate::query::Walk;
use crate::{
    Body, CallKind, ChangedNames, Effect, Name, Operation, Statement, attached, definitions, rewrites, routines,
    schemas_of_setting, settings, transactions, types_and_operators,
};

/// Most functions that are told of one statement.
const MAX_FUNCTIONS: usize = 64;

/// Why DO and CALL are opaque.
const PROCEDURAL: &str = "runs procedural code that is not analysed";

/// Analyses one statement; the range and the fingerprint are the caller's.
pub(crate) fn statement(node: &NodeEnum) -> Statement {
    let mut walk = Walk::default();
    let (operation, effect) = visit(&mut walk, node);
    let (relations, cut) = walk.relations.finish();
    let many = walk.functions.len() > MAX_FUNCTIONS || walk.calls.len() > MAX_CALLS;
    let many = many.then(|| format!("calls more than {MAX_FUNCTIONS} functions"));
    let functions = walk.functions.into_iter().take(MAX_FUNCTIONS).collect();
    let (settings, told) = settings::by_calls(node);
    let path = settings.iter().rfind(|change| change.name == "search_path");
    let path = path
        .map(|path| Effect::SearchPath { schemas: path.value.as_deref().map(schemas_of_setting), local: path.local });
    let bound_settings = if settings.is_empty() { settings::by_bound_calls(node) } else { Vec::new() };
    let known = walk.opaque.clone().or(cut).or(many);
    let procedural = known.as_deref() == Some(PROCEDURAL);
    let opaque_without_catalog = procedural || (known.is_none() && walk.reaches.is_some());
    let opaque = known.or(walk.reaches.map(str::to_owned));
    // A rule of PostgreSQL's own makes set_config of it.
    let updates_settings = relations.iter().any(|relation| {
        let schema = relation.name.schema.as_deref();
        relation.operation == Operation::Update
            && relation.name.name == "pg_settings"
            && matches!(schema, None | Some("pg_catalog"))
    });
    Statement {
        relations,
        functions,
        calls: walk.calls.into_iter().take(MAX_CALLS).collect(),
        body: body(node),
        names: definitions::name_changes(node),
        attaches: any_if(attached::may_attach(node)),
        redefines: redefined(node),
        routine: routines::made(node),
        definition: types_and_operators::made(node),
        rewrites: rewrites::rewrites(node),
        maintains_all: rewrites::maintains_all(node),
        bound_settings,
        effect: if effect == Effect::None { path.unwrap_or(Effect::None) } else { effect },
        settings,
        may_change_settings: walk.may_change_settings
            || walk.set_config_calls > told
            || walk.opaque.is_some()
            || updates_settings,
        may_end_transaction: transactions::may_end(node) || operation == Operation::Opaque,
        copies_from_client: copies_from_client(node),
        opaque_without_catalog,
        opaque,
        ..Statement::new(operation, 0..0)
    }
}

impl Statement {
    /// Its parameters become values of these types when it is executed.
    fn takes(&mut self, types: &[Node]) {
        let mut walk = Walk::default();
        for node in types {
            if let Some(NodeEnum::TypeName(kind)) = &node.node {
                walk.cast(Some(kind));
            }
        }
        self.functions.extend(walk.functions);
        self.functions.sort_unstable();
        self.functions.dedup();
        self.calls.extend(walk.calls);
        self.calls.sort_unstable();
        self.calls.dedup();
        if self.calls.len() > MAX_CALLS {
            self.opaque.get_or_insert_with(|| "takes parameters of too many types".to_owned());
        }
    }
}

/// Names of functions, types and operators that it may redefine.
fn redefined(node: &NodeEnum) -> ChangedNames {
    let made = match node {
        NodeEnum::CreateFunctionStmt(create) => strings(&create.funcname).next_back(),
        NodeEnum::DefineStmt(define) => strings(&define.defnames).next_back(),
        _ => None,
    };
    match made {
        Some(name) if attached::may_redefine(node) => ChangedNames::of(std::iter::once(name)),
        _ => any_if(attached::may_redefine(node)),
    }
}

/// Names that the text tells later.
fn any_if(any: bool) -> ChangedNames {
    if any { ChangedNames::all() } else { ChangedNames::default() }
}

/// What an expression reads and calls.
pub(crate) fn expression(node: &Node) -> Statement {
    let mut walk = Walk::default();
    walk.expressions([node]);
    let (relations, cut) = walk.relations.finish();
    Statement {
        relations,
        opaque: walk.opaque.or(cut).or((walk.calls.len() > MAX_CALLS).then(|| "calls too many functions".to_owned())),
        calls: walk.calls.into_iter().take(MAX_CALLS).collect(),
        ..Statement::new(Operation::Select, 0..0)
    }
}

/// The code of DO.
fn body(node: &NodeEnum) -> Option<Body> {
    let NodeEnum::DoStmt(statement) = node else { return None };
    let option = |name: &str| {
        statement.args.iter().rev().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == name => text(option.arg.as_deref()?),
            _ => None,
        })
    };
    let language = option("language").map_or_else(|| "plpgsql".to_owned(), str::to_ascii_lowercase);
    Some(Body { language, text: option("as")?.to_owned() })
}

fn visit(walk: &mut Walk, node: &NodeEnum) -> (Operation, Effect) {
    let operation = match node {
        NodeEnum::SelectStmt(select) => {
            walk.query(node, true);
            match select.into_clause.as_ref().and_then(|into| into.rel.as_ref()) {
                Some(into) => return (Operation::Ddl, created(into)),
                None => Operation::Select,
            }
        }
        NodeEnum::InsertStmt(_) => query(walk, node, Operation::Insert),
        NodeEnum::UpdateStmt(_) => query(walk, node, Operation::Update),
        NodeEnum::DeleteStmt(_) => query(walk, node, Operation::Delete),
        NodeEnum::MergeStmt(_) => query(walk, node, Operation::Merge),
        NodeEnum::CopyStmt(copy) => self::copy(walk, copy),
        NodeEnum::ExplainStmt(explain) => return self::explain(walk, explain),
        NodeEnum::CreateTableAsStmt(create) => return create_as(walk, create),
        NodeEnum::TransactionStmt(transaction) => return (Operation::Transaction, transactions::effect(transaction)),
        NodeEnum::ConstraintsSetStmt(_) => Operation::Transaction,
        NodeEnum::VariableSetStmt(set) => return settings::variable(set),
        NodeEnum::VariableShowStmt(_) => Operation::Show,
        NodeEnum::DiscardStmt(discard) => return (Operation::Set, discard_effect(discard.target)),
        NodeEnum::PrepareStmt(prepare) => {
            let mut inner = match prepare.query.as_ref().and_then(|node| node.node.as_ref()) {
                Some(node) => statement(node),
                None => return (Operation::Opaque, Effect::None),
            };
            inner.takes(&prepare.argtypes);
            walk.opaque.clone_from(&inner.opaque);
            let effect = Effect::Prepare { name: prepare.name.clone(), statement: Box::new(inner) };
            return (Operation::Prepare, effect);
        }
        NodeEnum::ExecuteStmt(execute) => {
            walk.expressions(&execute.params);
            return (Operation::Execute, Effect::Execute(execute.name.clone()));
        }
        NodeEnum::DeallocateStmt(deallocate) => {
            let name = (!deallocate.isall && !deallocate.name.is_empty()).then(|| deallocate.name.clone());
            return (Operation::Deallocate, Effect::Deallocate(name));
        }
        NodeEnum::DeclareCursorStmt(declare) => {
            match declare.query.as_ref().and_then(|node| node.node.as_ref()) {
                Some(node) => walk.query(node, false),
                None => walk.unknown("a cursor without a query"),
            }
            return (Operation::Declare, Effect::Declare(declare.portalname.clone()));
        }
        NodeEnum::FetchStmt(fetch) => return (Operation::Fetch, Effect::Fetch(fetch.portalname.clone())),
        NodeEnum::ClosePortalStmt(close) => {
            let name = Some(&close.portalname).filter(|name| !name.is_empty());
            return (Operation::Close, Effect::CloseCursor(name.cloned()));
        }
        NodeEnum::CallStmt(call) => {
            if let Some(call) = call.funccall.as_deref() {
                walk.call_of(call, CallKind::Procedure);
            }
            walk.unknown(PROCEDURAL);
            Operation::Call
        }
        NodeEnum::DoStmt(_) => {
            walk.unknown(PROCEDURAL);
            Operation::Do
        }
        NodeEnum::ListenStmt(_) | NodeEnum::UnlistenStmt(_) | NodeEnum::NotifyStmt(_) => Operation::Listen,
        NodeEnum::TruncateStmt(truncate) => {
            if truncate.behavior() == DropBehavior::DropCascade {
                walk.reaches = Some("CASCADE truncates what refers to it");
            }
            each(walk, &truncate.relations, Operation::Truncate)
        }
        NodeEnum::LockStmt(lock) => each(walk, &lock.relations, Operation::Lock),
        NodeEnum::VacuumStmt(vacuum) => {
            for node in &vacuum.rels {
                if let Some(NodeEnum::VacuumRelation(relation)) = &node.node {
                    touch(walk, relation.relation.as_ref(), Operation::Maintenance);
                }
            }
            Operation::Maintenance
        }
        NodeEnum::ClusterStmt(cluster) => touch(walk, cluster.relation.as_ref(), Operation::Maintenance),
        NodeEnum::ReindexStmt(reindex) => touch(walk, reindex.relation.as_ref(), Operation::Maintenance),
        NodeEnum::RefreshMatViewStmt(refresh) => touch(walk, refresh.relation.as_ref(), Operation::Maintenance),
        NodeEnum::CheckPointStmt(_) => Operation::Maintenance,
        NodeEnum::GrantStmt(grant) => self::grant(walk, grant),
        NodeEnum::GrantRoleStmt(_)
        | NodeEnum::AlterDefaultPrivilegesStmt(_)
        | NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::AlterRoleSetStmt(_)
        | NodeEnum::DropRoleStmt(_)
        | NodeEnum::DropOwnedStmt(_)
        | NodeEnum::ReassignOwnedStmt(_) => Operation::Grant,
        NodeEnum::AlterOwnerStmt(alter) => touch(walk, alter.relation.as_ref(), Operation::Grant),
        NodeEnum::CreatePolicyStmt(policy) => touch(walk, policy.table.as_ref(), Operation::Grant),
        NodeEnum::AlterPolicyStmt(policy) => touch(walk, policy.table.as_ref(), Operation::Grant),
        _ => return definition(walk, node),
    };
    (operation, Effect::None)
}

/// CREATE, ALTER, DROP and their like.
fn definition(walk: &mut Walk, node: &NodeEnum) -> (Operation, Effect) {
    match node {
        NodeEnum::CreateStmt(create) => {
            touch(walk, create.relation.as_ref(), Operation::Ddl);
            each(walk, &create.inh_relations, Operation::Ddl);
            referred(walk, &create.table_elts);
            rewrites::created(walk, create);
            if let Some(relation) = &create.relation {
                return (Operation::Ddl, created(relation));
            }
        }
        NodeEnum::CreateForeignTableStmt(create) => {
            let base = create.base_stmt.as_ref().and_then(|base| base.relation.as_ref());
            touch(walk, base, Operation::Ddl);
        }
        NodeEnum::ViewStmt(view) => {
            touch(walk, view.view.as_ref(), Operation::Ddl);
            // The view's query is not run: what it names is only looked up.
            if let Some(query) = view.query.as_ref().and_then(|node| node.node.as_ref()) {
                planned(walk, Operation::Ddl, |walk| walk.query(query, false));
            }
            if let Some(relation) = &view.view {
                return (Operation::Ddl, created(relation));
            }
        }
        NodeEnum::CreateSeqStmt(create) => {
            touch(walk, create.sequence.as_ref(), Operation::Ddl);
            if let Some(relation) = &create.sequence {
                return (Operation::Ddl, created(relation));
            }
        }
        NodeEnum::DropStmt(drop) => return dropped(walk, drop),
        NodeEnum::AlterTableStmt(alter) => {
            return_ddl(walk, alter.relation.as_ref());
            alter.cmds.iter().for_each(|command| altered(walk, command));
        }
        NodeEnum::IndexStmt(index) => {
            return_ddl(walk, index.relation.as_ref());
            walk.expressions(&index.index_params);
            walk.expressions(index.where_clause.as_deref());
        }
        NodeEnum::RenameStmt(rename) => return_ddl(walk, rename.relation.as_ref()),
        NodeEnum::AlterObjectSchemaStmt(alter) => return_ddl(walk, alter.relation.as_ref()),
        NodeEnum::AlterSeqStmt(alter) => return_ddl(walk, alter.sequence.as_ref()),
        NodeEnum::CreateTrigStmt(trigger) => return_ddl(walk, trigger.relation.as_ref()),
        NodeEnum::RuleStmt(rule) => return_ddl(walk, rule.relation.as_ref()),
        NodeEnum::AlterObjectDependsStmt(alter) => return_ddl(walk, alter.relation.as_ref()),
        NodeEnum::CreateStatsStmt(statistics) => {
            each(walk, &statistics.relations, Operation::Ddl);
        }
        NodeEnum::CommentStmt(comment) => named_object(walk, comment.objtype, comment.object.as_deref()),
        NodeEnum::SecLabelStmt(label) => named_object(walk, label.objtype, label.object.as_deref()),
        NodeEnum::CreateSchemaStmt(schema) => {
            let made = schema.schema_elts.iter().filter_map(definitions::element);
            let made = made.filter(|relation| relation.schemaname.is_empty()).map(|relation| relation.relname.clone());
            walk.schema_elements = definitions::schema_name(schema).map(|schema| (schema, made.collect()));
            if walk.schema_elements.is_none() && !schema.schema_elts.is_empty() {
                walk.unknown("a schema that is named after the current role");
            }
            for element in schema.schema_elts.iter().filter_map(|node| node.node.as_ref()) {
                visit(walk, element);
            }
        }
        // Code that they load or run may do anything.
        NodeEnum::LoadStmt(_) | NodeEnum::CreateExtensionStmt(_) | NodeEnum::AlterExtensionStmt(_) => {
            walk.may_change_settings = true;
        }
        NodeEnum::AlterDomainStmt(alter) => rewrites::domain(walk, alter),
        NodeEnum::DefineStmt(define) => rewrites::defined(walk, define),
        NodeEnum::AlterTableMoveAllStmt(_)
        | NodeEnum::AlterCollationStmt(_)
        | NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::AlterTableSpaceOptionsStmt(_)
        | NodeEnum::AlterExtensionContentsStmt(_)
        | NodeEnum::CreateFdwStmt(_)
        | NodeEnum::AlterFdwStmt(_)
        | NodeEnum::CreateForeignServerStmt(_)
        | NodeEnum::AlterForeignServerStmt(_)
        | NodeEnum::CreateUserMappingStmt(_)
        | NodeEnum::AlterUserMappingStmt(_)
        | NodeEnum::DropUserMappingStmt(_)
        | NodeEnum::ImportForeignSchemaStmt(_)
        | NodeEnum::CreateAmStmt(_)
        | NodeEnum::CreateEventTrigStmt(_)
        | NodeEnum::AlterEventTrigStmt(_)
        | NodeEnum::CreatePlangStmt(_)
        | NodeEnum::CreateDomainStmt(_)
        | NodeEnum::CreateOpClassStmt(_)
        | NodeEnum::CreateOpFamilyStmt(_)
        | NodeEnum::AlterOpFamilyStmt(_)
        | NodeEnum::AlterStatsStmt(_)
        | NodeEnum::CreateFunctionStmt(_)
        | NodeEnum::AlterFunctionStmt(_)
        | NodeEnum::AlterOperatorStmt(_)
        | NodeEnum::AlterTypeStmt(_)
        | NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateRangeStmt(_)
        | NodeEnum::AlterEnumStmt(_)
        | NodeEnum::CreatedbStmt(_)
        | NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseRefreshCollStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterSystemStmt(_)
        | NodeEnum::CreateConversionStmt(_)
        | NodeEnum::CreateCastStmt(_)
        | NodeEnum::CreateTransformStmt(_)
        | NodeEnum::AlterTsdictionaryStmt(_)
        | NodeEnum::AlterTsconfigurationStmt(_)
        | NodeEnum::CreatePublicationStmt(_)
        | NodeEnum::AlterPublicationStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => {}
        _ => {
            walk.unknown("a statement of an unknown kind");
            return (Operation::Opaque, Effect::None);
        }
    }
    (Operation::Ddl, Effect::None)
}

/// What ALTER TABLE runs for each row: expressions of USING, of new columns and of constraints.
fn altered(walk: &mut Walk, command: &Node) {
    let Some(NodeEnum::AlterTableCmd(command)) = &command.node else { return };
    match command.def.as_ref().and_then(|node| node.node.as_ref()) {
        // ATTACH and DETACH PARTITION; INHERIT and NO INHERIT.
        Some(NodeEnum::PartitionCmd(partition)) => {
            touch(walk, partition.name.as_ref(), Operation::Ddl);
            rewrites::bound(walk, partition.bound.as_ref());
        }
        Some(NodeEnum::RangeVar(parent)) => _ = touch(walk, Some(parent), Operation::Ddl),
        Some(NodeEnum::ColumnDef(column)) => {
            if matches!(command.subtype(), AlterTableType::AtAlterColumnType | AlterTableType::AtAddColumn) {
                walk.cast(column.type_name.as_ref());
            }
            walk.expressions(column.raw_default.as_deref());
            column.constraints.iter().for_each(|constraint| constrained(walk, constraint.node.as_ref()));
        }
        // The expression of a generated column.
        Some(_) if command.subtype() == AlterTableType::AtSetExpression => walk.expressions(command.def.as_deref()),
        constraint => constrained(walk, constraint),
    }
}

fn constrained(walk: &mut Walk, constraint: Option<&NodeEnum>) {
    if let Some(NodeEnum::Constraint(constraint)) = constraint {
        // It gets triggers.
        touch(walk, constraint.pktable.as_ref(), Operation::Ddl);
        walk.expressions(constraint.raw_expr.as_deref());
        // Each is an element and its operator.
        for element in &constraint.exclusions {
            if let Some(NodeEnum::List(pair)) = &element.node {
                walk.expressions(pair.items.first());
            }
        }
        walk.expressions(constraint.where_clause.as_deref());
    }
}

/// The tables that the foreign keys of a new table refer to: they get triggers.
fn referred(walk: &mut Walk, elements: &[Node]) {
    for node in elements {
        match &node.node {
            Some(NodeEnum::Constraint(constraint)) => _ = touch(walk, constraint.pktable.as_ref(), Operation::Ddl),
            Some(NodeEnum::ColumnDef(column)) => referred(walk, &column.constraints),
            _ => {}
        }
    }
}

fn return_ddl(walk: &mut Walk, relation: Option<&RangeVar>) {
    touch(walk, relation, Operation::Ddl);
}

fn query(walk: &mut Walk, node: &NodeEnum, operation: Operation) -> Operation {
    walk.query(node, true);
    operation
}

fn touch(walk: &mut Walk, relation: Option<&RangeVar>, operation: Operation) -> Operation {
    if let Some(relation) = relation {
        walk.touch(relation, operation, false);
    }
    operation
}

fn each(walk: &mut Walk, relations: &[Node], operation: Operation) -> Operation {
    for node in relations {
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => _ = walk.touch(relation, operation, false),
            _ => walk.unknown("a relation of an unknown kind"),
        }
    }
    operation
}

fn copy(walk: &mut Walk, copy: &CopyStmt) -> Operation {
    let operation = if copy.is_from { Operation::CopyIn } else { Operation::CopyOut };
    if let Some(relation) = &copy.relation {
        let place = walk.touch(relation, operation, true);
        walk.touch_columns(place, strings(&copy.attlist));
    }
    if let Some(query) = copy.query.as_ref().and_then(|node| node.node.as_ref()) {
        walk.query(query, true);
    }
    walk.expressions(copy.where_clause.as_deref());
    operation
}

fn copies_from_client(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::CopyStmt(copy) if copy.is_from && copy.filename.is_empty() && !copy.is_program)
}

/// EXPLAIN plans; with ANALYZE it runs what it explains.
fn explain(walk: &mut Walk, explain: &ExplainStmt) -> (Operation, Effect) {
    let Some(inner) = explain.query.as_ref().and_then(|node| node.node.as_ref()) else {
        walk.unknown("EXPLAIN of nothing");
        return (Operation::Explain, Effect::None);
    };
    if !analyzes(explain) {
        planned(walk, Operation::Explain, |walk| _ = visit(walk, inner));
        return (Operation::Explain, Effect::None);
    }
    let effect = match visit(walk, inner).1 {
        // Its query is run, and no cursor opened.
        Effect::Declare(_) => Effect::None,
        effect => effect,
    };
    walk.relations.uncount();
    (Operation::Explain, effect)
}

/// ANALYZE: what is explained is run.
pub(crate) fn analyzes(explain: &ExplainStmt) -> bool {
    // The last one counts.
    let analyze = explain.options.iter().rev().find_map(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) if option.defname == "analyze" => {
            Some(option.arg.as_deref().is_none_or(|value| truth(value) != Some(false)))
        }
        _ => None,
    });
    analyze.unwrap_or(false)
}

/// Walks what is looked at and not run: relations are touched by `operation`, nothing takes effect.
fn planned(walk: &mut Walk, operation: Operation, look: impl FnOnce(&mut Walk)) {
    let (around, calls) = (walk.planned, walk.set_config_calls);
    walk.planned = around.or(Some(operation));
    look(walk);
    (walk.planned, walk.set_config_calls) = (around, calls);
}

fn create_as(walk: &mut Walk, create: &CreateTableAsStmt) -> (Operation, Effect) {
    let into = create.into.as_ref();
    let relation = into.and_then(|into| into.rel.as_ref());
    if let Some(relation) = relation {
        walk.touch(relation, Operation::Ddl, true);
    }
    let effect = relation.map_or(Effect::None, created);
    match create.query.as_ref().and_then(|node| node.node.as_ref()) {
        // CREATE TABLE AS EXECUTE
        Some(NodeEnum::ExecuteStmt(execute)) => {
            walk.expressions(&execute.params);
            return (Operation::Ddl, Effect::Execute(execute.name.clone()));
        }
        Some(query) => walk.query(query, false),
        None => walk.unknown("CREATE TABLE AS without a query"),
    }
    (Operation::Ddl, effect)
}

fn created(relation: &RangeVar) -> Effect {
    if relation.relpersistence == "t" || relation.schemaname == "pg_temp" {
        Effect::CreateTemporary(relation.relname.clone())
    } else {
        Effect::None
    }
}

/// A qualified name; a database's name before the schema is left out.
fn name(parts: &[&str]) -> Option<Name> {
    let (name, qualifier) = parts.split_last()?;
    Some(Name { schema: qualifier.last().map(|schema| (*schema).to_owned()), name: (*name).to_owned() })
}

fn dropped(walk: &mut Walk, drop: &DropStmt) -> (Operation, Effect) {
    let mut relations = Vec::new();
    for object in &drop.objects {
        if let Some(NodeEnum::List(list)) = &object.node {
            let parts: Vec<&str> = strings(&list.items).collect();
            relations.extend(relation_of(drop.remove_type, &parts));
        }
    }
    for name in &relations {
        walk.touch_name(name.clone(), Operation::Ddl, false);
    }
    let effect = match ObjectType::try_from(drop.remove_type) {
        Ok(ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectSequence) => Effect::Drop(relations),
        _ => Effect::None,
    };
    (Operation::Ddl, effect)
}

/// The relation that an object is, or belongs to.
fn relation_of(kind: i32, parts: &[&str]) -> Option<Name> {
    match ObjectType::try_from(kind) {
        Ok(
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectSequence
            | ObjectType::ObjectIndex,
        ) => name(parts),
        Ok(
            ObjectType::ObjectColumn
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectRule
            | ObjectType::ObjectPolicy
            | ObjectType::ObjectTabconstraint,
        ) => name(parts.split_last()?.1),
        _ => None,
    }
}

fn named_object(walk: &mut Walk, kind: i32, object: Option<&Node>) {
    if let Some(Node { node: Some(NodeEnum::List(list)) }) = object {
        let parts: Vec<&str> = strings(&list.items).collect();
        if let Some(name) = relation_of(kind, &parts) {
            walk.touch_name(name, Operation::Ddl, false);
        }
    }
}

fn grant(walk: &mut Walk, grant: &GrantStmt) -> Operation {
    if ObjectType::try_from(grant.objtype) == Ok(ObjectType::ObjectTable) {
        for node in &grant.objects {
            if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                walk.touch(relation, Operation::Grant, false);
            }
        }
    }
    Operation::Grant
}

fn discard_effect(target: i32) -> Effect {
    match DiscardMode::try_from(target) {
        Ok(DiscardMode::DiscardAll) => Effect::Discard { temporary: true, all: true },
        Ok(DiscardMode::DiscardTemp) => Effect::Discard { temporary: true, all: false },
        _ => Effect::None,
    }
}
