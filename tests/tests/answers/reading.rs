//! Texts that read differently with a session's settings, and texts longer than what is kept of them.

use hansard_tests::wire::{bind, execute, extended, parse, query, sync};

use crate::scene::{ROWS, Scene, UPDATE, turn, update};

/// Two statements where backslashes escape, one where they do not.
fn text(word: &str) -> String {
    format!("SELECT '\\' , '; {} --'", update(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_read_as_the_session_reads_them() {
    let scene = Scene::start().await;
    let sets = [
        "SET standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SET standard_conforming_strings TO 'off'",
    ];
    for set in sets {
        // In one write, and one after the other.
        let told = scene.run(&[turn(&[query(set), query(text("x"))], 2)]).await;
        assert_eq!(told.updates, 1, "{set}");
        let sure = told.rows.iter().any(|row| row.says("committed") && row.sql.starts_with("UPDATE"));
        assert!(sure || told.rows.iter().any(|row| row.may_have_updated()), "{set}: {:#?}", told.rows);
        let told = scene.run(&[turn(&[query(set)], 1), turn(&[query(text("x"))], 1)]).await;
        assert_eq!(told.updates, 1, "{set}");
        let sure = told.rows.iter().any(|row| row.says("committed") && row.sql.starts_with("UPDATE"));
        assert!(sure || told.rows.iter().any(|row| row.may_have_updated()), "{set}: {:#?}", told.rows);
    }
    // The plain `SET` is understood, not merely suspected.
    let told = scene.run(&[turn(&[query(sets[0]), query(text("x"))], 2)]).await;
    assert!(told.rows.iter().any(|row| row.says("committed")), "{:#?}", told.rows);
    // Set and undone: it is one SELECT again.
    let undone =
        ["RESET standard_conforming_strings", "SET standard_conforming_strings = on", "RESET ALL", "DISCARD ALL"];
    for undo in undone {
        let told =
            scene.run(&[turn(&[query(sets[0])], 1), turn(&[query(undo)], 1), turn(&[query(text("x"))], 1)]).await;
        assert_eq!(told.updates, 0, "{undo}");
        assert!(!told.rows.iter().any(|row| row.says("committed")), "{undo}: {:#?}", told.rows);
    }
    let local = ["BEGIN", "SET LOCAL standard_conforming_strings = off", "ROLLBACK"].map(|sql| turn(&[query(sql)], 1));
    let told = scene.run(&[&local[..], &[turn(&[query(text("x"))], 1)]].concat()).await;
    assert_eq!((told.updates, told.rows.iter().any(|row| row.says("committed"))), (0, false), "{:#?}", told.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backslash_inside_a_character_is_none() {
    let scene = Scene::start().await;
    for (encoding, character) in [("SJIS", b"\x95\x5c"), ("BIG5", b"\xa5\x5c"), ("GBK", b"\x81\x5c")] {
        for off in [true, false] {
            let sets = format!(
                "SET client_encoding = '{encoding}'; SET standard_conforming_strings = {}",
                if off { "off" } else { "on" }
            );
            let sql = [b"SELECT '", &character[..], b"'; ", update("x").as_bytes(), b" --'"].concat();
            let told = scene.run(&[turn(&[query(sets)], 1), turn(&[query(sql)], 1)]).await;
            assert_eq!(told.updates, 1, "{encoding}");
            let said = told.rows.iter().any(|row| row.says("committed") || row.may_have_updated());
            assert!(said, "{encoding}: {:#?}", told.rows);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_of_a_text_of_more_than_a_megabyte_is_known() {
    let scene = Scene::start().await;
    let comment = "x".repeat(1_100_000);
    let list = "1234567,".repeat(150_000);
    let values = (0..60_000).map(|n| format!("({n}, 'a generated word')")).collect::<Vec<_>>().join(",");
    let texts = [
        format!("{UPDATE} /* {comment} */"),
        format!("{UPDATE} WHERE id < 1000 OR id IN ({list}1)"),
        format!("/* {comment} */ {UPDATE}"),
        format!(
            "UPDATE public.rankings AS r SET score = r.score + 1 FROM (VALUES {values}) AS v (n, word) WHERE v.n = r.id"
        ),
    ];
    for sql in texts {
        for turn in [turn(&[query(&sql)], 1), turn(&[extended(&sql), sync()], 1)] {
            let told = scene.run(&[turn]).await;
            assert_eq!((told.updates, told.rows.len()), (1, 1), "{}", &sql[..60]);
            let row = &told.rows[0];
            assert_eq!(row.rows, Some(ROWS), "{}", &sql[..60]);
            // A text that begins with more than is looked at may be anything.
            let any = row.opaque && sql.starts_with("/*");
            assert!(row.operation == "update" || any, "{}: {}", &sql[..60], row.operation);
            assert!(row.says("committed") || row.may_have_updated(), "{}: {:?}", &sql[..60], row.touches);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_prepared_before_many_megabytes_of_others_is_known() {
    let scene = Scene::start().await;
    let mut turns = vec![turn(&[parse("first", update("first"), &[]), sync()], 1)];
    for other in 0..20 {
        let sql = format!("SELECT {other} /* {} */", "x".repeat(900_000));
        turns.push(turn(&[parse(format!("s{other}"), sql, &[]), sync()], 1));
    }
    turns.push(turn(&[bind("", "first", &[]), execute("", 0), sync()], 1));
    turns.push(turn(&[query("EXECUTE first /* by sql */")], 1));
    let told = scene.run(&turns).await;
    assert_eq!(told.updates, 2);
    let said = told.rows.iter().filter(|row| row.says("committed") || row.may_have_updated()).count();
    assert_eq!(said, 2, "{:#?}", told.rows.iter().map(|row| (&row.operation, &row.touches)).collect::<Vec<_>>());
}
