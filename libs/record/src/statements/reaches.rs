//! What statements touch, by their texts and the catalog; kept for statements that come again.

use std::sync::Arc;

use hansard_pg_wire::conversation::{Executed, Moment};
use hansard_policy::catalog::TEMPORARY;
use hansard_policy::reach::{Reached, Resolve, Resolved, Touched, Via, reach, reach_call};
use hansard_policy::{Name, NameChange, Operation, Statement};
use hashlink::LruCache;
use uuid::Uuid;

use crate::analyses::{Meaning, SqlText};
use crate::catalogs::Known;
use crate::command;
use crate::names::{InSession, LookedUp, Names, UNKNOWN_RELATION, shown};

mod unwritten;

use unwritten::Unwritten;

/// Most statements of a session whose touches are kept.
const MAX_KEPT: usize = 64;

/// A relation that is touched, or may be.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) relation: Arc<str>,
    pub(super) operation: Operation,
    pub(super) via: Via,
    /// Why it is not certain.
    pub(super) reason: Option<Arc<str>>,
    /// It is certain where the command tag counts rows.
    pub(super) if_rows: bool,
    pub(super) counted: bool,
    pub(super) columns: Arc<[Arc<str>]>,
}

/// What a statement reaches.
#[derive(Debug, Default)]
pub(super) struct Reaches {
    pub(super) told: Vec<Told>,
    /// What the catalog tells of the code that it runs; without its touches.
    pub(super) reached: Option<Reached>,
}

/// A statement: what its text means, whether what that prepares is meant, since when its names may have been looked up where
/// relations have got names since, whether names have changed since it was bound, and since when it runs where code was changed
/// since.
type Key = (usize, bool, Option<Moment>, bool, Option<i64>);

const BOUND_BEFORE: &str = "what names mean has changed since it was bound";

/// Statements that came last.
#[derive(Debug)]
pub(super) struct Kept {
    /// Of the session's names and of the catalog.
    epochs: (u64, u64),
    /// With the texts' meanings: as long as they are held, their addresses are theirs.
    reaches: LruCache<Key, (Arc<Meaning>, Arc<Reaches>)>,
}

impl Reaches {
    /// It may be something else that is touched.
    fn doubt(&mut self, reason: &'static str) {
        if self.told.is_empty() {
            return;
        }
        let reason: Arc<str> = reason.into();
        for told in &mut self.told {
            told.if_rows = false;
            told.reason.get_or_insert_with(|| reason.clone());
        }
        self.told.push(Told {
            relation: UNKNOWN_RELATION.into(),
            operation: Operation::Opaque,
            via: Via::Direct,
            reason: Some(reason),
            if_rows: false,
            counted: false,
            columns: Arc::new([]),
        });
    }
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { epochs: (0, 0), reaches: LruCache::new(MAX_KEPT) }
    }
}

impl Kept {
    /// What a statement reaches in a session, whose names were looked up then for the last time, or later, and that began to run
    /// then.
    pub(super) fn of(
        &mut self,
        executed: &Executed<SqlText>,
        (looked_up, began): (Moment, Moment),
        names: &Names,
        mut known: Option<&mut Known>,
        session_id: Uuid,
    ) -> Arc<Reaches> {
        let epochs = (names.epoch, known.as_ref().map_or(0, |known| known.epoch));
        if std::mem::replace(&mut self.epochs, epochs) != epochs {
            self.reaches.clear();
        }
        let meaning = &executed.text.statement(executed.part).meaning;
        let named = |moment: &Moment| {
            let catalog = known.as_ref().is_some_and(|known| known.may_have_named_since(moment.at));
            catalog || names.may_have_named_since(*moment)
        };
        let looked_up = Some(looked_up).filter(named);
        let bound_before = executed.bound.is_some_and(|bound| names.may_have_changed_since(bound));
        // What a portal runs may have been made part of its plan when it was bound.
        let planned =
            executed.bound.filter(|bound| *bound < began.statement).and(executed.prepared).unwrap_or(began).at;
        let ran = Some(planned).filter(|at| known.as_ref().is_some_and(|known| known.may_have_changed_code_since(*at)));
        let key = (Arc::as_ptr(meaning).addr(), executed.prepared_in_sql, looked_up, bound_before, ran);
        if let Some((_, reaches)) = self.reaches.get(&key) {
            return reaches.clone();
        }
        let mut reaches_of = |statement: &Statement| {
            let asked = Asked::Statement(statement, looked_up);
            let mut reaches = reaches(names, known.as_deref_mut(), session_id, &asked, ran);
            if bound_before {
                reaches.doubt(BOUND_BEFORE);
            }
            Arc::new(reaches)
        };
        let reaches = reaches_of(meaning.of(executed.prepared_in_sql));
        if meaning.rows_forgotten
            && reaches.told.iter().any(|told| told.via == Via::Partition)
            && let Some(statement) = executed.text.in_full()
        {
            return reaches_of(&statement);
        }
        self.reaches.insert(key, (meaning.clone(), reaches.clone()));
        reaches
    }
}

