//! What unqualified relation names mean in a session.
//!
//! Which schema holds a relation is in the database's catalog, which is not here: the first schema of the search path
//! is taken. Temporary and system relations, which hide others, are told apart by name.
//!
//! Invariants: where the search path is not known, neither is the schema, which is [`UNKNOWN_SCHEMA`] then: never a guess.
//! What is kept to undo a transaction is bounded; one that changes more and is rolled back leaves the path unknown.

use std::collections::BTreeSet;
use std::sync::Arc;

use hansard_policy::{Effect, Name, schemas_of_setting};
use serde::{Deserialize, Serialize};

/// Stands for the schema of a relation that was named without one while the search path was not known.
pub const UNKNOWN_SCHEMA: &str = "?";

/// Stands for a relation that may have been touched and is not known.
pub const UNKNOWN_RELATION: &str = "?";

/// Most temporary relations that are remembered.
const MAX_TEMPORARY: usize = 10_000;

/// Most bytes of what it takes to undo one transaction's changes: enough for all temporary relations that are remembered.
const MAX_UNDO: usize = 2 * 1024 * 1024;

/// Bytes that a change is counted with beside the names in it.
const CHANGE: usize = 64;

/// A search path; `None` for the session's default.
type Path = Option<Vec<String>>;

/// How a session's names resolve, and did before its transaction.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Names {
    /// Set in the session.
    path: Path,
    /// Set until the end of the transaction.
    local: Option<Path>,
    temporary: BTreeSet<String>,
    /// What undoes the open transaction's changes, by the statement that made them.
    undo: Vec<(u64, Undo)>,
    /// Bytes that `undo` is counted with.
    undo_bytes: usize,
    /// The first and the last statement whose changes are not in `undo`, which was full.
    lost: Option<(u64, u64)>,
    /// At the start of the session; empty when it could not be learned.
    default: Vec<String>,
    /// The role, which `"$user"` stands for.
    user: String,
}

/// What undoes a change.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Undo {
    /// The paths before it, of session and transaction.
    Paths(Path, Option<Path>),
    /// A temporary relation was created.
    Created(String),
    /// Temporary relations were dropped.
    Dropped(BTreeSet<String>),
}

impl Undo {
    fn bytes(&self) -> usize {
        let of = |names: &mut dyn Iterator<Item = &String>| names.map(|name| name.len() + CHANGE).sum::<usize>();
        CHANGE
            + match self {
                Undo::Paths(path, local) => of(&mut path.iter().chain(local.iter().flatten()).flatten()),
                Undo::Created(name) => name.len(),
                Undo::Dropped(names) => of(&mut names.iter()),
            }
    }
}

impl Names {
    pub(super) fn set_user(&mut self, user: &str) {
        user.clone_into(&mut self.user);
    }

    pub(super) fn set_default(&mut self, schemas: Vec<String>) {
        self.default = schemas;
    }

    /// The server told its setting (from version 18 on).
    pub(super) fn told(&mut self, value: &str) {
        let schemas = schemas_of_setting(value);
        let told = if schemas == ["$user", "public"] { None } else { Some(schemas) };
        if self.local.is_none() {
            self.path = told;
        }
    }

    /// A statement has taken effect.
    pub(super) fn apply(&mut self, statement: u64, effect: &Effect) {
        match effect {
            // What is set again and again may be long: it is copied only where it is something else.
            Effect::SearchPath { schemas, local: true } if self.local.as_ref() == Some(schemas) => {}
            Effect::SearchPath { schemas, local: false } if self.local.is_none() && self.path == *schemas => {}
            Effect::SearchPath { schemas, local: true } => {
                self.set_paths(statement, self.path.clone(), Some(schemas.clone()));
            }
            Effect::SearchPath { schemas, local: false } => self.set_paths(statement, schemas.clone(), None),
            Effect::ResetAll => self.set_paths(statement, None, None),
            Effect::Discard { temporary, all } => {
                if *temporary && !self.temporary.is_empty() {
                    let dropped = std::mem::take(&mut self.temporary);
                    self.remember(statement, Undo::Dropped(dropped));
                }
                if *all {
                    self.set_paths(statement, None, None);
                }
            }
            Effect::CreateTemporary(name) if self.temporary.len() < MAX_TEMPORARY => {
                let new = self.temporary.insert(name.clone());
                if new {
                    self.remember(statement, Undo::Created(name.clone()));
                }
            }
            Effect::Drop(names) => {
                let temporary = names.iter().filter(|name| name.schema.as_deref().is_none_or(|of| of == "pg_temp"));
                let dropped: BTreeSet<String> = temporary.filter_map(|name| self.temporary.take(&name.name)).collect();
                if !dropped.is_empty() {
                    self.remember(statement, Undo::Dropped(dropped));
                }
            }
            _ => {}
        }
    }

    fn set_paths(&mut self, statement: u64, path: Path, local: Option<Path>) {
        if (&path, &local) != (&self.path, &self.local) {
            let before =
                Undo::Paths(std::mem::replace(&mut self.path, path), std::mem::replace(&mut self.local, local));
            self.remember(statement, before);
        }
    }

