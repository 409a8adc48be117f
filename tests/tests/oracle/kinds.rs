//! The kinds of steps: each makes one or a few steps of a session (of both, where a transaction is resolved by the other).

use hansard_tests::wire::{Bound, bind, describe, execute, flush, frame, parse, query, sync};

use crate::conversation::{FIRST, Generator};
use crate::{copying, naming, reading};

/// The type `bigint`.
pub(crate) const INT8: u32 = 20;

type Kind = (&'static str, u32, fn(&mut Generator, usize));

/// Each with its weight.
const KINDS: &[Kind] = &[
    ("simple", 8, simple),
    ("texts of several statements", 8, several),
    ("pipeline", 10, pipeline),
    ("parameters", 8, parameters),
    ("transaction", 12, transaction),
    ("savepoints", 8, savepoints),
    ("transaction in a pipeline", 6, transaction_in_a_pipeline),
    ("copy", 12, copying::copy),
    ("copy among others", 6, copying::among_others),
    ("names", 12, naming::names),
    ("unnamed", 5, naming::unnamed),
    ("portals", 8, naming::portals),
    ("cursor of a portal", 4, naming::cursor),
    ("encodings", 8, reading::encodings),
    ("strings", 8, reading::strings),
    ("commit inside", 8, commit_inside),
    ("two-phase commit", 6, two_phase),
    ("deferred", 6, deferred),
    ("large", 1, reading::large),
    ("unknown to the parser", 4, reading::unparsable),
    ("outside transactions", 3, outside_transactions),
    ("protocol errors", 4, protocol_errors),
    ("out of a transaction", 6, out),
    ("functions", 3, functions),
    ("terminated", 2, terminated),
];

/// Of those alone that `HANSARD_ORACLE_KINDS` names, separated by commas, where it is set: for whoever looks for a cause.
pub(crate) fn any(generator: &mut Generator, session: usize) {
    let wanted = std::env::var("HANSARD_ORACLE_KINDS").ok();
    let wanted: Option<Vec<&str>> = wanted.as_ref().map(|names| names.split(',').collect());
    let among: Vec<&Kind> =
        KINDS.iter().filter(|(name, ..)| wanted.as_ref().is_none_or(|names| names.contains(name))).collect();
    let mut at = generator.below(among.iter().map(|(_, weight, _)| *weight as usize).sum());
    for (name, weight, make) in among {
        if at < *weight as usize {
            generator.kind = name;
            return make(generator, session);
        }
        at -= *weight as usize;
    }
}

/// int4abs, of -7.
fn function_call() -> Vec<u8> {
    let argument = [&[0, 1, 0, 1, 0, 1, 0, 0, 0, 4][..], &(-7_i32).to_be_bytes(), &[0, 1]].concat();
    frame(b'F', &[&1397_u32.to_be_bytes()[..], &argument].concat())
}

fn simple(of: &mut Generator, session: usize) {
    for _ in 0..=of.below(3) {
        if of.chance(0.1) {
            of.step(session, vec![function_call()], 1);
        }
        let sql = of.statement(session);
        of.step(session, vec![query(sql)], 1);
    }
}

impl Generator {
    /// A change, now and then a failure or nothing.
    pub(crate) fn statement(&mut self, session: usize) -> String {
        match self.below(10) {
            0 => self.failure(session),
            1 => self.noise().to_owned(),
            _ => self.change_text(session),
        }
    }

    /// Several statements as one text, with what is easily taken for an end of a statement.
    fn text_of_several(&mut self, session: usize) -> String {
        let mut text = String::new();
        for _ in 0..2 + self.below(3) {
            let odd = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "", "COMMIT AND CHAIN"];
            let statement = match self.below(8) {
                0 => self.one(&odd).to_owned(),
                1 => "SELECT ';', $a$;$a$, E'\\';' /* ; /* ; */ */ -- ;\n".to_owned(),
                _ => self.statement(session),
            };
            text.push_str(&statement);
            text.push_str(self.one(&[";", "; ", ";\n-- and\n", ";;"]));
        }
        text
    }
}

fn several(of: &mut Generator, session: usize) {
    for _ in 0..=of.below(2) {
        let text = of.text_of_several(session);
        if of.chance(0.1) {
            // Parse takes one statement only.
            let messages = [of.unnamed(text), vec![sync()]].concat();
            of.step(session, messages, 1);
        } else {
            of.step(session, vec![query(text)], 1);
        }
    }
}

fn pipeline(of: &mut Generator, session: usize) {
    let (mut messages, mut ready) = (Vec::new(), 0);
    for _ in 0..2 + of.below(4) {
        let sql = of.statement(session);
        if of.chance(0.1) {
            messages.push(query(sql));
            ready += 1;
            continue;
        }
        messages.extend(of.unnamed(sql));
        match of.below(6) {
            0 => messages.push(flush()),
            1 | 2 => {
                messages.push(sync());
                ready += 1;
            }
            _ => {}
        }
    }
    messages.push(sync());
    of.step(session, messages, ready + 1);
}

