//! Messages that cost their sender next to nothing, and copies.

use hansard_tests::wire::{close, copy_data, copy_done, copy_fail, describe, execute, flush, parse, query, sync};

use super::Input;

pub(super) fn inputs() -> Vec<Input> {
    vec![
        Input::new("Sync", 400_000, |_| sync()),
        Input::new("Flush", 1_000_000, |_| flush()).closed_by(&[sync()]),
        Input::new("empty queries", 300_000, |_| query("")),
        Input::new("Describe and Close", 200_000, |_| [describe(b'S', "p"), close(b'S', "q")].concat())
            .opened_by(&[parse("p", "SELECT 1", &[]), sync()])
            .closed_by(&[sync()]),
        Input::new("skipped after an error", 300_000, |_| execute("", 0))
            .opened_by(&[parse("", "x", &[])])
            .closed_by(&[sync()]),
        Input::new("text that only looks like COPY", 60_000, |_| query("SELECT 'COPY x FROM STDIN'")),
        Input::new("COPY in, a byte a message", 1_000_000, |n| copy_data(if n % 2 == 0 { "1" } else { "\n" }))
            .opened_by(&[query("COPY public.lines FROM STDIN")])
            .closed_by(&[copy_done()]),
        Input::new("COPY in that fails, again and again", 20_000, |_| {
            [query("COPY public.lines FROM STDIN"), copy_data("1\n"), copy_fail()].concat()
        }),
        Input::new("COPY out, rows of a byte", 8, |_| {
            query("COPY (SELECT 1 FROM generate_series(1, 100000)) TO STDOUT")
        }),
        Input::new("rows without columns", 8, |_| query("SELECT FROM generate_series(1, 100000)")),
        Input::new("results of 8 MB", 1, |_| query("SELECT repeat('x', 1000) FROM generate_series(1, 8000)")),
        Input::new("a value of 8 MB", 1, |_| query(format!("SELECT length('{}')", "x".repeat(8_000_000)))),
    ]
}
