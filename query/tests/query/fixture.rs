//! A lake and a log as a proxy and a recorder would have left them, at times that a test chooses.

use std::sync::Arc;

use hansard_event_log::{EventLog, Fsync, LocalLog, LocalLogOptions, Position, shard_of};
use hansard_lake::catalog::{Commit, OpenSession};
use hansard_lake::layout::FlushId;
use hansard_lake::{Lake, LakeOptions, writer};
use hansard_query::{Answer, Engine, EngineOptions, Error, Export, Moment, Piece, format};
use hansard_record::{Projector, Rows, SessionState};
use hansard_schemas::events::Message;
use hansard_schemas::events::{
    Authenticated, Block, ClientCertificate, Direction, Event, FrameRun, Gap, Omitted, Payload, SessionClosed,
    SessionOpened, Tls, event::Kind,
};
use uuid::Uuid;

pub(crate) const SHARDS: u16 = 2;

/// A time of the night in question.
pub(crate) fn at(clock: &str) -> i64 {
    Moment::parse(&format!("2026-11-22T{clock}Z")).unwrap().from
}

/// A folder with a log and a lake in it.
pub(crate) struct Fixture {
    pub(crate) log: Arc<LocalLog>,
    pub(crate) lake: Arc<Lake>,
    folder: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let log = LocalLog::open(LocalLogOptions {
            path: folder.path().join("log"),
            shards: SHARDS,
            fsync: Fsync::Interval(std::time::Duration::from_millis(50)),
            segment_bytes: 1024 * 1024,
            max_bytes: 1024 * 1024 * 1024,
        })
        .unwrap();
        let lake = Lake::open(&LakeOptions {
            url: format!("file:{}", folder.path().join("lake").display()),
            catalog: format!("sqlite:{}", folder.path().join("catalog.db").display()),
        })
        .unwrap();
        Fixture { log, lake: Arc::new(lake), folder }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(EngineOptions { target_partitions: 2, ..EngineOptions::default() })
    }

    pub(crate) fn engine_with(&self, options: EngineOptions) -> Engine {
        let log: Arc<dyn EventLog> = self.log.clone();
        Engine::new(Arc::clone(&self.lake), Some(log), options)
    }

    /// Takes a file of the lake away behind everybody's back.
    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.path().join("lake").join(path)).unwrap();
    }

    /// Does what a recorder does with all that the log holds now.
    pub(crate) async fn flush(&self) {
        for shard in 0..SHARDS {
            self.flush_shard(shard).await;
        }
    }

    /// Adds rows to the lake, as a recorder that had read no further.
    pub(crate) async fn put(&self, rows: Rows) {
        let hold = self.lake.catalog.take_shard(0, "test").await.unwrap();
        let from = hold.watermark;
        let flush = FlushId { shard: 0, epoch: hold.epoch.0, flush: 0, from, watermark: from };
        let lake = Arc::clone(&self.lake);
        let write = move || writer::write_rows(&lake, |table| rows.batch(table), &flush);
        let files = tokio::task::spawn_blocking(write).await.unwrap().unwrap();
        let (sessions, ended) = (Vec::new(), Vec::new());
        let commit = Commit { shard: 0, epoch: hold.epoch, from, watermark: from, files, sessions, ended };
        self.lake.catalog.commit(commit).await.unwrap();
    }

    pub(crate) async fn flush_shard(&self, shard: u16) {
        let hold = self.lake.catalog.take_shard(shard, "test").await.unwrap();
        let mut projector = Projector::restore(shard, hold.sessions.iter().map(OpenSession::saved)).unwrap();
        let mut rows = Rows::default();
        let mut from = Position(hold.watermark);
        loop {
            let batch = self.log.read(shard, from, 1 << 20).await.unwrap();
            if batch.next == from {
                break;
            }
            batch.blocks.iter().for_each(|block| projector.apply(&block.block, &mut rows));
            from = batch.next;
        }
        if from.0 > hold.watermark {
            let changes = projector.take_changes();
            let (epoch, watermark) = (hold.epoch, from.0);
            let flush = FlushId { shard, epoch: epoch.0, flush: 0, from: hold.watermark, watermark };
            let lake = Arc::clone(&self.lake);
            let write = move || writer::write_rows(&lake, |table| rows.batch(table), &flush);
            let files = tokio::task::spawn_blocking(write).await.unwrap();
            let open = |SessionState { session_id, state }: SessionState| OpenSession { shard, session_id, state };
            let commit = Commit {
                shard,
                epoch,
                from: hold.watermark,
                watermark,
                files: files.unwrap(),
                sessions: changes.sessions.into_iter().map(open).collect(),
                ended: changes.ended,
            };
            self.lake.catalog.commit(commit).await.unwrap();
        }
    }
}

/// One session, as its proxy records it.
pub(crate) struct Session {
    log: Arc<LocalLog>,
    pub(crate) id: Uuid,
    shard: u16,
    seq: u64,
    event_no: u64,
    /// Status in ReadyForQuery.
    status: u8,
}

