//! Expressions: the queries, functions and columns inside them.
//!
//! The list of nodes follows PostgreSQL's own `raw_expression_tree_walker`.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, ColumnRef, FuncCall, JsonExprOp, JsonTable, JsonValueExpr, Node, TypeName, WindowDef, a_const::Val,
};

use crate::query::Walk;
use crate::{Call, CallKind, Name, Operation, functions, settings};

/// Most calls that are told of one statement.
pub(crate) const MAX_CALLS: usize = 256;

impl Walk {
    /// Walks expressions.
    pub(crate) fn expressions<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Node>) {
        for node in nodes {
            if let Some(node) = &node.node {
                self.expression(node);
            }
        }
    }

    fn expression(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::ColumnRef(column) => self.column_reference(column),
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::SubLink(link) => {
                self.operator(&link.oper_name);
                // `x IN (SELECT ...)`.
                if link.oper_name.is_empty() && link.testexpr.is_some() {
                    self.implicit(&["="]);
                }
                self.expressions(link.testexpr.as_deref());
                match link.subselect.as_ref().and_then(|node| node.node.as_ref()) {
                    Some(query) => self.query(query, false),
                    None => self.unknown("an empty subquery"),
                }
            }
            NodeEnum::AExpr(operator) => {
                self.operator(&operator.name);
                self.implicit(implied(operator.kind()));
                self.expressions(operator.lexpr.as_deref());
                self.expressions(operator.rexpr.as_deref());
            }
            NodeEnum::BoolExpr(operator) => self.expressions(&operator.args),
            NodeEnum::TypeCast(cast) => {
                self.cast(cast.type_name.as_ref());
                self.expressions(cast.arg.as_deref());
            }
            NodeEnum::CollateClause(collate) => self.expressions(collate.arg.as_deref()),
            NodeEnum::NullTest(test) => self.expressions(test.arg.as_deref()),
            NodeEnum::BooleanTest(test) => self.expressions(test.arg.as_deref()),
            NodeEnum::CaseExpr(case) => {
                if case.arg.is_some() {
                    self.implicit(&["="]);
                }
                self.expressions(case.arg.as_deref());
                self.expressions(&case.args);
                self.expressions(case.defresult.as_deref());
            }
            NodeEnum::CaseWhen(when) => {
                self.expressions(when.expr.as_deref());
                self.expressions(when.result.as_deref());
            }
            NodeEnum::CoalesceExpr(coalesce) => self.expressions(&coalesce.args),
            NodeEnum::MinMaxExpr(minmax) => self.expressions(&minmax.args),
            NodeEnum::RowExpr(row) => self.expressions(&row.args),
            NodeEnum::AArrayExpr(array) => self.expressions(&array.elements),
            NodeEnum::AIndirection(indirection) => {
                self.expressions(indirection.arg.as_deref());
                self.expressions(&indirection.indirection);
                for name in strings(&indirection.indirection) {
                    self.runs(CallKind::Field, &Name { schema: None, name: name.to_owned() }, 1);
                }
            }
            NodeEnum::AIndices(indices) => {
                self.expressions(indices.lidx.as_deref());
                self.expressions(indices.uidx.as_deref());
            }
            NodeEnum::GroupingFunc(grouping) => self.expressions(&grouping.args),
            NodeEnum::GroupingSet(set) => self.expressions(&set.content),
            NodeEnum::NamedArgExpr(argument) => self.expressions(argument.arg.as_deref()),
            NodeEnum::MultiAssignRef(assign) => self.expressions(assign.source.as_deref()),
            NodeEnum::ResTarget(target) => {
                self.expressions(&target.indirection);
                self.expressions(target.val.as_deref());
            }
            NodeEnum::SortBy(sort) => {
                self.operator(&sort.use_op);
                self.expressions(sort.node.as_deref());
            }
            NodeEnum::IndexElem(element) => self.expressions(element.expr.as_deref()),
            NodeEnum::WindowDef(window) => self.window(window),
            NodeEnum::List(list) => self.expressions(&list.items),
            NodeEnum::DefElem(element) => self.expressions(element.arg.as_deref()),
            NodeEnum::RangeTableFuncCol(column) => {
                self.cast(column.type_name.as_ref());
                self.expressions(column.colexpr.as_deref());
                self.expressions(column.coldefexpr.as_deref());
            }
            NodeEnum::XmlExpr(xml) => {
                self.expressions(&xml.named_args);
                self.expressions(&xml.args);
            }
            NodeEnum::XmlSerialize(xml) => self.expressions(xml.expr.as_deref()),
            NodeEnum::SelectStmt(_) => self.query(node, false),
            // What holds nothing else.
            NodeEnum::AConst(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::AStar(_)
            | NodeEnum::String(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::BitString(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::CurrentOfExpr(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::RoleSpec(_)
            | NodeEnum::TypeName(_) => {}
            NodeEnum::MergeSupportFunc(_) => self.older("merge_action"),
            _ => self.json(node),
        }
    }

    fn json(&mut self, node: &NodeEnum) {
        match node {
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value)),
            NodeEnum::JsonFuncExpr(function) => {
                self.older(match function.op() {
                    JsonExprOp::JsonExistsOp => "json_exists",
                    JsonExprOp::JsonQueryOp => "json_query",
                    _ => "json_value",
                });
                self.cast(function.output.as_ref().and_then(|output| output.type_name.as_ref()));
                self.json_value(function.context_item.as_deref());
                self.expressions(function.pathspec.as_deref());
                self.expressions(&function.passing);
                for behavior in [&function.on_empty, &function.on_error].into_iter().flatten() {
                    self.expressions(behavior.expr.as_deref());
                }
            }
            NodeEnum::JsonArgument(argument) => self.json_value(argument.val.as_deref()),
            NodeEnum::JsonIsPredicate(predicate) => self.expressions(predicate.expr.as_deref()),
            NodeEnum::JsonKeyValue(pair) => {
                self.expressions(pair.key.as_deref());
                self.json_value(pair.value.as_deref());
            }
            NodeEnum::JsonParseExpr(parse) => {
                self.older("json");
                self.json_value(parse.expr.as_deref());
            }
            NodeEnum::JsonScalarExpr(scalar) => {
                self.older("json_scalar");
                self.expressions(scalar.expr.as_deref());
            }
            NodeEnum::JsonSerializeExpr(serialize) => {
                self.older("json_serialize");
                self.json_value(serialize.expr.as_deref());
            }
            NodeEnum::JsonObjectConstructor(object) => {
                self.older("json_object");
                self.expressions(&object.exprs);
            }
            NodeEnum::JsonArrayConstructor(array) => {
                self.older("json_array");
                self.expressions(&array.exprs);
            }
            NodeEnum::JsonArrayQueryConstructor(array) => {
                self.older("json_array");
                match array.query.as_ref().and_then(|node| node.node.as_ref()) {
                    Some(query) => self.query(query, false),
                    None => self.unknown("an empty subquery"),
                }
            }
            NodeEnum::JsonObjectAgg(aggregate) => {
                self.older("json_objectagg");
                if let Some(pair) = &aggregate.arg {
                    self.expressions(pair.key.as_deref());
                    self.json_value(pair.value.as_deref());
                }
                self.json_aggregate(aggregate.constructor.as_deref());
            }
            NodeEnum::JsonArrayAgg(aggregate) => {
                self.older("json_arrayagg");
                self.json_value(aggregate.arg.as_deref());
                self.json_aggregate(aggregate.constructor.as_deref());
            }
            NodeEnum::JsonTableColumn(column) => {
                self.cast(column.type_name.as_ref());
                for behavior in [&column.on_empty, &column.on_error].into_iter().flatten() {
                    self.expressions(behavior.expr.as_deref());
                }
                self.expressions(&column.columns);
            }
            _ => self.unknown("an expression of an unknown kind"),
        }
    }

    fn json_value(&mut self, value: Option<&JsonValueExpr>) {
        if let Some(value) = value {
            self.expressions(value.raw_expr.as_deref());
            self.expressions(value.formatted_expr.as_deref());
        }
    }

    fn json_aggregate(&mut self, constructor: Option<&pg_query::protobuf::JsonAggConstructor>) {
        if let Some(constructor) = constructor {
            self.expressions(constructor.agg_filter.as_deref());
            self.expressions(&constructor.agg_order);
            if let Some(window) = constructor.over.as_deref() {
                self.window(window);
            }
        }
    }

    pub(super) fn json_table(&mut self, table: &JsonTable) {
        self.json_value(table.context_item.as_deref());
        self.expressions(&table.passing);
        self.expressions(&table.columns);
        if let Some(behavior) = &table.on_error {
            self.expressions(behavior.expr.as_deref());
        }
    }

    fn window(&mut self, window: &WindowDef) {
        self.expressions(&window.partition_clause);
        self.expressions(&window.order_clause);
        self.expressions(window.start_offset.as_deref());
        self.expressions(window.end_offset.as_deref());
    }

    /// A function call.
    pub(crate) fn call(&mut self, call: &FuncCall) {
        self.call_of(call, CallKind::Function);
    }

    pub(crate) fn call_of(&mut self, call: &FuncCall, kind: CallKind) {
        match function_name(call) {
            Some(name) => {
                self.runs(kind, &name, call.args.len());
                if settings::is_set_config(call) {
                    self.set_config_calls += 1;
                } else {
                    self.may_change_settings |= !functions::is_built_in(&name);
                }
                self.functions.insert(name);
            }
            None => self.unknown("a function without a name"),
        }
        self.expressions(&call.args);
        self.expressions(&call.agg_order);
        self.expressions(call.agg_filter.as_deref());
        if let Some(window) = call.over.as_deref() {
            self.window(window);
        }
    }

    /// Tells of code that runs, unless the query around it does not.
    fn runs(&mut self, kind: CallKind, name: &Name, arguments: usize) {
        self.runs_with(kind, name, Some(arguments));
    }

    fn runs_with(&mut self, kind: CallKind, name: &Name, arguments: Option<usize>) {
        if self.planned != Some(Operation::Ddl) && self.calls.len() <= MAX_CALLS {
            self.calls.insert(Call { kind, name: name.clone(), arguments });
        }
    }

    /// Operators that the syntax means, not by their schema but as the search path finds them (`transformCaseExpr`,
    /// `transformSubLink`, `transformAExprBetween`, `transformJoinUsingClause`); what sorts and groups takes a type's own. A
    /// definition that PostgreSQL writes says no schema of theirs, either.
    pub(crate) fn implicit(&mut self, operators: &[&str]) {
        for operator in operators {
            let name = Name { schema: None, name: (*operator).to_owned() };
            self.runs_with(CallKind::Operator, &name, None);
        }
    }

    /// What has a syntax of its own in the newest PostgreSQL is a function like any other before it.
    fn older(&mut self, function: &str) {
        self.runs_with(CallKind::Field, &Name { schema: None, name: function.to_owned() }, None);
    }

    /// A qualified operator: its function is whatever its schema's owner made it, unless that is PostgreSQL's own.
    fn operator(&mut self, name: &[Node]) {
        let mut parts = strings(name).rev();
        let Some(name) = parts.next() else { return };
        let name = Name { schema: parts.next().map(str::to_owned), name: name.to_owned() };
        self.runs(CallKind::Operator, &name, 0);
        if name.schema.as_ref().is_some_and(|schema| schema != "pg_catalog") {
            self.functions.insert(name);
            self.may_change_settings = true;
        }
    }

    /// A cast: to a type that is not PostgreSQL's own it may run a function that is not.
    pub(crate) fn cast(&mut self, kind: Option<&TypeName>) {
        if let Some(kind) = kind {
            self.type_of(&kind.names);
        }
    }

    /// The same of a type that is written by its name alone.
    pub(crate) fn type_of(&mut self, names: &[Node]) {
        let mut parts = strings(names).rev();
        if let Some(name) = parts.next() {
            // The grammar writes a schema before JSON, which is a keyword since version 17 only.
            let schema = parts.next().filter(|_| name != "json");
            let name = Name { schema: schema.map(str::to_owned), name: name.to_owned() };
            let built_in = functions::is_built_in_type(&name);
            // Another type of the name may come before PostgreSQL's own on the path.
            if !built_in || name.schema.is_none() {
                self.runs(CallKind::Type, &name, 0);
            }
            if !built_in {
                self.functions.insert(name);
            }
        }
    }

    fn column_reference(&mut self, reference: &ColumnRef) {
        let star = matches!(reference.fields.last(), Some(Node { node: Some(NodeEnum::AStar(_)) }));
        let names: Vec<&str> = strings(&reference.fields).collect();
        match (&names[..], star) {
            ([], true) => self.all_columns(),
            ([.., qualifier], true) => self.column(Some(qualifier), "*"),
            ([column], false) => self.column(None, column),
            ([.., qualifier, column], false) => self.column(Some(qualifier), column),
            ([], false) => self.unknown("a column without a name"),
        }
    }
}

