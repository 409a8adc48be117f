//! PostgreSQL's SQL, as far as people write it against the record.
//!
//! What the engine below does not know as PostgreSQL has it is read here: forms of SQL (`rewrite`), times as texts (`times`),
//! functions and operators (`functions`, `json`, `to_char`), types (`types`), and what heads a result's columns (`headings`).
//! Invariant: what is not as in PostgreSQL is refused with what to write instead; nothing is answered in another sense.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::ScalarUDF;

mod casts;
mod functions;
mod headings;
mod json;
mod patterns;
mod rewrite;
mod times;
mod to_char;
mod types;

pub(crate) use casts::Casts;
pub(crate) use headings::Headings;
pub(crate) use rewrite::rewritten;
pub(crate) use times::{literal, read_times};
pub(crate) use types::Types;

/// Makes functions and operators known to a session.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for function in [
        ScalarUDF::new_from_impl(functions::Length::new("octet_length", &[])),
        ScalarUDF::new_from_impl(functions::Length::new("length", &["char_length", "character_length"])),
        ScalarUDF::new_from_impl(functions::ConvertFrom::default()),
        ScalarUDF::new_from_impl(to_char::ToChar::default()),
        ScalarUDF::new_from_impl(json::Get::new(json::Wanted::ArrayLength)),
        ScalarUDF::new_from_impl(json::Get::new(json::Wanted::Type)),
    ] {
        state.register_udf(Arc::new(function))?;
    }
    state.register_expr_planner(Arc::new(json::Planner::default()))
}
