//! Which partitions rows are in, where constants decide.
//!
//! Invariant: a partition is left out only where no row that the statement is about can be in it: comparisons are made
//! only of values whose types compare as they are written.

use std::collections::BTreeMap;

use super::FIRST_NORMAL;
use crate::catalog::{Catalog, Oid, Operator, Relation};
use crate::constants::{Constant, Rows};
use crate::scan::{Keyword, Kind, Token, Tokens};
use crate::{Dialect, Name};

/// Most combinations of values that are looked at.
const MAX_KEYS: usize = 200;

/// Most partitions that are compared.
const MAX_PARTITIONS: usize = 2000;

/// Type `varchar`.
const VARCHAR: Oid = 1043;

/// A value of a partition key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Null,
    Integer(i64),
    /// `YYYY-MM-DD`.
    Date(String),
    /// Known to be equal or not, and not which is less.
    Text(String),
}

/// A border of a range.
#[derive(Debug, Clone, PartialEq)]
enum Border {
    Least,
    Most,
    At(Value),
}

/// Of which rows a partition consists.
#[derive(Debug, PartialEq)]
enum Bound {
    Default,
    List(Vec<Value>),
    Range(Vec<Border>, Vec<Border>),
}

/// The partitions that rows can be in, in order, each with those of the rows that are in it; `None` where constants do not
/// decide.
pub(super) fn prune(catalog: &Catalog, parent: &Relation, children: &[Oid], rows: &Rows) -> Option<Vec<(Oid, Rows)>> {
    // A comparison of PostgreSQL's own types may be somebody's own. One that takes another type is not meant: there is one of
    // PostgreSQL's for each two types that a key and a constant here have.
    let own = |operator: &Operator| operator.left < FIRST_NORMAL && operator.right < FIRST_NORMAL;
    if children.len() > MAX_PARTITIONS || catalog.operators_named("=").any(own) || parent.loose_key {
        return None;
    }
    let key = parent.partition_key.as_deref()?;
    let columns = key_columns(key)?;
    let kinds: Vec<Oid> = columns
        .iter()
        .map(|name| parent.columns.iter().find(|column| column.name == name.as_str()).map(|column| column.kind))
        .collect::<Option<_>>()?;
    let keys = keys(parent, &columns, &kinds, rows)?;
    let bounds: Vec<(Oid, Bound)> = children
        .iter()
        .map(|oid| Some((*oid, bound(catalog.relation(*oid)?.bound.as_deref()?, &kinds)?)))
        .collect::<Option<_>>()?;
    let mut found: BTreeMap<Oid, Vec<usize>> = BTreeMap::new();
    for (place, key) in keys.iter().enumerate() {
        let mut holds = None;
        for (oid, bound) in &bounds {
            if bound.holds(key)? {
                holds = Some(*oid);
            }
        }
        let default = || bounds.iter().find(|(_, bound)| *bound == Bound::Default).map(|(oid, _)| *oid);
        if let Some(oid) = holds.or_else(default) {
            found.entry(oid).or_default().push(place);
        }
    }
    Some(found.into_iter().map(|(oid, places)| (oid, of_places(parent, rows, &places))).collect())
}

/// Of rows that are inserted, those at these places, by their columns' names: a partition may have them in another order.
fn of_places(parent: &Relation, rows: &Rows, places: &[usize]) -> Rows {
    match rows {
        Rows::Inserted { columns, rows } => {
            let rows = places.iter().filter_map(|place| rows.get(*place).cloned()).collect();
            let columns = if columns.is_empty() {
                parent.columns.iter().map(|column| column.name.to_string()).collect()
            } else {
                columns.clone()
            };
            Rows::Inserted { columns, rows }
        }
        other => other.clone(),
    }
}

/// The columns of `LIST (a)` or `RANGE (a, b)`; none of expressions, and of HASH.
fn key_columns(key: &str) -> Option<Vec<String>> {
    let list = key.strip_prefix("LIST (").or_else(|| key.strip_prefix("RANGE ("))?.strip_suffix(')')?;
    list.split(", ")
        .map(|column| Name::parse(column).ok().filter(|name| name.schema.is_none()))
        .map(|name| Some(name?.name))
        .collect()
}

