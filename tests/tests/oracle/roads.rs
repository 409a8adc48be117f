//! Conversations in which each change writes its number by a random road: behind views, rules, triggers, functions,
//! partitions and cascades, by names that mean something else from one moment to the next.
//!
//! Where a number has come to is the word of logical decoding. Results are told by road.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use hansard_tests::wire::{Bound, bind, copy_data, copy_done, execute, extended, parse, query, sync};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::conversation::{End, FIRST, NUMBERS, Planned, Step};
use crate::play::Session;

#[path = "roads/batch.rs"]
pub(crate) mod batch;
#[path = "roads/steps.rs"]
pub(crate) mod steps;
#[path = "roads/truth.rs"]
pub(crate) mod truth;
#[path = "roads/world.rs"]
pub(crate) mod world;

use steps::{NAMES, PATHS, ROADS, TABLES};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) seed: u64,
    pub(crate) base: i64,
    pub(crate) steps: Vec<Step>,
    /// Further start-up parameters of its two sessions.
    start: [Vec<(&'static str, String)>; 2],
    /// By a number's distance from the base.
    pub(crate) planned: Vec<Planned>,
    /// Numbers that are in tables beforehand, and are deleted.
    pub(crate) victims: Vec<i64>,
    /// It changes what new sessions of its role begin with: nobody else may begin one meanwhile.
    pub(crate) alone: bool,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "HANSARD_SEED={} base={} start={:?}", self.seed, self.base, self.start)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step:?}"))
    }
}

struct Maker {
    random: StdRng,
    /// Both sessions say something.
    two: bool,
    kind: &'static str,
    made: Conversation,
}

impl Conversation {
    pub(crate) fn of(seed: u64, base: i64) -> Conversation {
        let made = Conversation {
            seed,
            base,
            steps: Vec::new(),
            start: [Vec::new(), Vec::new()],
            planned: Vec::new(),
            victims: Vec::new(),
            alone: false,
        };
        let mut maker = Maker { random: StdRng::seed_from_u64(seed), two: false, kind: "", made };
        maker.make();
        maker.made
    }

    /// It has a database to itself.
    pub(crate) fn database(&self) -> String {
        format!("road_{}", (self.base - FIRST) / NUMBERS)
    }

    pub(crate) fn application_name(&self, session: usize) -> String {
        format!("{}-{}", self.database(), ["a", "b"][session])
    }

    pub(crate) fn sessions(&self) -> Vec<usize> {
        (0..2).filter(|session| self.steps.iter().any(|step| step.session == *session)).collect()
    }

