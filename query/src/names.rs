//! Which recorded names a relation that somebody asks for has, and had: by table `catalog`.
//!
//! A name is read as SQL reads it. Without a schema it is that of the first schema on the database's default path that
//! has such a relation; where no catalog was recorded, of `public`. A relation that was renamed is found by the names that
//! it had, each while it had it.
//!
//! Invariant: what was recorded under the very name that is asked for is never left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use hansard_policy::catalog::{Database, Object};
use hansard_policy::{Name, schemas_of_setting};
use hansard_record::UNKNOWN_SCHEMA;
use serde::Deserialize;

use crate::Error;
use crate::moment::Moment;

/// All that relations were called that have, or had, a name.
pub(crate) const HISTORY: &str = "SELECT c.target, c.database, c.oid, c.read_at, c.schema, c.name FROM catalog c JOIN (\
     SELECT DISTINCT target, database, oid FROM catalog WHERE kind = 'relation' AND name = $1) n \
     ON c.target = n.target AND c.database = n.database AND c.oid = n.oid \
     WHERE c.kind = 'relation' AND NOT c.removed ORDER BY c.read_at, c.version";

/// The databases that a catalog was recorded of, and what of one could not be read.
pub(crate) const DATABASES: &str = "SELECT target, database, kind, read_at, definition FROM catalog \
     WHERE kind IN ('database', 'missing') AND NOT removed AND definition IS NOT NULL ORDER BY read_at, version";

/// Something was recorded under one of two names.
pub(crate) const RECORDED: &str = "SELECT relation FROM touches WHERE relation IN ($1, $2) LIMIT 1";

/// A session was recorded at a database.
pub(crate) const AT_DATABASE: &str = "SELECT session_id FROM sessions WHERE database = $1 LIMIT 1";

/// All names of relations.
pub(crate) const ALL: &str =
    "SELECT DISTINCT schema, name FROM catalog WHERE kind = 'relation' AND NOT removed LIMIT 200000";

/// Most databases that are told to lack a relation.
const MOST_LACKING: usize = 256;

/// Most relations whose names are kept.
const MOST_NAMED: usize = 256;

/// How many names are suggested.
const NEAREST: usize = 3;

/// One version of a relation.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    target: String,
    database: String,
    oid: u32,
    read_at: String,
    schema: Option<String>,
    name: String,
}

/// A database as its catalog has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Described {
    target: String,
    database: String,
    kind: String,
    read_at: String,
    definition: String,
}

/// A relation's name.
#[derive(Debug, Deserialize)]
pub(crate) struct Plain {
    schema: Option<String>,
    name: String,
}

/// What the record calls a relation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meant {
    /// Names that it has.
    pub(crate) now: Vec<Called>,
    /// Names that it had.
    pub(crate) then: Vec<Called>,
    /// Databases that have and had no relation of the name.
    pub(crate) lacking: Vec<Lacking>,
    /// In this database alone.
    pub(crate) database: Option<String>,
}

/// A database without the relation, as its catalog has it since it was first read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub(crate) target: String,
    pub(crate) database: String,
    /// UTC nanoseconds.
    pub(crate) since: i64,
}

/// A name as column `relation` has it, and where and when it is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) relation: String,
    pub(crate) name: String,
    /// In this target alone.
    pub(crate) target: Option<String>,
    /// In other targets than these.
    pub(crate) elsewhere: Vec<String>,
    /// UTC nanoseconds.
    pub(crate) from: Option<i64>,
    /// UTC nanoseconds.
    pub(crate) until: Option<i64>,
}

impl Called {
    fn anywhere(schema: &str, name: &str) -> Called {
        let called = Name { schema: Some(schema.to_owned()), name: name.to_owned() };
        Called { relation: called.to_string(), name: name.to_owned(), ..Called::default() }
    }
}

impl Meant {
    /// By its name alone.
    pub(crate) fn by_name(name: &Name) -> Meant {
        let schema = name.schema.as_deref().unwrap_or("public");
        Meant { now: vec![Called::anywhere(schema, &name.name)], ..Meant::default() }
    }

    /// All its names, and those with which it is recorded where its schema was not known.
    pub(crate) fn relations(&self) -> BTreeSet<String> {
        let all = || self.now.iter().chain(&self.then);
        all().map(|called| called.relation.clone()).chain(all().map(|called| of_unknown_schema(&called.name))).collect()
    }
}

