//! Analyses of statement texts, kept for the texts that come again, also with other constants.
//!
//! Invariant: bounded in entries and in bytes; what is not kept is analysed again, to the same end.

use std::collections::HashMap;
use std::sync::Arc;

use hansard_pg_wire::conversation::{Analyser, Note, Reading, Text};
use hansard_policy::{Analysis, Dialect, Effect, Operation, Statement};
use hashlink::LruCache;

/// Most texts that are kept, of each way to read them.
const MAX_TEXTS: usize = 4096;

/// Most bytes that are kept, of texts and of what they say.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that a statement is counted with beside its text.
const STATEMENT: usize = 700;

/// Most shapes that are kept, of each dialect.
const MAX_SHAPES: usize = 512;

/// Longest text whose shape is kept, in bytes.
const MAX_SHAPE: usize = 2 * 1024;

/// A text and what it says.
#[derive(Debug, Clone)]
pub struct SqlText(Arc<Read>);

#[derive(Debug)]
struct Read {
    sql: Arc<str>,
    reading: Reading,
    statements: Vec<Analysed>,
    /// How many statements there are is known.
    counted: bool,
}

/// A statement of an analysed text.
#[derive(Debug)]
pub(super) struct Analysed {
    /// Its part of the text.
    pub(super) sql: Arc<str>,
    pub(super) meaning: Arc<Meaning>,
}

/// What a statement means, whatever its constants are.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) fingerprint: Option<Arc<str>>,
    pub(super) statement: Statement,
    /// What it prepares, where it is PREPARE.
    pub(super) prepares: Option<Statement>,
    /// Which rows it is about is in the text, and not here.
    pub(super) rows_forgotten: bool,
    notes: Vec<Note>,
    prepared_notes: Vec<Note>,
}

impl Meaning {
    /// The statement itself, or what it prepares.
    pub(super) fn of(&self, prepared_in_sql: bool) -> &Statement {
        match &self.prepares {
            Some(inner) if prepared_in_sql => inner,
            _ => &self.statement,
        }
    }
}

impl SqlText {
    pub(super) fn sql(&self) -> &Arc<str> {
        &self.0.sql
    }

    pub(super) fn reading(&self) -> Reading {
        self.0.reading
    }

    /// The statement with all that its text tells, where [`Meaning::rows_forgotten`].
    pub(super) fn in_full(&self) -> Option<Statement> {
        let dialect = Dialect { standard_conforming_strings: self.0.reading.standard_conforming_strings? };
        hansard_policy::analyse_as(&self.0.sql, dialect).statements.into_iter().next()
    }

    /// The character of a statement's part, from 1, that is this one of the whole text; `None` where it is not in that part.
    pub(super) fn place(&self, part: u32, position: u64) -> Option<u64> {
        let [_, _, ..] = &self.0.statements[..] else { return Some(position) };
        let range = &self.statement(part).meaning.statement.range;
        let before = self.0.sql.get(..range.start)?.chars().count() as u64;
        let length = self.0.sql.get(range.clone())?.chars().count() as u64;
        // An error at the end of a statement points behind it.
        position.checked_sub(before).filter(|place| (1..=length + 1).contains(place))
    }

    /// Equal for clones of one text only, for as long as one of them is held.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// About how many bytes it takes.
    fn cost(&self) -> usize {
        let statements = &self.0.statements;
        // Each of several statements has a copy of its part.
        let copies = if statements.len() > 1 { 2 } else { 1 };
        self.0.sql.len() * copies + statements.len() * STATEMENT
    }

    /// The statement in that place; the first one where there is none.
    pub(super) fn statement(&self, part: u32) -> &Analysed {
        self.0.statements.get(part as usize).unwrap_or(&self.0.statements[0])
    }
}

impl PartialEq for SqlText {
    fn eq(&self, other: &SqlText) -> bool {
        (&self.0.sql, self.0.reading) == (&other.0.sql, other.0.reading)
    }
}

impl Eq for SqlText {}

impl std::hash::Hash for SqlText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.0.sql, self.0.reading).hash(state);
    }
}

impl Text for SqlText {
    fn statements(&self) -> Option<u32> {
        self.0.counted.then(|| u32::try_from(self.0.statements.len()).unwrap_or(u32::MAX))
    }

