//! What the server answers.

use super::message::{self, Failure, Reader};
use super::{
    Analyser, Asked, Body, CommandTag, Conversation, Event, Executed, Finished, MAX_BOUND, MAX_CURSORS, Moment, Name,
    Note, Prepared, Report, Request, Text,
};
use crate::exchange::{Answered, Kind, Waiting, refused_by_copy};

impl<T: Text> Conversation<T> {
    /// `frames` of them, one like the other, where they are rows.
    pub(super) fn answer(
        &mut self,
        tag: u8,
        body: &[u8],
        frames: u64,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        if tag == b'S' {
            let mut reader = Reader(body);
            let (name, value) = (reader.shown(), reader.shown());
            self.settings.tell(&name, &value);
            return out.push(Event::Setting { name, value });
        }
        if tag == b'N' && !body.is_empty() {
            let statement = self.current.as_ref().filter(|_| self.lost.is_none()).map(|current| current.statement);
            out.push(Event::Reported { statement, at: self.at, report: Report::read(body) });
        }
        let failure = (tag == b'E').then(|| message::failure(body));
        self.fatal |= failure.as_ref().is_some_and(|failure| failure.fatal);
        if let Some(lost) = &mut self.lost {
            if tag == b'Z' {
                lost.status = body.first().copied();
                self.settings.settle(lost.status != Some(b'I'));
            }
            return self.report(failure.as_ref(), out);
        }
        if !self.ready {
            self.report(failure.as_ref(), out);
            if tag == b'Z' {
                self.settle(body, out);
            }
            return;
        }
        self.before(tag, out);
        match self.exchange.answer(tag, tag == b'E' && refused_by_copy(body)) {
            Answered::Aside => {}
            Answered::Goes => self.goes_on(tag, body, frames, out),
            Answered::Ends(ended) => self.ended(tag, body, ended, analyser, out),
            Answered::Fails => {
                let failure = failure.unwrap_or_default();
                self.tell_discarded(&failure.of_not_run(), analyser, out);
                self.fails(failure, out);
            }
            Answered::FailsAndSkips(skipped) => {
                let failure = failure.unwrap_or_default();
                self.tell_discarded(&failure.of_not_run(), analyser, out);
                self.fails_and_skips(failure, skipped, analyser, out);
            }
            // Of the session, not of a statement.
            Answered::FailsAlone => self.report(failure.as_ref(), out),
            Answered::Ready { ended, passed } if passed.is_empty() => {
                self.waiting_bytes -= ended.request.bytes;
                self.query_over(&ended, out);
                self.settle(body, out);
            }
            Answered::Ready { ended, mut passed } => {
                passed.push(ended);
                self.passed_over(passed, analyser, out);
                self.settle(body, out);
            }
            Answered::ReadyAgain => self.settle(body, out),
            Answered::Unasked => {
                self.contradictions += 1;
                self.report(failure.as_ref(), out);
                if tag == b'Z' {
                    self.settle(body, out);
                } else {
                    self.lose("the server answered what nobody had asked for", analyser, out);
                }
            }
        }
    }

    /// An error that is no statement's.
    fn report(&self, failure: Option<&Failure>, out: &mut Vec<Event<T>>) {
        out.extend(failure.map(|failure| Event::Reported { statement: None, at: self.at, report: failure.report() }));
    }

    /// Something comes for a simple query none of whose statements is under way.
    fn before(&mut self, tag: u8, out: &mut Vec<Event<T>>) {
        let query = self.exchange.front().is_some_and(|front| front.kind == Kind::Query);
        if query && self.current.is_none() && matches!(tag, b'C' | b'I' | b'T' | b'D' | b'G' | b'H' | b'W' | b'E') {
            if self.text.is_some() {
                // A failure behind the last statement is the commit's, or the session's.
                let all = self.text.as_ref().and_then(Text::statements).is_some();
                if tag != b'E' || !all {
                    self.begin_unforeseen(out);
                }
            } else {
                self.begin_omitted(out);
            }
        }
    }

