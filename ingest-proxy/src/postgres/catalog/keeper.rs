//! Keeps what is known of catalogs up to date, and tells it.
//!
//! Invariants: one reading of a database at a time; at least [`PAUSE`] between two, and four times as long as the last one
//! took, or twenty times where nothing says that something has changed; a database that cannot be read is asked less and less often.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hansard_policy::catalog::{Change, Missing};
use hansard_schemas::events::{self, CatalogChange, event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Problem};
use super::reader::{Known, Reader, Reading};
use super::{Database, POLL, Schemas, State};
use crate::capture::process::ProcessRecords;
use crate::errors::Error;
use crate::options::TargetOptions;
use crate::postgres::upstream::Route;
use crate::worker::Worker;

/// Between two readings of a database.
const PAUSE: Duration = Duration::from_millis(200);

/// Between two attempts where a database cannot be read: the first, doubling up to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Without a session for so long, nothing is read any more, and the connection is closed. What is known stays.
const IDLE: Duration = Duration::from_secs(60);

/// To connect.
const CONNECT: Duration = Duration::from_secs(5);

/// Bytes of definitions told in one event, where one is not longer by itself.
const PART: usize = 512 * 1024;

/// Level of zstd for what is told.
const LEVEL: i32 = 1;

/// Reads catalogs in a thread of its own, so that sessions do not wait for it. The receiver hears of its end.
pub(crate) fn spawn(
    workers: Vec<Arc<Worker>>,
    records: Arc<ProcessRecords>,
    stop: CancellationToken,
) -> Result<tokio::sync::oneshot::Receiver<()>, Error> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(Error::Worker)?;
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("proxy-catalog".to_owned())
        .spawn(move || {
            runtime.block_on(run(workers, records, stop));
            runtime.shutdown_timeout(Duration::from_secs(1));
            // Nobody listens any more when the caller gave up waiting.
            let _ = ended.send(());
        })
        .map_err(Error::Worker)?;
    Ok(end)
}

async fn run(workers: Vec<Arc<Worker>>, records: Arc<ProcessRecords>, stop: CancellationToken) {
    let Some(first) = workers.first() else { return };
    let shared = first.shared.clone();
    let inbox = shared.catalogs.inbox.lock().take();
    let Some(mut inbox): Option<mpsc::Receiver<Arc<Database>>> = inbox else { return };
    // Those that are known from the start are read at the start.
    for (at, target) in shared.options.targets.iter().enumerate() {
        if let Some(name) = &target.upstream.database {
            shared.catalogs.database(at, &target.name, name);
        }
    }
    let mut keepers = JoinSet::new();
    let mut number = 0;
    loop {
        let database = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = keepers.join_next(), if !keepers.is_empty() => continue,
            Some(database) = inbox.recv() => database,
        };
        let keeper = Keeper::new(database, workers[number % workers.len()].clone(), records.clone());
        keepers.spawn(keeper.keep(stop.clone()));
        number += 1;
    }
    while keepers.join_next().await.is_some() {}
}

/// How long the database is left alone after a reading that took so long: where something is to be read, and where nothing
/// says so.
fn pauses(took: Duration) -> (Duration, Duration) {
    (PAUSE.max(4 * took), POLL.max(20 * took))
}

/// Of one database.
struct Keeper {
    database: Arc<Database>,
    worker: Arc<Worker>,
    records: Arc<ProcessRecords>,
    reader: Option<Reader>,
    known: Known,
    told: Told,
    back_off: Duration,
}

/// What has been told of a database.
#[derive(Debug, Default)]
struct Told {
    version: u64,
    missing: Vec<Missing>,
    /// Why nothing is read.
    trouble: Option<String>,
    at: Option<Instant>,
    announced: u64,
    unsettled: BTreeSet<u64>,
}

impl Told {
    /// Some of what had not ended when it was told last has.
    fn settles(&self, announced: u64, unsettled: &[u64]) -> bool {
        let open = |number: &u64| unsettled.contains(number);
        !self.unsettled.iter().all(open) || !(self.announced + 1..=announced).all(|number| open(&number))
    }
}

impl Keeper {
    fn new(database: Arc<Database>, worker: Arc<Worker>, records: Arc<ProcessRecords>) -> Keeper {
        Keeper {
            database,
            worker,
            records,
            reader: None,
            known: Known::default(),
            told: Told::default(),
            back_off: BACK_OFF.0,
        }
    }

    fn target(&self) -> &TargetOptions {
        &self.worker.shared.options.targets[self.database.target]
    }

    fn route(&self) -> &Route {
        &self.worker.shared.routes[self.database.target]
    }

