//! Conversations written down, and what is told of them.
//!
//! A line of a script is one message: `> ` from the job, `< ` from the database. What is told is written as
//! `1 started UPDATE t`, `1 UPDATE 5`, `1 failed 22012`, `transaction 1 committed`.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

mod copying;
mod extended;
mod gaps;
mod hostile;
mod outcomes;
mod portals;
mod reports;

/// Understands statements between semicolons by their first words; nothing of a text with a question mark.
#[derive(Debug, Default)]
struct Words;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    text: String,
    reading: Reading,
    #[serde(skip)]
    notes: Option<Vec<Vec<Note>>>,
}

impl Analyser for Words {
    type Text = Read;

    fn read(&mut self, text: &str, reading: Reading) -> Read {
        let understood = !text.contains('?') && reading.readable && reading.whole;
        // Without standard_conforming_strings `\'` ends no string: enough of it for a test.
        let text = text.to_owned();
        let parts: Vec<&str> = match reading.standard_conforming_strings {
            Some(true) => text.split(';').collect(),
            _ => text.split('|').collect(),
        };
        let notes = understood.then(|| parts.iter().map(|part| notes(part.trim())).collect());
        Read { notes, text, reading }
    }
}

impl Text for Read {
    fn statements(&self) -> Option<u32> {
        self.notes.as_ref().map(|notes| u32::try_from(notes.len()).unwrap())
    }

    fn understood(&self, _part: u32, _prepared: bool) -> bool {
        self.notes.is_some()
    }

    fn notes(&self, part: u32, prepared: bool) -> &[Note] {
        match &self.notes {
            Some(notes) if !prepared => notes.get(part as usize).map(Vec::as_slice).unwrap_or_default(),
            _ => &[],
        }
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }
}

fn notes(statement: &str) -> Vec<Note> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let word = |place: usize| words.get(place).copied().unwrap_or_default().to_owned();
    let chain = statement.ends_with("CHAIN");
    match &words[..] {
        ["COMMIT", "PREPARED", gid] => vec![Note::CommitPrepared((*gid).to_owned())],
        ["ROLLBACK", "PREPARED", gid] => vec![Note::RollbackPrepared((*gid).to_owned())],
        ["COMMIT", ..] => vec![Note::Commit { chain }],
        ["ROLLBACK", "TO", name] => vec![Note::RollbackTo((*name).to_owned())],
        ["ROLLBACK", ..] => vec![Note::Rollback { chain }],
        ["SAVEPOINT", ..] => vec![Note::Savepoint(word(1))],
        ["RELEASE", ..] => vec![Note::Release(word(1))],
        ["PREPARE", "TRANSACTION", gid] => vec![Note::PrepareTransaction((*gid).to_owned())],
        ["PREPARE", ..] => vec![Note::Prepare(word(1))],
        ["EXECUTE", ..] => vec![Note::Execute(word(1))],
        ["DEALLOCATE", "ALL"] => vec![Note::Deallocate(None)],
        ["DEALLOCATE", ..] => vec![Note::Deallocate(Some(word(1)))],
        ["DISCARD", ..] => vec![Note::DiscardAll],
        ["DECLARE", ..] => vec![Note::Declare(word(1))],
        ["FETCH", ..] => vec![Note::Fetch(word(1))],
        ["CLOSE", ..] => vec![Note::CloseCursor(Some(word(1)))],
        ["SET", ..] => vec![Note::Setting { name: word(1), value: Some(word(2)) }],
        ["DO", ..] | ["CALL", ..] => vec![Note::MayEndTransaction, Note::MayChangeSettings, Note::RunsCode],
        ["VACUUM", ..] => vec![Note::CommitsByItself],
        _ => Vec::new(),
    }
}

/// A message: its direction, its tag and its body.
type Message = (Direction, u8, Vec<u8>);

fn strings(fields: &[&str]) -> Vec<u8> {
    fields.iter().flat_map(|field| [field.as_bytes(), b"\0"].concat()).collect()
}