    fn goes_on(&mut self, tag: u8, body: &[u8], frames: u64, out: &mut Vec<Event<T>>) {
        match tag {
            b'C' | b'I' => self.carried_out(body, true, out),
            b'G' | b'W' => self.copied_in = true,
            b'T' if self.columns => {
                if let Some(current) = &mut self.current {
                    current.columns = message::row_description(body);
                }
            }
            b'D' => {
                if let Some(Waiting {
                    request: Asked { body: Body::Execute { rows, .. } | Body::Omitted { rows }, .. },
                    ..
                }) = self.exchange.front_mut()
                {
                    *rows = rows.saturating_add(frames);
                }
            }
            b't' => {
                if let Some(Waiting { request: Asked { body: Body::DescribeStatement(name), .. }, .. }) =
                    self.exchange.front()
                {
                    let name = super::Name::new(&self.settings.name(name));
                    if let Some(prepared) = self.prepared.get_mut(&name) {
                        prepared.types = message::parameter_types(&mut Reader(body));
                    }
                }
            }
            b'V' => {
                if let Some(current) = self.current.take() {
                    self.answered = 1;
                    let tag = CommandTag { words: "CALL".to_owned(), copied_in: false };
                    self.finish(current.statement, None, None, Some(tag), out);
                    // The protocol's function call never ends a transaction by itself.
                    self.settings.lose();
                }
            }
            _ => {}
        }
    }

    fn ended(
        &mut self,
        tag: u8,
        body: &[u8],
        ended: Waiting<Asked>,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        let asked = ended.request;
        self.waiting_bytes -= asked.bytes;
        match (tag, &asked.body) {
            (_, Body::Parse { .. }) => self.prepare(asked, analyser),
            (_, Body::Bind { .. }) => self.bind(asked, out),
            (_, Body::CloseStatement(name)) => {
                let name = super::Name::new(&self.settings.name(name));
                self.forget_prepared(&name);
            }
            (_, Body::ClosePortal(name)) => {
                let name = super::Name::new(&self.settings.name(name));
                self.end_portal(&name, out);
            }
            (b'T', Body::DescribeStatement(name)) if self.columns => {
                let name = super::Name::new(&self.settings.name(name));
                if let Some(prepared) = self.prepared.get_mut(&name) {
                    prepared.columns = message::row_description(body);
                }
            }
            (b'T', Body::DescribePortal(name)) if self.columns => {
                let name = super::Name::new(&self.settings.name(name));
                if let Some(portal) = self.portals.get_mut(&name) {
                    portal.columns = message::row_description(body);
                }
            }
            (b's', Body::Execute { rows, .. }) => {
                let Some(current) = self.current.take() else { return };
                let (rows, at, seq) = (*rows, self.at, self.seq);
                match current.portal.as_ref().and_then(|name| self.portals.get_mut(name)) {
                    Some(portal) if !portal.finished => {
                        let before = portal.suspended.map_or(0, |(rows, ..)| rows);
                        portal.suspended = Some((before.saturating_add(rows), at, seq));
                        if let Some(name) = current.portal {
                            self.suspended.insert(current.statement, name);
                        }
                        self.transaction_of(current.statement, out);
                    }
                    // Nothing is known of it that a further Execute could go on with.
                    _ => self.finish(current.statement, Some(rows), None, None, out),
                }
            }
            (b'2', Body::Omitted { .. }) => self.bind_omitted(out),
            (b's', Body::Omitted { rows }) => self.suspend_omitted(*rows, out),
            (_, Body::Execute { .. } | Body::Omitted { .. }) => self.carried_out(body, false, out),
            _ => {}
        }
    }

    /// The statement under way was carried out, and this is what the server calls it. `of_query`: it is one of a simple
    /// query, which goes on.
    fn carried_out(&mut self, body: &[u8], of_query: bool, out: &mut Vec<Event<T>>) {
        let Some(current) = self.current.take() else { return };
        if of_query {
            self.answered = self.answered.saturating_add(1);
        }
        let (words, rows) = message::command_tag(body);
        let copied_in = std::mem::take(&mut self.copied_in);
        let mut fetched = None;
        if let Some((statement, rows)) = self.omitted_portals.suspended.take() {
            if statement == current.statement {
                fetched = Some(rows);
            } else {
                self.finish(statement, Some(rows), None, None, out);
            }
        }
        if let Some(portal) = current.portal.as_ref().and_then(|name| self.portals.get_mut(name)) {
            fetched = portal.suspended.take().map(|(rows, ..)| rows);
            portal.finished = true;
            self.suspended.remove(&current.statement);
        }
        let rows = match (rows, fetched) {
            (Some(rows), fetched) => Some(rows.saturating_add(fetched.unwrap_or(0))),
            (None, fetched) => fetched,
        };
        let statement = current.statement;
        self.finish(statement, rows, None, Some(CommandTag { words: words.clone(), copied_in }), out);
        let moment = Moment { statement, at: current.began };
        self.take_effect(moment, &words, current.does.as_ref(), out);
        let last = of_query && self.text.as_ref().and_then(Text::statements) == Some(self.answered);
        if last && !self.is_explicit() {
            // The server commits before it answers the last statement of a simple query.
            self.commit_implicit(out);
        }
    }

