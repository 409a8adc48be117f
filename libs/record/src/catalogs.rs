//! Catalogs of the databases behind targets, as proxies told them, and what jobs are about to change in them.
//!
//! Each proxy's process tells what it has read by itself; a session is understood by what its own proxy knew.
//!
//! Invariant: what is kept is bounded; what a version changes holds when all of it has come, or not at all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hansard_policy::catalog::{Change, Kind, Object, Oid};
use hansard_policy::reach::Memo;
use hansard_schemas::events::{CatalogChanging, CatalogRead};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::CatalogRow;
use super::session::Identity;

mod motion;
mod shared;

pub(crate) use shared::Shared;

/// Most databases of one process that are known at once, as in the proxy.
const MAX_DATABASES: usize = 256;

/// Most objects of one catalog.
const MAX_OBJECTS: usize = 1_000_000;

/// Most announced changes that are told apart; where there are more, any name may be changing.
const MAX_CHANGING: usize = 1000;

/// Most bytes of the names of one database's announced changes that are told apart, each name counted with what it takes
/// beside its letters; behind them, any name may be changing.
const MAX_CHANGING_BYTES: usize = 4 * 1024 * 1024;

/// Most relations that one inherits from and that are asked for.
const MAX_ANCESTORS: usize = 64;

/// Bytes that a name is counted with beside its letters.
const NAME: usize = 64;

/// Catalogs by the process that told them.
#[derive(Debug, Default)]
pub(super) struct Catalogs {
    processes: BTreeMap<Uuid, Process>,
    /// Counts changes.
    epoch: u64,
}

/// What one process has told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Process {
    node: String,
    instance: String,
    /// By target and name.
    databases: BTreeMap<String, BTreeMap<String, Known>>,
    #[serde(skip)]
    changed: bool,
}

/// What is known of one database.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Known {
    version: u64,
    /// It could be read when that was last tried.
    trusted: bool,
    /// Version and part of what was told last.
    #[serde(default)]
    told: (u64, u32),
    pub(super) catalog: Shared,
    /// Parts of a version that has not come in full.
    #[serde(with = "saved_changes")]
    coming: Option<Coming>,
    /// UTC nanoseconds: what was committed before is in the catalog.
    pub(super) begun_at: i64,
    /// Relations that have come, or got other names, since the whole was read: when the reading ended that found them.
    named_at: BTreeMap<Oid, i64>,
    /// The same of all others.
    whole_at: i64,
    /// When such a reading ended last.
    last_named_at: i64,
    /// When the reading ended that found other memberships of roles, or another owner of the database.
    #[serde(default)]
    roles_at: i64,
    /// Functions, types and operators that have come, been changed or dropped, by name: when the reading ended that found it.
    #[serde(default)]
    code_at: BTreeMap<Box<str>, i64>,
    /// The same of all others, and of event triggers.
    #[serde(default)]
    all_code_at: i64,
    #[serde(default)]
    event_triggers_at: i64,
    /// The last of these times.
    #[serde(default)]
    last_code_at: i64,
    /// Why it does not hold everything.
    missing: Option<String>,
    changing: BTreeMap<u64, Changing>,
    /// The first and the last announcement for which there was no room: as long as one of them may be open, any name may be
    /// changing.
    not_kept: Option<(u64, u64)>,
    /// Different for each state.
    #[serde(skip)]
    pub(super) epoch: u64,
    #[serde(skip)]
    pub(super) memo: Memo,
}

#[derive(Debug)]
struct Coming {
    version: u64,
    part: u32,
    changes: Vec<Change>,
}

/// A change that a job was about to make and that no reading has settled.
#[derive(Debug, Serialize, Deserialize)]
struct Changing {
    session: (u64, u64),
    /// `None`: any name.
    names: Option<HashSet<String>>,
    /// Anything may be dropped, whatever its name.
    drops: bool,
    /// Which schemas a role may use may change.
    paths: bool,
}

impl Catalogs {
    fn process(&mut self, id: Uuid, node: &str, instance: &str) -> &mut Process {
        let process = self.processes.entry(id).or_default();
        process.changed = true;
        if process.instance != instance {
            *process = Process { node: node.into(), instance: instance.into(), changed: true, ..Process::default() };
        }
        process
    }

