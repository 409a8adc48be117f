//! Conversations of one or two sessions, made from a seed, in which each change writes a number of its own.
//!
//! The same seed gives the same steps whatever the numbers begin with, so that a conversation can be played again on a
//! database that holds the former ones, and with some of its steps left out.

use std::collections::BTreeSet;

use hansard_tests::wire::{bind, describe, execute, parse, query, sync};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::kinds;

/// What every conversation finds. `audit.log` holds what is committed: triggers write it in the change's transaction.
pub(crate) const SCHEMA: &str = r#"
CREATE SCHEMA audit;
CREATE TABLE audit.log (number bigint, relation text, operation text);
CREATE INDEX ON audit.log (number);
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO audit.log VALUES (
        (CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END ->> TG_ARGV[0])::bigint,
        format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME), lower(TG_OP));
    RETURN NULL;
END $$;
CREATE TABLE public.ledger_1 (change bigint, word text);
CREATE TABLE public.ledger_2 (change bigint, word text);
CREATE TABLE public.ledger_3 (change bigint, word text);
CREATE TABLE public."Odd ledger" (change bigint, word text);
CREATE TABLE public.loads (change bigint);
CREATE TABLE public.checked (change bigint, ref int);
CREATE TABLE public.allowed (ref int PRIMARY KEY);
INSERT INTO public.allowed VALUES (0);
ALTER TABLE public.checked ADD FOREIGN KEY (ref) REFERENCES public.allowed DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE public.rankings (slot bigint PRIMARY KEY, mark bigint);
CREATE TABLE public.victims (id bigint PRIMARY KEY);
CREATE TABLE public.small (n int);
CREATE INDEX ON public.ledger_3 (change);
CREATE TRIGGER note AFTER INSERT OR UPDATE ON public.ledger_1 FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER INSERT OR UPDATE ON public.ledger_2 FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER INSERT OR UPDATE ON public.ledger_3 FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER INSERT OR UPDATE ON public."Odd ledger" FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER INSERT ON public.loads FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER INSERT ON public.checked FOR EACH ROW EXECUTE FUNCTION audit.note('change');
CREATE TRIGGER note AFTER UPDATE ON public.rankings FOR EACH ROW EXECUTE FUNCTION audit.note('mark');
CREATE TRIGGER note AFTER DELETE ON public.victims FOR EACH ROW EXECUTE FUNCTION audit.note('id');
CREATE PROCEDURE public.insert_and_commit(n bigint) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ledger_1 (change) VALUES (n); COMMIT; END $$;
CREATE PROCEDURE public.commit_and_fail(n bigint) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ledger_1 (change) VALUES (n); COMMIT; RAISE EXCEPTION 'x'; END $$;
CREATE PROCEDURE public.insert_and_undo(n bigint) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ledger_1 (change) VALUES (n); ROLLBACK; END $$;
CREATE FUNCTION public.write(n bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.ledger_1 (change) VALUES (n); RETURN 1; END $$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO public;
ALTER TABLE public.small OWNER TO app;
ALTER ROLE app SET lock_timeout = '500ms';
ALTER ROLE app SET statement_timeout = '5s';
"#;

/// The first number of all; each conversation has [`NUMBERS`] of its own, and all have as many digits.
pub(crate) const FIRST: i64 = 7_000_000_000_000;

pub(crate) const NUMBERS: i64 = 1000;

/// Numbers of a conversation from here on are the rows of `rankings` that its sessions update.
const SLOTS: i64 = 990;

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Out of whatever state it is in, and Terminate.
    Terminate,
    /// The socket is closed with answers unread.
    Close,
    /// Its sending side is closed, and everything read.
    HalfClose,
    /// In the middle of a message.
    Cut,
}

/// Messages that belong together.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) session: usize,
    pub(crate) kind: &'static str,
    pub(crate) messages: Vec<Vec<u8>>,
    /// ReadyForQuery messages that answer it, where all is well.
    pub(crate) ready: usize,
    /// It is answered before the next step is sent.
    pub(crate) waits: bool,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.session == 0 { "a" } else { "b" };
        writeln!(f, "{name} {} (waits: {})", self.kind, self.waits)?;
        for message in &self.messages {
            let shown = message[..message.len().min(300)].escape_ascii();
            writeln!(f, "    {shown}{}", if message.len() > 300 { " …" } else { "" })?;
        }
        Ok(())
    }
}

