//! What is done to a relation, followed to what is behind it.

use std::collections::HashSet;

use super::memo::{Piece, Read};
use super::{
    Change, Defined, FIRST_NORMAL, Followed, MAX_CHILDREN, MAX_READ_CHILDREN, Reach, Resolve, Step, Via, name_of,
    partitions,
};
use crate::catalog::{Action, Enabled, ForeignKey, Kind, Object, Oid, Relation, RelationKind, Trigger, TypeKind, When};
use crate::{Name, Operation, Rows};

/// Most relations that are followed for one statement, each as often as something else is done to it.
const MAX_FOLLOWED: usize = 4096;

/// Most types that are followed for one value.
const MAX_TYPES: usize = 256;

/// Bits of a trigger's type.
const ROW: u32 = 1;
const BEFORE: u32 = 2;
const INSERT: u32 = 4;
const DELETE: u32 = 8;
const UPDATE: u32 = 16;
const TRUNCATE: u32 = 32;
const INSTEAD: u32 = 64;

/// The place of a partition key among a relation's texts.
const PARTITION_KEY: usize = usize::MAX;

/// What triggers call the operation; 0 where they are not asked.
fn event(operation: Operation) -> u32 {
    match operation {
        Operation::Insert | Operation::CopyIn => INSERT,
        Operation::Update => UPDATE,
        Operation::Delete => DELETE,
        Operation::Truncate => TRUNCATE,
        _ => 0,
    }
}

/// It may be that one of these is one of those: where none are known, any may be.
fn may_meet<A: AsRef<str>, B: AsRef<str>>(these: &[A], those: &[B]) -> bool {
    these.is_empty()
        || those.is_empty()
        || these.iter().any(|one| those.iter().any(|other| one.as_ref() == other.as_ref()))
}

