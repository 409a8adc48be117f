//! What the job asks.

use std::sync::Arc;

use super::message::{self, Reader};
use super::{
    Analyser, Control, Event, MAX_KEPT, MAX_QUEUE, Outcome, Parameters, Portal, Prepared, Query, Request, Started,
    Tracker, Waiting,
};

impl Tracker {
    pub(super) fn request(
        &mut self,
        tag: u8,
        first_seq: u64,
        body: &[u8],
        cut: bool,
        analyser: &mut dyn Analyser,
        out: &mut Vec<Event>,
    ) {
        if self.queue.len() >= MAX_QUEUE {
            let ends =
                |waiting: &&Waiting| matches!(waiting, Waiting::Query(_) | Waiting::Sync | Waiting::Function { .. });
            let outstanding = self.queue.iter().filter(ends).count() as u64;
            self.abandon(Outcome::Unknown, Outcome::Unknown, out);
            self.lost = self.lost.saturating_add(outstanding).max(1);
        }
        if self.skipping && tag != b'S' {
            return;
        }
        let mut reader = Reader(body);
        match tag {
            b'Q' => self.query(first_seq, reader.string(), cut, analyser, out),
            b'P' => self.parse(first_seq, &mut reader, cut, analyser),
            b'B' => self.bind(first_seq, &mut reader, cut),
            b'D' => match reader.byte() {
                Some(b'S') => {
                    let id = self.prepared_names.get(&reader.name());
                    self.queue.push_back(Waiting::DescribeStatement { id });
                }
                _ => {
                    let id = self.portal_names.get(&reader.name());
                    self.queue.push_back(Waiting::DescribePortal { id });
                }
            },
            b'E' => self.execute(first_seq, &mut reader, out),
            b'C' => {
                let portal = reader.byte() == Some(b'P');
                let (name, id) = (reader.name(), self.new_id());
                let names = if portal { &mut self.portal_names } else { &mut self.prepared_names };
                names.intend(&name, id, None);
                self.queue.push_back(Waiting::Close { portal, name, id });
            }
            b'S' if !self.copying_in => {
                self.skipping = false;
                self.segment = self.seq;
                self.queue.push_back(Waiting::Sync);
            }
            b'F' => self.function(first_seq, &mut reader, cut, out),
            b'c' | b'f' => self.copying_in = false,
            _ => {}
        }
    }

    fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn query(&mut self, first_seq: u64, text: &[u8], cut: bool, analyser: &mut dyn Analyser, out: &mut Vec<Event>) {
        let (text, truncated) = message::text(text, cut);
        let text: Arc<str> = text.into();
        let outline = if truncated { None } else { analyser.outline(&text) };
        let first = self.statements + 1;
        let count = outline.as_ref().map_or(1, |outline| u64::from(outline.statements.max(1)));
        self.statements += count;
        for part in 0..count {
            out.push(Event::Started(Started {
                statement: first + part,
                at: self.at,
                first_seq,
                last_seq: self.seq,
                request: self.request_of_text(),
                text: text.clone(),
                part: u32::try_from(part).unwrap_or(u32::MAX),
                parameters: None,
                truncated,
            }));
        }
        self.segment = self.seq;
        let controls = outline.map(|outline| outline.controls.into());
        let (tags, columns) = (Vec::new(), Vec::new());
        self.queue.push_back(Waiting::Query(Query { first, count, done: 0, controls, tags, columns }));
    }

    fn parse(&mut self, seq: u64, reader: &mut Reader<'_>, cut: bool, analyser: &mut dyn Analyser) {
        let name = reader.name();
        let (text, truncated) = message::text(reader.string(), cut && !reader.0.contains(&0));
        let types = message::parameter_types(reader);
        let text: Arc<str> = text.into();
        let outline = if truncated { None } else { analyser.outline(&text) };
        // A prepared text holds one statement.
        let control =
            outline.map(|outline| outline.controls.into_iter().next().map_or(Control::Other, |first| first.1));
        let id = self.new_id();
        self.prepared_names.intend(&name, id, Some(id));
        self.prepared_bytes += text.len();
        let prepared = Prepared { text, truncated, types, control, seq, used: id, columns: Vec::new() };
        self.prepared.insert(id, prepared);
        self.queue.push_back(Waiting::Parse { name, id, seq, at: self.at });
        self.bound_prepared(id);
    }

    /// Drops prepared statements that nothing means any more, and then those unused for longest, until the rest fits.
    fn bound_prepared(&mut self, newest: u64) {
        if self.prepared_bytes <= MAX_KEPT && self.prepared.len() <= MAX_KEPT / 2048 {
            return;
        }
        self.sweep();
        while (self.prepared_bytes > MAX_KEPT || self.prepared.len() > MAX_KEPT / 2048) && self.prepared.len() > 1 {
            let oldest =
                self.prepared.iter().filter(|(id, _)| **id != newest).min_by_key(|(_, prepared)| prepared.used);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            self.forget_prepared(oldest);
        }
    }

    fn forget_prepared(&mut self, id: u64) {
        if let Some(prepared) = self.prepared.remove(&id) {
            self.prepared_bytes -= prepared.text.len();
        }
    }

