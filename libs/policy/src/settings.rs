//! Settings of the session that a statement changes: SET, RESET and calls of `set_config`.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    FuncCall, Node, SelectStmt, SetOperation, TypeCast, VariableSetKind, VariableSetStmt, a_const::Val,
};

use crate::expression::{function_name, strings, text, truth};
use crate::{BoundSetting, Effect, Operation, SettingChange, search_path};

/// Settings that are told, beside `search_path`.
const TOLD: [&str; 6] = [
    "client_encoding",
    "standard_conforming_strings",
    "backslash_quote",
    "role",
    "session_authorization",
    "session_replication_role",
];

/// SET and RESET.
pub(crate) fn variable(set: &VariableSetStmt) -> (Operation, Effect) {
    let kind = VariableSetKind::try_from(set.kind);
    if kind == Ok(VariableSetKind::VarSetMulti) && set.name.contains("TRANSACTION") {
        return (Operation::Transaction, Effect::None);
    }
    let name = set.name.to_ascii_lowercase();
    let (path, told) = (name == "search_path", TOLD.contains(&name.as_str()));
    let local = set.is_local;
    let effect = match kind {
        Ok(VariableSetKind::VarSetValue) if path => {
            let schemas = set.args.iter().filter_map(value).filter(|name| !name.is_empty());
            let mut schemas: Vec<String> = schemas.collect();
            schemas.iter_mut().for_each(search_path::cut);
            Effect::SearchPath { schemas: Some(schemas), local }
        }
        Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset) if path => {
            Effect::SearchPath { schemas: None, local }
        }
        Ok(VariableSetKind::VarSetValue) if told => {
            Effect::Setting { name, value: set.args.first().and_then(value), local }
        }
        Ok(VariableSetKind::VarSetDefault | VariableSetKind::VarReset) if told => {
            Effect::Setting { name, value: None, local }
        }
        Ok(VariableSetKind::VarResetAll) => Effect::ResetAll,
        _ => Effect::None,
    };
    (Operation::Set, effect)
}

/// A value of SET, as text.
fn value(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            Val::Sval(string) => Some(string.sval.clone()),
            Val::Ival(integer) => Some(integer.ival.to_string()),
            Val::Fval(number) => Some(number.fval.clone()),
            Val::Boolval(boolean) => Some(boolean.boolval.to_string()),
            Val::Bsval(bits) => Some(bits.bsval.clone()),
        },
        _ => text(node).map(str::to_owned),
    }
}

/// What a SELECT of calls of `set_config` changes, and how many calls that explains. Nothing else may stand beside
/// them: a condition, a FROM list or a function that returns no rows decides whether they run.
pub(crate) fn by_calls(node: &NodeEnum) -> (Vec<SettingChange>, usize) {
    let NodeEnum::SelectStmt(select) = node else { return Default::default() };
    let changes: Option<Vec<SettingChange>> = select.target_list.iter().map(change).collect();
    match changes {
        Some(mut changes) if runs_once(select) => {
            let calls = changes.len();
            changes.retain(|change| change.name == "search_path" || TOLD.contains(&change.name.as_str()));
            (changes, calls)
        }
        _ => Default::default(),
    }
}

/// What a SELECT of calls of `set_config` changes, where a value is a parameter of the statement and everything else is
/// constant: all of it, or nothing where something stands beside that.
pub(crate) fn by_bound_calls(node: &NodeEnum) -> Vec<BoundSetting> {
    let NodeEnum::SelectStmt(select) = node else { return Vec::new() };
    let bound: Option<Vec<BoundSetting>> = select.target_list.iter().map(bound).collect();
    bound.filter(|_| runs_once(select)).unwrap_or_default()
}

/// A target that is a call of `set_config` with a parameter as value.
fn bound(target: &Node) -> Option<BoundSetting> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_ref()?.node.as_ref() else { return None };
    let [name, value, local] = &call.args[..] else { return None };
    let plain = call.agg_filter.is_none() && call.over.is_none() && call.agg_order.is_empty() && !call.func_variadic;
    let (Constant::Text(name), true) = (constant(name)?, is_set_config(call) && plain) else { return None };
    let local = !matches!(constant(local)?, Constant::Null) && truth(local)?;
    Some(BoundSetting { name: name.to_ascii_lowercase(), parameter: parameter(value)?, local })
}