/// The keys of all rows.
fn keys(parent: &Relation, columns: &[String], kinds: &[Oid], rows: &Rows) -> Option<Vec<Vec<Value>>> {
    match rows {
        Rows::Any => None,
        Rows::Inserted { columns: named, rows } => {
            let places: Vec<usize> = columns
                .iter()
                .map(|column| {
                    if named.is_empty() {
                        parent.columns.iter().position(|one| one.name == column.as_str())
                    } else {
                        named.iter().position(|one| one == column)
                    }
                })
                .collect::<Option<_>>()?;
            let key = |row: &Vec<Option<Constant>>| {
                let stored = |constant: &Constant, kind| match constant {
                    // Blanks that have no room in a varchar(n) are cut off.
                    Constant::Value(text) if kind == VARCHAR && text.ends_with(' ') => None,
                    constant => value(constant, kind),
                };
                places.iter().zip(kinds).map(|(place, kind)| stored(row.get(*place)?.as_ref()?, *kind)).collect()
            };
            rows.iter().map(key).collect()
        }
        Rows::Where(conditions) => {
            let mut keys = vec![Vec::new()];
            for (column, kind) in columns.iter().zip(kinds) {
                let (_, constants) = conditions.iter().find(|(name, _)| name == column)?;
                // Nothing equals NULL.
                let constants = constants.iter().filter(|constant| **constant != Constant::Null);
                let values: Vec<Value> = constants.map(|constant| value(constant, *kind)).collect::<Option<_>>()?;
                if keys.len() * values.len() > MAX_KEYS {
                    return None;
                }
                keys = keys
                    .iter()
                    .flat_map(|key: &Vec<Value>| {
                        values.iter().map(move |value| [&key[..], std::slice::from_ref(value)].concat())
                    })
                    .collect();
            }
            Some(keys)
        }
    }
}

/// The value of a constant in a column of that type, where it is written as the type writes it.
fn value(constant: &Constant, kind: Oid) -> Option<Value> {
    let (text, written) = match constant {
        Constant::Null => return Some(Value::Null),
        Constant::Value(text) => (text, true),
        Constant::Typed(text) => (text, false),
    };
    match kind {
        // int8, int2, int4
        20 | 21 | 23 => text.parse().ok().map(Value::Integer),
        // date
        1082 => {
            let digits = |range: std::ops::Range<usize>| text.as_bytes()[range].iter().all(u8::is_ascii_digit);
            let plain = text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10);
            let dashes = plain && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
            (dashes && !text.starts_with("0000")).then(|| Value::Date(text.clone()))
        }
        // text
        25 | VARCHAR => written.then(|| Value::Text(text.clone())),
        _ => None,
    }
}

/// Reads `FOR VALUES ...`.
fn bound(text: &str, kinds: &[Oid]) -> Option<Bound> {
    if text == "DEFAULT" {
        return Some(Bound::Default);
    }
    let tokens: Vec<Token> = Tokens::new(text, Dialect::default()).collect();
    let word = |place: usize| tokens.get(place).map_or_else(Keyword::none, |token| Keyword::of(text, token));
    if word(0).as_str() != "for" || word(1).as_str() != "values" {
        return None;
    }
    match word(2).as_str() {
        "in" => {
            let (borders, end) = borders(text, &tokens, 3, kinds.first()?, &[])?;
            let values = borders.into_iter().map(|border| match border {
                Border::At(value) => Some(value),
                _ => None,
            });
            (end == tokens.len()).then_some(Bound::List(values.collect::<Option<_>>()?))
        }
        "from" => {
            let (lower, end) = borders(text, &tokens, 3, kinds.first()?, kinds)?;
            (word(end).as_str() == "to").then_some(())?;
            let (upper, end) = borders(text, &tokens, end + 1, kinds.first()?, kinds)?;
            (end == tokens.len()).then_some(Bound::Range(lower, upper))
        }
        _ => None,
    }
}

