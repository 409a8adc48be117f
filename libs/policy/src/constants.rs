//! Constants of a statement that decide which rows it is about.
//!
//! Invariant: what is told holds for every row that the statement changes or reads in the relation.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, InsertStmt, Node, OverridingKind, RangeVar, a_const::Val};

use crate::expression::strings;
use crate::scopes::range_name;

/// Most rows, and most values of a column, that are told; of more nothing is.
const MAX_ROWS: usize = 100;

/// Most values of rows that are inserted; of more nothing is told.
const MAX_VALUES: usize = 200;

/// Most columns that are told.
const MAX_CONSTANT_COLUMNS: usize = 64;

/// Longest value that is told, in bytes.
const MAX_VALUE: usize = 64;

/// Which rows of a relation a statement is about, as far as constants say.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rows {
    /// Any.
    #[default]
    Any,
    /// INSERT of these.
    Inserted {
        /// The columns that are named; none: the first ones of the table.
        columns: Vec<String>,
        /// The values of each row; `None` where one is not constant.
        rows: Vec<Vec<Option<Constant>>>,
    },
    /// Those whose columns have one of these values each.
    Where(Vec<(String, Vec<Constant>)>),
}

impl Rows {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let of = |constant: &Constant| match constant {
            Constant::Null => size_of::<Constant>(),
            Constant::Value(value) | Constant::Typed(value) => size_of::<Constant>() + value.len(),
        };
        match self {
            Rows::Any => 0,
            Rows::Inserted { rows, .. } => {
                rows.iter().flatten().map(|value| value.as_ref().map_or(size_of::<Constant>(), of)).sum()
            }
            Rows::Where(columns) => {
                let values = columns.iter().map(|(name, values)| name.len() + values.iter().map(of).sum::<usize>());
                values.sum()
            }
        }
    }
}

/// A constant, as the text has it; of which type is for its column to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constant {
    /// NULL.
    Null,
    /// A string: its text is the value, in whichever type it is read.
    Value(String),
    /// A number, or what was cast: another type may write the value otherwise.
    Typed(String),
}

/// The rows of VALUES.
pub(crate) fn inserted(insert: &InsertStmt, columns: &[&str]) -> Rows {
    // What is given for an identity column is not what it gets.
    if insert.r#override() == OverridingKind::OverridingUserValue {
        return Rows::Any;
    }
    let Some(NodeEnum::SelectStmt(select)) = insert.select_stmt.as_ref().and_then(|node| node.node.as_ref()) else {
        return Rows::Any;
    };
    if select.values_lists.is_empty() || select.values_lists.len() > MAX_ROWS {
        return Rows::Any;
    }
    let width = |row: &Node| match &row.node {
        Some(NodeEnum::List(list)) => list.items.len(),
        _ => 0,
    };
    if select.values_lists.iter().map(width).sum::<usize>() > MAX_VALUES {
        return Rows::Any;
    }
    let rows = select.values_lists.iter().map(|row| match &row.node {
        Some(NodeEnum::List(list)) => Some(list.items.iter().take(MAX_CONSTANT_COLUMNS).map(constant).collect()),
        _ => None,
    });
    match rows.collect() {
        Some(rows) => Rows::Inserted { columns: columns.iter().map(|column| (*column).to_owned()).collect(), rows },
        None => Rows::Any,
    }
}

/// The rows that a condition of AND leaves of a relation. `alone`: no other relation's columns can be meant.
pub(crate) fn left_by(condition: Option<&Node>, relation: &RangeVar, alone: bool) -> Rows {
    let mut columns = Vec::new();
    let name = range_name(relation);
    let mut next: Vec<&Node> = condition.into_iter().collect();
    while let Some(node) = next.pop() {
        match &node.node {
            Some(NodeEnum::BoolExpr(and)) if and.boolop() == pg_query::protobuf::BoolExprType::AndExpr => {
                next.extend(&and.args);
            }
            Some(node) if columns.len() < MAX_CONSTANT_COLUMNS => columns.extend(equal(node, &name, alone)),
            _ => {}
        }
    }
    if columns.is_empty() { Rows::Any } else { Rows::Where(columns) }
}

