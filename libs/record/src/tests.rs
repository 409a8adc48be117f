//! Sessions as events, and the rows that they become.

use std::collections::BTreeSet;

use hansard_schemas::events::{
    Authenticated, CHAIN_START, Compression, Direction, FrameRun, Gap, Part, Payload, ProxyStarted, SessionClosed,
    SessionOpened, Tls, extend_chain,
};
use hansard_schemas::lake::Table;
use proptest::prelude::*;

use super::*;

mod catalog_rows;
mod catalogs;
mod leases;
mod names;
mod omissions;
mod reports;
mod secrets;

const SESSION: Uuid = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001);

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn query(sql: &str) -> (Direction, Vec<u8>) {
    (Direction::Frontend, frame(b'Q', &[sql.as_bytes(), b"\0"].concat()))
}

fn done(tag: &str) -> (Direction, Vec<u8>) {
    (Direction::Backend, frame(b'C', &[tag.as_bytes(), b"\0"].concat()))
}

fn failed(sqlstate: &str) -> (Direction, Vec<u8>) {
    // Where the text could not be read, the server says at which place.
    let position = if sqlstate == "42601" { "P1\0" } else { "" };
    let body = format!("SERROR\0VERROR\0C{sqlstate}\0Mno such thing\0{position}\0");
    (Direction::Backend, frame(b'E', body.as_bytes()))
}

fn ready(status: u8) -> (Direction, Vec<u8>) {
    (Direction::Backend, frame(b'Z', &[status]))
}

/// A simple query that ends well, outside of a transaction.
fn simple(sql: &str, tags: &[&str]) -> Vec<(Direction, Vec<u8>)> {
    within(sql, tags, b'I')
}

fn within(sql: &str, tags: &[&str], status: u8) -> Vec<(Direction, Vec<u8>)> {
    [query(sql)].into_iter().chain(tags.iter().map(|tag| done(tag))).chain([ready(status)]).collect()
}

fn event(at: u64, event_no: u64, kind: Kind) -> Event {
    Event { at, event_no, kind: Some(kind) }
}

fn run(at: u64, first_seq: u64, frames: &[(Direction, Vec<u8>)]) -> Event {
    let kind = Kind::Frames(FrameRun {
        direction: frames[0].0 as i32,
        first_seq,
        count: u32::try_from(frames.len()).unwrap(),
        frames: frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect(),
        part: Part::Whole as i32,
        tag: None,
        ..FrameRun::default()
    });
    event(at, 0, kind)
}

fn block(session: Uuid, target: &str, events: Vec<Event>) -> Block {
    let payload = Payload { events }.encode_to_vec();
    Block {
        session_id: session.as_bytes().to_vec(),
        target: target.to_owned(),
        first_seq: 1,
        last_seq: 0,
        first_event: 1,
        last_event: 0,
        chain_head: Vec::new(),
        compression: Compression::None as i32,
        payload_length: payload.len() as u64,
        payload,
    }
}

fn opening() -> Vec<Event> {
    let opened = SessionOpened {
        client_addr: "127.0.0.1:5".into(),
        db_user: "app".into(),
        database: "ranking".into(),
        node: "n".into(),
        instance: "i".into(),
        ..SessionOpened::default()
    };
    let authenticated = Authenticated {
        issuer: "ci".into(),
        subject: "s".into(),
        job: "nightly".into(),
        search_path: vec!["public".into()],
        ..Authenticated::default()
    };
    vec![event(100, 1, Kind::SessionOpened(opened)), event(110, 2, Kind::Authenticated(authenticated))]
}

fn closing(event_no: u64, frames: u64) -> Event {
    event(
        90_000,
        event_no,
        Kind::SessionClosed(SessionClosed { reason: "closed by job".into(), frames, ..SessionClosed::default() }),
    )
}

/// A whole session: one event a frame, 10 ns apart.
fn session(frames: &[(Direction, Vec<u8>)]) -> Vec<Event> {
    let mut events = opening();
    events.push(run(200, 1, &[ready(b'I')]));
    for (seq, frame) in (2..).zip(frames) {
        events.push(run(200 + seq * 10, seq, std::slice::from_ref(frame)));
    }
    events.push(closing(3, frames.len() as u64 + 1));
    events
}

fn restored(saved: &[SessionState]) -> Projector {
    Projector::restore(0, saved.iter().map(|session| (session.session_id, &session.state[..]))).unwrap()
}