/// What is asked for.
pub(super) enum Asked<'a> {
    /// With when its names may have been looked up for the last time, where that is not now.
    Statement(&'a Statement, Option<Moment>),
    /// A call of a function by its number.
    Call(u32),
    /// A relation that the head of a text names.
    Head(Operation, &'a Name),
}

/// What is asked for reaches. `ran`: since when it has run.
pub(super) fn reaches(
    names: &Names,
    known: Option<&mut Known>,
    session_id: Uuid,
    asked: &Asked<'_>,
    ran: Option<i64>,
) -> Reaches {
    // The memo is written while the catalog is read.
    let mut known = known;
    let mut memo = known.as_mut().map(|known| std::mem::take(&mut known.memo)).unwrap_or_default();
    let seen = known.as_deref();
    let session = InSession::new(names, seen, session_id);
    let functions = session.looked_up_by_functions();
    let (mut reached, by_catalog) = match (asked, seen) {
        (Asked::Statement(statement, since), Some(known)) => {
            (reach(statement, &known.catalog, &session.looked_up(*since), &functions, &mut memo), true)
        }
        (Asked::Call(function), Some(known)) => (reach_call(*function, &known.catalog, &functions, &mut memo), true),
        (Asked::Statement(statement, since), None) => (by_text(statement, &session.looked_up(*since)), false),
        (Asked::Call(_), None) => (Reached::default(), false),
        (Asked::Head(operation, name), _) => {
            let touched = resolved(session.relation(name), name, *operation, false, &[]);
            (Reached { touched, ..Reached::default() }, false)
        }
    };
    let statement = match asked {
        Asked::Statement(statement, _) => Some(*statement),
        _ => None,
    };
    if !matches!(asked, Asked::Head(..)) {
        unknown_behind(&mut reached, names, seen, &session, (statement, ran));
    }
    let told = std::mem::take(&mut reached.touched).into_iter().map(told).collect();
    if let Some(known) = known {
        known.memo = memo;
    }
    Reaches { told, reached: by_catalog.then_some(reached) }
}

/// Without a catalog: what is named.
fn by_text(statement: &Statement, session: &LookedUp<'_>) -> Reached {
    let touched = statement.relations.iter().flat_map(|relation| {
        let meant = match &statement.effect {
            hansard_policy::Effect::CreateTemporary(name)
                if relation.operation == Operation::Ddl && *name == relation.name.name =>
            {
                let schema = Some(hansard_policy::catalog::TEMPORARY.to_owned());
                Resolved::Known { oid: None, name: Name { schema, name: name.clone() } }
            }
            _ => session.relation(&relation.name),
        };
        resolved(meant, &relation.name, relation.operation, relation.counted, &relation.columns)
    });
    Reached { touched: touched.collect(), ..Reached::default() }
}

fn resolved(meant: Resolved, written: &Name, operation: Operation, counted: bool, columns: &[String]) -> Vec<Touched> {
    let touched = |name: Name, reason: Option<&std::borrow::Cow<'static, str>>| Touched {
        relation: Some(name),
        oid: None,
        operation,
        via: Via::Direct,
        certain: reason.is_none(),
        if_rows: false,
        reason: reason.cloned(),
        counted,
        columns: columns.to_vec(),
    };
    match meant {
        Resolved::Known { name, .. } => vec![touched(name, None)],
        Resolved::OneOf { candidates, reason } => {
            let unqualified = Name { schema: None, name: written.name.clone() };
            let all = std::iter::once(unqualified).chain(candidates.into_iter().map(|(_, name)| name));
            all.map(|name| touched(name, Some(&reason))).collect()
        }
    }
}

