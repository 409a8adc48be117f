//! The API's description as OpenAPI 3.1, made while handlers are put in their places.
//!
//! Invariants: a handler gets its address and its description in one call, and nowhere else; what it takes and answers is
//! described by the types that it takes and answers (`inputs`, `answers`), not a second time by hand. What is told
//! beside that is what types cannot say: a name, a sentence, examples.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Router,
    routing::{MethodRouter, delete, get, post},
};
use hansard_schemas::http::{API, ApiError, ErrorBody};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    Shared,
    failure::{Failure, Kind},
};

mod answers;
mod inputs;

pub(crate) use answers::{Answer, As, Csv, Files, NoContent, Page, RowObject, Rows};
pub(crate) use inputs::Describe;

/// How any request behind the gate can fail, whatever it asks.
const GATE: [Kind; 6] =
    [Kind::Unauthenticated, Kind::Forbidden, Kind::Internal, Kind::Busy, Kind::Unavailable, Kind::Timeout];

/// What types do not say of an operation.
pub(crate) struct Said {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    body: Option<Value>,
    example: Option<Value>,
    links: Vec<(&'static str, &'static str, Value)>,
    fails: &'static [Kind],
}

/// An operation's name, what it belongs to, and what it does in a sentence.
pub(crate) fn say(id: &'static str, tag: &'static str, summary: &'static str) -> Said {
    Said {
        id,
        tag,
        summary,
        description: "",
        parameters: &[],
        body: None,
        example: None,
        links: Vec::new(),
        fails: &[],
    }
}

impl Said {
    /// More of what it does.
    pub(crate) fn more(self, description: &'static str) -> Said {
        Said { description, ..self }
    }

    /// Values of parameters that belong together, and to the example of an answer.
    pub(crate) fn with(self, parameters: &'static [(&'static str, &'static str)]) -> Said {
        Said { parameters, ..self }
    }

    /// A body.
    pub(crate) fn body(self, body: impl Serialize) -> Said {
        Said { body: serde_json::to_value(body).ok(), ..self }
    }

    /// An answer in JSON.
    pub(crate) fn example(self, answer: impl Serialize) -> Said {
        Said { example: serde_json::to_value(answer).ok(), ..self }
    }

    /// Another operation that can be asked with what the answer says: its parameters as runtime expressions of OpenAPI.
    pub(crate) fn link(mut self, name: &'static str, operation: &'static str, parameters: Value) -> Said {
        self.links.push((name, operation, parameters));
        self
    }

    /// How it can fail beyond what its parameters and its answer tell.
    pub(crate) fn fails(self, fails: &'static [Kind]) -> Said {
        Said { fails, ..self }
    }
}

/// JSON schemas of what is asked and answered.
pub(crate) struct Schemas {
    /// As it is written: a field that is always there is required.
    answers: SchemaGenerator,
    /// As it is read: a field that may be left out is not required.
    bodies: SchemaGenerator,
    /// The same, each by itself.
    inline: SchemaGenerator,
}

impl Schemas {
    fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Schemas {
            answers: settings().for_serialize().into_generator(),
            bodies: settings().into_generator(),
            inline: settings().with(|settings| settings.inline_subschemas = true).into_generator(),
        }
    }

    fn answer<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    fn body<T: JsonSchema>(&mut self) -> Schema {
        self.bodies.subschema_for::<T>()
    }

    fn inline<T: JsonSchema>(&mut self) -> Schema {
        self.inline.root_schema_for::<T>()
    }

    /// All that has a name.
    fn named(mut self) -> Map<String, Value> {
        let mut named = self.answers.take_definitions(true);
        for (name, schema) in &mut named {
            let _ = name;
            without_absent_nulls(schema);
        }
        for (name, schema) in self.bodies.take_definitions(true) {
            named.entry(name).or_insert(schema);
        }
        named
    }
}