fn project(blocks: &[Block]) -> Rows {
    let mut rows = Rows::default();
    let mut projector = Projector::default();
    for block in blocks {
        projector.apply(block, &mut rows);
    }
    rows
}

/// Every event in a block of its own, and the state saved and restored after each.
fn interrupted(events: &[Event]) -> Rows {
    let mut rows = Rows::default();
    let mut projector = Projector::default();
    for event in events {
        projector.apply(&block(SESSION, "ranking", vec![event.clone()]), &mut rows);
        let saved = projector.take_changes().sessions;
        projector = restored(&saved);
    }
    rows
}

fn all(frames: &[(Direction, Vec<u8>)]) -> Rows {
    project(&[block(SESSION, "ranking", session(frames))])
}

/// Outcomes as the rows of transactions tell them, where statements left without.
fn resolved(mut rows: Rows) -> Rows {
    let within = |row: &TransactionRow, kind, transaction, statement| {
        row.kind == kind
            && row.transaction_id == transaction
            && (kind == TransactionKind::Transaction || (row.first_statement..=row.last_statement).contains(&statement))
    };
    let find =
        |kind, transaction, statement| rows.transactions.iter().find(|row| within(row, kind, transaction, statement));
    let outcome = |own: Option<Outcome>, transaction, statement| match own {
        Some(own) => Some((own, None)),
        None if find(TransactionKind::Savepoint, transaction, statement).is_some() => Some((Outcome::RolledBack, None)),
        None => find(TransactionKind::Transaction, transaction, statement).map(|row| (row.outcome, row.committed_at)),
    };
    for row in &mut rows.statements {
        if let Some((found, at)) = outcome(row.transaction_outcome, row.transaction_id, row.statement_no) {
            row.committed_at = row.committed_at.or(at);
            row.transaction_outcome = Some(found);
        }
    }
    for row in &mut rows.touches {
        if let Some((found, at)) = outcome(row.transaction_outcome, row.transaction_id, row.statement_no) {
            row.committed_at = row.committed_at.or(at);
            row.transaction_outcome = Some(found);
        }
    }
    rows
}

/// `no operation outcome`, and `relation operation rows` of what it touched, with a question mark where that is only
/// possible.
fn told(rows: &Rows) -> Vec<String> {
    let rows = resolved(rows.clone());
    let mut told = Vec::new();
    let mut statements: Vec<&StatementRow> = rows.statements.iter().collect();
    statements.sort_by_key(|row| row.statement_no);
    for row in statements {
        let mut line = format!(
            "{} {} {}",
            row.statement_no,
            row.operation,
            row.transaction_outcome.map_or("open", Outcome::as_str)
        );
        for touch in rows.touches.iter().filter(|touch| touch.statement_no == row.statement_no) {
            let rows = touch.rows.map_or("-".to_owned(), |rows| rows.to_string());
            let certainty = if touch.certainty == Certainty::Certain { "" } else { " possibly" };
            line += &format!(", {} {} {rows}{certainty}", touch.relation, touch.operation);
            assert_eq!(touch.transaction_outcome, row.transaction_outcome, "{line}");
            assert_eq!(touch.reason.is_some(), touch.certainty == Certainty::Possible, "{line}");
        }
        told.push(line);
    }
    told
}

#[test]
fn a_session_says_how_it_was_encrypted() {
    let certificate =
        hansard_schemas::events::ClientCertificate { subject: "CN=nightly".into(), sha256: vec![0xab; 32] };
    let client = ClientCertificate { subject: "CN=nightly".into(), sha256: "ab".repeat(32) };
    for (shown, client) in [(None, None), (Some(certificate), Some(client))] {
        let mut events = session(&[]);
        let Some(Kind::SessionOpened(opened)) = &mut events[0].kind else { panic!("{events:?}") };
        let tls = Tls { version: "TLSv1.3".into(), cipher: "TLS_X".into(), client_certificate: shown };
        opened.tls = Some(tls);
        let rows = interrupted(&events);
        let found = rows.sessions.last().unwrap().tls.as_ref().unwrap();
        assert_eq!(*found, Encryption { version: "TLSv1.3".into(), cipher: "TLS_X".into(), client });
        let batch = rows.batch(Table::Sessions);
        for column in ["tls_version", "tls_cipher"] {
            assert_eq!(batch.column_by_name(column).unwrap().null_count(), 0, "{column}");
        }
        for column in ["client_dn", "client_certificate_sha256"] {
            let absent = if found.client.is_some() { 0 } else { batch.num_rows() };
            assert_eq!(batch.column_by_name(column).unwrap().null_count(), absent, "{column}");
        }
    }
    assert!(all(&[]).sessions.iter().all(|session| session.tls.is_none()));
}