    /// What the statement that began then does to names and settings, and to the transaction.
    fn take_effect(&mut self, moment: Moment, words: &str, does: Option<&Executed<T>>, out: &mut Vec<Event<T>>) {
        let Some(does) = does else {
            // Whatever a text did that is not understood, names and settings may mean something else now.
            if matches!(words, "PREPARE" | "DEALLOCATE" | "DEALLOCATE ALL" | "DISCARD ALL" | "EXECUTE") {
                self.forget_all_prepared();
            }
            self.settings.lose();
            return self.transaction_by_tag(moment.statement, words, None, out);
        };
        let text = does.text.clone();
        let notes = text.notes(does.part, does.prepared_in_sql);
        for note in notes {
            match note {
                Note::Prepare(name) => {
                    let name = self.name_in_sql(name);
                    self.uses += 1;
                    let prepared = Prepared {
                        text: Executed { prepared_in_sql: true, prepared: Some(moment), bound: None, ..does.clone() },
                        truncated: false,
                        types: Vec::new(),
                        seq: 0,
                        used: self.uses,
                        since: self.uses,
                        bytes: text.bytes(),
                        columns: Vec::new(),
                    };
                    self.insert_prepared(name, prepared);
                }
                Note::Deallocate(Some(name)) => {
                    let name = self.name_in_sql(name);
                    self.forget_prepared(&name);
                }
                Note::Deallocate(None) => self.forget_all_prepared(),
                Note::DiscardAll => {
                    self.forget_all_prepared();
                    self.end_portals(out);
                    self.settings.lose();
                }
                Note::Declare(cursor) => {
                    let name = self.name_in_sql(cursor);
                    self.declare(name, does.clone());
                }
                Note::RunsCode => self.code_ran = self.uses,
                Note::TouchesRelations => self.settings.lose_strings(),
                Note::Fetch(cursor) => {
                    let name = self.name_in_sql(cursor);
                    if let Some(portal) = self.portals.get_mut(&name) {
                        portal.finished |= portal.statement.is_none();
                    }
                }
                Note::CloseCursor(Some(name)) => {
                    let name = self.name_in_sql(name);
                    self.end_portal(&name, out);
                }
                Note::CloseCursor(None) => self.end_portals(out),
                Note::Setting { name, value } => self.settings.set(name, value.as_deref()),
                // Whatever it executes may have changed them.
                Note::MayChangeSettings | Note::Execute(_) => self.settings.lose(),
                _ => {}
            }
        }
        self.transaction_by_tag(moment.statement, words, Some(notes), out);
    }

    /// DECLARE was carried out.
    fn declare(&mut self, name: Name, declares: Executed<T>) {
        self.cursor_texts += declares.text.bytes();
        let before = self.cursors.insert(name, declares);
        self.cursor_texts -= before.map_or(0, |before| before.text.bytes());
        while self.cursors.len() > MAX_CURSORS || self.cursor_texts > MAX_BOUND {
            let Some((_, dropped)) = self.cursors.pop_first() else { return };
            self.cursor_texts -= dropped.text.bytes();
        }
    }

    pub(super) fn finish(
        &mut self,
        statement: u64,
        rows: Option<u64>,
        failure: Option<Failure>,
        tag: Option<CommandTag>,
        out: &mut Vec<Event<T>>,
    ) {
        let transaction = self.transaction_of(statement, out);
        let (at, seq) = (self.at, self.seq);
        let undone = failure.is_some();
        out.push(Event::Finished(Finished { statement, transaction, at, seq, rows, failure, undone, tag }));
    }

