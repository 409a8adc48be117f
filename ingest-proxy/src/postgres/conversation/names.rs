//! Which requests may change what names mean, and what has to be told before they are passed on.
//!
//! Texts are looked at when they are sent, and told of when they are run: a prepared statement has its names with it. A
//! request that the server may have skipped leaves in place what was there before it, until all that was asked has been
//! answered without an error. More is told than is changed, never less; a session that prepares no such statement pays for
//! a look at each text, and for nothing else.

use std::collections::HashMap;

use hansard_policy::{ChangedNames, LongText, changed_names};
use hansard_schemas::events::event;

use super::copies::NAME;
use super::name;
use crate::postgres::catalog::changes::SessionChanges;

/// Prepared statements that are kept by name; of those behind them all names count for every statement.
const MOST_STATEMENTS: usize = 64;

/// SQLSTATEs by which the database says that a name is not known to it: a table, a column, a schema, a function, an object.
const UNKNOWN_NAMES: [&[u8; 5]; 5] = [b"42P01", b"42703", b"3F000", b"42883", b"42704"];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    session: Option<SessionChanges>,
    statements: HashMap<Box<[u8]>, ChangedNames>,
    /// Of statements that found no place.
    others: ChangedNames,
    /// Of the statement without a name.
    unnamed: ChangedNames,
    /// Of the one that was sent last, where it is not known whether it took the other's place.
    next_unnamed: Option<ChangedNames>,
    /// Closed, as far as is known.
    closed: Vec<Box<[u8]>>,
    /// Of all portals that were opened since nothing was open.
    portals: ChangedNames,
    /// The server has answered with an error since then.
    failed: bool,
    /// The text that comes in pieces.
    long: LongText,
    /// It may change any name.
    long_changes: bool,
}

impl Names {
    pub(super) fn new(session: Option<SessionChanges>) -> Names {
        Names { session, ..Names::default() }
    }

    /// A message of the job, which the server does not skip, is about to be passed: what has to be told before.
    /// `idle`: all that was asked before has been answered.
    #[inline]
    pub(super) fn before(&mut self, tag: u8, body: &[u8], idle: bool) -> Option<event::Kind> {
        match tag {
            b'Q' => {
                let names = changed_names(body)?;
                self.tell(&names)
            }
            b'P' => {
                let (statement, text) = name(body)?;
                let names = changed_names(text);
                if names.is_some() || self.keeps_any() {
                    self.prepare(statement, names.unwrap_or_default(), idle);
                }
                None
            }
            b'B' if self.keeps_any() => {
                let statement = name(body).and_then(|(_, rest)| name(rest)).map(|(statement, _)| statement);
                self.bind(statement);
                None
            }
            b'E' if !self.portals.is_empty() => {
                let names = self.portals.clone();
                self.tell(&names)
            }
            b'C' if !self.statements.is_empty() => {
                if let Some((b'S', statement)) = body.split_first() {
                    let statement = name(statement).map_or(statement, |(statement, _)| statement);
                    self.close(statement, idle);
                }
                None
            }
            _ => None,
        }
    }

    /// A long message of the job begins, or goes on.
    pub(super) fn before_piece(&mut self, tag: u8, piece: &[u8], first: bool) -> Option<event::Kind> {
        if first {
            (self.long, self.long_changes) = (LongText::default(), false);
        }
        match tag {
            b'Q' | b'P' => {
                // Of a Parse, the statement's name comes first.
                let text = if first && tag == b'P' { name(piece).map_or(piece, |(_, text)| text) } else { piece };
                self.long_changes = self.long_changes || self.long.piece(text);
                if !self.long_changes {
                    return None;
                }
                if tag == b'P' {
                    self.others = ChangedNames::all();
                }
                self.tell(&ChangedNames::all())
            }
            // Which statement it is for is not looked for.
            b'B' if self.keeps_any() => {
                self.bind(None);
                None
            }
            b'E' if !self.portals.is_empty() => self.tell(&ChangedNames::all()),
            _ => None,
        }
    }

    /// The server has answered with an error.
    pub(super) fn failed(&mut self, body: &[u8]) {
        self.failed = true;
        let code = body.split(|&byte| byte == 0).find_map(|field| field.strip_prefix(b"C"));
        if let (Some(session), Some(code)) = (&self.session, code)
            && UNKNOWN_NAMES.iter().any(|unknown| unknown[..] == *code)
        {
            session.doubt();
        }
    }

    /// All that was asked has been answered; `ended`: no transaction is open.
    #[inline]
    pub(super) fn idle(&mut self, ended: bool) {
        if let Some(next) = self.next_unnamed.take() {
            if self.failed {
                self.unnamed.add(&next);
            } else {
                self.unnamed = next;
            }
        }
        for statement in self.closed.drain(..) {
            if !self.failed {
                self.statements.remove(&statement);
            }
        }
        self.failed = false;
        if ended {
            if !self.portals.is_empty() {
                self.portals = ChangedNames::default();
            }
            if let Some(session) = &mut self.session {
                session.ended();
            }
        }
    }

    #[inline]
    fn keeps_any(&self) -> bool {
        !self.statements.is_empty()
            || !self.unnamed.is_empty()
            || !self.others.is_empty()
            || self.next_unnamed.is_some()
    }

    fn tell(&mut self, names: &ChangedNames) -> Option<event::Kind> {
        self.session.as_mut()?.announce(names)
    }

    fn prepare(&mut self, statement: &[u8], names: ChangedNames, idle: bool) {
        if statement.is_empty() {
            match idle {
                true => (self.unnamed, self.next_unnamed) = (names, None),
                false => match &mut self.next_unnamed {
                    Some(next) => {
                        // The one before it may be bound still.
                        self.unnamed.add(next);
                        *next = names;
                    }
                    None => self.next_unnamed = Some(names),
                },
            }
            return;
        }
        let statement = &statement[..statement.len().min(NAME)];
        if names.is_empty() {
            if idle {
                self.statements.remove(statement);
            }
        } else if let Some(known) = self.statements.get_mut(statement) {
            known.add(&names);
            self.closed.retain(|closed| &closed[..] != statement);
        } else if self.statements.len() >= MOST_STATEMENTS || !statement.is_ascii() {
            // A name of other letters may be converted before it is cut.
            self.others.add(&names);
        } else {
            self.statements.insert(statement.into(), names);
        }
    }

    /// `None`: it is not known which one.
    fn bind(&mut self, statement: Option<&[u8]>) {
        self.portals.add(&self.others);
        match statement {
            Some([]) => {
                // Where the last one has been carried out, it is in the former one's place; else that is still there.
                self.portals.add(&self.unnamed);
                if let Some(next) = &self.next_unnamed {
                    self.portals.add(next);
                }
            }
            Some(statement) => {
                if let Some(names) = self.statements.get(&statement[..statement.len().min(NAME)]) {
                    self.portals.add(names);
                }
            }
            None => self.portals = ChangedNames::all(),
        }
    }

    fn close(&mut self, statement: &[u8], idle: bool) {
        let statement = &statement[..statement.len().min(NAME)];
        if !self.statements.contains_key(statement) {
        } else if idle {
            self.statements.remove(statement);
        } else if self.closed.len() < MOST_STATEMENTS {
            self.closed.push(statement.into());
        }
    }
}

#[cfg(test)]
mod tests;