/// A line of a script. Names are words; `-` is the unnamed one.
fn messages(line: &str) -> Vec<Message> {
    let (side, rest) = line.split_at(1);
    let rest = rest.trim();
    let (tag, fields) = rest.split_once(' ').unwrap_or((rest, ""));
    let fields = fields.trim();
    let unnamed = |name: &str| if name == "-" { String::new() } else { name.to_owned() };
    let (first, others) = fields.split_once(' ').unwrap_or((fields, ""));
    let first = unnamed(first);
    if side == ">" {
        let body = match tag {
            "Q" => strings(&[fields]),
            "P" => [strings(&[&first, others]), vec![0, 0]].concat(),
            "B" => [strings(&[&first, &unnamed(others)]), vec![0; 6]].concat(),
            "E" => [strings(&[&first]), vec![0; 4]].concat(),
            "C" | "D" => [&fields.as_bytes()[..1], &strings(&[&unnamed(fields[1..].trim())])].concat(),
            // Parse, Bind and Execute of an unnamed statement.
            "X" => {
                let parse = [strings(&["", fields]), vec![0, 0]].concat();
                let bind = [strings(&["", ""]), vec![0; 6]].concat();
                let execute = [strings(&[""]), vec![0; 4]].concat();
                return vec![
                    (Direction::Frontend, b'P', parse),
                    (Direction::Frontend, b'B', bind),
                    (Direction::Frontend, b'E', execute),
                ];
            }
            _ => fields.as_bytes().to_vec(),
        };
        return vec![(Direction::Frontend, tag.as_bytes()[0], body)];
    }
    let body = match tag {
        "E" | "FATAL" => {
            let severity = if tag == "E" { "VERROR" } else { "VFATAL" };
            let mut body = strings(&[severity, &format!("C{first}"), "Mno"]);
            if first == "42601" {
                body.extend(strings(&["P1"]));
            }
            if first == "08P01" {
                body.extend(strings(&["RCopyGetData"]));
            }
            body.push(0);
            return vec![(Direction::Backend, b'E', body)];
        }
        "N" => {
            let mut body = strings(&["VNOTICE", &format!("C{first}"), "Mso"]);
            body.push(0);
            return vec![(Direction::Backend, b'N', body)];
        }
        "S" => strings(&[&first, others]),
        // Parse, Bind and Execute answered.
        "X" => {
            return vec![
                (Direction::Backend, b'1', Vec::new()),
                (Direction::Backend, b'2', Vec::new()),
                (Direction::Backend, b'C', strings(&[fields])),
            ];
        }
        "C" => strings(&[fields]),
        _ => fields.as_bytes().to_vec(),
    };
    vec![(Direction::Backend, tag.as_bytes()[0], body)]
}

fn script(text: &str) -> Vec<Message> {
    let start = [(Direction::Backend, b'Z', b"I".to_vec())];
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    start.into_iter().chain(lines.flat_map(messages)).collect()
}

fn encoded(message: &Message) -> Vec<u8> {
    let length = u32::try_from(message.2.len() + 4).unwrap();
    [&[message.1][..], &length.to_be_bytes(), &message.2].concat()
}

/// Feeds messages; `cut` says where a message is cut into parts, `save` whether the conversation is saved between.
fn feed(
    messages: &[Message],
    cut: impl Fn(usize) -> Option<usize>,
    save: bool,
) -> (Conversation<Read>, Vec<Event<Read>>) {
    let (mut conversation, mut events) = (Conversation::new(), Vec::new());
    let mut seq = 0;
    for (number, message) in messages.iter().enumerate() {
        let bytes = encoded(message);
        let at = i64::try_from(number).unwrap();
        let mut feed = |part, bytes: &[u8]| {
            seq += 1;
            let frame = Frame { seq, at, direction: message.0, tag: message.1, part, bytes };
            conversation.feed(&frame, &mut Words, &mut events);
            if save {
                let saved = serde_json::to_string(&conversation).unwrap();
                let restored: Conversation<Read> = serde_json::from_str(&saved).unwrap();
                conversation = restored.map(&mut |text| Words.read(&text.text, text.reading));
            }
        };
        match cut(number) {
            Some(place) => {
                let place = HEADER + place % (bytes.len() - HEADER + 1);
                let middle = place + (bytes.len() - place) / 2;
                feed(Some(Part::First), &bytes[..place]);
                feed(Some(Part::Middle), &bytes[place..middle]);
                feed(Some(Part::Last), &bytes[middle..]);
            }
            None => feed(None, &bytes),
        }
    }
    (conversation, events)
}