/// The number of a parameter, which may be cast to text.
fn parameter(node: &Node) -> Option<u32> {
    match node.node.as_ref()? {
        NodeEnum::ParamRef(parameter) => u32::try_from(parameter.number).ok().filter(|number| *number > 0),
        NodeEnum::TypeCast(cast) if keeps_value(cast) => parameter(cast.arg.as_deref()?),
        _ => None,
    }
}

/// Its target list is evaluated exactly once.
fn runs_once(select: &SelectStmt) -> bool {
    select.from_clause.is_empty()
        && select.where_clause.is_none()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.distinct_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.with_clause.is_none()
        && SetOperation::try_from(select.op) == Ok(SetOperation::SetopNone)
}

/// A target that is a call of `set_config` with constants.
fn change(target: &Node) -> Option<SettingChange> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
    let Some(NodeEnum::FuncCall(call)) = target.val.as_ref()?.node.as_ref() else { return None };
    let [name, value, local] = &call.args[..] else { return None };
    let plain = call.agg_filter.is_none() && call.over.is_none() && call.agg_order.is_empty() && !call.func_variadic;
    if !is_set_config(call) || !plain {
        return None;
    }
    let local = match constant(local)? {
        Constant::Null => false,
        _ => truth(local)?,
    };
    let value = match constant(value)? {
        Constant::Null => None,
        Constant::Text(value) => Some(value.to_owned()),
        Constant::Boolean => return None,
    };
    let Constant::Text(name) = constant(name)? else { return None };
    Some(SettingChange { name: name.to_ascii_lowercase(), value, local })
}

pub(crate) fn is_set_config(call: &FuncCall) -> bool {
    function_name(call)
        .is_some_and(|name| name.name == "set_config" && matches!(name.schema.as_deref(), None | Some("pg_catalog")))
}

enum Constant<'a> {
    Null,
    Text(&'a str),
    Boolean,
}

/// A constant that reads the same as an argument of type text or boolean.
fn constant(node: &Node) -> Option<Constant<'_>> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match &constant.val {
            None => Some(Constant::Null),
            Some(Val::Sval(string)) => Some(Constant::Text(&string.sval)),
            Some(Val::Boolval(_)) => Some(Constant::Boolean),
            Some(_) => None,
        },
        NodeEnum::TypeCast(cast) if keeps_value(cast) => constant(cast.arg.as_deref()?),
        _ => None,
    }
}

