//! What heads the columns of a result: what was written.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, Statement as Sql};

/// The headings of a statement, as far as its text tells them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Headings {
    /// Of the first columns.
    first: Vec<Option<String>>,
    /// Of the last columns, where some in between are those of a `*`.
    last: Option<Vec<Option<String>>>,
}

impl Headings {
    pub(crate) fn of(statement: &Statement) -> Headings {
        match statement {
            Statement::Statement(sql) => match &**sql {
                Sql::Query(query) => of_query(query),
                _ => Headings::default(),
            },
            _ => Headings::default(),
        }
    }

    /// The columns with their headings.
    pub(crate) fn over(&self, schema: &SchemaRef) -> SchemaRef {
        let columns = schema.fields().len();
        let known = self.first.len() + self.last.as_ref().map_or(0, Vec::len);
        let fits = if self.last.is_some() { known <= columns } else { known == columns };
        if !fits {
            return Arc::clone(schema);
        }
        let last = self.last.as_deref().unwrap_or_default();
        let heading = |place: usize| match self.first.get(place) {
            Some(heading) => heading.as_deref(),
            None => last.get((place + last.len()).checked_sub(columns)?)?.as_deref(),
        };
        let fields = schema.fields().iter().enumerate().map(|(place, field)| match heading(place) {
            Some(heading) => Arc::new(Field::clone(field).with_name(heading)),
            None => Arc::clone(field),
        });
        Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
    }
}

fn of_query(query: &Query) -> Headings {
    let mut body = &*query.body;
    loop {
        body = match body {
            SetExpr::Select(select) => return of_items(&select.projection),
            SetExpr::Query(query) => &query.body,
            SetExpr::SetOperation { left, .. } => left,
            _ => return Headings::default(),
        }
    }
}

fn of_items(items: &[SelectItem]) -> Headings {
    let mut headings = Headings::default();
    for item in items {
        let heading = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => None,
            SelectItem::UnnamedExpr(expr) => Some(expr.to_string()),
            SelectItem::ExprWithAlias { .. } => None,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) if headings.last.is_none() => {
                headings.last = Some(Vec::new());
                continue;
            }
            _ => return Headings::default(),
        };
        headings.last.as_mut().unwrap_or(&mut headings.first).push(heading);
    }
    headings
}
