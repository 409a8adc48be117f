//! A function that is called only for what it can answer in a bounded space.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::{BATCH, ONE, size};
use crate::Error;
use crate::standing::Standing;

/// A function, bounded. Of what a function says about itself all is passed on but its own simplifications: they would put
/// the unbounded one in its place.
#[derive(Debug)]
pub(super) struct Bounded {
    inner: Arc<ScalarUDF>,
    standing: Arc<Standing>,
}

impl Bounded {
    pub(super) fn new(inner: Arc<ScalarUDF>, standing: Arc<Standing>) -> Bounded {
        Bounded { inner, standing }
    }

    /// Rows `from..to` alone.
    fn part(&self, args: &ScalarFunctionArgs, from: usize, to: usize) -> Result<ArrayRef> {
        self.standing.check()?;
        let part = |arg: &ColumnarValue| match arg {
            ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(from, to - from)),
            scalar @ ColumnarValue::Scalar(_) => scalar.clone(),
        };
        let part = ScalarFunctionArgs {
            args: args.args.iter().map(part).collect(),
            number_rows: to - from,
            arg_fields: args.arg_fields.clone(),
            return_field: Arc::clone(&args.return_field),
            config_options: Arc::clone(&args.config_options),
        };
        self.inner.invoke_with_args(part)?.into_array(to - from)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Bounded) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.standing.check()?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let most = size::most(self.name(), &args.args, rows)?;
        if let Some(most) = most.iter().find(|most| **most > ONE) {
            let (name, limit) = (self.name(), ONE / 1024 / 1024);
            let what = if name == "levenshtein" { "compare too much" } else { "make too long a value" };
            let wrong = format!("{name}() would {what}: {most} bytes, more than the {limit} MiB allowed");
            return Err(DataFusionError::External(Box::new(Error::Invalid(wrong))));
        }
        if most.iter().fold(0_u64, |sum, most| sum.saturating_add(*most)) <= ONE {
            return self.inner.invoke_with_args(args);
        }
        // Part by part, as much as could be too much at once: mostly it is far less.
        let (mut parts, mut made) = (Vec::new(), 0_u64);
        let mut from = 0;
        while from < rows {
            let (mut to, mut sum) = (from, 0_u64);
            while to < rows && (to == from || sum.saturating_add(most[to]) <= ONE) {
                sum += most[to];
                to += 1;
            }
            let part = self.part(&args, from, to)?;
            made = made.saturating_add(part.to_data().get_slice_memory_size()? as u64);
            if made > BATCH {
                return Err(DataFusionError::ResourcesExhausted(format!("{}() makes too much", self.name())));
            }
            parts.push(part);
            from = to;
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Bounded::new(Arc::new(inner), Arc::clone(&self.standing))))
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
