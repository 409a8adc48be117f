//! What names mean at one place of a query: the FROM lists around it.
//!
//! Invariant: a name is looked up in a time that does not depend on how many items stand in the lists.

use std::collections::HashMap;

use pg_query::protobuf::RangeVar;

/// FROM lists around a place, innermost last.
#[derive(Default)]
pub(crate) struct Scopes {
    scopes: Vec<Scope>,
    /// Of all scopes, outermost first.
    items: Vec<Item>,
    /// Places in `items`, innermost last, one for each scope at most.
    by_name: HashMap<String, Vec<usize>>,
}

struct Scope {
    /// Its first item.
    start: usize,
    /// Items that can be seen in the scopes around it, and the only one, where it is one.
    around: usize,
    sole: Option<usize>,
    /// What is walked sees nothing of it.
    hidden: bool,
    /// Items that `*` has been told of.
    starred: usize,
}

/// What stands in a FROM list under a name.
pub(crate) struct Item {
    name: String,
    /// Its place among the relations; none for subqueries, functions and the target of a change.
    pub(crate) relation: Option<usize>,
    scope: usize,
    /// No other of this scope had its name before.
    named: bool,
}

impl Scopes {
    pub(crate) fn open(&mut self) {
        let (around, sole) = self.visible();
        self.scopes.push(Scope { start: self.items.len(), around, sole, hidden: false, starred: self.items.len() });
    }

    pub(crate) fn close(&mut self) {
        if let Some(start) = self.scopes.last().map(|scope| scope.start) {
            self.truncate(start);
            self.scopes.pop();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Adds an item to the innermost scope.
    pub(crate) fn add(&mut self, name: String, relation: Option<usize>) {
        let (scope, place) = (self.scopes.len() - 1, self.items.len());
        let places = self.by_name.entry(name.clone()).or_default();
        let named = places.last().is_none_or(|last| self.items[*last].scope != scope);
        if named {
            places.push(place);
        }
        self.items.push(Item { name, relation, scope, named });
    }

    /// Adds the target of a change: known by name, but what is read of it is not a touch of its own.
    pub(crate) fn add_target(&mut self, range: &RangeVar) {
        self.add(range_name(range), None);
    }

    /// Takes the innermost scope's last items away.
    pub(crate) fn truncate(&mut self, length: usize) {
        for item in self.items.drain(length..).rev() {
            if item.named
                && let Some(places) = self.by_name.get_mut(&item.name)
            {
                places.pop();
            }
        }
    }

    /// Hides the innermost scope, or shows it again.
    pub(crate) fn hide(&mut self, hidden: bool) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.hidden = hidden;
        }
    }

    /// The innermost item of that name that can be seen.
    pub(crate) fn named(&self, name: &str) -> Option<&Item> {
        let places = self.by_name.get(name)?.iter().rev();
        places.map(|place| &self.items[*place]).find(|item| !self.scopes[item.scope].hidden)
    }

    /// The only item that can be seen.
    pub(crate) fn sole(&self) -> Option<&Item> {
        self.visible().1.map(|place| &self.items[place])
    }

    /// Relations of the innermost scope that `*` has not been told of.
    pub(crate) fn star(&mut self) -> Vec<usize> {
        let Some(scope) = self.scopes.last_mut() else { return Vec::new() };
        let first = std::mem::replace(&mut scope.starred, self.items.len()).min(self.items.len());
        self.items[first..].iter().filter_map(|item| item.relation).collect()
    }

    /// How many items can be seen, and the only one, where it is one.
    fn visible(&self) -> (usize, Option<usize>) {
        let Some(scope) = self.scopes.last() else { return (0, None) };
        let own = if scope.hidden { 0 } else { self.items.len() - scope.start };
        let sole = match (scope.around, own) {
            (0, 1) => Some(scope.start),
            (1, 0) => scope.sole,
            _ => None,
        };
        (scope.around + own, sole)
    }
}

pub(crate) fn range_name(range: &RangeVar) -> String {
    range.alias.as_ref().map_or_else(|| range.relname.clone(), |alias| alias.aliasname.clone())
}
