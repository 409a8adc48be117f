//! Which rows of `transactions` a plan needs, known only once it runs.
//!
//! Invariant: what is left out is no end of a wanted transaction, and says nothing about prepared ones.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, IsNotNullExpr, in_list, lit,
};
use hansard_schemas::lake::Table;
use uuid::Uuid;

use super::facts::Key;

/// Most sessions that are looked for by name; of more, all rows are read.
const MOST_SESSIONS: usize = 256;

/// A filter over table `transactions` that is narrowed before its rows are read.
#[derive(Debug, Clone)]
pub(super) struct Needed(pub(super) Arc<DynamicFilterPhysicalExpr>);

impl Needed {
    /// All rows, for the time being.
    pub(super) fn new() -> Result<Needed> {
        let columns = vec![column("session_id")?, column("gid")?];
        Ok(Needed(Arc::new(DynamicFilterPhysicalExpr::new(columns, lit(true)))))
    }

    /// Those of these transactions' sessions, and all that have to do with prepared ones.
    pub(super) fn narrow(&self, transactions: &HashSet<Key>) -> Result<()> {
        let sessions: HashSet<Uuid> = transactions.iter().map(|(session, _)| *session).collect();
        if sessions.len() <= MOST_SESSIONS {
            let named: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(column("gid")?));
            let wanted = sessions.into_iter().map(|session| lit(session.to_string())).collect::<Vec<_>>();
            self.0.update(match wanted.is_empty() {
                true => named,
                false => {
                    let wanted = in_list(column("session_id")?, wanted, &false, &Table::Transactions.schema())?;
                    Arc::new(BinaryExpr::new(named, Operator::Or, wanted))
                }
            })?;
        }
        self.0.mark_complete();
        Ok(())
    }
}

fn column(name: &str) -> Result<Arc<dyn PhysicalExpr>> {
    Ok(Arc::new(Column::new(name, Table::Transactions.schema().index_of(name)?)))
}