/// What is known of a number beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned {
    pub(crate) session: usize,
    pub(crate) kind: &'static str,
    /// Its statement cannot succeed.
    pub(crate) fails: bool,
}

#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) seed: u64,
    pub(crate) base: i64,
    pub(crate) steps: Vec<Step>,
    pub(crate) ends: [End; 2],
    /// By a number's distance from the base.
    pub(crate) planned: Vec<Planned>,
    /// Rows of `victims` that it means to delete.
    pub(crate) victims: Vec<i64>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "HANSARD_SEED={} base={} ends={:?}", self.seed, self.base, self.ends)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step:?}"))
    }
}

impl Conversation {
    pub(crate) fn of(seed: u64, base: i64) -> Conversation {
        let mut generator = Generator {
            random: StdRng::seed_from_u64(seed),
            base,
            kind: "",
            made: Conversation {
                seed,
                base,
                steps: Vec::new(),
                ends: [End::Terminate; 2],
                planned: Vec::new(),
                victims: Vec::new(),
            },
        };
        let two = generator.random.random_bool(0.6);
        for _ in 0..generator.random.random_range(1..9) {
            let session = usize::from(two && generator.random.random_bool(0.5));
            kinds::any(&mut generator, session);
        }
        for session in 0..2 {
            generator.made.ends[session] = match generator.random.random_range(0..20) {
                0..13 => End::Terminate,
                13..16 => End::Close,
                16..18 => End::HalfClose,
                _ => End::Cut,
            };
        }
        generator.made
    }

    /// Without the steps that are not among these.
    pub(crate) fn keep(mut self, kept: &BTreeSet<usize>) -> Conversation {
        let mut at = 0;
        self.steps.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
        self
    }

    /// The sessions that say something.
    pub(crate) fn sessions(&self) -> Vec<usize> {
        (0..2).filter(|session| self.steps.iter().any(|step| step.session == *session)).collect()
    }

    pub(crate) fn application_name(&self, session: usize) -> String {
        format!("o{}{}", (self.base - FIRST) / NUMBERS, ["a", "b"][session])
    }

    pub(crate) fn slot(&self, session: usize) -> i64 {
        slot(self.base, session)
    }
}

fn slot(base: i64, session: usize) -> i64 {
    base + SLOTS + i64::try_from(session).unwrap()
}

/// A conversation in the making.
pub(crate) struct Generator {
    pub(crate) random: StdRng,
    base: i64,
    /// Of the steps that are being made.
    pub(crate) kind: &'static str,
    made: Conversation,
}

/// A change as a statement with one parameter, or with the number as a literal.
pub(crate) struct Change {
    /// With `{}` where the number belongs.
    template: String,
    pub(crate) number: i64,
}

impl Change {
    pub(crate) fn literal(&self) -> String {
        self.template.replace("{}", &self.number.to_string())
    }

    pub(crate) fn prepared(&self) -> String {
        self.template.replace("{}", "$1")
    }
}

