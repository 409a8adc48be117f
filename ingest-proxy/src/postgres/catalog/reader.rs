//! Reads a database's catalog, and what changed of it.
//!
//! One reading is one REPEATABLE READ READ ONLY transaction. It begins with a number for each table of PostgreSQL's that
//! differs when that table changed ([`sql::SOURCES`]); where all are as they were, that is all. Definitions that
//! PostgreSQL writes out (views, rules, expressions) are not of the transaction's snapshot but of the present: behind the
//! transaction the numbers are asked for again, and where they differ, everything is read again. A catalog that changes
//! all the time is told as it was read at the third attempt, and read again soon: what was changed before it began to be
//! read is in it, and what jobs are about to change has been announced. Where a definition could not be written out because
//! what it is of was dropped meanwhile, it is read again for up to [`VANISHING`].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use hansard_policy::catalog::{
    Catalog, Change, Column, Database, Kind, Missing, Names, Object, Oid, Relation, RelationKind, Text,
};

use super::connection::{Connection, Problem, Row};
use super::sql::{self, Part};
use crate::clock;

/// Most objects of one database. With them a catalog takes about a gigabyte.
pub(crate) const MAX_OBJECTS: usize = 1_000_000;

/// Most columns of one database.
const MAX_COLUMNS: usize = 10 * MAX_OBJECTS;

/// Most bytes of one reading's answers.
const MAX_BYTES: u64 = 1 << 30;

/// Views, rules and bodies whose definitions are asked for at once, and so locked at once.
const CHUNK: usize = 100;

/// How often is read again what changed while it was read.
const ATTEMPTS: usize = 3;

/// SQLSTATEs of what was locked, took too long or was in the way of somebody else, and may be read a moment later.
const HINDRANCES: [&str; 3] = ["55P03", "57014", "40P01"];

/// SQLSTATE of "could not open relation with OID" and "cache lookup failed": PostgreSQL writes definitions out by what is
/// there now, and what the snapshot still has may have been dropped.
const VANISHED: &str = "XX000";

/// How long is read again on account of that.
const VANISHING: Duration = Duration::from_secs(2);

/// What is known of a database.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) catalog: Catalog,
    /// What could not be read.
    pub(super) missing: Vec<Missing>,
    /// Of the last reading; empty: there is none, or it is not to be trusted.
    numbers: Vec<String>,
}

/// A reading.
#[derive(Debug)]
pub(super) struct Reading {
    /// The catalog was as it is told at a moment between these two; where it is not settled, so was each relation, and
    /// definitions that PostgreSQL writes out may be of a later moment.
    pub(super) begun_at: u64,
    pub(super) read_at: u64,
    pub(super) settled: bool,
    pub(super) changes: Vec<Change>,
}

impl Known {
    /// Takes over the names of temporary relations; returns what that changes.
    fn put_temporary(&mut self, temporary: Option<Vec<Text>>) -> Option<(Kind, Oid)> {
        let (oid, database) = (self.catalog.database_oid()?, self.catalog.database()?);
        if database.temporary == temporary {
            return None;
        }
        let database = Database { temporary, ..database.clone() };
        self.catalog.insert(oid, Object::Database(database));
        Some((Kind::Database, oid))
    }
}

/// Asks over one connection.
#[derive(Debug)]
pub(super) struct Reader {
    connection: Connection,
    /// See [`sql::DEFAULT_PATH`].
    default_path: String,
    version: u32,
    /// The tables that could not be read when the statement for the numbers was prepared.
    prepared: Option<BTreeSet<String>>,
    /// Something was refused that may be there a moment later: it was locked, or took too long.
    hindered: bool,
    /// Something was refused because it is in the snapshot and is there no more.
    vanished: bool,
}

impl Reader {
    /// Sets the session up.
    pub(super) async fn begin(mut connection: Connection) -> Result<Reader, Problem> {
        let mut default_path = String::new();
        connection
            .ask(sql::DEFAULT_PATH, |_, row| {
                row.text(0).clone_into(&mut default_path);
                Ok(())
            })
            .await?;
        connection.run(sql::SETTINGS).await?;
        let mut version = 0;
        connection
            .ask("SELECT current_setting('server_version_num')", |_, row| {
                version = row.text(0).parse().unwrap_or(0);
                Ok(())
            })
            .await?;
        Ok(Reader { connection, default_path, version, prepared: None, hindered: false, vanished: false })
    }

