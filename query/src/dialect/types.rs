//! Types of PostgreSQL that the engine does not know, or knows otherwise.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as Written, ExactNumberInfo};

/// Reads them as what they are in the record.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type(&self, written: &Written) -> Result<Option<DataType>> {
        // PostgreSQL's `float` is a double; up to 24 bits it is `real`.
        if let Written::Float(bits) = written {
            let is_real = matches!(bits, ExactNumberInfo::Precision(bits) if *bits <= 24);
            return Ok(Some(if is_real { DataType::Float32 } else { DataType::Float64 }));
        }
        let text = match written {
            Written::JSON | Written::JSONB | Written::Uuid => true,
            Written::Custom(name, _) => {
                ["inet", "cidr", "name", "citext"].contains(&name.to_string().to_ascii_lowercase().as_str())
            }
            _ => false,
        };
        Ok(text.then_some(DataType::Utf8))
    }
}
