//! What a statement does, by its text and by the catalog.

use std::borrow::Cow;
use std::sync::Arc;

use hansard_pg_wire::conversation::{Executed, Moment, Request};
use hansard_policy::{Effect, Name, Operation, Statement};
use uuid::Uuid;

use super::reaches::{Asked, Kept, Reaches, reaches};
use crate::analyses::SqlText;
use crate::catalogs::Known;
use crate::command;
use crate::names::Names;

/// What a statement does, as far as its text and the catalog tell.
pub(super) struct Does<'a> {
    pub(super) operation: Operation,
    /// As it stands in column `sql`.
    pub(super) sql: Arc<str>,
    pub(super) fingerprint: Option<Arc<str>>,
    pub(super) touches: Vec<Touches>,
    /// The touches are certainly those.
    pub(super) certain: bool,
    /// Why it is not, or not wholly, understood.
    pub(super) opaque: Option<Cow<'a, str>>,
    /// It is opaque for a function that it calls.
    pub(super) calls: bool,
    /// What stands behind the name that it executes, or fetches from.
    pub(super) executed: Option<Arc<str>>,
    /// Another statement has the whole of the text.
    pub(super) repeated: bool,
    /// It is not known what it did.
    unseen: bool,
    /// What it changes in the session: itself, and what it executes.
    pub(super) effects: Vec<(&'a Statement, Arc<Reaches>)>,
}

/// What a statement's text, or that of one which it executes, touches.
pub(super) struct Touches {
    pub(super) reaches: Arc<Reaches>,
    pub(super) counted: bool,
    /// What it names was told before: only what its code reaches counts.
    pub(super) only_code: bool,
    /// What it changes of names is not among the effects.
    pub(super) unseen: bool,
}

/// It changes settings that names depend on, or might.
fn changes_settings(statement: &Statement) -> bool {
    !statement.settings.is_empty()
        || !statement.bound_settings.is_empty()
        || matches!(
            statement.effect,
            Effect::SearchPath { .. } | Effect::Setting { .. } | Effect::ResetAll | Effect::Discard { .. }
        )
}

/// What a session's texts are understood by.
pub(super) struct Reader<'a> {
    pub(super) names: &'a Names,
    pub(super) known: Option<&'a mut Known>,
    pub(super) kept: &'a mut Kept,
    pub(super) session_id: Uuid,
    /// When the server looked names up at the earliest that it had not looked up before.
    pub(super) began: Moment,
}

impl Reader<'_> {
    pub(super) fn of(&mut self, executed: &Executed<SqlText>) -> Arc<Reaches> {
        let looked_up = executed.prepared.unwrap_or(self.began);
        self.kept.of(executed, (looked_up, self.began), self.names, self.known.as_deref_mut(), self.session_id)
    }

    fn asked(&mut self, asked: &Asked<'_>) -> Arc<Reaches> {
        Arc::new(reaches(self.names, self.known.as_deref_mut(), self.session_id, asked, Some(self.began.at)))
    }
}

impl<'a> Does<'a> {
    fn unknown(operation: Operation, sql: Arc<str>, reason: impl Into<Cow<'a, str>>) -> Does<'a> {
        Does {
            operation,
            sql,
            fingerprint: None,
            touches: Vec::new(),
            certain: false,
            opaque: Some(reason.into()),
            calls: false,
            executed: None,
            repeated: false,
            unseen: true,
            effects: Vec::new(),
        }
    }

    pub(super) fn of(request: &'a Request<SqlText>, reader: &mut Reader<'_>) -> Does<'a> {
        match request {
            Request::Text { own, executes, again } => Does::of_text(own, executes.as_ref(), *again, reader),
            Request::Again(own) => {
                // What it has run is done; functions are called again for each row that is left.
                let mut does = Does::of_text(own, None, true, reader);
                does.touches.iter_mut().for_each(|touches| touches.only_code = true);
                does.effects.clear();
                does
            }
            Request::Unforeseen { text, before } => {
                let first = &text.statement(0).meaning.statement;
                let reason = match &first.opaque {
                    Some(reason) => reason.as_str(),
                    None => "the server answered more statements than its text holds",
                };
                let mut does = Does::unknown(Operation::Opaque, text.sql().clone(), reason);
                if *before == 0 {
                    does.hint(first, reader);
                }
                // The first one has the whole text.
                does.repeated = *before > 0;
                does
            }
            Request::Name(name) => {
                let reason = format!("what stands behind the name \"{name}\" is not known");
                Does::unknown(Operation::Execute, "".into(), reason)
            }
            Request::Function(oid) => {
                let sql = format!("function call {oid}").into();
                let mut does = Does::unknown(Operation::Call, sql, "a function was called by its OID");
                if reader.known.is_some() {
                    let reaches = reader.asked(&Asked::Call(*oid));
                    does.touches.push(Touches { reaches, counted: false, only_code: false, unseen: true });
                    (does.certain, does.opaque, does.unseen) = (true, None, false);
                }
                does
            }
            Request::Omitted => Does::unknown(Operation::Opaque, "".into(), "its text is not recorded"),
        }
    }

