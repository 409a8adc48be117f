//! The statement that the server has come to: what it is by the names and settings of that moment.

use super::names::Name;
use super::{
    Analyser, Asked, Body, Conversation, Current, Doubt, Ending, Event, Executed, MAX_BOUND, MAX_NAMES, MAX_PREPARED,
    MAX_WAITING_BYTES, Moment, Note, Parameters, Portal, Prepared, RawText, Request, Started, Text,
};
use crate::exchange::Kind;

impl<T: Text> Conversation<T> {
    /// Begins the statement that is next, where everything before it is answered.
    pub(super) fn begin(&mut self, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        if self.current.is_some() || self.lost.is_some() {
            return;
        }
        let Some(front) = self.exchange.front() else { return };
        match (front.kind, &front.request.body) {
            (Kind::Query, Body::Query(_)) => {
                self.read_query(analyser, out);
                self.begin_part(out);
            }
            (Kind::Execute, Body::Execute { .. }) => self.begin_execute(out),
            (Kind::FunctionCall, Body::Function { oid, parameters }) if self.answered == 0 => {
                let (oid, parameters) = (*oid, parameters.clone());
                let mut started = self.start(Request::Function(oid));
                started.parameters = Some(parameters);
                self.tell(started, None, None, out);
            }
            // Further statements of the same query begin with their answers.
            (Kind::Query | Kind::FunctionCall, Body::Omitted { .. }) if self.answered > 0 => {}
            (Kind::Query | Kind::Execute | Kind::FunctionCall, Body::Omitted { .. }) => self.begin_omitted(out),
            _ => {}
        }
    }

    /// The server has come to a simple query: it reads it, and forgets what has no name.
    fn read_query(&mut self, analyser: &mut dyn Analyser<Text = T>, out: &mut Vec<Event<T>>) {
        if self.text.is_some() {
            return;
        }
        let Some(Asked { body: Body::Query(raw), .. }) = self.exchange.front().map(|front| &front.request) else {
            return;
        };
        let malformed = raw.malformed;
        self.text = Some(read(&self.settings, raw, analyser));
        if malformed {
            return;
        }
        let unnamed = Name::new(b"");
        self.forget_prepared(&unnamed);
        self.end_portal(&unnamed, out);
    }

    /// The next statement of a simple query whose statements are known one by one.
    fn begin_part(&mut self, out: &mut Vec<Event<T>>) {
        let Some(text) = &self.text else { return };
        let known = text.statements();
        let request = match known {
            Some(count) if self.answered < count => self.text_request(Executed::new(text.clone(), self.answered)),
            None if self.answered == 0 => (Request::Unforeseen { text: text.clone(), before: 0 }, None),
            _ => return,
        };
        self.start_part(request, out);
    }

    /// Something is answered that did not begin: the text held one more statement than was known.
    pub(super) fn begin_unforeseen(&mut self, out: &mut Vec<Event<T>>) {
        let Some(text) = &self.text else { return };
        if text.statements().is_some() {
            self.contradictions += 1;
        }
        self.start_part((Request::Unforeseen { text: text.clone(), before: self.answered }, None), out);
    }

    fn start_part(&mut self, (request, doubt): (Request<T>, Option<Doubt>), out: &mut Vec<Event<T>>) {
        let does = match &request {
            Request::Text { own, .. } => Some(own.clone()),
            _ => None,
        };
        let mut started = self.start(request);
        started.doubt = doubt;
        if self.answered > 0 {
            // The one before it is done.
            started.at = self.at;
        }
        self.tell(started, does, None, out);
    }

    fn begin_execute(&mut self, out: &mut Vec<Event<T>>) {
        let Some(Asked { body: Body::Execute { portal, .. }, .. }) = self.exchange.front().map(|front| &front.request)
        else {
            return;
        };
        let name = Name::new(&self.settings.name(portal));
        let Some(portal) = self.portals.get_mut(&name) else {
            let started = self.start(Request::Name(name.shown()));
            return self.tell(started, None, Some(name), out);
        };
        if let (Some(statement), false) = (portal.statement, portal.finished) {
            // More rows of what has begun.
            let does = portal.text.clone();
            let ending = Ending::Never;
            let (began, columns) = (self.at, Vec::new());
            self.current = Some(Current { statement, began, does, portal: Some(name), columns, ending });
            return;
        }
        let (parameters, first_seq, truncated) = (portal.parameters.take(), portal.first_seq, portal.truncated);
        let (again, doubted) = (portal.finished, portal.since <= self.code_ran);
        let (does, (request, doubt)) = match portal.text.clone() {
            None => (None, (Request::Name(portal.prepared_name.clone()), None)),
            Some(own) if again => (None, (Request::Again(own), None)),
            Some(own) => (Some(own.clone()), self.text_request(own)),
        };
        let mut started = self.start(request);
        started.doubt = doubt.or(doubted.then_some(Doubt::CodeRan));
        started.parameters = parameters;
        started.truncated = truncated;
        if !again {
            started.first_seq = first_seq;
            if let Some(portal) = self.portals.get_mut(&name) {
                portal.statement = Some(started.statement);
            }
        }
        self.tell(started, does, Some(name), out);
    }