/// How a relation of that name is recorded whose schema was not known.
pub(crate) fn of_unknown_schema(name: &str) -> String {
    format!("{UNKNOWN_SCHEMA}.{}", Name::quoted(name))
}

/// Reads a relation as SQL does.
pub(crate) fn parse(relation: &str) -> Result<Name, Error> {
    Name::parse(relation).map_err(Error::Invalid)
}

/// The relations that a question asks for, and what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    names: Mutex<HashMap<String, Option<Meant>>>,
}

impl Asked {
    /// What a relation is called, where that was looked up; else it is noted that it is asked for.
    pub(crate) fn meant(&self, relation: &str) -> Result<Meant, Error> {
        let name = parse(relation)?;
        let mut names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = names.entry(relation.to_owned()).or_default();
        Ok(known.clone().unwrap_or_else(|| Meant::by_name(&name)))
    }

    /// What has not been looked up.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.iter().filter(|(_, meant)| meant.is_none()).map(|(relation, _)| relation.clone()).collect()
    }

    /// Notes what was found.
    pub(crate) fn found(&self, relation: String, meant: Meant) {
        let mut names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        names.insert(relation, Some(meant));
    }
}

/// What is recorded of catalogs: files, and rows that are in none yet. Rows are only added, so what is the same here is
/// the same in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) files: Vec<String>,
    pub(crate) hot_rows: usize,
}

/// What relations are called, as it was found before, while nothing else is recorded of catalogs.
#[derive(Debug, Default)]
pub(crate) struct Named(Mutex<(Recorded, HashMap<String, Meant>)>);

impl Named {
    /// What a relation is called.
    pub(crate) fn known(&self, recorded: &Recorded, relation: &str) -> Option<Meant> {
        let known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.1.get(relation).filter(|_| known.0 == *recorded).cloned()
    }

    /// Keeps what was found for the next question.
    pub(crate) fn keep(&self, recorded: Recorded, relation: String, meant: Meant) {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.0 != recorded || known.1.len() >= MOST_NAMED {
            *known = (recorded, HashMap::new());
        }
        known.1.insert(relation, meant);
    }
}

/// A schema and name, and since when a relation had them.
type Since<'a> = (&'a str, &'a str, i64);

/// What a name means by the recorded catalogs; `None`: none of them has, or had, such a relation.
pub(crate) fn resolve(asked: &Name, databases: &[Described], history: &[Version]) -> Result<Option<Meant>, Error> {
    // By target, database and OID.
    let mut relations: BTreeMap<(&str, &str, u32), Vec<Since<'_>>> = BTreeMap::new();
    for version in history {
        let at = Moment::parse(&version.read_at)?.from;
        let schema = version.schema.as_deref().unwrap_or_default();
        let names = relations.entry((&*version.target, &*version.database, version.oid)).or_default();
        if names.last().is_none_or(|(last, name, _)| (*last, *name) != (schema, &*version.name)) {
            names.push((schema, &version.name, at));
        }
    }
    // What could not be read may hold anything.
    let of = |described: &'_ Described| described.kind == "missing" || !of_database(described).missing.is_empty();
    let in_part: BTreeSet<(&str, &str)> =
        databases.iter().filter(|one| of(one)).map(|one| (&*one.target, &*one.database)).collect();
    let rows = databases.iter().filter(|described| described.kind == "database");
    let mut databases: BTreeMap<(&str, &str), (&Described, i64)> = BTreeMap::new();
    for described in rows {
        let first = Moment::parse(&described.read_at)?.from;
        // The last row of a database is its latest state.
        let latest = databases.entry((&described.target, &described.database)).or_insert((described, first));
        latest.0 = described;
    }
    let targets: Vec<String> = databases.keys().map(|(target, _)| (*target).to_owned()).collect();
    let mut meant = Meant::default();
    for ((target, database), (described, since)) in databases {
        let of = || relations.iter().filter(|((t, d, _), _)| (*t, *d) == (target, database)).map(|(_, names)| names);
        let has = |schema: &str| of().flatten().any(|(s, name, _)| (*s, *name) == (schema, &*asked.name));
        let schema = match &asked.schema {
            Some(schema) => Some(schema.clone()).filter(|schema| has(schema)),
            None => path(described).into_iter().find(|schema| has(schema)),
        };
        // A session may have set another path than the default one.
        let in_any = || of().flatten().any(|(_, name, _)| *name == &*asked.name);
        if !in_part.contains(&(target, database))
            && schema.is_none()
            && (asked.schema.is_some() || !in_any())
            && meant.lacking.len() < MOST_LACKING
        {
            meant.lacking.push(Lacking { target: target.to_owned(), database: database.to_owned(), since });
        }
        let Some(schema) = schema else { continue };
        let here = Called { target: Some(target.to_owned()), ..Called::anywhere(&schema, &asked.name) };
        meant.now.push(here);
        for names in of() {
            let Some(((last, name, _), former)) = names.split_last() else { continue };
            if (*last, *name) != (&*schema, &*asked.name) {
                continue;
            }
            for (place, (schema, name, at)) in former.iter().enumerate() {
                meant.then.push(Called {
                    target: Some(target.to_owned()),
                    from: (place > 0).then_some(*at),
                    until: names.get(place + 1).map(|(_, _, at)| *at),
                    ..Called::anywhere(schema, name)
                });
            }
        }
    }
    meant.now.dedup();
    if meant.now.is_empty() {
        return Ok(None);
    }
    // Where it was recorded without a catalog, or under a name that no version of one has.
    let elsewhere = if asked.schema.is_some() { Vec::new() } else { targets };
    meant
        .now
        .extend(Meant::by_name(asked).now.into_iter().map(|called| Called { elsewhere: elsewhere.clone(), ..called }));
    Ok(Some(meant))
}