    /// A catalog, or a part of what is new in it, was read.
    pub(super) fn read(&mut self, id: Uuid, read: &CatalogRead, rows: Option<&mut Vec<CatalogRow>>) {
        self.epoch += 1;
        let epoch = self.epoch;
        let known = self.process(id, &read.node, &read.instance).known(&read.target, &read.database);
        known.read(read, rows);
        known.epoch = epoch;
    }

    /// A job is about to change names.
    pub(super) fn changing(&mut self, id: Uuid, changing: CatalogChanging) {
        self.epoch += 1;
        let epoch = self.epoch;
        let process = self.process(id, &changing.node, &changing.instance);
        let known = process.known(&changing.target, &changing.database);
        let bytes = changing.names.iter().map(|name| NAME + name.len()).sum::<usize>();
        let held = known.changing.values().map(Changing::bytes).sum::<usize>();
        let all = changing.all || known.changing.len() >= MAX_CHANGING || held + bytes > MAX_CHANGING_BYTES;
        let session = Uuid::from_slice(&changing.session_id).unwrap_or_default().as_u64_pair();
        let names = (!all).then(|| changing.names.into_iter().collect());
        let (drops, paths) = (all || changing.drops, all || changing.paths);
        if known.changing.len() < 2 * MAX_CHANGING {
            known.changing.insert(changing.number, Changing { session, names, drops, paths });
        } else {
            known.not_kept.get_or_insert((changing.number, changing.number)).1 = changing.number;
        }
        known.epoch = epoch;
    }

    /// The process is no more, and neither are its sessions.
    pub(super) fn forget(&mut self, gone: impl Fn(&str, &str) -> bool) -> Vec<Uuid> {
        let gone = |process: &Process| gone(&process.node, &process.instance);
        let ids: Vec<Uuid> = self.processes.iter().filter(|(_, process)| gone(process)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| _ = self.processes.remove(id));
        ids
    }

    /// That process tells of catalogs.
    pub(super) fn are_told_by(&self, node: &str, instance: &str) -> bool {
        self.processes.values().any(|process| process.instance == instance && process.node == node)
    }

    /// What that process knows of a database.
    pub(super) fn known(&mut self, node: &str, instance: &str, session: &Identity) -> Option<&mut Known> {
        let processes = self.processes.values_mut();
        let mut of = processes.filter(|process| process.instance == instance && process.node == node);
        of.find_map(|process| process.databases.get_mut(&*session.target)?.get_mut(&*session.database))
            .filter(|known| known.version > 0 && known.trusted)
    }

    /// Puts back what was saved.
    pub(super) fn restore(&mut self, id: Uuid, mut process: Process) {
        for known in process.databases.values_mut().flat_map(BTreeMap::values_mut) {
            self.epoch += 1;
            known.epoch = self.epoch;
        }
        self.processes.insert(id, process);
    }

    /// Processes that have told something since the last call.
    pub(super) fn take_changed(&mut self) -> impl Iterator<Item = (&Uuid, &Process)> {
        self.processes
            .iter_mut()
            .filter_map(|(id, process)| std::mem::take(&mut process.changed).then_some((id, process)))
            .map(|(id, process)| {
                process.databases.values_mut().flat_map(BTreeMap::values_mut).for_each(|known| known.catalog.pack());
                (id, &*process)
            })
    }
}

impl Process {
    fn known(&mut self, target: &str, database: &str) -> &mut Known {
        let full = self.databases.values().map(BTreeMap::len).sum::<usize>() >= MAX_DATABASES;
        if full && !self.databases.get(target).is_some_and(|databases| databases.contains_key(database)) {
            self.forget_oldest();
        }
        self.databases.entry(target.to_owned()).or_default().entry(database.to_owned()).or_default()
    }