fn told(events: &[Event<Read>]) -> Vec<String> {
    let part = |executed: &Executed<Read>| {
        let parts: Vec<&str> = executed.text.text.split(';').collect();
        let part = parts.get(executed.part as usize).map_or("", |part| part.trim()).to_owned();
        if executed.prepared_in_sql {
            part.split_once(" AS ").map_or(String::new(), |(_, inner)| inner.to_owned())
        } else {
            part
        }
    };
    events
        .iter()
        .filter_map(|event| {
            Some(match event {
                Event::Started(started) => {
                    let what = match &started.request {
                        Request::Text { own, executes: None, .. } => part(own),
                        Request::Text { own, executes: Some(_), again: true } => format!("{} again", part(own)),
                        Request::Text { own, executes: Some(inner), .. } => format!("{} = {}", part(own), part(inner)),
                        Request::Again(own) => format!("again {}", part(own)),
                        Request::Unforeseen { text, .. } => format!("not understood {}", text.text),
                        Request::Name(name) => format!("name {name}"),
                        Request::Function(oid) => format!("function {oid}"),
                        Request::Omitted => "omitted".to_owned(),
                    };
                    let doubt = if started.doubt == Some(Doubt::CodeRan) { ", doubted" } else { "" };
                    format!("{} started {what}{doubt}", started.statement)
                }
                Event::Finished(finished) => {
                    let n = finished.statement;
                    match (&finished.failure, &finished.tag) {
                        (Some(failure), _) if failure.message.starts_with("not executed") => {
                            format!("{n} not executed")
                        }
                        (Some(failure), _) => {
                            let stayed = if finished.undone { "" } else { ", may have stayed" };
                            format!("{n} failed {}{stayed}", failure.sqlstate)
                        }
                        (None, tag) => {
                            let words = tag.as_ref().map_or("-", |tag| tag.words.as_str());
                            let rows = finished.rows.map_or(String::new(), |rows| format!(" {rows}"));
                            format!("{n} {words}{rows}")
                        }
                    }
                }
                Event::Unanswered { statement, .. } => format!("{statement} unanswered"),
                Event::RolledBack { first, last, .. } => format!("{first} to {last} rolled back"),
                Event::TransactionEnded(ended) => {
                    let outcome = match &ended.outcome {
                        Outcome::Committed => "committed".to_owned(),
                        Outcome::RolledBack(_) => "rolled back".to_owned(),
                        Outcome::Prepared(gid) => format!("prepared {gid}"),
                        Outcome::Unknown(_) => "unknown".to_owned(),
                    };
                    format!("transaction {} {outcome}", ended.transaction)
                }
                Event::Resolved { gid, committed, .. } => format!("{gid} committed {committed}"),
                Event::Reported { statement, report, .. } => {
                    let whose = statement.map_or("session".to_owned(), |statement| statement.to_string());
                    format!("{whose} said {} {}", report.severity, report.sqlstate)
                }
                Event::Setting { .. } => return None,
            })
        })
        .collect()
}

/// The script tells exactly that, however it is cut and whenever it is saved, and contradicts nothing.
fn check(text: &str, expected: &[&str]) {
    let contradictions = check_contradicted(text, expected);
    assert_eq!(contradictions, 0, "{text}");
}

fn check_contradicted(text: &str, expected: &[&str]) -> u64 {
    let messages = script(text);
    let (conversation, events) = feed(&messages, |_| None, false);
    assert_eq!(told(&events), expected, "{text}");
    for (cut, save) in [(None, true), (Some(0), false), (Some(3), true), (Some(7), false)] {
        // Without times and places: parts have places of their own.
        let (_, again) = feed(&messages, |_| cut, save);
        assert_eq!(told(&again), expected, "{text}, cut at {cut:?}, saved: {save}");
    }
    conversation.contradictions()
}