    /// A statement of a text, with what it runs that was prepared, bound to a portal or declared before.
    pub(super) fn text_request(&self, own: Executed<T>) -> (Request<T>, Option<Doubt>) {
        let notes = own.text.notes(own.part, own.prepared_in_sql);
        let (mut executes, mut again, mut doubted) = (None, false, false);
        for note in notes {
            match note {
                Note::Execute(name) => {
                    if let Some(prepared) = self.prepared.get(&self.name_in_sql(name)) {
                        (executes, doubted) = (Some(prepared.text.clone()), prepared.since <= self.code_ran);
                    }
                }
                Note::Fetch(cursor) => {
                    let name = self.name_in_sql(cursor);
                    match (self.portals.get(&name), self.cursors.get(&name)) {
                        (Some(portal), _) => {
                            again = portal.statement.is_some() || portal.finished;
                            (executes, doubted) = (portal.text.clone(), portal.since <= self.code_ran);
                        }
                        // What a cursor reads was told when it was declared.
                        (None, Some(declared)) => (executes, again) = (Some(declared.clone()), true),
                        (None, None) => {}
                    }
                }
                _ => {}
            }
        }
        (Request::Text { own, executes, again }, doubted.then_some(Doubt::CodeRan))
    }

    pub(super) fn name_in_sql(&self, name: &str) -> Name {
        Name::new(&self.settings.encode(name))
    }

    /// The first request's statement, from here on.
    pub(super) fn start(&mut self, request: Request<T>) -> Started<T> {
        self.statements += 1;
        let (at, seq, last_seq, truncated) = match self.exchange.front().map(|front| &front.request) {
            Some(asked) => {
                let cut = matches!(&asked.body, Body::Query(text) if text.cut);
                (asked.at, asked.seq, asked.last_seq, cut)
            }
            None => (self.at, self.seq, self.seq, false),
        };
        Started {
            statement: self.statements,
            at,
            first_seq: seq,
            last_seq,
            request,
            parameters: None,
            truncated,
            doubt: None,
        }
    }

    pub(super) fn tell(
        &mut self,
        started: Started<T>,
        does: Option<Executed<T>>,
        portal: Option<Name>,
        out: &mut Vec<Event<T>>,
    ) {
        let ending = match &started.request {
            Request::Text { own, .. } if !own.text.understood(own.part, own.prepared_in_sql) => Ending::Unknown,
            Request::Text { own, .. } => {
                let notes = own.text.notes(own.part, own.prepared_in_sql);
                let ends = notes.iter().any(|note| matches!(note, Note::MayEndTransaction | Note::CommitsByItself));
                if ends { Ending::Possible } else { Ending::Never }
            }
            Request::Again(_) | Request::Function(_) => Ending::Never,
            Request::Unforeseen { .. } | Request::Name(_) | Request::Omitted => Ending::Unknown,
        };
        let does = does.filter(|does| does.text.understood(does.part, does.prepared_in_sql));
        let (statement, began, columns) = (started.statement, started.at, Vec::new());
        self.current = Some(Current { statement, began, does, portal, columns, ending });
        out.push(Event::Started(started));
    }

    /// Parse was answered: the name means this text now.
    pub(super) fn prepare(&mut self, asked: Asked, analyser: &mut dyn Analyser<Text = T>) {
        let Body::Parse { name, text: raw, types } = asked.body else { return };
        let name = Name::new(&self.settings.name(&name));
        let text = read(&self.settings, &raw, analyser);
        let bytes = text.bytes() + 4 * types.len();
        let seq = if asked.seq > asked.segment { asked.seq } else { 0 };
        let prepared = Some(Moment { statement: self.statements, at: asked.at });
        let text = Executed { prepared, ..Executed::new(text, 0) };
        self.uses += 1;
        let used = self.uses;
        let columns = Vec::new();
        self.insert_prepared(
            name,
            Prepared { text, truncated: raw.cut, types, seq, used, since: used, bytes, columns },
        );
    }