/// What is left out where there is none is never null: `skip_serializing_if` makes a field no required one.
fn without_absent_nulls(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(without_absent_nulls),
        Value::Object(fields) => {
            let required: BTreeSet<String> = fields
                .get("required")
                .and_then(Value::as_array)
                .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default();
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (name, property) in properties {
                    if !required.contains(name) {
                        without_null(property);
                    }
                }
            }
            fields.values_mut().for_each(without_absent_nulls);
        }
        _ => {}
    }
}

/// The same schema, but for null.
fn without_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            let kind = kind.clone();
            fields.insert("type".into(), kind);
        }
    }
    if let Some(Value::Array(any)) = fields.get_mut("anyOf") {
        any.retain(|kind| kind["type"] != "null");
        if let [Value::Object(only)] = &any[..] {
            let only = only.clone();
            fields.remove("anyOf");
            for (name, value) in only {
                fields.entry(name).or_insert(value);
            }
        }
    }
    if fields.get("default") == Some(&Value::Null) {
        fields.remove("default");
    }
}

/// What is described of one operation.
#[derive(Default)]
pub(crate) struct Operation {
    parameters: Vec<Value>,
    body: Option<Value>,
    /// Of successes, by their status.
    responses: Map<String, Value>,
    failures: BTreeSet<Kind>,
    /// The parts of its path that are parameters.
    in_path: Vec<&'static str>,
}

impl Operation {
    /// Adds what a success with that status may be.
    fn succeeds(&mut self, status: u16, description: &str, content: Value, headers: Value) {
        let response = self
            .responses
            .entry(status.to_string())
            .or_insert_with(|| json!({ "description": description, "headers": {}, "content": {} }));
        for (part, added) in [("content", content), ("headers", headers)] {
            if let (Some(Value::Object(all)), Value::Object(added)) = (response.get_mut(part), added) {
                all.extend(added);
            }
        }
    }

    fn finish(mut self, said: Said, security: Option<Value>) -> Value {
        for parameter in &mut self.parameters {
            let example = said.parameters.iter().find(|(name, _)| parameter["name"] == **name);
            if let Some((_, value)) = example {
                let number = parameter["schema"]["type"] == "integer";
                let number = value.parse::<i64>().ok().filter(|_| number).map(Value::from);
                parameter["example"] = number.unwrap_or_else(|| Value::from(*value));
            }
        }
        if let (Some(body), Some(example)) = (&mut self.body, said.body) {
            body["content"]["application/json"]["example"] = example;
        }
        let mut links = Map::new();
        for (name, operation, parameters) in said.links {
            links.insert(name.into(), json!({ "operationId": operation, "parameters": parameters }));
        }
        for response in self.responses.values_mut() {
            if let (Some(json), Some(example)) =
                (response.pointer_mut("/content/application~1json"), said.example.clone())
            {
                json["example"] = example;
            }
            if !links.is_empty() {
                response["links"] = Value::Object(links.clone());
            }
            // What there is none of is not said.
            if let Some(fields) = response.as_object_mut() {
                fields.retain(|_, value| value != &json!({}));
            }
        }
        self.failures.extend(said.fails);
        for kind in self.failures {
            let name = response_name(kind);
            self.responses
                .insert(kind.status().as_str().into(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        let mut described = json!({
            "operationId": said.id,
            "tags": [said.tag],
            "summary": said.summary,
            "parameters": self.parameters,
            "responses": self.responses,
        });
        if !said.description.is_empty() {
            described["description"] = said.description.into();
        }
        if let Some(body) = self.body {
            described["requestBody"] = body;
        }
        if let Some(security) = security {
            described["security"] = security;
        }
        described
    }
}

/// Failures of one status are described together.
fn response_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "Invalid",
        Kind::Unauthenticated => "Unauthenticated",
        Kind::Forbidden => "Forbidden",
        Kind::NotFound => "NotFound",
        Kind::WrongMethod => "WrongMethod",
        Kind::TooLarge => "TooLarge",
        Kind::Internal => "Internal",
        Kind::Busy | Kind::Unavailable => "Unavailable",
        Kind::Timeout => "Timeout",
    }
}

/// Routes, and what is said of them.
pub(crate) struct Routes {
    guarded: Router<Arc<Shared>>,
    open: Router<Arc<Shared>>,
    schemas: Schemas,
    paths: Map<String, Value>,
}

impl Routes {
    pub(crate) fn new() -> Routes {
        Routes { guarded: Router::new(), open: Router::new(), schemas: Schemas::new(), paths: Map::new() }
    }