#[test]
fn a_session_becomes_rows() {
    let frames = [
        simple("update rankings set score = 1 where id = 2; select * from s.t", &["UPDATE 3", "SELECT 7"]),
        vec![query("nonsense"), failed("42601"), ready(b'I')],
        vec![query("update missing set a = 1"), failed("42P01"), ready(b'I')],
        within("begin; update rankings set score = 2", &["BEGIN", "UPDATE 4"], b'T'),
        simple("rollback", &["ROLLBACK"]),
    ]
    .concat();
    let rows = all(&frames);
    assert_eq!(
        told(&rows),
        [
            "1 update committed, public.rankings update 3",
            "2 select committed, s.t select 7",
            "3 opaque rolled back",
            "4 update rolled back, public.missing update -",
            "5 transaction rolled back",
            "6 update rolled back, public.rankings update 4",
            "7 transaction rolled back",
        ]
    );
    let first = rows.statements.iter().find(|row| row.statement_no == 1).unwrap();
    assert_eq!((&*first.sql, first.rows), ("update rankings set score = 1 where id = 2", Some(3)));
    assert_eq!((&*first.job, &*first.subject, &*first.issuer, first.transaction_id), ("nightly", "s", "ci", 1));
    // Q is frame 2, its tags 3 and 4, at 200 + 10 * seq; the commit comes with the last tag.
    assert_eq!((first.first_seq, first.last_seq, first.started_at, first.finished_at), (2, 3, 220, Some(230)));
    assert_eq!(first.committed_at, Some(240));
    let second = rows.statements.iter().find(|row| row.statement_no == 2).unwrap();
    assert_eq!((second.started_at, second.finished_at), (230, Some(240)));
    let error = rows.statements.iter().find(|row| row.statement_no == 4).unwrap();
    assert_eq!((error.sqlstate.as_deref(), error.error.as_deref()), (Some("42P01"), Some("no such thing")));
    assert_eq!(rows.touches.iter().find(|touch| touch.statement_no == 1).unwrap().columns, ["score".into()].into());
    let [session] = &rows.sessions[..] else { panic!("{:?}", rows.sessions) };
    assert!(session.complete && session.gaps.is_none());
    assert_eq!(
        (session.statements, session.frames, session.close_reason.as_deref()),
        (7, frames.len() as u64 + 1, Some("closed by job"))
    );
    let chain =
        self::session(&frames).iter().fold(CHAIN_START, |head, event| extend_chain(&head, &event.encode_to_vec()));
    assert_eq!(session.chain_head, chain);
    assert_eq!(
        rows.frames.iter().map(|row| row.seq).collect::<Vec<_>>(),
        (1..=frames.len() as u64 + 1).collect::<Vec<_>>()
    );
    for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Catalog | Table::Leases)) {
        assert!(rows.batch(table).num_rows() > 0);
    }
}

#[test]
fn savepoints_take_their_statements_back() {
    let frames = simple(
        "begin; update a set x = 1; savepoint s; update b set x = 1; set search_path to z; rollback to s; update c set x = 1; commit",
        &["BEGIN", "UPDATE 1", "SAVEPOINT", "UPDATE 1", "SET", "ROLLBACK", "UPDATE 1", "COMMIT"],
    );
    let told = told(&all(&frames));
    assert_eq!(told[1], "2 update committed, public.a update 1");
    assert_eq!(told[3], "4 update rolled back, public.b update 1");
    assert_eq!(told[6], "7 update committed, public.c update 1");
    let at_once = simple("begin; savepoint s; rollback to s; commit", &["BEGIN", "SAVEPOINT", "ROLLBACK", "COMMIT"]);
    assert!(self::told(&all(&at_once)).iter().all(|line| line.ends_with("transaction committed")));
}

