//! SELECT, INSERT, UPDATE, DELETE and MERGE: relations and columns of a query and of all queries inside it.
//!
//! Invariant: a name bound by WITH is a relation only where it is not visible; a column is given to a relation only
//! where the text leaves no other choice. A node that is not known here makes the statement opaque, it is not skipped.

use std::collections::{BTreeSet, HashMap, HashSet};

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CmdType, DeleteStmt, InsertStmt, MergeStmt, MergeWhenClause, Node, OnConflictClause, RangeVar, ReturningClause,
    SelectStmt, UpdateStmt, WithClause,
};

use crate::relations::Relations;
use crate::scopes::{Scopes, range_name};
use crate::{Call, Name, Operation, Rows, constants};

/// What has been found so far, and what names mean where the walk is.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) relations: Relations,
    pub(crate) functions: BTreeSet<Name>,
    /// Names a function that may change settings, `set_config` aside.
    pub(crate) may_change_settings: bool,
    pub(crate) set_config_calls: usize,
    pub(crate) opaque: Option<String>,
    /// What it does reaches further than its text, which is understood nevertheless.
    pub(crate) reaches: Option<&'static str>,
    /// What is walked is not run: relations are touched by this operation, without columns.
    pub(crate) planned: Option<Operation>,
    /// CREATE SCHEMA with elements: the schema, and the relations that are made in it.
    pub(crate) schema_elements: Option<(String, BTreeSet<String>)>,
    /// Functions, operators and types that it runs.
    pub(crate) calls: BTreeSet<Call>,
    bound: Bound,
    scopes: Scopes,
}

/// Names bound by WITH.
#[derive(Default)]
struct Bound {
    /// Innermost last.
    names: Vec<String>,
    /// How often each is bound.
    times: HashMap<String, usize>,
}

impl Bound {
    fn bind(&mut self, name: &str) {
        self.names.push(name.to_owned());
        *self.times.entry(name.to_owned()).or_default() += 1;
    }

    fn truncate(&mut self, length: usize) {
        for name in self.names.drain(length..) {
            if let Some(times) = self.times.get_mut(&name) {
                *times -= 1;
            }
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.times.get(name).is_some_and(|times| *times > 0)
    }
}

/// Join conditions, to be walked when the whole FROM list is known.
type Conditions<'a> = Vec<&'a Node>;

impl Walk {
    /// Any statement that can stand as a query. `counted`: the command tag is about it.
    pub(crate) fn query(&mut self, node: &NodeEnum, counted: bool) {
        match node {
            NodeEnum::SelectStmt(select) => self.select(select, counted),
            NodeEnum::InsertStmt(insert) => self.insert(insert, counted),
            NodeEnum::UpdateStmt(update) => self.update(update, counted),
            NodeEnum::DeleteStmt(delete) => self.delete(delete, counted),
            NodeEnum::MergeStmt(merge) => self.merge(merge, counted),
            _ => self.unknown("a query of an unknown kind"),
        }
    }

    /// Marks the statement as not fully understood.
    pub(crate) fn unknown(&mut self, what: &str) {
        self.opaque.get_or_insert_with(|| what.to_owned());
    }

    /// Adds a relation that the statement touches; its place.
    pub(crate) fn touch(&mut self, range: &RangeVar, operation: Operation, counted: bool) -> usize {
        let schema = Some(&range.schemaname).filter(|schema| !schema.is_empty()).cloned();
        let place = self.touch_name(Name { schema, name: range.relname.clone() }, operation, counted);
        if range.inh {
            self.relations.whole(place);
        }
        place
    }

    pub(crate) fn touch_name(&mut self, mut name: Name, operation: Operation, counted: bool) -> usize {
        if name.schema.is_none()
            && let Some((schema, elements)) = &self.schema_elements
            && elements.contains(&name.name)
        {
            name.schema = Some(schema.clone());
        }
        let counted = counted && self.planned.is_none();
        self.relations.touch(name, self.planned.unwrap_or(operation), counted)
    }

    pub(crate) fn touch_columns<'a>(&mut self, place: usize, columns: impl IntoIterator<Item = &'a str>) {
        if self.planned.is_none() {
            columns.into_iter().for_each(|column| self.relations.column(place, column));
        }
    }

