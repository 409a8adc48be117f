//! Forms of SQL that the engine does not know, in those that it knows.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CharacterLength, DataType, DateTimeField, DuplicateTreatment, Expr, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Ident, Join, JoinConstraint, JoinOperator,
    LimitClause, ObjectName, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, Subscript, TableAliasColumnDef,
    TableFactor, TimezoneInfo, UnaryOperator, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::fractions::{of_field, of_microseconds, of_part};
use super::{nulls, orders, patterns, precedence};
use crate::Error;

/// A statement in the engine's own forms.
pub(crate) fn rewritten(mut statement: Statement) -> Result<Statement, Error> {
    let inner = match &mut statement {
        Statement::Explain(explain) => &mut *explain.statement,
        other => other,
    };
    if let Statement::Statement(sql) = inner
        && let ControlFlow::Break(error) = sql.visit(&mut Rewriter)
    {
        return Err(error);
    }
    Ok(statement)
}

const NO_USER: &str =
    "the record knows no database user of who asks it; columns db_user and job of sessions have those of jobs";

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let plain = query.fetch.as_ref().is_some_and(|fetch| !fetch.with_ties && !fetch.percent);
        if !plain {
            return ControlFlow::Continue(());
        }
        let limit = query.fetch.take().and_then(|fetch| fetch.quantity).unwrap_or_else(|| number("1"));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: at @ None, .. }) => *at = Some(limit),
            clause @ None => {
                *clause = Some(LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() });
            }
            Some(_) => return ControlFlow::Break(Error::Invalid("LIMIT and FETCH together: write one of them".into())),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        of_body(&query.body)?;
        orders::verify_aggregates(query)?;
        let ordered = orders::verify(query)?;
        name_twins(query, &ordered)
    }

    /// `FROM generate_series(1, 3) AS g`: the only column is `g`, too.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } = factor {
            return ControlFlow::Break(Error::Invalid(
                "there is no TABLESAMPLE here: write WHERE random() < 0.1".into(),
            ));
        }
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            of_joins(&table_with_joins.joins)?;
        }
        if let TableFactor::Table { name, alias: Some(alias), args: Some(_), .. } = factor
            && ["generate_series", "range"].contains(&name.to_string().to_ascii_lowercase().as_str())
            && alias.columns.is_empty()
        {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Err(error) = precedence::verify(expr) {
            return ControlFlow::Break(error);
        }
        let new = match expr {
            Expr::Function(function) => of_function(function),
            Expr::Extract { field, expr, syntax } if of_field(field).is_some() => {
                let of_one = of_field(field).unwrap_or_default();
                let (field, syntax) = (DateTimeField::Microsecond, syntax.clone());
                Ok(Some(of_microseconds(&Expr::Extract { field, syntax, expr: expr.clone() }, of_one)))
            }
            Expr::QualifiedWildcard(name, _) => Err(of_a_whole_row(&name.to_string())),
            Expr::Cast { expr, data_type, .. } => of_cast(expr, data_type),
            Expr::AtTimeZone { timestamp, .. } if is_without_zone(timestamp) => Err(Error::Invalid(
                "a time without a zone is UTC here: write it with its zone, as in '2026-11-22 03:12 Europe/Berlin'"
                    .into(),
            )),
            Expr::AtTimeZone { timestamp, time_zone } => {
                Ok(Some(patterns::call("timezone", vec![(**time_zone).clone(), (**timestamp).clone()])))
            }
            Expr::Value(value) if matches!(value.value, Value::HexStringLiteral(_)) => Err(Error::Invalid(
                "X'1F' is a string of bits in PostgreSQL: write '\\x1f'::bytea for bytes, or the number".to_owned(),
            )),
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if is_json(left) || is_json(right) => {
                Err(Error::Invalid("JSON is text here, and is not merged by ||".to_owned()))
            }
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right }
                if is_null(left) && matches!(**right, Expr::Array(_))
                    || is_null(right) && matches!(**left, Expr::Array(_)) =>
            {
                Err(Error::Invalid("a list and NULL are the list in PostgreSQL: write the list alone".to_owned()))
            }
            Expr::IsNull(row) => Ok(of_row(row, &Expr::IsNull)),
            Expr::IsNotNull(row) => Ok(of_row(row, &Expr::IsNotNull)),
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. }
                if matches!(**right, Expr::Subquery(_)) && is_constant(left) =>
            {
                Err(Error::Invalid(
                    "a constant beside ANY or ALL of a query: write (SELECT count(*) > 0 FROM ... WHERE ...)"
                        .to_owned(),
                ))
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() => match ident.value.to_ascii_lowercase().as_str() {
                "localtimestamp" => Ok(parsed("now()")),
                "localtime" => Ok(parsed("current_time")),
                "current_user" | "session_user" | "user" | "current_role" => Err(Error::Invalid(NO_USER.to_owned())),
                _ => Ok(None),
            },
            Expr::InSubquery { expr, negated: true, .. } if matches!(&**expr, Expr::Value(_)) => Err(Error::Invalid(
                "a constant that is NOT IN the rows of a query: write (SELECT count(*) = 0 FROM ... WHERE ...)"
                    .to_owned(),
            )),
            Expr::CompoundFieldAccess { access_chain, .. } if access_chain.iter().any(is_from_the_end) => {
                Err(Error::Invalid("lists begin at 1: list[cardinality(list)] is the last item".to_owned()))
            }
            _ => match nulls::of_comparison(expr) {
                Ok(None) => patterns::of_operator(expr),
                other => other,
            },
        };
        match new {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some(new)) => {
                *expr = new;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// `(a, b) IS NULL`: all of them are; likewise IS NOT NULL.
fn of_row(row: &Expr, test: &dyn Fn(Box<Expr>) -> Expr) -> Option<Expr> {
    let parts = nulls::row(row)?;
    let tests = parts.into_iter().map(|part| test(Box::new(Expr::Nested(Box::new(part)))));
    tests.reduce(|all, part| binary(&all, BinaryOperator::And, &part))
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) | Expr::TypedString(_) => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } | Expr::Cast { expr: inner, .. } => is_constant(inner),
        _ => false,
    }
}

