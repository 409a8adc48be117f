//! What the names mean that a statement is about to change.

use hansard_policy::catalog::TEMPORARY;
use hansard_policy::reach::{Resolved, reads_temporary};
use hansard_policy::{Name, NameChange, Statement};

use super::InSession;

/// Where the names of a statement's changes are, each in its place.
#[derive(Debug, Default)]
pub(crate) struct Meanings {
    changes: Vec<Option<Meaning>>,
    /// The schema of the function that it makes.
    routine: Option<String>,
    /// The schema of the type or operator that it makes.
    definition: Option<String>,
    /// The catalog, by when it was begun to be read, where nothing hangs on a table whose definition hangs nothing on it.
    pub(super) bare: Option<i64>,
    /// What it drops may have partitions, which go with it.
    pub(super) drops_partitions: bool,
}

/// Where a name is.
#[derive(Debug)]
pub(super) enum Meaning {
    In(String),
    Nowhere,
}

impl Meanings {
    pub(super) fn of(&self, place: usize) -> Option<&Meaning> {
        self.changes.get(place)?.as_ref()
    }

    pub(super) fn routine(&self) -> Option<&str> {
        self.routine.as_deref()
    }

    pub(super) fn definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    /// Of a statement that is about to take effect.
    pub(crate) fn new(statement: &Statement, session: &InSession<'_>) -> Meanings {
        let place = |name: &Name| match hansard_policy::reach::Resolve::relation(session, name) {
            Resolved::Known { name, .. } => name.schema.map(Meaning::In),
            Resolved::OneOf { candidates, .. } if candidates.is_empty() && session.is_known(&name.name) => {
                Some(Meaning::Nowhere)
            }
            Resolved::OneOf { .. } => None,
        };
        let meanings = statement.names.iter().map(|change| match change {
            NameChange::Create { name: Name { schema: Some(schema), .. }, .. } => Some(Meaning::In(schema.clone())),
            NameChange::Create { view, .. } => {
                let made = || hansard_policy::reach::Resolve::creation(session).map(|schema| schema.to_string());
                match if *view { reads_temporary(statement, session) } else { Some(false) } {
                    Some(true) => Some(TEMPORARY.to_owned()),
                    Some(false) => made(),
                    None => None,
                }
                .map(Meaning::In)
            }
            NameChange::Drop { name, .. }
            | NameChange::Rename { from: name, .. }
            | NameChange::Move { name, .. }
            | NameChange::Attached(name) => place(name),
            _ => None,
        });
        let routine = statement.routine.as_ref().and_then(|(name, _)| {
            name.schema.clone().or_else(|| Some(hansard_policy::reach::Resolve::creation(session)?.to_string()))
        });
        let temporary = |change: &NameChange| matches!(change, NameChange::Create { temporary: true, .. });
        let definition = statement.definition.as_ref().and_then(|definition| match &definition.name.schema {
            _ if statement.names.iter().any(temporary) => Some(TEMPORARY.to_owned()),
            Some(schema) => Some(schema.clone()),
            None => Some(hansard_policy::reach::Resolve::creation(session)?.to_string()),
        });
        let makes_bare = |change: &NameChange| matches!(change, NameChange::Create { bare: true, .. });
        let bare = if statement.names.iter().any(makes_bare) { session.plain_values() } else { None };
        let drops = |change: &NameChange| match change {
            NameChange::Drop { name, .. } => session.may_have_partitions(name),
            _ => false,
        };
        let drops_partitions = statement.names.iter().any(drops);
        Meanings { changes: meanings.collect(), routine, definition, bare, drops_partitions }
    }
}