    fn select(&mut self, select: &SelectStmt, counted: bool) {
        let bound = self.with(select.with_clause.as_ref());
        if let Some(into) = select.into_clause.as_ref().and_then(|into| into.rel.as_ref()) {
            self.touch(into, Operation::Ddl, counted);
        }
        for side in [&select.larg, &select.rarg].into_iter().flatten() {
            self.select(side, counted);
        }
        let before = self.relations.len();
        let conditions = self.from(&select.from_clause, counted);
        // The only relation of a query is the last that was found, if it was.
        if let [Node { node: Some(NodeEnum::RangeVar(range)) }] = &select.from_clause[..]
            && self.relations.len() == before + 1
        {
            let rows = constants::left_by(select.where_clause.as_deref(), range, true);
            self.relations.rows(before, rows);
        }
        self.expressions(conditions);
        self.expressions(&select.target_list);
        self.expressions(&select.distinct_clause);
        self.expressions(select.where_clause.as_deref());
        self.expressions(select.having_clause.as_deref());
        self.expressions(&select.window_clause);
        self.expressions(&select.values_lists);
        self.expressions(select.limit_offset.as_deref());
        self.expressions(select.limit_count.as_deref());
        // These may name an output column instead of a relation's.
        let outputs: HashSet<&str> = select.target_list.iter().filter_map(output_name).collect();
        let combined = select.larg.is_some();
        for node in select.group_clause.iter().chain(&select.sort_clause) {
            let output = plain_column(node).is_some_and(|name| combined || outputs.contains(name));
            if !output {
                self.expressions(Some(node));
            }
        }
        self.scopes.close();
        self.bound.truncate(bound);
    }

    fn insert(&mut self, insert: &InsertStmt, counted: bool) {
        let bound = self.with(insert.with_clause.as_ref());
        let Some(range) = insert.relation.as_ref() else { return self.unknown("INSERT without a table") };
        let target = self.touch(range, Operation::Insert, counted);
        self.touch_columns(target, target_names(&insert.cols));
        let columns: Vec<&str> = target_names(&insert.cols).collect();
        let rows = constants::inserted(insert, &columns);
        self.relations.rows(target, rows.clone());
        if let Some(source) = insert.select_stmt.as_ref().and_then(|node| node.node.as_ref()) {
            self.query(source, false);
        }
        self.scopes.open();
        self.scopes.add_target(range);
        if let Some(conflict) = &insert.on_conflict_clause {
            self.on_conflict(conflict, range, rows);
        }
        self.returning(insert.returning_clause.as_ref());
        self.scopes.close();
        self.bound.truncate(bound);
    }

    /// The rows that stand in the way are in the partitions of those that are inserted.
    fn on_conflict(&mut self, conflict: &OnConflictClause, range: &RangeVar, rows: Rows) {
        if let Some(infer) = &conflict.infer {
            self.expressions(&infer.index_elems);
            self.expressions(infer.where_clause.as_deref());
        }
        if conflict.target_list.is_empty() {
            return;
        }
        let updated = self.touch(range, Operation::Update, false);
        self.relations.rows(updated, rows);
        self.touch_columns(updated, target_names(&conflict.target_list));
        self.expressions(&conflict.target_list);
        self.expressions(conflict.where_clause.as_deref());
    }

    fn update(&mut self, update: &UpdateStmt, counted: bool) {
        let bound = self.with(update.with_clause.as_ref());
        let Some(range) = update.relation.as_ref() else { return self.unknown("UPDATE without a table") };
        let target = self.touch(range, Operation::Update, counted);
        self.touch_columns(target, target_names(&update.target_list));
        let rows = constants::left_by(update.where_clause.as_deref(), range, update.from_clause.is_empty());
        self.relations.rows(target, rows);
        let conditions = self.from(&update.from_clause, false);
        self.scopes.add_target(range);
        self.expressions(conditions);
        self.expressions(&update.target_list);
        self.expressions(update.where_clause.as_deref());
        self.returning(update.returning_clause.as_ref());
        self.scopes.close();
        self.bound.truncate(bound);
    }

