//! Sessions written down frame by frame, and what is told of them.

use proptest::prelude::*;

use super::*;
use crate::result::{Limits, ResultReader};

/// Splits at semicolons: the texts here have no others.
pub(super) struct Splitter;

impl Analyser for Splitter {
    fn outline(&mut self, text: &Arc<str>) -> Option<Outline> {
        if text.contains("opaque") {
            return None;
        }
        let mut outline = Outline::default();
        for statement in text.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            let words: Vec<&str> = statement.split(' ').collect();
            let control = match words[..] {
                ["commit"] => Some(Control::Commit { chain: false }),
                ["commit", "and", "chain"] => Some(Control::Commit { chain: true }),
                ["rollback"] => Some(Control::Rollback { chain: false }),
                ["rollback", "to", name] => Some(Control::RollbackTo(name.to_owned())),
                ["savepoint", name] => Some(Control::Savepoint(name.to_owned())),
                ["release", name] => Some(Control::Release(name.to_owned())),
                _ => None,
            };
            outline.controls.extend(control.map(|control| (outline.statements, control)));
            outline.statements += 1;
        }
        Some(outline)
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn strings(strings: &[&str]) -> Vec<u8> {
    strings.iter().flat_map(|string| [string.as_bytes(), b"\0"].concat()).collect()
}

/// One frame from a short notation: `>` by the job, `<` by the server, then the message and its words.
fn one(line: &str) -> (Direction, Vec<u8>) {
    let (side, rest) = line.split_at(1);
    let (message, words) = rest.split_once(' ').unwrap_or((rest, ""));
    let words_of = |words: &str| words.split(',').map(str::to_owned).collect::<Vec<_>>();
    let (tag, body) = match (side, message) {
        (">", "Q") => (b'Q', strings(&[words])),
        (">", "P") => {
            let (name, text) = words.split_once(':').unwrap();
            (b'P', [strings(&[name, text]), vec![0, 0]].concat())
        }
        (">", "B") => {
            // portal,statement[,text values]
            let words = words_of(words);
            let mut body = strings(&[&words[0], &words[1]]);
            body.extend([0, 0]);
            body.extend(u16::try_from(words.len() - 2).unwrap().to_be_bytes());
            for value in &words[2..] {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value.as_bytes());
            }
            body.extend([0, 0]);
            (b'B', body)
        }
        (">", "D" | "C") => (message.as_bytes()[0], [words.as_bytes(), b"\0"].concat()),
        (">", "E") => (b'E', [words.as_bytes(), b"\0\0\0\0\0"].concat()),
        (">", "S" | "H" | "X" | "c") => (message.as_bytes()[0], Vec::new()),
        (">", "d" | "f") | ("<", "d" | "c") => (message.as_bytes()[0], words.as_bytes().to_vec()),
        (">", "F") => (b'F', vec![0, 0, 0, 42, 0, 0, 0, 1, 0, 0, 0, 1, b'7', 0, 0]),
        ("<", "C") => (b'C', strings(&[words])),
        ("<", "Z") => (b'Z', words.as_bytes().to_vec()),
        ("<", "E") => {
            let (severity, code) = words.split_once(' ').unwrap_or(("ERROR", words));
            let fields = [format!("S{severity}"), format!("V{severity}"), format!("C{code}"), "Mno".to_owned()];
            (b'E', [strings(&fields.each_ref().map(String::as_str)), vec![0]].concat())
        }
        ("<", "S") => (b'S', strings(&words_of(words).iter().map(String::as_str).collect::<Vec<_>>())),
        ("<", "N") => (b'N', b"Mhello\0\0".to_vec()),
        ("<", "T") => {
            let names = words_of(words);
            let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
            for name in names {
                body.extend([name.as_bytes(), &[0, 0, 0, 0, 9, 0, 1, 0, 0, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0]].concat());
            }
            (b'T', body)
        }
        ("<", "t") => (b't', [vec![0, 1], 23u32.to_be_bytes().to_vec()].concat()),
        ("<", "D") => {
            let values = words_of(words);
            let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
            for value in values {
                body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(value.as_bytes());
            }
            (b'D', body)
        }
        ("<", "G" | "H") => (message.as_bytes()[0], vec![0, 0, 0]),
        ("<", "V") => (b'V', vec![0xff; 4]),
        ("<", "1" | "2" | "3" | "n" | "s" | "I") => (message.as_bytes()[0], Vec::new()),
        _ => panic!("{line}"),
    };
    (if side == ">" { Direction::Frontend } else { Direction::Backend }, frame(tag, &body))
}

