//! What the analysis of a text costs, for ordinary texts and for those that are made to be dear: time per byte, and the
//! most memory that the process has had so far.
//!
//! `cargo run --release -p hansard-policy --example cost`

use std::io::Write;
use std::time::Instant;

use hansard_policy::analyse;

fn main() -> std::io::Result<()> {
    let numbered = |word: &str, count: usize| (0..count).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(",");
    let rows = |count: usize| (0..count).map(|n| format!("({n},'value {n}',{n}.5)")).collect::<Vec<_>>().join(",");
    let cases = [
        (
            "pgbench update",
            10_000,
            "UPDATE pgbench_accounts SET abalance = abalance + -1500 WHERE aid = 77777;".to_owned(),
        ),
        (
            "select of a few columns",
            10_000,
            "select a, b.c, count(*) from t a join u b on a.id = b.id where b.x = 'y' group by 1, 2 order by 1"
                .to_owned(),
        ),
        ("unparsable: x", 12_000, "x".to_owned()),
        ("unparsable: 100 words", 1000, "x ".repeat(100)),
        ("nested 70 levels", 1000, format!("select {}1{}", "(".repeat(70), ")".repeat(70))),
        ("nested 1,900 levels", 20, format!("select {}1{}", "(".repeat(1900), ")".repeat(1900))),
        ("from, 16 KiB", 20, format!("select from {}", numbered("a", 2500))),
        ("from, 30 KiB", 5, format!("select from {}", numbered("a", 5000))),
        ("from, 250 KiB", 2, format!("select from {}", numbered("a", 36_000))),
        ("from, 1 MiB", 1, format!("select from {}", numbered("a", 150_000))),
        ("columns, 30 KiB", 2, format!("select {} from t", numbered("a", 5000))),
        (
            "columns times relations, 30 KiB",
            2,
            format!("select {} from {}", numbered("r1.a", 1800), numbered("r", 2200)),
        ),
        ("* times relations, 30 KiB", 2, format!("select {} from {}", vec!["*"; 8000].join(","), numbered("r", 2200))),
        ("joins, 28 KiB", 2, format!("select from a {}", "join b on true ".repeat(1900))),
        ("calls, 30 KiB", 5, format!("select {}", vec!["f(a)"; 6300].join(","))),
        ("1+1+..., 4 KiB", 20, vec!["1"; 1950].join("+")),
        ("select 1+1, ... 30 KiB", 2, format!("select {}", vec!["1+1"; 7800].join(","))),
        (
            "aliases in nested lists, 30 KiB",
            2,
            format!(
                "{}select {} from t x{}",
                "select from t x, (".repeat(300),
                vec!["x.a"; 6300].join(","),
                ") y".repeat(300)
            ),
        ),
        ("select; 10,000 times", 2, "select;".repeat(10_000)),
        ("select; 1 MiB", 1, "select;".repeat(150_000)),
        ("x; 10,000 times", 2, "x;".repeat(10_000)),
        ("update with 1.1 MB of comment", 5, format!("update t set a = 1 /*{}*/ where b = 2", "x".repeat(1_100_000))),
        ("update with 1.2 MB of list", 5, format!("update t set a = 1 where b in ({})", numbered("", 180_000))),
        ("update from values, 5 MB", 2, format!("update t set a = v.b from (values {}) v", rows(200_000))),
        ("insert of rows, 60 KB", 20, format!("insert into t values {}", rows(2300))),
        ("insert of rows, 5 MB", 2, format!("insert into t values {}", rows(200_000))),
        ("insert of a string, 5 MB", 2, format!("insert into t values ('{}')", "x".repeat(5_000_000))),
        ("update with calls, 5 MB", 2, format!("update t set a = 1 where b in ({})", vec!["now()"; 800_000].join(","))),
        (
            "with, 5 MB",
            2,
            format!("with x as (select 1) update t set a = 1 where b in ({})", vec!["now()"; 800_000].join(",")),
        ),
        ("open brackets, 5 MB", 2, "(".repeat(5_000_000)),
        ("a quote, 5 MB", 2, format!("'{}", "x".repeat(5_000_000))),
        ("dollars, 5 MB", 2, format!("$a$ {}", "$aa".repeat(1_700_000))),
        ("open comments, 5 MB", 2, "/*".repeat(2_500_000)),
        ("copies in brackets, 5 MB", 2, "(copy a ".repeat(700_000)),
        ("strings and comments, 5 MB", 2, "'' --\n".repeat(900_000)),
    ];
    let mut out = std::io::stdout().lock();
    for (name, times, sql) in cases {
        let before = Instant::now();
        let mut statements = 0;
        for _ in 0..times {
            statements = analyse(&sql).statements.len();
        }
        let each = before.elapsed().as_nanos() as f64 / f64::from(times);
        writeln!(
            out,
            "{name:40} {:8} bytes {:12.1} us {:10.1} ns/byte {statements:6} statements, {} MiB",
            sql.len(),
            each / 1000.0,
            each / sql.len() as f64,
            most_memory()?
        )?;
    }
    Ok(())
}

fn most_memory() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.unwrap_or(0) / 1024)
}