impl Session {
    /// Opens session number `id` of a job, on target `ranking`.
    pub(crate) async fn open(fixture: &Fixture, id: u128, job: &str, clock: &str) -> Session {
        Session::open_as(fixture, id, job, clock, "full").await
    }

    /// As [`Session::open`], at a capture level.
    pub(crate) async fn open_as(fixture: &Fixture, id: u128, job: &str, clock: &str, capture: &str) -> Session {
        let id = Uuid::from_u128(0x019a_a000_0000_7000_8000_0000_0000_0000 | id);
        let log = Arc::clone(&fixture.log);
        let mut session = Session { log, id, shard: shard_of(&id, SHARDS), seq: 0, event_no: 0, status: b'I' };
        session
            .tell(
                clock,
                vec![
                    Kind::SessionOpened(SessionOpened {
                        client_addr: "10.0.0.7:51234".to_owned(),
                        application_name: format!("{job}-app"),
                        db_user: "app".to_owned(),
                        database: "ranking".to_owned(),
                        protocol_version: 196_608,
                        capture: capture.to_owned(),
                        tls: Some(Tls {
                            version: "TLSv1.3".to_owned(),
                            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                            client_certificate: Some(ClientCertificate {
                                subject: format!("CN={job}"),
                                sha256: vec![0xc4; 32],
                            }),
                        }),
                        ..SessionOpened::default()
                    }),
                    Kind::Authenticated(Authenticated {
                        issuer: "ci".to_owned(),
                        subject: format!("svc:{job}"),
                        job: job.to_owned(),
                        groups: vec!["batch".to_owned()],
                        search_path: vec!["public".to_owned()],
                        ..Authenticated::default()
                    }),
                ],
            )
            .await;
        // AuthenticationOk and the first ReadyForQuery.
        session.exchange(clock, &[], &[frame(b'R', &[0; 4]), frame(b'Z', b"I")]).await;
        session
    }