pub(super) fn script(text: &str) -> Vec<(Direction, Vec<u8>)> {
    let lines = text.lines().flat_map(|line| line.split('|')).map(str::trim).filter(|line| !line.is_empty());
    lines.map(one).collect()
}

pub(super) fn say(event: &Event) -> Option<String> {
    Some(match event {
        Event::Started(started) => {
            let text = match &started.request {
                Request::Text => format!("{}#{}", started.text, started.part),
                other => format!("{other:?}"),
            };
            let values = started.parameters.iter().flat_map(|parameters| &parameters.values);
            let values = values.map(|value| String::from_utf8_lossy(value.value.as_ref().unwrap()).into_owned());
            let values: Vec<String> = values.collect();
            format!("start {} {text}{}", started.statement, values.iter().map(|v| format!(" ${v}")).collect::<String>())
        }
        Event::Began { .. } | Event::Setting { .. } => return None,
        Event::Finished(finished) => {
            let rows = finished.rows.map(|rows| format!(" {rows} rows")).unwrap_or_default();
            let failure = finished.failure.as_ref().map(|failure| {
                let skipped = if failure.message.starts_with("not executed") { " skipped" } else { "" };
                format!(" {}{skipped}", failure.sqlstate)
            });
            format!("done {} in {}{rows}{}", finished.statement, finished.transaction, failure.unwrap_or_default())
        }
        Event::Unanswered { statement, transaction } => format!("unanswered {statement} in {transaction}"),
        Event::RolledBack { first, last, .. } => format!("rolled back {first}-{last}"),
        Event::TransactionEnded { transaction, outcome, .. } => format!("{transaction} {outcome:?}"),
    })
}

/// Tells a session that the job leaves after the last frame.
fn tell(frames: &[(Direction, Vec<u8>)]) -> Vec<Event> {
    let mut tracker = Tracker::new();
    let mut out = Vec::new();
    for (seq, (direction, bytes)) in (1..).zip(frames) {
        let at = i64::try_from(seq).unwrap() * 10;
        let frame = Frame { seq, at, direction: *direction, tag: bytes[0], part: None, bytes };
        tracker.feed(&frame, &mut Splitter, &mut out);
    }
    tracker.close(99_999, &mut out);
    out
}

fn check(session: &str, expected: &[&str]) {
    let frames = script(&format!("<Z I\n{session}"));
    let told: Vec<String> = tell(&frames).iter().filter_map(say).collect();
    assert_eq!(told, expected, "{session}");
}

#[test]
fn simple_queries() {
    check(
        ">Q select 1 | <T a | <D 1 | <C SELECT 1 | <Z I",
        &["start 1 select 1#0", "done 1 in 1 1 rows", "1 Committed"],
    );
    check(">Q  | <I | <Z I", &["start 1 #0", "done 1 in 1", "1 Committed"]);
    check(">Q nonsense | <E 42601 | <Z I", &["start 1 nonsense#0", "done 1 in 1 42601", "1 RolledBack"]);
    check(
        ">Q a; b; c | <C UPDATE 2 | <N | <S x,y | <C SELECT 3 | <C DELETE 0 | <Z I",
        &[
            "start 1 a; b; c#0",
            "start 2 a; b; c#1",
            "start 3 a; b; c#2",
            "done 1 in 1 2 rows",
            "done 2 in 1 3 rows",
            "done 3 in 1 0 rows",
            "1 Committed",
        ],
    );
    // One implicit transaction: the first comes to nothing with the second.
    check(
        ">Q a; b; c | <C UPDATE 2 | <E 22012 | <Z I",
        &[
            "start 1 a; b; c#0",
            "start 2 a; b; c#1",
            "start 3 a; b; c#2",
            "done 1 in 1 2 rows",
            "done 2 in 1 22012",
            "done 3 in 1 22012 skipped",
            "1 RolledBack",
        ],
    );
    // The deferred constraint fails in place of the last answer.
    check(">Q a | <E 23503 | <Z I", &["start 1 a#0", "done 1 in 1 23503", "1 RolledBack"]);
    // How many statements there are is told by the tags alone.
    check(">Q opaque | <C UPDATE 1 | <Z I", &["start 1 opaque#0", "done 1 in 1 1 rows", "1 Committed"]);
    check(">Q opaque | <C UPDATE 1 | <C UPDATE 5 | <Z I", &["start 1 opaque#0", "done 1 in 1", "1 Committed"]);
    check(">Q opaque | <C BEGIN | <C UPDATE 5 | <Z T", &["start 1 opaque#0", "done 1 in 1", "1 RolledBack"]);
}