    pub(super) async fn end(self, reason: &str) {
        self.connection.close(reason).await;
    }

    /// Those of these server processes that go on.
    pub(super) async fn alive(&mut self, processes: &[u32]) -> Result<Vec<u32>, Problem> {
        let list: Vec<String> = processes.iter().map(u32::to_string).collect();
        let question = format!("SELECT pid FROM pg_stat_activity WHERE pid = ANY ('{{{}}}')", list.join(","));
        let mut alive = Vec::new();
        self.connection
            .ask(&question, |_, row| {
                alive.push(row.oid(0));
                Ok(())
            })
            .await?;
        Ok(alive)
    }

    /// Brings `known` up to date.
    pub(super) async fn read(&mut self, known: &mut Known) -> Result<Reading, Problem> {
        let mut changed = HashSet::new();
        let since = Instant::now();
        for attempt in 1.. {
            let received = self.connection.received;
            let begun_at = clock::now();
            let denied = self.open().await?;
            let read_at = clock::now();
            let numbers = self.numbers(&denied).await?;
            (self.hindered, self.vanished) = (false, false);
            let temporary = self.temporary(&denied).await?;
            if numbers == known.numbers {
                self.connection.run("COMMIT").await?;
                changed.extend(known.put_temporary(temporary));
                return Ok(Reading { begun_at, read_at, settled: true, changes: changes(known, changed) });
            }
            let limit = received + MAX_BYTES;
            let mut take = Take { objects: Vec::new(), missing: Vec::new(), temporary, limit };
            self.parts(&denied, &mut take).await?;
            self.relations(&denied, &known.catalog, &mut take).await?;
            self.database(&denied, &mut take).await?;
            self.connection.run("COMMIT").await?;
            let settled = self.numbers(&denied).await? == numbers;
            known.numbers = if settled && !self.hindered { numbers } else { Vec::new() };
            put(known, take, &mut changed)?;
            // What is gone a moment later is no reason to know nothing of its kind.
            let again = self.vanished && since.elapsed() < VANISHING;
            if settled || attempt >= ATTEMPTS && !again {
                let read_at = if settled { clock::now() } else { read_at };
                return Ok(Reading { begun_at, read_at, settled, changes: changes(known, changed) });
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Begins the transaction. Returns the tables that may not be read.
    async fn open(&mut self) -> Result<BTreeSet<String>, Problem> {
        let mut denied = BTreeSet::new();
        let began = self.connection.ask(sql::BEGIN, |_, row| {
            denied.insert(row.text(0).to_owned());
            Ok(())
        });
        if let Err(problem) = began.await {
            self.connection.run("ROLLBACK").await?;
            return Err(problem);
        }
        Ok(denied)
    }

    /// The numbers of the tables that may be read.
    async fn numbers(&mut self, denied: &BTreeSet<String>) -> Result<Vec<String>, Problem> {
        if self.prepared.as_ref() != Some(denied) {
            if self.prepared.take().is_some() {
                self.connection.run("DEALLOCATE hansard_changes").await?;
            }
            let sources = sql::SOURCES.iter().enumerate();
            let questions: Vec<String> = sources
                .filter(|(_, source)| !source.tables.iter().any(|table| denied.contains(*table)))
                .map(|(place, source)| format!("SELECT {place}, ({})::text", source.sql))
                .collect();
            if questions.is_empty() {
                return Err(denial(denied));
            }
            self.connection.run(&format!("PREPARE hansard_changes AS {}", questions.join(" UNION ALL "))).await?;
            self.prepared = Some(denied.clone());
        }
        let mut numbers = vec![String::new(); sql::SOURCES.len()];
        self.connection
            .ask("EXECUTE hansard_changes", |_, row| {
                if let Some(number) = row.text(0).parse().ok().and_then(|place: usize| numbers.get_mut(place)) {
                    row.text(1).clone_into(number);
                }
                Ok(())
            })
            .await?;
        // A grant is a change, too.
        numbers.push(denied.iter().cloned().collect::<Vec<_>>().join(","));
        Ok(numbers)
    }

    /// The names of temporary relations, in order; `None` where they are too many, or may not be read.
    async fn temporary(&mut self, denied: &BTreeSet<String>) -> Result<Option<Vec<Text>>, Problem> {
        if denied_of(sql::TEMPORARY_TABLES, denied).is_some() {
            return Ok(None);
        }
        let mut names: Vec<Text> = Vec::new();
        let read = self.guarded(sql::TEMPORARY, |row| {
            names.push(row.text(0).into());
            Ok(())
        });
        let refused = read.await?;
        names.sort_unstable();
        Ok(Some(names).filter(|names| refused.is_none() && names.len() <= sql::MAX_TEMPORARY))
    }

    async fn parts(&mut self, denied: &BTreeSet<String>, take: &mut Take) -> Result<(), Problem> {
        for part in &sql::PARTS {
            self.part(part, denied, take).await?;
        }
        if let Some(reason) = denied_of(sql::RULE_TABLES, denied) {
            take.missing.push(missing(Kind::Rule, &reason));
            return Ok(());
        }
        let rules = self.oids(sql::RULES).await?;
        for chunk in rules.chunks(CHUNK) {
            let read = self.guarded(&sql::rules(&list(chunk)), |row| take.object(&row)).await?;
            if let Some(problem) = read {
                take.missing.push(missing(Kind::Rule, &problem));
            }
        }
        Ok(())
    }

    async fn part(&mut self, part: &Part, denied: &BTreeSet<String>, take: &mut Take) -> Result<(), Problem> {
        let tables = denied_of(part.tables, denied);
        let sql = part.since.filter(|(version, _)| self.version >= *version).map_or(part.sql, |(_, sql)| sql);
        let begin = take.objects.len();
        let reason = match tables {
            Some(reason) => Some(reason),
            None => self.guarded(sql, |row| take.object(&row)).await?,
        };
        if let Some(reason) = reason {
            take.objects.truncate(begin);
            take.missing.push(missing(part.kind, &reason));
        } else if part.kind == Kind::Function && self.version >= 14_00_00 {
            self.bodies(begin, take).await?;
        }
        Ok(())
    }

    /// The bodies that PostgreSQL stores parsed.
    async fn bodies(&mut self, begin: usize, take: &mut Take) -> Result<(), Problem> {
        let oids = self.oids(sql::STORED_BODIES).await?;
        let mut bodies = HashMap::new();
        for chunk in oids.chunks(CHUNK) {
            let question = sql::bodies(&list(chunk));
            let read = self.guarded(&question, |row| {
                bodies.insert(row.oid(0), row.get(1).map(Text::from));
                Ok(())
            });
            if let Some(reason) = read.await? {
                take.missing.push(missing(Kind::Function, &reason));
            }
        }
        for (oid, object) in &mut take.objects[begin..] {
            if let Object::Function(function) = object
                && let Some(body) = bodies.remove(oid)
            {
                function.source = body;
            }
        }
        Ok(())
    }

    async fn database(&mut self, denied: &BTreeSet<String>, take: &mut Take) -> Result<(), Problem> {
        let part = &sql::DATABASE;
        self.part(part, denied, take).await?;
        take.missing.sort_by(|a, b| (a.kind, &a.why).cmp(&(b.kind, &b.why)));
        take.missing.dedup();
        if let Some((_, Object::Database(database))) = take.objects.last_mut() {
            database.search_path = self.default_path.as_str().into();
            database.temporary = take.temporary.take();
            database.missing.clone_from(&take.missing);
        }
        Ok(())
    }

    async fn relations(&mut self, denied: &BTreeSet<String>, before: &Catalog, take: &mut Take) -> Result<(), Problem> {
        if let Some(reason) = denied_of(sql::RELATION_TABLES, denied) {
            take.missing.push(missing(Kind::Relation, &reason));
            return Ok(());
        }
        let mut relations: HashMap<Oid, Relation> = HashMap::new();
        let limit = take.limit;
        let mut failed = self
            .guarded(sql::RELATIONS, |row| {
                if relations.len() >= MAX_OBJECTS {
                    return Err(too_many());
                }
                relations.insert(row.oid(0), relation(&row));
                Ok(())
            })
            .await?;
        failed = self.columns(&mut relations, limit).await?.or(failed);
        type Fill = fn(&mut Relation, &str) -> serde_json::Result<()>;
        let fills: [(&str, Fill); 2] = [
            (sql::PARENTS, |relation, text| serde_json::from_str(text).map(|parents| relation.parents = parents)),
            (sql::EXPRESSIONS, |relation, text| {
                serde_json::from_str(text).map(|expressions| relation.expressions = expressions)
            }),
        ];
        for (question, fill) in fills {
            if self.connection.received > limit {
                return Err(too_large());
            }
            let read = self.guarded(question, |row| match relations.get_mut(&row.oid(0)) {
                Some(relation) => fill(relation, row.text(1)).map_err(|error| strange(&error)),
                None => Ok(()),
            });
            failed = read.await?.or(failed);
        }
        failed = self.views(&mut relations, before).await?.or(failed);
        if let Some(reason) = failed {
            take.missing.push(missing(Kind::Relation, &reason));
        }
        let all = relations.into_iter().map(|(oid, relation)| (oid, Object::Relation(Box::new(relation))));
        take.objects.extend(all);
        if take.objects.len() > MAX_OBJECTS { Err(too_many()) } else { Ok(()) }
    }

    /// The columns of relations.
    async fn columns(&mut self, relations: &mut HashMap<Oid, Relation>, limit: u64) -> Result<Option<String>, Problem> {
        let mut names = Names::default();
        let mut columns: Vec<(Oid, u32, Column)> = Vec::new();
        let read = self.guarded(sql::COLUMNS, |row| {
            let oid = row.oid(0);
            // Those of a relation mostly come one behind the other.
            let same = columns.last().is_some_and(|(last, ..)| *last == oid);
            if columns.len() >= MAX_COLUMNS {
                return Err(Problem::TooMuch(format!("it has more than {MAX_COLUMNS} columns")));
            }
            if same || relations.contains_key(&oid) {
                columns.push((oid, row.oid(3), Column { name: names.text(row.text(1)), kind: row.oid(2) }));
            }
            Ok(())
        });
        let failed = read.await?;
        if self.connection.received > limit {
            return Err(too_large());
        }
        columns.sort_unstable_by_key(|(oid, number, _)| (*oid, *number));
        let mut rest = columns.into_iter().peekable();
        while let Some((oid, _, first)) = rest.next() {
            let mut all = vec![first];
            while let Some((.., column)) = rest.next_if(|(next, ..)| *next == oid) {
                all.push(column);
            }
            if let Some(relation) = relations.get_mut(&oid) {
                relation.columns = all;
            }
        }
        Ok(failed)
    }

    /// The definitions of views. Of those that cannot be read now, as they are being changed, the former ones stay.
    async fn views(
        &mut self,
        relations: &mut HashMap<Oid, Relation>,
        before: &Catalog,
    ) -> Result<Option<String>, Problem> {
        let is_view = |relation: &Relation| {
            matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
                && !["pg_catalog", "information_schema"].contains(&&*relation.schema)
        };
        let mut views: Vec<Oid> =
            relations.iter().filter(|(_, relation)| is_view(relation)).map(|(oid, _)| *oid).collect();
        views.sort_unstable();
        let mut failed = None;
        for chunk in views.chunks(CHUNK) {
            let question = sql::views(&list(chunk));
            let read = self.guarded(&question, |row| {
                if let Some(relation) = relations.get_mut(&row.oid(0)) {
                    relation.view = row.get(1).map(|text| Text::from(text.trim()));
                    relation.updatable = row.oid(2);
                }
                Ok(())
            });
            if let Some(reason) = read.await? {
                for oid in chunk {
                    if let (Some(now), Some(former)) = (relations.get_mut(oid), before.relation(*oid)) {
                        (now.view, now.updatable) = (former.view.clone(), former.updatable);
                    }
                }
                failed = Some(reason);
            }
        }
        Ok(failed)
    }

    async fn oids(&mut self, question: &str) -> Result<Vec<Oid>, Problem> {
        let mut oids = Vec::new();
        self.connection
            .ask(question, |_, row| {
                if oids.len() >= MAX_OBJECTS {
                    return Err(too_many());
                }
                oids.push(row.oid(0));
                Ok(())
            })
            .await?;
        oids.sort_unstable();
        Ok(oids)
    }

    /// Asks within a savepoint, so that what the database refuses does not end the transaction, and locks are given
    /// back. Returns why it refused.
    async fn guarded(
        &mut self,
        question: &str,
        mut each: impl FnMut(Row<'_>) -> Result<(), Problem>,
    ) -> Result<Option<String>, Problem> {
        self.connection.run("SAVEPOINT hansard").await?;
        let result = self.connection.ask(question, |_, row| each(row)).await;
        let refused = match result {
            Ok(()) => None,
            Err(Problem::Refused { code, message }) => {
                self.hindered |= HINDRANCES.contains(&code.as_str());
                self.vanished |= code == VANISHED;
                Some(format!("{message} ({code})"))
            }
            Err(problem) => return Err(problem),
        };
        self.connection.run("ROLLBACK TO hansard; RELEASE hansard").await?;
        Ok(refused)
    }
}

/// What one attempt brings.
struct Take {
    objects: Vec<(Oid, Object)>,
    missing: Vec<Missing>,
    /// Names of temporary relations.
    temporary: Option<Vec<Text>>,
    /// Of all bytes received.
    limit: u64,
}

impl Take {
    fn object(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        if self.objects.len() >= MAX_OBJECTS {
            return Err(too_many());
        }
        let object = serde_json::from_str(row.text(1)).map_err(|error| strange(&error))?;
        self.objects.push((row.oid(0), object));
        Ok(())
    }
}

fn relation(row: &Row<'_>) -> Relation {
    Relation {
        schema: row.text(1).into(),
        name: row.text(2).into(),
        kind: row.text(3).chars().next().and_then(RelationKind::of_letter).unwrap_or_default(),
        owner: row.oid(4),
        row_security: row.text(5) == "t",
        bound: row.get(6).map(Text::from),
        partition_key: row.get(7).map(Text::from),
        loose_key: row.text(8) == "t",
        ..Relation::default()
    }
}

/// Takes over what was read. What could not be read stays as it was.
fn put(known: &mut Known, take: Take, changed: &mut HashSet<(Kind, Oid)>) -> Result<(), Problem> {
    let catalog = &mut known.catalog;
    let unread: HashSet<Kind> = take.missing.iter().map(|missing| missing.kind).collect();
    let mut seen = HashSet::with_capacity(take.objects.len());
    for (oid, object) in take.objects {
        let kind = object.kind();
        seen.insert((kind, oid));
        if catalog.object(kind, oid).is_none_or(|former| **former != object) {
            catalog.insert(oid, object);
            changed.insert((kind, oid));
        }
    }
    let gone = catalog.objects().map(|(kind, oid, _)| (kind, oid));
    let gone: Vec<_> = gone.filter(|key| !seen.contains(key) && !unread.contains(&key.0)).collect();
    for (kind, oid) in gone {
        catalog.apply(Change { kind, oid, object: None });
        changed.insert((kind, oid));
    }
    known.missing = take.missing;
    if catalog.len() > MAX_OBJECTS { Err(too_many()) } else { Ok(()) }
}

/// As they are now, in order of kind and number.
fn changes(known: &Known, changed: HashSet<(Kind, Oid)>) -> Vec<Change> {
    let mut changed: Vec<_> = changed.into_iter().collect();
    changed.sort_unstable();
    let change = |(kind, oid)| Change { kind, oid, object: known.catalog.object(kind, oid).cloned() };
    changed.into_iter().map(change).collect()
}

fn missing(kind: Kind, why: &str) -> Missing {
    Missing { kind, why: why.into() }
}

/// Why these tables cannot be read; `None` where they can.
fn denied_of(tables: &[&str], denied: &BTreeSet<String>) -> Option<String> {
    let of: BTreeSet<String> = denied.iter().filter(|table| tables.contains(&table.as_str())).cloned().collect();
    (!of.is_empty()).then(|| denial(&of).to_string())
}

fn denial(tables: &BTreeSet<String>) -> Problem {
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let tables = tables.join(", pg_catalog.");
    Problem::Refused {
        code: "42501".to_owned(),
        message: format!("no right to read: GRANT SELECT ON pg_catalog.{tables}"),
    }
}

fn strange(error: &serde_json::Error) -> Problem {
    Problem::Refused { code: "XX000".to_owned(), message: format!("the database's answer does not read: {error}") }
}

fn too_many() -> Problem {
    Problem::TooMuch(format!("it has more than {MAX_OBJECTS} objects"))
}

fn too_large() -> Problem {
    Problem::TooMuch(format!("its catalog is longer than {MAX_BYTES} bytes"))
}

fn list(oids: &[Oid]) -> String {
    oids.iter().map(Oid::to_string).collect::<Vec<_>>().join(",")
}
