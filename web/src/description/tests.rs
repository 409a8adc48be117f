//! Routes and description against each other.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Router, routing::get};

use super::*;

fn described() -> (Router<Arc<Shared>>, Value) {
    let (api, open, description) = crate::api::described("hansard_8080");
    (open.nest("/api", api), description)
}

/// The methods of each path of a router, as it tells them to a developer.
fn routed<S>(router: &Router<S>) -> BTreeMap<String, BTreeSet<String>> {
    let told = format!("{router:?}");
    let (routes, _) = told.split_once("fallback_router").unwrap();
    let (routes, paths) = routes.split_once("paths: {").unwrap();
    let numbered = |text: &'_ str| -> Vec<(String, String)> {
        text.split("RouteId(")
            .skip(1)
            .filter_map(|route| route.split_once("): "))
            .map(|(number, rest)| (number.to_owned(), rest.to_owned()))
            .collect()
    };
    let methods: BTreeMap<String, BTreeSet<String>> = numbered(routes)
        .into_iter()
        .map(|(number, route)| {
            let methods = route.split_once("MethodRouter { ").and_then(|(_, route)| route.split_once("fallback: "));
            // A service answers to any.
            let Some((methods, _)) = methods else { return (number, BTreeSet::from(["any".to_owned()])) };
            let some = methods.split(", ").filter_map(|method| method.split_once(": "));
            (number, some.filter(|(_, handler)| *handler != "None").map(|(method, _)| method.to_owned()).collect())
        })
        .collect();
    numbered(paths)
        .into_iter()
        .map(|(number, path)| (path.split('"').nth(1).unwrap().to_owned(), methods[&number].clone()))
        .collect()
}

fn told(description: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = description["paths"].as_object().unwrap();
    paths.iter().map(|(path, methods)| (path.clone(), methods.as_object().unwrap().keys().cloned().collect())).collect()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let (router, description) = described();
    assert_eq!(routed(&router), told(&description));
    assert_eq!(told(&description).len(), 21);
    // The walk sees what goes past the description.
    #[allow(clippy::disallowed_methods, reason = "past the description")]
    let past = router.route("/api/v1/past", get(async || "")).route("/past", get(async || "").post(async || ""));
    let both = BTreeSet::from(["get".to_owned(), "post".to_owned()]);
    assert_eq!(routed(&past).get("/past"), Some(&both));
    assert_eq!(routed(&past).len(), 23);
}

#[test]
fn what_is_written_in_a_path_is_what_the_handler_takes() {
    let (_, description) = described();
    for (path, methods) in description["paths"].as_object().unwrap() {
        let written: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for (method, operation) in methods.as_object().unwrap() {
            let taken: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            assert_eq!(written, taken, "{method} {path}");
        }
    }
}

#[test]
fn every_operation_says_what_a_reader_needs() {
    let (_, description) = described();
    let tags: BTreeSet<&str> = TAGS.into_iter().map(|(name, _)| name).collect();
    let mut ids = BTreeSet::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{id}");
            assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{id}");
            for parameter in operation["parameters"].as_array().unwrap() {
                assert!(parameter["description"].is_string(), "{id}: {parameter}");
                let schema = &parameter["schema"];
                let text = parameter["in"] != "header"
                    && schema["type"] == "string"
                    && schema["enum"].is_null()
                    && schema["const"].is_null();
                let bounded = schema["maxLength"].is_u64() || schema["format"] == "uuid";
                assert!(!text || bounded, "{id}: a text without a bound: {parameter}");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{id}");
            let guarded = path.starts_with(API);
            assert_eq!(responses.contains_key("401"), guarded, "{id}");
            assert_eq!(operation["security"].is_null(), guarded, "{id}: what the whole API asks for");
        }
    }
}

#[test]
fn all_that_is_referred_to_is_there() {
    fn references(value: &Value, all: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, all)),
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    all.insert(reference.clone());
                }
                fields.values().for_each(|field| references(field, all));
            }
            _ => {}
        }
    }
    let (_, description) = described();
    let mut all = BTreeSet::new();
    references(&description, &mut all);
    assert!(all.len() > 20, "{all:?}");
    for reference in &all {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference}");
    }
    // And all that has a name is referred to, but for the answer to a method that nobody described.
    for part in ["schemas", "responses"] {
        for name in description["components"][part].as_object().unwrap().keys() {
            let reference = format!("#/components/{part}/{name}");
            assert!(all.contains(&reference) || name == "WrongMethod", "{reference}");
        }
    }
}

#[test]
fn a_schema_is_one_thing_wherever_it_is_named() {
    // As it is written, and as it is read.
    let mut schemas = Schemas::new();
    schemas.answer::<hansard_schemas::http::QueryFormat>();
    schemas.body::<hansard_schemas::http::QueryRequest>();
    let written = schemas.answers.take_definitions(true);
    let read = schemas.bodies.take_definitions(true);
    for (name, schema) in &read {
        assert!(written.get(name).is_none_or(|written| written == schema), "{name}");
    }
}

#[test]
fn what_is_left_out_is_never_null() {
    let (_, description) = described();
    let schemas = &description["components"]["schemas"];
    assert_eq!(schemas["PageOfSessionSummary"]["properties"]["next"]["type"], "string");
    assert_eq!(schemas["SessionSummary"]["properties"]["closed_at"]["type"], "string");
    assert_eq!(schemas["TouchRow"]["properties"]["committed_at"]["type"], json!(["string", "null"]));
    assert_eq!(schemas["Step"]["properties"]["error_details"]["$ref"], "#/components/schemas/SaidDetails");
}
