//! What a request asks for: the parameters of its address and its body.
//!
//! Invariants: the type that is read is the type that is described (`description`); a parameter that an address does not
//! take, one that is given twice and one outside of its bounds are refused and named, never left out silently; an empty
//! parameter counts as absent, as a form sends it.

use std::{borrow::Cow, collections::HashMap, fmt};

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, PathRejection},
    },
    http::{StatusCode, request::Parts},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor},
};
use uuid::Uuid;

use crate::failure::{Failure, Kind};

/// The parameters of an address, behind its question mark.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Asked<T>, Failure> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|rejection| Failure::invalid(rejection.body_text()))?;
        Ok(Asked(read(pairs.0)?))
    }
}

fn read<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Failure> {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
    Ok(T::deserialize(Parameters { pairs, value: None })?)
}

/// The body of a request, in JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Failure> {
        let body: Result<Json<T>, JsonRejection> = Json::from_request(request, state).await;
        body.map(|Json(body)| Body(body)).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::new(Kind::TooLarge, "The request is too long."),
            _ => Failure::invalid(without_types(&rejection.body_text()))
                .hint("Send JSON as application/json, as /api/v1/openapi.json describes it."),
        })
    }
}

/// What is wrong with a body, without the names of our own types.
fn without_types(reason: &str) -> String {
    const TYPE: &str = "expected struct ";
    let Some((before, named)) = reason.split_once(TYPE) else { return reason.to_owned() };
    let behind = named.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
    format!("{before}expected an object{behind}")
}

/// `{id}` of an address: a session.
pub(crate) struct SessionId(pub(crate) Uuid);

/// `{id}` of an address: a lease.
pub(crate) struct LeaseId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for LeaseId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<LeaseId, Failure> {
        let mut named = named(parts, state).await?;
        let id = named.remove("id").filter(|id| hansard_identity::leases::is_lease(id));
        let nothing = || Failure::not_found("There is no lease of that name that is good.");
        id.map(LeaseId).ok_or_else(nothing)
    }
}

/// `{id}` and `{no}` of an address: a statement of a session.
pub(crate) struct Place {
    pub(crate) session: Uuid,
    pub(crate) no: i64,
}

impl<S: Send + Sync> FromRequestParts<S> for SessionId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SessionId, Failure> {
        session(&named(parts, state).await?).map(SessionId)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Place, Failure> {
        let named = named(parts, state).await?;
        let no = named.get("no").and_then(|no| no.parse().ok()).ok_or_else(nothing)?;
        Ok(Place { session: session(&named)?, no })
    }
}

async fn named<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<HashMap<String, String>, Failure> {
    let named: Result<Path<HashMap<String, String>>, PathRejection> = Path::from_request_parts(parts, state).await;
    named.map(|Path(named)| named).map_err(|_| nothing())
}

fn nothing() -> Failure {
    Failure::not_found("There is nothing under this address.")
}

fn session(named: &HashMap<String, String>) -> Result<Uuid, Failure> {
    named
        .get("id")
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(|| Failure::not_found("There is no session of that name.").hint("A session's name is a UUID."))
}

/// How many, from 1 to `MOST`; with a `DEFAULT` of 0 it depends on what else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit<const DEFAULT: usize, const MOST: usize>(pub(crate) usize);

impl<const DEFAULT: usize, const MOST: usize> Default for Limit<DEFAULT, MOST> {
    fn default() -> Self {
        Limit(DEFAULT)
    }
}

impl<'de, const DEFAULT: usize, const MOST: usize> Deserialize<'de> for Limit<DEFAULT, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        let wrong = || de::Error::custom(format!("'{}' is no whole number from 1 to {MOST}.", shown(&text)));
        number.map(Limit).ok_or_else(wrong)
    }
}

impl<const DEFAULT: usize, const MOST: usize> JsonSchema for Limit<DEFAULT, MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Limit_{DEFAULT}_{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST });
        if DEFAULT > 0 {
            schema.insert("default".into(), DEFAULT.into());
        }
        schema
    }
}