    /// Below the API's path, for who has an identity.
    pub(crate) fn get<H, T>(mut self, path: &'static str, handler: H, said: Said) -> Routes
    where
        H: Describe<T>,
        T: 'static,
    {
        self.describe::<H, T>("get", &format!("{API}{path}"), said, true);
        Routes { guarded: place(self.guarded, path, get(handler)), ..self }
    }

    /// The same, for what does something or takes a body.
    pub(crate) fn post<H, T>(mut self, path: &'static str, handler: H, said: Said) -> Routes
    where
        H: Describe<T>,
        T: 'static,
    {
        self.describe::<H, T>("post", &format!("{API}{path}"), said, true);
        Routes { guarded: place(self.guarded, path, post(handler)), ..self }
    }

    /// The same, for what takes something away.
    pub(crate) fn delete<H, T>(mut self, path: &'static str, handler: H, said: Said) -> Routes
    where
        H: Describe<T>,
        T: 'static,
    {
        self.describe::<H, T>("delete", &format!("{API}{path}"), said, true);
        Routes { guarded: place(self.guarded, path, delete(handler)), ..self }
    }

    /// For everybody, under its own path.
    pub(crate) fn get_open<H, T>(mut self, path: &'static str, handler: H, said: Said) -> Routes
    where
        H: Describe<T>,
        T: 'static,
    {
        self.describe::<H, T>("get", path, said, false);
        Routes { open: place(self.open, path, get(handler)), ..self }
    }

    fn describe<H: Describe<T>, T>(&mut self, method: &'static str, path: &str, said: Said, guarded: bool) {
        let mut operation = Operation::default();
        if guarded {
            operation.failures.extend(GATE);
        }
        H::describe(&mut operation, &mut self.schemas);
        if guarded && method != "get" {
            operation.parameters.push(inputs::origin());
        }
        let described = operation.finish(said, (!guarded).then(|| json!([])));
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = described;
    }

    /// The routes of the API, the others, and the description of both.
    pub(crate) fn split(mut self, cookie: &str) -> (Router<Arc<Shared>>, Router<Arc<Shared>>, Value) {
        let failures = failures(&mut self.schemas);
        let description = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Hansard",
                "summary": "The verbatim record of what automated jobs did to a database.",
                "description": ABOUT,
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/", "description": "The address of `web.listen`, on this machine alone." }],
            "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
            "paths": self.paths,
            "components": {
                "schemas": self.schemas.named(),
                "responses": failures,
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "The owner's token, from the file beside the data (`api-token`, mode 0600). Of leases also a job's own token, of an issuer that is believed: it is given leases, and sees and revokes its own.",
                    },
                    "session": { "type": "apiKey", "in": "cookie", "name": cookie, "description": SESSION },
                },
            },
            "security": [{ "token": [] }, { "session": [] }],
        });
        (self.guarded, self.open, description)
    }
}

/// The one place where a route is made.
#[allow(clippy::disallowed_methods, reason = "with its description")]
fn place(router: Router<Arc<Shared>>, path: &str, handler: MethodRouter<Arc<Shared>>) -> Router<Arc<Shared>> {
    router.route(path, handler)
}

const ABOUT: &str = "Times are RFC 3339 in UTC with nanoseconds; offsets and durations are nanoseconds. Parameters that an address does not \
    take, or takes once and gets twice, or whose value is out of bounds, are refused; empty ones count as absent. What is exported whole \
    leaves in chunks as it comes, over HTTP/1.1 alone: where it cannot come to its end the connection breaks inside of a chunk. \
    JSON and CSV are packed with gzip where `Accept-Encoding` takes it. `HEAD` is answered as `GET` is, without a body; other methods \
    with 405 and `Allow`. The server answers to the hosts `localhost`, `127.0.0.0/8` and `[::1]` alone. On the Unix socket beside \
    the data no identity is asked for: who can open it may read the record. Inside `/api/v1` a field keeps its name and meaning; more may be added.";

const SESSION: &str = "A browser's session, which a login link opens (`hansard login`) for twelve hours. The cookie's name holds the port. \
    What does something must come from this server's own pages: `Origin`, and `Sec-Fetch-Site` where a browser sends it, say so.";

/// What operations belong to.
pub(crate) const TAGS: [(&str, &str); 7] = [
    ("sessions", "Recorded sessions: which there are, and all that is known of one."),
    ("replay", "The statements of a session, in order, and what they gave back."),
    ("changes", "Who changed or touched a relation, and when."),
    ("sql", "Questions in SQL over the whole record."),
    ("leases", "What jobs log in with for a while, and what is good for nothing any more."),
    ("instance", "This Hansard, and the description of its API."),
    ("access", "Getting in and out."),
];

/// The failures, by the names under which operations refer to them.
fn failures(schemas: &mut Schemas) -> Map<String, Value> {
    let schema = schemas.answer::<ApiError>();
    let mut failures = Map::new();
    for kind in Kind::ALL {
        let failure = failures.entry(response_name(kind)).or_insert_with(|| {
            json!({
                "description": "",
                "content": { "application/json": {
                    "schema": {
                        "allOf": [
                            schema,
                            { "properties": { "error": { "properties": { "code": { "enum": [] } } } } },
                        ],
                    },
                    "examples": {},
                } },
            })
        });
        let before = failure["description"].as_str().unwrap_or_default();
        failure["description"] = Value::from(format!("{before} {}", kind.meaning()).trim_start());
        let content = &mut failure["content"]["application/json"];
        if let Some(Value::Array(codes)) = content.pointer_mut("/schema/allOf/1/properties/error/properties/code/enum")
        {
            codes.push(kind.code().into());
        }
        content["examples"][kind.code()] = json!({ "value": example_of(kind) });
        match kind {
            Kind::Unauthenticated => {
                failure["headers"] = json!({ "www-authenticate": {
                    "description": "How to say who asks.", "schema": { "type": "string", "const": "Bearer" },
                } });
            }
            Kind::WrongMethod => {
                failure["headers"] = json!({ "allow": {
                    "description": "The methods that the address takes.", "schema": { "type": "string" },
                } });
            }
            Kind::Busy => {
                failure["headers"] = json!({ "retry-after": {
                    "description": "Seconds to wait; with code `busy`.", "schema": { "type": "integer", "minimum": 1 },
                } });
            }
            _ => {}
        }
    }
    failures
}

fn example_of(kind: Kind) -> ApiError {
    let failure = match kind {
        Kind::Invalid => Failure::new(kind, "'many' is no whole number from 1 to 200.").of("limit"),
        Kind::NotFound => Failure {
            nearest: vec!["public.rankings".into()],
            ..Failure::new(kind, "no target has a relation rankigs; the nearest is public.rankings")
                .hint("Ask for one of the nearest instead, or write the schema, too.")
                .of("relation")
        },
        Kind::Busy => Failure::new(kind, "Too many requests at once.").hint("Try again in a moment."),
        kind => Failure::new(kind, kind.meaning()),
    };
    ApiError { error: ErrorBody::from(failure) }
}

#[cfg(test)]
mod tests;