    /// A simple query that the server answers with rows of one text column and a command tag.
    pub(crate) async fn query(&mut self, clock: &str, sql: &str, rows: &[&str], tag: &str) -> &mut Session {
        let mut backend = Vec::new();
        if !rows.is_empty() {
            let mut description = 1u16.to_be_bytes().to_vec();
            description.extend_from_slice(b"title\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
            backend.push(frame(b'T', &description));
        }
        for row in rows {
            let mut cells = 1u16.to_be_bytes().to_vec();
            cells.extend_from_slice(&u32::try_from(row.len()).unwrap().to_be_bytes());
            cells.extend_from_slice(row.as_bytes());
            backend.push(frame(b'D', &cells));
        }
        backend.push(frame(b'C', &[tag.as_bytes(), b"\0"].concat()));
        self.status = match tag {
            "BEGIN" => b'T',
            "COMMIT" | "ROLLBACK" => b'I',
            _ => self.status,
        };
        backend.push(frame(b'Z', &[self.status]));
        self.exchange(clock, &[frame(b'Q', &[sql.as_bytes(), b"\0"].concat())], &backend).await;
        self
    }

    /// A simple query that fails.
    pub(crate) async fn fails(&mut self, clock: &str, sql: &str, sqlstate: &str, message: &str) -> &mut Session {
        let fields = format!("SERROR\0VERROR\0C{sqlstate}\0M{message}\0\0");
        if self.status == b'T' {
            self.status = b'E';
        }
        let backend = [frame(b'E', fields.as_bytes()), frame(b'Z', &[self.status])];
        self.exchange(clock, &[frame(b'Q', &[sql.as_bytes(), b"\0"].concat())], &backend).await;
        self
    }

    /// Frames of the job, then frames of the server, in one block; the answer comes 2 ms later.
    pub(crate) async fn exchange(&mut self, clock: &str, frontend: &[Vec<u8>], backend: &[Vec<u8>]) {
        let at = at(clock);
        let first_seq = self.seq + 1;
        let mut events = Vec::new();
        for (at, direction, frames) in
            [(at, Direction::Frontend, frontend), (at + 2_000_000, Direction::Backend, backend)]
        {
            if frames.is_empty() {
                continue;
            }
            let run = FrameRun {
                direction: direction as i32,
                first_seq: self.seq + 1,
                count: u32::try_from(frames.len()).unwrap(),
                frames: frames.concat().into(),
                ..FrameRun::default()
            };
            self.seq += frames.len() as u64;
            events.push(Event { at: u64::try_from(at).unwrap(), event_no: 0, kind: Some(Kind::Frames(run)) });
        }
        self.append(first_seq, self.event_no + 1, events).await;
    }

    /// A mark in the place of frames that are not recorded.
    pub(crate) async fn omit(&mut self, clock: &str, direction: Direction, tag: u8, withheld: &str, omitted: Omitted) {
        self.seq += 1;
        let mark = FrameRun {
            direction: direction as i32,
            first_seq: self.seq,
            count: 1,
            tag: Some(u32::from(tag)),
            withheld: withheld.to_owned(),
            omitted: Some(omitted),
            ..FrameRun::default()
        };
        let event = Event { at: u64::try_from(at(clock)).unwrap(), event_no: 0, kind: Some(Kind::Frames(mark)) };
        self.append(self.seq, self.event_no + 1, vec![event]).await;
    }

    /// Frames that were not recorded.
    pub(crate) async fn lose(&mut self, clock: &str) {
        let gap = Gap { frames: 3, reason: "the log was full".to_owned() };
        self.tell(clock, vec![Kind::Gap(gap)]).await;
    }

    /// Ends the session, as its job asked.
    pub(crate) async fn close(&mut self, clock: &str) {
        self.exchange(clock, &[frame(b'X', b"")], &[]).await;
        let closed =
            SessionClosed { reason: "terminated by job".to_owned(), frames: self.seq, ..SessionClosed::default() };
        self.tell(clock, vec![Kind::SessionClosed(closed)]).await;
    }

    async fn tell(&mut self, clock: &str, kinds: Vec<Kind>) {
        let first_event = self.event_no + 1;
        let mut events = Vec::new();
        for kind in kinds {
            self.event_no += 1;
            events.push(Event { at: u64::try_from(at(clock)).unwrap(), event_no: self.event_no, kind: Some(kind) });
        }
        self.append(self.seq + 1, first_event, events).await;
    }

    async fn append(&mut self, first_seq: u64, first_event: u64, events: Vec<Event>) {
        let payload = Payload { events }.encode_to_vec();
        let block = Block {
            session_id: self.id.as_bytes().to_vec(),
            target: "ranking".to_owned(),
            first_seq,
            last_seq: self.seq,
            first_event,
            last_event: self.event_no,
            payload_length: payload.len() as u64,
            payload,
            ..Block::default()
        };
        self.log.append(self.shard, block).await.unwrap();
    }
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// The night in question: what was flushed at 03:13 lies in the lake, the rest in the log.
pub(crate) async fn story() -> Fixture {
    let fixture = Fixture::new();
    let mut rerank = Session::open(&fixture, 1, "rerank", "03:11:57").await;
    rerank.query("03:11:58", "BEGIN", &[], "BEGIN").await;
    rerank.query("03:11:59", "SELECT title FROM candidates", &["Alien", "Brazil"], "SELECT 2").await;
    rerank.query("03:12:00.5", "UPDATE rankings SET score = score + 1 WHERE id < 4", &[], "UPDATE 3").await;
    rerank.query("03:12:01", "COMMIT", &[], "COMMIT").await;
    rerank.close("03:12:02").await;

    let mut reader = Session::open(&fixture, 2, "rag-reader", "03:12:09").await;
    reader.query("03:12:10", "SELECT title FROM public.rankings", &["Alien"], "SELECT 1").await;
    reader.close("03:12:11").await;

    let mut contractor = Session::open(&fixture, 3, "contractor", "03:12:19").await;
    contractor.query("03:12:19.5", "BEGIN", &[], "BEGIN").await;
    contractor.query("03:12:20", "UPDATE public.rankings SET score = 0", &[], "UPDATE 9").await;
    contractor.query("03:12:21", "ROLLBACK", &[], "ROLLBACK").await;
    contractor.close("03:12:22").await;

    let mut archiver = Session::open(&fixture, 4, "archiver", "03:12:04").await;
    archiver.query("03:12:05", "UPDATE audit.rankings SET note = 'x'", &[], "UPDATE 1").await;
    archiver.close("03:12:06").await;

    // Open at the flush, and for good.
    let mut nightly = Session::open(&fixture, 5, "nightly", "03:12:39").await;
    nightly.query("03:12:39.5", "BEGIN", &[], "BEGIN").await;
    nightly.query("03:12:40", "UPDATE rankings SET score = 7 WHERE id = 7", &[], "UPDATE 1").await;
    fixture.flush().await;

    let mut clumsy = Session::open(&fixture, 6, "clumsy", "03:13:10").await;
    clumsy.fails("03:13:11", "UPDATE rankings SET nope = 1", "42703", "column \"nope\" does not exist").await;
    clumsy.close("03:13:12").await;

    let mut importer = Session::open(&fixture, 7, "importer", "03:14:00").await;
    importer
        .query(
            "03:14:01",
            "INSERT INTO rankings (id, score) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET score = excluded.score",
            &[],
            "INSERT 0 1",
        )
        .await;
    importer.close("03:14:02").await;
    fixture
}

/// One column of an answer, as text.
pub(crate) fn column(answer: &Answer, name: &str) -> Vec<String> {
    let cell = |row: serde_json::Map<String, serde_json::Value>| match row.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => panic!("no column {name} in {row:?}"),
    };
    format::objects(answer).into_iter().map(cell).collect()
}

/// All bytes of an export.
pub(crate) async fn whole(mut export: Export) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await {
        match piece? {
            Piece::Bytes(piece) => bytes.extend_from_slice(&piece),
            other => panic!("{other:?} in an export of bytes"),
        }
    }
    Ok(bytes)
}
