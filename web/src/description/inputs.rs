//! What handlers take, described by the types of their arguments.

use std::{future::Future, sync::Arc};

use axum::{
    Extension,
    extract::State,
    handler::Handler,
    http::{HeaderMap, Version},
};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{Answer, Operation, Schemas, without_null};
use crate::{
    Shared,
    failure::{Failure, Kind},
    parameters::{Asked, Body, LeaseId, Place, SessionId},
};

/// An argument of a handler.
pub(crate) trait Input {
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

/// Says nothing of the request that an asker would choose.
macro_rules! silent {
    ($($input:ty),*) => {
        $(impl Input for $input {
            fn describe(_: &mut Operation, _: &mut Schemas) {}
        })*
    };
}

silent!(State<Arc<Shared>>, Version, HeaderMap);

impl<T> Input for Extension<T> {
    fn describe(_: &mut Operation, _: &mut Schemas) {}
}

impl<T: JsonSchema> Input for Asked<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.failures.insert(Kind::Invalid);
        let schema = schemas.inline::<T>();
        let required = |name: &str| {
            schema.get("required").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == name))
        };
        let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        operation.parameters.extend(fields.map(|(name, field)| {
            let mut field = field.clone();
            // It may be left out; null cannot be written into an address.
            without_null(&mut field);
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "required": required(name), "schema": field });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            parameter
        }));
    }
}

/// The handler itself says what is wrong.
impl<T: Input> Input for Result<T, Failure> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
        operation.failures.clear();
    }
}

impl<T: JsonSchema> Input for Body<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.failures.extend([Kind::Invalid, Kind::TooLarge]);
        let schema = schemas.body::<T>();
        operation.body = Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }));
    }
}

impl Input for SessionId {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.failures.insert(Kind::NotFound);
        operation.in_path.push("id");
        operation.parameters.push(json!({
            "name": "id", "in": "path", "required": true, "description": "The session: a UUIDv7.",
            "schema": { "type": "string", "format": "uuid" },
        }));
    }
}

impl Input for LeaseId {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.failures.insert(Kind::NotFound);
        operation.in_path.push("id");
        operation.parameters.push(json!({
            "name": "id", "in": "path", "required": true, "description": "The lease: its user name.",
            "schema": { "type": "string", "maxLength": 38, "pattern": "^lease-[0-9a-f]{32}$" },
        }));
    }
}

impl Input for Place {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        SessionId::describe(operation, schemas);
        operation.in_path.push("no");
        operation.parameters.push(json!({
            "name": "no", "in": "path", "required": true, "description": "The statement: counts the session's, from 1.",
            "schema": { "type": "integer", "format": "int64" },
        }));
    }
}

/// What the gate looks at where something is done, beside the identity.
pub(super) fn origin() -> Value {
    json!({
        "name": "Origin", "in": "header", "required": false, "schema": { "type": "string" },
        "description": "With the session cookie: this server's own origin, as browsers send it. With the token it is not looked at.",
    })
}

/// A handler that can be described.
pub(crate) trait Describe<T>: axum::handler::Handler<T, Arc<Shared>> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas);
}

impl<F, Fut, Res> Describe<((),)> for F
where
    F: FnOnce() -> Fut + Handler<((),), Arc<Shared>>,
    Fut: Future<Output = Res>,
    Res: Answer,
{
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        Res::describe(operation, schemas);
    }
}

/// As axum's handlers, whose first type says how their last argument is taken.
macro_rules! describe {
    ($($input:ident)*) => {
        impl<F, Fut, Res, How, $($input,)*> Describe<(How, $($input,)*)> for F
        where
            F: FnOnce($($input,)*) -> Fut + Handler<(How, $($input,)*), Arc<Shared>>,
            Fut: Future<Output = Res>,
            Res: Answer,
            $($input: Input,)*
        {
            fn describe(operation: &mut Operation, schemas: &mut Schemas) {
                $($input::describe(operation, schemas);)*
                Res::describe(operation, schemas);
            }
        }
    };
}

describe!(A);
describe!(A B);
describe!(A B C);
describe!(A B C D);
