//! The table functions: `who_touched`, `who_updated` and `session_steps`.
//!
//! Invariant: they are views over the lake's tables, nothing more; so they see the same moment, prune the same way
//! and can be joined, filtered and explained like any table.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::functions_aggregate::expr_fn::{count, max};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlanBuilder, cast};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::{col, ident, lit, not, when};
use hansard_policy::Operation;
use hansard_schemas::lake::Table;
use uuid::Uuid;

use crate::Error;
use crate::moment::{Moment, length_of};
use crate::names::{Asked, Called, Lacking, Meant, parse};
use crate::table::{LakeTable, Only};
use crate::view::View;

/// Makes the functions known to a session.
pub(crate) fn register(state: &mut SessionState, view: &Arc<View>, asked: &Arc<Asked>) {
    state.register_udtf("who_touched", Arc::new(WhoTouched(Arc::clone(view), Arc::clone(asked))));
    state.register_udtf("who_updated", Arc::new(WhoUpdated(Arc::clone(view), Arc::clone(asked))));
    state.register_udtf("looked_at", Arc::new(LookedAt(Arc::clone(view))));
    state.register_udtf("session_steps", Arc::new(SessionSteps(Arc::clone(view))));
}

/// `who_touched(relation, from, to [, operation])`: the columns of `touches` and the statement's `sql`, of the statements
/// that began in `[from, to)` and touched the relation, in the order of time. Rolled-back ones are there, and say so.
///
/// The relation is read as SQL reads it; without a schema it is that of the database's default path. `operation` may be several, with
/// commas between them, or `any`. What may have touched it is there too, and says so (`certainty`, `reason`): a
/// relation of that name whose schema was not known when it was recorded (`?.name`), a statement whose relations were not
/// known (`?`), or whose outcome is not. `from` and `to` are timestamps or texts ([`Moment`]); NULL is no bound. A text
/// in `to` with less than full precision includes its own last unit: up to `'2026-11-22'` means to the end of that day.
#[derive(Debug)]
struct WhoTouched(Arc<View>, Arc<Asked>);

impl TableFunctionImpl for WhoTouched {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Constants { arguments, now } = constants(&args)?;
        const USAGE: &str = "who_touched(relation, from, to [, operation])";
        let (relation, from, to, operation) = match &arguments[..] {
            [relation, from, to] => (relation, from, to, None),
            [relation, from, to, operation] => (relation, from, to, Some(operation)),
            _ => return Err(wrong(USAGE, "takes three or four arguments")),
        };
        let meant = meant(&self.1, relation, USAGE)?;
        let from = bound(from, USAGE, now, |moment| moment.from)?;
        let to = bound(to, USAGE, now, |moment| if moment.to - moment.from > 1 { moment.to } else { moment.from })?;
        let operations = operation.map(|operation| operations(operation, USAGE)).transpose()?.flatten();

