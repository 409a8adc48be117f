//! Conversations: valid messages in an order that a client may send them in.

use rand::Rng;
use rand::rngs::StdRng;

/// What every conversation finds.
pub(crate) const SCHEMA: &str = "
CREATE TABLE things (n int PRIMARY KEY, name text NOT NULL, weight float8, raw bytea);
INSERT INTO things SELECT n, 'thing ' || n, n / 7.0, decode(md5(n::text), 'hex') FROM generate_series(1, 300) AS n;
CREATE TABLE heap (n int, name text);
CREATE FUNCTION speak(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP RAISE NOTICE 'word %', i USING DETAIL = repeat('d', i), HINT = 'none'; END LOOP;
    RETURN n;
END $$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO public;
";

/// Groups of messages, each of which ends with everything answered.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) groups: Vec<Group>,
}

pub(crate) struct Group {
    pub(crate) messages: Vec<Vec<u8>>,
    /// ReadyForQuery messages that answer it.
    pub(crate) ready: usize,
    /// What was asked before is answered before this is sent.
    pub(crate) waits: bool,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |message: &Vec<u8>| message[..message.len().min(120)].escape_ascii().to_string();
        f.debug_list().entries(self.messages.iter().map(shown)).finish()
    }
}

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    frame.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

pub(crate) fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], &body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap().to_be_bytes()
}

fn long(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_be_bytes()
}

fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &short(types.len())].concat();
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    frame(b'P', &body)
}

/// Values as text, `None` for NULL; results all as text or all binary.
fn bind(portal: &str, statement: &str, values: &[Option<Vec<u8>>], binary: bool) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0", &short(0), &short(values.len())].concat();
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => body.extend([&long(value.len())[..], value].concat()),
        }
    }
    body.extend([short(1), short(usize::from(binary))].concat());
    frame(b'B', &body)
}

/// Describe and Close: kind `S` or `P`.
fn named(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    frame(tag, &[&[kind][..], name.as_bytes(), b"\0"].concat())
}

fn execute(portal: &str, rows: usize) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &long(rows)].concat())
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

/// Statements for both protocols.
const SIMPLE: &[&str] = &[
    "",
    ";",
    "SELECT 1",
    "SELECT n, name, weight, raw FROM things WHERE n < 20 ORDER BY n",
    "SELECT * FROM things ORDER BY n",
    "SELECT NULL, '', 'it''s', E'\\n', 'Grüße'",
    "SELECT 1; SELECT 2; SELECT 3",
    "SELECT 1; SELECT 1/0; SELECT 3",
    "SELECT nothing",
    "SELEC",
    "BEGIN",
    "BEGIN; INSERT INTO heap VALUES (1, 'one'); COMMIT",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT here",
    "ROLLBACK TO here",
    "INSERT INTO heap VALUES (2, 'two') RETURNING n, name",
    "INSERT INTO things VALUES (7, 'twice')",
    "UPDATE heap SET name = 'changed' WHERE n = 2",
    "DELETE FROM heap",
    "SELECT speak(3)",
    "DO $$ BEGIN RAISE WARNING 'beware'; END $$",
    "DO $$ BEGIN RAISE EXCEPTION 'enough' USING ERRCODE = 'P1234'; END $$",
    "SET application_name = 'renamed'",
    "SET datestyle = 'German'",
    "SET client_encoding = 'LATIN1'",
    "SET client_encoding = 'UTF8'",
    "RESET ALL",
    "LISTEN news",
    "NOTIFY news, 'read all about it'",
    "NOTIFY news; NOTIFY news, 'two'; SELECT 'between'",
    "UNLISTEN *",
    "SELECT repeat('x', 3000), repeat('y', 70000)",
    "SELECT repeat('z', 400000)",
    "SELECT g, repeat('row', 50) FROM generate_series(1, 3000) AS g",
    "DECLARE c CURSOR FOR SELECT n FROM things ORDER BY n",
    "FETCH 5 FROM c",
    "CLOSE c",
    "PREPARE p AS SELECT name FROM things WHERE n = $1",
    "EXECUTE p(5)",
    "DEALLOCATE ALL",
    "EXPLAIN (COSTS OFF) SELECT * FROM things WHERE n = 5",
    "SHOW server_version",
    "DISCARD ALL",
    "COPY (SELECT n, name FROM things ORDER BY n) TO STDOUT",
    "COPY (SELECT n, raw FROM things ORDER BY n LIMIT 9) TO STDOUT (FORMAT binary)",
    "COPY (SELECT 1/0) TO STDOUT",
    "SELECT 1; COPY (SELECT generate_series(1, 5)) TO STDOUT; SELECT 2",
];

/// Statements with parameters: their number, and whether they return many rows.
const PREPARED: &[(&str, usize)] = &[
    ("SELECT 1", 0),
    ("", 0),
    ("SELECT n, name FROM things WHERE n > $1::int ORDER BY n", 1),
    ("SELECT $1::text, $2::text", 2),
    ("SELECT length($1::text), octet_length($2::bytea)", 2),
    ("INSERT INTO heap VALUES ($1::int, $2::text)", 2),
    ("SELECT 100 / $1::int", 1),
    ("SELECT speak($1::int)", 1),
    ("SELECT * FROM nowhere", 0),
    ("UPDATE heap SET name = $1::text", 1),
    ("BEGIN", 0),
    ("COMMIT", 0),
    ("SET datestyle = 'ISO, MDY'", 0),
    ("NOTIFY news, 'extended'", 0),
    ("SELECT g FROM generate_series(1, 200) AS g", 0),
    ("COPY (SELECT n FROM things ORDER BY n LIMIT 5) TO STDOUT", 0),
];

