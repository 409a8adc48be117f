//! Where a conversation breaks off: it is closed, frames are missing, or answers cannot be attributed.

use std::collections::HashMap;

use super::names::Name;
use super::statement::read;
use super::{
    Analyser, Asked, Body, Conversation, Doubt, Ending, Event, Executed, Lost, Note, Outcome, Request, Started, Text,
};
use crate::exchange::Waiting;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Its end was recorded: every request that reached the server is in the record.
    Recorded,
    /// Its proxy is gone: requests may have reached the server that the record does not hold.
    Lost,
}

impl<T: Text> Conversation<T> {
    /// Frames are missing before the next one: what is under way, and what names and settings mean, is not known. How many
    /// answers are still to come for requests that nobody saw is not known either, and no order of later frames tells it:
    /// a job that is always one request ahead looks like one that waits. So no answer is attributed before
    /// [`Conversation::settled`].
    pub fn gap(&mut self, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        self.partial = [None, None];
        self.ready = true;
        self.lose("frames are missing", analyser, out);
    }

    /// By the frame that was fed last, ReadyForQuery, everything was answered that the job had asked for: the proxy, which
    /// saw all of it, recorded that. Where answers could not be attributed they can be from here on.
    pub fn settled(&mut self, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        if self.lost.is_none() {
            if self.exchange.is_settled() {
                return;
            }
            self.contradictions += 1;
            self.lose("the proxy and the record differ about what was answered", analyser, out);
        }
        let Some(lost) = self.lost.take() else { return };
        self.abandon(Outcome::Unknown(lost.reason), analyser, out);
        self.resume_transaction(lost.status);
    }

    /// What is under way cannot be attributed any more, nor what follows. Whatever names and settings are, it may change
    /// unseen.
    pub(super) fn lose(&mut self, reason: &str, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        self.abandon(Outcome::Unknown(reason.to_owned()), analyser, out);
        self.forget_all_prepared();
        self.cursors.clear();
        self.settings.forget();
        self.lost = Some(Lost { reason: reason.to_owned(), status: None });
    }

    /// The connection is gone.
    pub fn close(&mut self, at: i64, closed: Closed, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        self.at = at;
        let outcome = if closed == Closed::Lost {
            Outcome::Unknown("the end of the session is not in the record".to_owned())
        } else if self.may_commit(analyser) {
            Outcome::Unknown("the connection ended before the answer".to_owned())
        } else {
            Outcome::RolledBack(Some("the connection ended".to_owned()))
        };
        self.abandon(outcome, analyser, out);
    }

    /// Whether something waits that may commit what the session is in.
    fn may_commit(&self, analyser: &mut dyn Analyser<Text = T>) -> bool {
        if self.lost.is_some() {
            return true;
        }
        if self.fatal {
            // The database ended the session: it carries out nothing more, and what it was at has failed.
            return false;
        }
        // Outside of a transaction block, whatever ends with ReadyForQuery commits.
        if !self.is_explicit() && self.exchange.waiting().iter().any(|waiting| waiting.kind.ends_ready()) {
            return true;
        }
        let commits = |executed: &Executed<T>| {
            let (part, prepared) = (executed.part, executed.prepared_in_sql);
            !executed.text.understood(part, prepared)
                || executed.text.notes(part, prepared).iter().any(ends_transaction)
        };
        let waiting: Vec<Waiting<Asked>> = self.exchange.waiting().iter().cloned().collect();
        let begun = usize::from(self.current.is_some());
        let current = self
            .current
            .as_ref()
            .is_some_and(|current| current.ending != Ending::Never || current.does.as_ref().is_some_and(commits));
        // What is left of a text whose first statements were answered.
        let rest = self.text.as_ref().is_some_and(|text| match text.statements() {
            None => true,
            Some(count) => (self.answered..count)
                .any(|part| !text.understood(part, false) || text.notes(part, false).iter().any(ends_transaction)),
        });
        current
            || rest
            || self.clone().ahead(&waiting[begun.min(waiting.len())..], false, analyser).iter().any(|started| {
                match &started.request {
                    Request::Text { own, .. } => commits(own),
                    Request::Again(_) | Request::Function(_) => false,
                    Request::Unforeseen { .. } | Request::Name(_) | Request::Omitted => true,
                }
            })
    }