    fn delete(&mut self, delete: &DeleteStmt, counted: bool) {
        let bound = self.with(delete.with_clause.as_ref());
        let Some(range) = delete.relation.as_ref() else { return self.unknown("DELETE without a table") };
        let target = self.touch(range, Operation::Delete, counted);
        let rows = constants::left_by(delete.where_clause.as_deref(), range, delete.using_clause.is_empty());
        self.relations.rows(target, rows);
        let conditions = self.from(&delete.using_clause, false);
        self.scopes.add_target(range);
        self.expressions(conditions);
        self.expressions(delete.where_clause.as_deref());
        self.returning(delete.returning_clause.as_ref());
        self.scopes.close();
        self.bound.truncate(bound);
    }

    fn merge(&mut self, merge: &MergeStmt, counted: bool) {
        let bound = self.with(merge.with_clause.as_ref());
        let Some(range) = merge.relation.as_ref() else { return self.unknown("MERGE without a table") };
        let conditions = self.from(merge.source_relation.as_deref(), false);
        self.scopes.add_target(range);
        self.expressions(conditions);
        self.expressions(merge.join_condition.as_deref());
        let actions: Vec<&MergeWhenClause> = merge.merge_when_clauses.iter().filter_map(merge_action).collect();
        let doing: BTreeSet<Operation> = actions.iter().filter_map(|clause| merge_operation(clause)).collect();
        if doing.is_empty() {
            self.touch(range, Operation::Merge, counted);
        }
        for clause in actions {
            if let Some(operation) = merge_operation(clause) {
                // The tag adds all actions up: it is about one of them only where there is no other.
                let target = self.touch(range, operation, counted && doing.len() == 1);
                self.touch_columns(target, target_names(&clause.target_list));
            }
            self.expressions(clause.condition.as_deref());
            self.expressions(&clause.target_list);
            self.expressions(&clause.values);
        }
        self.returning(merge.returning_clause.as_ref());
        self.scopes.close();
        self.bound.truncate(bound);
    }

    fn returning(&mut self, clause: Option<&ReturningClause>) {
        if let Some(clause) = clause {
            self.expressions(&clause.exprs);
        }
    }

    /// Walks the queries of a WITH clause and binds their names; how many names were bound before.
    fn with(&mut self, clause: Option<&WithClause>) -> usize {
        let before = self.bound.names.len();
        let Some(clause) = clause else { return before };
        let tables = || clause.ctes.iter().filter_map(|node| node.node.as_ref());
        if clause.recursive {
            for node in tables() {
                if let NodeEnum::CommonTableExpr(table) = node {
                    self.bound.bind(&table.ctename);
                }
            }
        }
        for node in tables() {
            let NodeEnum::CommonTableExpr(table) = node else {
                self.unknown("an unknown kind of WITH");
                continue;
            };
            if let Some(query) = table.ctequery.as_ref().and_then(|node| node.node.as_ref()) {
                // A WITH sees nothing of the FROM list beside it.
                self.query(query, false);
            }
            self.bound.bind(&table.ctename);
        }
        before
    }