    /// Forgets the database that was read longest ago: its proxy keeps fewer, and tells the whole where it comes again.
    fn forget_oldest(&mut self) {
        let all = self.databases.iter();
        let all = all.flat_map(|(target, known)| known.iter().map(move |(name, known)| (known.begun_at, target, name)));
        if let Some((_, target, name)) = all.min().map(|(at, target, name)| (at, target.clone(), name.clone()))
            && let Some(known) = self.databases.get_mut(&target)
        {
            known.remove(&name);
        }
    }
}

impl Known {
    fn read(&mut self, read: &CatalogRead, mut rows: Option<&mut Vec<CatalogRow>>) {
        let part = (read.version, read.part.max(1));
        if part <= self.told {
            // It came twice.
            return;
        }
        self.told = part;
        if let Some(rows) = &mut rows
            && read.last
        {
            rows.extend(read.missing.iter().map(|missing| {
                let reason = serde_json::Value::from(&*missing.reason).to_string();
                row(read, CatalogRow::MISSING, 0, (None, &missing.kind), Some(reason.into()))
            }));
        }
        let Ok(changes) = read.unpack() else { return self.lose("a version of it does not decode") };
        let mut coming = match self.coming.take() {
            Some(coming) if coming.version == read.version && coming.part + 1 == read.part => coming,
            _ if read.part <= 1 => Coming { version: read.version, part: 0, changes: Vec::new() },
            _ => return self.lose("a version of it has not come in full"),
        };
        coming.part = read.part.max(1);
        for change in changes {
            let object = match change.removed {
                true => None,
                false => match serde_json::from_str::<Object>(&change.definition) {
                    Ok(object) => Some(Arc::new(object)),
                    Err(_) => return self.lose("an object of it does not decode"),
                },
            };
            let kind = object.as_ref().map(|object| object.kind()).or_else(|| Kind::of(&change.kind));
            let Some(kind) = kind else { return self.lose("an object of it is of a kind that is not known") };
            if let Some(rows) = &mut rows {
                let named =
                    object.as_ref().or_else(|| self.catalog.object(kind, change.oid)).map(|object| object.name());
                let (schema, name) = named.unwrap_or_default();
                let definition = (!change.removed).then(|| change.definition.into());
                rows.push(row(read, kind.as_str(), change.oid, (schema.map(|schema| &**schema), name), definition));
            }
            coming.changes.push(Change { kind, oid: change.oid, object });
        }
        if self.catalog.len() + coming.changes.len() > MAX_OBJECTS {
            return self.lose("it holds more objects than are kept");
        }
        if !read.last {
            self.coming = Some(coming);
            return;
        }
        let read_at = i64::try_from(read.read_at).unwrap_or(i64::MAX);
        if read.base_version == 0 {
            self.catalog = Shared::default();
            self.named_at = BTreeMap::new();
            self.code_at = BTreeMap::new();
            (self.whole_at, self.last_named_at) = (read_at, read_at);
            // Sessions that began before the first reading found the roles as that does.
            if self.version > 0 || self.missing.is_some() || self.may_change_paths() {
                self.roles_at = read_at;
            }
            (self.all_code_at, self.event_triggers_at, self.last_code_at) = (read_at, read_at, read_at);
        } else if read.base_version != self.version {
            return self.lose("a version of it is missing");
        }
        // Nothing was read: later versions go on from what was known, which is not to be trusted until then.
        self.trusted = read.missing.iter().all(|missing| !missing.kind.is_empty());
        if read.base_version != 0 {
            self.name(&coming.changes, read_at);
            self.date(&coming.changes, read_at);
        }
        if !coming.changes.is_empty() {
            let catalog = self.catalog.change();
            coming.changes.into_iter().for_each(|change| catalog.apply(change));
        }
        self.version = read.version;
        self.begun_at = i64::try_from(read.begun_at).unwrap_or(i64::MAX);
        self.missing = (!read.complete).then(|| {
            let said = read.missing.iter().map(|missing| format!("{}: {}", missing.kind, missing.reason));
            said.collect::<Vec<_>>().join("; ")
        });
        let unsettled: HashSet<u64> = read.unsettled.iter().copied().collect();
        let open = |number: &u64| *number > read.announced || unsettled.contains(number);
        self.changing.retain(|number, _| open(number));
        let any_open =
            |(first, last): &(u64, u64)| open(last) || unsettled.iter().any(|number| (first..=last).contains(&number));
        self.not_kept = self.not_kept.filter(any_open);
    }