    /// Ends everything under way, with that outcome of the transaction.
    pub(super) fn abandon(&mut self, outcome: Outcome, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        let begun = usize::from(self.current.is_some() || self.text.is_some());
        if let Some(asked) = self.exchange.front().map(|front| front.request.clone()) {
            self.text_never_answered(&asked, out);
        }
        let waiting: Vec<Waiting<Asked>> = self.exchange.abandon().into();
        self.never_answered(waiting[begun.min(waiting.len())..].to_vec(), analyser, out);
        self.waiting_bytes = 0;
        (self.text, self.answered, self.copied_in) = (None, 0, false);
        self.end_transaction(outcome, out);
    }

    /// The statement under way, and those behind it in its text, get no answer.
    pub(super) fn text_never_answered(&mut self, asked: &Asked, out: &mut Vec<Event<T>>) {
        let rest = self.rest_of_text(asked);
        let current = self.current.take().map(|current| {
            self.end_portions(&current);
            current.statement
        });
        let later = rest.iter().map(|started| started.statement);
        let unanswered: Vec<u64> = current.into_iter().chain(later).collect();
        for started in rest {
            self.statements = started.statement;
            out.push(Event::Started(started));
        }
        for statement in unanswered {
            let transaction = self.transaction_of(statement, out);
            out.push(Event::Unanswered { statement, transaction });
        }
        (self.text, self.answered) = (None, 0);
    }

    /// The statements of a simple query behind the one under way.
    fn rest_of_text(&self, asked: &Asked) -> Vec<Started<T>> {
        let (Some(text), Some(_)) = (&self.text, &self.current) else { return Vec::new() };
        let count = text.statements().unwrap_or(0);
        let parts = (self.answered.saturating_add(1)..count).zip(self.statements + 1..);
        let started = parts.map(|(part, statement)| Started {
            statement,
            at: asked.at,
            first_seq: asked.seq,
            last_seq: asked.last_seq,
            request: self.text_request(Executed::new(text.clone(), part)).0,
            parameters: None,
            truncated: false,
            doubt: None,
        });
        started.collect()
    }

    /// Requests that get no answer.
    pub(super) fn never_answered(
        &mut self,
        waiting: Vec<Waiting<Asked>>,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        for started in self.ahead(&waiting, false, analyser) {
            let statement = started.statement;
            out.push(Event::Started(started));
            let transaction = self.transaction_of(statement, out);
            out.push(Event::Unanswered { statement, transaction });
        }
    }

    /// What has been asked for and not answered, as it stands: for those who look at a session that goes on.
    pub fn in_flight(&self, analyser: &mut dyn Analyser<Text = T>) -> Vec<Started<T>>
    where
        T: Clone,
    {
        let waiting: Vec<Waiting<Asked>> = self.exchange.waiting().iter().cloned().collect();
        let begun = usize::from(self.current.is_some() || self.text.is_some());
        let asked = self.exchange.front().map(|front| &front.request);
        let mut started = asked.map(|asked| self.rest_of_text(asked)).unwrap_or_default();
        let mut later = self.clone();
        later.statements += started.len() as u64;
        started.extend(later.ahead(&waiting[begun.min(waiting.len())..], false, analyser));
        started
    }