    async fn keep(mut self, stop: CancellationToken) {
        let database = self.database.clone();
        let ended = async {
            tokio::select! {
                () = stop.cancelled() => "proxy stopped",
                () = database.retired.cancelled() => "terminated by job",
            }
        };
        tokio::pin!(ended);
        let reason = tokio::select! {
            reason = &mut ended => reason,
            () = self.keep_on() => "proxy stopped",
        };
        if let Some(reader) = self.reader.take() {
            reader.end(reason).await;
        }
    }

    /// Never ends.
    async fn keep_on(&mut self) {
        loop {
            let begun = Instant::now();
            let (pause, poll) = match self.bring_up_to_date().await {
                Ok(()) => {
                    self.back_off = BACK_OFF.0;
                    pauses(begun.elapsed())
                }
                Err(problem) => {
                    if !matches!(problem, Problem::Refused { .. }) {
                        self.reader = None;
                    }
                    if matches!(problem, Problem::TooMuch(_)) {
                        self.known = Known::default();
                    }
                    self.tell_trouble(&problem.to_string()).await;
                    let pause = self.back_off;
                    self.back_off = (2 * pause).min(BACK_OFF.1);
                    (pause, pause.max(POLL))
                }
            };
            let now = Instant::now();
            self.wait(now + pause, now + poll).await;
        }
    }

    /// Until something is to be read, not before `earliest`; without a reason, at `latest` where there are sessions or have
    /// just been.
    async fn wait(&mut self, earliest: Instant, latest: Instant) {
        sleep_until(earliest).await;
        loop {
            if self.database.sessions.load(Ordering::SeqCst) > 0 {
                *self.database.last_session.lock() = Instant::now();
            }
            let is_idle = self.database.last_session.lock().elapsed() >= IDLE;
            tokio::select! {
                () = self.database.due.notified() => return,
                () = sleep_until(latest), if !is_idle => return,
                () = tokio::time::sleep(POLL), if is_idle => {}
            }
            if let Some(reader) = self.reader.take() {
                reader.end("terminated by job").await;
            }
        }
    }