/// The column that both sides share is the left one's to the engine, and of either side that has it to PostgreSQL.
fn of_joins(joins: &[Join]) -> ControlFlow<Error> {
    for join in joins {
        if let JoinOperator::Right(JoinConstraint::Using(_) | JoinConstraint::Natural)
        | JoinOperator::RightOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
        | JoinOperator::FullOuter(JoinConstraint::Using(_) | JoinConstraint::Natural) = &join.join_operator
        {
            return ControlFlow::Break(Error::Invalid(
                "RIGHT and FULL JOIN with USING or NATURAL are not here: write ON a.x = b.x, and coalesce(a.x, b.x) for \
                 the column that they share"
                    .to_owned(),
            ));
        }
    }
    ControlFlow::Continue(())
}

/// The same expression twice: the engine wants names that differ; headings are what was written all the same.
fn name_twins(query: &mut Query, ordered_by: &HashSet<String>) -> ControlFlow<Error> {
    let ordered = query.order_by.is_some();
    let SetExpr::Select(select) = &mut *query.body else { return ControlFlow::Continue(()) };
    let ordered = ordered && select.distinct.is_none();
    let names = output_names(&select.projection);
    let mut seen: HashMap<String, usize> = HashMap::new();
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let text = expr.to_string();
        // A cast of a column is called as the column is, which an order by that name is about; to the engine, other casts are
        // called as what is cast, which an order may name, too.
        let cast = matches!(expr, Expr::Cast { .. } | Expr::AtTimeZone { .. });
        if cast && ordered {
            let alias = match column_of(expr) {
                Some(column) if !names.contains(&column.value) && !ordered_by.contains(&orders::name(&column)) => {
                    column
                }
                _ => Ident::with_quote('"', text.clone()),
            };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            seen.insert(text, 1);
            continue;
        }
        let times = seen.entry(text.clone()).or_default();
        *times += 1;
        if *times > 1 {
            let alias = Ident::with_quote('"', format!("{text} ({times})"));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
    ControlFlow::Continue(())
}

/// What the columns are called that are no casts; of casts, those that several are called.
fn output_names(projection: &[SelectItem]) -> HashSet<String> {
    let (mut names, mut casts) = (HashSet::new(), HashSet::new());
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => drop(names.insert(ident.value.clone())),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                names.extend(parts.last().map(|ident| ident.value.clone()));
            }
            SelectItem::ExprWithAlias { alias, .. } => drop(names.insert(alias.value.clone())),
            SelectItem::UnnamedExpr(expr) => {
                names.extend(
                    column_of(expr).filter(|column| !casts.insert(column.value.clone())).map(|name| name.value),
                );
            }
            _ => {}
        }
    }
    names
}

