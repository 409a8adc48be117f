//! Analyses of statement texts, kept for the texts that come again.
//!
//! Invariant: bounded in entries and in bytes of text; what is not kept is analysed again, to the same end.

use std::sync::Arc;

use hansard_pg_wire::tracker::{Analyser, Control, Outline};
use hansard_policy::{Analysis, Dialect, Effect, Operation, Statement};
use hashlink::LruCache;

/// Most texts that are kept.
const MAX_TEXTS: usize = 4096;

/// Most bytes of text that are kept.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A statement of an analysed text.
#[derive(Debug, Clone)]
pub(super) struct Analysed {
    /// Its part of the text.
    pub(super) text: Arc<str>,
    pub(super) fingerprint: Option<Arc<str>>,
    pub(super) statement: Arc<Statement>,
}

/// Statements of texts, by text and by how the session reads it.
#[derive(Debug)]
pub struct Analyses {
    dialect: Reading,
    kept: LruCache<(Arc<str>, Reading), Arc<[Analysed]>>,
    bytes: usize,
}

/// How a session's texts read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    pub(super) standard_conforming_strings: bool,
    /// The client's encoding has bytes of ASCII inside other characters: a text beyond ASCII reads as nothing known.
    pub(super) ascii_only: bool,
}

impl Default for Analyses {
    fn default() -> Self {
        let dialect = Reading { standard_conforming_strings: true, ascii_only: false };
        Analyses { dialect, kept: LruCache::new(MAX_TEXTS), bytes: 0 }
    }
}

impl Analyses {
    /// The texts to come are of a session that reads them so.
    pub(super) fn read_as(&mut self, dialect: Reading) {
        self.dialect = dialect;
    }

    /// The text's statements: at least one.
    pub(super) fn of(&mut self, text: &Arc<str>) -> Arc<[Analysed]> {
        let key = (text.clone(), self.dialect);
        if let Some(kept) = self.kept.get(&key) {
            return kept.clone();
        }
        let analysis = if self.dialect.ascii_only && !text.is_ascii() {
            opaque(text, "not readable in the client's encoding")
        } else {
            let standard_conforming_strings = self.dialect.standard_conforming_strings;
            hansard_policy::analyse_as(text, Dialect { standard_conforming_strings })
        };
        let mut statements = analysis.statements;
        if statements.is_empty() {
            statements.push(Statement { operation: Operation::Empty, opaque: None, ..bare(text) });
        }
        let alone = statements.len() == 1;
        let analysed: Arc<[Analysed]> = statements
            .into_iter()
            .map(|statement| Analysed {
                // A text that is one statement stays as the job sent it.
                text: if alone { text.clone() } else { text[statement.range.clone()].into() },
                fingerprint: statement.fingerprint.as_deref().map(Arc::from),
                statement: Arc::new(statement),
            })
            .collect();
        if text.len() <= MAX_BYTES / 4 {
            self.bytes += text.len();
            if self.kept.len() == MAX_TEXTS {
                self.drop_oldest();
            }
            self.kept.insert(key, analysed.clone());
            while self.bytes > MAX_BYTES {
                self.drop_oldest();
            }
        }
        analysed
    }

    fn drop_oldest(&mut self) {
        if let Some(((text, _), _)) = self.kept.remove_lru() {
            self.bytes -= text.len();
        }
    }
}

fn bare(text: &str) -> Statement {
    opaque(text, "not analysed").statements.remove(0)
}

fn opaque(text: &str, reason: &str) -> Analysis {
    Analysis {
        statements: vec![Statement {
            opaque: Some(reason.to_owned()),
            ..Statement::new(Operation::Opaque, 0..text.len())
        }],
    }
}

impl Analyser for Analyses {
    fn outline(&mut self, text: &Arc<str>) -> Option<Outline> {
        let analysed = self.of(text);
        if let [only] = &analysed[..]
            && only.statement.operation == Operation::Opaque
        {
            return None;
        }
        let control = |effect: &Effect| {
            Some(match effect {
                Effect::Commit { chain } => Control::Commit { chain: *chain },
                Effect::Rollback { chain } => Control::Rollback { chain: *chain },
                Effect::Savepoint(name) => Control::Savepoint(name.clone()),
                Effect::Release(name) => Control::Release(name.clone()),
                Effect::RollbackTo(name) => Control::RollbackTo(name.clone()),
                _ => return None,
            })
        };
        let controls = (0..).zip(analysed.iter());
        Some(Outline {
            statements: u32::try_from(analysed.len()).unwrap_or(u32::MAX),
            controls: controls
                .filter_map(|(place, analysed)| control(&analysed.statement.effect).map(|control| (place, control)))
                .collect(),
        })
    }
}