        let touches = scan(Table::Touches, &self.0)?.filter(may_be(&meant))?.filter(is_meant(&meant))?;
        let mut touches = in_database(touches, &self.0, &meant)?;
        let mut statements = scan(Table::Statements, &self.0)?;
        if let Some(operations) = operations {
            touches = touches.filter(may_do(&operations))?.filter(does(&operations))?;
        }
        // A touch's `at` is its statement's `started_at`: the bounds prune both.
        if let Some(from) = from {
            touches = touches.filter(col("at").gt_eq(instant(from)))?;
            statements = statements.filter(col("started_at").gt_eq(instant(from)))?;
        }
        if let Some(to) = to {
            touches = touches.filter(col("at").lt(instant(to)))?;
            statements = statements.filter(col("started_at").lt(instant(to)))?;
        }
        let gaps = gaps(&self.0, &meant, from, to.map(|to| to.saturating_sub(1)))?;
        let plan = with_sql(touches, statements)?
            .project(touched(&meant)?)?
            .union(gaps.build()?)?
            .sort(["at", "session_id", "statement_no"].map(|name| ident(name).sort(true, false)))?;
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

/// `who_updated(relation, at [, window [, operation]])`: who updated the relation at that time, or did to it what `operation` says. The columns of `who_touched`.
///
/// An update counts that was committed in `[at - window, at + window]`; `at` is as long as its last unit, so that
/// `'2026-11-22T03:12Z'` covers that whole minute, whatever the window. What has no time of commit (its transaction is
/// 'open', or its outcome 'unknown') counts by the time of its statement, and says so. What was rolled back, or failed, is
/// not an update. A session with gaps in its record that was open then is there too, as statement 0 of relation `?`. The updates of `insert ... on conflict do update` and of `merge` are updates. One that found no row is
/// there, with 0 `rows`. Behind what is certain comes what may have updated the relation, with the reason. The window is a text such as `'30s'`, `'1m'` (without one) or `'2h'`, or an interval.
#[derive(Debug)]
struct WhoUpdated(Arc<View>, Arc<Asked>);

impl TableFunctionImpl for WhoUpdated {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Constants { arguments, now } = constants(&args)?;
        const USAGE: &str = "who_updated(relation, at [, window [, operation]])";
        let (relation, at, window, operation) = match &arguments[..] {
            [relation, at] => (relation, at, None, None),
            [relation, at, window] => (relation, at, Some(window), None),
            [relation, at, window, operation] => (relation, at, Some(window), Some(operation)),
            _ => return Err(wrong(USAGE, "takes two to four arguments")),
        };
        let meant = meant(&self.1, relation, USAGE)?;
        let operations = match operation {
            Some(operation) => operations(operation, USAGE)?,
            None => Some(vec!["update".to_owned()]),
        };
        let stretch = stretch(at, window, USAGE, now)?;
        let gaps = gaps(&self.0, &meant, Some(stretch.0), Some(stretch.1))?;
        let ended = Only::Ended(stretch.0, stretch.1);
        let (from, to) = (instant(stretch.0), instant(stretch.1));
        let latest = instant(stretch.1.saturating_add(CLOCK_STEP));
        let by_commit = col("committed_at").between(from.clone(), to.clone());
        let by_start = col("committed_at").is_null().and(col("at").between(from, to));
        // A commit comes after its statement: the upper bound prunes both. The lower one is when the transactions began
        // that ended then, which the catalog of the lake knows.
        let touches = scan_only(Table::Touches, &self.0, ended)?.filter(may_be(&meant))?.filter(is_meant(&meant))?;
        let mut touches = in_database(touches, &self.0, &meant)?;
        if let Some(operations) = operations {
            touches = touches.filter(may_do(&operations))?.filter(does(&operations))?;
        }
        let touches = touches
            .filter(col("at").lt_eq(latest.clone()))?
            .filter(col("transaction_outcome").not_eq(lit("rolled back")))?
            .filter(by_commit.or(by_start))?;
        let statements = scan_only(Table::Statements, &self.0, ended)?.filter(col("started_at").lt_eq(latest))?;
        let plan = with_sql(touches, statements)?
            .filter(column("statements", "sqlstate").is_null().or(outcome_is_unknown()))?
            .project(touched(&meant)?)?
            .union(gaps.build()?)?
            .sort(
                ["certainty", "committed_at", "at", "session_id", "statement_no"]
                    .map(|name| ident(name).sort(true, false)),
            )?;
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

/// What a function was called with.
struct Constants {
    arguments: Vec<Expr>,
    /// What is now for the whole question, UTC nanoseconds.
    now: i64,
}

/// Arguments may be computed: `now() - INTERVAL '10 minutes'`.
fn constants(args: &TableFunctionArgs<'_, '_>) -> Result<Constants> {
    let begun = args.session().execution_props().query_execution_start_time;
    let context = SimplifyContext::builder()
        .with_query_execution_start_time(begun)
        .with_config_options(Arc::clone(args.session().config().options()))
        .build();
    let simplifier = ExprSimplifier::new(context);
    let computed = |argument: &Expr| match argument {
        Expr::Literal(..) => Ok(argument.clone()),
        // What cannot be computed is told by its function.
        other => {
            let coerced = simplifier.coerce(other.clone(), &DFSchema::empty());
            Ok(coerced.and_then(|coerced| simplifier.simplify(coerced)).unwrap_or_else(|_| other.clone()))
        }
    };
    let arguments = args.exprs().iter().map(computed).collect::<Result<_>>()?;
    Ok(Constants { arguments, now: begun.and_then(|begun| begun.timestamp_nanos_opt()).unwrap_or(0) })
}

const MINUTE: i64 = 60_000_000_000;

/// How much earlier than its statement a commit may lie, by a clock that was set back in between, nanoseconds.
const CLOCK_STEP: i64 = MINUTE;

/// Touches, each with its statement.
fn with_sql(touches: LogicalPlanBuilder, statements: LogicalPlanBuilder) -> Result<LogicalPlanBuilder> {
    let keys =
        |table: &str| ["session_id", "statement_no"].map(|name| Column::new(Some(table.to_owned()), name)).to_vec();
    touches.join(statements.build()?, JoinType::Left, (keys("touches"), keys("statements")), None)
}

/// `looked_at(at [, window])`: what `who_updated` of that time looks at. A row for each target with sessions in the record that
/// were open then: how many, how many of them have gaps in the record, and when the catalog was read that was in force.
#[derive(Debug)]
struct LookedAt(Arc<View>);

impl TableFunctionImpl for LookedAt {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Constants { arguments, now } = constants(&args)?;
        const USAGE: &str = "looked_at(at [, window])";
        let (at, window) = match &arguments[..] {
            [at] => (at, None),
            [at, window] => (at, Some(window)),
            _ => return Err(wrong(USAGE, "takes one or two arguments")),
        };
        let (from, to) = stretch(at, window, USAGE, now)?;
        let (from, to) = (instant(from), instant(to));
        let sessions = scan(Table::Sessions, &self.0)?
            .filter(col("opened_at").lt_eq(to.clone()))?
            .filter(col("closed_at").is_null().or(col("closed_at").gt_eq(from)))?
            .aggregate(
                [col("target")],
                [count(col("session_id")).alias("sessions"), count(col("gaps")).alias("with_gaps")],
            )?
            .alias("s")?;
        let catalogs = scan(Table::Catalog, &self.0)?
            .filter(col("read_at").lt_eq(to))?
            .filter(col("kind").not_eq(lit("missing")))?
            .aggregate([col("target")], [max(col("read_at")).alias("catalog")])?
            .alias("c")?;
        let target = |table: &str| vec![Column::new(Some(table.to_owned()), "target")];
        let plan = sessions
            .join(catalogs.build()?, JoinType::Left, (target("s"), target("c")), None)?
            .project([
                from_table("s", "target"),
                from_table("s", "sessions"),
                from_table("s", "with_gaps"),
                from_table("c", "catalog"),
            ])?
            .sort([ident("target").sort(true, false)])?;
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

/// The stretch of time that `at` and a window mean, both ends in it.
fn stretch(at: &Expr, window: Option<&Expr>, usage: &str, now: i64) -> Result<(i64, i64)> {
    let at = moment(at, usage, now)?.ok_or_else(|| wrong(usage, "the time is NULL"))?;
    let window = window.map_or(Ok(MINUTE), |window| length(window, usage))?;
    Ok(around(at, window))
}

/// The nanoseconds, both ends in it, that a time and a window before and after it mean.
pub(crate) fn around(at: Moment, window: i64) -> (i64, i64) {
    (at.from.saturating_sub(window), at.from.saturating_add(window).max(at.to - 1))
}

/// What the record calls the relation that is asked for.
fn meant(asked: &Asked, relation: &Expr, usage: &str) -> Result<Meant> {
    asked.meant(&text(relation, usage)?).map_err(|error| wrong(usage, &error.to_string()))
}

/// Operations; `None`: any.
fn operations(argument: &Expr, usage: &str) -> Result<Option<Vec<String>>> {
    let text = text(argument, usage)?;
    let words: Vec<String> = text.split(',').map(|word| word.trim().to_lowercase()).collect();
    if words.iter().any(String::is_empty) {
        return Err(wrong(usage, &format!("'{text}' has a place without an operation")));
    }
    let known = || Operation::ALL.iter().map(|operation| operation.as_str());
    if let Some(word) = words.iter().find(|word| *word != "any" && !known().any(|known| known == *word)) {
        let known = known().collect::<Vec<_>>().join(", ");
        return Err(wrong(usage, &format!("'{word}' is no operation; those are {known}, and any")));
    }
    Ok((!words.iter().any(|word| word == "any")).then_some(words))
}

/// The columns of `touches`, and `sql`. Of a relation that was asked for, `certainty` says whether it is this one that was
/// touched and stayed so, and `reason` why that is not certain, or that the relation had another name then.
fn touched(meant: &Meant) -> Result<Vec<Expr>> {
    let schema = Table::Touches.schema();
    let relation = || column("touches", "relation");
    let among = |called: &[Called]| relation().in_list(called.iter().map(|one| lit(&*one.relation)).collect(), false);
    let both: Vec<Called> = meant.now.iter().chain(&meant.then).cloned().collect();
    let is_one = || among(&both);
    let reason = column("touches", "reason");
    let certainty = when(not(is_one()), lit("possible"))
        .when(column("touches", "certainty").eq(lit("possible")), lit("possible"))
        .when(outcome_is_unknown(), lit("possible"))
        .otherwise(lit("certain"))?;
    let formerly = not(among(&meant.now)).and(is_one());
    let reason = when(reason.clone().is_not_null(), reason)
        .when(relation().eq(lit(UNKNOWN_RELATION)), lit("its relations are not known"))
        .when(not(is_one()), lit("the relation's schema is not known"))
        .when(column("touches", "outcome_reason").is_not_null(), column("touches", "outcome_reason"))
        .when(outcome_is_unknown(), lit("what became of its transaction is not known"))
        .when(formerly, lit("the relation had this name then"))
        .end()?;
    let touches = schema.fields().iter().map(|field| match field.name().as_str() {
        name @ "certainty" => certainty.clone().alias(name),
        name @ "reason" => reason.clone().alias(name),
        name => from_table("touches", name),
    });
    Ok(touches.chain([from_table("statements", "sql")]).collect())
}

/// Touches of sessions at the database that is asked for, if one is.
fn in_database(touches: LogicalPlanBuilder, view: &Arc<View>, meant: &Meant) -> Result<LogicalPlanBuilder> {
    let Some(database) = &meant.database else { return Ok(touches) };
    let sessions = scan(Table::Sessions, view)?.filter(col("database").eq(lit(&**database)))?;
    let key = |table: &str| vec![Column::new(Some(table.to_owned()), "session_id")];
    touches.join(sessions.build()?, JoinType::LeftSemi, (key("touches"), key("sessions")), None)
}

/// Rows of the sessions with gaps that were open between two times, both in it, and may have touched the relation: not
/// those at a database that has and had no such relation.
fn gaps(view: &Arc<View>, meant: &Meant, from: Option<i64>, to: Option<i64>) -> Result<LogicalPlanBuilder> {
    let only = Only::Lost(from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
    let mut sessions = scan_only(Table::Sessions, view, only)?.filter(col("gaps").is_not_null())?;
    if let Some(database) = &meant.database {
        sessions = sessions.filter(col("database").eq(lit(&**database)))?;
    }
    if let Some(to) = to {
        sessions = sessions.filter(col("opened_at").lt_eq(instant(to)))?;
    }
    if let Some(from) = from {
        sessions = sessions.filter(col("closed_at").is_null().or(col("closed_at").gt_eq(instant(from))))?;
    }
    for Lacking { target, database, since } in &meant.lacking {
        let there = col("target").eq(lit(&**target)).and(col("database").eq(lit(&**database)));
        sessions = sessions.filter(not(there.and(col("opened_at").gt_eq(instant(*since)))))?;
    }
    sessions.project(lost()?)
}

/// Likewise, of a session that is not recorded in full: what is missing may have touched anything.
fn lost() -> Result<Vec<Expr>> {
    let schema = Table::Touches.schema();
    let mut row = Vec::new();
    for field in schema.fields() {
        let value = match field.name().as_str() {
            "relation" => lit(UNKNOWN_RELATION),
            "operation" => lit("opaque"),
            "at" => ident("opened_at"),
            name @ ("job" | "subject" | "session_id" | "target") => ident(name),
            "statement_no" => lit(0_i64),
            "transaction_outcome" => lit("unknown"),
            "columns" => lit(ScalarValue::new_default(field.data_type())?),
            "certainty" => lit("possible"),
            "reason" => lit("frames of this session, which was open then, are missing in the record"),
            "via" => lit("direct"),
            _ => lit(ScalarValue::try_from(field.data_type())?),
        };
        row.push(value.alias(field.name()));
    }
    row.push(lit(ScalarValue::Utf8(None)).alias("sql"));
    Ok(row)
}

fn outcome_is_unknown() -> Expr {
    column("touches", "transaction_outcome").eq(lit("unknown"))
}

/// `session_steps(session_id)`: a session's statements as steps, in order.
#[derive(Debug)]
struct SessionSteps(Arc<View>);

impl TableFunctionImpl for SessionSteps {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Constants { arguments, .. } = constants(&args)?;
        const USAGE: &str = "session_steps(session_id)";
        let [session] = &arguments[..] else {
            return Err(wrong(USAGE, "takes one argument"));
        };
        let session = text(session, USAGE)?;
        let session =
            Uuid::parse_str(session.trim()).map_err(|_| wrong(USAGE, &format!("'{session}' is not a session id")))?;
        let nanoseconds = |name| cast(ident(name), DataType::Int64);
        let plan = scan(Table::Statements, &self.0)?
            .filter(col("session_id").eq(lit(session.to_string())))?
            .project([
                ident("statement_no"),
                ident("transaction_id"),
                ident("started_at"),
                ident("finished_at"),
                (nanoseconds("finished_at") - nanoseconds("started_at")).alias("duration_ns"),
                ident("operation"),
                ident("sql"),
                ident("parameters"),
                ident("rows"),
                ident("sqlstate"),
                ident("error"),
                ident("transaction_outcome"),
                ident("committed_at"),
                ident("verdict"),
                ident("first_seq"),
                ident("last_seq"),
                ident("truncated"),
                ident("omitted_rows"),
                ident("omitted_bytes"),
                ident("outcome_reason"),
                ident("opaque"),
                ident("status"),
                ident("executed"),
                ident("error_severity"),
                ident("error_detail"),
                ident("error_hint"),
                ident("error_position"),
                ident("error_context"),
                ident("error_internal_query"),
                ident("error_internal_position"),
                ident("error_schema"),
                ident("error_table"),
                ident("error_column"),
                ident("error_data_type"),
                ident("error_constraint"),
                ident("notices"),
            ])?
            .sort([ident("statement_no").sort(true, false)])?;
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

/// Stands for the relation of a statement whose relations are not known.
const UNKNOWN_RELATION: &str = "?";

/// Operations that may stand for any other: what they did in the end was not known.
const UNCLEAR: [&str; 6] = ["call", "do", "execute", "fetch", "merge", "opaque"];

/// The relation, or one that may be it: what files are chosen by.
fn may_be(meant: &Meant) -> Expr {
    let names = meant.relations().into_iter().chain([UNKNOWN_RELATION.to_owned()]);
    col("relation").in_list(names.map(lit).collect(), false)
}

/// Of those, a name where and when the relation has or had it, or one that may be it.
fn is_meant(meant: &Meant) -> Expr {
    let called = |one: &Called| {
        let mut all = col("relation").eq(lit(&*one.relation));
        if let Some(target) = &one.target {
            all = all.and(col("target").eq(lit(&**target)));
        }
        if !one.elsewhere.is_empty() {
            all = all.and(col("target").in_list(one.elsewhere.iter().map(|target| lit(&**target)).collect(), true));
        }
        if let Some(from) = one.from {
            all = all.and(col("at").gt_eq(instant(from)));
        }
        if let Some(until) = one.until {
            all = all.and(col("at").lt(instant(until)));
        }
        all
    };
    let all: Vec<&Called> = meant.now.iter().chain(&meant.then).collect();
    let exact: Vec<Expr> = all.iter().map(|one| lit(&*one.relation)).collect();
    all.into_iter().map(called).fold(col("relation").in_list(exact, true), Expr::or)
}

/// The operations, or one that may be them: what files are chosen by.
fn may_do(operations: &[String]) -> Expr {
    let all = operations.iter().map(String::as_str).chain(UNCLEAR);
    col("operation").in_list(all.map(lit).collect(), false)
}

/// Of those, the operations, or what is not certain to be another.
fn does(operations: &[String]) -> Expr {
    let known = col("relation")
        .not_eq(lit(UNKNOWN_RELATION))
        .and(col("certainty").is_null().or(col("certainty").not_eq(lit("possible"))));
    let wanted = operations.iter().map(|operation| lit(&**operation)).collect();
    col("operation").in_list(wanted, false).or(not(known))
}

/// How a relation of that name is recorded whose schema was not known: it may be this one, and its row says so.
pub(crate) fn of_unknown_schema(relation: &str) -> Result<String, Error> {
    Ok(crate::names::of_unknown_schema(&parse(relation)?.name))
}

/// As column `relation` has it: `public.` in front of a name without a schema.
pub(crate) fn qualified(relation: &str) -> Result<String, Error> {
    Ok(Meant::by_name(&parse(relation)?).now.remove(0).relation)
}

fn scan(table: Table, view: &Arc<View>) -> Result<LogicalPlanBuilder> {
    LogicalPlanBuilder::scan(table.name(), provider_as_source(Arc::new(LakeTable::new(table, Arc::clone(view)))), None)
}

/// Likewise, where not all rows are wanted.
fn scan_only(table: Table, view: &Arc<View>, only: Only) -> Result<LogicalPlanBuilder> {
    let source = LakeTable::only(table, Arc::clone(view), only);
    LogicalPlanBuilder::scan(table.name(), provider_as_source(Arc::new(source)), None)
}

fn column(table: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(table.to_owned()), name))
}

/// A column without its table, so that the function's own name can qualify it.
fn from_table(table: &str, name: &str) -> Expr {
    column(table, name).alias(name)
}

fn instant(at: i64) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(at), Some("+00:00".into())))
}