/// The column that is cast.
fn column_of(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => column_of(expr),
        Expr::Identifier(ident) => Some(ident.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

fn of_function(function: &mut Function) -> Result<Option<Expr>, Error> {
    let name = function.name.to_string().to_ascii_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name).to_owned();
    let args = arguments(function);
    if let Some(row) = whole_row(function) {
        return Err(of_a_whole_row(&row));
    }
    Ok(match (name.as_str(), args.as_slice()) {
        ("clock_timestamp" | "statement_timestamp" | "transaction_timestamp" | "localtimestamp", []) => parsed("now()"),
        ("current_database" | "current_catalog", []) => parsed("'hansard'"),
        ("current_schema", []) => parsed("'public'"),
        ("version", []) => parsed(&format!("'Hansard {}'", env!("CARGO_PKG_VERSION"))),
        ("current_user" | "session_user" | "user" | "current_role", []) => {
            return Err(Error::Invalid(NO_USER.to_owned()));
        }
        ("variance", [_]) => renamed(function, "var_samp"),
        ("date_part", [part, at]) if of_part(part).is_some() => {
            let microseconds = parsed("'microsecond'").and_then(|part| called(function, vec![part, at.clone()]));
            microseconds.zip(of_part(part)).map(|(all, of_one)| of_microseconds(&all, of_one))
        }
        ("encode", [bytes, form]) if is_text(form, "base64") => {
            let bytes =
                if is_bytes_as_text(bytes) { parsed(&format!("CAST({bytes} AS BYTEA)")) } else { Some(bytes.clone()) };
            bytes.zip(parsed("'base64pad'")).and_then(|(bytes, form)| called(function, vec![bytes, form]))
        }
        ("encode", [bytes, form]) if is_bytes_as_text(bytes) => {
            parsed(&format!("CAST({bytes} AS BYTEA)")).and_then(|bytes| called(function, vec![bytes, form.clone()]))
        }
        ("generate_series", [_, _] | [_, _, _]) => {
            return Err(Error::Invalid(
                "generate_series stands in FROM here: FROM generate_series(1, 3) AS n".to_owned(),
            ));
        }
        ("array_length", [_, _]) => {
            let length = whole(Expr::Function(function.clone()));
            Some(patterns::call("nullif", vec![length, number("0")]))
        }
        ("cardinality" | "array_position" | "array_ndims", _) => Some(whole(Expr::Function(function.clone()))),
        ("row_number" | "rank" | "dense_rank" | "ntile", _) if function.over.is_some() => {
            Some(whole(Expr::Function(function.clone())))
        }
        ("array_remove", [_, item]) if is_null(item) => {
            return Err(Error::Invalid(
                "nulls are not removed from lists here: filter them before array_agg".to_owned(),
            ));
        }
        ("array_remove", [_, _]) => renamed(function, "array_remove_all"),
        ("array_agg" | "string_agg", _) if is_distinct_and_ordered(function) => {
            let why =
                "DISTINCT with ORDER BY: write array_sort(array_agg(DISTINCT x)), and array_to_string(list, ',') of it";
            return Err(Error::Invalid(format!("there is no {name} with {why}")));
        }
        ("ceiling", [_]) => renamed(function, "ceil"),
        ("regexp_like" | "regexp_match" | "regexp_count" | "regexp_replace" | "regexp_instr", _) => {
            return patterns::of_function(function, &name);
        }
        ("mod", [a, b]) => Some(binary(a, BinaryOperator::Modulo, b)),
        ("age", [a, b]) => Some(binary(&time(a), BinaryOperator::Minus, &time(b))),
        ("age", [a]) => parsed("date_trunc('day', now())").map(|today| binary(&today, BinaryOperator::Minus, &time(a))),
        ("array_replace", [_, _, _]) => renamed(function, "array_replace_all"),
        ("every", [_]) => renamed(function, "bool_and"),
        ("gen_random_uuid" | "uuid_generate_v4", []) => renamed(function, "uuid"),
        ("json_array_length" | "jsonb_array_length", [_]) => renamed(function, "json_array_length"),
        ("json_typeof" | "jsonb_typeof", [_]) => renamed(function, "json_typeof"),
        _ => match advice(&name) {
            Some(advice) => return Err(Error::Invalid(format!("there is no function {name} here: {advice}"))),
            None => None,
        },
    })
}

fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::JSON | DataType::JSONB),
        Expr::Nested(inner) => is_json(inner),
        _ => false,
    }
}