#[test]
fn what_has_not_ended_is_open() {
    let mut events = session(&within("begin; update t set a = 1", &["BEGIN", "UPDATE 2"], b'T'));
    events.pop();
    let (seq, frame) = (6, query("select 1 from u"));
    events.push(run(999, seq, &[frame]));
    let mut projector = Projector::default();
    let mut rows = Rows::default();
    projector.apply(&block(SESSION, "ranking", events), &mut rows);
    assert!(rows.sessions.is_empty());
    assert_eq!(told(&rows), ["1 transaction open", "2 update open, public.t update 2"]);
    let mut flying = Rows::default();
    projector.in_flight(&mut flying);
    assert_eq!(told(&flying), ["3 select open, public.u select -"]);
    assert!(!flying.sessions[0].complete && flying.sessions[0].closed_at.is_none());
    // The same from the saved state.
    let mut restored = restored(&projector.take_changes().sessions);
    let mut again = Rows::default();
    restored.in_flight(&mut again);
    assert_eq!((again.statements, again.sessions), (flying.statements, flying.sessions));
    // Gone without a word.
    projector.abandon(5000, "gone", &mut rows);
    assert_eq!(
        told(&rows),
        ["1 transaction unknown", "2 update unknown, public.t update 2", "3 select unknown, public.u select -"]
    );
    assert_eq!((rows.sessions[0].close_reason.as_deref(), rows.sessions[0].complete), (Some("gone"), false));
}

#[test]
fn the_end_of_a_transaction_says_when_it_began() {
    let mut frames = within("begin; update t set a = 1", &["BEGIN", "UPDATE 2"], b'T');
    frames.extend(within("commit", &["COMMIT"], b'I'));
    frames.extend(within("update u set a = 1", &["UPDATE 1"], b'I'));
    let events = session(&frames);
    for rows in [project(&[block(SESSION, "ranking", events.clone())]), interrupted(&events)] {
        let starts =
            |first: u64| rows.statements.iter().find(|row| row.statement_no == first).map(|row| row.started_at);
        let found: Vec<_> = rows.transactions.iter().map(|row| (row.first_statement, row.started_at)).collect();
        assert_eq!(found, [(1, starts(1)), (4, starts(4))]);
        assert!(found.iter().all(|(_, started_at)| started_at.is_some()));
    }
}

#[test]
fn what_hansard_says_is_no_answer_of_the_database() {
    let mut events = session(&[query("update t set a = 1"), failed("57P01")]);
    let of_database = project(&[block(SESSION, "ranking", events.clone())]);
    assert_eq!(told(&of_database), ["1 update rolled back, public.t update -"]);
    let at = events.len() - 2;
    let Some(Kind::Frames(run)) = &mut events[at].kind else { panic!("{events:?}") };
    run.origin = hansard_schemas::events::Origin::Hansard as i32;
    let of_hansard = project(&[block(SESSION, "ranking", events)]);
    assert_eq!(told(&of_hansard), ["1 update unknown, public.t update -"]);
    assert_eq!(of_hansard.frames.len(), of_database.frames.len());
}