/// The function that is called.
pub(crate) fn function_name(call: &FuncCall) -> Option<Name> {
    let mut parts = strings(&call.funcname).rev();
    let name = parts.next()?.to_owned();
    // The grammar writes a schema before these, which are keywords since versions 16 and 13 only.
    let schema =
        parts.next().filter(|schema| *schema != "pg_catalog" || !matches!(name.as_str(), "json_object" | "normalize"));
    Some(Name { schema: schema.map(str::to_owned), name })
}

/// Operators that such an expression means beside the one that it is written with.
fn implied(kind: AExprKind) -> &'static [&'static str] {
    match kind {
        AExprKind::AexprBetween | AExprKind::AexprBetweenSym => &[">=", "<="],
        AExprKind::AexprNotBetween | AExprKind::AexprNotBetweenSym => &["<", ">"],
        AExprKind::AexprNullif | AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => &["="],
        _ => &[],
    }
}

/// The strings of a name's parts.
pub(crate) fn strings(nodes: &[Node]) -> impl DoubleEndedIterator<Item = &str> {
    nodes.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::String(string)) => Some(string.sval.as_str()),
        _ => None,
    })
}

/// The text of a string constant.
pub(crate) fn text(node: &Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Sval(string)) => Some(&string.sval),
            _ => None,
        },
        Some(NodeEnum::TypeCast(cast)) => text(cast.arg.as_deref()?),
        Some(NodeEnum::String(string)) => Some(&string.sval),
        _ => None,
    }
}

/// The value of a constant that says yes or no.
pub(crate) fn truth(node: &Node) -> Option<bool> {
    let word = match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Boolval(boolean)) => return Some(boolean.boolval),
            Some(Val::Ival(integer)) => return Some(integer.ival != 0),
            _ => text(node)?,
        },
        Some(NodeEnum::Integer(integer)) => return Some(integer.ival != 0),
        Some(NodeEnum::Boolean(boolean)) => return Some(boolean.boolval),
        _ => text(node)?,
    };
    match word.to_ascii_lowercase().as_str() {
        "true" | "on" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "off" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}