/// A day as its midnight, and a time as it is.
fn time(expr: &Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr.clone()),
        data_type: DataType::Timestamp(None, TimezoneInfo::Tz),
        array: false,
        format: None,
    }
}

/// A number that has no sign to the engine, as one that can be subtracted from and divided as in PostgreSQL.
fn whole(number: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(number),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    }
}

/// Forms that the engine would read in another sense.
fn of_body(body: &SetExpr) -> ControlFlow<Error> {
    match body {
        SetExpr::SetOperation { op, set_quantifier: SetQuantifier::All, left, right } => {
            if matches!(op, SetOperator::Except | SetOperator::Intersect) {
                return ControlFlow::Break(Error::Invalid(format!("there is no {op} ALL here: write {op}")));
            }
            of_body(left)?;
            of_body(right)
        }
        SetExpr::SetOperation { left, right, .. } => {
            of_body(left)?;
            of_body(right)
        }
        SetExpr::Select(select) => {
            for table in &select.from {
                of_joins(&table.joins)?;
            }
            for item in &select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item
                    && alias.quote_style.is_none()
                    && ["isnull", "notnull"].contains(&alias.value.to_ascii_lowercase().as_str())
                {
                    let why = format!("write IS NULL or IS NOT NULL; a column of that name is \"{}\"", alias.value);
                    return ControlFlow::Break(Error::Invalid(why));
                }
            }
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    }
}

/// Lengths of types, which the engine passes over.
fn of_cast(expr: &Expr, to: &DataType) -> Result<Option<Expr>, Error> {
    match to {
        DataType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. })) => {
            Ok(parsed(&format!("\"left\"(CAST(({expr}) AS VARCHAR), {length})")))
        }
        DataType::Timestamp(Some(_), _) | DataType::Time(Some(_), _) => {
            Err(Error::Invalid("times have all of their digits here: write date_trunc('second', ...)".to_owned()))
        }
        DataType::Char(_) | DataType::Character(_) | DataType::CharVarying(Some(_)) => {
            Err(Error::Invalid("there is no type char(n) here: write varchar(n), text, or left(text, n)".to_owned()))
        }
        DataType::Uuid if literal(expr).is_some() => {
            let text = literal(expr).unwrap_or_default();
            match uuid::Uuid::try_parse(text) {
                Ok(uuid) => Ok(parsed(&format!("'{uuid}'"))),
                Err(_) => {
                    let shown: String = text.chars().take(64).collect();
                    Err(Error::Invalid(format!("'{shown}' is no uuid")))
                }
            }
        }
        DataType::Uuid => Ok(parsed(&format!("lower(CAST(({expr}) AS VARCHAR))"))),
        _ => Ok(None),
    }
}

/// `list[-1]`, which is the last item to the engine, and none to PostgreSQL.
fn is_from_the_end(access: &AccessExpr) -> bool {
    let negative = |expr: &Expr| matches!(expr, Expr::UnaryOp { op: UnaryOperator::Minus, .. });
    match access {
        AccessExpr::Subscript(Subscript::Index { index }) => negative(index),
        AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) => {
            lower_bound.iter().chain(upper_bound).any(negative)
        }
        AccessExpr::Dot(_) => false,
    }
}

fn is_distinct_and_ordered(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct))
        && list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
}

fn is_without_zone(expr: &Expr) -> bool {
    let plain = |kind: &DataType| {
        matches!(
            kind,
            DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) | DataType::Datetime(_)
        )
    };
    match expr {
        Expr::TypedString(typed) => plain(&typed.data_type),
        Expr::Cast { data_type, .. } => plain(data_type),
        Expr::Nested(inner) => is_without_zone(inner),
        _ => false,
    }
}

/// `alias.*` among a function's arguments.
fn whole_row(function: &Function) -> Option<String> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args.iter().find_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => Some(name.to_string()),
        _ => None,
    })
}