impl Reach<'_> {
    /// Something is done to a relation.
    pub(super) fn change(
        &mut self,
        oid: Option<Oid>,
        name: Name,
        change: &Change,
        counted: bool,
        resolve: &dyn Resolve,
        step: &Step,
    ) {
        let catalog = self.catalog;
        let Some((oid, relation)) = oid.and_then(|oid| Some((oid, catalog.relation(oid)?))) else {
            return self.touch(Some(name), oid, change, counted, step);
        };
        self.work += 1;
        if self.work > super::MAX_WORK {
            self.cut = Some("views, triggers or foreign keys lead to too much");
        }
        let view = relation.kind == RelationKind::View;
        let (instead, perhaps) = self.rules(oid, change, resolve, step);
        if instead && !view {
            let reason = format!("a rule on {name} does something else instead").into();
            self.touch(
                Some(name),
                Some(oid),
                change,
                counted,
                &Step { via: step.via, ..step.perhaps(step.via, || reason) },
            );
            return;
        }
        self.touch(Some(name.clone()), Some(oid), change, counted, step);
        let followed = Followed::Relation(change.operation, change.columns.clone(), change.rows.clone(), step.around);
        if self.cut.is_some() || instead || !self.followed.insert((followed, oid)) {
            return;
        }
        if step.depth > super::MAX_DEPTH || self.followed.len() > MAX_FOLLOWED {
            self.cut = Some("views, triggers or foreign keys lead too far");
            return;
        }
        match relation.kind {
            RelationKind::View if perhaps => {
                let reason = || format!("a rule on {name} may do something else instead").into();
                self.view(oid, relation, change, counted, resolve, &step.perhaps(step.via, reason));
            }
            RelationKind::View => self.view(oid, relation, change, counted, resolve, step),
            RelationKind::MaterializedView if change.operation == Operation::Maintenance => {
                self.expressions(oid, relation, change, resolve, step);
                self.reads_of_view(oid, Operation::Select, 0, resolve, step);
            }
            RelationKind::MaterializedView if change.rewrites => {
                self.expressions(oid, relation, change, resolve, step);
            }
            RelationKind::Table | RelationKind::Partitioned | RelationKind::Foreign => {
                self.expressions(oid, relation, change, resolve, step);
                self.triggers(oid, change, event(change.operation), resolve, step);
                self.cascades(oid, change, resolve, step);
                self.children_of(oid, change, resolve, step);
            }
            _ => {}
        }
    }

    fn view(&mut self, oid: Oid, view: &Relation, change: &Change, counted: bool, resolve: &dyn Resolve, step: &Step) {
        let bit = match change.operation {
            Operation::Select => return self.reads_of_view(oid, Operation::Select, 0, resolve, step),
            Operation::Lock => return self.reads_of_view(oid, Operation::Lock, 0, resolve, step),
            // It is planned with its view, and planning runs immutable functions of constants.
            Operation::Explain => return self.reads_of_view(oid, Operation::Explain, 0, resolve, step),
            Operation::Update => 4,
            Operation::Insert | Operation::CopyIn => 8,
            Operation::Delete => 16,
            _ => return,
        };
        let event = event(change.operation) | INSTEAD;
        let catalog = self.catalog;
        // A view's columns may have defaults of their own.
        self.expressions(oid, view, change, resolve, step);
        if catalog.triggers(oid).any(|trigger| runs(trigger, event) && trigger.bits & INSTEAD != 0) {
            self.reads_of_view(oid, Operation::Select, 0, resolve, step);
            return self.triggers(oid, change, event, resolve, step);
        }
        let Some(read) = self.definition(oid) else { return };
        let base = read.pieces.first().and_then(|piece| piece.statement.relations.first());
        let Some(base) = base.filter(|_| view.updatable & bit != 0) else {
            return self.reads_of_view(oid, Operation::Select, 0, resolve, step);
        };
        // The view's columns may have other names than the table's.
        let tagged = change.tagged && catalog.rules(oid).next().is_none();
        let below = Change { columns: Vec::new(), only: base.only, rows: Rows::Any, tagged, ..change.clone() };
        self.defined(&base.name, &below, counted, resolve, &step.next(Via::View));
        self.reads_of_view(oid, Operation::Select, 1, resolve, step);
    }

    fn definition(&mut self, oid: Oid) -> Option<std::sync::Arc<Read>> {
        self.memo.read(self.catalog, (Kind::Relation, oid, 0), |object| match object {
            Object::Relation(relation) => {
                let text = relation.view.as_ref()?;
                Some((text.len(), Read::sql(text)))
            }
            _ => None,
        })
    }

    /// What a view's query reads, from its relation of that place on.
    fn reads_of_view(&mut self, oid: Oid, operation: Operation, from: usize, resolve: &dyn Resolve, step: &Step) {
        let step = step.next(Via::View);
        let Some(read) = self.definition(oid) else {
            // Views of PostgreSQL's own change nothing.
            let of_own = |view: &Relation| matches!(&*view.schema, "pg_catalog" | "information_schema");
            if self.catalog.relation(oid).is_some_and(of_own) {
                return;
            }
            return self
                .touch_anything(operation, &step.perhaps(Via::View, || "a view's definition is not known".into()));
        };
        for piece in &read.pieces {
            for relation in piece.statement.relations.iter().skip(from) {
                let change = Change { only: relation.only, ..Change::of(operation) };
                self.defined(&relation.name, &change, false, resolve, &step);
            }
            piece.statement.calls.iter().for_each(|call| self.call(call, &Defined::new(self.catalog), resolve, &step));
            if let Some(reason) = &piece.statement.opaque {
                self.touch_anything(operation, &step.perhaps(Via::View, || format!("a view: {reason}").into()));
            }
        }
    }

    /// A relation that a definition names: PostgreSQL writes the schema, unless it is its own.
    fn defined(&mut self, name: &Name, change: &Change, counted: bool, resolve: &dyn Resolve, step: &Step) {
        let schema = name.schema.clone().unwrap_or_else(|| "pg_catalog".to_owned());
        let oid = self.catalog.relation_named(&schema, &name.name);
        let name = Name { schema: Some(schema), name: name.name.clone() };
        self.change(oid, name, change, counted, resolve, step);
    }

    /// Follows rules; whether one of them does something else instead, and whether one may.
    fn rules(&mut self, relation: Oid, change: &Change, resolve: &dyn Resolve, step: &Step) -> (bool, bool) {
        let catalog = self.catalog;
        let (mut instead, mut perhaps) = (false, false);
        // COPY does not ask them.
        let asked = matches!(change.operation, Operation::Insert | Operation::Update | Operation::Delete);
        if !asked || self.cut.is_some() {
            return (false, false);
        }
        for (oid, rule) in catalog.rules(relation).filter(|(_, rule)| rule.enabled != Enabled::Disabled) {
            let read = self.memo.read(catalog, (Kind::Rule, oid, 0), |object| match object {
                Object::Rule(rule) => Some((rule.definition.len(), Read::rule(&rule.definition))),
                _ => None,
            });
            let Some(read) = read else { continue };
            let because = || format!("rule {} may do it", Name::quoted(&rule.name)).into();
            let Some(head) = read.rule else {
                self.touch_anything(Operation::Opaque, &step.perhaps(Via::Rule, because));
                continue;
            };
            if head.event != change.operation {
                continue;
            }
            let usual = rule.enabled == Enabled::Always || (rule.enabled == Enabled::Origin && resolve.is_origin());
            let always = usual && !head.conditional;
            instead |= head.instead && always;
            perhaps |= head.instead && !always;
            if self.followed.insert((Followed::Rule(step.around), oid)) {
                let step = if always { step.next(Via::Rule) } else { step.perhaps(Via::Rule, because) };
                // A definition's names are written with their schemas.
                read.pieces
                    .iter()
                    .for_each(|piece| self.statement(&piece.statement, &Defined::new(self.catalog), resolve, &step));
            }
        }
        (instead, perhaps && !instead)
    }

    /// Follows the triggers of these events.
    fn triggers(&mut self, relation: Oid, change: &Change, events: u32, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        for (oid, trigger) in catalog.numbered_triggers(relation).filter(|(_, trigger)| runs(trigger, events)) {
            if change.operation == Operation::Update
                && !trigger.columns.is_empty()
                && !may_meet(&change.columns, &trigger.columns)
            {
                continue;
            }
            let because = || {
                let on = name_of(catalog, relation).map(|name| format!(" on {name}")).unwrap_or_default();
                format!("trigger {}{on} may do it", Name::quoted(&trigger.name)).into()
            };
            let usual = match trigger.enabled {
                Enabled::Always => true,
                Enabled::Origin => resolve.is_origin(),
                Enabled::Disabled | Enabled::Replica => false,
            };
            let read = self.memo.read(catalog, (Kind::Trigger, oid, 0), |object| match object {
                Object::Trigger(trigger) => trigger.when.as_ref().map(|when| (when.len(), Read::expression(when))),
                _ => None,
            });
            if let Some(read) = read {
                self.runs(&read, resolve, step, "a trigger's condition may do it");
            }
            let asked = trigger.columns.is_empty() || !change.columns.is_empty();
            let perhaps = step.perhaps(Via::Trigger, because);
            let step = match trigger.bits & ROW {
                _ if !usual || !asked || trigger.when.is_some() || trigger.deferrable => perhaps,
                // Once for the statement, whatever it changes.
                0 => step.next(Via::Trigger),
                _ if step.certain && change.tagged && self.has_all_rows(relation, change) => {
                    Step { if_rows: true, ..perhaps }
                }
                _ => perhaps,
            };
            let sure = step.certain || step.if_rows;
            self.function(trigger.function, resolve, &step, sure);
        }
    }

    /// The rows that a change counts are of the relation itself or of its partitions, which have its triggers.
    fn has_all_rows(&self, oid: Oid, change: &Change) -> bool {
        let table = self.catalog.relation(oid).is_some_and(|relation| relation.kind == RelationKind::Table);
        let inherited = table && !change.only && !self.catalog.children(oid).is_empty();
        let inserts = matches!(change.operation, Operation::Insert | Operation::CopyIn);
        (inserts || !inherited) && self.catalog.rules(oid).next().is_none()
    }

    /// Expressions that run with a change: their functions may do something.
    fn expressions(&mut self, oid: Oid, relation: &Relation, change: &Change, resolve: &dyn Resolve, step: &Step) {
        let (operation, rewrites) = (change.operation, change.rewrites);
        let writes = matches!(operation, Operation::Insert | Operation::Update | Operation::CopyIn);
        let touches = writes || matches!(operation, Operation::Select | Operation::Delete | Operation::CopyOut);
        let catalog = self.catalog;
        for (place, expression) in relation.expressions.iter().enumerate() {
            let runs = match expression.when {
                When::Default => writes,
                When::Generated | When::Check => writes || rewrites,
                When::Index => writes || rewrites || operation == Operation::Maintenance,
                When::Policy => touches,
            };
            if !runs {
                continue;
            }
            let read = self.memo.read(catalog, (Kind::Relation, oid, place + 1), |_| {
                Some((expression.text.len(), Read::expression(&expression.text)))
            });
            if let Some(read) = read {
                self.runs(&read, resolve, step, "an expression of the table may do it");
            }
        }
        if writes || rewrites {
            self.partition_keys(oid, resolve, step);
            for column in &relation.columns {
                self.type_of_value(column.kind, resolve, step);
                for cast in catalog.casts_to(column.kind).filter(|cast| cast.implicit) {
                    self.function(
                        cast.function,
                        resolve,
                        &step.perhaps(Via::Function, || "a cast may do it".into()),
                        false,
                    );
                }
            }
        }
    }

    /// The expressions of all indexes.
    pub(super) fn all_indexes(&mut self, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        for (oid, relation) in catalog.indexed_by_expressions() {
            self.work += 1;
            if self.work > super::MAX_WORK {
                self.cut = Some("there are more indexes of expressions than are followed");
                return;
            }
            self.expressions(oid, relation, &Change::of(Operation::Maintenance), resolve, step);
        }
    }

    /// The expressions of a partitioned table's key, and of those that it is a partition of.
    fn partition_keys(&mut self, oid: Oid, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let mut next = Some(oid);
        for _ in 0..super::MAX_DEPTH {
            let Some((oid, relation)) = next.and_then(|oid| Some((oid, catalog.relation(oid)?))) else { return };
            let read = self.memo.read(catalog, (Kind::Relation, oid, PARTITION_KEY), |_| {
                let key = relation.partition_key.as_deref()?;
                // As an index's list, it may hold collations and operator classes.
                let list = key.find('(').map_or("", |begin| &key[begin..]);
                Some((key.len(), Read::expression(&format!("CREATE INDEX ON x {list}").into())))
            });
            if let Some(read) = read {
                self.runs(&read, resolve, step, "an expression of the partition key may do it");
            }
            next = relation.bound.as_ref().and(relation.parents.first()).copied();
        }
    }

    /// What runs for a value of a type: the constraints of domains that it is, is based on, or consists of.
    pub(super) fn type_of_value(&mut self, kind: Oid, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let mut next = vec![kind];
        let mut seen = HashSet::new();
        while let Some(kind) = next.pop() {
            if kind < FIRST_NORMAL || !seen.insert(kind) {
                continue;
            }
            if seen.len() > MAX_TYPES {
                return self.unknown_code(step, || "a type consists of more types than are followed".into());
            }
            let Some((oid, found)) = catalog.type_or_element(kind) else {
                self.unknown_code(step, || "a type that is not known may run code".into());
                continue;
            };
            match found.kind {
                TypeKind::Domain => {
                    self.domain(oid, resolve, step);
                    next.push(found.base);
                }
                TypeKind::Composite => {
                    let relation = catalog.relation_named(&found.schema, &found.name);
                    let columns = relation.and_then(|oid| catalog.relation(oid)).map(|relation| &relation.columns);
                    next.extend(columns.into_iter().flatten().map(|column| column.kind));
                }
                _ => {}
            }
        }
    }

    /// The constraints of a domain, without those of what it is based on.
    fn domain(&mut self, oid: Oid, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let Some(domain) = catalog.type_of(oid) else { return };
        self.reached.code.insert(domain.name.to_string());
        for (place, text) in domain.checks.iter().chain(&domain.default).enumerate() {
            let read = |_: &Object| Some((text.len(), Read::expression(text)));
            if let Some(read) = self.memo.read(catalog, (Kind::Type, oid, place), read) {
                self.runs(&read, resolve, step, "a domain's constraint may do it");
            }
        }
    }

    pub(super) fn runs(&mut self, read: &Read, resolve: &dyn Resolve, step: &Step, reason: &'static str) {
        let step = step.perhaps(Via::Function, || reason.into());
        for Piece { statement, .. } in &read.pieces {
            self.statement(statement, &Defined::new(self.catalog), resolve, &step);
            if statement.opaque.is_some() && !statement.opaque_without_catalog {
                self.unknown_code(&step, || format!("{reason}, which is not understood").into());
            }
        }
    }

    /// Follows the actions of foreign keys.
    fn cascades(&mut self, oid: Oid, change: &Change, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        for key in catalog.referencing(oid) {
            let action = match change.operation {
                Operation::Delete => key.on_delete,
                Operation::Update if self.changes_key(oid, change, key) => key.on_update,
                Operation::Truncate if change.cascades => {
                    if let Some(name) = name_of(catalog, key.relation) {
                        let change = Change { only: false, tagged: false, ..change.clone() };
                        self.change(Some(key.relation), name, &change, false, resolve, &step.next(Via::Cascade));
                    }
                    continue;
                }
                _ => continue,
            };
            let update = || Change {
                columns: key.columns.iter().map(ToString::to_string).collect(),
                ..Change::of(Operation::Update)
            };
            let done = match action {
                Action::None | Action::Restrict => continue,
                Action::Cascade if change.operation == Operation::Delete => Change::of(Operation::Delete),
                Action::Cascade | Action::SetNull | Action::SetDefault => update(),
            };
            let Some(name) = name_of(catalog, key.relation) else { continue };
            let step = step.perhaps(Via::Cascade, || {
                format!("rows may refer to it by foreign key {}", Name::quoted(&key.name)).into()
            });
            self.change(Some(key.relation), name, &done, false, resolve, &step);
        }
    }

    /// The update may change what the foreign key refers to: it sets such a column, or a trigger before it may.
    fn changes_key(&self, oid: Oid, change: &Change, key: &ForeignKey) -> bool {
        may_meet(&change.columns, &key.references_columns)
            || self.catalog.triggers(oid).any(|trigger| runs(trigger, UPDATE) && trigger.bits & BEFORE != 0)
    }

    /// Follows partitions and what inherits.
    pub(super) fn children_of(&mut self, oid: Oid, change: &Change, resolve: &dyn Resolve, step: &Step) {
        let catalog = self.catalog;
        let children = catalog.children(oid);
        let partitioned = catalog.relation(oid).is_some_and(|relation| relation.kind == RelationKind::Partitioned);
        let reaches = match change.operation {
            Operation::Insert | Operation::CopyIn => partitioned,
            Operation::Select | Operation::Update | Operation::Delete | Operation::Truncate => !change.only,
            // DROP takes partitions along, and with CASCADE what inherits; ALTER reaches both, unless ONLY.
            Operation::Ddl => !change.only,
            Operation::Maintenance => partitioned && !change.only,
            _ => false,
        };
        if !reaches || children.is_empty() {
            return;
        }
        let via = if partitioned { Via::Partition } else { Via::Inheritance };
        let before =
            |oid: &Oid| catalog.triggers(*oid).any(|trigger| runs(trigger, UPDATE) && trigger.bits & BEFORE != 0);
        let moves = partitioned
            && children.len() > 1
            && change.operation == Operation::Update
            && (moves_rows(catalog.relation(oid), change) || children.iter().any(before));
        let parent = catalog.relation(oid).filter(|_| partitioned && change.operation != Operation::Ddl);
        let pruned = parent.and_then(|parent| partitions::prune(catalog, parent, children, &change.rows));
        // Rows that go to another partition may go to any.
        let pruned = pruned.filter(|_| !moves);
        let sure = change.operation == Operation::Truncate
            || (partitioned && children.len() == 1 && change.operation != Operation::Ddl)
            // A single partition has what there is of them; each row that is inserted is in one.
            || pruned.as_ref().is_some_and(|left| left.len() == 1 || change.operation == Operation::Insert);
        let step = if sure {
            step.next(via)
        } else {
            step.perhaps(via, || match via {
                Via::Partition if change.operation == Operation::Maintenance => {
                    "since which version partitions are maintained with their table differs".into()
                }
                Via::Partition => "which partitions its rows are in is not known".into(),
                _ => "whether its rows are in what inherits is not known".into(),
            })
        };
        if change.operation == Operation::Select && pruned.is_none() && children.len() > MAX_READ_CHILDREN {
            let reason = "it reads partitions, which are too many to be told".into();
            return self
                .touch_anything(change.operation, &Step { reason: Some(reason), ..step.perhaps(via, || "".into()) });
        }
        let all = || children.iter().map(|child| (*child, change.rows.clone())).collect();
        // What is behind each is followed when it is told.
        for (child, rows) in pruned.unwrap_or_else(all) {
            self.children += 1;
            if self.children > MAX_CHILDREN {
                let reason = "there are more partitions than are told".into();
                return self.touch_anything(change.operation, &step.perhaps(via, || reason));
            }
            let Some(name) = name_of(catalog, child) else { continue };
            let below = Change { only: false, rows, tagged: false, ..change.clone() };
            self.change(Some(child), name.clone(), &below, false, resolve, &step);
            if moves {
                let step = step.perhaps(via, || "rows may go from one partition to another".into());
                for operation in [Operation::Delete, Operation::Insert] {
                    self.change(Some(child), name.clone(), &Change::of(operation), false, resolve, &step);
                }
            }
        }
    }
}

/// The update may move rows to other partitions: it sets a column of the key, or may.
fn moves_rows(parent: Option<&Relation>, change: &Change) -> bool {
    let key = parent.and_then(|parent| parent.partition_key.as_deref()).unwrap_or_default();
    let names = |column: &String| key.contains(column.as_str()) || key.contains(&column.replace('"', "\"\""));
    change.columns.is_empty() || change.columns.iter().any(names)
}

/// The trigger is asked at one of these events: INSTEAD OF only where that is among them.
fn runs(trigger: &Trigger, events: u32) -> bool {
    let instead = trigger.bits & INSTEAD;
    trigger.enabled != Enabled::Disabled
        && trigger.bits & events & !INSTEAD != 0
        && (instead == 0 || events & instead != 0)
}
