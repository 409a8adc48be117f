//! Hand-made sessions, block by block, and what the lake must hold of them.

use hansard_schemas::events::event::Kind;
use hansard_schemas::events::{
    Authenticated, Block, Direction, Event, FrameRun, Message, Payload, SessionClosed, SessionOpened,
};
use uuid::Uuid;

/// 2026-11-22T03:12:00Z.
pub(crate) const BEGIN: i64 = 1_795_317_120_000_000_000;

/// A frame as the lake must hold it: session, seq, bytes.
pub(crate) type Frame = (String, i64, Vec<u8>);

/// A session that grows block by block.
pub(crate) struct Session {
    pub(crate) id: Uuid,
    at: i64,
    seq: u64,
    event_no: u64,
    /// All frames so far.
    pub(crate) frames: Vec<Frame>,
}

impl Session {
    pub(crate) fn new(id: Uuid) -> Session {
        Session { id, at: BEGIN, seq: 0, event_no: 0, frames: Vec::new() }
    }

    /// The block that opens the session.
    pub(crate) fn open(&mut self) -> Vec<u8> {
        let opened = SessionOpened {
            client_addr: "127.0.0.1:40000".to_owned(),
            application_name: "reranker".to_owned(),
            db_user: "app".to_owned(),
            database: "ranking".to_owned(),
            node: "node".to_owned(),
            instance: "instance".to_owned(),
            ..SessionOpened::default()
        };
        let authenticated = Authenticated {
            issuer: "ci".to_owned(),
            subject: "nightly".to_owned(),
            job: "nightly".to_owned(),
            search_path: vec!["public".to_owned()],
            ..Authenticated::default()
        };
        let startup = [&[0, 0, 0, 18, 0, 3, 0, 0][..], b"user\0app\0\0"].concat();
        let welcome = [frame(b'R', &[0, 0, 0, 0]), frame(b'Z', b"I")];
        let mut events = vec![
            self.event(Kind::SessionOpened(opened)),
            self.frames(Direction::Frontend, &[startup]),
            self.event(Kind::Authenticated(authenticated)),
            self.frames(Direction::Backend, &welcome),
        ];
        if let Some(Kind::Frames(run)) = &mut events[1].kind {
            run.tag = Some(0);
        }
        self.block(events)
    }

    /// A block with one query and its answer.
    pub(crate) fn query(&mut self, sql: &str) -> Vec<u8> {
        let query = frame(b'Q', &[sql.as_bytes(), b"\0"].concat());
        let answer = [frame(b'C', b"UPDATE 1\0"), frame(b'Z', b"I")];
        let events = vec![self.frames(Direction::Frontend, &[query]), self.frames(Direction::Backend, &answer)];
        self.block(events)
    }

    /// The block that ends the session.
    pub(crate) fn close(&mut self) -> Vec<u8> {
        let terminate = self.frames(Direction::Frontend, &[frame(b'X', b"")]);
        let closed = SessionClosed { reason: "terminated by job".to_owned(), frames: self.seq, ..Default::default() };
        let closed = self.event(Kind::SessionClosed(closed));
        self.block(vec![terminate, closed])
    }

    fn event(&mut self, kind: Kind) -> Event {
        self.at += 1_000_000;
        self.event_no += 1;
        Event { at: u64::try_from(self.at).unwrap(), event_no: self.event_no, kind: Some(kind) }
    }

    fn frames(&mut self, direction: Direction, frames: &[Vec<u8>]) -> Event {
        self.at += 1_000_000;
        let run = FrameRun {
            direction: direction as i32,
            first_seq: self.seq + 1,
            count: u32::try_from(frames.len()).unwrap(),
            frames: frames.concat().into(),
            ..FrameRun::default()
        };
        for frame in frames {
            self.seq += 1;
            self.frames.push((self.id.to_string(), i64::try_from(self.seq).unwrap(), frame.clone()));
        }
        Event { at: u64::try_from(self.at).unwrap(), event_no: 0, kind: Some(Kind::Frames(run)) }
    }

    fn block(&mut self, events: Vec<Event>) -> Vec<u8> {
        let frames: u64 = events
            .iter()
            .map(|event| match &event.kind {
                Some(Kind::Frames(run)) => u64::from(run.count),
                _ => 0,
            })
            .sum();
        let others = events.iter().filter(|event| event.event_no > 0).count() as u64;
        let payload = Payload { events }.encode_to_vec();
        let block = Block {
            session_id: self.id.as_bytes().to_vec(),
            target: "ranking".to_owned(),
            first_seq: self.seq - frames + 1,
            last_seq: self.seq,
            first_event: self.event_no - others + 1,
            last_event: self.event_no,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        };
        block.encode_to_vec()
    }
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, body].concat()
}