/// A row as one value, which is null to PostgreSQL where an outer join found none.
fn of_a_whole_row(name: &str) -> Error {
    let name = name.trim_end_matches(".*");
    Error::Invalid(format!("{name}.* is no value here: name a column of it, as {name}.session_id"))
}

pub(super) fn is_text(expr: &Expr, text: &str) -> bool {
    matches!(expr, Expr::Value(value) if matches!(&value.value, Value::SingleQuotedString(given) if given.eq_ignore_ascii_case(text)))
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// A constant that is read as bytes, because nothing else is taken there.
fn is_bytes_as_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_)) && !is_null(expr)
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Null))
}

/// The same function of other arguments.
fn called(function: &Function, arguments: Vec<Expr>) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let mut list = list.clone();
    list.args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Some(Expr::Function(Function { args: FunctionArguments::List(list), ..function.clone() }))
}

/// What to write in place of a function of PostgreSQL that is not here.
pub(super) fn advice(name: &str) -> Option<&'static str> {
    Some(match name {
        "regexp_matches" => "write regexp_match(text, pattern), which returns the first match as a list",
        "regexp_substr" => "write (regexp_match(text, pattern))[1]",
        "make_interval" | "justify_hours" | "justify_days" | "justify_interval" => "write INTERVAL '90 minutes'",
        "timeofday" => "write now()",
        "isfinite" => "every time of the record is finite",
        "format" => "write concat(...) or a || b",
        "quote_literal" | "quote_ident" | "quote_nullable" => "write concat('''', replace(text, '''', ''''''), '''')",
        "div" => "write trunc(a / b)",
        "width_bucket" => "write a CASE, or floor((value - low) / width)",
        "mode" => "write GROUP BY with ORDER BY count(*) DESC LIMIT 1",
        "json_agg" | "jsonb_agg" => "write array_agg(...), and --format json",
        "to_json" | "to_jsonb" | "row_to_json" | "json_build_object" | "jsonb_build_object" | "json_object_agg"
        | "jsonb_object_agg" => "ask for rows with --format json",
        "json_array_elements"
        | "json_array_elements_text"
        | "jsonb_array_elements"
        | "jsonb_array_elements_text"
        | "json_each"
        | "jsonb_each"
        | "json_object_keys"
        | "jsonb_object_keys" => "take elements with parameters ->> 0, and their number with json_array_length",
        "host" | "masklen" | "network" | "family" => {
            "addresses are texts: split_part(client_addr, ':', 1) is an IPv4 address"
        }
        "pg_typeof" => "DESCRIBE tells a table's types, arrow_typeof(value) a value's",
        "pg_sleep" | "pg_sleep_for" | "pg_sleep_until" => "the record is read and never waits",
        "md5" | "sha224" | "sha256" | "sha384" | "sha512" | "digest" => {
            "nothing is hashed here; column fingerprint of statements groups texts"
        }
        "to_number" => "write CAST(text AS numeric)",
        "string_to_table" | "regexp_split_to_table" => "write unnest(string_to_array(text, delimiter))",
        "regexp_split_to_array" => "write string_to_array(text, delimiter)",
        "array_dims" | "array_lower" | "array_upper" => "lists begin at 1 and have cardinality(list) items",
        "txid_current"
        | "pg_backend_pid"
        | "inet_client_addr"
        | "pg_current_wal_lsn"
        | "pg_size_pretty"
        | "pg_relation_size"
        | "pg_get_viewdef"
        | "has_table_privilege" => "the record is no PostgreSQL server",
        "nextval"
        | "currval"
        | "setval"
        | "lastval"
        | "set_config"
        | "pg_notify"
        | "pg_cancel_backend"
        | "pg_terminate_backend"
        | "pg_advisory_lock" => "the record is read-only",
        _ => return None,
    })
}

/// Arguments without names; an empty list where there are others.
pub(super) fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn renamed(function: &Function, name: &str) -> Option<Expr> {
    let name = ObjectName::from(vec![Ident::new(name)]);
    (function.name != name).then(|| Expr::Function(Function { name, ..function.clone() }))
}

pub(super) fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    Expr::Nested(Box::new(Expr::BinaryOp { left: nested(left), op, right: nested(right) }))
}

pub(super) fn number(text: &str) -> Expr {
    Expr::Value(Value::Number(text.to_owned(), false).into())
}

/// An expression of our own.
fn parsed(sql: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).and_then(|mut parser| parser.parse_expr()).ok()
}
