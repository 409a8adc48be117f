//! Conversations: the same bytes cut differently, saved and restored anywhere, tell the same statements.
#![no_main]

use std::collections::HashSet;

use hansard_pg_wire::conversation::{
    Analyser, Closed, Conversation, Event, Finished, Frame, Note, Reading, Text, TransactionEnded,
};
use hansard_pg_wire::frame::{Direction, HEADER, Part};
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

/// A text whose letters are its statements' notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Letters {
    text: String,
    reading: Reading,
    #[serde(skip)]
    notes: Vec<Vec<Note>>,
}

struct Reader;

impl Analyser for Reader {
    type Text = Letters;

    fn read(&mut self, text: &str, reading: Reading) -> Letters {
        let name = "a".to_owned();
        let notes = text.chars().take(20).map(|letter| match letter {
            'c' => vec![Note::Commit { chain: false }],
            'C' => vec![Note::Commit { chain: true }],
            'r' => vec![Note::Rollback { chain: false }],
            's' => vec![Note::Savepoint(name.clone())],
            't' => vec![Note::RollbackTo(name.clone())],
            'l' => vec![Note::Release(name.clone())],
            'p' => vec![Note::Prepare(name.clone())],
            'e' => vec![Note::Execute(name.clone())],
            'd' => vec![Note::Deallocate(Some(name.clone()))],
            'D' => vec![Note::DiscardAll],
            'f' => vec![Note::Fetch(name.clone())],
            'x' => vec![Note::CloseCursor(None)],
            '2' => vec![Note::PrepareTransaction(name.clone())],
            '3' => vec![Note::CommitPrepared(name.clone())],
            'm' => vec![Note::MayEndTransaction, Note::MayChangeSettings, Note::RunsCode],
            'v' => vec![Note::CommitsByItself],
            _ => Vec::new(),
        });
        Letters { text: text.to_owned(), reading, notes: notes.collect() }
    }
}

impl Text for Letters {
    fn statements(&self) -> Option<u32> {
        let known = self.reading.readable && self.reading.whole && !self.text.contains('?');
        known.then(|| u32::try_from(self.notes.len().max(1)).unwrap_or(1))
    }

    fn understood(&self, _part: u32, _prepared: bool) -> bool {
        self.statements().is_some()
    }

    fn notes(&self, part: u32, prepared: bool) -> &[Note] {
        self.notes.get(part as usize).filter(|_| !prepared).map(Vec::as_slice).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }
}

/// What is told, without the places of frames, which differ where they are cut.
fn play(messages: &[(bool, u8, &[u8])], cut: Option<usize>, save: bool) -> Vec<String> {
    let (mut conversation, mut events) = (Conversation::new(), Vec::new());
    let mut seq = 0;
    let ready = (true, b'Z', &b"I"[..]);
    for &(backend, tag, body) in std::iter::once(&ready).chain(messages) {
        let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
        let bytes = [&[tag][..], &length, body].concat();
        let direction = if backend { Direction::Backend } else { Direction::Frontend };
        let pieces = match cut {
            None => vec![(None, &bytes[..])],
            Some(place) => {
                let place = HEADER + place % (body.len() + 1);
                vec![(Some(Part::First), &bytes[..place]), (Some(Part::Last), &bytes[place..])]
            }
        };
        for (part, bytes) in pieces {
            seq += 1;
            let frame = Frame { seq, at: 0, direction, tag, part, bytes };
            conversation.feed(&frame, &mut Reader, &mut events);
            if save {
                let saved = serde_json::to_string(&conversation).expect("names are text");
                let restored: Conversation<Letters> = serde_json::from_str(&saved).expect("it was written so");
                conversation = restored.map(&mut |text| Reader.read(&text.text, text.reading));
            }
        }
    }
    conversation.close(0, Closed::Recorded, &mut Reader, &mut events);
    let (mut begun, mut ended) = (0, HashSet::new());
    for event in &events {
        match event {
            Event::Started(started) => {
                begun += 1;
                assert_eq!(started.statement, begun, "statements are numbered as they begin");
            }
            Event::Finished(Finished { statement, .. }) | Event::Unanswered { statement, .. } => {
                assert!(*statement <= begun && ended.insert(*statement), "{statement} ends once, after it began");
            }
            _ => {}
        }
    }
    assert_eq!(ended.len() as u64, begun, "every statement ends");
    let told = events.iter().map(|event| match event {
        Event::Started(started) => format!("{} {:?} {:?}", started.statement, started.request, started.doubt),
        Event::Finished(finished) => {
            format!("{} {:?} {:?} {}", finished.statement, finished.rows, finished.failure, finished.undone)
        }
        Event::Unanswered { statement, .. } => format!("{statement} unanswered"),
        Event::RolledBack { first, last, .. } => format!("{first} {last} undone"),
        Event::TransactionEnded(TransactionEnded { transaction, outcome, .. }) => format!("{transaction} {outcome:?}"),
        Event::Resolved { gid, committed, .. } => format!("{gid} {committed}"),
        Event::Reported { statement, report, .. } => format!("{statement:?} said {report:?}"),
        Event::Setting { name, value } => format!("{name}={value}"),
    });
    told.collect()
}

fuzz_target!(|input: (u8, Vec<(bool, u8, &[u8])>)| {
    let (cut, messages) = input;
    let messages = &messages[..messages.len().min(64)];
    let whole = play(messages, None, false);
    assert_eq!(play(messages, Some(usize::from(cut)), false), whole);
    assert_eq!(play(messages, Some(usize::from(cut)), true), whole);
});