    /// Notes which relations get names by these changes.
    fn name(&mut self, changes: &[Change], read_at: i64) {
        for Change { oid, object, .. } in changes.iter().filter(|change| change.kind == Kind::Relation) {
            let Some(object) = object else {
                self.named_at.remove(oid);
                continue;
            };
            let before = self.catalog.object(Kind::Relation, *oid).map(|before| before.name());
            if before != Some(object.name()) {
                self.named_at.insert(*oid, read_at);
                self.last_named_at = read_at;
            }
        }
    }

    /// A relation may have got its name since then.
    pub(super) fn may_be_named_since(&self, oid: Oid, at: i64) -> bool {
        self.named_at.get(&oid).copied().unwrap_or(self.whole_at) > at
    }

    /// Some relation may.
    pub(super) fn may_have_named_since(&self, at: i64) -> bool {
        self.last_named_at > at
    }

    /// What is known is of no use until the whole comes again.
    fn lose(&mut self, reason: &str) {
        self.coming = None;
        self.version = 0;
        self.missing = Some(reason.to_owned());
    }

    #[cfg(test)]
    pub(super) fn of(catalog: hansard_policy::catalog::Catalog, begun_at: i64) -> Known {
        Known { version: 1, trusted: true, catalog: Shared::new(catalog), begun_at, epoch: 1, ..Known::default() }
    }

    #[cfg(test)]
    pub(super) fn announce(&mut self, session: Uuid, names: &[&str], paths: bool) {
        let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        let number = self.changing.len() as u64 + 1;
        self.changing.insert(number, Changing { session: session.as_u64_pair(), names, drops: false, paths });
    }

    #[cfg(test)]
    pub(super) fn roles_changed(&mut self, at: i64) {
        self.roles_at = at;
    }

    /// Why the catalog does not tell everything.
    pub(super) fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Names of the relations that one inherits from or is a partition of, the nearest first.
    pub(super) fn ancestors(&self, oid: Oid) -> Vec<&str> {
        let (mut found, mut names, mut place) = (vec![oid], Vec::new(), 0);
        while let Some(relation) = found.get(place).and_then(|oid| self.catalog.relation(*oid)) {
            let new: Vec<Oid> = relation.parents.iter().copied().filter(|parent| !found.contains(parent)).collect();
            found.extend(new.into_iter().take(MAX_ANCESTORS.saturating_sub(found.len())));
            if place > 0 {
                names.push(&*relation.name);
            }
            place += 1;
        }
        names
    }
}

impl Changing {
    fn bytes(&self) -> usize {
        self.names.iter().flatten().map(|name| NAME + name.len()).sum()
    }

