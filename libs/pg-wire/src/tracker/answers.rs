//! What the server answers.

use super::message::{self, Failure, Reader};
use super::{Command, Control, Event, Finished, Outcome, Query, Tracker, Waiting};

impl Tracker {
    /// `frames` of them, one like the other, where they are rows.
    pub(super) fn answer(&mut self, tag: u8, body: &[u8], frames: u64, out: &mut Vec<Event>) {
        match tag {
            b'S' => {
                let mut reader = Reader(body);
                let (name, value) = (reader.name(), String::from_utf8_lossy(reader.string()).into_owned());
                out.push(Event::Setting { name, value });
            }
            b'Z' => self.ready_for_query(body.first().copied().unwrap_or(0), out),
            b'E' => self.error(message::failure(body), out),
            b'N' | b'A' | b'K' | b'R' | b'v' | b'd' | b'c' => {}
            _ if self.lost > 0 || !self.ready => {}
            _ => {
                // A Sync that the server ignored, since it was taking COPY data.
                while self.queue.len() > 1 && matches!(self.queue.front(), Some(Waiting::Sync)) {
                    self.queue.pop_front();
                }
                self.begin_omitted(out);
                self.answer_to_front(tag, body, frames, out);
            }
        }
    }

    fn answer_to_front(&mut self, tag: u8, body: &[u8], frames: u64, out: &mut Vec<Event>) {
        let Some(front) = self.queue.front_mut() else { return };
        match (tag, front) {
            (b'1', Waiting::Parse { name, id, .. }) => {
                self.prepared_names.confirm(name, *id, Some(*id));
                self.queue.pop_front();
                self.sweep_sometimes();
            }
            (b'2', Waiting::Bind { name, id }) => {
                let before = self.portal_names.confirm(name, *id, Some(*id));
                self.queue.pop_front();
                self.end_portal(before, out);
            }
            (b'3', Waiting::Close { portal, name, id }) => {
                let names = if *portal { &mut self.portal_names } else { &mut self.prepared_names };
                let before = names.confirm(name, *id, None);
                let portal = *portal;
                self.queue.pop_front();
                if portal {
                    self.end_portal(before, out);
                }
            }
            (b't', Waiting::DescribeStatement { id: Some(id) }) => {
                if let Some(prepared) = self.prepared.get_mut(id) {
                    prepared.types = message::parameter_types(&mut Reader(body));
                }
            }
            (b'T' | b'n', Waiting::DescribeStatement { id }) => {
                let prepared = id.and_then(|id| self.prepared.get_mut(&id));
                if let (true, Some(prepared)) = (self.columns && tag == b'T', prepared) {
                    prepared.columns = message::row_description(body);
                }
                self.queue.pop_front();
            }
            (b'T' | b'n', Waiting::DescribePortal { id }) => {
                let portal = id.and_then(|id| self.portals.get(&id));
                let prepared = portal.and_then(|portal| portal.prepared).and_then(|id| self.prepared.get_mut(&id));
                if let (true, Some(prepared)) = (self.columns && tag == b'T', prepared) {
                    prepared.columns = message::row_description(body);
                }
                self.queue.pop_front();
            }
            (b'T', Waiting::Query(query)) if self.columns => query.columns = message::row_description(body),
            (b'D', Waiting::Execute { rows, .. }) => *rows = rows.saturating_add(frames),
            (b'C' | b'I', Waiting::Query(_)) => {
                let tag = String::from_utf8_lossy(Reader(body).string()).into_owned();
                self.query_answered(&tag, out);
            }
            (b'C' | b'I', Waiting::Execute { .. }) => {
                let tag = String::from_utf8_lossy(Reader(body).string()).into_owned();
                self.execute_answered(&tag, out);
            }
            (b's', Waiting::Execute { portal, rows, .. }) => {
                let (portal, rows) = (*portal, *rows);
                self.queue.pop_front();
                if let Some(portal) = portal.and_then(|portal| self.portals.get_mut(&portal)) {
                    let before = portal.suspended.map_or(0, |(rows, ..)| rows);
                    portal.suspended = Some((before.saturating_add(rows), self.at, self.seq));
                }
            }
            (b'V', Waiting::Function { statement, answered }) => {
                *answered = true;
                let statement = *statement;
                self.finish_as(statement, "CALL", None, out);
            }
            (b'G' | b'W', Waiting::Query(_)) => (self.copying_in, self.copied_in) = (true, true),
            (b'G' | b'W', Waiting::Execute { .. }) => {
                (self.copying_in, self.copied_in) = (true, true);
                // Sent ahead: the server ignores them while it takes data.
                while matches!(self.queue.get(1), Some(Waiting::Sync)) {
                    self.queue.remove(1);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, statement: u64, rows: Option<u64>, failure: Option<Failure>, out: &mut Vec<Event>) {
        self.undo_undecided(out);
        let transaction = self.transaction_id();
        let (at, seq) = (self.at, self.seq);
        if failure.is_none() {
            self.last_answered = Some(statement);
        }
        out.push(Event::Finished(Finished { statement, transaction, at, seq, rows, failure, command: None }));
    }

    /// A statement has been carried out, and this is what the server calls it.
    fn finish_as(&mut self, statement: u64, tag: &str, rows: Option<u64>, out: &mut Vec<Event>) {
        let copied_in = std::mem::take(&mut self.copied_in);
        self.finish(statement, rows, None, out);
        if let (true, Some(Event::Finished(finished))) = (self.omitting, out.last_mut()) {
            finished.command = Some(Command { tag: tag.to_owned(), copied_in });
        }
    }

    fn query_answered(&mut self, tag: &str, out: &mut Vec<Event>) {
        let Some(Waiting::Query(query)) = self.queue.front_mut() else { return };
        self.copying_in = false;
        query.columns.clear();
        if self.omitting {
            return self.omitted_query_answered(tag, out);
        }
        let Some(controls) = &mut query.controls else {
            // How many there are is not known: all is told at ReadyForQuery.
            if query.tags.len() < 64 {
                query.tags.push(tag.to_owned());
            }
            return;
        };
        if query.done == query.count {
            return;
        }
        let statement = query.first + query.done;
        let place = query.done;
        query.done += 1;
        let last = query.done == query.count;
        let control = match controls.front() {
            Some((at, _)) if u64::from(*at) == place => controls.pop_front().map(|(_, control)| control),
            _ => None,
        };
        self.finish(statement, message::rows_of_tag(tag), None, out);
        self.carried_out(statement, tag, Some(&control.unwrap_or(Control::Other)), out);
        if !last {
            out.push(Event::Began { statement: statement + 1, at: self.at });
        } else if !self.is_explicit() {
            // The server commits before it answers the last one.
            self.end_transaction(Outcome::Committed, out);
        }
    }

    fn execute_answered(&mut self, tag: &str, out: &mut Vec<Event>) {
        let Some(Waiting::Execute { statement, portal, control, .. }) = self.queue.pop_front() else { return };
        self.copying_in = false;
        let suspended =
            portal.and_then(|portal| self.portals.get_mut(&portal)).and_then(|portal| portal.suspended.take());
        let before = suspended.map(|(rows, ..)| rows);
        let rows = match (message::rows_of_tag(tag), before) {
            (Some(rows), before) => Some(rows.saturating_add(before.unwrap_or(0))),
            (None, before) => before,
        };
        self.finish_as(statement, tag, rows, out);
        self.carried_out(statement, tag, control.as_ref(), out);
    }

    /// A statement of a simple Query whose text is not known: how many there are shows in how many are answered.
    fn omitted_query_answered(&mut self, tag: &str, out: &mut Vec<Event>) {
        let Some(Waiting::Query(query)) = self.queue.front_mut() else { return };
        let statement = query.first;
        query.done = query.count;
        self.finish_as(statement, tag, message::rows_of_tag(tag), out);
        self.carried_out(statement, tag, None, out);
    }

    fn error(&mut self, failure: Failure, out: &mut Vec<Event>) {
        self.fatal |= failure.fatal;
        if self.lost > 0 || !self.ready {
            return;
        }
        (self.copying_in, self.copied_in) = (false, false);
        self.begin_omitted(out);
        match self.queue.front_mut() {
            // Of the session, not of a statement.
            None => {}
            Some(Waiting::Query(query)) => {
                let open = query.first + query.done..query.first + query.count;
                query.done = query.count;
                query.tags.clear();
                query.controls = Some(Default::default());
                self.fail_each(open, failure, out);
                self.failed(out);
            }
            Some(Waiting::Function { statement, answered }) => {
                *answered = true;
                let statement = *statement;
                self.finish(statement, None, Some(failure), out);
                self.failed(out);
            }
            Some(Waiting::Sync) => {
                // The commit itself failed.
                match self.last_answered {
                    Some(statement) if self.transaction.is_some() => self.late_failure(statement, failure, out),
                    _ => self.failed(out),
                }
            }
            Some(_) => self.extended_error(failure, out),
        }
    }

    /// An error after the answer of the statement that it belongs to.
    fn late_failure(&mut self, statement: u64, failure: Failure, out: &mut Vec<Event>) {
        self.finish(statement, None, Some(failure), out);
        self.failed(out);
    }

    /// The first statement failed; the others were not run.
    fn fail_each(&mut self, statements: impl IntoIterator<Item = u64>, failure: Failure, out: &mut Vec<Event>) {
        let reason = if failure.message.is_empty() { String::new() } else { format!(": {}", failure.message) };
        let message = format!("not executed: an earlier statement failed{reason}");
        let skipped = Failure { message, ..failure.clone() };
        let mut failure = Some(failure);
        for statement in statements {
            let failure = failure.take().unwrap_or_else(|| skipped.clone());
            self.finish(statement, None, Some(failure), out);
        }
    }

    /// Everything up to Sync is skipped.
    fn extended_error(&mut self, failure: Failure, out: &mut Vec<Event>) {
        let end = self.queue.iter().position(|waiting| matches!(waiting, Waiting::Sync));
        self.skipping = end.is_none();
        let skipped: Vec<Waiting> = self.queue.drain(..end.unwrap_or(self.queue.len())).collect();
        let mut statements: Vec<u64> = Vec::new();
        for waiting in &skipped {
            if let Waiting::Execute { statement, portal, .. } = waiting {
                statements.push(*statement);
                if let Some(portal) = portal.and_then(|portal| self.portals.get_mut(&portal)) {
                    portal.suspended = None;
                }
            }
        }
        statements.dedup();
        if statements.is_empty() {
            statements.extend(self.failed_without_execute(&skipped[..1.min(skipped.len())], out));
        }
        self.fail_each(statements, failure, out);
        self.failed(out);
        self.prepared_names.forget_pending();
        self.portal_names.forget_pending();
        for waiting in &self.queue {
            match waiting {
                Waiting::Parse { name, id, .. } => self.prepared_names.intend(name, *id, Some(*id)),
                Waiting::Bind { name, id } => self.portal_names.intend(name, *id, Some(*id)),
                Waiting::Close { portal: true, name, id } => self.portal_names.intend(name, *id, None),
                Waiting::Close { portal: false, name, id } => self.prepared_names.intend(name, *id, None),
                _ => {}
            }
        }
        self.sweep();
    }

    /// A Parse or Bind failed that no Execute follows: an attempt all the same.
    fn failed_without_execute(&mut self, failed: &[Waiting], out: &mut Vec<Event>) -> Option<u64> {
        let started = match failed.first()? {
            Waiting::Parse { id, seq, at, .. } => {
                let mut started = self.start(*seq);
                started.at = *at;
                if let Some(prepared) = self.prepared.get(id) {
                    started.text = prepared.text.clone();
                    started.truncated = prepared.truncated;
                }
                started
            }
            Waiting::Bind { id, .. } => {
                let mut started = self.start(self.seq);
                self.start_portal(*id, &mut started);
                started
            }
            _ => return None,
        };
        let statement = started.statement;
        out.push(Event::Started(started));
        Some(statement)
    }

    fn ready_for_query(&mut self, status: u8, out: &mut Vec<Event>) {
        self.ready = true;
        self.copying_in = false;
        if self.lost > 0 {
            self.lost -= 1;
            if self.lost == 0 {
                self.abandon(Outcome::Unknown, Outcome::Unknown, out);
                self.settle(status, out);
            }
            return;
        }
        while let Some(waiting) = self.queue.pop_front() {
            match waiting {
                Waiting::Sync => break,
                Waiting::Query(query) => {
                    self.query_over(&query, status, out);
                    break;
                }
                Waiting::Function { statement, answered } => {
                    if !answered {
                        self.unanswered(&Waiting::Function { statement, answered }, out);
                    }
                    break;
                }
                // The server has passed it over.
                passed => self.unanswered(&passed, out),
            }
        }
        self.settle(status, out);
        self.last_answered = None;
        if self.queue.is_empty() {
            self.prepared_names.forget_pending();
            self.portal_names.forget_pending();
            self.sweep_sometimes();
        }
    }

    /// A simple Query has been answered in full.
    fn query_over(&mut self, query: &Query, status: u8, out: &mut Vec<Event>) {
        if query.controls.is_some() || query.tags.is_empty() {
            for statement in query.first + query.done..query.first + query.count {
                let transaction = self.transaction_id();
                out.push(Event::Unanswered { statement, transaction });
            }
            return;
        }
        // One statement stands for all that the text held.
        let statement = query.first;
        if let [tag] = &query.tags[..] {
            self.finish(statement, message::rows_of_tag(tag), None, out);
            self.carried_out(statement, tag, None, out);
            return;
        }
        self.finish(statement, None, None, out);
        let ends = |tag: &String| matches!(tag.as_str(), "COMMIT" | "ROLLBACK" | "PREPARE TRANSACTION");
        if query.tags.iter().any(ends) {
            self.end_transaction(Outcome::Unknown, out);
        } else if query.tags.iter().any(|tag| matches!(tag.as_str(), "BEGIN" | "START TRANSACTION")) && status != b'I' {
            self.carried_out(statement, "BEGIN", None, out);
        }
        if query.tags.iter().any(|tag| tag == "SAVEPOINT") && status != b'I' {
            self.unseen_savepoint();
        }
    }

    /// A portal is gone: what it had fetched is all that its statement will.
    fn end_portal(&mut self, portal: Option<u64>, out: &mut Vec<Event>) {
        let Some(portal) = portal.and_then(|portal| self.portals.remove(&portal)) else { return };
        self.portal_bytes -= portal.bytes;
        if let (Some((rows, at, seq)), Some(statement)) = (portal.suspended, portal.statement) {
            let transaction = self.transaction_id();
            let rows = Some(rows);
            out.push(Event::Finished(Finished { statement, transaction, at, seq, rows, failure: None, command: None }));
        }
    }

    /// The transaction is over, and its portals with it.
    pub(super) fn end_portals(&mut self, out: &mut Vec<Event>) {
        for id in self.portal_names.meanings_confirmed() {
            self.end_portal(Some(id), out);
        }
        self.portal_names.end();
    }

    /// Keeps the stores in proportion to what is meant.
    fn sweep_sometimes(&mut self) {
        if self.prepared.len() > 2 * self.prepared_names.len() + self.queue.len() + 16 {
            self.sweep();
        }
    }
}
