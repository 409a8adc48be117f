//! Functions whose results may be longer than their arguments, bounded.
//!
//! Why: what a function returns is in memory before anybody has counted it, and where its arguments are constants that is
//! so while the plan is made. Invariant: how long a result can become is told from the arguments, before the function is
//! called; one that would be longer than [`ONE`] is refused, and all of a batch take [`BATCH`] at most.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use crate::standing::Standing;

mod aggregate;
mod concat;
mod scalar;
mod size;

/// Most bytes of one value that a function makes.
const ONE: u64 = 16 * 1024 * 1024;

/// Most bytes of the values that a function makes of one batch.
const BATCH: u64 = 128 * 1024 * 1024;

/// Aggregates that hold all of their rows.
const HOLDING: [&str; 8] = [
    "array_agg",
    "string_agg",
    "median",
    "approx_median",
    "percentile_cont",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "approx_distinct",
];

/// Puts bounded functions in the place of a session's others.
pub(crate) fn register(state: &mut SessionState, standing: &Arc<Standing>, pool: &Arc<dyn MemoryPool>) -> Result<()> {
    for name in size::BOUNDED {
        if let Ok(function) = state.udf(name) {
            let bounded = scalar::Bounded::new(function, Arc::clone(standing));
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(bounded)))?;
        }
    }
    for name in HOLDING {
        if let Ok(function) = state.udaf(name) {
            let bounded = aggregate::Bounded::new(function, Arc::clone(standing), Arc::clone(pool));
            state.register_udaf(Arc::new(AggregateUDF::new_from_impl(bounded)))?;
        }
    }
    let concat = ScalarUDF::new_from_impl(concat::Concat::default());
    let concat = scalar::Bounded::new(Arc::new(concat), Arc::clone(standing));
    state.register_expr_planner(Arc::new(concat::Planner(Arc::new(ScalarUDF::new_from_impl(concat)))))
}
