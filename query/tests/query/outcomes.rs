//! Outcomes that other rows tell.

use hansard_query::Engine;
use hansard_record::{Certainty, Outcome, Rows, StatementRow, Status, TouchRow, TransactionKind, TransactionRow};
use uuid::Uuid;

use crate::fixture::{Fixture, Session, at, column};

const ONE: Uuid = Uuid::from_u128(0x019a_a000_0000_7000_8000_0000_0000_0101);
const TWO: Uuid = Uuid::from_u128(0x019a_a000_0000_7000_8000_0000_0000_0102);

/// A statement of a session's transaction 1 that began at 03:12, some seconds in.
fn statement(session_id: Uuid, no: u64) -> StatementRow {
    let started_at = at("03:12:00") + i64::try_from(no).unwrap() * 1_000_000_000;
    StatementRow {
        session_id,
        statement_no: no,
        target: "ranking".into(),
        job: "nightly".into(),
        subject: "svc".into(),
        issuer: "ci".into(),
        operation: "update",
        sql: format!("UPDATE t SET n = {no}").into(),
        parameters: None,
        fingerprint: None,
        started_at,
        finished_at: Some(started_at + 1000),
        rows: Some(1),
        sqlstate: None,
        error: None,
        verdict: "allow",
        transaction_id: 1,
        transaction_outcome: None,
        committed_at: None,
        outcome_reason: None,
        opaque: None,
        first_seq: no,
        last_seq: no,
        truncated: false,
        omitted: None,
        status: Status::Done,
        executed: None,
        severity: None,
        details: None,
        notices: None,
    }
}

fn touch(of: &StatementRow, relation: &str) -> TouchRow {
    TouchRow {
        relation: relation.into(),
        operation: of.operation,
        at: of.started_at,
        committed_at: of.committed_at,
        job: of.job.clone(),
        subject: of.subject.clone(),
        session_id: of.session_id,
        statement_no: of.statement_no,
        target: of.target.clone(),
        rows: of.rows,
        transaction_id: of.transaction_id,
        transaction_outcome: of.transaction_outcome,
        outcome_reason: of.outcome_reason.clone(),
        columns: [].into(),
        via: "direct",
        certainty: Certainty::Certain,
        reason: None,
    }
}

/// The end of a session's transaction 1, or of a part of it.
fn end(
    session_id: Uuid,
    kind: TransactionKind,
    statements: (u64, u64),
    outcome: Outcome,
    clock: &str,
) -> TransactionRow {
    TransactionRow {
        session_id,
        transaction_id: 1,
        target: "ranking".into(),
        database: "ranking".into(),
        kind,
        first_statement: statements.0,
        last_statement: statements.1,
        outcome,
        reason: None,
        ended_at: at(clock),
        committed_at: (outcome == Outcome::Committed).then(|| at(clock)),
        gid: None,
        started_at: None,
    }
}

fn whole(session_id: Uuid, outcome: Outcome, clock: &str) -> TransactionRow {
    end(session_id, TransactionKind::Transaction, (1, 9), outcome, clock)
}

fn named(gid: &str, row: TransactionRow) -> TransactionRow {
    TransactionRow { gid: Some(gid.into()), ..row }
}

fn resolution(gid: &str, outcome: Outcome, clock: &str) -> TransactionRow {
    named(gid, end(TWO, TransactionKind::Resolution, (1, 1), outcome, clock))
}

fn statements(rows: impl IntoIterator<Item = StatementRow>) -> Rows {
    let statements: Vec<StatementRow> = rows.into_iter().collect();
    let touches = statements.iter().map(|row| touch(row, "public.t")).collect();
    Rows { statements, touches, ..Rows::default() }
}

fn ends(transactions: Vec<TransactionRow>) -> Rows {
    Rows { transactions, ..Rows::default() }
}

