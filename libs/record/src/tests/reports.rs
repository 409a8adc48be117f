//! What the server said in words, and how sessions ended.

use std::sync::Arc;

use hansard_schemas::events::{Actor, Origin};

use super::*;

fn said(tag: u8, fields: &[&str]) -> (Direction, Vec<u8>) {
    let body: String = fields.iter().map(|field| format!("{field}\0")).collect();
    (Direction::Backend, frame(tag, format!("{body}\0").as_bytes()))
}

fn json(text: &Option<Arc<str>>) -> serde_json::Value {
    text.as_ref().map_or(serde_json::Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[test]
fn what_psql_would_have_shown_is_in_the_row() {
    let duplicate = [
        "SERROR",
        "VERROR",
        "C23505",
        "Mduplicate key value",
        "DKey (id)=(1) already exists.",
        "Htake another",
        "P33",
        "Wfunction f() line 3",
        "spublic",
        "tfilms",
        "cid",
        "nfilms_pkey",
    ];
    let frames = [
        query("UPDATE größe SET a = 1; INSERT INTO films VALUES (1); SELECT 2"),
        said(b'N', &["SNOTICE", "VNOTICE", "C00000", "Mfirst", "Dmore of it"]),
        done("UPDATE 1"),
        said(b'N', &["VWARNING", "C01000", "Msecond"]),
        said(b'E', &duplicate),
        ready(b'I'),
        said(b'N', &["VNOTICE", "C00000", "Mof nobody"]),
        said(b'E', &["VFATAL", "C57P01", "Mterminating connection", "Hcome back"]),
    ];
    let events = session(&frames);
    let rows = project(&[block(SESSION, "ranking", events.clone())]);
    let [update, insert, select] = &rows.statements[..] else { panic!("{:#?}", rows.statements) };
    assert_eq!((update.status, insert.status, select.status), (Status::Done, Status::Failed, Status::NotRun));
    assert_eq!(json(&update.notices)[0]["detail"], "more of it");
    assert_eq!(json(&insert.notices)[0]["severity"], "WARNING");
    let details = insert.details.as_deref().unwrap();
    assert_eq!(insert.severity.as_deref(), Some("ERROR"));
    assert_eq!(details.detail.as_deref(), Some("Key (id)=(1) already exists."));
    assert_eq!(details.hint.as_deref(), Some("take another"));
    assert_eq!(details.context.as_deref(), Some("function f() line 3"));
    assert_eq!(details.constraint.as_deref(), Some("films_pkey"));
    // The 33rd character of what was sent, counted in characters, is the N of INTO.
    assert_eq!(insert.sql.chars().nth(usize::try_from(details.position.unwrap()).unwrap() - 1), Some('N'));
    assert_eq!(details.position, Some(9));
    // What was not run has no words of its own.
    assert_eq!((&select.details, &select.notices), (&None, &None));
    let ended = &rows.sessions[0];
    assert_eq!((ended.errors, ended.ending, ended.last_frame_at), (1, "ended by database", Some(290)));
    let notices = json(&ended.notices);
    assert_eq!((&notices[0]["message"], &notices[1]["sqlstate"]), (&"of nobody".into(), &"57P01".into()));
    // However it is cut and saved.
    let (again, rows) = (comparable(interrupted(&events)), comparable(rows));
    assert_eq!((again.statements, again.sessions), (rows.statements, rows.sessions));
}

#[test]
fn a_sessions_ending_is_told_apart_from_its_record() {
    let ending = |reason: &str, frames: &[(Direction, Vec<u8>)]| {
        let mut events = session(frames);
        if let Some(Event { kind: Some(Kind::SessionClosed(closed)), .. }) = events.last_mut() {
            closed.reason = reason.to_owned();
        }
        let rows = project(&[block(SESSION, "ranking", events)]);
        (rows.sessions[0].complete, rows.sessions[0].ending)
    };
    assert_eq!(ending("terminated by job", &[]), (true, "terminated"));
    assert_eq!(ending("closed by job", &[]), (true, "lost"));
    assert_eq!(ending("connection to job lost", &[]), (true, "lost"));
    assert_eq!(ending("closed by job", &[said(b'E', &["VFATAL", "C57P01", "Mno"])]), (true, "ended by database"));
    assert_eq!(ending("token expired", &[]), (true, "ended by hansard"));
    assert_eq!(ending("not authenticated", &[]), (true, "refused"));
    let mut rows = Rows::default();
    let mut projector = Projector::default();
    let mut events = session(&simple("SELECT 1", &["SELECT 1"]));
    events.pop();
    events.push(run(400, 5, &[query("SELECT 2")]));
    projector.apply(&block(SESSION, "ranking", events), &mut rows);
    let mut open = Rows::default();
    projector.in_flight(&mut open);
    assert_eq!((open.sessions[0].ending, open.statements[0].status), ("open", Status::Running));
    projector.abandon(90_000, "proxy ended without closing", &mut rows);
    let lost = &rows.sessions[0];
    assert_eq!((lost.complete, lost.ending, lost.last_frame_at), (false, "unknown", Some(400)));
    assert_eq!(rows.statements[1].status, Status::NoAnswer);
}

#[test]
fn a_refused_login_names_whom_its_issuer_vouches_for() {
    use hansard_schemas::events::AuthenticationFailed;
    let refused = |failed: AuthenticationFailed| {
        let events = vec![
            event(100, 1, Kind::SessionOpened(SessionOpened { client_addr: "::1".into(), ..SessionOpened::default() })),
            event(110, 2, Kind::AuthenticationFailed(failed)),
            closing(3, 0),
        ];
        project(&[block(SESSION, "ranking", events)]).sessions.remove(0)
    };
    let failed = AuthenticationFailed { sqlstate: "28P01".into(), message: "expired".into(), ..Default::default() };
    let nobody = refused(failed.clone());
    assert_eq!((&*nobody.job, &*nobody.subject, &*nobody.issuer), ("", "", ""));
    let known = AuthenticationFailed { issuer: "ci".into(), subject: "s".into(), job: "nightly".into(), ..failed };
    let known = refused(known);
    assert_eq!((&*known.job, &*known.subject, &*known.issuer, known.ending), ("nightly", "s", "ci", "refused"));
    assert_eq!(known.auth_failure.as_deref(), Some("28P01: expired"));
}

#[test]
fn hansards_own_words_are_marked() {
    let mut events = session(&[]);
    let closing = events.pop().unwrap();
    let (_, frames) = said(b'E', &["VFATAL", "C28000", "Mthe token has expired"]);
    let kind = Kind::Frames(FrameRun {
        direction: Direction::Backend as i32,
        first_seq: 2,
        count: 1,
        frames: frames.into(),
        origin: Origin::Hansard as i32,
        ..FrameRun::default()
    });
    events.extend([event(500, 0, kind), closing]);
    let rows = project(&[block(SESSION, "ranking", events)]);
    let notices = json(&rows.sessions[0].notices);
    assert_eq!((&notices[0]["by"], &notices[0]["message"]), (&"hansard".into(), &"the token has expired".into()));
    // It says nothing of the database.
    assert_eq!(rows.sessions[0].ending, "lost");
}

#[test]
fn role_and_process_of_the_database_are_told() {
    let mut events = session(&[]);
    if let Some(Event { kind: Some(Kind::Authenticated(told)), .. }) = events.get_mut(1) {
        (told.session_role, told.backend_pid) = ("app_owner".into(), 4711);
    }
    let row = &project(&[block(SESSION, "ranking", events)]).sessions[0];
    assert_eq!((row.db_user.as_str(), row.database_role.as_deref()), ("app", Some("app_owner")));
    assert_eq!(row.backend_pid, Some(4711));
}

#[test]
fn who_acts_and_why_is_told() {
    let mut events = session(&[]);
    if let Some(Event { kind: Some(Kind::SessionOpened(told)), .. }) = events.get_mut(0) {
        told.purpose = "TICKET-1".into();
    }
    if let Some(Event { kind: Some(Kind::Authenticated(told)), .. }) = events.get_mut(1) {
        told.actors = vec![Actor { subject: "runner".into(), issuer: String::new() }];
        (told.authentication, told.token_id, told.token_expires_at) = ("oauthbearer".into(), "7f3a".into(), 5);
    }
    let row = &project(&[block(SESSION, "ranking", events)]).sessions[0];
    assert_eq!((row.purpose.as_deref(), row.traceparent.as_deref()), (Some("TICKET-1"), None));
    let credential = &row.credential;
    assert_eq!(credential.actors.as_deref(), Some(r#"[{"issuer":"","subject":"runner"}]"#));
    assert_eq!(
        (credential.authentication.as_deref(), credential.token_id.as_deref()),
        (Some("oauthbearer"), Some("7f3a"))
    );
    assert_eq!(credential.token_expires_at, Some(5));
}

#[test]
fn what_an_execute_ran_is_in_its_row() {
    let prepare = "PREPARE q(int) AS UPDATE films SET year = $1";
    let frames = [simple(prepare, &["PREPARE"]), simple("EXECUTE q(1)", &["UPDATE 3"])].concat();
    let rows = project(&[block(SESSION, "ranking", session(&frames))]);
    assert_eq!(rows.statements[1].executed.as_deref(), Some(prepare));
    assert_eq!(rows.statements[0].executed, None);
    // Often and long, it is shortened, with a mark, and takes nothing away from what is told of relations.
    let prepare = format!("PREPARE q AS UPDATE films SET year = 1 /*{}*/", "x".repeat(100_000));
    let mut frames = simple(&prepare, &["PREPARE"]);
    (0..200).for_each(|_| frames.extend(simple("EXECUTE q", &["UPDATE 3"])));
    let rows = project(&[block(SESSION, "ranking", session(&frames))]);
    let lengths: Vec<usize> = rows.statements.iter().filter_map(|row| Some(row.executed.as_deref()?.len())).collect();
    assert_eq!((lengths[0], lengths[199]), (prepare.len(), 64 + "…".len()));
    assert!(
        rows.touches.iter().all(|touch| touch.certainty == Certainty::Certain && &*touch.relation == "public.films")
    );
}