    fn remember(&mut self, statement: u64, undo: Undo) {
        let bytes = self.undo_bytes + undo.bytes();
        if self.lost.is_none() && bytes <= MAX_UNDO {
            self.undo_bytes = bytes;
            self.undo.push((statement, undo));
        } else {
            self.lost.get_or_insert((statement, statement)).1 = statement;
        }
    }

    /// Statements from `first` on have come to nothing.
    pub(super) fn roll_back_from(&mut self, first: u64) {
        while let Some((_, undo)) = self.undo.pop_if(|(statement, _)| *statement >= first) {
            self.undo_bytes -= undo.bytes();
            match undo {
                Undo::Paths(path, local) => (self.path, self.local) = (path, local),
                Undo::Created(name) => _ = self.temporary.remove(&name),
                Undo::Dropped(names) => self.temporary.extend(names),
            }
        }
        if let Some((from, to)) = self.lost
            && to >= first
        {
            // Without a path, what is named without a schema may be anywhere.
            (self.path, self.local) = (Some(Vec::new()), None);
            self.temporary.clear();
            self.lost = (from < first).then(|| (from, first - 1));
        }
    }

    /// The transaction is over.
    pub(super) fn end_transaction(&mut self, rolled_back: bool) {
        if rolled_back {
            self.roll_back_from(0);
        }
        self.undo.clear();
        (self.undo_bytes, self.lost, self.local) = (0, None, None);
    }

    /// The relation's full name, as `schema.relation`.
    pub(super) fn resolve(&self, name: &Name) -> Arc<str> {
        let relation = &name.name;
        match &name.schema {
            Some(schema) => format!("{schema}.{relation}").into(),
            None if self.temporary.contains(relation) => format!("pg_temp.{relation}").into(),
            None if SYSTEM.binary_search(&relation.as_str()).is_ok() => format!("pg_catalog.{relation}").into(),
            None => format!("{}.{relation}", self.schema()).into(),
        }
    }

    /// The schema that an unqualified name is looked up in first.
    fn schema(&self) -> &str {
        let set = self.local.as_ref().unwrap_or(&self.path);
        let schemas = set.as_ref().unwrap_or(&self.default).iter().map(String::as_str);
        // The role's own schema counts only where the session began with it.
        let may_exist =
            |schema: &&str| *schema != "$user" || self.default.is_empty() || self.default.contains(&self.user);
        match schemas.filter(|schema| !matches!(*schema, "pg_catalog" | "pg_temp")).find(may_exist) {
            Some("$user") if self.default.is_empty() => UNKNOWN_SCHEMA,
            Some("$user") => &self.user,
            Some(schema) => schema,
            None => UNKNOWN_SCHEMA,
        }
    }
}

