//! How deeply a text may nest, before anything recursive looks at it.
//!
//! Invariant: no statement whose parse tree is deeper than [`Depth`] says, in levels of a few nodes each. The estimate
//! may be too high; it counts what can make the tree deeper: brackets, CASE, operators and words that chain.

use crate::scan::{Kind, Token};

/// Deepest nesting that is parsed. libpg_query's own bound is in bytes of stack; it ends between 600 and 2,000 levels.
pub(crate) const MAX: usize = 2000;

/// One bracket's inside: what has chained in it.
#[derive(Debug, Clone, Copy, Default)]
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

/// An upper bound of the depth of a statement's parse tree, in operators and brackets.
#[derive(Debug, Default)]
pub(crate) struct Depth {
    /// Around the innermost, which is `top`.
    levels: Vec<Level>,
    top: Level,
    below: usize,
    deepest: usize,
    /// Where the last operator's letter ended, for the letters of one operator count once.
    operator: Option<usize>,
}

impl Depth {
    /// Takes the statement's next token, which is this word in lower case where it may be a keyword.
    pub(crate) fn token(&mut self, token: &Token, word: &str) {
        // What is too deep need not be followed; so no more is kept than can be parsed.
        if self.deepest > MAX {
            return;
        }
        let operator = std::mem::take(&mut self.operator);
        match token.kind {
            Kind::Symbol(b'(' | b'[') => self.open(false),
            Kind::Symbol(b')' | b']') => self.close(false),
            Kind::Symbol(b',') => self.top.item = 0,
            Kind::Symbol(b'.' | b';') => {}
            // A sign may be an operator of its own behind another.
            Kind::Symbol(letter) => {
                self.operator = Some(token.range.end);
                if operator != Some(token.range.start) || matches!(letter, b'+' | b'-') {
                    self.top.item += 1;
                }
            }
            Kind::Word => match word {
                "case" => self.open(true),
                "end" => self.close(true),
                "and" | "or" | "when" | "then" => self.top.item = 0,
                "union" | "intersect" | "except" | "join" => self.top.chain += 1,
                "select" | "values" | "table" | "from" | "with" | "not" | "is" | "isnull" | "notnull" | "collate"
                | "at" | "like" | "ilike" | "similar" | "between" | "in" | "overlaps" | "operator" | "escape" => {
                    self.top.item += 1;
                }
                _ => {}
            },
            // What stands for itself, and cannot make a tree deeper without one of the others.
            Kind::Quoted | Kind::UnicodeQuoted | Kind::String | Kind::Number | Kind::Parameter => {}
        }
        self.deepest = self.deepest.max(self.below + self.top.depth());
    }

    pub(crate) fn deepest(&self) -> usize {
        self.deepest.min(MAX + 1)
    }

    fn open(&mut self, case: bool) {
        self.below += self.top.depth();
        self.levels.push(std::mem::replace(&mut self.top, Level { case, ..Level::default() }));
    }

    /// Leaves the innermost bracket, and what was left open in it; or the innermost CASE.
    fn close(&mut self, case: bool) {
        while let Some(around) = self.levels.last().copied() {
            if case && !self.top.case {
                return;
            }
            let left = std::mem::replace(&mut self.top, around);
            self.levels.pop();
            self.below -= around.depth();
            if left.case == case {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dialect, scan};

    fn depth(sql: &str) -> usize {
        scan::split(sql, Dialect::default(), 10_000).unwrap().parts.iter().map(|part| part.depth).max().unwrap_or(0)
    }

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
            assert!(depth(&flat) < 50, "{} for {}", depth(&flat), &flat[..60]);
        }
        for deep in [
            format!("select {}", long("1", "+")),
            format!("select {}", long("1", "||")),
            format!("select {}1", "- ".repeat(5000)),
            format!("select {}1", "+-".repeat(5000)),
            format!("select {}1{}", "(".repeat(5000), ")".repeat(5000)),
            long("select 1, 2", " union all "),
            format!("select * from {}", long("t", " cross join ")),
            format!("select {} 1", "not ".repeat(5000)),
            format!("select {} 1 {}", "case when true then ".repeat(5000), "end ".repeat(5000)),
            format!("select 1{}", "::int".repeat(5000)),
        ] {
            assert!(depth(&deep) > MAX, "{} for {}", depth(&deep), &deep[..60]);
        }
    }

    /// Nesting of the tree's own text form, which has a bracket or two for each node.
    fn depth_of_tree(sql: &str) -> Option<usize> {
        let tree = format!("{:?}", pg_query::parse(sql, 0).ok()?.protobuf);
        let (mut now, mut deepest) = (0_usize, 0);
        for letter in tree.bytes() {
            match letter {
                b'(' | b'[' | b'{' => now += 1,
                b')' | b']' | b'}' => now = now.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(now);
        }
        Some(deepest)
    }

    /// Pieces that nest, each in what the former is the inside of.
    const AROUND: &[(&str, &str)] = &[
        ("(", ")"),
        ("(select ", ")"),
        ("-", ""),
        ("not ", ""),
        ("", " + 1"),
        ("1 || ", ""),
        ("", "::int"),
        ("", " is null"),
        ("", " collate \"C\""),
        ("", " at time zone 'x'"),
        ("f(", ")"),
        ("array[", "]"),
        ("case when ", " then 1 end"),
        ("case when true then 1 else ", " end"),
        ("", " in (1)"),
        ("exists (select ", ")"),
        ("", " like 'x'"),
        ("(", ").a[1].b"),
        ("1 between ", " and 2"),
        ("(select 1 union select ", ")"),
        ("(with w as (select 1) select ", " from a join b on true join c on true)"),
        ("", " and true"),
        ("", " or true"),
        ("1 operator(pg_catalog.+) ", ""),
        ("row(1, ", ")"),
        ("cast(", " as int)"),
    ];

    proptest! {
        #[test]
        fn no_tree_is_deeper_than_said(places in proptest::collection::vec(0..AROUND.len(), 0..14)) {
            let inside = places.iter().fold("1".to_owned(), |inside, place| {
                let (before, after) = AROUND[*place];
                format!("{before}{inside}{after}")
            });
            let sql = format!("select {inside}");
            if let Some(tree) = depth_of_tree(&sql) {
                prop_assert!(tree <= 20 + 14 * depth(&sql), "{} in {} for {}", tree, depth(&sql), sql);
            }
        }
    }
}