/// `column = constant`, `constant = column`, `column in (constant, ...)`.
fn equal(node: &NodeEnum, relation: &str, alone: bool) -> Option<(String, Vec<Constant>)> {
    let NodeEnum::AExpr(operator) = node else { return None };
    let mut names = strings(&operator.name);
    if (names.next(), names.next()) != (Some("="), None) {
        return None;
    }
    let (left, right) = (operator.lexpr.as_deref()?, operator.rexpr.as_deref()?);
    let of = |node| column(node, relation, alone);
    match AExprKind::try_from(operator.kind) {
        Ok(AExprKind::AexprOp) => match (of(left), of(right)) {
            (Some(column), None) => Some((column, vec![constant(right)?])),
            (None, Some(column)) => Some((column, vec![constant(left)?])),
            _ => None,
        },
        Ok(AExprKind::AexprIn) => match &right.node {
            Some(NodeEnum::List(list)) if list.items.len() <= MAX_ROWS => {
                Some((of(left)?, list.items.iter().map(constant).collect::<Option<_>>()?))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The relation's column that an expression is.
fn column(node: &Node, relation: &str, alone: bool) -> Option<String> {
    let Some(NodeEnum::ColumnRef(reference)) = &node.node else { return None };
    let names: Vec<&str> = strings(&reference.fields).collect();
    match (&names[..], names.len() == reference.fields.len()) {
        ([column], true) if alone => Some((*column).to_owned()),
        ([qualifier, column], true) if *qualifier == relation => Some((*column).to_owned()),
        _ => None,
    }
}

fn constant(node: &Node) -> Option<Constant> {
    let value = match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match &constant.val {
            None if constant.isnull => return Some(Constant::Null),
            Some(Val::Sval(string)) => Constant::Value(string.sval.clone()),
            Some(Val::Ival(integer)) => Constant::Typed(integer.ival.to_string()),
            // An integer that has no room in 32 bits.
            Some(Val::Fval(number)) => Constant::Typed(number.fval.clone()),
            _ => return None,
        },
        NodeEnum::TypeCast(cast) => {
            let kind = cast.type_name.as_ref()?;
            let name = strings(&kind.names).next_back()?;
            let plain = matches!(name, "int2" | "int4" | "int8" | "date" | "text")
                && kind.typmods.is_empty()
                && kind.array_bounds.is_empty();
            match constant(cast.arg.as_deref().filter(|_| plain)?)? {
                Constant::Null => return Some(Constant::Null),
                Constant::Value(value) if name == "text" => Constant::Value(value),
                Constant::Value(value) | Constant::Typed(value) => Constant::Typed(value),
            }
        }
        _ => return None,
    };
    let length = match &value {
        Constant::Null => 0,
        Constant::Value(value) | Constant::Typed(value) => value.len(),
    };
    (length <= MAX_VALUE).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse;

    fn rows(sql: &str) -> Vec<Rows> {
        analyse(sql).statements.remove(0).relations.into_iter().map(|relation| relation.rows).collect()
    }

    /// As these tests write them: letters are in quotes, digits are not.
    fn constant(text: &str) -> Constant {
        let letters = text.starts_with(char::is_alphabetic);
        if letters { Constant::Value(text.to_owned()) } else { Constant::Typed(text.to_owned()) }
    }

    fn left(columns: &[(&str, &[&str])]) -> Rows {
        let values = |values: &[&str]| values.iter().map(|value| constant(value)).collect();
        Rows::Where(columns.iter().map(|(column, of)| ((*column).to_owned(), values(of))).collect())
    }

    #[test]
    fn conditions_leave_rows() {
        for (sql, expected) in [
            ("update t set a = 1 where id = 5 and b = 'x'", vec![left(&[("b", &["x"]), ("id", &["5"])])]),
            ("delete from t x where x.id in (1, -2)", vec![left(&[("id", &["1", "-2"])])]),
            ("select * from t where 5 = id", vec![left(&[("id", &["5"])])]),
            ("delete from t where id = date '2024-01-01'", vec![left(&[("id", &["2024-01-01"])])]),
            ("delete from t using u where id = 1", vec![Rows::Any, Rows::Any]),
            ("delete from t using u where t.id = 1", vec![left(&[("id", &["1"])]), Rows::Any]),
            ("delete from t where id = 1 or b", vec![Rows::Any]),
            ("delete from t where not id = 1", vec![Rows::Any]),
            ("delete from t where id = $1", vec![Rows::Any]),
            ("delete from t where id > 1", vec![Rows::Any]),
            ("select 1 from t where id = 1 union select 1 from t where id = 2", vec![Rows::Any]),
            ("select 1 from t, t u where t.id = 1", vec![Rows::Any]),
        ] {
            assert_eq!(rows(sql), expected, "{sql}");
        }
    }

    #[test]
    fn values_are_rows() {
        let value = |value: &str| Some(constant(value));
        let of = |columns: &[&str], rows| Rows::Inserted {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows,
        };
        assert_eq!(
            rows("insert into t (id, b) values (1, 'x'), (null, now())"),
            [of(&["id", "b"], vec![vec![value("1"), value("x")], vec![Some(Constant::Null), None]])]
        );
        assert_eq!(rows("insert into t values (-1)"), [of(&[], vec![vec![value("-1")]])]);
        // What is written is the value only of a string that stays one.
        let typed = |value: &str| vec![Some(Constant::Typed(value.to_owned()))];
        let text = |value: &str| vec![Some(Constant::Value(value.to_owned()))];
        assert_eq!(
            rows("insert into t values (1e3), ('01'::int), (text '01'), (1e3::text)"),
            [of(&[], vec![typed("1e3"), typed("01"), text("01"), typed("1e3")])]
        );
        assert_eq!(rows("insert into t select 1"), [Rows::Any]);
        assert_eq!(rows("insert into t (id) overriding user value values (500)"), [Rows::Any]);
        let system = rows("insert into t (id) overriding system value values (500)");
        assert_eq!(system, [of(&["id"], vec![vec![value("500")]])]);
        let wide = format!("insert into t values {}", vec!["(1, 2, 3, 4, 5, 6)"; 34].join(","));
        assert_eq!(rows(&wide), [Rows::Any]);
        let both = rows("insert into t values (1) on conflict (a) do update set b = 2");
        assert_eq!((both.len(), &both[0]), (2, &both[1]));
    }
}