    fn of_text(
        own: &'a Executed<SqlText>,
        executes: Option<&'a Executed<SqlText>>,
        again: bool,
        reader: &mut Reader<'_>,
    ) -> Does<'a> {
        let analysed = own.text.statement(own.part);
        let statement = meant(own);
        let reaches = reader.of(own);
        let mut does = Does {
            operation: statement.operation,
            sql: analysed.sql.clone(),
            fingerprint: analysed.meaning.fingerprint.clone(),
            touches: vec![Touches { reaches: reaches.clone(), counted: true, only_code: false, unseen: false }],
            certain: true,
            opaque: reason(statement, reader),
            calls: false,
            executed: executes.map(|executed| executed.text.statement(executed.part).sql.clone()),
            repeated: false,
            unseen: statement.operation == Operation::Opaque,
            effects: vec![(statement, reaches)],
        };
        if statement.operation == Operation::Opaque {
            does.hint(statement, reader);
        }
        if let Some(executed) = executes {
            let inner = meant(executed);
            let fetches = matches!(statement.effect, Effect::Fetch(_));
            // EXPLAIN ANALYZE EXECUTE and CREATE TABLE AS EXECUTE count rows of their own.
            let counted = does.operation == Operation::Execute;
            if counted {
                does.operation = inner.operation;
            }
            let reaches = reader.of(executed);
            // What is fetched was read before; what it calls is called again.
            does.touches.push(Touches {
                reaches: reaches.clone(),
                counted,
                only_code: fetches && again,
                unseen: fetches,
            });
            // A query that changes settings may have come to it or not.
            does.unseen |=
                fetches && (changes_settings(inner) || (reader.known.is_none() && inner.may_change_settings));
            if !fetches {
                does.effects.push((inner, reaches));
            }
            if !(fetches && again) {
                does.opaque = reason(inner, reader);
            }
        } else if let Effect::Execute(name) = &statement.effect {
            does.opaque = Some(format!("what was prepared as \"{name}\" is not known").into());
            does.unseen = true;
        }
        if reader.known.is_none() {
            // EXECUTE calls the functions among its arguments itself.
            does.runs_code_of_others(statement);
            if let Some(inner) = executes {
                does.runs_code_of_others(meant(inner));
            }
        }
        does
    }

    /// A function that is not PostgreSQL's own may do anything, to any relation, as long as no catalog tells what it does.
    fn runs_code_of_others(&mut self, statement: &Statement) {
        if self.opaque.is_none() && !matches!(statement.effect, Effect::Prepare { .. }) {
            let others = |name: &&Name| !hansard_policy::is_built_in(name) && name.name != "set_config";
            if let Some(name) = statement.functions.iter().find(others) {
                self.opaque = Some(format!("it calls {name}, which may do anything").into());
                self.calls = true;
            }
        }
    }

    /// What its first words say of a statement that is not understood.
    fn hint(&mut self, statement: &Statement, reader: &mut Reader<'_>) {
        self.certain = false;
        if let Some((operation, name)) = &statement.head {
            let reaches = reader.asked(&Asked::Head(*operation, name));
            self.touches = vec![Touches { reaches, counted: false, only_code: false, unseen: false }];
        }
    }

    /// The server answered something else than what the text asks for.
    pub(super) fn contradicted(&mut self, words: &str) {
        let reason = format!("the server answered {words}, which does not fit the text");
        (self.certain, self.opaque) = (false, Some(reason.into()));
    }

    /// It is not known what it did, so it may have changed what names mean: it is no text that is understood, it was called
    /// by its number, or rows were fetched of a query that changes settings.
    pub(super) fn may_change_names_unseen(&self) -> bool {
        self.unseen
            || self.touches.iter().filter(|touches| touches.unseen).any(|touches| {
                let reached = touches.reaches.reached.as_ref();
                reached.is_some_and(|reached| reached.may_change_settings || reached.may_change_names)
            })
    }

    /// Its effects, where it has any, are on names.
    pub(super) fn may_change_names(&self, effects: &[(&Statement, Arc<Reaches>)]) -> bool {
        effects.iter().any(|(statement, reaches)| {
            let reached = match &reaches.reached {
                Some(reached) => reached.may_change_settings || reached.may_change_names,
                None => statement.may_change_settings,
            };
            reached || changes_settings(statement) || !statement.names.is_empty()
        })
    }

    /// It may have done something to a relation that its text does not tell.
    pub(super) fn may_touch(&self) -> bool {
        self.opaque.is_some() && command::touches_relations(self.operation)
    }
}

/// The statement itself, or what it prepares.
fn meant(executed: &Executed<SqlText>) -> &Statement {
    executed.text.statement(executed.part).meaning.of(executed.prepared_in_sql)
}

/// Why it is not, or not wholly, understood, unless the catalog tells.
fn reason<'a>(statement: &'a Statement, reader: &Reader<'_>) -> Option<Cow<'a, str>> {
    let told = statement.opaque_without_catalog && reader.known.is_some();
    statement.opaque.as_deref().filter(|_| !told).map(Cow::Borrowed)
}