/// A database as its row describes it.
fn of_database(described: &Described) -> Database {
    match serde_json::from_str::<Object>(&described.definition) {
        Ok(Object::Database(database)) => database,
        _ => Database { search_path: "public".into(), ..Database::default() },
    }
}

/// The schemas that a session of no particular role looks into: ALTER DATABASE ... SET, else ALTER ROLE ALL SET, else what
/// the server has.
fn path(described: &Described) -> Vec<String> {
    let Database { search_path, settings, settings_of_all, .. } = of_database(described);
    let set = settings.iter().chain(&settings_of_all).find(|setting| setting.name == "search_path");
    schemas_of_setting(set.map_or(&search_path, |setting| &setting.value))
}

/// Of what was read of all databases, what is of one.
pub(crate) fn only(database: &str, databases: &mut Vec<Described>, history: &mut Vec<Version>) {
    databases.retain(|described| described.database == database);
    history.retain(|version| version.database == database);
}

/// That there is no such relation, and which ones are nearest by name.
pub(crate) fn no_such(relation: &str, asked: &Name, all: Vec<Plain>) -> Error {
    let mut near: Vec<(usize, String)> = all
        .into_iter()
        .map(|plain| {
            let distance = distance(&asked.name, &plain.name);
            (distance, Name { schema: plain.schema, name: plain.name }.to_string())
        })
        .filter(|(distance, _)| *distance <= 2 + asked.name.chars().count() / 3)
        .collect();
    near.sort();
    near.truncate(NEAREST);
    Error::NoRelation { relation: relation.to_owned(), nearest: near.into_iter().map(|(_, name)| name).collect() }
}