/// What hangs on a relation is not known without a catalog, while it is changed, and where the catalog does not hold
/// everything; nor what a function does.
fn unknown_behind(
    reached: &mut Reached,
    names: &Names,
    known: Option<&Known>,
    session: &InSession<'_>,
    (statement, ran): (Option<&Statement>, Option<i64>),
) {
    let code = std::mem::take(&mut reached.code);
    let built_in = std::mem::take(&mut reached.built_in);
    let is_bare = |touched: &Touched| touched.relation.as_ref().is_some_and(|name| session.is_bare(name));
    let writes = |touched: &&Touched| command::writes_rows(touched.operation) && !is_bare(touched);
    let hides = reached.touched.iter().any(|touched| touched.via != Via::Direct);
    let may_matter = |touched: &&Touched| hides || writes(touched);
    // An event trigger runs for whatever is defined.
    let fires = reached.defines
        && known.is_some_and(|known| {
            let changed = ran.is_some_and(|at| known.are_event_triggers_changed_since(at));
            changed || session.is_ahead() || known.is_in_motion("event")
        });
    // Others than are known may have been made of these names.
    let overloaded = built_in.iter().find(|(kind, name)| session.is_built_in_in_motion(*kind, name));
    // What is dropped may have partitions that are not known.
    let parted = statement.and_then(|statement| {
        let drops = |touched: &&Touched| {
            touched.operation == Operation::Ddl && touched.via == Via::Direct && touched.relation.is_some()
        };
        let drop = statement.names.iter().any(|change| matches!(change, NameChange::Drop { .. }));
        let names = reached.touched.iter().filter(drops).filter_map(|touched| touched.relation.as_ref());
        let unsure = |name: &&Name| session.is_newly_partitioned(name) || session.is_changed_by_others(&name.name);
        names.filter(|_| drop).find(unsure).map(shown)
    });
    let replaced =
        ran.zip(known).and_then(|(at, known)| code.iter().find(|name| known.is_code_changed_since(name, at)));
    let changed = replaced.map(|name| format!("what {name} does was changed while it ran"));
    let changed =
        changed.or_else(|| parted.as_ref().map(|name| format!("{name} may have partitions that are not known")));
    let may_be_more = fires
        || overloaded.is_some()
        || parted.is_some()
        || !code.is_empty()
        || reached.touched.iter().any(|touched| writes(&touched));
    let written = || reached.touched.iter().filter(may_matter).filter_map(|touched| touched.relation.as_ref());
    let unwritten = Unwritten::new(&reached.touched, statement, names, known, session);
    if !may_be_more && !hides && !unwritten.any {
        return;
    }
    // A name that is not known may be that of a temporary relation.
    let temporary = |name: &&Name| name.schema.as_deref().is_none_or(|schema| schema == TEMPORARY);
    let hangs = |name: &&Name| temporary(name) || names.has_temporary_kin(&name.name);
    let attached = names.attached_to_temporary().then(|| written().find(hangs)).flatten();
    let moving = known.and_then(|known| {
        let relation = written().map(|name| &*name.name).find(|name| known.is_in_motion(name));
        // What is hung on a table hangs on its partitions and on what inherits from it.
        let hung = || {
            let touched = reached.touched.iter().filter(may_matter).filter_map(|touched| touched.oid);
            touched.flat_map(|oid| known.ancestors(oid)).find(|name| known.is_in_motion(name))
        };
        // Where rights are changing, code of another schema may be meant.
        let moves = |name: &&str| known.may_change_paths() || session.is_in_motion(name);
        relation
            .or_else(hung)
            .or_else(|| code.iter().map(|name| &**name).find(moves))
            .or(overloaded.map(|(_, name)| &**name))
            .or(fires.then_some("event triggers"))
            .or(unwritten.moving)
    });
    let attached = attached.or(unwritten.temporary);
    let via = unwritten.via.filter(|_| !may_be_more);
    // What is not known of everything is not known of what is read.
    let nothing_known = match known {
        None => names.misses_catalog(),
        Some(known) => known.missing().is_some() || session.is_ahead(),
    };
    let may_be_more =
        may_be_more || unwritten.moving.is_some() || unwritten.temporary.is_some() || unwritten.any && nothing_known;
    let reason = match known {
        None if names.misses_catalog() => "the database's catalog is not known".to_owned(),
        // Of proxies that do not read catalogs, nothing behind names is told.
        None => return,
        Some(known) if known.missing().is_some() => {
            format!("the catalog does not hold everything: {}", known.missing().unwrap_or_default())
        }
        Some(_) if session.is_ahead() => "the session may have changed what hangs on it".to_owned(),
        Some(_) => match (moving, attached) {
            (Some(name), _) => format!("what hangs on {name} was being changed"),
            (None, Some(name)) => format!("what hangs on {name} is not in the catalog"),
            (None, None) if changed.is_some() => changed.unwrap_or_default(),
            (None, None) if (hides || !code.is_empty()) && session.may_have_dropped() => {
                "it may just have been dropped".to_owned()
            }
            (None, None) => return,
        },
    };
    // A rule may put something else in the place of a write; COPY knows no rules.
    let may_be_ruled = session.is_ahead() || known.is_some_and(|known| moving.is_some() && known.is_in_motion("rule"));
    let of_code = |name: &str| code.contains(name) || overloaded.is_some_and(|(_, other)| other == name);
    let via = match moving {
        Some(name) if of_code(name) => Via::Function,
        None if replaced.is_some() => Via::Function,
        None if parted.is_some() => Via::Partition,
        _ => via.unwrap_or(Via::Trigger),
    };
    if may_be_ruled {
        let is_direct = |touched: &&mut Touched| touched.via == Via::Direct && touched.operation != Operation::CopyIn;
        for touched in reached.touched.iter_mut().filter(is_direct) {
            if command::writes_rows(touched.operation) && !is_bare(touched) && touched.reason.is_none() {
                (touched.certain, touched.if_rows, touched.reason) = (false, false, Some(reason.clone().into()));
            }
        }
    }
    let behind = reached.touched.iter_mut().filter(|touched| touched.via != Via::Direct);
    for touched in behind.filter(|touched| touched.reason.is_none() || touched.if_rows) {
        (touched.certain, touched.if_rows, touched.reason) = (false, false, Some(reason.clone().into()));
    }
    if !may_be_more {
        return;
    }
    reached.touched.push(Touched {
        relation: None,
        oid: None,
        operation: Operation::Opaque,
        via,
        certain: false,
        if_rows: false,
        reason: Some(reason.into()),
        counted: false,
        columns: Vec::new(),
    });
}

fn told(touched: Touched) -> Told {
    Told {
        relation: touched.relation.as_ref().map_or_else(|| UNKNOWN_RELATION.into(), |name| shown(name).into()),
        operation: touched.operation,
        via: touched.via,
        reason: touched.reason.map(|reason| Arc::from(&*reason)),
        if_rows: touched.if_rows,
        counted: touched.counted,
        columns: touched.columns.iter().map(|column| Arc::from(column.as_str())).collect(),
    }
}