const STATEMENTS: [&str; 4] = ["", "s1", "s2", "s3"];
const PORTALS: [&str; 3] = ["", "p1", "p2"];

fn one<'a, T>(random: &mut StdRng, of: &'a [T]) -> &'a T {
    &of[random.random_range(0..of.len())]
}

impl Conversation {
    pub(crate) fn of(random: &mut StdRng) -> Conversation {
        let groups = (0..random.random_range(1..10)).map(|_| Group::of(random)).collect();
        Conversation { groups }
    }
}

impl Group {
    fn of(random: &mut StdRng) -> Group {
        let mut group = Group { messages: Vec::new(), ready: 0, waits: random.random_bool(0.7) };
        match random.random_range(0..10) {
            0..4 => group.simple(random),
            4..8 => group.extended(random),
            8 => group.copy_in(random),
            _ => group.function_call(random),
        }
        group
    }

    fn simple(&mut self, random: &mut StdRng) {
        for _ in 0..random.random_range(1..4) {
            self.messages.push(query(one::<&str>(random, SIMPLE)));
            self.ready += 1;
        }
    }

    /// A pipeline: whatever the protocol allows between two Syncs, in an order that often makes sense.
    fn extended(&mut self, random: &mut StdRng) {
        for _ in 0..random.random_range(1..4) {
            for _ in 0..random.random_range(0..4) {
                self.extended_part(random);
            }
            self.messages.push(sync());
            self.ready += 1;
        }
    }

    fn extended_part(&mut self, random: &mut StdRng) {
        let (statement, portal) = (*one(random, &STATEMENTS), *one(random, &PORTALS));
        match random.random_range(0..12) {
            // Without what has to come before: the same error, direct and via.
            0 => self.messages.push(execute(portal, random.random_range(0..5))),
            1 => self.messages.push(named(b'D', b'S', statement)),
            2 => self.messages.push(named(b'C', b'P', portal)),
            3 => self.messages.push(frame(b'H', b"")),
            _ => {
                let (sql, parameters) = *one(random, PREPARED);
                if random.random_bool(0.6) {
                    self.messages.push(named(b'C', b'S', statement));
                }
                let types = if random.random_bool(0.8) { vec![] } else { vec![0; parameters] };
                self.messages.push(parse(statement, sql, &types));
                if random.random_bool(0.5) {
                    self.messages.push(named(b'D', b'S', statement));
                }
                if random.random_bool(0.2) {
                    self.messages.push(frame(b'H', b""));
                }
                let values: Vec<_> = (0..parameters).map(|_| value(random)).collect();
                // COPY takes no binary results.
                let binary = !sql.starts_with("COPY") && random.random_bool(0.3);
                self.messages.push(bind(portal, statement, &values, binary));
                if random.random_bool(0.6) {
                    self.messages.push(named(b'D', b'P', portal));
                }
                for _ in 0..random.random_range(1..4) {
                    self.messages.push(execute(portal, *one(random, &[0, 0, 1, 2, 17])));
                }
            }
        }
    }

    fn copy_in(&mut self, random: &mut StdRng) {
        let format = *one(random, &["", " (FORMAT csv)", " (FORMAT binary)"]);
        let copy = format!("COPY heap FROM STDIN{format}");
        let simple = random.random_bool(0.6);
        if simple {
            self.messages.push(query(&copy));
        } else {
            self.messages.extend([parse("", &copy, &[]), bind("", "", &[], false), execute("", 0)]);
        }
        for _ in 0..random.random_range(0..6) {
            let separator = if format.contains("csv") { ',' } else { '\t' };
            let mut rows = String::new();
            for n in 0..random.random_range(0..200) {
                rows.push_str(&format!("{n}{separator}row {n} {}\n", "w".repeat(random.random_range(0..300))));
            }
            if random.random_bool(0.1) {
                rows.push_str("not a number\n");
            }
            // Rows need not end where messages do.
            let at = random.random_range(0..=rows.len());
            self.messages.extend([frame(b'd', &rows.as_bytes()[..at]), frame(b'd', &rows.as_bytes()[at..])]);
        }
        if random.random_bool(0.8) {
            self.messages.push(frame(b'c', b""));
        } else {
            self.messages.push(frame(b'f', b"the client has had enough\0"));
        }
        if !simple {
            self.messages.push(sync());
        }
        self.ready += 1;
    }

    fn function_call(&mut self, random: &mut StdRng) {
        // int4abs, and a function that is not there, with one binary argument.
        let oid = *one(random, &[1397_u32, 1397, 4_000_000_000]);
        let argument = random.random_range(i32::MIN + 1..i32::MAX).to_be_bytes();
        let body = [&oid.to_be_bytes()[..], &short(1), &short(1), &short(1), &long(4), &argument, &short(1)].concat();
        self.messages.push(frame(b'F', &body));
        self.ready += 1;
    }
}

fn value(random: &mut StdRng) -> Option<Vec<u8>> {
    match random.random_range(0..12) {
        0 => None,
        1 => Some(vec![b'v'; random.random_range(1000..200_000)]),
        2 => Some(b"not a number".to_vec()),
        3 => Some(Vec::new()),
        4 => Some(b"0".to_vec()),
        _ => Some(random.random_range(1..50).to_string().into_bytes()),
    }
}