    fn understood(&self, part: u32, prepared: bool) -> bool {
        let meaning = &self.statement(part).meaning;
        let statement = if prepared { meaning.prepares.as_ref() } else { Some(&meaning.statement) };
        statement.is_some_and(|statement| statement.operation != Operation::Opaque)
    }

    fn notes(&self, part: u32, prepared: bool) -> &[Note] {
        let meaning = &self.statement(part).meaning;
        if prepared { &meaning.prepared_notes } else { &meaning.notes }
    }

    fn bytes(&self) -> usize {
        self.0.sql.len()
    }
}

/// Statements of texts, by text and by how the session reads it.
#[derive(Debug, Default)]
pub struct Analyses {
    kept: HashMap<Reading, LruCache<Arc<str>, SqlText>>,
    bytes: usize,
    /// Of texts that are one statement, by shape.
    shapes: HashMap<Dialect, LruCache<String, Arc<Meaning>>>,
}

impl Analyser for Analyses {
    type Text = SqlText;

    fn read(&mut self, text: &str, reading: Reading) -> SqlText {
        if let Some(kept) = self.kept.get_mut(&reading).and_then(|kept| kept.get(text)) {
            return kept.clone();
        }
        let sql: Arc<str> = text.into();
        let shape = shape(text, reading);
        if let Some((dialect, shape)) = &shape
            && let Some(meaning) = self.shapes.get_mut(dialect).and_then(|shapes| shapes.get(shape))
        {
            let statements = vec![Analysed { sql: sql.clone(), meaning: meaning.clone() }];
            // Not kept: its shape is.
            return SqlText(Arc::new(Read { sql, reading, statements, counted: true }));
        }
        let mut read = analyse(sql.clone(), reading);
        if let (Some((dialect, shape)), [Analysed { meaning, .. }]) = (shape, &mut read.statements[..])
            && meaning.statement.opaque.is_none()
            && !meaning.statement.depends_on_constants()
        {
            if let Some(meaning) = Arc::get_mut(meaning) {
                meaning.rows_forgotten = meaning.statement.forget_rows();
            }
            let shapes = self.shapes.entry(dialect).or_insert_with(|| LruCache::new(MAX_SHAPES));
            shapes.insert(shape, meaning.clone());
            return SqlText(Arc::new(read));
        }
        let read = SqlText(Arc::new(read));
        if read.cost() <= MAX_BYTES / 2 {
            self.keep(sql, read.clone());
        }
        read
    }
}

impl Analyses {
    fn keep(&mut self, sql: Arc<str>, read: SqlText) {
        self.bytes += read.cost();
        let kept = self.kept.entry(read.reading()).or_insert_with(|| LruCache::new(MAX_TEXTS + 1));
        kept.insert(sql, read);
        if kept.len() > MAX_TEXTS
            && let Some((_, oldest)) = kept.remove_lru()
        {
            self.bytes -= oldest.cost();
        }
        while self.bytes > MAX_BYTES {
            // Of the way to read that has the most of them.
            let fullest = self.kept.values_mut().max_by_key(|kept| kept.len());
            match fullest.and_then(LruCache::remove_lru) {
                Some((_, oldest)) => self.bytes -= oldest.cost(),
                None => return,
            }
        }
    }
}

/// The text's shape, where how it reads is known.
fn shape(sql: &str, reading: Reading) -> Option<(Dialect, String)> {
    let Reading { readable, whole, standard_conforming_strings } = reading;
    let plain = readable && whole && sql.len() <= MAX_SHAPE;
    let dialect = Dialect { standard_conforming_strings: standard_conforming_strings.filter(|_| plain)? };
    Some((dialect, hansard_policy::shape(sql, dialect)?))
}