    fn may_be(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// A row of table `catalog`.
fn row(
    read: &CatalogRead,
    kind: &'static str,
    oid: u32,
    (schema, name): (Option<&str>, &str),
    definition: Option<Arc<str>>,
) -> CatalogRow {
    let time = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
    CatalogRow {
        target: (*read.target).into(),
        database: (*read.database).into(),
        node: (*read.node).into(),
        instance: (*read.instance).into(),
        version: read.version,
        base_version: read.base_version,
        begun_at: time(read.begun_at),
        read_at: time(read.read_at),
        kind,
        oid,
        schema: schema.map(Into::into),
        name: name.into(),
        definition,
    }
}

/// Parts of a version, as kind, number and object.
mod saved_changes {
    use std::sync::Arc;

    use hansard_policy::catalog::{Change, Kind, Object, Oid};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Coming;

    pub(super) fn serialize<S: Serializer>(coming: &Option<Coming>, serializer: S) -> Result<S::Ok, S::Error> {
        let saved = coming.as_ref().map(|coming| {
            let changes = coming.changes.iter();
            let changes = changes.map(|change| (change.kind.as_str(), change.oid, change.object.as_deref()));
            (coming.version, coming.part, changes.collect::<Vec<_>>())
        });
        saved.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Coming>, D::Error> {
        type Saved = (u64, u32, Vec<(String, Oid, Option<Object>)>);
        let Some((version, part, saved)) = Option::<Saved>::deserialize(deserializer)? else { return Ok(None) };
        let changes = saved.into_iter().map(|(kind, oid, object)| {
            let kind = Kind::of(&kind).ok_or_else(|| D::Error::custom(format!("there is no kind {kind}")))?;
            Ok(Change { kind, oid, object: object.map(Arc::new) })
        });
        Ok(Some(Coming { version, part, changes: changes.collect::<Result<_, _>>()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_that_was_read_longest_ago_makes_room() {
        let (mut catalogs, process) = (Catalogs::default(), Uuid::from_u128(1));
        let databases = MAX_DATABASES as u64 + 1;
        for number in 1..=databases {
            let read = CatalogRead {
                instance: "i".into(),
                target: "t".into(),
                database: number.to_string(),
                version: 1,
                begun_at: databases - number,
                part: 1,
                last: true,
                complete: true,
                ..CatalogRead::default()
            };
            catalogs.read(process, &read, None);
        }
        let known = &catalogs.processes[&process].databases["t"];
        assert_eq!(known.len(), MAX_DATABASES);
        assert!(known.contains_key("1") && !known.contains_key(&MAX_DATABASES.to_string()));
    }

    #[test]
    fn many_announced_changes_are_any_change() {
        let (mut catalogs, process) = (Catalogs::default(), Uuid::from_u128(1));
        for number in 0..3 * MAX_CHANGING as u64 {
            let names = vec![format!("n{number}")];
            catalogs.changing(process, CatalogChanging { number, names, ..CatalogChanging::default() });
        }
        let known = &catalogs.processes[&process].databases[""][""];
        assert_eq!(known.changing.len(), 2 * MAX_CHANGING);
        assert!(known.is_in_motion("n7") && known.is_in_motion("whatever"));
        // What there was no room for is open until a reading says that it is not.
        let mut read = |version, announced, unsettled: Vec<u64>| {
            let (base_version, part) = (version - 1, 1);
            let read = CatalogRead { version, base_version, announced, unsettled, part, ..CatalogRead::default() };
            catalogs.read(process, &CatalogRead { last: true, complete: true, ..read }, None);
            catalogs.processes[&process].databases[""][""].is_in_motion("whatever")
        };
        let all = 3 * MAX_CHANGING as u64;
        assert!(read(1, 2 * MAX_CHANGING as u64, Vec::new()));
        assert!(read(2, all, vec![all - 3]));
        assert!(!read(3, all, Vec::new()));
    }

    #[test]
    fn ancestors_are_told_once_and_not_without_end() {
        let relation = |name: &str, parents: &[u32]| {
            let (name, parents) = (name.into(), parents.to_vec());
            Object::Relation(Box::new(hansard_policy::catalog::Relation { name, parents, ..Default::default() }))
        };
        let catalog = hansard_policy::catalog::Catalog::of([
            (1, relation("top", &[3])),
            (2, relation("left", &[1])),
            (3, relation("leaf", &[2, 4])),
            (4, relation("right", &[1])),
        ]);
        let known = Known::of(catalog, 0);
        assert_eq!(known.ancestors(3), ["left", "right", "top"]);
        assert_eq!(known.ancestors(9), [""; 0]);
    }

    #[test]
    fn long_lists_of_names_are_any_name() {
        let (mut catalogs, process) = (Catalogs::default(), Uuid::from_u128(1));
        let mut tell = |number: u64, count: usize, length: usize| {
            let names = (0..count).map(|name| format!("{number}{name:0length$}")).collect();
            catalogs.changing(process, CatalogChanging { number, names, ..CatalogChanging::default() });
            let known = &catalogs.processes[&process].databases[""][""];
            let bytes = known.changing.values().map(Changing::bytes).sum::<usize>();
            assert!(bytes <= MAX_CHANGING_BYTES, "{bytes}");
            known.is_in_motion("whatever")
        };
        // What proxies tell: 256 names of 63 bytes.
        assert!((1..=100).all(|number| !tell(number, 256, 60)));
        assert!((101..=200).any(|number| tell(number, 256, 60)));
    }
}