/// Relations of schema `pg_catalog`, which every search path begins with; PostgreSQL 18, in order.
const SYSTEM: &[&str] = &[
    "pg_aggregate",
    "pg_aios",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_authid",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_backend_memory_contexts",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_config",
    "pg_constraint",
    "pg_conversion",
    "pg_cursors",
    "pg_database",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_file_settings",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_locks",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_replication_origin",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_sequences",
    "pg_settings",
    "pg_shadow",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shmem_allocations",
    "pg_shseclabel",
    "pg_stat_activity",
    "pg_stat_all_indexes",
    "pg_stat_all_tables",
    "pg_stat_archiver",
    "pg_stat_bgwriter",
    "pg_stat_checkpointer",
    "pg_stat_database",
    "pg_stat_database_conflicts",
    "pg_stat_gssapi",
    "pg_stat_io",
    "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup",
    "pg_stat_progress_cluster",
    "pg_stat_progress_copy",
    "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum",
    "pg_stat_recovery_prefetch",
    "pg_stat_replication",
    "pg_stat_replication_slots",
    "pg_stat_slru",
    "pg_stat_ssl",
    "pg_stat_subscription",
    "pg_stat_subscription_stats",
    "pg_stat_sys_indexes",
    "pg_stat_sys_tables",
    "pg_stat_user_functions",
    "pg_stat_user_indexes",
    "pg_stat_user_tables",
    "pg_stat_wal",
    "pg_stat_wal_receiver",
    "pg_stat_xact_all_tables",
    "pg_stat_xact_sys_tables",
    "pg_stat_xact_user_functions",
    "pg_stat_xact_user_tables",
    "pg_statio_all_indexes",
    "pg_statio_all_sequences",
    "pg_statio_all_tables",
    "pg_statio_sys_indexes",
    "pg_statio_sys_sequences",
    "pg_statio_sys_tables",
    "pg_statio_user_indexes",
    "pg_statio_user_sequences",
    "pg_statio_user_tables",
    "pg_statistic",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_views",
    "pg_wait_events",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(relation: &str) -> Name {
        Name { schema: None, name: relation.to_owned() }
    }

    fn path(schemas: &[&str], local: bool) -> Effect {
        Effect::SearchPath { schemas: Some(schemas.iter().map(|schema| (*schema).to_owned()).collect()), local }
    }

    #[test]
    fn system_names_are_in_order() {
        assert!(SYSTEM.is_sorted());
    }

    #[test]
    fn names_follow_the_search_path() {
        let mut names = Names::default();
        names.set_default(vec!["public".into()]);
        assert_eq!(&*names.resolve(&name("t")), "public.t");
        assert_eq!(&*names.resolve(&name("pg_class")), "pg_catalog.pg_class");
        assert_eq!(&*names.resolve(&name("pg_stat_statements")), "public.pg_stat_statements");
        names.set_user("joe");
        names.set_default(vec!["sales".into(), "public".into()]);
        assert_eq!(&*names.resolve(&name("t")), "sales.t");
        names.apply(1, &path(&["$user", "other"], false));
        assert_eq!(&*names.resolve(&name("t")), "other.t");
        names.end_transaction(false);
        names.apply(2, &path(&["pg_catalog", "local"], true));
        assert_eq!(&*names.resolve(&name("t")), "local.t");
        names.end_transaction(false);
        assert_eq!(&*names.resolve(&name("t")), "other.t");
        names.set_default(vec!["joe".into()]);
        assert_eq!(&*names.resolve(&name("t")), "joe.t");
        names.told("told, public");
        assert_eq!(&*names.resolve(&name("t")), "told.t");
    }

    #[test]
    fn without_a_search_path_no_schema_is_guessed() {
        let mut names = Names::default();
        names.set_user("joe");
        assert_eq!(&*names.resolve(&name("t")), "?.t");
        assert_eq!(&*names.resolve(&name("pg_class")), "pg_catalog.pg_class");
        names.apply(1, &path(&["$user", "public"], false));
        assert_eq!(&*names.resolve(&name("t")), "?.t", "the role may have a schema of its own");
        names.apply(2, &path(&["sales"], false));
        assert_eq!(&*names.resolve(&name("t")), "sales.t");
    }

    #[test]
    fn what_is_rolled_back_is_undone() {
        let mut names = Names::default();
        names.set_default(vec!["public".into()]);
        names.apply(1, &Effect::CreateTemporary("t".into()));
        names.end_transaction(false);
        names.apply(2, &path(&["a"], false));
        names.apply(4, &Effect::Drop(vec![name("t")]));
        assert_eq!(&*names.resolve(&name("t")), "a.t");
        names.roll_back_from(3);
        assert_eq!(&*names.resolve(&name("t")), "pg_temp.t");
        names.apply(5, &Effect::Discard { temporary: true, all: true });
        assert_eq!(&*names.resolve(&name("t")), "public.t");
        names.end_transaction(true);
        assert_eq!(&*names.resolve(&name("t")), "pg_temp.t");
        assert_eq!(&*names.resolve(&name("u")), "public.u");
    }

    #[test]
    fn a_long_transaction_keeps_little_and_is_undone_all_the_same() {
        let mut names = Names::default();
        names.set_default(vec!["public".into()]);
        let long = |number: u64| format!("{number:063}");
        for number in 0..10_000 {
            names.apply(number, &Effect::CreateTemporary(long(number)));
        }
        for number in 10_000..11_000 {
            names.apply(number, &path(&[&long(number)], false));
            names.apply(number, &Effect::None);
        }
        assert_eq!(names.undo.len(), 11_000);
        assert!(serde_json::to_vec(&names).unwrap().len() < 2 * 1024 * 1024);
        let before = names.clone();
        names.roll_back_from(10_500);
        assert_eq!(*names.resolve(&name("t")), format!("{}.t", long(10_499)));
        assert_eq!(*names.resolve(&name(&long(7))), format!("pg_temp.{}", long(7)));
        names.end_transaction(true);
        assert_eq!(&*names.resolve(&name("t")), "public.t");
        assert_eq!(*names.resolve(&name(&long(7))), format!("public.{}", long(7)));
        let mut committed = before;
        committed.end_transaction(false);
        assert_eq!((committed.undo.len(), committed.undo_bytes), (0, 0));
    }

    #[test]
    fn what_cannot_be_undone_leaves_no_guess() {
        let mut names = Names::default();
        names.set_default(vec!["public".into()]);
        names.apply(1, &path(&["kept"], false));
        names.end_transaction(false);
        for number in 2..2000 {
            names.apply(number, &path(&[&format!("{number:02000}")], false));
        }
        assert!(names.lost.is_some() && names.undo_bytes <= MAX_UNDO);
        names.roll_back_from(2000);
        assert_eq!(*names.resolve(&name("t")), format!("{:02000}.t", 1999));
        names.roll_back_from(1999);
        assert_eq!(&*names.resolve(&name("t")), "?.t");
        names.end_transaction(true);
        assert_eq!(&*names.resolve(&name("t")), "?.t");
        names.apply(3000, &path(&["a"], false));
        assert_eq!(&*names.resolve(&name("t")), "a.t");
        names.end_transaction(true);
        assert_eq!(&*names.resolve(&name("t")), "?.t");
    }
}