    /// The statements of requests that the server has not come to, were everything before them to succeed. With
    /// `attempts`, the first one counts even if nothing executes it.
    pub(super) fn ahead(
        &mut self,
        waiting: &[Waiting<Asked>],
        attempts: bool,
        analyser: &mut dyn Analyser<Text = T>,
    ) -> Vec<Started<T>> {
        let mut parsed: HashMap<Name, (T, bool)> = HashMap::new();
        let mut bound: HashMap<Name, (Name, Option<usize>)> = HashMap::new();
        let mut told = Vec::new();
        for (place, Waiting { request: asked, .. }) in waiting.iter().enumerate() {
            let name = |bytes: &[u8]| Name::new(&self.settings.name(bytes));
            let mut truncated = false;
            let mut parameters = None;
            let requests = match &asked.body {
                Body::Query(raw) => {
                    let text = read(&self.settings, raw, analyser);
                    truncated = raw.cut;
                    match text.statements() {
                        Some(count) => (0..count)
                            .map(|part| {
                                let own = Executed::new(text.clone(), part);
                                Request::Text { own, executes: None, again: false }
                            })
                            .collect(),
                        None => vec![Request::Unforeseen { text, before: 0 }],
                    }
                }
                Body::Parse { name: bytes, text: raw, .. } => {
                    let text = read(&self.settings, raw, analyser);
                    parsed.insert(name(bytes), (text.clone(), raw.cut));
                    if !(attempts && place == 0) || follows(waiting, place) {
                        continue;
                    }
                    truncated = raw.cut;
                    let own = Executed::new(text, 0);
                    vec![Request::Text { own, executes: None, again: false }]
                }
                Body::Bind { portal, statement, parameters: values, .. } => {
                    bound.insert(name(portal), (name(statement), Some(place)));
                    if !(attempts && place == 0) || follows(waiting, place) {
                        continue;
                    }
                    parameters = Some(values.clone());
                    vec![self.by_name(&name(statement), &parsed)]
                }
                Body::Execute { portal, .. } => match bound.get_mut(&name(portal)) {
                    Some((statement, place)) => {
                        // The first one has the values.
                        let place = place.take().unwrap_or(usize::MAX);
                        if let Some(Waiting {
                            request: Asked { body: Body::Bind { parameters: values, .. }, .. },
                            ..
                        }) = waiting.get(place)
                        {
                            parameters = Some(values.clone());
                        }
                        vec![self.by_name(statement, &parsed)]
                    }
                    None => match self.portals.get(&name(portal)) {
                        Some(portal) if portal.statement.is_some() && !portal.finished => continue,
                        Some(portal) => match &portal.text {
                            Some(own) if portal.finished => vec![Request::Again(own.clone())],
                            Some(own) => vec![Request::Text { own: own.clone(), executes: None, again: false }],
                            None => vec![Request::Name(portal.prepared_name.clone())],
                        },
                        None => vec![Request::Name(name(portal).shown())],
                    },
                },
                Body::Function { oid, parameters: values } => {
                    parameters = Some(values.clone());
                    vec![Request::Function(*oid)]
                }
                Body::Omitted { .. } if is_run(waiting[place].kind) => vec![Request::Omitted],
                _ => continue,
            };
            for request in requests {
                self.statements += 1;
                told.push(Started {
                    statement: self.statements,
                    at: asked.at,
                    first_seq: asked.seq,
                    last_seq: asked.last_seq,
                    request,
                    parameters: parameters.clone(),
                    truncated,
                    doubt: (!attempts).then_some(Doubt::SentAhead),
                });
            }
        }
        told
    }

    fn by_name(&self, statement: &Name, parsed: &HashMap<Name, (T, bool)>) -> Request<T> {
        match (parsed.get(statement), self.prepared.get(statement)) {
            (Some((text, _)), _) => Request::Text { own: Executed::new(text.clone(), 0), executes: None, again: false },
            (None, Some(prepared)) => Request::Text { own: prepared.text.clone(), executes: None, again: false },
            (None, None) => Request::Name(statement.shown()),
        }
    }
}

fn is_run(kind: crate::exchange::Kind) -> bool {
    use crate::exchange::Kind;
    matches!(kind, Kind::Query | Kind::Execute | Kind::FunctionCall)
}

/// An Execute or a query comes behind it.
fn follows<R>(waiting: &[Waiting<R>], place: usize) -> bool {
    waiting[place + 1..].iter().any(|later| is_run(later.kind))
}

fn ends_transaction(note: &Note) -> bool {
    // Behind a ROLLBACK, too, the next statement commits by itself.
    matches!(
        note,
        Note::Commit { .. }
            | Note::Rollback { .. }
            | Note::PrepareTransaction(_)
            | Note::MayEndTransaction
            | Note::CommitsByItself
    )
}