#[test]
fn explicit_transactions() {
    check(
        ">Q begin | <C BEGIN | <Z T | >Q u | <C UPDATE 1 | <Z T | >Q commit | <C COMMIT | <Z I | >Q v | <C UPDATE 1 | <Z I",
        &[
            "start 1 begin#0",
            "done 1 in 1",
            "start 2 u#0",
            "done 2 in 1 1 rows",
            "start 3 commit#0",
            "done 3 in 1",
            "1 Committed",
            "start 4 v#0",
            "done 4 in 2 1 rows",
            "2 Committed",
        ],
    );
    // COMMIT of a failed transaction answers ROLLBACK.
    check(
        ">Q begin | <C BEGIN | <Z T | >Q u | <E 23505 | <Z E | >Q commit | <C ROLLBACK | <Z I",
        &[
            "start 1 begin#0",
            "done 1 in 1",
            "start 2 u#0",
            "done 2 in 1 23505",
            "start 3 commit#0",
            "done 3 in 1",
            "1 RolledBack",
        ],
    );
    // COMMIT fails.
    check(
        ">Q begin | <C BEGIN | <Z T | >Q commit | <E 23503 | <Z I",
        &["start 1 begin#0", "done 1 in 1", "start 2 commit#0", "done 2 in 1 23503", "1 RolledBack"],
    );
    check(
        ">Q begin; u; commit; v; w | <C BEGIN | <C UPDATE 1 | <C COMMIT | <C UPDATE 2 | <E 22012 | <Z I",
        &[
            "start 1 begin; u; commit; v; w#0",
            "start 2 begin; u; commit; v; w#1",
            "start 3 begin; u; commit; v; w#2",
            "start 4 begin; u; commit; v; w#3",
            "start 5 begin; u; commit; v; w#4",
            "done 1 in 1",
            "done 2 in 1 1 rows",
            "done 3 in 1",
            "1 Committed",
            "done 4 in 2 2 rows",
            "done 5 in 2 22012",
            "2 RolledBack",
        ],
    );
    check(
        ">Q begin | <C BEGIN | <Z T | >Q commit and chain | <C COMMIT | <Z T | >Q u | <C UPDATE 1 | <Z T",
        &[
            "start 1 begin#0",
            "done 1 in 1",
            "start 2 commit and chain#0",
            "done 2 in 1",
            "1 Committed",
            "start 3 u#0",
            "done 3 in 2 1 rows",
            "2 RolledBack",
        ],
    );
    check(
        ">Q begin | <C BEGIN | <Z T | >Q prepare transaction 'x' | <C PREPARE TRANSACTION | <Z I",
        &["start 1 begin#0", "done 1 in 1", "start 2 prepare transaction 'x'#0", "done 2 in 1", "1 Unknown"],
    );
}

