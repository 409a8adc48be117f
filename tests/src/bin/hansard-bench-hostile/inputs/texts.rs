//! Long texts: about a megabyte each, or what a session's parser is known to find hard.

use hansard_tests::wire::query;

use super::{Input, numbered};

const MB: usize = 1_000_000;
/// About what is parsed of one statement.
const PARSED: usize = 30_000;

/// So many repetitions of a text as make about a megabyte.
fn megabyte(of: &str) -> String {
    of.repeat(MB / of.len())
}

/// A text, sent as often as makes about eight megabytes.
fn text(name: &'static str, sql: impl Into<String>) -> Input {
    let sql = sql.into();
    let times = 8 * MB / sql.len();
    let message = query(sql);
    Input::new(name, times.max(1), move |_| message.clone())
}

pub(super) fn inputs() -> Vec<Input> {
    let update = "UPDATE public.rankings SET score = score + 1";
    let values = (0..40_000).map(|n| format!("({n},'value {n}',{n}.5)")).collect::<Vec<_>>().join(",");
    let deep = |levels: usize| format!("SELECT {}1{}", "(".repeat(levels), ")".repeat(levels));
    let tables = (0..2_000).map(|n| format!("a{n} AS (SELECT 1)")).collect::<Vec<_>>().join(",");
    let joined = "JOIN b ON true ".repeat(PARSED / 15);
    vec![
        text("a comment of 1.1 MB", format!("{update} /* {} */", "x".repeat(1_100_000))),
        // The server's own scanner takes time by the square of the depth.
        text("comments in comments", format!("{update} {}{}", "/*".repeat(200), "*/".repeat(200))),
        text("comments of a line, 1 MB", format!("{}{update}", megabyte("--\n"))),
        text("IN list of 1.2 MB", format!("{update} WHERE id IN ({})", numbered("", 180_000))),
        text("UPDATE FROM VALUES, 1 MB", format!("{update} FROM (VALUES {values}) AS v(a, b, c) WHERE id = v.a")),
        text("SELECT FROM a0, a1, …, 1 MB", format!("SELECT FROM {}", numbered("a", 150_000))),
        text("SELECT FROM a0, a1, …, 30 KB", format!("SELECT FROM {}", numbered("a", 5_000))),
        text("SELECT a0, a1, …, 1 MB", format!("SELECT {} FROM t", numbered("a", 150_000))),
        text("SELECT a0, a1, …, 30 KB", format!("SELECT {} FROM t", numbered("a", 5_000))),
        text(
            "columns and relations, 30 KB",
            format!("SELECT {} FROM {}", numbered("r1.a", 1_800), numbered("r", 2_200)),
        ),
        text(
            "SELECT *, *, … of many relations",
            format!("SELECT {} FROM {}", vec!["*"; 8_000].join(","), numbered("r", 2_200)),
        ),
        text("SELECT; 1 MB", megabyte("SELECT;")),
        text("; 1 MB", megabyte(";")),
        text("x; 1 MB", megabyte("x;")),
        text("parentheses, 1 MB", deep(MB / 2)),
        text("parentheses, 1,900 deep", deep(1_900)),
        text("parentheses, 70 deep", deep(70)),
        text("subqueries in subqueries", format!("{}SELECT 1{}", "SELECT (".repeat(400), ")".repeat(400))),
        text("WITH, 2,000 of them", format!("WITH {tables} SELECT 1")),
        text("UNION ALL, 30 KB", vec!["SELECT 1"; PARSED / 19].join(" UNION ALL ")),
        text("joins, 30 KB", format!("SELECT FROM a {joined}")),
        text("calls, 30 KB", format!("SELECT {}", vec!["f(a)"; PARSED / 5].join(","))),
        text("calls in calls", format!("SELECT {}1{}", "f(".repeat(1_900), ")".repeat(1_900))),
        text("1+1+…, 4 KB", format!("SELECT {}", vec!["1"; 2_000].join("+"))),
        text("1+1+…, 1 MB", format!("SELECT {}", vec!["1"; MB / 2].join("+"))),
        text("casts of casts", format!("SELECT 1{}", "::int".repeat(1_900))),
        text("a name of 1 MB", format!("UPDATE \"{}\" SET a = 1", "n".repeat(MB))),
        text("a name of 500,000 parts", format!("UPDATE {} SET a = 1", vec!["a"; MB / 2].join("."))),
        text("a dollar-quoted text, 1 MB", format!("SELECT $a$ {} $a$", megabyte("$b$ "))),
        text("dollars without an end, 1 MB", format!("SELECT {}", megabyte("$a "))),
        text("a quote without an end, 1 MB", format!("SELECT '{}", megabyte("x''"))),
        text("quotes and quotes, 1 MB", format!("SELECT {}", megabyte("'' "))),
        text("continued strings, 1 MB", format!("SELECT {}", megabyte("'a'\n"))),
        text("escapes, 1 MB", format!("SELECT E'{}'", megabyte("\\\\"))),
        text("words of passwords, 1 MB", format!("ALTER ROLE app {}", megabyte("PASSWORD 'x' "))),
        text("words of COPY, 1 MB", format!("SELECT 1 /* {} */", megabyte("COPY t FROM STDIN; "))),
        text("SET search_path, 1 MB", format!("SET search_path = {}", numbered("a", 150_000))),
        text("not UTF-8", "x".repeat(900)).closed_by(&[query([0xff; MB])]),
    ]
}
