//! The function or procedure that a statement makes.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, DefElem, FunctionParameterMode};

use crate::catalog::{Function, FunctionKind, Text};
use crate::expression::strings;
use crate::{Call, CallKind, Dialect, MAX_TEXT, Name, SHALLOW, attached, scan};

/// Longest body that is told.
const MAX_BODY: usize = 16 * 1024;

/// Longest list of types that is told.
const MAX_SIGNATURE: usize = 4 * 1024;

/// The types of arguments and results, without those that certainly are PostgreSQL's own; of `%TYPE` the relation's.
fn types_of(create: &CreateFunctionStmt) -> Vec<Name> {
    let parameters = create.parameters.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::FunctionParameter(parameter)) => parameter.arg_type.as_ref(),
        _ => None,
    });
    let names = parameters.chain(create.return_type.as_ref()).filter_map(|kind| {
        let mut parts = strings(&kind.names).rev().skip(usize::from(kind.pct_type));
        let name = parts.next()?.to_owned();
        Some(Name { schema: parts.next().map(str::to_owned), name })
    });
    names.filter(|name| name.schema.as_deref() != Some("pg_catalog")).collect()
}

/// Values become ones of the types in a list of parameters and in a result, as PostgreSQL writes them. None where they are
/// not understood.
pub(crate) fn types(parameters: &str, result: &str) -> Option<Vec<Call>> {
    let returns = if result.is_empty() { "" } else { "returns" };
    let text = format!("create function x({parameters}) {returns} {result} language sql as ''");
    let split = scan::split(&text, Dialect::default(), 2).ok()?;
    if text.len() > MAX_TEXT || split.parts.iter().any(|part| part.depth > SHALLOW) {
        return None;
    }
    let parsed = crate::parse(&text, Dialect::default()).ok()?;
    let [only] = &parsed[..] else { return None };
    match only.stmt.as_ref()?.node.as_ref()? {
        NodeEnum::CreateFunctionStmt(create) => {
            let call = |name| Call { kind: CallKind::Type, name, arguments: None };
            Some(types_of(create).into_iter().map(call).collect())
        }
        _ => None,
    }
}

/// What a statement makes, as the catalog will have it but for its types, which are told as they are written: by name, and with
/// what is needed to follow it. None where its body cannot be read, or runs in other circumstances than its caller's.
pub(crate) fn made(node: &NodeEnum) -> Option<(Name, Function)> {
    let NodeEnum::CreateFunctionStmt(create) = node else { return None };
    let mut parts = strings(&create.funcname).rev();
    let name = parts.next()?.to_owned();
    let schema = parts.next().map(str::to_owned);
    let (mut language, mut source) = (None, None);
    for option in create.options.iter().filter_map(|node| node.node.as_ref()) {
        let NodeEnum::DefElem(option) = option else { return None };
        match option.defname.as_str() {
            "language" => language = text(option).map(str::to_lowercase),
            "as" => source = body(option),
            "set" | "security" | "transform" | "window" => return None,
            _ => {}
        }
    }
    let (language, source) = (language?, source?);
    if !matches!(language.as_str(), "sql" | "plpgsql") || source.is_empty() || source.len() > MAX_BODY {
        return None;
    }
    let kind = if create.is_procedure { FunctionKind::Procedure } else { FunctionKind::Function };
    let (arguments, defaults, variadic) = arguments(create)?;
    let types: Vec<String> = types_of(create).iter().map(|name| format!("a {name}")).collect();
    let signature = types.join(", ");
    if signature.len() > MAX_SIGNATURE {
        return None;
    }
    let function = Function {
        name: name.as_str().into(),
        kind,
        arguments: vec![0; arguments],
        defaults,
        variadic,
        signature: signature.as_str().into(),
        language: language.as_str().into(),
        source: Some(Text::from(source)),
        ..Function::default()
    };
    Some((Name { schema, name }, function))
}

fn text(option: &DefElem) -> Option<&str> {
    match option.arg.as_deref()?.node.as_ref()? {
        NodeEnum::String(text) => Some(&text.sval),
        _ => None,
    }
}

/// AS 'body'; of a function in C there are two texts.
fn body(option: &DefElem) -> Option<&str> {
    match option.arg.as_deref()?.node.as_ref()? {
        NodeEnum::List(list) if list.items.len() == 1 => strings(&list.items).next(),
        _ => None,
    }
}

/// How many it takes, how many of them may be left out, and whether the last may come several times. None where code may
/// run for one that is left out.
fn arguments(create: &CreateFunctionStmt) -> Option<(usize, u32, bool)> {
    use FunctionParameterMode as Mode;
    let (mut count, mut defaults, mut variadic) = (0, 0, false);
    for node in &create.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = &node.node else { return None };
        match parameter.mode() {
            // Those of a procedure are written in its call, too.
            Mode::FuncParamOut if !create.is_procedure => continue,
            Mode::FuncParamTable => continue,
            Mode::FuncParamVariadic => variadic = true,
            _ => {}
        }
        count += 1;
        if let Some(default) = parameter.defexpr.as_deref() {
            if !attached::is_plain_value(default) {
                return None;
            }
            defaults += 1;
        }
    }
    Some((count, defaults, variadic))
}

#[cfg(test)]
mod tests {
    use crate::analyse;

    #[test]
    fn what_can_be_followed_is_told() {
        let one = |sql: &str| {
            let (name, function) = analyse(sql).statements.remove(0).routine?;
            Some(format!("{name} {} {}+{}", function.language, function.arguments.len(), function.defaults))
        };
        for (sql, expected) in [
            ("create function f() returns int language sql as 'select 1'", Some("f sql 0+0")),
            (
                "create or replace function S.f(a int, b int default 1, out c int) language plpgsql as 'x'",
                Some("s.f plpgsql 2+1"),
            ),
            ("create function f(int) returns table (a int) as $$select 1$$ language sql immutable", Some("f sql 1+0")),
            ("create function f(a text default now()) returns int language sql as 'select 1'", Some("f sql 1+1")),
            ("create function g(a int default f()) returns int language sql as 'select 1'", None),
            ("create function g(a text default abs('q')) returns int language sql as 'select 1'", None),
            ("create procedure p(inout a int, out b int) language plpgsql as 'x'", Some("p plpgsql 2+0")),
            ("create function f() returns int language sql begin atomic; select 1; end", None),
            ("create function f() returns int language sql return 1", None),
            ("create function f() returns int language sql set search_path = a as 'select 1'", None),
            ("create function f() returns int language sql security definer as 'select 1'", None),
            ("create function f() returns int language c as 'x', 'y'", None),
            ("create function f() returns int language internal as 'int4eq'", None),
            ("select 1", None),
        ] {
            assert_eq!(one(sql).as_deref(), expected, "{sql}");
        }
        let long = format!("create function f() returns int language sql as 'select {}1'", " ".repeat(super::MAX_BODY));
        assert_eq!(one(&long), None);
    }
}
