//! Types of PostgreSQL that are texts in the record.

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType as Written;

/// Reads them as texts.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type(&self, written: &Written) -> Result<Option<DataType>> {
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