    /// Plays it; a session begins where it first says something.
    pub(crate) async fn play(&self, proxy: SocketAddr, token: &str) -> Result<()> {
        let all = async {
            let mut sessions = [None, None];
            for step in &self.steps {
                if sessions[step.session].is_none() {
                    let name = self.application_name(step.session);
                    let more = self.start[step.session].iter().map(|(name, value)| (*name, value.as_str()));
                    let database = self.database();
                    let start: Vec<(&str, &str)> = more.chain([("database", database.as_str())]).collect();
                    sessions[step.session] = Some(open(proxy, token, &name, &start).await?);
                }
                if let Some(session) = &mut sessions[step.session] {
                    session.take(step).await;
                }
            }
            for session in sessions.into_iter().flatten() {
                session.end(End::Terminate).await?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, all).await?
    }
}

/// A session; a machine that is also building may take longer than Hansard waits for the database.
async fn open(proxy: SocketAddr, token: &str, name: &str, start: &[(&str, &str)]) -> Result<Session> {
    let mut last = None;
    for _ in 0..10 {
        match Session::open_with(proxy, token, name, start).await {
            Ok(session) => return Ok(session),
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no attempt")))
}

impl Maker {
    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.random.random_range(0..of.len())]
    }

    fn chance(&mut self, of: f64) -> bool {
        self.random.random_bool(of)
    }

    fn make(&mut self) {
        let two = self.chance(0.5);
        self.two = two;
        self.made.alone = two && self.chance(0.1);
        for session in 0..2 {
            if self.chance(0.3) {
                self.start(session);
            }
        }
        for turn in 0..self.random.random_range(2..8) {
            let session = usize::from(two && self.chance(0.5));
            if turn == 0 && self.chance(0.85) {
                self.kind = "path";
                self.say(session, "SET search_path = {p}", None);
            }
            if self.made.alone && turn == 1 {
                self.kind = "role default";
                let sql = self.one(&[
                    "ALTER ROLE app SET search_path = {p}",
                    "ALTER ROLE app IN DATABASE {d} SET search_path = {p}",
                    "ALTER USER app SET search_path = '{a}', '{b}'",
                    "DO $$ BEGIN ALTER ROLE app SET search_path = {p}; END $$",
                ]);
                self.say(0, sql, None);
            }
            for _ in 0..self.random.random_range(0..3) {
                self.change_names(session);
            }
            for _ in 0..self.random.random_range(1..4) {
                self.change(session);
            }
            if self.chance(0.3) {
                self.kind = "end";
                let end = self.one(&["COMMIT", "COMMIT", "ROLLBACK"]);
                self.say(session, end, None);
            }
        }
    }

    fn change_names(&mut self, session: usize) {
        let (kind, texts) = NAMES[self.random.random_range(0..NAMES.len())];
        self.kind = kind;
        // What code does to names is seen by its own session, and by others when the catalog is read again.
        if self.two && kind == "ddl" && texts[0].starts_with("DO") {
            return;
        }
        for text in texts {
            self.say(session, text, None);
        }
    }

    fn start(&mut self, session: usize) {
        let path = self.one(PATHS);
        let path = self.fill(path, session);
        let options = format!("-c search_path={}", path.replace(' ', ""));
        let start = &mut self.made.start[session];
        match self.random.random_range(0..4) {
            0 => start.push(("search_path", path)),
            1 => start.push(("Search_Path", path)),
            2 => start.push(("options", options)),
            _ => start.extend([("search_path", "public".to_owned()), ("options", options)]),
        }
    }

    fn number(&mut self, session: usize) -> i64 {
        let number = self.made.base + i64::try_from(self.made.planned.len()).unwrap();
        self.made.planned.push(Planned { session, kind: self.kind, fails: false });
        number
    }

    /// A text with its places filled.
    fn fill(&mut self, template: &str, session: usize) -> String {
        let table = self.one(TABLES);
        let prefix = self.one(&["", "", "{a}.", "{b}."]);
        let path = self.one(PATHS);
        let mut text = template.replace("{t}", table).replace("{f}", prefix).replace("{p}", path);
        if text.contains("{v}") {
            let number = self.number(session);
            self.made.victims.push(number);
            text = text.replace("{v}", &number.to_string());
        }
        if text.contains("{n}") {
            let number = self.number(session);
            text = text.replace("{n}", &number.to_string());
        }
        for (place, name) in ["{a}", "{b}", "{o}", "{r}"].iter().zip(world::SCHEMAS) {
            text = text.replace(place, name);
        }
        text.replace("{d}", &self.made.database())
    }

    fn change(&mut self, session: usize) {
        match self.random.random_range(0..20) {
            0 => {
                self.kind = "copy";
                let number = self.number(session);
                let table = self.one(&["{t}", "{f}v", "{f}p", "{f}g_3", "{f}g_1"]);
                let sql = self.fill(&format!("COPY {table} (n) FROM STDIN"), session);
                let data = [copy_data(format!("{number}\n")), copy_done()].concat();
                let sql = format!("{sql} /* {number} */");
                let messages = vec![query(sql), data, sync()];
                self.step(session, messages, 2);
            }
            1 => {
                self.kind = "encoding";
                let sql = self.fill("INSERT INTO {f}\"caf", session);
                let number = self.number(session);
                let (set, letter) = if self.chance(0.7) { ("LATIN1", &b"\xe9"[..]) } else { ("UTF8", "é".as_bytes()) };
                self.step(session, vec![query(format!("SET client_encoding = {set}"))], 1);
                let sql = [sql.as_bytes(), letter, format!("\" (n) VALUES ({number})").as_bytes()].concat();
                self.step(session, vec![query(sql)], 1);
            }
            2 => {
                self.kind = "bound path";
                let path = self.one(PATHS);
                let path = self.fill(path, session);
                let sql = self.one(&[
                    "SELECT set_config('search_path', $1, false)",
                    "SELECT pg_catalog.set_config('search_path', $1::text, false)",
                    "SELECT set_config($2, $1, false)",
                ]);
                let mut values = vec![Bound::Text(path.into_bytes())];
                if sql.contains("$2") {
                    values.push(Bound::Text(b"search_path".to_vec()));
                }
                self.step(session, vec![parse("", sql, &[]), bind("", "", &values), execute("", 0), sync()], 1);
                let number = self.number(session);
                self.step(session, vec![query(format!("INSERT INTO t (n) VALUES ({number})"))], 1);
            }
            _ => {
                let (kind, template) = ROADS[self.random.random_range(0..ROADS.len())];
                self.kind = kind;
                let at = self.made.planned.len();
                let text = self.fill(template, session);
                let number = self.made.base + i64::try_from(at).unwrap();
                let one = template.matches("{n}").count() + template.matches("{v}").count() == 1;
                self.speak(session, &text, one.then_some(number));
            }
        }
    }

    fn say(&mut self, session: usize, template: &str, number: Option<i64>) {
        let text = self.fill(template, session);
        self.speak(session, &text, number);
    }

    /// By either protocol, whole or in parts; with a number that a parameter may stand for.
    fn speak(&mut self, session: usize, text: &str, number: Option<i64>) {
        let first = text.split(' ').next().unwrap_or_default();
        let planned = ["INSERT", "UPDATE", "DELETE", "SELECT", "WITH", "MERGE", "VALUES"].contains(&first);
        let several = text.contains(';');
        let made = text.contains("made_");
        match (number, self.random.random_range(0..8)) {
            (Some(number), 0 | 1) if planned && !several && !made => {
                let sql = text.replace(&number.to_string(), "$1");
                let value = Bound::Text(number.to_string().into_bytes());
                self.step(session, vec![parse("", sql, &[20]), bind("", "", &[value]), execute("", 0), sync()], 1);
            }
            (Some(number), 2) if planned && !several && !made => {
                let sql = text.replace(&number.to_string(), "$1");
                let (kind, begun) = (self.kind, self.chance(0.3));
                let value = Bound::Text(number.to_string().into_bytes());
                let (prepare, bind) = (parse("p", &sql, &[20]), bind("c", "p", &[value]));
                if begun {
                    self.step(session, vec![query("BEGIN")], 1);
                }
                match self.random.random_range(0..3) {
                    0 => self.step(session, vec![query(format!("PREPARE p (bigint) AS {sql}"))], 1),
                    1 => self.step(session, vec![prepare, sync()], 1),
                    _ if begun => self.step(session, vec![prepare, bind.clone(), sync()], 1),
                    _ => self.step(session, vec![prepare, bind.clone(), execute("c", 0), sync()], 1),
                }
                if self.chance(0.6) {
                    self.change_names(session);
                    self.kind = "prepared before";
                }
                match self.chance(0.5) {
                    true => self.step(session, vec![query(format!("EXECUTE p({number})"))], 1),
                    false if begun => self.step(session, vec![execute("c", 0), sync()], 1),
                    false => self.step(session, vec![bind, execute("c", 0), sync()], 1),
                }
                self.kind = kind;
                self.step(session, vec![query("COMMIT; DEALLOCATE p")], 1);
            }
            (_, 3 | 4) if !several || first == "DO" => {
                self.step(session, vec![extended(text), sync()], 1);
            }
            (_, 3 | 4) if !text.contains("$$") => {
                for part in text.split("; ") {
                    self.step(session, vec![query(part)], 1);
                }
            }
            _ => self.step(session, vec![query(text)], 1),
        }
    }

    fn step(&mut self, session: usize, messages: Vec<Vec<u8>>, ready: usize) {
        let waits = self.made.alone || self.chance(0.85);
        self.made.steps.push(Step { session, kind: self.kind, messages, ready, waits });
    }
}
