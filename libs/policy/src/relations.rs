//! The relations that a statement touches, while it is walked.

use std::collections::{BTreeSet, HashMap};

use crate::{Name, Operation, Relation, Rows};

/// Most relations that are told of one statement; those that it changes go first.
pub const MAX_RELATIONS: usize = 64;

/// Most columns that are told of one statement: no table has more.
pub const MAX_COLUMNS: usize = 1600;

/// Each relation once per operation, in the order of the text.
#[derive(Default)]
pub(crate) struct Relations {
    places: HashMap<(Name, Operation), usize>,
    touched: Vec<Touched>,
    columns: usize,
}

#[derive(Default)]
struct Touched {
    columns: BTreeSet<String>,
    counted: bool,
    /// It stands somewhere without ONLY.
    whole: bool,
    /// How often it stands in the text.
    times: usize,
    rows: Rows,
}

impl Relations {
    /// Adds a relation; its place.
    pub(crate) fn touch(&mut self, name: Name, operation: Operation, counted: bool) -> usize {
        let place = *self.places.entry((name, operation)).or_insert(self.touched.len());
        if place == self.touched.len() {
            self.touched.push(Touched::default());
        }
        let touched = &mut self.touched[place];
        touched.counted |= counted;
        touched.times += 1;
        touched.rows = Rows::Any;
        place
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.touched.len()
    }

    /// The relation at that place is touched with what inherits from it.
    pub(crate) fn whole(&mut self, place: usize) {
        self.touched[place].whole = true;
    }

    /// The relation at that place is touched in these rows, if it stands nowhere else.
    pub(crate) fn rows(&mut self, place: usize, rows: Rows) {
        if self.touched[place].times == 1 {
            self.touched[place].rows = rows;
        }
    }

    /// Adds a column to the relation at that place.
    pub(crate) fn column(&mut self, place: usize, column: &str) {
        let columns = &mut self.touched[place].columns;
        if !columns.contains(column) {
            if self.columns < MAX_COLUMNS {
                columns.insert(column.to_owned());
            }
            self.columns += 1;
        }
    }

    /// The command tag is about none of them.
    pub(crate) fn uncount(&mut self) {
        self.touched.iter_mut().for_each(|touched| touched.counted = false);
    }

    /// What is told, and why it is not all.
    pub(crate) fn finish(mut self) -> (Vec<Relation>, Option<String>) {
        let mut cut = (self.columns > MAX_COLUMNS).then(|| format!("names more than {MAX_COLUMNS} columns"));
        let mut relations: Vec<_> = self.places.into_iter().collect();
        relations.sort_unstable_by_key(|(_, place)| *place);
        if relations.len() > MAX_RELATIONS {
            cut = Some(format!("touches more than {MAX_RELATIONS} relations"));
            relations.sort_by_key(|((_, operation), _)| reads(*operation));
            relations.truncate(MAX_RELATIONS);
        }
        let relations = relations.into_iter().map(|((name, operation), place)| {
            let touched = std::mem::take(&mut self.touched[place]);
            Relation {
                columns: touched.columns.into_iter().collect(),
                counted: touched.counted,
                only: !touched.whole,
                rows: touched.rows,
                ..Relation::new(name, operation)
            }
        });
        (relations.collect(), cut)
    }
}

/// The relation stays as it is.
pub(crate) fn reads(operation: Operation) -> bool {
    matches!(operation, Operation::Select | Operation::CopyOut | Operation::Explain | Operation::Lock)
}