    /// An error of a simple query, a function call, or of the commit at Sync.
    fn fails(&mut self, failure: Failure, out: &mut Vec<Event<T>>) {
        self.copied_in = false;
        let Some(current) = self.current.take() else {
            self.report(Some(&failure), out);
            return self.commit_failed(&failure, out);
        };
        let ends = self.may_have_ended(current.ending, &failure);
        self.fail(current.statement, failure.clone(), ends, out);
        self.answered = self.answered.saturating_add(1);
        // The others of its text are not carried out.
        if let Some(text) = self.text.clone() {
            let count = text.statements().unwrap_or(0);
            let failure = not_executed(&failure);
            while self.answered < count {
                let own = Executed::new(text.clone(), self.answered);
                let started = self.start(Request::Text { own, executes: None, again: false });
                let statement = started.statement;
                out.push(Event::Started(started));
                self.finish(statement, None, Some(failure.clone()), None, out);
                self.answered += 1;
            }
        }
        self.failed(ends, out);
    }

    /// Requests among COPY data, or behind it, that were never carried out.
    pub(super) fn tell_discarded(
        &mut self,
        failure: &Failure,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        let discarded = self.exchange.take_discarded();
        self.waiting_bytes -= discarded.iter().map(|waiting| waiting.request.bytes).sum::<usize>();
        for started in self.ahead(&discarded, true, analyser) {
            let statement = started.statement;
            out.push(Event::Started(started));
            self.finish(statement, None, Some(failure.clone()), None, out);
        }
    }

    /// `ends`: it may have ended its transaction before it failed.
    fn fail(&mut self, statement: u64, failure: Failure, ends: bool, out: &mut Vec<Event<T>>) {
        self.finish(statement, None, Some(failure), None, out);
        if let (true, Some(Event::Finished(finished))) = (ends, out.last_mut()) {
            finished.undone = false;
        }
    }

    /// An error of the extended protocol: the server passes over everything up to Sync.
    fn fails_and_skips(
        &mut self,
        failure: Failure,
        skipped: Vec<Waiting<Asked>>,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        self.copied_in = false;
        self.waiting_bytes -= skipped.iter().map(|waiting| waiting.request.bytes).sum::<usize>();
        let mut cause = Some(failure.clone());
        let mut ends = false;
        if let Some(current) = self.current.take() {
            ends = self.may_have_ended(current.ending, &failure);
            self.end_portions(&current);
            self.fail(current.statement, failure.clone(), ends, out);
            cause = None;
        }
        if let Some(Waiting { request: Asked { body: Body::Parse { name, .. }, .. }, .. }) = skipped.first() {
            // The server forgets the unnamed statement before it reads the text of the new one, but not where the
            // message itself was none.
            let name = super::Name::new(&self.settings.name(name));
            if name.is_unnamed() && failure.sqlstate != "08P01" {
                self.forget_prepared(&name);
            }
        }
        // The first one is told even where no Execute follows it: it was an attempt.
        let begun = usize::from(cause.is_none());
        for started in self.ahead(&skipped[begun.min(skipped.len())..], cause.is_some(), analyser) {
            let statement = started.statement;
            out.push(Event::Started(started));
            let failure = cause.take().unwrap_or_else(|| not_executed(&failure));
            self.finish(statement, None, Some(failure), None, out);
        }
        self.report(cause.as_ref(), out);
        self.failed(ends, out);
    }

    /// ReadyForQuery, although these were not answered.
    fn passed_over(
        &mut self,
        mut passed: Vec<Waiting<Asked>>,
        analyser: &mut dyn Analyser<Text = T>,
        out: &mut Vec<Event<T>>,
    ) {
        self.contradictions += 1;
        self.waiting_bytes -= passed.iter().map(|waiting| waiting.request.bytes).sum::<usize>();
        if self.current.is_some() {
            let first = passed.remove(0);
            self.text_never_answered(&first.request, out);
        }
        self.never_answered(passed, analyser, out);
        self.doubt("a statement was not answered");
        (self.text, self.answered) = (None, 0);
    }

    /// ReadyForQuery for a simple query, a function call or a Sync.
    fn query_over(&mut self, ended: &Waiting<Asked>, out: &mut Vec<Event<T>>) {
        let known = self.text.as_ref().and_then(Text::statements);
        if self.current.is_some() {
            self.contradictions += 1;
            self.text_never_answered(&ended.request, out);
            self.doubt("a statement was not answered");
        } else if ended.kind == Kind::Query && known.is_some_and(|count| self.answered < count) {
            self.contradictions += 1;
        }
        (self.text, self.answered) = (None, 0);
    }
}

/// Of statements behind the one that failed; what it failed with stands there.
fn not_executed(failure: &Failure) -> Failure {
    let message = "not executed: an earlier statement failed".to_owned();
    Failure { sqlstate: failure.sqlstate.clone(), message, not_run: true, ..Failure::default() }
}
