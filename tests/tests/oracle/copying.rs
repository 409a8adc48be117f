//! COPY FROM STDIN in the ways that the server tells apart: it ignores Sync and Flush while it copies, and skips to Sync
//! when it has failed.

use hansard_tests::wire::{copy_data, copy_done, copy_fail, execute, extended, flush, parse, query, sync};

use crate::conversation::Generator;

/// What follows a request to copy: data, with whatever the server ignores.
fn data(of: &mut Generator, number: i64, messages: &mut Vec<Vec<u8>>) {
    let mut lines = format!("{number}\n").repeat(1 + of.below(2)).into_bytes();
    if of.chance(0.2) {
        lines.extend(b"bad\n");
    }
    // Lines need not end where messages do.
    while !lines.is_empty() {
        if of.chance(0.25) {
            messages.push(if of.chance(0.6) { sync() } else { flush() });
        }
        let length = if of.chance(0.6) { lines.len() } else { 1 + of.below(lines.len()) };
        messages.push(copy_data(lines.drain(..length).collect::<Vec<u8>>()));
    }
    if of.chance(0.2) {
        messages.push(sync());
    }
    match of.below(20) {
        0 => {}
        1..4 => messages.push(copy_fail()),
        _ => messages.push(copy_done()),
    }
}

fn text(of: &mut Generator, number: i64) -> String {
    let target = of.one(&["public.loads", "public.loads (change)", "loads", "public.loads", "public.nowhere"]);
    let options = of.one(&["", "", " WITH (FORMAT csv)", " WHERE change > 0"]);
    format!("COPY {target} FROM STDIN{options} /* {number} */")
}

/// One COPY of a binary format, in which nothing ends a line.
fn binary(of: &mut Generator, session: usize, messages: &mut Vec<Vec<u8>>) {
    let number = of.number(session);
    messages.push(query(format!("COPY public.loads FROM STDIN (FORMAT binary) /* {number} */")));
    let head =
        [&b"PGCOPY\n\xff\r\n\0"[..], &[0; 8], &[0, 1, 0, 0, 0, 8], &number.to_be_bytes(), &[0xff, 0xff]].concat();
    let at = of.below(head.len());
    messages.push(copy_data(&head[..at]));
    messages.push(if of.chance(0.5) { sync() } else { flush() });
    messages.push(copy_data(&head[at..]));
    messages.push(copy_done());
}

/// One COPY with its data; how many ReadyForQuery messages answer what it is followed by.
fn one(of: &mut Generator, session: usize, messages: &mut Vec<Vec<u8>>) -> usize {
    let number = of.number(session);
    let sql = text(of, number);
    if of.chance(0.5) {
        messages.push(query(sql));
        data(of, number, messages);
        return 1;
    }
    messages.push(extended(sql));
    data(of, number, messages);
    let syncs = of.below(3);
    messages.extend((0..syncs).map(|_| sync()));
    syncs
}

pub(crate) fn copy(of: &mut Generator, session: usize) {
    let mut messages = Vec::new();
    let mut ready = one(of, session, &mut messages);
    // Requests that may be sent before the server has said how the copy ended.
    for _ in 0..of.below(4) {
        let sql = of.statement(session);
        let (more, answers) = of.spoken(sql);
        messages.extend(more);
        ready += answers;
    }
    of.step(session, messages, ready);
}

/// Behind an error, in a transaction, in a text of several, through a portal that is executed again.
pub(crate) fn among_others(of: &mut Generator, session: usize) {
    let mut messages = Vec::new();
    let mut ready = 0;
    match of.below(6) {
        5 => {
            binary(of, session, &mut messages);
            let sql = of.statement(session);
            messages.push(query(sql));
            ready += 2;
        }
        0 => {
            let failure = of.failure(session);
            messages.push(extended(failure));
            ready += one(of, session, &mut messages);
        }
        1 => {
            messages.push(query("BEGIN"));
            ready += 2 + one(of, session, &mut messages);
            let end = of.one(&["COMMIT", "ROLLBACK", "COMMIT AND CHAIN"]);
            messages.push(query(end));
        }
        2 => {
            let (first, last) = (of.statement(session), of.statement(session));
            let (one, two) = (of.number(session), of.number(session));
            let text = format!("{first}; {}; {}; {last}", text(of, one), text(of, two));
            messages.push(query(text));
            data(of, one, &mut messages);
            data(of, two, &mut messages);
            ready += 1;
        }
        3 => {
            let number = of.number(session);
            let sql = text(of, number);
            messages.push(parse("copying", sql, &[]));
            messages.push(hansard_tests::wire::bind("", "copying", &[]));
            messages.push(execute("", 0));
            data(of, number, &mut messages);
            messages.push(execute("", 0));
            messages.push(hansard_tests::wire::close(b'S', "copying"));
            messages.push(sync());
            ready += 1;
        }
        _ => {
            // A pipeline of several, none of them waited for.
            for _ in 0..2 {
                let sql = of.statement(session);
                messages.extend(of.unnamed(sql));
                ready += one(of, session, &mut messages);
                messages.push(sync());
                ready += 1;
            }
        }
    }
    of.step(session, messages, ready);
}
