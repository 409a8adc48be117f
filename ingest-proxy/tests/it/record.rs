//! What the log holds, read back.

use std::collections::BTreeMap;

use hansard_event_log::{EventLog, LocalLog, Position};
use hansard_schemas::events::{Authenticated, BlockExt, Direction, Event, FrameRun, SessionOpened, event::Kind};
use uuid::Uuid;

/// A session as recorded.
#[derive(Debug, Default, Clone)]
pub(crate) struct Recorded {
    pub(crate) target: String,
    pub(crate) shards: Vec<u16>,
    pub(crate) events: Vec<Event>,
}

/// All sessions of the log; the proxy's own have an empty target. Asserts that both counters are dense.
pub(crate) async fn read(log: &LocalLog) -> BTreeMap<Uuid, Recorded> {
    let mut sessions: BTreeMap<Uuid, Recorded> = BTreeMap::new();
    for shard in 0..log.shards() {
        let mut from = Position::START;
        loop {
            let batch = log.read(shard, from, 1 << 20).await.unwrap();
            if batch.blocks.is_empty() {
                break;
            }
            from = batch.next;
            for positioned in batch.blocks {
                let block = positioned.block;
                let session = sessions.entry(block.session().unwrap()).or_default();
                session.target.clone_from(&block.target);
                if !session.shards.contains(&shard) {
                    session.shards.push(shard);
                }
                session.events.extend(block.events().unwrap());
            }
        }
    }
    for (id, session) in &sessions {
        assert_eq!(session.shards.len(), 1, "session {id} lies in more than one shard");
        let (mut seq, mut event_no) = (1, 1);
        for event in &session.events {
            match &event.kind {
                Some(Kind::Frames(run)) => {
                    assert_eq!(run.first_seq, seq, "session {id}");
                    seq += u64::from(run.count);
                }
                Some(_) => {
                    assert_eq!(event.event_no, event_no, "session {id}");
                    event_no += 1;
                }
                None => panic!("session {id} has an event without content"),
            }
        }
    }
    sessions
}

/// The sessions of jobs, in the order in which they began.
pub(crate) async fn jobs(log: &LocalLog) -> Vec<Recorded> {
    let all = read(log).await.into_values();
    all.filter(|session| !session.target.is_empty() && !session.is_own()).collect()
}

/// Hansard's own sessions.
pub(crate) async fn own(log: &LocalLog) -> Vec<Recorded> {
    read(log).await.into_values().filter(Recorded::is_own).collect()
}

/// What the process has told of catalogs, by shard.
pub(crate) async fn told(log: &LocalLog) -> BTreeMap<u16, Vec<Kind>> {
    let mut told: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for session in read(log).await.into_values().filter(|session| session.target.is_empty()) {
        let kinds = session.kinds().filter(|kind| matches!(kind, Kind::CatalogRead(_) | Kind::CatalogChanging(_)));
        told.entry(session.shards[0]).or_default().extend(kinds.cloned());
    }
    told
}

impl Recorded {
    pub(crate) fn runs(&self) -> impl Iterator<Item = &FrameRun> {
        self.events.iter().filter_map(|event| match &event.kind {
            Some(Kind::Frames(run)) => Some(run),
            _ => None,
        })
    }

    /// The byte stream of one direction.
    pub(crate) fn bytes(&self, direction: Direction) -> Vec<u8> {
        self.runs().filter(|run| run.direction() == direction).flat_map(|run| run.frames.to_vec()).collect()
    }

    pub(crate) fn withheld(&self) -> Vec<&str> {
        self.runs().map(|run| run.withheld.as_str()).filter(|what| !what.is_empty()).collect()
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.events.iter().filter_map(|event| event.kind.as_ref()).filter(|kind| !matches!(kind, Kind::Frames(_)))
    }

    /// The first event.
    pub(crate) fn opened(&self) -> &SessionOpened {
        match self.kinds().next() {
            Some(Kind::SessionOpened(opened)) => opened,
            other => panic!("a session begins with {other:?}"),
        }
    }

    /// It is Hansard's: nobody vouches for it, and it needs nobody to.
    pub(crate) fn is_own(&self) -> bool {
        self.kinds()
            .any(|kind| matches!(kind, Kind::Authenticated(who) if who.issuer.is_empty() && who.job == "hansard"))
    }

    /// Who the job is, and what its session began with.
    pub(crate) fn authenticated(&self) -> &Authenticated {
        let found = self.kinds().find_map(|kind| match kind {
            Kind::Authenticated(authenticated) => Some(authenticated),
            _ => None,
        });
        found.expect("the job was let in")
    }

    /// Reason of the closing event.
    pub(crate) fn end(&self) -> Option<&str> {
        self.kinds().find_map(|kind| match kind {
            Kind::SessionClosed(closed) => Some(closed.reason.as_str()),
            _ => None,
        })
    }
}

/// Waits until `condition` holds for the sessions of jobs, for a generous time.
pub(crate) async fn until(log: &LocalLog, condition: impl Fn(&[Recorded]) -> bool) -> Vec<Recorded> {
    for _ in 0..400 {
        let jobs = jobs(log).await;
        if condition(&jobs) {
            return jobs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the log does not come to hold what is waited for: {:#?}", jobs(log).await);
}

/// Waits until the only session is closed.
pub(crate) async fn closed(log: &LocalLog) -> Recorded {
    let mut jobs = until(log, |jobs| jobs.first().is_some_and(|job| job.end().is_some())).await;
    assert_eq!(jobs.len(), 1);
    jobs.remove(0)
}