/// Number, outcome, time of the commit and reason of each statement.
async fn told(engine: &Engine) -> Vec<String> {
    let of = async |table: &str| -> Vec<String> {
        let columns = ["statement_no", "transaction_outcome", "committed_at", "outcome_reason"];
        let sql = format!("SELECT {} FROM {table} ORDER BY session_id, statement_no", columns.join(", "));
        let answer = engine.sql(&sql).await.unwrap();
        let columns = columns.map(|name| column(&answer, name));
        let line = |row: usize| columns.each_ref().map(|values| values[row].as_str()).join(" ");
        (0..answer.rows()).map(|row| line(row).replace("2026-11-22T", "").replace(".000000000Z", "")).collect()
    };
    let statements = of("statements").await;
    assert_eq!(statements, of("touches").await);
    // A filter by outcome takes no row away that another keeps.
    let mut split = 0;
    for outcome in ["committed", "rolled back", "open", "unknown"] {
        let sql = format!("SELECT count(*) AS n FROM statements WHERE transaction_outcome = '{outcome}'");
        let count: usize = column(&engine.sql(&sql).await.unwrap(), "n")[0].parse().unwrap();
        assert_eq!(count, statements.iter().filter(|line| line.contains(&format!(" {outcome} "))).count(), "{outcome}");
        split += count;
    }
    assert_eq!(split, statements.len());
    statements
}

#[tokio::test]
async fn an_outcome_in_a_later_file_is_that_of_the_statement() {
    let fixture = Fixture::new();
    let own = StatementRow { transaction_outcome: Some(Outcome::RolledBack), ..statement(ONE, 2) };
    fixture.put(statements([statement(ONE, 1), own, statement(TWO, 3)])).await;
    let engine = fixture.engine();
    assert_eq!(told(&engine).await, ["1 open null null", "2 rolled back null null", "3 open null null"]);
    fixture.put(ends(vec![whole(ONE, Outcome::Committed, "05:00:00")])).await;
    let lost =
        TransactionRow { reason: Some("its answer never came".into()), ..whole(TWO, Outcome::Unknown, "05:00:00") };
    fixture.put(ends(vec![lost])).await;
    assert_eq!(
        told(&engine).await,
        ["1 committed 05:00:00 null", "2 rolled back null null", "3 unknown null its answer never came"]
    );
    // One session's, and what comes with other columns and an order.
    let sql =
        format!("SELECT sql, transaction_outcome FROM statements WHERE session_id = '{ONE}' ORDER BY started_at DESC");
    let answer = engine.sql(&sql).await.unwrap();
    assert_eq!(column(&answer, "transaction_outcome"), ["rolled back", "committed"]);
    let limited = engine.sql("SELECT transaction_outcome FROM statements LIMIT 2").await.unwrap();
    assert!(limited.rows() == 2 && !column(&limited, "transaction_outcome").contains(&"open".to_owned()));
}

#[tokio::test]
async fn an_outcome_in_the_hot_end_is_that_of_a_statement_in_a_file() {
    let fixture = Fixture::new();
    let mut session = Session::open(&fixture, 1, "nightly", "03:12:00").await;
    session.query("03:12:30", "BEGIN", &[], "BEGIN").await;
    let early = |no| StatementRow { session_id: session.id, ..statement(ONE, no) };
    fixture.put(statements([early(50)])).await;
    let engine = fixture.engine();
    let of = async || {
        let answer =
            engine.sql("SELECT transaction_outcome, committed_at FROM statements WHERE statement_no = 50").await;
        let answer = answer.unwrap();
        (column(&answer, "transaction_outcome"), column(&answer, "committed_at"))
    };
    assert_eq!(of().await.0, ["open"]);
    session.query("03:13:00", "COMMIT", &[], "COMMIT").await;
    let committed = (vec!["committed".to_owned()], vec!["2026-11-22T03:13:00.002000000Z".to_owned()]);
    assert_eq!(of().await, committed);
    fixture.flush().await;
    assert_eq!(of().await, committed);
}