    async fn bring_up_to_date(&mut self) -> Result<(), Problem> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let (target, route) = (self.target(), self.route());
                let connection =
                    Connection::open(Some(&self.worker), target, route, &self.database.name, CONNECT).await?;
                Reader::begin(connection).await?
            }
        };
        let lost = self.database.lost();
        if !lost.is_empty() {
            let alive = reader.alive(&lost).await?;
            self.database.settle_lost(&lost, &alive);
        }
        // What has ended by now is in what is read next.
        let (announced, unsettled) = self.database.announced();
        let begun = Instant::now();
        let reading = reader.read(&mut self.known).await?;
        self.reader = Some(reader);
        if !reading.settled {
            self.database.due.notify_one();
        }
        let first = self.told.version == 0;
        let recovered = self.told.trouble.is_some();
        // What a session may have changed without a word of it is known again by what is told next.
        let old = self.told.at.is_none_or(|at| at.elapsed() >= POLL);
        let told = recovered || first || old || self.told.missing != self.known.missing;
        if told || !reading.changes.is_empty() || self.told.settles(announced, &unsettled) {
            self.report(recovered);
            self.tell(&reading, announced, unsettled).await;
        }
        let touches_path = |change: &Change| change.kind <= hansard_policy::catalog::Kind::Schema;
        let schemas =
            (first || reading.changes.iter().any(touches_path)).then(|| Arc::new(Schemas::of(&self.known.catalog)));
        let trouble = describe(&self.known.missing);
        self.database.state.send_modify(|state| {
            let schemas = schemas.unwrap_or_else(|| state.schemas.clone());
            let good_until = Some(Instant::now() + 2 * pauses(begun.elapsed()).1);
            *state = State { good_until, trouble, schemas };
        });
        Ok(())
    }

    /// Says in the log what is not known, when that changes.
    fn report(&self, recovered: bool) {
        let (target_name, database) = (&self.database.target_name, &self.database.name);
        match describe(&self.known.missing) {
            Some(reason) if recovered || self.told.missing != self.known.missing => tracing::warn!(
                target_name,
                database,
                reason,
                "some of the catalog is not known: what depends on it is recorded as not certain"
            ),
            None if recovered || !self.told.missing.is_empty() => {
                tracing::info!(target_name, database, objects = self.known.catalog.len(), "the catalog is known");
            }
            _ => {}
        }
    }

    /// Tells a reading in as many events as it takes.
    async fn tell(&mut self, reading: &Reading, announced: u64, unsettled: Vec<u64>) {
        let whole = self.told.version == 0;
        let base_version = if whole { 0 } else { self.told.version };
        let missing: Vec<_> = self
            .known
            .missing
            .iter()
            .map(|missing| events::CatalogMissing {
                kind: missing.kind.as_str().to_owned(),
                reason: missing.why.to_string(),
            })
            .collect();
        let read = events::CatalogRead {
            version: self.told.version + 1,
            base_version,
            begun_at: reading.begun_at,
            read_at: reading.read_at,
            complete: missing.is_empty(),
            missing,
            announced,
            unsettled: unsettled.clone(),
            ..self.event()
        };
        let mut parts = cut(&reading.changes).into_iter().peekable();
        for part in 1.. {
            let changes = parts.next().unwrap_or_default();
            let last = parts.peek().is_none();
            let mut read = events::CatalogRead { part, last, ..read.clone() };
            if let Err(error) = read.pack(changes, LEVEL) {
                tracing::error!(%error, "a part of a catalog could not be told");
            }
            self.records.tell(&event::Kind::CatalogRead(read)).await;
            if last {
                break;
            }
        }
        self.told = Told {
            version: self.told.version + 1,
            missing: self.known.missing.clone(),
            trouble: None,
            at: Some(Instant::now()),
            announced,
            unsettled: unsettled.into_iter().collect(),
        };
    }

    /// Tells that nothing can be read, once for each reason.
    async fn tell_trouble(&mut self, reason: &str) {
        if self.told.trouble.as_deref() == Some(reason) {
            return;
        }
        let (target_name, database) = (&self.database.target_name, &self.database.name);
        tracing::warn!(
            target_name,
            database,
            reason,
            "the catalog cannot be read: names without a schema, and what hides behind names, are recorded as not certain"
        );
        let nothing = self.known.catalog.is_empty();
        let now = crate::clock::now();
        let read = events::CatalogRead {
            version: self.told.version + 1,
            base_version: if nothing { 0 } else { self.told.version },
            begun_at: now,
            read_at: now,
            missing: vec![events::CatalogMissing { kind: String::new(), reason: reason.to_owned() }],
            announced: self.told.announced,
            unsettled: self.told.unsettled.iter().copied().collect(),
            part: 1,
            last: true,
            ..self.event()
        };
        self.records.tell(&event::Kind::CatalogRead(read)).await;
        self.told.version += 1;
        self.told.trouble = Some(reason.to_owned());
        self.database.state.send_modify(|state| state.trouble = Some(reason.to_owned()));
    }

    fn event(&self) -> events::CatalogRead {
        let (node, instance) = self.records.node();
        let (target, database) = (self.database.target_name.clone(), self.database.name.clone());
        events::CatalogRead { node, instance, target, database, ..events::CatalogRead::default() }
    }
}

/// What is not known, in one line.
fn describe(missing: &[Missing]) -> Option<String> {
    let all: Vec<String> =
        missing.iter().map(|missing| format!("{}: {}", missing.kind.as_str(), missing.why)).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// As they are told, in parts.
fn cut(changes: &[Change]) -> Vec<Vec<CatalogChange>> {
    let (mut parts, mut part, mut length) = (Vec::new(), Vec::new(), 0);
    for change in changes {
        let object = change.object.as_deref();
        let definition = object.map(|object| serde_json::to_string(object).unwrap_or_default()).unwrap_or_default();
        if length > 0 && length + definition.len() > PART {
            parts.push(std::mem::take(&mut part));
            length = 0;
        }
        // What stands beside the definition.
        length += definition.len() + 32;
        let kind = change.kind.as_str().to_owned();
        part.push(CatalogChange { kind, oid: change.oid, removed: object.is_none(), definition });
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Reads a target's catalog once, and says how that went, in one line. `Err` is a negative finding.
pub(crate) async fn check(target: &TargetOptions, route: &Route) -> Result<String, String> {
    let database = target.upstream.database.as_deref().unwrap_or("postgres");
    let read = async {
        let connection = Connection::open(None, target, route, database, CONNECT).await?;
        let mut reader = Reader::begin(connection).await?;
        let mut known = Known::default();
        reader.read(&mut known).await?;
        reader.end("").await;
        Ok::<_, Problem>(known)
    };
    let known = read.await.map_err(|problem| format!("catalog of database \"{database}\": {problem}"))?;
    let relations = known.catalog.objects().filter(|(kind, ..)| *kind == hansard_policy::catalog::Kind::Relation);
    match describe(&known.missing) {
        None => Ok(format!("catalog of database \"{database}\": {} relations", relations.count())),
        Some(missing) => Err(format!("catalog of database \"{database}\": {missing}")),
    }
}
