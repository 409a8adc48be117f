//! Names of prepared statements and portals: the protocol's and SQL's, taken, cut, forgotten, fetched from.

use hansard_tests::wire::{bind, close, describe, execute, extended, flush, parse, query, sync};

use crate::conversation::Generator;
use crate::kinds::{INT8, bound};

/// As protocol and as SQL write them; in pairs that are equal once they are cut.
const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

pub(crate) fn names(of: &mut Generator, session: usize) {
    let (long_1, long_2) = (format!("{LONG}1"), format!("{LONG}2"));
    // Cut in the middle of a character, or before it.
    let (wide_1, wide_2) = (format!("{}1", "\u{e9}".repeat(32)), format!("{}2", "\u{e9}".repeat(32)));
    let pool: [&[u8]; 9] = [
        b"p",
        b"q",
        b"P",
        long_1.as_bytes(),
        long_2.as_bytes(),
        b"\xe9",
        b"\xe8",
        wide_1.as_bytes(),
        wide_2.as_bytes(),
    ];
    // Most conversations use few names often.
    let few: Vec<&[u8]> = (0..2).map(|_| of.one(&pool)).collect();
    if few.iter().any(|name| !name.is_ascii()) && of.chance(0.7) {
        of.step(session, vec![query("SET client_encoding = 'LATIN1'")], 1);
    }
    let (mut messages, mut ready) = (Vec::new(), 0);
    for turn in 0..4 + of.below(8) {
        let name = of.one(&few);
        let quoted = [b"\"", name, b"\""].concat();
        // A name that means nothing teaches little.
        match if turn == 0 { of.below(4) } else { of.below(13) } {
            0..3 => {
                // The number of a text that is only prepared is written by nobody.
                let number = of.failing(session);
                let change = of.change_of(session, number);
                let sql = if of.chance(0.2) { "SELECT $1::bigint".to_owned() } else { change.prepared() };
                messages.push(parse(name, sql, &[INT8]));
            }
            3 => {
                let number = of.failing(session);
                let sql = of.change_of(session, number).prepared();
                messages.push(query([b"PREPARE ", &quoted[..], b" (bigint) AS ", sql.as_bytes()].concat()));
                ready += 1;
            }
            4..7 => {
                let number = of.number(session);
                of.victim(number);
                let value = bound(of, number);
                messages.extend([bind("", name, &[value]), execute("", 0)]);
            }
            7 | 8 => {
                let number = of.number(session);
                of.victim(number);
                let explain: &[u8] = if of.chance(0.2) { b"EXPLAIN ANALYZE " } else { b"" };
                let sql = [explain, b"EXECUTE ", &quoted, format!("({number})").as_bytes()].concat();
                if of.chance(0.7) {
                    messages.push(query(sql));
                    ready += 1;
                } else {
                    messages.push(extended(sql));
                }
            }
            9 => messages.push(close(b'S', name)),
            10 => {
                messages.push(query([b"DEALLOCATE ", &quoted[..]].concat()));
                ready += 1;
            }
            11 => {
                messages.push(query(of.one(&["DEALLOCATE ALL", "DISCARD ALL", "DISCARD PLANS"])));
                ready += 1;
            }
            _ => messages.push(describe(b'S', name)),
        }
        if of.chance(0.5) {
            messages.push(sync());
            let sent = std::mem::take(&mut messages);
            of.step(session, sent, std::mem::take(&mut ready) + 1);
        }
    }
    messages.push(sync());
    of.step(session, messages, ready + 1);
}

pub(crate) fn portals(of: &mut Generator, session: usize) {
    let whole = of.chance(0.7);
    let mut messages = Vec::new();
    if whole {
        messages.push(extended("BEGIN"));
    }
    let name = of.one(&["", "c", "d"]);
    let number = of.number(session);
    let sql =
        format!("INSERT INTO public.ledger_2 (change) SELECT {number} FROM generate_series(1, 3) RETURNING change");
    messages.extend([parse("", sql, &[]), bind(name, "", &[])]);
    let mut ready = 0;
    for _ in 0..1 + of.below(5) {
        match of.below(7) {
            0 => {
                messages.push(sync());
                ready += 1;
            }
            1 => {
                let sql = of.statement(session);
                messages.extend([parse("other", sql, &[]), bind("other", "other", &[]), execute("other", 0)]);
                messages.push(close(b'S', "other"));
                messages.push(close(b'P', "other"));
            }
            2 => messages.push(close(b'P', name)),
            _ => {
                let rows = u32::try_from(of.below(4)).unwrap();
                messages.push(execute(name, rows));
            }
        }
    }
    if whole {
        let end = of.one(&["COMMIT", "COMMIT", "ROLLBACK"]);
        messages.push(extended(end));
    }
    messages.push(sync());
    of.step(session, messages, ready + 1);
}

/// A portal that the protocol binds and SQL reads from.
pub(crate) fn cursor(of: &mut Generator, session: usize) {
    let number = of.number(session);
    let sql = format!("UPDATE public.rankings SET mark = {number} WHERE slot = {} RETURNING mark", of.slot(session));
    let mut messages = vec![query("BEGIN"), parse("", sql, &[]), bind("c", "", &[])];
    messages.push(if of.chance(0.5) { sync() } else { flush() });
    of.step(session, messages, 2);
    for _ in 0..=of.below(2) {
        let read = of.one(&["FETCH ALL FROM c", "FETCH c", "MOVE ALL IN c", "FETCH 0 FROM c", "CLOSE c"]);
        of.step(session, vec![sync(), query(format!("{read} /* {number} */"))], 2);
    }
    let end = of.one(&["COMMIT", "COMMIT", "ROLLBACK"]);
    of.step(session, vec![query(end)], 1);
}

/// The unnamed statement is forgotten by a simple query, and by a Parse that fails.
pub(crate) fn unnamed(of: &mut Generator, session: usize) {
    for _ in 0..3 + of.below(5) {
        let number = of.number(session);
        of.victim(number);
        let other = of.failing(session);
        let change = of.change_of(session, other).prepared();
        let value = bound(of, number);
        let parse_it = parse("", change, &[INT8]);
        let run = [bind("", "", &[value]), execute("", 0)];
        let messages = match of.below(6) {
            0 => vec![parse_it, sync()],
            1 => vec![parse_it, query("SELECT 1")],
            2 => vec![parse_it, parse("", "SELEC", &[]), sync()],
            3 => vec![close(b'S', ""), sync()],
            _ => vec![run.concat(), sync()],
        };
        of.step(session, messages, 1);
    }
}