#[tokio::test]
async fn ranges_of_savepoints_that_overlap_undo_without_multiplying() {
    let fixture = Fixture::new();
    let kept = StatementRow {
        transaction_outcome: Some(Outcome::Committed),
        committed_at: Some(at("04:00:00")),
        ..statement(ONE, 5)
    };
    fixture.put(statements((1..=8).map(|no| if no == 5 { kept.clone() } else { statement(ONE, no) }))).await;
    let undone = |first, last| end(ONE, TransactionKind::Savepoint, (first, last), Outcome::RolledBack, "03:30:00");
    fixture.put(ends(vec![undone(2, 6), undone(3, 4), undone(4, 7)])).await;
    fixture.put(ends(vec![undone(3, 3), whole(ONE, Outcome::Committed, "04:00:00")])).await;
    let committed = |no: u64| format!("{no} committed 04:00:00 null");
    let expected: Vec<String> = (1..=8)
        .map(|no| if [1, 5, 8].contains(&no) { committed(no) } else { format!("{no} rolled back null null") })
        .collect();
    assert_eq!(told(&fixture.engine()).await, expected);
}

#[tokio::test]
async fn what_was_prepared_is_what_whichever_session_made_of_it() {
    let fixture = Fixture::new();
    fixture.put(statements([statement(ONE, 1)])).await;
    fixture.put(ends(vec![named("g", whole(ONE, Outcome::Prepared, "03:20:00"))])).await;
    // Of an earlier transaction of that name, and of one elsewhere.
    let elsewhere = TransactionRow { target: "elsewhere".into(), ..resolution("g", Outcome::RolledBack, "03:21:00") };
    fixture.put(ends(vec![resolution("g", Outcome::RolledBack, "03:10:00"), elsewhere])).await;
    let engine = fixture.engine();
    let unresolved = "1 unknown null prepared as g, and not resolved in the record";
    assert_eq!(told(&engine).await, [unresolved]);
    let transactions = "SELECT kind, outcome, committed_at, reason, gid FROM transactions WHERE kind = 'transaction'";
    let answer = engine.sql(transactions).await.unwrap();
    assert_eq!(
        (column(&answer, "outcome"), column(&answer, "gid")),
        (vec!["unknown".to_owned()], vec!["g".to_owned()])
    );

    fixture
        .put(ends(vec![
            resolution("g", Outcome::Committed, "06:00:00"),
            resolution("g", Outcome::RolledBack, "07:00:00"),
        ]))
        .await;
    assert_eq!(told(&engine).await, ["1 committed 06:00:00 null"]);
    let answer = engine.sql(transactions).await.unwrap();
    assert_eq!(
        (column(&answer, "outcome"), column(&answer, "committed_at")),
        (vec!["committed".to_owned()], vec!["2026-11-22T06:00:00.000000000Z".to_owned()])
    );
    // Asked for one session alone, whose rows do not hold the resolution.
    let steps = engine.session_steps(ONE).await.unwrap();
    assert_eq!(column(&steps, "transaction_outcome"), ["committed"]);
}

#[tokio::test]
async fn what_was_prepared_under_a_name_that_was_given_again_is_unknown() {
    let fixture = Fixture::new();
    fixture.put(statements([statement(ONE, 1)])).await;
    fixture.put(ends(vec![named("g", whole(ONE, Outcome::Prepared, "03:20:00"))])).await;
    fixture.put(ends(vec![resolution("g", Outcome::Committed, "06:00:00")])).await;
    let engine = fixture.engine();
    assert_eq!(told(&engine).await, ["1 committed 06:00:00 null"]);
    // Of another session, whose rows nobody asks for.
    fixture.put(ends(vec![named("g", whole(TWO, Outcome::Prepared, "05:00:00"))])).await;
    let reason = "prepared as g, which was prepared again before it was resolved in the record";
    assert_eq!(told(&engine).await, [format!("1 unknown null {reason}")]);
    let answer = engine.sql("SELECT session_id, outcome FROM transactions WHERE gid = 'g' ORDER BY ended_at").await;
    assert_eq!(column(&answer.unwrap(), "outcome"), ["unknown", "committed", "committed"]);
    let steps = engine.session_steps(ONE).await.unwrap();
    assert_eq!(column(&steps, "transaction_outcome"), ["unknown"]);
}

