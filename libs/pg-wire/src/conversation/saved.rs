//! A conversation with other texts: numbers in their place are saved, and texts are read again where it goes on.

use super::{Conversation, Current, Executed, Portal, Prepared, Request, Started};

impl<T> Conversation<T> {
    /// The same with every text replaced.
    pub fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Conversation<U> {
        Conversation {
            ready: self.ready,
            at: self.at,
            seq: self.seq,
            statements: self.statements,
            transactions: self.transactions,
            transaction: self.transaction.clone(),
            exchange: self.exchange.clone(),
            waiting_bytes: self.waiting_bytes,
            current: self.current.as_ref().map(|current| Current {
                statement: current.statement,
                began: current.began,
                does: current.does.as_ref().map(|does| does.map(text)),
                portal: current.portal.clone(),
                columns: current.columns.clone(),
                ending: current.ending,
            }),
            answered: self.answered,
            text: self.text.as_ref().map(&mut *text),
            lost: self.lost.clone(),
            segment: self.segment,
            uses: self.uses,
            code_ran: self.code_ran,
            prepared: self.prepared.iter().map(|(name, prepared)| (name.clone(), prepared.map(text))).collect(),
            prepared_bytes: self.prepared_bytes,
            prepared_by_use: self.prepared_by_use.clone(),
            portals: self.portals.iter().map(|(name, portal)| (name.clone(), portal.map(text))).collect(),
            portal_bytes: self.portal_bytes,
            portal_texts: self.portal_texts,
            portals_by_bind: self.portals_by_bind.clone(),
            suspended: self.suspended.clone(),
            cursors: self.cursors.iter().map(|(name, declared)| (name.clone(), declared.map(text))).collect(),
            cursor_texts: self.cursor_texts,
            settings: self.settings.clone(),
            partial: self.partial.clone(),
            columns: self.columns,
            fatal: self.fatal,
            omitting: self.omitting,
            omitted_portals: self.omitted_portals,
            copied_in: self.copied_in,
            contradictions: self.contradictions,
        }
    }
}

impl<T> Executed<T> {
    fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Executed<U> {
        Executed {
            text: text(&self.text),
            part: self.part,
            prepared_in_sql: self.prepared_in_sql,
            prepared: self.prepared,
            bound: self.bound,
        }
    }
}

impl<T> Prepared<T> {
    fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Prepared<U> {
        Prepared {
            text: self.text.map(text),
            truncated: self.truncated,
            types: self.types.clone(),
            seq: self.seq,
            used: self.used,
            since: self.since,
            bytes: self.bytes,
            columns: self.columns.clone(),
        }
    }
}

impl<T> Portal<T> {
    fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Portal<U> {
        Portal {
            text: self.text.as_ref().map(|executed| executed.map(text)),
            truncated: self.truncated,
            prepared_name: self.prepared_name.clone(),
            bound_at: self.bound_at,
            since: self.since,
            parameters: self.parameters.clone(),
            bytes: self.bytes,
            first_seq: self.first_seq,
            statement: self.statement,
            suspended: self.suspended,
            finished: self.finished,
            columns: self.columns.clone(),
            formats: self.formats.clone(),
        }
    }
}

impl<T> Started<T> {
    /// The same with every text replaced.
    pub fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Started<U> {
        Started {
            statement: self.statement,
            at: self.at,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            request: match &self.request {
                Request::Text { own, executes, again } => Request::Text {
                    own: own.map(text),
                    executes: executes.as_ref().map(|inner| inner.map(text)),
                    again: *again,
                },
                Request::Again(own) => Request::Again(own.map(text)),
                Request::Unforeseen { text: whole, before } => {
                    Request::Unforeseen { text: text(whole), before: *before }
                }
                Request::Name(name) => Request::Name(name.clone()),
                Request::Function(oid) => Request::Function(*oid),
                Request::Omitted => Request::Omitted,
            },
            parameters: self.parameters.clone(),
            truncated: self.truncated,
            doubt: self.doubt,
        }
    }
}