#[test]
fn holes_become_gaps() {
    let mut events = session(&[simple("select 1", &["SELECT 1"]), simple("select 2", &["SELECT 1"])].concat());
    events.remove(4);
    // Whose answers follow is not known before the proxy says that all is answered: here, by the first ReadyForQuery.
    let unsettled = project(&[block(SESSION, "ranking", events.clone())]);
    assert_eq!(told(&unsettled), ["1 select unknown", "2 select unknown, ? opaque - possibly"]);
    let first = |event: &&mut Event| matches!(&event.kind, Some(Kind::Frames(run)) if run.first_seq == 4);
    let Some(Kind::Frames(run)) = &mut events.iter_mut().find(first).unwrap().kind else { unreachable!() };
    assert_eq!(run.frames[0], b'Z');
    run.settled = true;
    let rows = project(&[block(SESSION, "ranking", events)]);
    let [ended] = &rows.sessions[..] else { panic!() };
    assert!(!ended.complete);
    assert_eq!(ended.gaps.as_deref(), Some(r#"[{"after_seq":2,"frames":1,"reason":"frames are missing"}]"#));
    assert_eq!(told(&rows), ["1 select unknown", "2 select committed"]);

    let mut events = session(&simple("select 1", &["SELECT 1"]));
    let at = events.len() - 1;
    events.insert(at, event(500, 3, Kind::Gap(Gap { reason: "log full".into(), frames: 2 })));
    events[at + 1] = closing(4, 6);
    let rows = project(&[block(SESSION, "ranking", events)]);
    assert_eq!(rows.sessions[0].gaps.as_deref(), Some(r#"[{"after_seq":4,"frames":2,"reason":"log full"}]"#));
}

#[test]
fn an_unreadable_block_is_a_gap() {
    let events = session(&simple("select 1", &["SELECT 1"]));
    let (head, tail) = events.split_at(4);
    let (middle, tail) = tail.split_at(1);
    let mut damaged = block(SESSION, "ranking", middle.to_vec());
    (damaged.first_seq, damaged.last_seq, damaged.last_event, damaged.payload_length) = (3, 3, 2, 7);
    let rows = project(&[block(SESSION, "ranking", head.to_vec()), damaged, block(SESSION, "ranking", tail.to_vec())]);
    let [session] = &rows.sessions[..] else { panic!() };
    assert!(session.gaps.as_deref().unwrap().contains("its header says 7") && !session.complete);
    assert_eq!(rows.frames.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 4]);
}

#[test]
fn a_new_instance_ends_what_the_former_left_open() {
    let mut events = session(&simple("select 1", &["SELECT 1"]));
    events.pop();
    let process = |at, instance: &str| {
        let started = ProxyStarted { node: "n".into(), instance: instance.into(), ..ProxyStarted::default() };
        block(Uuid::from_u128(5), "", vec![event(at, 1, Kind::ProxyStarted(started))])
    };
    let before = [block(SESSION, "ranking", events)];
    for (process, ends) in [(process(5000, "j"), 1), (process(5000, "i"), 0), (process(50, "h"), 0)] {
        let rows = project(&[&before[..], &[process]].concat());
        assert_eq!(rows.sessions.len(), ends);
        assert!(
            rows.sessions
                .iter()
                .all(|session| session.close_reason.as_deref() == Some("proxy ended without closing")
                    && !session.complete)
        );
    }
}

#[test]
fn an_ended_session_stays_ended_and_is_forgotten_in_time() {
    let whole = block(SESSION, "ranking", session(&simple("select 1", &["SELECT 1"])));
    let mut projector = Projector::default();
    let mut rows = Rows::default();
    projector.apply(&whole, &mut rows);
    let changes = projector.take_changes();
    assert_eq!((changes.sessions.len(), changes.ended.len(), projector.open_sessions()), (1, 0, 0));
    let mut projector = restored(&changes.sessions);
    let mut again = Rows::default();
    projector.apply(&whole, &mut again);
    assert!(again.is_empty());
    let later = u64::try_from(REMEMBERED).unwrap() + 1_000_000;
    projector.apply(
        &block(Uuid::from_u128(9), "ranking", vec![event(later, 1, Kind::SessionOpened(SessionOpened::default()))]),
        &mut again,
    );
    assert_eq!(projector.take_changes().ended, [SESSION]);
}

#[test]
fn states_of_another_version_are_refused() {
    for state in [&[][..], &[9, 1, 2], &[1, 1, 2]] {
        assert!(Projector::restore(0, [(SESSION, state)]).is_err());
    }
}

/// Frames in order, with their times or without.
fn frames_of(rows: &Rows, timeless: bool) -> Vec<FrameRow> {
    let mut frames: Vec<FrameRow> = rows.frames.iter().collect();
    frames.sort_by_key(|row| row.seq);
    frames.iter_mut().filter(|_| timeless).for_each(|row| row.at = 0);
    frames
}

/// Rows in order, without what depends on how events were cut.
fn comparable(mut rows: Rows) -> Rows {
    rows = resolved(rows);
    rows.transactions.sort_by_key(|row| (row.transaction_id, row.kind.as_str(), row.first_statement));
    rows.statements.sort_by_key(|row| row.statement_no);
    rows.touches.sort_by_key(|row| (row.statement_no, row.relation.clone(), row.operation));
    rows.sessions.iter_mut().for_each(|row| row.chain_head = CHAIN_START);
    rows
}

proptest! {
    /// Runs cut anywhere, blocks cut anywhere, sent twice with any overlap, states saved anywhere: the same rows.
    #[test]
    fn overlaps_and_restarts_change_nothing(
        overlaps in proptest::collection::vec((0usize..40, 0usize..40), 1..12),
        saves in proptest::collection::btree_set(0usize..60, 0..8),
        joins in proptest::collection::vec(1usize..4, 40),
    ) {
        let frames = [
            simple("prepare p as update t set a = $1; create temp table x (a int)", &["PREPARE", "CREATE TABLE"]),
            within("begin; insert into x values (1); savepoint s; delete from t", &["BEGIN", "INSERT 0 1", "SAVEPOINT", "DELETE 3"], b'T'),
            within("rollback to s; execute p(1)", &["ROLLBACK", "UPDATE 2"], b'T'),
            simple("commit; set search_path to q; delete from y", &["COMMIT", "SET", "DELETE 1"]),
            vec![query("select 1/0; select 2"), failed("22012"), ready(b'I')],
        ].concat();
        let events = session(&frames);
        let expected = comparable(project(&[block(SESSION, "ranking", events.clone())]));

        // Frames of one direction that follow each other, joined to runs of 1 to 3, all at the time of the first.
        let mut runs = Vec::new();
        let mut sizes = joins.into_iter();
        let mut rest = &frames[..];
        let mut seq = 2;
        while !rest.is_empty() {
            let same = rest.iter().take_while(|frame| frame.0 == rest[0].0).count();
            let (now, after) = rest.split_at(same.min(sizes.next().unwrap_or(1)));
            runs.push(run(300, seq, now));
            seq += now.len() as u64;
            rest = after;
        }
        let mut joined = opening();
        joined.push(run(200, 1, &[ready(b'I')]));
        joined.extend(runs);
        joined.push(closing(3, frames.len() as u64 + 1));
        let timeless = |mut rows: Rows| {
            rows.statements.iter_mut().for_each(|row| {
                (row.started_at, row.finished_at) = (0, row.finished_at.map(|_| 0));
                row.committed_at = row.committed_at.map(|_| 0);
            });
            rows.touches.iter_mut().for_each(|row| (row.at, row.committed_at) = (0, row.committed_at.map(|_| 0)));
            rows.transactions.iter_mut().for_each(|row| {
                (row.ended_at, row.started_at) = (0, row.started_at.map(|_| 0));
                row.committed_at = row.committed_at.map(|_| 0);
            });
            rows.sessions.iter_mut().for_each(|row| row.last_frame_at = None);
            rows
        };

        let mut projector = Projector::default();
        let mut rows = Rows::default();
        let mut states = std::collections::BTreeMap::new();
        // Pieces that begin anywhere before where the last one ended: of the joined runs, then of the single frames.
        let mut known = 0;
        let mut step = 0;
        for (back, forth) in overlaps.into_iter().chain([(40, 80)]) {
            let source = if step % 2 == 0 { &joined } else { &events };
            let seq_of = |event: &Event| match &event.kind {
                Some(Kind::Frames(run)) => (run.first_seq, run.first_seq + u64::from(run.count)),
                _ => (0, 0),
            };
            let first = source.iter().position(|event| seq_of(event).1 > known + 1).unwrap_or(2);
            let from = if known == 0 { 0 } else { first.saturating_sub(back) };
            let to = (from + back + forth).min(source.len() - usize::from(forth < 80));
            if from < to {
                projector.apply(&block(SESSION, "ranking", source[from..to].to_vec()), &mut rows);
                known = known.max(source[from..to].iter().map(|event| seq_of(event).1).max().unwrap_or(0).saturating_sub(1));
            }
            step += 1;
            if saves.contains(&step) {
                let changes = projector.take_changes();
                states.extend(changes.sessions.into_iter().map(|session| (session.session_id, session)));
                let saved: Vec<SessionState> = states.values().cloned().collect();
                projector = restored(&saved);
            }
        }
        let seqs: BTreeSet<u64> = rows.frames.iter().map(|row| row.seq).collect();
        prop_assert_eq!(seqs.len(), rows.frames.len());
        let (found, expected) = (timeless(comparable(rows)), timeless(expected));
        prop_assert_eq!(told(&found), told(&expected));
        prop_assert_eq!(frames_of(&found, true), frames_of(&expected, true));
        prop_assert_eq!(found.statements, expected.statements);
        prop_assert_eq!(found.touches, expected.touches);
        prop_assert_eq!(found.transactions, expected.transactions);
        prop_assert_eq!(found.sessions, expected.sessions);
    }
}