    /// Walks a FROM list in a scope of its own, which stays open.
    fn from<'a>(&mut self, list: impl IntoIterator<Item = &'a Node>, counted: bool) -> Conditions<'a> {
        let mut conditions = Vec::new();
        self.scopes.open();
        for node in list {
            self.range_item(node, counted, &mut conditions);
        }
        conditions
    }

    fn range_item<'a>(&mut self, node: &'a Node, counted: bool, conditions: &mut Conditions<'a>) {
        let alias =
            |alias: Option<&pg_query::protobuf::Alias>| alias.map(|alias| alias.aliasname.clone()).unwrap_or_default();
        match &node.node {
            Some(NodeEnum::RangeVar(range)) => {
                let bound = range.schemaname.is_empty() && self.bound.contains(&range.relname);
                let relation = (!bound).then(|| self.touch(range, Operation::Select, counted));
                // A column list of the alias renames columns.
                let renamed = range.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
                self.scopes.add(range_name(range), relation.filter(|_| !renamed));
            }
            Some(NodeEnum::JoinExpr(join)) => {
                let before = self.scopes.len();
                for side in [&join.larg, &join.rarg].into_iter().flatten() {
                    self.range_item(side, counted, conditions);
                }
                if join.is_natural || !join.using_clause.is_empty() {
                    self.implicit(&["="]);
                }
                conditions.extend(join.quals.as_deref());
                if join.alias.is_some() {
                    // The alias hides the names inside.
                    self.scopes.truncate(before);
                    self.scopes.add(alias(join.alias.as_ref()), None);
                }
            }
            Some(NodeEnum::RangeSubselect(subselect)) => {
                let query = subselect.subquery.as_ref().and_then(|node| node.node.as_ref());
                self.beside(subselect.lateral, |walk| match query {
                    Some(query) => walk.query(query, counted),
                    None => walk.unknown("an empty subquery"),
                });
                self.scopes.add(alias(subselect.alias.as_ref()), None);
            }
            Some(NodeEnum::RangeFunction(function)) => {
                self.beside(true, |walk| walk.expressions(&function.functions));
                for column in &function.coldeflist {
                    if let Some(NodeEnum::ColumnDef(column)) = &column.node {
                        self.cast(column.type_name.as_ref());
                    }
                }
                self.scopes.add(alias(function.alias.as_ref()), None);
            }
            Some(NodeEnum::RangeTableFunc(function)) => {
                self.beside(true, |walk| {
                    walk.expressions(function.docexpr.as_deref());
                    walk.expressions(function.rowexpr.as_deref());
                    walk.expressions(&function.namespaces);
                    walk.expressions(&function.columns);
                });
                self.scopes.add(alias(function.alias.as_ref()), None);
            }
            Some(NodeEnum::JsonTable(table)) => {
                self.beside(true, |walk| walk.json_table(table));
                self.scopes.add(alias(table.alias.as_ref()), None);
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                if let Some(relation) = sample.relation.as_deref() {
                    self.range_item(relation, counted, conditions);
                }
                self.expressions(&sample.args);
                self.expressions(sample.repeatable.as_deref());
            }
            _ => self.unknown("an unknown kind of FROM item"),
        }
    }

    /// Walks something that, when lateral, sees the FROM items before it.
    fn beside(&mut self, lateral: bool, walk: impl FnOnce(&mut Walk)) {
        self.scopes.hide(!lateral);
        walk(self);
        self.scopes.hide(false);
    }

    /// Gives a column to the relation that it certainly belongs to.
    pub(super) fn column(&mut self, qualifier: Option<&str>, column: &str) {
        let (item, column) = match qualifier {
            Some(qualifier) => (self.scopes.named(qualifier), column),
            None => match self.scopes.named(column) {
                // A whole row, or a column of the same name: the more is taken.
                Some(item) => (Some(item), "*"),
                None => (self.scopes.sole(), column),
            },
        };
        if let Some(place) = item.and_then(|item| item.relation) {
            self.touch_columns(place, [column]);
        }
    }

    /// `*` without a qualifier: all columns of every item here.
    pub(super) fn all_columns(&mut self) {
        for place in self.scopes.star() {
            self.touch_columns(place, ["*"]);
        }
    }
}

/// Names of the columns that a SET or an INSERT list assigns to.
fn target_names(targets: &[Node]) -> impl Iterator<Item = &str> {
    targets.iter().filter_map(output_name)
}

fn output_name(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => Some(&target.name),
        _ => None,
    }
}

/// The single name that the expression consists of, under SortBy where there is one.
fn plain_column(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::SortBy(sort)) => sort.node.as_deref().and_then(plain_column),
        Some(NodeEnum::ColumnRef(column)) => match &column.fields[..] {
            [Node { node: Some(NodeEnum::String(name)) }] => Some(&name.sval),
            _ => None,
        },
        _ => None,
    }
}

fn merge_action(node: &Node) -> Option<&MergeWhenClause> {
    match &node.node {
        Some(NodeEnum::MergeWhenClause(clause)) => Some(clause),
        _ => None,
    }
}

/// What the action does to the target; none for DO NOTHING.
fn merge_operation(clause: &MergeWhenClause) -> Option<Operation> {
    match CmdType::try_from(clause.command_type) {
        Ok(CmdType::CmdInsert) => Some(Operation::Insert),
        Ok(CmdType::CmdUpdate) => Some(Operation::Update),
        Ok(CmdType::CmdDelete) => Some(Operation::Delete),
        _ => None,
    }
}
