//! Plays conversations of roads, each in a database of its own, and compares what has become of their numbers.

use std::time::{Duration, Instant};

use futures::StreamExt;
use hansard_tests::decoding;
use hansard_tests::hansard::Settings;
use hansard_tests::postgres::DATABASE;
use hansard_tests::wire::Wire;
use hansard_tests::{Config, Hansard, Postgres, eventually};
use tokio_postgres::Client;

use super::{Conversation, truth, world};
use crate::conversation::{FIRST, NUMBERS};
use crate::judge::Verdict;

/// Databases that are there at the same time.
pub(crate) const DATABASES: usize = 40;

/// Conversations at a time.
const AT_ONCE: usize = 8;

const PATIENCE: Duration = Duration::from_secs(60);

/// Hansard in front of a cluster with a database to copy.
pub(crate) struct Roads {
    postgres: Postgres,
    superuser: Client,
    config: Config,
    hansard: Hansard,
    base: i64,
}

impl Roads {
    pub(crate) async fn start() -> Roads {
        let settings = ["wal_level=logical", "autovacuum=off", "max_replication_slots=64"];
        let postgres = Postgres::start_on(None, &settings).await.unwrap();
        let superuser = postgres.superuser(DATABASE).await.unwrap();
        for sql in [
            "ALTER ROLE app SET lock_timeout = '500ms'; ALTER ROLE app SET statement_timeout = '5s'",
            "ALTER ROLE app CREATEROLE; CREATE ROLE r; GRANT r TO app",
            &format!("CREATE DATABASE {}", world::TEMPLATE),
            &format!("GRANT ALL ON DATABASE {} TO app", world::TEMPLATE),
        ] {
            superuser.batch_execute(sql).await.unwrap();
        }
        postgres.superuser(world::TEMPLATE).await.unwrap().batch_execute(&world::create()).await.unwrap();
        let config = Config::new(&postgres, &Settings::default()).unwrap();
        let hansard = config.start("up").unwrap();
        // Hansard's own session is recorded first.
        let token = config.token("first").unwrap();
        let first = Wire::session(hansard.proxy().unwrap(), "app", DATABASE, &token).await.unwrap();
        eventually("a catalog is told", PATIENCE, || {
            let rows = config.sql("SELECT * FROM sessions WHERE job = 'hansard'")?;
            anyhow::ensure!(!rows.is_empty(), "none");
            Ok(())
        })
        .unwrap();
        drop(first);
        Roads { postgres, superuser, config, hansard, base: FIRST }
    }

    /// What the record says of conversations that are played now.
    pub(crate) async fn batch(&mut self, seeds: &[u64]) -> Verdict {
        let job = format!("roads-{}", self.base);
        let token = self.config.token(&job).unwrap();
        let mut made = Vec::new();
        for seed in seeds {
            made.push(Conversation::of(*seed, self.base));
            self.base += NUMBERS;
        }
        for one in &made {
            self.prepare(one).await;
        }
        let proxy = self.hansard.proxy().unwrap();
        let play = |conversation: &Conversation| {
            let (conversation, token) = (conversation.clone(), token.clone());
            async move {
                if let Err(error) = conversation.play(proxy, &token).await {
                    panic!("{error:#}: {conversation:?}");
                }
            }
        };
        let together: Vec<_> = made.iter().filter(|one| !one.alone).collect();
        futures::stream::iter(together).for_each_concurrent(AT_ONCE, &play).await;
        for one in made.iter().filter(|one| one.alone) {
            play(one).await;
            self.superuser.batch_execute("ALTER ROLE app RESET search_path").await.unwrap();
        }
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name LIKE 'road%'";
        let until = Instant::now() + PATIENCE;
        while self.superuser.query_one(busy, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            assert!(Instant::now() < until, "sessions of the database do not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut landed = truth::Landed::new();
        for one in &made {
            let database = one.database();
            let superuser = self.postgres.superuser(&database).await.unwrap();
            landed.extend(truth::landed(&superuser, &database).await.unwrap());
            superuser.execute("SELECT pg_drop_replication_slot($1)", &[&database]).await.unwrap();
        }
        let played = truth::Played { job, conversations: &made, landed };
        let judge = || truth::judge(&self.config, &played);
        let verdict = eventually("the record of all sessions", PATIENCE, judge).unwrap();
        for one in &made {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", one.database());
            self.superuser.batch_execute(&drop).await.unwrap();
        }
        verdict
    }

    /// Makes its database, and a slot that keeps what is changed there.
    async fn prepare(&self, conversation: &Conversation) {
        let database = conversation.database();
        let create = format!("CREATE DATABASE {database} TEMPLATE {}", world::TEMPLATE);
        self.superuser.batch_execute(&create).await.unwrap();
        let grant = format!("GRANT ALL ON DATABASE {database} TO app");
        self.superuser.batch_execute(&grant).await.unwrap();
        let superuser = self.postgres.superuser(&database).await.unwrap();
        if !conversation.victims.is_empty() {
            superuser.batch_execute(&world::victims(&conversation.victims)).await.unwrap();
        }
        decoding::begin(&superuser, &database).await.unwrap();
    }
}
