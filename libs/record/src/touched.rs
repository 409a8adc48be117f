//! What a statement touches and changes, by the text that it shares with all that run it.

use std::sync::Arc;

use hansard_policy::{Effect, Name, Operation, Relation, Statement};

/// A relation that a statement touches. A text is shared by all that run it, and not copied for each: it may name very many
/// columns.
pub(super) struct Touched {
    pub(super) of: Arc<Statement>,
    /// Among the statement's relations; `None` for what its first words say.
    pub(super) place: Option<usize>,
    pub(super) counted: bool,
}

impl Touched {
    pub(super) fn all(of: &Arc<Statement>) -> Vec<Touched> {
        let touched = |(place, relation): (usize, &Relation)| Touched {
            of: of.clone(),
            place: Some(place),
            counted: relation.counted,
        };
        of.relations.iter().enumerate().map(touched).collect()
    }

    /// Name, operation and columns.
    pub(super) fn told(&self) -> Option<(&Name, Operation, &[String])> {
        match self.place {
            Some(place) => {
                let relation = self.of.relations.get(place)?;
                Some((&relation.name, relation.operation, &relation.columns))
            }
            None => self.of.head.as_ref().map(|(operation, name)| (name, *operation, &[][..])),
        }
    }
}

/// What a statement changes in the session.
pub(super) fn effect(of: Option<&Arc<Statement>>) -> &Effect {
    of.map_or(&Effect::None, |statement| &statement.effect)
}
