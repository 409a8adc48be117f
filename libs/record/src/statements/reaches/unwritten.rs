//! What may run code though it writes nothing: rows that are read through views and policies, and expressions that definitions
//! and maintenance evaluate.

use hansard_policy::catalog::TEMPORARY;
use hansard_policy::reach::{Touched, Via};
use hansard_policy::{Name, Operation, Statement};
use uuid::Uuid;

use crate::catalogs::Known;
use crate::names::{InSession, Names};

/// What a statement reads and evaluates.
pub(super) struct Unwritten<'a> {
    /// There is something of that kind.
    pub(super) any: bool,
    /// What is being changed of it.
    pub(super) moving: Option<&'a str>,
    /// A temporary relation of it, of which the catalog tells nothing.
    pub(super) temporary: Option<&'a Name>,
    /// How code is reached that it may run.
    pub(super) via: Option<Via>,
}

impl<'a> Unwritten<'a> {
    pub(super) fn new(
        touched: &'a [Touched],
        statement: Option<&Statement>,
        names: &Names,
        known: Option<&'a Known>,
        session: &InSession<'_>,
    ) -> Unwritten<'a> {
        let rewrites = statement.is_some_and(|statement| statement.rewrites);
        let all = statement.is_some_and(|statement| statement.maintains_all);
        // The partition that it makes itself is known.
        let attaches = statement.is_some_and(|statement| statement.attaches.may_be("partition"));
        let evaluates = |touched: &Touched| match touched.operation {
            Operation::Maintenance => true,
            Operation::Ddl => rewrites,
            _ => false,
        };
        let of = |matters: &dyn Fn(&Touched) -> bool| -> Vec<(&'a Touched, &'a Name)> {
            let named = |touched: &'a Touched| Some((touched, touched.relation.as_ref()?));
            let all = touched.iter().filter(|touched| matters(touched)).filter_map(named);
            all.filter(|(_, name)| !session.is_bare(name)).collect()
        };
        let (read, evaluated) = (of(&is_read), of(&evaluates));
        let is_temporary = |name: &Name| name.schema.as_deref().is_none_or(|schema| schema == TEMPORARY);
        let shown = read.iter().find(|(_, name)| is_temporary(name) && !names.is_temporary_table(&name.name));
        let kept = evaluated.iter().find(|(_, name)| is_temporary(name) && !names.is_plain_temporary(&name.name));
        let any_temporary = names.attached_to_temporary();
        let moving = known.and_then(|known| {
            let read = read.iter().map(|(_, name)| &*name.name).find(|name| known.is_shown_otherwise(name));
            let with_ancestors = |(touched, name): &(&'a Touched, &'a Name)| {
                let ancestors = touched.oid.map(|oid| known.ancestors(oid)).unwrap_or_default();
                std::iter::once(&*name.name).chain(ancestors)
            };
            let evaluated = || {
                let mut names = evaluated.iter().flat_map(with_ancestors);
                names.find(|name| known.is_evaluated_otherwise(name, attaches))
            };
            // Whatever is being changed may have indexes.
            let any = || {
                let any = all && (session.is_ahead() || any_temporary || known.is_anything_changing(Uuid::nil()));
                any.then_some("any table")
            };
            read.or_else(evaluated).or_else(any)
        });
        let any = !read.is_empty() || !evaluated.is_empty() || all;
        let via = any.then_some(if read.is_empty() { Via::Function } else { Via::View });
        let temporary = shown.or(kept).filter(|_| any_temporary).map(|(_, name)| *name);
        Unwritten { any, moving, temporary, via }
    }
}

/// Rows of it are read, or it is planned to read them: code of a view or a policy may run for it. Those of PostgreSQL's own
/// run none.
fn is_read(touched: &Touched) -> bool {
    let asks =
        matches!(touched.operation, Operation::Select | Operation::CopyOut | Operation::Lock | Operation::Explain);
    let of_own = |name: &Name| matches!(name.schema.as_deref(), Some("pg_catalog" | "information_schema"));
    asks && touched.relation.as_ref().is_some_and(|name| !of_own(name))
}