fn analyse(sql: Arc<str>, reading: Reading) -> Read {
    let as_if = |standard_conforming_strings| hansard_policy::analyse_as(&sql, Dialect { standard_conforming_strings });
    let analysis = if !reading.readable {
        opaque(&sql, "it is not readable in the client's encoding")
    } else if !reading.whole {
        opaque(&sql, "more of it was sent than is kept")
    } else {
        match reading.standard_conforming_strings {
            Some(known) => as_if(known),
            None if !sql.contains('\\') => as_if(true),
            None => {
                let (on, off) = (as_if(true), as_if(false));
                if on == off { on } else { opaque(&sql, "how it reads depends on a setting that is not known") }
            }
        }
    };
    let counted = !analysis.is_opaque();
    let mut statements = analysis.statements;
    if statements.is_empty() {
        statements.push(Statement::new(Operation::Empty, 0..sql.len()));
    }
    let alone = statements.len() == 1;
    let analysed = statements.into_iter().map(|statement| {
        // A text that is one statement stays as the job sent it.
        let sql = if alone { sql.clone() } else { sql[statement.range.clone()].into() };
        let prepares = match &statement.effect {
            Effect::Prepare { statement, .. } => Some((**statement).clone()),
            _ => None,
        };
        let meaning = Meaning {
            rows_forgotten: false,
            fingerprint: statement.fingerprint.as_deref().map(Arc::from),
            notes: notes(&statement),
            prepared_notes: prepares.as_ref().map(notes).unwrap_or_default(),
            prepares,
            statement,
        };
        Analysed { sql, meaning: Arc::new(meaning) }
    });
    Read { statements: analysed.collect(), counted, sql, reading }
}

fn opaque(sql: &str, reason: &str) -> Analysis {
    Analysis {
        statements: vec![Statement {
            opaque: Some(reason.to_owned()),
            may_change_settings: true,
            may_end_transaction: true,
            ..Statement::new(Operation::Opaque, 0..sql.len())
        }],
    }
}

fn notes(statement: &Statement) -> Vec<Note> {
    let mut notes = Vec::new();
    match &statement.effect {
        Effect::Commit { chain } => notes.push(Note::Commit { chain: *chain }),
        Effect::Rollback { chain } => notes.push(Note::Rollback { chain: *chain }),
        Effect::Savepoint(name) => notes.push(Note::Savepoint(name.clone())),
        Effect::Release(name) => notes.push(Note::Release(name.clone())),
        Effect::RollbackTo(name) => notes.push(Note::RollbackTo(name.clone())),
        Effect::PrepareTransaction(gid) => notes.push(Note::PrepareTransaction(gid.clone())),
        Effect::CommitPrepared(gid) => notes.push(Note::CommitPrepared(gid.clone())),
        Effect::RollbackPrepared(gid) => notes.push(Note::RollbackPrepared(gid.clone())),
        Effect::Prepare { name, .. } => notes.push(Note::Prepare(name.clone())),
        Effect::Execute(name) => notes.push(Note::Execute(name.clone())),
        Effect::Deallocate(name) => notes.push(Note::Deallocate(name.clone())),
        Effect::Discard { all: true, .. } => notes.push(Note::DiscardAll),
        Effect::Declare(name) => notes.push(Note::Declare(name.clone())),
        Effect::Fetch(name) => notes.push(Note::Fetch(name.clone())),
        Effect::CloseCursor(name) => notes.push(Note::CloseCursor(name.clone())),
        Effect::Setting { name, value, .. } => {
            notes.push(Note::Setting { name: name.clone(), value: value.clone() });
        }
        Effect::ResetAll => notes.push(Note::Setting { name: "all".to_owned(), value: None }),
        _ => {}
    }
    notes.extend(
        statement.settings.iter().map(|set| Note::Setting { name: set.name.clone(), value: set.value.clone() }),
    );
    if statement.may_change_settings {
        notes.push(Note::MayChangeSettings);
    }
    if matches!(statement.operation, Operation::Do | Operation::Call) {
        notes.push(Note::RunsCode);
    }
    if statement.relations.iter().any(|relation| relation.name.schema.as_deref() != Some("pg_catalog")) {
        notes.push(Note::TouchesRelations);
    }
    if statement.may_end_transaction {
        notes.push(match statement.operation {
            Operation::Do | Operation::Call | Operation::Opaque => Note::MayEndTransaction,
            _ => Note::CommitsByItself,
        });
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_short_statements_say_is_counted() {
        let mut analyses = Analyses::default();
        let reading = Reading { readable: true, whole: true, standard_conforming_strings: Some(true) };
        for text in 0..20 {
            let sql = format!("{}{}", "x;".repeat(5000), " ".repeat(text));
            assert_eq!(analyses.read(&sql, reading).statements(), Some(5000));
        }
        let kept: usize = analyses.kept.values().map(LruCache::len).sum();
        assert_eq!(kept, MAX_BYTES / (5000 * STATEMENT));
        let costs = analyses.kept.values().flat_map(LruCache::iter).map(|(_, text)| text.cost());
        assert_eq!(analyses.bytes, costs.sum::<usize>());
    }
}