/// To text or boolean: other types may change the value.
fn keeps_value(cast: &TypeCast) -> bool {
    cast.type_name.as_ref().is_some_and(|kind| {
        matches!(strings(&kind.names).next_back(), Some("text" | "bool"))
            && kind.typmods.is_empty()
            && kind.array_bounds.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use crate::{BoundSetting, Effect, SettingChange, analyse};

    fn set(name: &str, value: Option<&str>, local: bool) -> Effect {
        Effect::Setting { name: name.to_owned(), value: value.map(str::to_owned), local }
    }

    #[test]
    fn set_and_reset() {
        for (sql, expected) in [
            ("set client_encoding = latin1", set("client_encoding", Some("latin1"), false)),
            ("set names 'LATIN1'", set("client_encoding", Some("LATIN1"), false)),
            ("set names", set("client_encoding", None, false)),
            ("set Standard_Conforming_Strings to off", set("standard_conforming_strings", Some("off"), false)),
            ("set \"STANDARD_conforming_strings\" = 0", set("standard_conforming_strings", Some("0"), false)),
            ("set local standard_conforming_strings = true", set("standard_conforming_strings", Some("true"), true)),
            ("set backslash_quote = safe_encoding", set("backslash_quote", Some("safe_encoding"), false)),
            ("set role Admin", set("role", Some("admin"), false)),
            ("set local role \"Admin\"", set("role", Some("Admin"), true)),
            ("set role none", set("role", Some("none"), false)),
            ("reset role", set("role", None, false)),
            ("set session authorization 'a'", set("session_authorization", Some("a"), false)),
            ("set local session authorization default", set("session_authorization", None, true)),
            ("reset session authorization", set("session_authorization", None, false)),
            ("reset client_encoding", set("client_encoding", None, false)),
            ("set session_replication_role = replica", set("session_replication_role", Some("replica"), false)),
            ("reset all", Effect::ResetAll),
            ("set work_mem = '1MB'", Effect::None),
            ("set time zone 'UTC'", Effect::None),
        ] {
            assert_eq!(analyse(sql).statements[0].effect, expected, "{sql}");
        }
    }

    #[test]
    fn schemas_of_a_path_may_be_numbers_and_are_cut() {
        let path = |sql: &str| match analyse(sql).statements.remove(0).effect {
            Effect::SearchPath { schemas, .. } => schemas.unwrap(),
            effect => panic!("{effect:?}"),
        };
        assert_eq!(path("set search_path = 1, public"), ["1", "public"]);
        assert_eq!(path("set search_path = -1, 1.50, true, 'a b', ''"), ["-1", "1.50", "true", "a b"]);
        let (long, wide) = ("a".repeat(70), format!("{}é", "a".repeat(62)));
        let cut = ["a".repeat(63), "a".repeat(62)];
        assert_eq!(path(&format!("set search_path = '{long}', '{wide}'")), cut);
        assert_eq!(path(&format!("select set_config('search_path', '{long},{wide}', false)")), cut);
    }

    #[test]
    fn calls_with_constants_are_told() {
        let change = |name: &str, value: Option<&str>, local| SettingChange {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            local,
        };
        for (sql, expected) in [
            (
                "select set_config('client_encoding', 'x', false), set_config('ROLE'::text, NULL, 'on')",
                vec![change("client_encoding", Some("x"), false), change("role", None, true)],
            ),
            ("select pg_catalog.set_config('search_path', '', null)", vec![change("search_path", Some(""), false)]),
            ("select set_config('work_mem', '1MB', false)", vec![]),
        ] {
            let statement = analyse(sql).statements.remove(0);
            assert_eq!((statement.settings, statement.may_change_settings), (expected, false), "{sql}");
        }
    }

    /// Known failure: `select set_config('search_path', $1, false)`, then `update t`.
    #[test]
    fn calls_with_a_parameter_are_told() {
        let statement = analyse("select pg_catalog.set_config('Search_Path', $2::text, false)").statements.remove(0);
        let expected = BoundSetting { name: "search_path".to_owned(), parameter: 2, local: false };
        assert_eq!((statement.bound_settings, statement.may_change_settings), (vec![expected], true));
        for sql in [
            "select set_config('search_path', $1, $2)",
            "select set_config($1, 'x', false)",
            "select set_config('search_path', $1 || 'x', false)",
            "select set_config('search_path', $1, false) where false",
            "select set_config('search_path', $1, false), 1",
        ] {
            assert_eq!(analyse(sql).statements[0].bound_settings, [], "{sql}");
        }
    }

    #[test]
    fn what_may_change_settings_is_told() {
        for sql in [
            "select set_config('role', $1, false)",
            "select set_config($1, 'x', false)",
            "select set_config('role', 'a' || 'b', false)",
            "select set_config('role', 'abc'::char(1), false)",
            "select set_config('role', 'a', false) where false",
            "select set_config('role', 'a', false) limit 0",
            "select set_config('role', 'a', false), generate_series(1, 0)",
            "select set_config('role', 'a', false) from t",
            "select 1 union select set_config('role', 'a', false)::int",
            "select coalesce(set_config('role', 'a', false), '')",
            "explain analyze select set_config('role', 'a', false)",
            "insert into t values (set_config('role', 'a', false))",
            "select own()",
            "select s.lower('x')",
            "select * from own(1)",
            "do $$ begin end $$",
            "call p()",
            "load 'x'",
            "not sql",
        ] {
            let statement = analyse(sql).statements.remove(0);
            assert_eq!((&statement.settings[..], statement.may_change_settings), (&[][..], true), "{sql}");
        }
        for sql in [
            "select lower(a), count(*), pg_catalog.now() from t",
            "insert into t values (coalesce(1, 2))",
            "prepare p as select own()",
            "update t set a = cast(b as int) where extract(year from c) = 1",
            "begin",
        ] {
            assert!(!analyse(sql).statements[0].may_change_settings, "{sql}");
        }
    }
}