/// How many letters have to be put in, taken out or changed; names are cut, as PostgreSQL's are.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().take(63).flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (a, b) = (letters(a), letters(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use hansard_policy::catalog::Setting;

    use super::*;
    use crate::moment::rfc3339;

    fn database(search_path: &str) -> Described {
        let database = Database { search_path: search_path.into(), ..Database::default() };
        let definition = serde_json::to_string(&Object::Database(database)).unwrap();
        described("ranking", "d", "database", "03:00:00", definition)
    }

    fn described(target: &str, database: &str, kind: &str, clock: &str, definition: String) -> Described {
        Described {
            target: target.to_owned(),
            database: database.to_owned(),
            kind: kind.to_owned(),
            read_at: format!("2026-11-22T{clock}Z"),
            definition,
        }
    }

    fn version(oid: u32, clock: &str, schema: &str, name: &str) -> Version {
        Version {
            target: "ranking".to_owned(),
            database: "d".to_owned(),
            oid,
            read_at: format!("2026-11-22T{clock}Z"),
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        }
    }

    fn names(called: &[Called]) -> Vec<&str> {
        called.iter().map(|called| &*called.relation).collect()
    }

    #[test]
    fn an_unqualified_name_is_that_of_the_default_path() {
        let history = [version(1, "03:00:00", "public", "rankings"), version(2, "03:00:00", "app", "rankings")];
        let of = |path: &str, relation: &str| {
            let meant = resolve(&parse(relation).unwrap(), &[database(path)], &history).unwrap();
            meant.map(|meant| meant.now[0].relation.clone())
        };
        assert_eq!(of("\"$user\", public", "Rankings").as_deref(), Some("public.rankings"));
        assert_eq!(of("none, app, public", "rankings").as_deref(), Some("app.rankings"));
        assert_eq!(of("public", "app.rankings").as_deref(), Some("app.rankings"));
        assert_eq!(of("public", "\"Rankings\""), None);
        assert_eq!(of("other", "rankings"), None);
    }

    #[test]
    fn a_databases_setting_comes_before_that_of_all_roles_and_the_servers() {
        let setting = |value: &str| vec![Setting { name: "search_path".into(), value: value.into() }];
        let of = |settings, settings_of_all| {
            let database = Database { search_path: "server".into(), settings, settings_of_all, ..Database::default() };
            let definition = serde_json::to_string(&Object::Database(database)).unwrap();
            path(&described("ranking", "d", "database", "03:00:00", definition))
        };
        assert_eq!(of(setting("app, public"), setting("all")), ["app", "public"]);
        assert_eq!(of(Vec::new(), setting("\"All\"")), ["All"]);
        assert_eq!(of(Vec::new(), Vec::new()), ["server"]);
    }

    #[test]
    fn databases_whose_catalog_never_had_the_name_lack_it() {
        let definition = || database("public").definition;
        let one = |database: &str, kind: &str, clock: &str| described("ranking", database, kind, clock, definition());
        let databases = [
            one("d", "database", "03:00:00"),
            one("without", "database", "03:00:00"),
            one("without", "database", "05:00:00"),
            one("unread", "database", "03:00:00"),
            one("unread", "missing", "04:00:00"),
            one("elsewhere", "database", "03:00:00"),
        ];
        let elsewhere = Version { database: "elsewhere".to_owned(), ..version(7, "03:00:00", "other", "rankings") };
        let history = [version(1, "03:00:00", "public", "rankings"), elsewhere];
        let lacking = |relation: &str| {
            let meant = resolve(&parse(relation).unwrap(), &databases, &history).unwrap().unwrap();
            meant.lacking.into_iter().map(|one| (one.database, rfc3339(one.since))).collect::<Vec<_>>()
        };
        let since = "2026-11-22T03:00:00.000000000Z".to_owned();
        assert_eq!(lacking("rankings"), [("without".to_owned(), since.clone())]);
        assert_eq!(
            lacking("public.rankings"),
            [("elsewhere".to_owned(), since.clone()), ("without".to_owned(), since)]
        );
    }

    #[test]
    fn a_renamed_relation_is_found_by_the_name_that_it_had() {
        let history = [
            version(1, "03:00:00", "public", "rankings"),
            version(2, "03:00:00", "public", "rankings_new"),
            version(1, "04:00:00", "public", "rankings_old"),
            version(2, "04:00:01", "public", "rankings"),
        ];
        let of = |relation: &str| resolve(&parse(relation).unwrap(), &[database("public")], &history).unwrap().unwrap();
        let meant = of("rankings");
        assert_eq!(names(&meant.then), ["public.rankings_new"]);
        assert_eq!(
            (meant.then[0].from, meant.then[0].until),
            (None, Some(Moment::parse("2026-11-22T04:00:01.000000000Z").unwrap().from))
        );
        assert_eq!(names(&of("rankings_old").then), ["public.rankings"]);
        assert_eq!(names(&of("rankings_new").then), [""; 0]);
    }

    #[test]
    fn the_nearest_names_are_told() {
        let plain = |name: &str| Plain { schema: Some("public".to_owned()), name: name.to_owned() };
        let all = || vec![plain("films"), plain("Rankings"), plain("rankngs"), plain("orders")];
        let error = no_such("rankings", &parse("rankings").unwrap(), all());
        assert_eq!(
            error.to_string(),
            "no target has a relation rankings; nearest: public.\"Rankings\", public.rankngs"
        );
        let error = no_such("zzzzzzz", &parse("zzzzzzz").unwrap(), all());
        assert_eq!(error.to_string(), "no target has a relation zzzzzzz");
        assert_eq!((distance("abc", "abc"), distance("", "abc"), distance("kitten", "sitting")), (0, 3, 3));
    }
}
