//! How heavy a question is, told from its plan and the numbers of rows that its tables have in its view.
//!
//! Invariant: what is small reads and joins at most so many rows, whatever is in them. What is not understood is heavy.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, TableScan};
use hansard_schemas::lake::Table;

use crate::hot::Chunk;
use crate::lanes::Weight;
use crate::table::LakeTable;
use crate::view::View;

/// Most steps of a small question; a step is about a row that is read, or two that are compared.
const SMALL: u64 = 2_000_000;

/// A frame may have 64 KiB; other rows are mostly some hundred bytes.
const FRAME: u64 = 8;

/// Whether a plan, optimized, is small.
pub(crate) fn weight(plan: &LogicalPlan, view: &View) -> Weight {
    let mut steps = 0_u64;
    let walk = plan.apply_with_subqueries(|node| {
        steps = steps.saturating_add(match node {
            LogicalPlan::RecursiveQuery(_) | LogicalPlan::Unnest(_) => u64::MAX,
            LogicalPlan::Join(join) => joined(join, view),
            LogicalPlan::TableScan(_) => most_rows(node, view),
            // Each row may look at all others.
            LogicalPlan::Window(window) => {
                let rows = most_rows(&window.input, view);
                rows.saturating_mul(rows)
            }
            _ => 0,
        });
        let holds_subquery = node.expressions().iter().any(has_correlated_subquery);
        if holds_subquery {
            steps = u64::MAX;
        }
        Ok(if steps > SMALL { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    if walk.is_err() || steps > SMALL { Weight::Heavy } else { Weight::Small }
}

/// The optimizer makes joins of most; what it leaves is run for each row.
fn has_correlated_subquery(expression: &Expr) -> bool {
    expression
        .exists(|part| {
            Ok(match part {
                Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
                Expr::Exists(exists) => !exists.subquery.outer_ref_columns.is_empty(),
                Expr::InSubquery(query) => !query.subquery.outer_ref_columns.is_empty(),
                _ => false,
            })
        })
        .unwrap_or(true)
}

/// Statements have one row each, and few touches: a join on a statement's whole key finds few rows for each.
fn joined(join: &Join, view: &View) -> u64 {
    let (left, right) = (most_rows(&join.left, view), most_rows(&join.right, view));
    let by = |name: &str| {
        join.on.iter().any(|(left, right)| {
            let named = |side: &Expr| matches!(side, Expr::Column(column) if column.name == name);
            named(left) && named(right)
        })
    };
    let one_each =
        by("session_id") && (by("statement_no") || reads_only_sessions(&join.left) || reads_only_sessions(&join.right));
    if one_each { left.saturating_add(right) } else { left.saturating_mul(right) }
}

/// A session has one row in table `sessions`.
fn reads_only_sessions(plan: &LogicalPlan) -> bool {
    let mut only = true;
    let walk = plan.apply(|node| {
        match node {
            LogicalPlan::TableScan(scan) => only &= lake_table(scan) == Some(Table::Sessions),
            LogicalPlan::Join(_) | LogicalPlan::Union(_) => only = false,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    only && walk.is_ok()
}

fn lake_table(scan: &TableScan) -> Option<Table> {
    let provider = source_as_provider(&scan.source).ok()?;
    (provider.as_ref() as &dyn std::any::Any).downcast_ref::<LakeTable>().map(LakeTable::table)
}

/// No more rows than these come out of a plan.
fn most_rows(plan: &LogicalPlan, view: &View) -> u64 {
    match plan {
        LogicalPlan::TableScan(scan) => match lake_table(scan) {
            Some(table) => view.part(table).map_or(u64::MAX, |part| {
                let files = part.files.iter().map(|file| file.rows).sum::<u64>();
                let hot = part.hot.iter().map(Chunk::rows).sum::<usize>();
                let each = if table == Table::Frames { FRAME } else { 1 };
                files.saturating_add(hot as u64).saturating_mul(each)
            }),
            // Columns of the catalog are few; what else makes rows may make any number.
            None if scan.table_name.schema() == Some("information_schema") => 1_000,
            None => u64::MAX,
        },
        LogicalPlan::Join(join) => joined(join, view),
        LogicalPlan::RecursiveQuery(_) | LogicalPlan::Unnest(_) | LogicalPlan::Extension(_) => u64::MAX,
        LogicalPlan::Values(values) => values.values.len() as u64,
        LogicalPlan::EmptyRelation(_) => 1,
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => 1,
        other => other.inputs().into_iter().fold(0, |sum, input| sum.saturating_add(most_rows(input, view))),
    }
}