    /// Drops prepared statements and portals that nothing refers to.
    pub(super) fn sweep(&mut self) {
        let mut portals: Vec<u64> = self.portal_names.meanings().collect();
        let mut prepared: Vec<u64> = self.prepared_names.meanings().collect();
        for waiting in &self.queue {
            match waiting {
                Waiting::Parse { id, .. } => prepared.push(*id),
                Waiting::DescribeStatement { id } => prepared.extend(*id),
                Waiting::Bind { id, .. } => portals.push(*id),
                Waiting::DescribePortal { id } => portals.extend(*id),
                Waiting::Execute { portal, .. } => portals.extend(*portal),
                _ => {}
            }
        }
        portals.sort_unstable();
        self.portals.retain(|id, _| portals.binary_search(id).is_ok());
        self.portal_bytes = self.portals.values().map(|portal| portal.bytes).sum();
        prepared.extend(self.portals.values().filter_map(|portal| portal.prepared));
        prepared.sort_unstable();
        self.prepared.retain(|id, _| prepared.binary_search(id).is_ok());
        self.prepared_bytes = self.prepared.values().map(|prepared| prepared.text.len()).sum();
    }

    fn bind(&mut self, seq: u64, reader: &mut Reader<'_>, cut: bool) {
        let (name, prepared_name) = (reader.name(), reader.name());
        let bound = message::bound(reader, cut);
        let id = self.new_id();
        let known = self.prepared_names.get(&prepared_name);
        let mut first_seq = seq;
        if let Some(prepared) = known.and_then(|known| self.prepared.get_mut(&known)) {
            prepared.used = id;
            if prepared.seq > self.segment {
                first_seq = prepared.seq;
            }
        }
        let values: usize = bound.values.iter().map(|value| value.value.as_ref().map_or(0, Vec::len) + 32).sum();
        let fits = self.portal_bytes + values <= MAX_KEPT;
        let parameters = Parameters {
            values: if fits { bound.values } else { Vec::new() },
            types: Vec::new(),
            truncated: bound.truncated || !fits,
        };
        let bytes = if fits { values } else { 0 };
        self.portal_bytes += bytes;
        let portal = Portal {
            prepared: known,
            prepared_name,
            parameters: Some(parameters),
            bytes,
            first_seq,
            statement: None,
            suspended: None,
            result_formats: bound.result_formats,
        };
        self.portals.insert(id, portal);
        self.portal_names.intend(&name, id, Some(id));
        self.queue.push_back(Waiting::Bind { name, id });
    }

    fn execute(&mut self, seq: u64, reader: &mut Reader<'_>, out: &mut Vec<Event>) {
        let name = reader.name();
        let id = self.portal_names.get(&name).filter(|id| self.portals.contains_key(id));
        let known = id.and_then(|id| self.portals.get(&id));
        // Where names are not known, only rows that were left to fetch say that it is the same statement.
        let goes_on = |portal: &&Portal| !self.omitting || portal.suspended.is_some();
        if let Some((portal, statement)) = id.zip(known.filter(goes_on).and_then(|portal| portal.statement)) {
            // More rows of what has been started.
            self.queue.push_back(Waiting::Execute {
                statement,
                portal: Some(portal),
                control: Some(Control::Other),
                rows: 0,
            });
            return;
        }
        let mut started = self.start(seq);
        let mut control = None;
        match id {
            Some(id) => control = self.start_portal(id, &mut started),
            None if self.omitting => {}
            None => started.request = Request::Name(name),
        }
        let statement = started.statement;
        out.push(Event::Started(started));
        self.queue.push_back(Waiting::Execute { statement, portal: id, control, rows: 0 });
    }

    /// A statement that begins with the frame in hand.
    pub(super) fn start(&mut self, first_seq: u64) -> Started {
        self.statements += 1;
        Started {
            statement: self.statements,
            at: self.at,
            first_seq,
            last_seq: self.seq,
            request: self.request_of_text(),
            text: "".into(),
            part: 0,
            parameters: None,
            truncated: false,
        }
    }

    fn request_of_text(&self) -> Request {
        if self.omitting { Request::Omitted } else { Request::Text }
    }

    /// Fills in what a portal binds together.
    pub(super) fn start_portal(&mut self, id: u64, started: &mut Started) -> Option<Control> {
        let portal = self.portals.get_mut(&id)?;
        portal.statement = Some(started.statement);
        started.first_seq = portal.first_seq;
        started.parameters = portal.parameters.take();
        self.portal_bytes -= std::mem::take(&mut portal.bytes);
        let Some(prepared) = portal.prepared.and_then(|prepared| self.prepared.get(&prepared)) else {
            if !self.omitting {
                started.request = Request::Name(portal.prepared_name.clone());
            }
            return None;
        };
        started.text = prepared.text.clone();
        started.truncated = prepared.truncated;
        if let Some(parameters) = &mut started.parameters {
            parameters.types.clone_from(&prepared.types);
        }
        prepared.control.clone()
    }

    fn function(&mut self, seq: u64, reader: &mut Reader<'_>, cut: bool, out: &mut Vec<Event>) {
        let mut started = self.start(seq);
        if !self.omitting {
            started.request = Request::Function(reader.u32().unwrap_or(0));
        }
        let (values, truncated) = message::values(reader, cut);
        started.parameters = Some(Parameters { values, types: Vec::new(), truncated });
        self.queue.push_back(Waiting::Function { statement: started.statement, answered: false });
        self.segment = self.seq;
        out.push(Event::Started(started));
    }
}