#[test]
fn savepoints() {
    check(
        ">Q begin; a; savepoint s; b; savepoint t; c; rollback to s; d; rollback to s; commit
         <C BEGIN | <C UPDATE 1 | <C SAVEPOINT | <C UPDATE 2 | <C SAVEPOINT | <C UPDATE 3 | <C ROLLBACK | <C UPDATE 4 | <C ROLLBACK | <C COMMIT | <Z I",
        &(1..=10)
            .map(|n| format!("start {n} begin; a; savepoint s; b; savepoint t; c; rollback to s; d; rollback to s; commit#{}", n - 1))
            .chain(["done 1 in 1", "done 2 in 1 1 rows", "done 3 in 1", "done 4 in 1 2 rows", "done 5 in 1", "done 6 in 1 3 rows", "done 7 in 1", "rolled back 4-6", "done 8 in 1 4 rows", "done 9 in 1", "rolled back 4-8", "done 10 in 1", "1 Committed"].map(str::to_owned))
            .collect::<Vec<_>>().iter().map(String::as_str).collect::<Vec<_>>(),
    );
    // A failed transaction goes on after ROLLBACK TO; a released savepoint is gone.
    check(
        ">Q begin; savepoint s; savepoint t; release t | <C BEGIN | <C SAVEPOINT | <C SAVEPOINT | <C RELEASE | <Z T
         >Q u | <E 23505 | <Z E | >Q rollback to s | <C ROLLBACK | <Z T | >Q commit | <C COMMIT | <Z I",
        &[
            "start 1 begin; savepoint s; savepoint t; release t#0",
            "start 2 begin; savepoint s; savepoint t; release t#1",
            "start 3 begin; savepoint s; savepoint t; release t#2",
            "start 4 begin; savepoint s; savepoint t; release t#3",
            "done 1 in 1",
            "done 2 in 1",
            "done 3 in 1",
            "done 4 in 1",
            "start 5 u#0",
            "done 5 in 1 23505",
            "start 6 rollback to s#0",
            "done 6 in 1",
            "rolled back 3-5",
            "start 7 commit#0",
            "done 7 in 1",
            "1 Committed",
        ],
    );
}

#[test]
fn extended_protocol() {
    check(
        ">P :u | >B ,,7 | >D P | >E  | >S | <1 | <2 | <n | <C UPDATE 1 | <Z I",
        &["start 1 u#0 $7", "done 1 in 1 1 rows", "1 Committed"],
    );
    // Named and used twice; closed; the name reused.
    check(
        ">P p:u | >D Sp | >S | <1 | <t | <n | <Z I | >B ,p,1 | >E  | >B ,p,2 | >E  | >S | <2 | <C UPDATE 1 | <2 | <C UPDATE 2 | <Z I
         >C Sp | >P p:v | >B ,p,3 | >E  | >S | <3 | <1 | <2 | <C UPDATE 3 | <Z I",
        &["start 1 u#0 $1", "start 2 u#0 $2", "done 1 in 1 1 rows", "done 2 in 1 2 rows", "1 Committed", "start 3 v#0 $3", "done 3 in 2 3 rows", "2 Committed"],
    );
    // An error in a pipeline takes all back to the last Sync, and skips up to the next.
    check(
        ">P :u | >B , | >E  | >P p:v | >B ,p | >E  | >P :w | >B , | >E  | >S | >P :x | >B , | >E  | >S
         <1 | <2 | <C UPDATE 1 | <1 | <2 | <E 22012 | <Z I | <1 | <2 | <C UPDATE 4 | <Z I",
        &[
            "start 1 u#0",
            "start 2 v#0",
            "start 3 w#0",
            "start 4 x#0",
            "done 1 in 1 1 rows",
            "done 2 in 1 22012",
            "done 3 in 1 22012 skipped",
            "1 RolledBack",
            "done 4 in 2 4 rows",
            "2 Committed",
        ],
    );
    // Parse fails before its Execute; without one it is an attempt all the same. The name keeps its meaning.
    check(
        ">P :bad | >B , | >E  | >S | <E 42601 | <Z I | >P p:good | >S | <1 | <Z I | >P p:bad | >S | <E 42P05 | <Z I | >B ,p | >E  | >S | <2 | <C SELECT 1 | <Z I",
        &[
            "start 1 bad#0",
            "done 1 in 1 42601",
            "1 RolledBack",
            "start 2 bad#0",
            "done 2 in 2 42P05",
            "2 RolledBack",
            "start 3 good#0",
            "done 3 in 3 1 rows",
            "3 Committed",
        ],
    );
    // What is sent after the error and before Sync is skipped.
    check(
        ">P :bad | >H | <E 42601 | >B , | >E  | >S | <Z I | >P :u | >B , | >E  | >S | <1 | <2 | <C UPDATE 1 | <Z I",
        &["start 1 bad#0", "done 1 in 1 42601", "1 RolledBack", "start 2 u#0", "done 2 in 2 1 rows", "2 Committed"],
    );
    // The commit at Sync fails.
    check(
        ">P :u | >B , | >E  | >S | <1 | <2 | <C UPDATE 1 | <E 23503 | <Z I",
        &["start 1 u#0", "done 1 in 1 1 rows", "done 1 in 1 23503", "1 RolledBack"],
    );
    // BEGIN and COMMIT in a pipeline.
    check(
        ">P :begin | >B , | >E  | >P :u | >B , | >E  | >P :commit | >B , | >E  | >S
         <1 | <2 | <C BEGIN | <1 | <2 | <C UPDATE 1 | <1 | <2 | <C COMMIT | <Z I",
        &[
            "start 1 begin#0",
            "start 2 u#0",
            "start 3 commit#0",
            "done 1 in 1",
            "done 2 in 1 1 rows",
            "done 3 in 1",
            "1 Committed",
        ],
    );
    check(
        ">B ,sql | >E  | >E cursor | >S | <2 | <C SELECT 1 | <C SELECT 2 | <Z I",
        &[
            "start 1 Name(\"sql\")",
            "start 2 Name(\"cursor\")",
            "done 1 in 1 1 rows",
            "done 2 in 1 2 rows",
            "1 Committed",
        ],
    );
}