impl Generator {
    pub(crate) fn chance(&mut self, of: f64) -> bool {
        self.random.random_bool(of)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit)
    }

    pub(crate) fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        let at = self.below(of.len());
        of[at]
    }

    /// The next number, to be written by that session.
    pub(crate) fn number(&mut self, session: usize) -> i64 {
        self.planned(session, false)
    }

    /// A number of a statement that fails.
    pub(crate) fn failing(&mut self, session: usize) -> i64 {
        self.planned(session, true)
    }

    /// The row of `victims` with this number is there.
    pub(crate) fn victim(&mut self, number: i64) {
        self.made.victims.push(number);
    }

    pub(crate) fn slot(&self, session: usize) -> i64 {
        slot(self.base, session)
    }

    fn planned(&mut self, session: usize, fails: bool) -> i64 {
        let number = self.base + i64::try_from(self.made.planned.len()).unwrap();
        assert!(number < self.base + SLOTS, "a conversation has numbers enough");
        self.made.planned.push(Planned { session, kind: self.kind, fails });
        number
    }

    /// A change in a statement that takes a parameter where its number is.
    pub(crate) fn change(&mut self, session: usize) -> Change {
        let number = self.number(session);
        self.change_of(session, number)
    }

    pub(crate) fn change_of(&mut self, session: usize, number: i64) -> Change {
        let table =
            self.one(&["public.ledger_1", "public.ledger_2", "public.ledger_3", "public.\"Odd ledger\"", "ledger_2"]);
        let slot = slot(self.base, session);
        let template = match self.below(8) {
            0..3 => format!("INSERT INTO {table} (change) VALUES ({{}})"),
            3 => format!("INSERT INTO {table} (change) SELECT {{}}::bigint"),
            4 => format!("UPDATE public.rankings SET mark = {{}} WHERE slot = {slot}"),
            5 => format!("UPDATE ONLY rankings AS r SET mark = {{}} FROM (VALUES (1)) AS v (x) WHERE r.slot = {slot}"),
            6 => {
                self.victim(number);
                "DELETE FROM public.victims WHERE id = {}".to_owned()
            }
            _ => format!("WITH x AS (INSERT INTO {table} (change) VALUES ({{}}) RETURNING change) SELECT * FROM x"),
        };
        Change { template, number }
    }

    /// A change as one text of SQL, in more ways than have a parameter.
    pub(crate) fn change_text(&mut self, session: usize) -> String {
        match self.below(8) {
            0 => {
                let number = self.number(session);
                format!(
                    "MERGE INTO public.ledger_3 AS l USING (SELECT {number} AS c) AS s ON l.change = s.c \
                     WHEN NOT MATCHED THEN INSERT (change) VALUES (s.c)"
                )
            }
            1 => format!("EXPLAIN (ANALYZE, COSTS OFF) {}", self.change(session).literal()),
            2 => {
                let number = self.number(session);
                format!("COPY (INSERT INTO public.ledger_1 (change) VALUES ({number}) RETURNING change) TO STDOUT")
            }
            _ => self.change(session).literal(),
        }
    }

    /// A statement that cannot succeed, and says its number.
    pub(crate) fn failure(&mut self, session: usize) -> String {
        let number = self.failing(session);
        match self.below(4) {
            0 => format!("INSERT INTO public.ledger_1 (change) VALUES ({number} / 0)"),
            1 => format!("SELECT nothing, {number}"),
            2 => format!("SELEC {number}"),
            _ => format!("SELECT 1/0 /* {number} */"),
        }
    }

    /// A statement that changes nothing.
    pub(crate) fn noise(&mut self) -> &'static str {
        self.one(&[
            "SELECT 1",
            "SELECT g FROM generate_series(1, 20) AS g",
            "",
            "SELECT count(*) FROM public.allowed",
            "SHOW server_version",
            "SET datestyle = 'ISO, MDY'",
            "LISTEN news",
            "NOTIFY news, 'read all about it'",
            "SELECT '; INSERT INTO public.ledger_1 VALUES (1); --'",
        ])
    }

    /// One statement by either protocol, and the answers' ReadyForQuery messages: 0 where no Sync follows.
    pub(crate) fn spoken(&mut self, sql: impl AsRef<[u8]>) -> (Vec<Vec<u8>>, usize) {
        let sql = sql.as_ref();
        if self.chance(0.5) {
            return (vec![query(sql)], 1);
        }
        let mut messages = self.unnamed(sql);
        let synced = self.chance(0.8);
        if synced {
            messages.push(sync());
        }
        (messages, usize::from(synced))
    }

    /// Parse, Bind, Execute of the unnamed statement, described here and there.
    pub(crate) fn unnamed(&mut self, sql: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        let mut messages = vec![parse("", sql, &[])];
        if self.chance(0.2) {
            messages.push(describe(b'S', ""));
        }
        messages.push(bind("", "", &[]));
        if self.chance(0.4) {
            messages.push(describe(b'P', ""));
        }
        messages.push(execute("", 0));
        messages
    }

    pub(crate) fn step(&mut self, session: usize, messages: Vec<Vec<u8>>, ready: usize) {
        let waits = self.chance(0.6);
        self.made.steps.push(Step { session, kind: self.kind, messages, ready, waits });
    }

    pub(crate) fn say(&mut self, session: usize, sql: impl AsRef<[u8]>) {
        let (messages, ready) = self.spoken(sql);
        self.step(session, messages, ready);
    }
}
