//! What the names mean that a statement is about to change.

use hansard_policy::catalog::TEMPORARY;
use hansard_policy::reach::{Resolved, reads_temporary};
use hansard_policy::{Name, NameChange, Statement};

use super::InSession;

/// Where the names of a statement's changes are, each in its place.
#[derive(Debug, Default)]
pub(crate) struct Meanings(Vec<Option<Meaning>>);

/// Where a name is.
#[derive(Debug)]
pub(super) enum Meaning {
    In(String),
    Nowhere,
}

impl Meanings {
    pub(super) fn of(&self, place: usize) -> Option<&Meaning> {
        self.0.get(place)?.as_ref()
    }

    /// Of a statement that is about to take effect.
    pub(crate) fn new(statement: &Statement, session: &InSession<'_>) -> Meanings {
        let place = |name: &Name| match hansard_policy::reach::Resolve::relation(session, name) {
            Resolved::Known { name, .. } => name.schema.map(Meaning::In),
            Resolved::OneOf { candidates, .. } if candidates.is_empty() && session.is_known() => Some(Meaning::Nowhere),
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
        Meanings(meanings.collect())
    }
}
