//! `sum` of whole numbers, which is counted with 128 bits and told with 64: what does not fit is an error.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::functions::invalid;

/// Wide enough for as many numbers of 64 bits as there can be.
const WIDE: DataType = DataType::Decimal128(38, 0);

/// The engine's function. Its shortcuts are not passed on: they would compute with 64 bits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum(pub(super) Arc<AggregateUDF>);

fn is_whole(field: &Field) -> bool {
    *field.data_type() == DataType::Int64
}

/// Sums as 64 bits have them.
fn narrowed(sums: &ArrayRef) -> Result<ArrayRef> {
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(sums, &DataType::Int64, &strict)
        .map_err(|_| invalid("a sum is out of range: write sum(x::float8) or sum(x::numeric)"))
}

fn widened(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    let widened = values.iter().map(|values| arrow::compute::cast(values, &WIDE));
    Ok(widened.collect::<std::result::Result<_, _>>()?)
}

/// The engine's accumulator with wide numbers.
fn wide<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    let mut args = args.clone();
    args.return_field = wide_field(&args.return_field);
    args
}

fn wide_field(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_data_type(WIDE))
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match is_whole(&args.return_field) {
            true => Ok(Box::new(Wide(self.0.accumulator(wide(&args))?))),
            false => self.0.accumulator(args),
        }
    }

    fn state_fields(&self, mut args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if is_whole(&args.return_field) {
            args.return_field = wide_field(&args.return_field);
        }
        self.0.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.0.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match is_whole(&args.return_field) {
            true => Ok(Box::new(WideGroups(self.0.create_groups_accumulator(wide(&args))?))),
            false => self.0.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match is_whole(&args.return_field) {
            true => Ok(Box::new(Wide(self.0.create_sliding_accumulator(wide(&args))?))),
            false => self.0.create_sliding_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

#[derive(Debug)]
struct Wide(Box<dyn Accumulator>);

impl Accumulator for Wide {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&widened(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.0.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&narrowed(&sum)?, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&widened(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}

struct WideGroups(Box<dyn GroupsAccumulator>);

impl GroupsAccumulator for WideGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.update_batch(&widened(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        narrowed(&self.0.evaluate(emit_to)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.0.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&widened(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
