//! Texts that read differently with a session's settings, and texts that are hard to read at all.

use hansard_tests::wire::{Bound, bind, execute, extended, parse, query, sync};

use crate::conversation::Generator;

/// Encodings with a character whose last byte is a backslash, and that character.
const BACKSLASHES: &[(&str, &[u8])] =
    &[("SJIS", b"\x95\x5c"), ("BIG5", b"\xa5\x5c"), ("GBK", b"\x81\x5c"), ("LATIN1", b"\xe9"), ("UTF8", b"\xc3\xa9")];

pub(crate) fn encodings(of: &mut Generator, session: usize) {
    let (encoding, character) = BACKSLASHES[of.below(BACKSLASHES.len())];
    let set = match of.below(5) {
        0 => format!("SELECT set_config('client_encoding', '{encoding}', false)"),
        1 => format!("SET LOCAL client_encoding = '{encoding}'"),
        2 => format!("SET NAMES '{encoding}'"),
        3 => format!("BEGIN; SET client_encoding TO {encoding}; ROLLBACK"),
        _ => format!("SET client_encoding TO {encoding}"),
    };
    of.say(session, set);
    for _ in 0..=of.below(3) {
        // Sometimes the setting is another one by now, or the bytes are none of its characters.
        let character = if of.chance(0.8) { character } else { BACKSLASHES[of.below(BACKSLASHES.len())].1 };
        let number = of.number(session);
        let sql = match of.below(3) {
            0 => [b"INSERT INTO public.ledger_1 (word, change) VALUES ('", character, b"', "].concat(),
            1 => [b"SELECT '", character, b"'; INSERT INTO public.ledger_2 (change) VALUES ("].concat(),
            _ => [b"/* ", character, b" */ INSERT INTO public.ledger_3 (change) VALUES ("].concat(),
        };
        let sql = [&sql[..], format!("{number}); -- '").as_bytes()].concat();
        if of.chance(0.7) {
            of.step(session, vec![query(sql)], 1);
        } else {
            of.say(session, sql);
        }
    }
    if of.chance(0.7) {
        of.say(session, "RESET client_encoding");
    }
}

pub(crate) fn strings(of: &mut Generator, session: usize) {
    let value = of.one(&["off", "off", "on"]);
    let set = match of.below(7) {
        0 => format!("SELECT set_config('standard_conforming_strings', '{value}', false)"),
        1 => format!("SET LOCAL standard_conforming_strings = {value}"),
        2 => format!("BEGIN; SET standard_conforming_strings = {value}; ROLLBACK"),
        3 => format!("DO $$ BEGIN EXECUTE 'SET standard_conforming_strings = {value}'; END $$"),
        4 => "RESET ALL".to_owned(),
        _ => format!("SET standard_conforming_strings = {value}"),
    };
    let inside = of.chance(0.2);
    if inside {
        of.say(session, "BEGIN");
    }
    let mut messages = vec![if of.chance(0.5) { query(&set) } else { [extended(&set), sync()].concat() }];
    for _ in 0..=of.below(2) {
        let number = of.number(session);
        messages.push(query(match of.below(4) {
            // One statement, or two.
            0 => format!("SELECT '\\' , '; INSERT INTO public.ledger_1 (change) VALUES ({number}); --'"),
            1 => format!("SELECT 'a\\'; INSERT INTO public.ledger_2 (change) VALUES ({number}); --'"),
            2 => format!("SELECT E'\\' , '; INSERT INTO public.ledger_1 (change) VALUES ({number}); --'"),
            _ => format!("INSERT INTO public.ledger_3 (word, change) VALUES ('\\\\', {number})"),
        }));
    }
    let ready = messages.len();
    of.step(session, messages, ready);
    if inside {
        let end = of.one(&["COMMIT", "ROLLBACK"]);
        of.say(session, end);
    }
    if of.chance(0.6) {
        of.say(session, "RESET standard_conforming_strings");
    }
}

/// Texts and names longer than whatever somebody keeps in memory.
pub(crate) fn large(of: &mut Generator, session: usize) {
    let number = of.number(session);
    let slot = of.slot(session);
    let messages = match of.below(5) {
        0 => {
            let comment = "x".repeat(1_100_000);
            vec![query(format!("UPDATE public.rankings SET mark = {number} /* {comment} */ WHERE slot = {slot}"))]
        }
        1 => {
            let list = "1234567,".repeat(150_000);
            vec![query(format!("UPDATE public.rankings SET mark = {number} WHERE slot IN ({list}{slot})"))]
        }
        2 => {
            let rows = format!("({number}, 'word of more than a few bytes')");
            vec![query(format!(
                "/* {number} */ INSERT INTO public.ledger_1 (change, word) VALUES {}",
                vec![rows; 3].join(",")
            ))]
        }
        3 => {
            let portal = "p".repeat(400_000);
            let sql = "INSERT INTO public.ledger_2 (change) VALUES ($1)";
            let value = Bound::Text(number.to_string().into_bytes());
            vec![parse("", sql, &[20]), bind(&portal, "", &[value]), execute(&portal[..63], 0), sync()]
        }
        _ => {
            let sql = format!("/* {number} */ INSERT INTO public.ledger_3 (word, change) VALUES ($1, {number})");
            let value = Bound::Text(vec![b'w'; 900_000]);
            vec![parse("", sql, &[]), bind("", "", &[value]), execute("", 0), sync()]
        }
    };
    of.step(session, messages, 1);
    let sql = of.statement(session);
    of.say(session, sql);
}

/// What the server reads, and the newer grammar of libpg_query may not; and what nests.
pub(crate) fn unparsable(of: &mut Generator, session: usize) {
    let number = of.number(session);
    let sql = match of.below(4) {
        0 => format!("INSERT INTO public.ledger_1 AS system_user (change) VALUES ({number})"),
        1 => format!(
            "/* {number} */ INSERT INTO public.ledger_2 (change) VALUES ({}{number}{})",
            "(".repeat(900),
            ")".repeat(900)
        ),
        2 => format!(
            "WITH system_user AS (INSERT INTO public.ledger_3 (change) VALUES ({number}) RETURNING 1) TABLE system_user"
        ),
        _ => {
            let other = of.number(session);
            format!(
                "INSERT INTO public.ledger_1 AS system_user (change) VALUES ({number}); \
                 INSERT INTO public.ledger_2 (change) VALUES ({other})"
            )
        }
    };
    of.say(session, sql);
}
