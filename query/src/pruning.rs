//! From the filters of a plan to what the catalog can prune by.
//!
//! Invariant: what is read here only ever narrows the choice of files to those that may hold matching rows; every
//! filter is applied again to the rows. What is not understood narrows nothing.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use hansard_lake::catalog::FileFilter;
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::outcomes;
use crate::table::LakeTable;

/// What a plan reads of one table.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    pub(crate) table: Table,
    /// What all its scans of the table agree on.
    pub(crate) filter: FileFilter,
    /// It shows outcomes.
    pub(crate) outcomes: bool,
}

/// The tables of the lake that a plan reads.
pub(crate) fn scans(plan: &LogicalPlan) -> Vec<Scan> {
    let mut found: Vec<Scan> = Vec::new();
    let walk = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<LakeTable>()
        {
            let filter = table.narrowed(filter(table.table(), &scan.filters));
            let (table, outcomes) = (table.table(), outcomes::shown(table.table(), scan.projection.as_deref()));
            match found.iter_mut().find(|other| other.table == table) {
                Some(other) => {
                    other.filter = union(&other.filter, &filter);
                    other.outcomes |= outcomes;
                }
                None => found.push(Scan { table, filter, outcomes }),
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walk.is_ok(), "the closure returns no error");
    found
}

/// What a conjunction of filters says that the catalog can use.
pub(crate) fn filter(table: Table, filters: &[Expr]) -> FileFilter {
    let mut out = FileFilter { table: Some(table), ..FileFilter::default() };
    for filter in filters.iter().flat_map(split_conjunction) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (bare(left), bare(right)) {
                (Expr::Column(column), Expr::Literal(value, _)) => narrow(&mut out, table, &column.name, *op, value),
                (Expr::Literal(value, _), Expr::Column(column)) => {
                    if let Some(op) = op.swap() {
                        narrow(&mut out, table, &column.name, op, value);
                    }
                }
                _ => {}
            },
            Expr::Between(between) if !between.negated => {
                if let (Expr::Column(column), Expr::Literal(low, _), Expr::Literal(high, _)) =
                    (bare(&between.expr), bare(&between.low), bare(&between.high))
                {
                    narrow(&mut out, table, &column.name, Operator::GtEq, low);
                    narrow(&mut out, table, &column.name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
        if table == Table::Touches {
            match one_of(filter) {
                Some(("relation", relations)) => out.relations = Some(relations),
                Some(("operation", operations)) => out.operations = Some(operations),
                _ => {}
            }
        }
    }
    out
}

/// The texts of which a column must be one: `=`, `IN`, and `OR` between them.
fn one_of(expr: &Expr) -> Option<(&str, Vec<String>)> {
    fn text(expr: &Expr) -> Option<String> {
        match bare(expr) {
            Expr::Literal(value, _) => value.try_as_str()?.map(str::to_owned),
            _ => None,
        }
    }
    match bare(expr) {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((a, mut texts), (b, more)) = (one_of(left)?, one_of(right)?);
            texts.extend(more);
            (a == b).then_some((a, texts))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (bare(left), bare(right)) {
            (Expr::Column(column), other) | (other, Expr::Column(column)) => Some((&column.name, vec![text(other)?])),
            _ => None,
        },
        Expr::InList(list) if !list.negated => match bare(&list.expr) {
            Expr::Column(column) => Some((&column.name, list.list.iter().map(text).collect::<Option<_>>()?)),
            _ => None,
        },
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn narrow(out: &mut FileFilter, table: Table, column: &str, op: Operator, value: &ScalarValue) {
    if column == table.time_column() {
        if let Some(at) = instant(value) {
            let (from, to) = match op {
                Operator::Eq => (Some(at), Some(at)),
                Operator::Gt => (Some(at.saturating_add(1)), None),
                Operator::GtEq => (Some(at), None),
                Operator::Lt => (None, Some(at.saturating_sub(1))),
                Operator::LtEq => (None, Some(at)),
                _ => (None, None),
            };
            out.at_from = out.at_from.max(from);
            out.at_to = match (out.at_to, to) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        return;
    }
    let Some(Some(text)) = value.try_as_str() else { return };
    if op != Operator::Eq {
        return;
    }
    match column {
        "target" => out.target = Some(text.to_owned()),
        "session_id" => out.session_id = Uuid::parse_str(text).ok().filter(|id| id.to_string() == text),
        _ => {}
    }
}

fn instant(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampNanosecond(at, _) => *at,
        ScalarValue::TimestampMicrosecond(at, _) => at.and_then(|at| at.checked_mul(1_000)),
        ScalarValue::TimestampMillisecond(at, _) => at.and_then(|at| at.checked_mul(1_000_000)),
        ScalarValue::TimestampSecond(at, _) => at.and_then(|at| at.checked_mul(1_000_000_000)),
        _ => None,
    }
}

/// What holds for rows that pass either.
fn union(a: &FileFilter, b: &FileFilter) -> FileFilter {
    fn same<T: Clone + PartialEq>(a: &Option<T>, b: &Option<T>) -> Option<T> {
        if a == b { a.clone() } else { None }
    }
    FileFilter {
        table: a.table,
        at_from: a.at_from.zip(b.at_from).map(|(a, b)| a.min(b)),
        at_to: a.at_to.zip(b.at_to).map(|(a, b)| a.max(b)),
        relations: same(&a.relations, &b.relations),
        operations: same(&a.operations, &b.operations),
        session_id: same(&a.session_id, &b.session_id),
        sessions: same(&a.sessions, &b.sessions),
        target: same(&a.target, &b.target),
        ended: same(&a.ended, &b.ended),
        lost: same(&a.lost, &b.lost),
        began_to: same(&a.began_to, &b.began_to),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn at(nanoseconds: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(nanoseconds), Some("+00:00".into())))
    }

    #[test]
    fn conjunctions_narrow_and_the_rest_does_not() {
        let id = Uuid::from_u128(7);
        let expr = col("relation")
            .eq(lit("public.rankings"))
            .and(lit("update").eq(col("operation")))
            .and(col("at").gt(at(10)))
            .and(col("at").between(at(5), at(90)))
            .and(at(80).gt(col("at")))
            .and(col("session_id").eq(lit(id.to_string())))
            .and(col("target").eq(lit("a")).or(col("target").eq(lit("b"))));
        let filter = filter(Table::Touches, &[expr]);
        assert_eq!((filter.at_from, filter.at_to), (Some(11), Some(79)));
        assert_eq!(filter.relations.unwrap(), ["public.rankings"]);
        assert_eq!(filter.operations.unwrap(), ["update"]);
        assert_eq!(filter.session_id, Some(id));
        assert_eq!(filter.target, None);
    }

    #[test]
    fn columns_of_other_meaning_do_not_prune() {
        let filter = filter(
            Table::Statements,
            &[col("operation").eq(lit("update")), col("committed_at").gt(at(3)), col("target").not_eq(lit("a"))],
        );
        assert_eq!((filter.operations, filter.at_from, filter.target), (None, None, None));
    }

    #[test]
    fn one_of_several_relations_narrows() {
        let narrowed = |expr: Expr| filter(Table::Touches, &[expr]).relations;
        let (relation, both) = (|| col("relation"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(narrowed(relation().eq(lit("a")).or(lit("b").eq(relation()))), both);
        assert_eq!(narrowed(relation().in_list(vec![lit("a"), lit("b")], false)), both);
        assert_eq!(narrowed(relation().in_list(vec![lit("a"), lit("b")], true)), None);
        assert_eq!(narrowed(relation().eq(lit("a")).or(col("job").eq(lit("b")))), None);
        assert_eq!(narrowed(relation().eq(lit("a")).or(relation().gt(lit("b")))), None);
    }

    #[test]
    fn two_scans_of_one_table_keep_what_they_share() {
        let a = filter(Table::Touches, &[col("relation").eq(lit("x")), col("at").gt_eq(at(5)), col("at").lt_eq(at(6))]);
        let b = filter(Table::Touches, &[col("relation").eq(lit("y")), col("at").gt_eq(at(3))]);
        let both = union(&a, &b);
        assert_eq!((both.relations, both.at_from, both.at_to), (None, Some(3), None));
    }
}