#[tokio::test]
async fn rows_that_have_their_outcomes_are_read_as_ever() {
    let fixture = Fixture::new();
    let own = |no| StatementRow { transaction_outcome: Some(Outcome::Committed), ..statement(ONE, no) };
    fixture
        .put(Rows { transactions: vec![whole(ONE, Outcome::Committed, "03:20:00")], ..statements([own(1), own(2)]) })
        .await;
    let engine = fixture.engine();
    let plan = async |sql: &str| {
        column(&engine.sql(&format!("EXPLAIN FORMAT INDENT {sql}")).await.unwrap(), "plan").join("\n")
    };
    let sql = "SELECT sql FROM statements WHERE transaction_outcome = 'committed' AND statement_no > 1";
    let settled = plan(sql).await;
    assert!(!settled.contains("OutcomeExec") && !settled.contains("transactions/v1"), "{settled}");

    fixture.put(statements([statement(ONE, 3)])).await;
    fixture.put(ends(vec![whole(TWO, Outcome::Committed, "03:20:00")])).await;
    let mixed = plan(sql).await;
    assert!(mixed.contains("OutcomeExec: statements") && mixed.contains("transactions/v1"), "{mixed}");
    // Of the facts, those of other sessions stay where they are. The file that needs none is read beside it; what does not ask for outcomes chooses among the others, too.
    assert_eq!((mixed.matches("transactions/v1").count(), mixed.matches("statements/v1").count()), (1, 3), "{mixed}");
    assert!(mixed.contains(" IS NULL) AND statement_no@1 > 1, pruning_predicate="), "{mixed}");
    let mut found = column(&engine.sql(sql).await.unwrap(), "sql");
    found.sort();
    assert_eq!(found, ["UPDATE t SET n = 2", "UPDATE t SET n = 3"]);
    // Who does not ask for outcomes needs none.
    let counted = plan("SELECT statement_no FROM statements WHERE statement_no > 1").await;
    assert!(!counted.contains("OutcomeExec"), "{counted}");
}

#[tokio::test]
async fn what_may_have_updated_comes_behind_what_did_with_its_reason() {
    let fixture = Fixture::new();
    let row = |no, outcome| StatementRow { transaction_outcome: outcome, ..statement(ONE, no) };
    let touched = |no, outcome, relation: &str| touch(&row(no, outcome), relation);
    let (unknown, undone, done) = (Some(Outcome::Unknown), Some(Outcome::RolledBack), Some(Outcome::Committed));
    let mut rows = Rows { statements: (1..=9).map(|no| row(no, done)).collect(), ..Rows::default() };
    // A DO block may commit and then fail.
    rows.statements[0].sqlstate = Some("P0001".into());
    let lost =
        TouchRow { outcome_reason: Some("it may have committed inside".into()), ..touched(1, unknown, "public.t") };
    let feared = |no, operation: &'static str, relation: &str, reason: Option<&str>| TouchRow {
        operation,
        certainty: Certainty::Possible,
        reason: reason.map(Into::into),
        ..touched(no, done, relation)
    };
    rows.touches = vec![
        lost,
        touched(2, done, "public.t"),
        touched(3, None, "public.t"),
        feared(4, "opaque", "?", Some("longer than the parser takes")),
        feared(5, "update", "public.t", Some("found by the scanner")),
        touched(6, done, "?.t"),
        TouchRow { operation: "do", ..touched(7, undone, "?") },
        feared(8, "insert", "?", None),
        touched(9, done, "public.other"),
    ];
    fixture.put(rows).await;
    let engine = fixture.engine();
    let answer = engine.who_updated("t", "2026-11-22T03:12Z", std::time::Duration::ZERO).await.unwrap();
    let lines: Vec<String> = column(&answer, "statement_no")
        .iter()
        .zip(column(&answer, "certainty").iter().zip(column(&answer, "reason")))
        .map(|(no, (certainty, reason))| format!("{no} {certainty} {reason}"))
        .collect();
    assert_eq!(
        lines,
        [
            "2 certain null",
            "3 certain null",
            "1 possible it may have committed inside",
            "4 possible longer than the parser takes",
            "5 possible found by the scanner",
            "6 possible the relation's schema is not known",
        ]
    );
    let touched = engine.who_touched("t", None, None, Some("update")).await.unwrap();
    assert_eq!(column(&touched, "statement_no"), ["1", "2", "3", "4", "5", "6", "7"]);
    let inserted = engine.who_touched("t", None, None, Some("insert")).await.unwrap();
    assert_eq!(column(&inserted, "statement_no"), ["4", "7", "8"]);
}