    pub(super) fn insert_prepared(&mut self, name: Name, prepared: Prepared<T>) {
        self.forget_prepared(&name);
        if self.prepared.len() >= MAX_NAMES {
            return;
        }
        self.prepared_bytes += prepared.bytes;
        self.prepared_by_use.insert(prepared.used, name.clone());
        self.prepared.insert(name, prepared);
        while self.prepared_bytes > MAX_PREPARED {
            let Some(oldest) = self.prepared_by_use.first_key_value().map(|(_, name)| name.clone()) else { return };
            self.forget_prepared(&oldest);
        }
    }

    pub(super) fn forget_prepared(&mut self, name: &Name) {
        if let Some(prepared) = self.prepared.remove(name) {
            self.prepared_bytes -= prepared.bytes;
            self.prepared_by_use.remove(&prepared.used);
        }
    }

    pub(super) fn forget_all_prepared(&mut self) {
        self.prepared.clear();
        self.prepared_by_use.clear();
        self.prepared_bytes = 0;
    }

    /// Bind was answered: the portal runs what the name means now.
    pub(super) fn bind(&mut self, asked: Asked, out: &mut Vec<Event<T>>) {
        let (seq, segment) = (asked.seq, asked.segment);
        let Body::Bind { portal, statement, parameters, formats } = asked.body else { return };
        let name = Name::new(&self.settings.name(&portal));
        let prepared_name = Name::new(&self.settings.name(&statement));
        self.end_portal(&name, out);
        if self.portals.len() >= MAX_NAMES {
            return;
        }
        self.uses += 1;
        let used = self.uses;
        let prepared = self.prepared.get_mut(&prepared_name);
        let prepared = prepared.map(|prepared| {
            self.prepared_by_use.remove(&prepared.used);
            self.prepared_by_use.insert(used, prepared_name.clone());
            prepared.used = used;
            &*prepared
        });
        let first_seq = prepared.map(|prepared| prepared.seq).filter(|&parsed| parsed > segment).unwrap_or(seq);
        let types = prepared.map_or(0, |prepared| 4 * prepared.types.len());
        let mut bytes = parameters.bytes() + types;
        let fits = self.portal_bytes + bytes <= MAX_WAITING_BYTES;
        let mut parameters = if fits { parameters } else { Parameters { truncated: true, ..Parameters::default() } };
        if !fits {
            bytes = 0;
        }
        if let Some(prepared) = prepared.filter(|_| fits) {
            parameters.types = prepared.types.clone();
        }
        let truncated = prepared.is_some_and(|prepared| prepared.truncated) || parameters.truncated;
        let text = prepared.map(|prepared| Executed { bound: Some(self.statements), ..prepared.text.clone() });
        let text = text.filter(|text| self.portal_texts + text.text.bytes() <= MAX_BOUND);
        self.portal_texts += text.as_ref().map_or(0, |text| text.text.bytes());
        let doubted = prepared.is_some_and(|prepared| prepared.since <= self.code_ran);
        let portal = Portal {
            text,
            truncated,
            prepared_name: prepared_name.shown(),
            bound_at: self.statements,
            since: if doubted { 0 } else { used },
            parameters: Some(parameters),
            bytes,
            first_seq,
            statement: None,
            suspended: None,
            finished: false,
            columns: prepared.map(|prepared| prepared.columns.clone()).unwrap_or_default(),
            formats,
        };
        self.portal_bytes += bytes;
        self.portals_by_bind.insert((portal.bound_at, name.clone()));
        self.portals.insert(name, portal);
    }
}

/// A text as the session reads it now.
pub(super) fn read<T: Text>(settings: &super::Settings, raw: &RawText, analyser: &mut dyn Analyser<Text = T>) -> T {
    let mut bytes = &raw.bytes[..];
    if raw.cut {
        // Not in the middle of a character.
        let end = (1..4).find(|back| bytes.len() >= *back && bytes[bytes.len() - back] & 0xc0 == 0xc0);
        bytes = end.map_or(bytes, |back| &bytes[..bytes.len() - back]);
    }
    let (text, mut reading) = settings.text(bytes);
    reading.whole &= !raw.cut;
    analyser.read(&text, reading)
}