/// The number as text or binary, its type told or not.
pub(crate) fn bound(of: &mut Generator, number: i64) -> Bound {
    if of.chance(0.7) {
        Bound::Text(number.to_string().into_bytes())
    } else {
        Bound::Binary(number.to_be_bytes().into())
    }
}

fn parameters(of: &mut Generator, session: usize) {
    let mut messages = Vec::new();
    let change = of.change(session);
    let types: &[u32] = if of.chance(0.5) { &[INT8] } else { &[] };
    messages.push(parse("", change.prepared(), types));
    let value = bound(of, change.number);
    messages.push(bind("", "", &[value]));
    messages.push(execute("", 0));
    if of.chance(0.3) {
        let failure = of.failure(session);
        messages.extend(of.unnamed(failure));
    }
    messages.push(sync());
    of.step(session, messages, 1);
}

const ENDINGS: &[&str] = &[
    "COMMIT",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "COMMIT; SELECT 1",
    "COMMIT /* and no more */",
];

fn transaction(of: &mut Generator, session: usize) {
    let begin = of.one(&[
        "BEGIN",
        "START TRANSACTION",
        "BEGIN",
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN WORK",
        "BEGIN READ ONLY",
    ]);
    of.say(session, begin);
    for _ in 0..=of.below(4) {
        let sql = of.statement(session);
        of.say(session, sql);
    }
    let end = of.one(ENDINGS);
    of.step(session, vec![query(end)], 1);
}

fn savepoints(of: &mut Generator, session: usize) {
    of.say(session, "BEGIN");
    for savepoint in ["SAVEPOINT one", "SAVEPOINT two"] {
        let sql = of.change_text(session);
        of.say(session, sql);
        of.say(session, savepoint);
    }
    for _ in 0..2 + of.below(6) {
        let sql = match of.below(10) {
            0 => "SAVEPOINT one".to_owned(),
            1 => "SAVEPOINT two".to_owned(),
            2 => "ROLLBACK TO SAVEPOINT one".to_owned(),
            3 => "ROLLBACK TRANSACTION TO two".to_owned(),
            4 => of.one(&["RELEASE one", "RELEASE SAVEPOINT two", "SAVEPOINT ONE", "SAVEPOINT \"ONE\""]).to_owned(),
            _ => of.statement(session),
        };
        of.say(session, sql);
    }
    let end = of.one(ENDINGS);
    of.step(session, vec![query(end)], 1);
}

fn transaction_in_a_pipeline(of: &mut Generator, session: usize) {
    let mut messages = Vec::new();
    for _ in 0..3 + of.below(5) {
        let sql = match of.below(9) {
            0 | 1 => "BEGIN".to_owned(),
            2 | 3 => "COMMIT".to_owned(),
            4 => of.one(&["ROLLBACK", "SAVEPOINT one", "ROLLBACK TO one", "COMMIT AND CHAIN"]).to_owned(),
            _ => of.statement(session),
        };
        messages.extend(of.unnamed(sql));
    }
    messages.push(sync());
    of.step(session, messages, 1);
}

fn commit_inside(of: &mut Generator, session: usize) {
    let insert = |of: &mut Generator| {
        let number = of.number(session);
        format!("INSERT INTO public.ledger_1 (change) VALUES ({number}); ")
    };
    let (first, second) = (insert(of), insert(of));
    let sql = match of.below(8) {
        0 => format!("DO $$ BEGIN {first} COMMIT; RAISE EXCEPTION 'x'; END $$"),
        1 => format!("DO $$ BEGIN {first} COMMIT; {second} ROLLBACK; END $$"),
        2 => format!("DO $$ BEGIN {first} ROLLBACK; {second} END $$"),
        3 => format!("DO $$ BEGIN {first} {second} END $$"),
        4 => format!("DO $$ BEGIN BEGIN {first} RAISE EXCEPTION 'x'; EXCEPTION WHEN others THEN {second} END; END $$"),
        5 => format!("CALL public.insert_and_commit({})", of.number(session)),
        6 => format!("CALL public.commit_and_fail({})", of.number(session)),
        _ => format!("CALL public.insert_and_undo({})", of.number(session)),
    };
    let (mut messages, mut ready) = (Vec::new(), 0);
    match of.below(4) {
        0 => {
            messages.push(query(sql));
            ready += 1;
        }
        1 => {
            let before = of.statement(session);
            messages.push(query(format!("{before}; {sql}")));
            ready += 1;
        }
        _ => {
            for _ in 0..of.below(2) {
                let before = of.change_text(session);
                messages.extend(of.unnamed(before));
            }
            messages.extend(of.unnamed(sql));
            for _ in 0..of.below(3) {
                let after = of.statement(session);
                messages.extend(of.unnamed(after));
            }
            messages.push(sync());
            ready += 1;
        }
    }
    of.step(session, messages, ready);
}

