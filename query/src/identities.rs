//! Table `identities`: who has shown a valid token, and who was refused although its issuer vouches for it.
//!
//! Invariant: a view over `sessions`, nothing more; so it sees the same moment.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::functions_aggregate::expr_fn::{count, count_distinct, max, min, sum};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::prelude::{col, lit, when};
use hansard_schemas::lake::Table;

use crate::table::LakeTable;
use crate::view::View;

/// Its name.
pub(crate) const NAME: &str = "identities";

/// One row for each issuer, subject and job: a subject may run several jobs, and two issuers may have one subject.
pub(crate) fn table(view: &Arc<View>) -> Result<ViewTable> {
    let sessions = provider_as_source(Arc::new(LakeTable::new(Table::Sessions, Arc::clone(view))));
    let refused = || col("auth_failure").is_not_null();
    let of = |condition: Expr| -> Result<Expr> { Ok(count(when(condition, lit(1_i64)).end()?)) };
    let plan = LogicalPlanBuilder::scan(Table::Sessions.name(), sessions, None)?
        // Whoever nobody vouches for has no name; Hansard's own sessions have no issuer.
        .filter(col("issuer").not_eq(lit("")))?
        .aggregate(
            [col("job"), col("subject"), col("issuer")],
            [
                min(col("opened_at")).alias("first_seen"),
                max(col("opened_at")).alias("last_seen"),
                of(col("auth_failure").is_null())?.alias("sessions"),
                of(refused().is_false().and(col("closed_at").is_null()))?.alias("open"),
                of(refused())?.alias("refused"),
                sum(col("statements")).alias("statements"),
                sum(col("errors")).alias("errors"),
                count_distinct(col("target")).alias("targets"),
            ],
        )?
        .project([
            col("job"),
            col("subject"),
            col("issuer"),
            col("first_seen"),
            col("last_seen"),
            col("sessions"),
            col("open"),
            col("refused"),
            col("statements"),
            col("errors"),
            col("targets"),
        ])?
        .build()?;
    Ok(ViewTable::new(plan, None))
}