#[test]
fn portals_in_portions() {
    check(
        ">P :q | >B c, | >E c | >S | <1 | <2 | <D 1 | <D 2 | <s | <Z T | >E c | >S | <D 3 | <C SELECT 1 | <Z T | >Q commit | <C COMMIT | <Z I",
        &["start 1 q#0", "done 1 in 1 3 rows", "start 2 commit#0", "done 2 in 1", "1 Committed"],
    );
    // Never fetched to the end.
    check(
        ">P :q | >B c, | >E c | >S | <1 | <2 | <D 1 | <s | <Z T | >Q commit | <C COMMIT | <Z I",
        &["start 1 q#0", "start 2 commit#0", "done 2 in 1", "done 1 in 1 1 rows", "1 Committed"],
    );
}

#[test]
fn copies_and_function_calls() {
    check(
        ">Q copy t from stdin | <G | >d 1 | >c | <C COPY 1 | <Z I",
        &["start 1 copy t from stdin#0", "done 1 in 1 1 rows", "1 Committed"],
    );
    check(
        ">Q copy t to stdout | <H | <d 1 | <c | <C COPY 1 | <Z I",
        &["start 1 copy t to stdout#0", "done 1 in 1 1 rows", "1 Committed"],
    );
    check(
        ">Q copy t from stdin | <G | >d 1 | >f no | <E 57014 | <Z I",
        &["start 1 copy t from stdin#0", "done 1 in 1 57014", "1 RolledBack"],
    );
    // The Sync sent with Execute is ignored by a server that takes data.
    check(
        ">P :copy | >B , | >E  | >S | <1 | <2 | <G | >d 1 | >c | >S | <C COPY 1 | <Z I | >Q a | <C UPDATE 2 | <Z I",
        &["start 1 copy#0", "done 1 in 1 1 rows", "1 Committed", "start 2 a#0", "done 2 in 2 2 rows", "2 Committed"],
    );
    check(
        ">P :copy | >B , | >E  | >S | <1 | <2 | <G | >d 1 | >S | >c | >S | <C COPY 1 | <Z I | >Q a | <C UPDATE 2 | <Z I",
        &["start 1 copy#0", "done 1 in 1 1 rows", "1 Committed", "start 2 a#0", "done 2 in 2 2 rows", "2 Committed"],
    );
    check(
        ">F | <V | <Z I | >F | <E 42883 | <Z I",
        &[
            "start 1 Function(42) $7",
            "done 1 in 1",
            "1 Committed",
            "start 2 Function(42) $7",
            "done 2 in 2 42883",
            "2 RolledBack",
        ],
    );
}