/// A list in brackets, and the place behind it. The types are those of the places, or the first one for all.
fn borders(text: &str, tokens: &[Token], start: usize, first: &Oid, kinds: &[Oid]) -> Option<(Vec<Border>, usize)> {
    let symbol = |place: usize, letter: u8| tokens.get(place).is_some_and(|token| token.kind == Kind::Symbol(letter));
    symbol(start, b'(').then_some(())?;
    let mut place = start + 1;
    let mut borders = Vec::new();
    loop {
        let sign = symbol(place, b'-');
        place += usize::from(sign);
        let token = tokens.get(place)?;
        let written = &text[token.range.clone()];
        let constant = match token.kind {
            Kind::Number => Constant::Value(format!("{}{written}", if sign { "-" } else { "" })),
            Kind::String => Constant::Value(written.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'")),
            _ if written == "NULL" => Constant::Null,
            _ => {
                borders.push(match written {
                    "MINVALUE" => Border::Least,
                    "MAXVALUE" => Border::Most,
                    _ => return None,
                });
                Constant::Null
            }
        };
        if !matches!(written, "MINVALUE" | "MAXVALUE") {
            let kind = kinds.get(borders.len()).unwrap_or(first);
            borders.push(Border::At(value(&constant, *kind)?));
        }
        place += 1;
        if symbol(place, b')') {
            return Some((borders, place + 1));
        }
        symbol(place, b',').then_some(())?;
        place += 1;
    }
}

impl Bound {
    /// The partition holds the row of that key; `None`: not known.
    fn holds(&self, key: &[Value]) -> Option<bool> {
        match self {
            Bound::Default => Some(false),
            Bound::List(values) => Some(values.contains(key.first()?)),
            Bound::Range(..) if key.contains(&Value::Null) => Some(false),
            Bound::Range(lower, upper) => Some(!less(key, lower)? && less(key, upper)?),
        }
    }
}

/// The key is below the border.
fn less(key: &[Value], border: &[Border]) -> Option<bool> {
    for (value, border) in key.iter().zip(border) {
        match (value, border) {
            (_, Border::Least) => return Some(false),
            (_, Border::Most) => return Some(true),
            (Value::Text(_), _) => return None,
            (value, Border::At(at)) if value == at => {}
            (value, Border::At(at)) => return Some(value < at),
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Column, Object, RelationKind};

    const INT: Oid = 23;
    const DATE: Oid = 1082;
    const TEXT: Oid = 25;

    /// The numbers of the partitions, from 1 on, that rows can be in.
    fn pruned(key: &str, kinds: &[Oid], bounds: &[&str], sql: &str) -> Option<Vec<Oid>> {
        prunes(key, kinds, bounds, sql, false)
    }

    fn prunes(key: &str, kinds: &[Oid], bounds: &[&str], sql: &str, loose_key: bool) -> Option<Vec<Oid>> {
        let column = |(place, kind): (usize, &Oid)| Column { name: ["a", "b"][place].into(), kind: *kind };
        let parent = Relation {
            kind: RelationKind::Partitioned,
            partition_key: Some(key.into()),
            loose_key,
            columns: kinds.iter().enumerate().map(column).collect(),
            ..Relation::default()
        };
        let child = |(place, bound): (usize, &&str)| {
            let relation = Relation { bound: Some((*bound).into()), ..Relation::default() };
            (Oid::try_from(place + 1).unwrap(), Object::Relation(Box::new(relation)))
        };
        let catalog = Catalog::of(bounds.iter().enumerate().map(child));
        let children: Vec<Oid> = (1..=Oid::try_from(bounds.len()).unwrap()).collect();
        let statement = crate::analyse(sql).statements.remove(0);
        let pruned = prune(&catalog, &parent, &children, &statement.relations[0].rows)?;
        Some(pruned.into_iter().map(|(oid, _)| oid).collect())
    }

    #[test]
    fn constants_decide() {
        let ranges = ["FOR VALUES FROM (MINVALUE) TO (10)", "FOR VALUES FROM (10) TO ('20')", "DEFAULT"];
        let range = |sql: &str| pruned("RANGE (a)", &[INT], &ranges, sql);
        assert_eq!(range("insert into p values (9)"), Some(vec![1]));
        assert_eq!(range("insert into p values (10), (-1)"), Some(vec![1, 2]));
        assert_eq!(range("insert into p values (20), (null)"), Some(vec![3]));
        assert_eq!(range("update p set b = 1 where a = 19"), Some(vec![2]));
        assert_eq!(range("delete from p where a in (1, 100)"), Some(vec![1, 3]));
        assert_eq!(range("delete from p where a = null"), Some(vec![]));
        assert_eq!(range("insert into p values (f(1))"), None);
        assert_eq!(range("insert into p values (1.5)"), None);
        assert_eq!(range("insert into p values (default)"), None);
        assert_eq!(range("delete from p where b = 1"), None);

        let lists = ["FOR VALUES IN ('x', 'it''s')", "FOR VALUES IN (NULL)"];
        let list = |sql: &str| pruned("LIST (a)", &[TEXT], &lists, sql);
        assert_eq!(list("insert into p values ('it''s'), (null)"), Some(vec![1, 2]));
        assert_eq!(list("delete from p where a = 'y'"), Some(vec![]));
        // What becomes of it as a text is not what is written.
        assert_eq!(list("insert into p values (1e3)"), None);
        assert_eq!(list("insert into p values ('x'::text), ('x')"), Some(vec![1]));
        assert_eq!(list("insert into p values (date '2024-01-01')"), None);

        let cut = |sql: &str| pruned("LIST (a)", &[VARCHAR], &lists, sql);
        assert_eq!(cut("insert into p values ('x  ')"), None);
        assert_eq!(cut("insert into p values ('x')"), Some(vec![1]));
        assert_eq!(cut("delete from p where a = 'x  '"), Some(vec![]));

        let days = ["FOR VALUES FROM ('2024-01-01', 1) TO ('2024-02-01', MAXVALUE)", "DEFAULT"];
        let day = |sql: &str| pruned("RANGE (a, b)", &[DATE, INT], &days, sql);
        assert_eq!(day("insert into p values ('2024-01-01', 0)"), Some(vec![2]));
        assert_eq!(day("insert into p values (date '2024-02-01', 9)"), Some(vec![1]));
        assert_eq!(day("insert into p values ('1 Jan 2024', 9)"), None);

        assert_eq!(
            pruned("RANGE (a)", &[TEXT], &["FOR VALUES FROM ('a') TO ('b')"], "insert into p values ('a')"),
            None
        );
        assert_eq!(
            pruned("HASH (a)", &[INT], &["FOR VALUES WITH (modulus 1, remainder 0)"], "insert into p values (1)"),
            None
        );
        assert_eq!(pruned("LIST (lower(a))", &[TEXT], &lists, "insert into p values ('x')"), None);
        assert_eq!(pruned("LIST (a)", &[1700], &["FOR VALUES IN (1)"], "insert into p values (1)"), None);
    }

    /// Two texts may be equal that are not written alike.
    #[test]
    fn a_key_that_compares_loosely_decides_nothing() {
        let lists = ["FOR VALUES IN ('x')", "DEFAULT"];
        for (key, loose, left) in [
            ("LIST (a)", false, Some(vec![2])),
            ("LIST (a)", true, None),
            ("LIST (a COLLATE \"und-ks-level2\")", false, None),
            ("LIST (a public.ci_ops)", false, None),
        ] {
            assert_eq!(prunes(key, &[TEXT], &lists, "insert into p values ('X')", loose), left, "{key} {loose}");
        }
    }

    /// A partition may have its columns in another order than its parent.
    #[test]
    fn rows_go_down_by_the_names_of_their_columns() {
        let column = |name: &str| Column { name: name.into(), kind: INT };
        let parent = Relation {
            kind: RelationKind::Partitioned,
            partition_key: Some("RANGE (a)".into()),
            columns: vec![column("a"), column("b")],
            ..Relation::default()
        };
        let below = Relation {
            partition_key: Some("LIST (b)".into()),
            columns: vec![column("b"), column("a")],
            ..parent.clone()
        };
        let child =
            |bound: &str| Object::Relation(Box::new(Relation { bound: Some(bound.into()), ..Relation::default() }));
        let catalog = Catalog::of([
            (1, child("FOR VALUES FROM (1) TO (2)")),
            (2, child("FOR VALUES IN (1)")),
            (3, child("FOR VALUES IN (7)")),
        ]);
        let statement = crate::analyse("insert into p values (1, 7)").statements.remove(0);
        let rows = prune(&catalog, &parent, &[1], &statement.relations[0].rows).unwrap().remove(0).1;
        assert_eq!(prune(&catalog, &below, &[2, 3], &rows).unwrap().remove(0).0, 3);
    }

    #[test]
    fn an_operator_counts_only_where_it_can_be_meant() {
        let parent = Relation {
            kind: RelationKind::Partitioned,
            partition_key: Some("LIST (a)".into()),
            columns: vec![Column { name: "a".into(), kind: TEXT }],
            ..Relation::default()
        };
        let rows = crate::analyse("delete from p where a = 'x'").statements.remove(0).relations.remove(0).rows;
        for (kind, decides) in [(TEXT, false), (20_001, true)] {
            let bound = Relation { bound: Some("FOR VALUES IN ('x')".into()), ..Relation::default() };
            let operator = Operator { name: "=".into(), left: kind, right: kind, ..Operator::default() };
            let catalog = Catalog::of([(1, Object::Relation(Box::new(bound))), (20_000, Object::Operator(operator))]);
            assert_eq!(prune(&catalog, &parent, &[1], &rows).is_some(), decides);
        }
    }
}
