//! How deeply a text may nest, before anything recursive looks at it.
//!
//! Invariant: no text whose parse tree is deeper than [`depth`] says. The estimate may be too high, by the number of
//! operators in one list item; it counts what can make the tree deeper: brackets, CASE, operators and words that chain.

use pg_query::protobuf::Token;

/// Deepest nesting that is parsed. libpg_query's own bound is in bytes of stack; it ends between 600 and 2,000 levels.
pub(crate) const MAX: usize = 2000;

/// One bracket's inside: what has chained in it.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Opened by CASE, not by a bracket.
    case: bool,
    /// Chained since the last comma, AND, OR or WHEN: those make lists, not depth.
    item: usize,
    /// Chained by what a comma does not end: set operations and joins.
    chain: usize,
}

impl Level {
    fn depth(self) -> usize {
        self.item + self.chain + 1
    }
}

/// An upper bound of the depth of the text's parse tree, in operators and brackets; or why the text has no tokens.
pub(crate) fn depth(sql: &str) -> Result<usize, String> {
    let tokens = match pg_query::scan_tokens(sql) {
        Ok(tokens) => tokens,
        Err(pg_query::Error::Scan(reason)) => return Err(reason),
        Err(_) => return Err("the text cannot be scanned".to_owned()),
    };
    let mut levels = vec![Level::default()];
    let mut below = 0;
    let mut deepest = 0;
    for token in tokens {
        let Ok(token) = Token::try_from(token.token) else { return Err("an unknown token".to_owned()) };
        let outermost = levels.len() == 1;
        let top = levels.last_mut().expect("the outermost level is never left");
        match token {
            Token::Ascii40 | Token::Ascii91 | Token::Case => {
                below += top.depth();
                levels.push(Level { case: token == Token::Case, ..Level::default() });
            }
            Token::Ascii41 | Token::Ascii93 => close(&mut levels, &mut below, false),
            Token::EndP => close(&mut levels, &mut below, true),
            Token::Ascii44 | Token::And | Token::Or | Token::When | Token::Then => top.item = 0,
            Token::Ascii59 if outermost => *top = Level::default(),
            Token::Union | Token::Intersect | Token::Except | Token::Join => top.chain += 1,
            // What stands for itself, and cannot make a tree deeper without one of the others.
            Token::Ident
            | Token::Uident
            | Token::Fconst
            | Token::Sconst
            | Token::Usconst
            | Token::Bconst
            | Token::Xconst
            | Token::Iconst
            | Token::Param
            | Token::SqlComment
            | Token::CComment => {}
            _ => top.item += 1,
        }
        deepest = deepest.max(below + levels.last().map_or(0, |top| top.depth()));
    }
    Ok(deepest)
}

/// Leaves the innermost bracket, and what was left open in it; or the innermost CASE.
fn close(levels: &mut Vec<Level>, below: &mut usize, case: bool) {
    while levels.len() > 1 {
        let Some(left) = levels.last().copied() else { return };
        if case && !left.case {
            return;
        }
        levels.pop();
        *below -= levels.last().map_or(0, |top| top.depth());
        if left.case == case {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_flat_and_chains_are_deep() {
        let long = |unit: &str, between: &str| vec![unit; 5000].join(between);
        for flat in [
            format!("insert into t values {}", long("(1, -2, 'x')", ", ")),
            format!("select 1 where {}", long("a = 1", " and ")),
            format!("select {}", long("case when a then b end", ", ")),
            format!("select case {} end", long("when a = 1 then b", " ")),
            long("select 1 + 1", "; "),
        ] {
            assert!(depth(&flat).unwrap() < 50, "{} for {}", depth(&flat).unwrap(), &flat[..60]);
        }
        for deep in [
            format!("select {}", long("1", "+")),
            format!("select {}", long("1", "||")),
            format!("select {}1{}", "(".repeat(5000), ")".repeat(5000)),
            long("select 1, 2", " union all "),
            format!("select * from {}", long("t", " cross join ")),
            format!("select {} 1", "not ".repeat(5000)),
            format!("select {} 1 {}", "case when true then ".repeat(5000), "end ".repeat(5000)),
            format!("select 1{}", "::int".repeat(5000)),
        ] {
            assert!(depth(&deep).unwrap() >= 5000, "{} for {}", depth(&deep).unwrap(), &deep[..60]);
        }
    }
}