fn text(argument: &Expr, usage: &str) -> Result<String> {
    match argument {
        Expr::Literal(value, _) => match value.try_as_str() {
            Some(Some(text)) => Ok(text.to_owned()),
            _ => Err(wrong(usage, &format!("{value} is not a text"))),
        },
        other => Err(wrong(usage, &format!("{other} is not a constant"))),
    }
}

fn bound(argument: &Expr, usage: &str, now: i64, side: impl Fn(Moment) -> i64) -> Result<Option<i64>> {
    Ok(moment(argument, usage, now)?.map(side))
}

fn moment(argument: &Expr, usage: &str, now: i64) -> Result<Option<Moment>> {
    let Expr::Literal(value, _) = argument else {
        return Err(wrong(usage, &format!("{argument} is not a constant")));
    };
    if value.is_null() {
        return Ok(None);
    }
    if let Some(Some(text)) = value.try_as_str() {
        return crate::dialect::literal(text, now).map(Some);
    }
    match value.cast_to(&hansard_schemas::lake::timestamp()) {
        Ok(ScalarValue::TimestampNanosecond(Some(from), _)) => Ok(Some(Moment { from, to: from.saturating_add(1) })),
        _ => Err(wrong(usage, &format!("{value} is not a time"))),
    }
}

/// A length of time in nanoseconds, not negative.
fn length(argument: &Expr, usage: &str) -> Result<i64> {
    let Expr::Literal(value, _) = argument else {
        return Err(wrong(usage, &format!("{argument} is not a constant")));
    };
    let length = match value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => i64::from(interval.days)
            .checked_mul(24 * 60 * MINUTE)
            .and_then(|days| days.checked_add(interval.nanoseconds)),
        value => value.try_as_str().flatten().and_then(length_of),
    };
    length
        .filter(|length| *length >= 0)
        .ok_or_else(|| wrong(usage, &format!("{value} is not a length of time such as '1m'")))
}

fn wrong(usage: &str, reason: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::Invalid(format!("{usage}: {reason}"))))
}