fn two_phase(of: &mut Generator, session: usize) {
    of.say(session, "BEGIN");
    for _ in 0..=of.below(2) {
        let sql = of.statement(session);
        of.say(session, sql);
    }
    // Short enough not to be taken for a change's number.
    let name = format!("t{}", of.failing(session) - FIRST);
    of.step(session, vec![query(format!("PREPARE TRANSACTION '{name}'"))], 1);
    let resolving = if of.chance(0.5) { session } else { 1 - session };
    if of.chance(0.4) {
        // It may fail, and the transaction stays as it was.
        of.say(resolving, "BEGIN");
        of.say(resolving, format!("COMMIT PREPARED '{name}'"));
        of.say(resolving, "ROLLBACK");
    }
    if of.chance(0.85) {
        let verb = of.one(&["COMMIT", "COMMIT", "ROLLBACK"]);
        of.say(resolving, format!("{verb} PREPARED '{name}'"));
    }
}

/// A constraint that is checked when the transaction ends, by whatever ends it.
fn deferred(of: &mut Generator, session: usize) {
    let insert = |of: &mut Generator| {
        let number = of.number(session);
        let ref_ = usize::from(of.chance(0.6));
        format!("INSERT INTO public.checked (change, ref) VALUES ({number}, {ref_})")
    };
    let (first, other) = (insert(of), of.change_text(session));
    match of.below(5) {
        0 => of.say(session, first),
        1 => of.step(session, vec![query(format!("{other}; {first}"))], 1),
        2 => {
            let messages = [of.unnamed(other), of.unnamed(first), vec![sync()]].concat();
            of.step(session, messages, 1);
        }
        3 => {
            let messages = [of.unnamed("BEGIN"), of.unnamed(first), of.unnamed("COMMIT"), of.unnamed(other)].concat();
            of.step(session, [messages, vec![sync()]].concat(), 1);
        }
        _ => {
            for sql in ["BEGIN", &other, &first] {
                of.say(session, sql);
            }
            let end = of.one(&["COMMIT", "COMMIT AND CHAIN", "SET CONSTRAINTS ALL IMMEDIATE", "COMMIT; BEGIN"]);
            of.step(session, vec![query(end)], 1);
        }
    }
}

/// What commits by itself, in the middle of a pipeline.
fn outside_transactions(of: &mut Generator, session: usize) {
    let mut messages = Vec::new();
    for _ in 0..3 + of.below(2) {
        let sql = if of.chance(0.4) { "VACUUM public.small".to_owned() } else { of.statement(session) };
        messages.extend(of.unnamed(sql));
    }
    messages.push(sync());
    of.step(session, messages, 1);
}

fn protocol_errors(of: &mut Generator, session: usize) {
    let change = of.change_text(session);
    let number = of.failing(session);
    let odd = match of.below(8) {
        0 => execute("nowhere", 0),
        1 => bind("", "nowhere", &[]),
        2 => bind("", "", &[Bound::Text(number.to_string().into_bytes()), Bound::Text(b"x".to_vec())]),
        3 => describe(b'P', "nowhere"),
        4 => frame(b'd', b"nothing is copied\n"),
        5 => frame(b'c', b""),
        6 => frame(b'Q', b""),
        _ => frame(b'y', b"what"),
    };
    let mut messages = of.unnamed(change);
    let at = of.below(messages.len() + 1);
    messages.insert(at, odd);
    let sql = of.statement(session);
    messages.push(query(sql));
    messages.push(sync());
    let last = of.change_text(session);
    messages.push(query(last));
    of.step(session, messages, 3);
}

fn functions(of: &mut Generator, session: usize) {
    let number = of.number(session);
    let call = of.one(&["SELECT public.write", "SELECT * FROM public.write", "SELECT 1 WHERE 1 = public.write"]);
    of.say(session, format!("{call}({number})"));
}

/// By the database, in the middle of what it does.
fn terminated(of: &mut Generator, session: usize) {
    let (before, last) = (of.change_text(session), of.change_text(session));
    let number = of.number(session);
    let end = of.one(&["pg_terminate_backend", "pg_cancel_backend"]);
    let end = format!("INSERT INTO public.ledger_1 (change) SELECT {number} WHERE {end}(pg_backend_pid())");
    if of.chance(0.5) {
        of.step(session, vec![query(before), query(end), query(last)], 3);
    } else {
        let messages = [of.unnamed(before), of.unnamed(end), of.unnamed(last), vec![sync()]].concat();
        of.step(session, messages, 1);
    }
}

fn out(of: &mut Generator, session: usize) {
    let end = of.one(&["ROLLBACK", "COMMIT", "RESET ALL", "DISCARD ALL"]);
    of.step(session, vec![sync(), query(end)], 2);
}