/// What is told when the connection ends behind the script.
fn closed(text: &str, closed: Closed) -> Vec<String> {
    let (mut conversation, mut events) = feed(&script(text), |_| None, false);
    events.clear();
    conversation.close(1000, closed, &mut Words, &mut events);
    told(&events)
}

fn any_message() -> impl Strategy<Value = Message> {
    let texts = prop::sample::select(vec![
        "UPDATE t",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "PREPARE a AS UPDATE t",
        "EXECUTE a",
        "DEALLOCATE a",
        "DISCARD ALL",
        "FETCH a",
        "DO x",
        "a;b;c",
        "?",
        "SET client_encoding LATIN1",
    ]);
    let names = prop::sample::select(vec!["", "a", "\u{e9}"]);
    let tags = prop::sample::select(vec![
        "UPDATE 1",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "PREPARE",
        "SELECT 2",
        "DO",
        "PREPARE TRANSACTION",
    ]);
    prop_oneof![
        texts.clone().prop_map(|text| (Direction::Frontend, b'Q', strings(&[text]))),
        (names.clone(), texts).prop_map(|(name, text)| (
            Direction::Frontend,
            b'P',
            [strings(&[name, text]), vec![0, 0]].concat()
        )),
        (names.clone(), names.clone()).prop_map(|(a, b)| (
            Direction::Frontend,
            b'B',
            [strings(&[a, b]), vec![0; 6]].concat()
        )),
        names.clone().prop_map(|name| (Direction::Frontend, b'E', [strings(&[name]), vec![0; 4]].concat())),
        (prop::sample::select(vec![b'S', b'P']), names).prop_map(|(kind, name)| (
            Direction::Frontend,
            b'C',
            [vec![kind], strings(&[name])].concat()
        )),
        prop::sample::select(vec![b'S', b'H', b'd', b'c', b'f', b'F', b'X']).prop_map(|tag| (
            Direction::Frontend,
            tag,
            vec![0; 6]
        )),
        tags.prop_map(|tag| (Direction::Backend, b'C', strings(&[tag]))),
        prop::sample::select(vec!["22012", "08P01", "42601"])
            .prop_map(|code| messages(&format!("< E {code}")).remove(0)),
        prop::sample::select(vec![b'I', b'T', b'E']).prop_map(|status| (Direction::Backend, b'Z', vec![status])),
        prop::sample::select(vec![b'1', b'2', b'3', b's', b'n', b'T', b'D', b'G', b'H', b'I', b'V', b'W', b'N'])
            .prop_map(|tag| (Direction::Backend, tag, vec![0; 3])),
        (
            prop::sample::select(vec![Direction::Frontend, Direction::Backend]),
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..12)
        ),
    ]
}

proptest! {
    /// Whatever comes: no panic, and the same however it is cut and whenever it is saved. Each statement is told as
    /// begun once, and ends once at most.
    #[test]
    fn nothing_that_comes_breaks_it(
        messages in prop::collection::vec(any_message(), 0..60),
        cuts in prop::collection::vec(prop::option::of(0usize..20), 60),
    ) {
        let messages: Vec<Message> = script("").into_iter().chain(messages).collect();
        let (mut conversation, mut events) = feed(&messages, |_| None, false);
        let (mut other, mut again) = feed(&messages, |number| cuts.get(number).copied().flatten(), true);
        prop_assert_eq!(told(&events), told(&again));
        conversation.close(1000, Closed::Recorded, &mut Words, &mut events);
        other.close(1000, Closed::Recorded, &mut Words, &mut again);
        prop_assert_eq!(told(&events), told(&again));
        let mut begun = 0;
        let mut ended = std::collections::HashSet::new();
        for event in &events {
            match event {
                Event::Started(started) => {
                    begun += 1;
                    prop_assert_eq!(started.statement, begun);
                }
                Event::Finished(Finished { statement, .. }) | Event::Unanswered { statement, .. } => {
                    prop_assert!(*statement <= begun && ended.insert(*statement), "{} ends again", statement);
                }
                _ => {}
            }
        }
        prop_assert_eq!(ended.len() as u64, begun);
        prop_assert_eq!(begun, conversation.statements());
    }
}
