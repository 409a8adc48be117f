//! Which statements may reach the planner at all.
//!
//! Invariant: one statement, and it only reads. The plan is verified a second time (`SQLOptions`), so that a form
//! that this list misjudges is still refused. The session has no function that reads files and no table factory.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::Error;

/// Longest text of a question, in bytes.
pub const MAX_SQL: usize = 1024 * 1024;

/// Most tokens of a question that can nest what stands beside them: operators, keywords, brackets. Expressions are trees,
/// and a chain of ten thousand `OR`s is that many levels deep, and planning takes time by its square.
pub(crate) const MAX_NESTING: usize = 600;

/// Reads one statement that only reads.
pub(crate) fn parse(sql: &str) -> Result<Statement, Error> {
    if sql.len() > MAX_SQL {
        return Err(Error::Invalid(format!("the query is {} bytes long, more than the {MAX_SQL} allowed", sql.len())));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| Error::Invalid(one_line(&format!("SQL error: {error}"))))?;
    let nesting = tokens.iter().filter(|token| nests(&token.token)).count();
    if nesting > MAX_NESTING {
        return Err(Error::Invalid(format!(
            "the query is too complex: {nesting} operators, keywords and brackets, more than the {MAX_NESTING} allowed; \
             write long lists as IN (...)"
        )));
    }
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&PostgreSqlDialect {})
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| crate::plain::explain(error, 0))?;
    let statement = match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (Some(_), false) => return Err(Error::Invalid("one statement at a time: the query holds several".to_owned())),
        (None, _) => return Err(Error::Invalid("the query is empty".to_owned())),
    };
    check(&statement)?;
    Ok(statement)
}

/// Refuses plans that do more than read.
pub(crate) fn verify(plan: &LogicalPlan) -> Result<(), Error> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|error| Error::ReadOnly(one_line(&error.strip_backtrace())))
}

fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_) | Token::Comma | Token::Period | Token::SemiColon | Token::EOF => false,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => false,
        _ => true,
    }
}

fn check(statement: &Statement) -> Result<(), Error> {
    match statement {
        Statement::Explain(explain) => check(&explain.statement),
        Statement::Statement(sql) => check_sql(sql),
        Statement::CreateExternalTable(_) => Err(Error::ReadOnly("CREATE EXTERNAL TABLE".to_owned())),
        Statement::CopyTo(_) => Err(Error::ReadOnly("COPY".to_owned())),
        Statement::Reset(_) => Err(Error::ReadOnly("RESET".to_owned())),
    }
}

fn check_sql(sql: &Sql) -> Result<(), Error> {
    match sql {
        Sql::Explain { statement, .. } => check_sql(statement),
        Sql::Query(_)
        | Sql::ExplainTable { .. }
        | Sql::ShowVariable { .. }
        | Sql::ShowVariables { .. }
        | Sql::ShowTables { .. }
        | Sql::ShowColumns { .. }
        | Sql::ShowFunctions { .. } => Ok(()),
        other => {
            // The statement's first words name it; the rest may be long, and is the asker's own text.
            let words: Vec<String> =
                other.to_string().split_whitespace().take(2).map(|word| word.chars().take(32).collect()).collect();
            Err(Error::ReadOnly(one_line(&words.join(" "))))
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