/// The number of a row, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct First(pub(crate) u64);

impl Default for First {
    fn default() -> First {
        First(1)
    }
}

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<First, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| *number >= 1 && i64::try_from(*number).is_ok());
        number.map(First).ok_or_else(|| de::Error::custom(format!("'{}' is no whole number from 1 on.", shown(&text))))
    }
}

impl JsonSchema for First {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "First".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "int64", "minimum": 1, "default": 1 })
    }
}

/// A text of at most `MOST` characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text<const MOST: usize>(String);

impl<const MOST: usize> Text<MOST> {
    /// Without the spaces around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.0.trim()
    }

    /// As it was given.
    pub(crate) fn exact(self) -> String {
        self.0
    }
}

impl<'de, const MOST: usize> Deserialize<'de> for Text<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().nth(MOST).is_some() {
            return Err(de::Error::custom(format!("It is longer than {MOST} characters.")));
        }
        Ok(Text(text))
    }
}

impl<const MOST: usize> JsonSchema for Text<MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Text_{MOST}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MOST })
    }
}

/// A text in one of Hansard's own notations: what `format` says of it in the description.
macro_rules! notation {
    ($(#[$doc:meta])* $name:ident, $format:literal, $most:literal, $examples:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize)]
        pub(crate) struct $name(Text<$most>);

        impl $name {
            pub(crate) fn trimmed(&self) -> &str {
                self.0.trimmed()
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "maxLength": $most, "examples": $examples })
            }
        }
    };
}

notation!(
    /// A time, as `hansard_query::Moment` reads it.
    Time, "hansard-time", 128,
    ["2026-11-22T03:12Z", "2026-11-22T03:12:00.5Z", "2026-11-22", "10m ago", "2026-11-22 03:12 Europe/Berlin"]
);
notation!(
    /// A length of time.
    Length, "hansard-length", 64, ["1m", "30s", "1h 30m"]
);
notation!(
    /// A relation as SQL writes it.
    Relation, "hansard-relation", 512, ["public.rankings", "rankings", "public.\"Rankings\""]
);
notation!(
    /// Operations with commas between them, or `any`.
    Operations, "hansard-operations", 128, ["update", "insert,update,delete", "any"]
);
notation!(
    /// Where a listing goes on.
    Cursor, "hansard-cursor", 128, []
);

/// What is wrong with an address.
#[derive(Debug)]
struct Wrong(Failure);

impl From<Wrong> for Failure {
    fn from(Wrong(failure): Wrong) -> Failure {
        failure
    }
}

/// The beginning of what was sent: an answer is not as long as what was wrong.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn nearest(given: &str, known: &[&str]) -> Vec<String> {
    let mut near: Vec<(usize, &str)> =
        known.iter().map(|name| (strsim::osa_distance(&shown(given), name), *name)).collect();
    near.sort_unstable();
    near.into_iter()
        .take_while(|(distance, name)| *distance <= name.len() / 2)
        .take(3)
        .map(|(_, name)| name.into())
        .collect()
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Wrong {
        Wrong(Failure::invalid(message.to_string()))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Wrong {
        let failure = Failure::invalid(format!("There is no parameter '{}' here.", shown(field)));
        let hint = match known {
            [] => "This address takes none.".to_owned(),
            known => format!("There are {}.", known.join(", ")),
        };
        Wrong(Failure { nearest: nearest(field, known), ..failure.hint(hint).of(shown(field)) })
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong(Failure::invalid(format!("Parameter '{field}' is missing.")).of(field))
    }

    fn duplicate_field(field: &'static str) -> Wrong {
        Wrong(Failure::invalid(format!("Parameter '{field}' is given more than once.")).of(field))
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Wrong {
        let failure = Failure::invalid(format!("'{}' is none of what can be asked for.", shown(variant)));
        Wrong(Failure { nearest: nearest(variant, known), ..failure.hint(format!("One of {}.", known.join(", "))) })
    }
}

/// The pairs of an address as a struct's fields.
struct Parameters<I> {
    pairs: I,
    value: Option<(String, String)>,
}

impl<'de, I: Iterator<Item = (String, String)>> Deserializer<'de> for Parameters<I> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, I: Iterator<Item = (String, String)>> MapAccess<'de> for Parameters<I> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        self.value = self.pairs.next();
        self.value.as_ref().map(|(name, _)| seed.deserialize(name.clone().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, value) = self.value.take().unwrap_or_default();
        // A field that is known by now: its name is short.
        seed.deserialize(Value(value)).map_err(|Wrong(failure)| Wrong(failure.of(name)))
    }
}