#[test]
fn lost_connections() {
    check(
        ">Q begin | <C BEGIN | <Z T | >Q u | <C UPDATE 1 | <Z T",
        &["start 1 begin#0", "done 1 in 1", "start 2 u#0", "done 2 in 1 1 rows", "1 RolledBack"],
    );
    check(
        ">Q begin | <C BEGIN | <Z T | >Q commit",
        &["start 1 begin#0", "done 1 in 1", "start 2 commit#0", "unanswered 2 in 1", "1 Unknown"],
    );
    check(
        ">Q begin | <C BEGIN | <Z T | >Q u",
        &["start 1 begin#0", "done 1 in 1", "start 2 u#0", "unanswered 2 in 1", "1 RolledBack"],
    );
    check(">Q u", &["start 1 u#0", "unanswered 1 in 1", "1 Unknown"]);
    check(">Q u | <E FATAL 57P01", &["start 1 u#0", "done 1 in 1 57P01", "1 RolledBack"]);
    check(">P :u | >B , | >E  | >H | <1 | <2 | <C UPDATE 1", &["start 1 u#0", "done 1 in 1 1 rows", "1 RolledBack"]);
    check(">P :u | >B , | >E  | >S | <1 | <2 | <C UPDATE 1", &["start 1 u#0", "done 1 in 1 1 rows", "1 Unknown"]);
    check(">Q u | <C UPDATE 1", &["start 1 u#0", "done 1 in 1 1 rows", "1 Committed"]);
    check(">Q begin | <C BEGIN | <Z T | <E FATAL 25P03", &["start 1 begin#0", "done 1 in 1", "1 RolledBack"]);
}

#[test]
fn gaps() {
    let mut tracker = Tracker::new();
    let mut out = Vec::new();
    let feed = |tracker: &mut Tracker, text: &str, out: &mut Vec<Event>| {
        for (direction, bytes) in script(text) {
            let frame = Frame { seq: 1, at: 1, direction, tag: bytes[0], part: None, bytes: &bytes };
            tracker.feed(&frame, &mut Splitter, out);
        }
    };
    feed(&mut tracker, "<Z I | >Q begin | <C BEGIN | <Z T | >Q u", &mut out);
    tracker.gap(&mut out);
    feed(&mut tracker, "<C UPDATE 9 | <Z T | >Q commit | <C COMMIT | <Z I", &mut out);
    let told: Vec<String> = out.iter().filter_map(say).collect();
    assert_eq!(
        told,
        [
            "start 1 begin#0",
            "done 1 in 1",
            "start 2 u#0",
            "unanswered 2 in 1",
            "1 Unknown",
            "start 3 commit#0",
            "done 3 in 2",
            "2 Committed"
        ]
    );
}

#[test]
fn hostile_frames_do_no_harm() {
    let mut tracker = Tracker::new();
    let mut out = Vec::new();
    for tag in 0..=255u8 {
        for body in [&[][..], &[0], &[0xff; 3], &[0xff; 300]] {
            for direction in [Direction::Frontend, Direction::Backend] {
                let bytes = frame(tag, body);
                let frame = Frame { seq: 1, at: 1, direction, tag, part: None, bytes: &bytes };
                tracker.feed(&frame, &mut Splitter, &mut out);
            }
        }
    }
    tracker.close(1, &mut out);
}

#[test]
fn long_texts_and_parameters_are_cut_with_a_mark() {
    let text = "é".repeat(MAX_TEXT);
    let (direction, bytes) = one(&format!(">Q {text}"));
    let mut frames = script("<Z I");
    frames.push((direction, bytes));
    frames.extend(script(&format!("<C SELECT 1 | <Z I | >P :u | >B ,,{} | >E | >S", "x".repeat(MAX_PARAMETERS + 1))));
    let told = tell(&frames);
    let Event::Started(first) = &told[0] else { panic!() };
    assert!(first.truncated && first.text.len() <= MAX_TEXT && first.text.ends_with('é'));
    let started: Vec<&Started> = told
        .iter()
        .filter_map(|event| match event {
            Event::Started(started) => Some(started),
            _ => None,
        })
        .collect();
    assert!(started[1].parameters.as_ref().unwrap().truncated);
}

