//! Functions, and what runs them without being asked by name: types, casts and operators.

use serde::{Deserialize, Serialize};

use super::objects::{is_false, is_zero};
use super::{Oid, Setting, Text};

/// What a function is: `prokind`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FunctionKind {
    /// A function.
    #[default]
    #[serde(rename = "f")]
    Function,
    /// A procedure.
    #[serde(rename = "p")]
    Procedure,
    /// An aggregate.
    #[serde(rename = "a")]
    Aggregate,
    /// A window function.
    #[serde(rename = "w")]
    Window,
}

impl FunctionKind {
    /// That of `prokind`.
    pub fn of_letter(letter: char) -> Option<FunctionKind> {
        Some(match letter {
            'f' => FunctionKind::Function,
            'p' => FunctionKind::Procedure,
            'a' => FunctionKind::Aggregate,
            'w' => FunctionKind::Window,
            _ => return None,
        })
    }
}

/// A function, procedure or aggregate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Function {
    /// The name of its schema.
    pub schema: Text,
    /// `proname`.
    pub name: Text,
    /// `prokind`.
    pub kind: FunctionKind,
    /// `proowner`: whom a SECURITY DEFINER function runs as.
    #[serde(skip_serializing_if = "is_zero")]
    pub owner: Oid,
    /// `proargtypes`: the types of input arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<Oid>,
    /// `pronargdefaults`.
    #[serde(skip_serializing_if = "is_zero")]
    pub defaults: u32,
    /// `pg_get_expr(proargdefaults, 0)`: the defaults, with commas between them, where one of them is no constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_values: Option<Text>,
    /// `provariadic` is not 0.
    #[serde(skip_serializing_if = "is_false")]
    pub variadic: bool,
    /// `pg_get_function_arguments(oid)`: names, modes and types.
    pub signature: Text,
    /// `pg_get_function_result(oid)`; of a procedure "".
    pub result: Text,
    /// `lanname`.
    pub language: Text,
    /// `provolatile`: 'i', 's' or 'v'.
    pub volatility: Volatility,
    /// `prosecdef`.
    #[serde(skip_serializing_if = "is_false")]
    pub security_definer: bool,
    /// `proconfig`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// Its body: `prosrc` of languages sql and plpgsql; of a body that is stored parsed, `pg_get_function_sqlbody(oid)`. Of
    /// language internal also `prosrc`, where PostgreSQL brings along an immutable function that is the same. Of others none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Text>,
    /// Of a function in language c: the extension that it belongs to (`pg_depend`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<Text>,
    /// The functions that an aggregate runs (`pg_aggregate`), those of `pg_catalog` aside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Oid>,
}

/// `provolatile`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Volatility {
    /// VOLATILE.
    #[default]
    #[serde(rename = "v")]
    Volatile,
    /// STABLE: what it runs itself may only read.
    #[serde(rename = "s")]
    Stable,
    /// IMMUTABLE: what it runs itself may only read.
    #[serde(rename = "i")]
    Immutable,
}

impl Volatility {
    /// That of the letter.
    pub fn of_letter(letter: char) -> Option<Volatility> {
        Some(match letter {
            'v' => Volatility::Volatile,
            's' => Volatility::Stable,
            'i' => Volatility::Immutable,
            _ => return None,
        })
    }
}

/// A type that PostgreSQL does not bring along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Type {
    /// The name of its schema.
    pub schema: Text,
    /// `typname`.
    pub name: Text,
    /// `typtype`.
    pub kind: TypeKind,
    /// `typbasetype` of a domain.
    #[serde(skip_serializing_if = "is_zero")]
    pub base: Oid,
    /// The CHECK constraints of a domain (`pg_get_constraintdef`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Text>,
    /// `pg_get_expr(typdefaultbin, 0)` of a domain, where it is no constant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Text>,
    /// `typarray`: the type of its arrays.
    #[serde(skip_serializing_if = "is_zero")]
    pub array: Oid,
}

/// What a type is: `typtype`, as its letter in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// A base type: its functions are in C, or in another language.
    #[default]
    #[serde(rename = "b")]
    Base,
    /// A composite type.
    #[serde(rename = "c")]
    Composite,
    /// A domain.
    #[serde(rename = "d")]
    Domain,
    /// An enumeration.
    #[serde(rename = "e")]
    Enum,
    /// A range.
    #[serde(rename = "r")]
    Range,
    /// A multirange.
    #[serde(rename = "m")]
    Multirange,
    /// A pseudo-type.
    #[serde(rename = "p")]
    Pseudo,
}

impl TypeKind {
    /// That of `typtype`.
    pub fn of_letter(letter: char) -> Option<TypeKind> {
        Some(match letter {
            'b' => TypeKind::Base,
            'c' => TypeKind::Composite,
            'd' => TypeKind::Domain,
            'e' => TypeKind::Enum,
            'r' => TypeKind::Range,
            'm' => TypeKind::Multirange,
            'p' => TypeKind::Pseudo,
            _ => return None,
        })
    }
}

/// A cast by a function.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cast {
    /// `castsource`.
    pub source: Oid,
    /// `casttarget`.
    pub target: Oid,
    /// `castfunc`.
    pub function: Oid,
    /// `castcontext` is `i` or `a`: it runs without being written, at least in an assignment.
    #[serde(skip_serializing_if = "is_false")]
    pub implicit: bool,
}

/// An operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operator {
    /// The name of its schema.
    pub schema: Text,
    /// `oprname`.
    pub name: Text,
    /// `oprleft`; 0 of a prefix operator.
    #[serde(skip_serializing_if = "is_zero")]
    pub left: Oid,
    /// `oprright`.
    pub right: Oid,
    /// `oprcode`.
    pub function: Oid,
}