/// The value of one parameter.
struct Value(String);

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:ty, $what:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            match self.0.parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(de::Error::custom(format!("'{}' is not {}.", shown(&self.0), $what))),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Value {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i64 visit_i64 i64, "a whole number of 64 bits";
        deserialize_u64 visit_u64 u64, "a whole number of 64 bits from 0 on";
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Order {
        Up,
        Down,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Question {
        name: Text<5>,
        order: Option<Order>,
        back: Option<bool>,
        from: Option<i64>,
        #[serde(default)]
        limit: Limit<10, 20>,
        at: Option<Time>,
    }

    fn asked(pairs: &[(&str, &str)]) -> Result<Question, Failure> {
        read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn parameters_are_read_by_their_types() {
        let all =
            [("name", " ab"), ("order", "down"), ("back", "true"), ("from", "-3"), ("limit", "20"), ("at", "now")];
        let question = asked(&all).unwrap();
        assert_eq!((question.name.trimmed(), question.order), ("ab", Some(Order::Down)));
        assert_eq!((question.back, question.from, question.limit.0), (Some(true), Some(-3), 20));
        assert_eq!(question.at.unwrap().trimmed(), "now");
        let few = asked(&[("name", "ab"), ("order", ""), ("limit", " "), ("from", ""), ("other", "")]).unwrap();
        assert_eq!((few.order, few.from, few.limit.0), (None, None, 10), "an empty one is none");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, parameter, says) in [
            (&[("nme", "x")][..], "nme", "no parameter 'nme'"),
            (&[("limit", "3")], "name", "missing"),
            (&[("name", "")], "name", "missing"),
            (&[("name", "a"), ("name", "b")], "name", "more than once"),
            (&[("name", "abcdef")], "name", "longer than 5 characters"),
            (&[("name", "a"), ("order", "dwn")], "order", "'dwn' is none"),
            (&[("name", "a"), ("back", "yes")], "back", "not true or false"),
            (&[("name", "a"), ("from", "1.5")], "from", "not a whole number"),
            (&[("name", "a"), ("from", "9223372036854775808")], "from", "not a whole number"),
            (&[("name", "a"), ("limit", "0")], "limit", "from 1 to 20"),
            (&[("name", "a"), ("limit", "21")], "limit", "from 1 to 20"),
            (&[("name", "a"), ("limit", "many")], "limit", "from 1 to 20"),
        ] {
            let failure = asked(pairs).unwrap_err();
            assert_eq!((failure.kind, failure.parameter.as_deref()), (Kind::Invalid, Some(parameter)), "{pairs:?}");
            assert!(failure.message.contains(says), "{pairs:?}: {}", failure.message);
        }
        assert_eq!(asked(&[("nme", "x")]).unwrap_err().nearest, ["name"]);
        assert_eq!(asked(&[("ta", "x")]).unwrap_err().nearest, ["at"], "two letters that changed places are one slip");
        let order = asked(&[("name", "a"), ("order", "dwn")]).unwrap_err();
        assert_eq!((order.nearest, order.hint.as_deref()), (vec!["down".to_owned()], Some("One of up, down.")));
        let long = asked(&[(&"x".repeat(10_000), "x")]).unwrap_err();
        assert!(long.message.len() < 200 && long.parameter.unwrap().len() == 64);
    }
}