#[test]
fn results_are_read_where_they_were_described() {
    let frames = script(
        "<Z I | >P p:q | >D Sp | >S | <1 | <t | <T a,b | <Z I | >B ,p | >E  | >S | <2 | <D 1,x | <D 2,y | <D 3,z | <C SELECT 3 | <Z I
         >Q r; s | <T c | <D 4 | <C SELECT 1 | <T d | <C SELECT 0 | <Z I",
    );
    let mut reader = ResultReader::new(Limits { rows: 2, ..Limits::default() }, None);
    for (seq, (direction, bytes)) in (1..).zip(&frames) {
        let frame = Frame { seq, at: 1, direction: *direction, tag: bytes[0], part: None, bytes };
        reader.feed(&frame, &mut Splitter);
    }
    let results = reader.into_results();
    let names = |n: u64| results[&n].columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(1), names(2), names(3)), (vec!["a".into(), "b".into()], vec!["c".into()], vec!["d".into()]));
    let text = |row: &Vec<Option<crate::result::Cell>>| {
        row.iter().map(|cell| cell.as_ref().unwrap().text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(results[&1].rows.iter().map(text).collect::<Vec<_>>(), [["1", "x"], ["2", "y"]]);
    assert_eq!((results[&1].sent, results[&1].truncated, results[&3].rows.len()), (3, true, 0));
}

const EVERYTHING: &str = "<Z I | >Q a; b | <C UPDATE 1 | <C UPDATE 2 | <Z I | >P p:u | >D Sp | >S | <1 | <t | <n | <Z I
    >B ,p,1 | >E  | >B x,p,2 | >E x | >S | <2 | <C UPDATE 1 | <2 | <D 1 | <s | <Z T | >E x | >S | <D 2 | <C SELECT 1 | <Z T
    >Q savepoint s | <C SAVEPOINT | <Z T | >Q v | <E 23505 | <Z E | >Q rollback to s | <C ROLLBACK | <Z T | >Q commit | <C COMMIT | <Z I
    >P :bad | >B , | >E  | >S | >P :w | >B , | >E  | >S | <E 42601 | <Z I | <1 | <2 | <C UPDATE 1 | <Z I
    >P :copy | >B , | >E  | >S | <1 | <2 | <G | >d 1 | >c | >S | <C COPY 1 | <Z I | >F | <V | <Z I | >Q begin | <C BEGIN | <Z T | >Q opaque";

proptest! {
    /// Frames cut into parts anywhere, state saved and restored anywhere: the same is told.
    #[test]
    fn cuts_and_restarts_change_nothing(cuts in proptest::collection::vec((0usize..90, 0usize..40), 0..40), saves in proptest::collection::vec(0usize..120, 0..20)) {
        let frames = script(EVERYTHING);
        let bare = |events: &[Event]| events.iter().filter_map(say).collect::<Vec<_>>();
        let expected = bare(&tell(&frames));
        let mut tracker = Tracker::new();
        let (mut out, mut seq, mut fed) = (Vec::new(), 0, 0);
        for (place, (direction, bytes)) in frames.iter().enumerate() {
            let mut points: Vec<usize> = cuts.iter().filter(|(at, cut)| *at == place && HEADER + cut < bytes.len()).map(|(_, cut)| HEADER + cut).collect();
            points.sort_unstable();
            points.dedup();
            let mut pieces = Vec::new();
            let mut start = 0;
            for point in points.iter().copied().chain([bytes.len()]) {
                pieces.push(&bytes[start..point]);
                start = point;
            }
            for (piece, piece_bytes) in pieces.iter().enumerate() {
                let part = match piece {
                    _ if pieces.len() == 1 => None,
                    0 => Some(Part::First),
                    last if last + 1 == pieces.len() => Some(Part::Last),
                    _ => Some(Part::Middle),
                };
                seq += 1;
                tracker.feed(&Frame { seq, at: 1, direction: *direction, tag: bytes[0], part, bytes: piece_bytes }, &mut Splitter, &mut out);
                fed += 1;
                if saves.contains(&fed) {
                    tracker = serde_json::from_slice(&serde_json::to_vec(&tracker).unwrap()).unwrap();
                }
            }
        }
        tracker.close(1, &mut out);
        prop_assert_eq!(bare(&out), expected);
    }
}
