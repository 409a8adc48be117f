//! What is asked of PostgreSQL's catalog, from version 12 on.
//!
//! Every question is asked with `search_path = pg_catalog`: no object of a user's can take the place of a function or
//! a relation that is named here, and definitions come out with all names qualified. Answers are the JSON of
//! [`hansard_policy::catalog::Object`], or parts of it. Temporary relations (but for their names) and TOAST tables are left out; of what is in
//! `pg_catalog` and `information_schema`, only the names of relations are told.

use hansard_policy::catalog::Kind;

/// What the session is set to before anything is asked; nothing here is left to the settings of role and database.
pub(super) const SETTINGS: &str = "SET search_path = pg_catalog; SET statement_timeout = '30s'; SET lock_timeout = '250ms'; \
     SET idle_in_transaction_session_timeout = '60s'; SET jit = off; SET quote_all_identifiers = off; \
     SET client_encoding = 'UTF8'; SET datestyle = ISO; SET standard_conforming_strings = on; SET client_min_messages = error";

/// `search_path` of a session for which nothing sets it, as far as this session tells.
pub(super) const DEFAULT_PATH: &str = "SELECT setting FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'search_path' \
     AND source OPERATOR(pg_catalog.<>) ALL (ARRAY['database', 'user', 'database user', 'client', 'session'])";

/// The snapshot that all questions of one reading see, and first of all which tables may not be read.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname = ANY \
     ('{pg_database,pg_roles,pg_auth_members,pg_db_role_setting,pg_namespace,pg_class,pg_attribute,pg_inherits,pg_attrdef,pg_constraint,pg_index,pg_policy,pg_rewrite,pg_trigger,pg_proc,pg_language,pg_aggregate,pg_type,pg_cast,pg_operator,pg_event_trigger,pg_partitioned_table,pg_collation,pg_depend,pg_extension}') \
     AND NOT has_table_privilege(oid, 'SELECT')";

/// By which it is seen that something changed: a number of each table that differs when a row of it does.
///
/// Rows count by the transaction that wrote them (`xmin`), which is another one for each change that was committed.
/// `pg_class` and what is shared by databases count by content: TRUNCATE, VACUUM FULL and CLUSTER write rows of
/// `pg_class` and change nothing that matters here.
pub(super) struct Source {
    /// The tables that it takes.
    pub(super) tables: &'static [&'static str],
    pub(super) sql: &'static str,
}

macro_rules! by_writer {
    ($oid:literal, $salt:literal) => {
        concat!(
            "count(*) || '.' || coalesce(sum(hashint8extended((",
            $oid,
            "::int8 << 32) | xmin::text::int8, ",
            $salt,
            ")), 0)"
        )
    };
}

pub(super) const SOURCES: [Source; 15] = [
    Source {
        tables: &["pg_database", "pg_db_role_setting"],
        sql: concat!(
            "SELECT concat_ws(',', datname, datdba, encoding, (SELECT ",
            by_writer!("setrole", "setdatabase::int8"),
            " FROM pg_db_role_setting)) FROM pg_database WHERE datname = current_database()"
        ),
    },
    Source {
        tables: &["pg_roles", "pg_auth_members"],
        sql: concat!(
            "SELECT (SELECT sum(hashtextextended(concat_ws(',', rolname, rolsuper, rolinherit), oid::int8)) FROM pg_roles) || ',' || ",
            by_writer!("roleid", "member::int8"),
            " FROM pg_auth_members"
        ),
    },
    Source {
        tables: &["pg_namespace"],
        sql: concat!("SELECT ", by_writer!("oid", "0"), " FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'"),
    },
    Source {
        tables: &["pg_class"],
        sql: "SELECT count(*) || '.' || sum(hashtextextended(concat_ws(',', relname, relnamespace, relkind, relowner, relrowsecurity, reloptions), oid::int8)) \
             FROM pg_class WHERE relpersistence <> 't' AND relkind = ANY ('{r,p,v,m,f,S,c}')",
    },
    Source {
        tables: &["pg_class", "pg_attribute"],
        sql: concat!(
            "SELECT ",
            by_writer!("attrelid", "attnum"),
            " FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relpersistence <> 't' AND relkind = ANY ('{r,p,v,m,f,c}'))"
        ),
    },
    Source {
        tables: &["pg_inherits"],
        sql: concat!("SELECT ", by_writer!("inhrelid", "inhparent::int8"), " FROM pg_inherits"),
    },
    Source {
        tables: &["pg_class", "pg_attrdef"],
        sql: concat!(
            "SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM pg_class WHERE relpersistence <> 't')"
        ),
    },
    Source {
        tables: &["pg_class", "pg_constraint"],
        sql: concat!(
            "SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_constraint WHERE contype IN ('c', 'x', 'f') AND conrelid NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')"
        ),
    },
    Source {
        tables: &["pg_class", "pg_index", "pg_policy"],
        sql: concat!(
            "SELECT (SELECT ",
            by_writer!("indexrelid", "0"),
            " FROM pg_index WHERE (indexprs IS NOT NULL OR indpred IS NOT NULL) AND indrelid NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')) || ',' || ",
            by_writer!("oid", "0"),
            " FROM pg_policy"
        ),
    },
    Source {
        tables: &["pg_class", "pg_rewrite"],
        sql: concat!(
            "SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_rewrite WHERE ev_class NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')"
        ),
    },
    Source {
        tables: &["pg_class", "pg_trigger"],
        sql: concat!(
            "SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_trigger WHERE (NOT tgisinternal OR tgconstraint = 0 OR tgfoid >= 16384) AND tgrelid NOT IN (SELECT oid FROM pg_class WHERE relpersistence = 't')"
        ),
    },
    Source { tables: &["pg_proc"], sql: concat!("SELECT ", by_writer!("oid", "0"), " FROM pg_proc") },
    Source {
        tables: &["pg_type"],
        sql: concat!(
            "SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_type WHERE typtype IN ('b', 'd', 'e', 'r', 'm') AND typcategory <> 'A'"
        ),
    },
    Source {
        tables: &["pg_cast", "pg_operator"],
        sql: concat!(
            "SELECT (SELECT ",
            by_writer!("oid", "0"),
            " FROM pg_cast) || ',' || ",
            by_writer!("oid", "0"),
            " FROM pg_operator"
        ),
    },
    Source { tables: &["pg_event_trigger"], sql: concat!("SELECT ", by_writer!("oid", "0"), " FROM pg_event_trigger") },
];

/// A question whose rows are whole objects: an OID and its JSON.
pub(super) struct Part {
    pub(super) kind: Kind,
    /// The tables that it takes.
    pub(super) tables: &'static [&'static str],
    pub(super) sql: &'static str,
    /// Taken in place of `sql` from that version on.
    pub(super) since: Option<(u32, &'static str)>,
}

/// The settings of `$database` and `$role`.
macro_rules! settings {
    ($database:literal, $role:literal) => {
        concat!(
            "(SELECT json_agg(json_build_object('name', lower(split_part(e, '=', 1)), 'value', substr(e, strpos(e, '=') + 1))) ",
            "FROM pg_db_role_setting s, unnest(s.setconfig) e WHERE s.setdatabase = ",
            $database,
            " AND s.setrole = ",
            $role,
            ")"
        )
    };
}

macro_rules! roles {
    ($inherits:literal, $member_of:literal) => {
        concat!(
            "SELECT oid::int8, json_strip_nulls(json_build_object('role', json_build_object('name', rolname, 'superuser', rolsuper, ",
            "'inherits', (SELECT json_agg(roleid::int8 ORDER BY roleid) FROM pg_auth_members m WHERE m.member = r.oid AND ",
            $inherits,
            "), 'member_of', (SELECT json_agg(roleid::int8 ORDER BY roleid) FROM pg_auth_members m WHERE m.member = r.oid AND ",
            $member_of,
            "), 'settings', ",
            settings!("0", "r.oid"),
            ", 'settings_here', ",
            settings!("(SELECT oid FROM pg_database WHERE datname = current_database())", "r.oid"),
            ")))::text FROM pg_roles r"
        )
    };
}

/// The names of columns with these numbers, in their order.
macro_rules! columns {
    ($numbers:literal, $relation:literal) => {
        concat!(
            "(SELECT json_agg(a.attname ORDER BY k.place) FROM unnest(",
            $numbers,
            ") WITH ORDINALITY AS k(number, place) JOIN pg_attribute a ON a.attrelid = ",
            $relation,
            " AND a.attnum = k.number)"
        )
    };
}

/// Longest text of a definition that is read.
macro_rules! bounded {
    ($text:literal) => {
        concat!("CASE WHEN octet_length(", $text, ") <= 262144 THEN ", $text, " END")
    };
}

/// What belongs to neither PostgreSQL itself nor a temporary relation.
macro_rules! of_users {
    ($schema:literal) => {
        concat!(
            $schema,
            ".nspname NOT IN ('pg_catalog', 'information_schema') AND ",
            $schema,
            ".nspname !~ '^pg_(temp|toast)'"
        )
    };
}

pub(super) const DATABASE: Part = Part {
    kind: Kind::Database,
    tables: &["pg_database", "pg_db_role_setting"],
    sql: concat!(
        "SELECT oid::int8, json_strip_nulls(json_build_object('database', json_build_object('name', datname, 'owner', datdba::int8, ",
        "'version', current_setting('server_version_num')::int, 'encoding', pg_encoding_to_char(encoding), 'settings', ",
        settings!("d.oid", "0"),
        ", 'settings_of_all', ",
        settings!("0", "0"),
        ")))::text FROM pg_database d WHERE datname = current_database()"
    ),
    since: None,
};

pub(super) const PARTS: [Part; 9] = [
    Part {
        kind: Kind::Role,
        tables: &["pg_roles", "pg_auth_members", "pg_db_role_setting", "pg_database"],
        sql: roles!("r.rolinherit", "NOT r.rolinherit"),
        since: Some((16_00_00, roles!("m.inherit_option", "NOT m.inherit_option"))),
    },
    Part {
        kind: Kind::Schema,
        tables: &["pg_namespace"],
        sql: "SELECT oid::int8, json_strip_nulls(json_build_object('schema', json_build_object('name', nspname, 'owner', nspowner::int8, \
             'usage', (SELECT json_agg(DISTINCT grantee::int8) FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) \
             WHERE privilege_type = 'USAGE'))))::text FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'",
        since: None,
    },
    Part {
        kind: Kind::Trigger,
        tables: &["pg_trigger", "pg_class", "pg_attribute"],
        sql: concat!(
            "SELECT t.oid::int8, json_strip_nulls(json_build_object('trigger', json_build_object('relation', tgrelid::int8, ",
            "'name', tgname, 'function', tgfoid::int8, 'type', tgtype & 127, 'enabled', tgenabled, 'columns', ",
            columns!("t.tgattr::int2[]", "t.tgrelid"),
            ", 'when', CASE WHEN tgqual IS NOT NULL THEN coalesce(substring(pg_get_triggerdef(t.oid) FROM ' WHEN [(](.*)[)] EXECUTE '), '?') END, ",
            "'deferrable', tgdeferrable)))::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid ",
            // Up to version 14, those that partitions have of their parents' are internal, too.
            "WHERE (NOT tgisinternal OR tgconstraint = 0 OR tgfoid >= 16384) AND c.relpersistence <> 't'"
        ),
        since: None,
    },
    Part {
        kind: Kind::EventTrigger,
        tables: &["pg_event_trigger"],
        sql: "SELECT oid::int8, json_strip_nulls(json_build_object('event_trigger', json_build_object('name', evtname, 'event', evtevent, \
             'function', evtfoid::int8, 'enabled', evtenabled, 'tags', evttags)))::text FROM pg_event_trigger",
        since: None,
    },
    Part {
        kind: Kind::ForeignKey,
        tables: &["pg_constraint", "pg_class", "pg_attribute"],
        sql: concat!(
            "SELECT f.oid::int8, json_strip_nulls(json_build_object('foreign_key', json_build_object('name', conname, ",
            "'relation', conrelid::int8, 'columns', coalesce(",
            columns!("f.conkey", "f.conrelid"),
            ", '[]'), 'references', confrelid::int8, 'references_columns', coalesce(",
            columns!("f.confkey", "f.confrelid"),
            ", '[]'), 'on_update', confupdtype, 'on_delete', confdeltype, 'deferrable', condeferrable)))::text ",
            "FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid WHERE contype = 'f' AND c.relpersistence <> 't'"
        ),
        since: None,
    },
    Part {
        kind: Kind::Function,
        tables: &["pg_proc", "pg_namespace", "pg_language", "pg_aggregate", "pg_depend", "pg_extension"],
        sql: concat!(
            "SELECT p.oid::int8, json_strip_nulls(json_build_object('function', json_build_object('schema', nspname, 'name', proname, ",
            "'kind', prokind, 'owner', proowner::int8, 'arguments', to_json(proargtypes::oid[]::int8[]), 'defaults', pronargdefaults, ",
            "'default_values', CASE WHEN proargdefaults::text ~ '[{](?!CONST )' THEN pg_get_expr(proargdefaults, 0) END, ",
            "'variadic', provariadic <> 0, 'signature', pg_get_function_arguments(p.oid), 'result', coalesce(pg_get_function_result(p.oid), ''), ",
            "'language', lanname, 'volatility', provolatile, 'security_definer', prosecdef, 'settings', ",
            "(SELECT json_agg(json_build_object('name', lower(split_part(e, '=', 1)), 'value', substr(e, strpos(e, '=') + 1))) FROM unnest(proconfig) e), ",
            "'source', CASE WHEN lanname IN ('sql', 'plpgsql') AND prosrc <> '' THEN ",
            bounded!("prosrc"),
            " WHEN lanname = 'internal' AND prosrc IN (SELECT prosrc FROM pg_proc WHERE oid < 16384 AND provolatile = 'i') THEN prosrc",
            " END, 'extension', CASE WHEN lanname = 'c' THEN (SELECT min(extname::text) FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid ",
            "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e') END, ",
            "'parts', (SELECT json_agg(DISTINCT f::int8) FROM pg_aggregate g, unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, ",
            "aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[]) f WHERE g.aggfnoid = p.oid AND f >= 16384))))::text ",
            "FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE ",
            of_users!("n")
        ),
        since: None,
    },
    Part {
        kind: Kind::Type,
        tables: &["pg_type", "pg_namespace", "pg_class", "pg_constraint", "pg_attribute"],
        sql: concat!(
            "SELECT t.oid::int8, json_strip_nulls(json_build_object('type', json_build_object('schema', nspname, 'name', typname, ",
            "'kind', typtype, 'base', typbasetype::int8, 'checks', (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.oid) ",
            "FROM pg_constraint k WHERE k.contypid = t.oid), 'default', CASE WHEN typtype = 'd' AND typdefaultbin::text NOT LIKE '{CONST %' ",
            "THEN typdefault END, 'array', typarray::int8)))::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace ",
            "LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE (t.typrelid = 0 OR c.relkind = 'c' ",
            // A row type where a column has it.
            "OR (t.oid IN (SELECT atttypid FROM pg_attribute WHERE attnum > 0 AND atttypid >= 16384) ",
            "OR t.typarray IN (SELECT atttypid FROM pg_attribute WHERE attnum > 0 AND atttypid >= 16384)) AND c.relpersistence <> 't') ",
            "AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND ",
            of_users!("n")
        ),
        since: None,
    },
    Part {
        kind: Kind::Cast,
        tables: &["pg_cast"],
        sql: "SELECT oid::int8, json_strip_nulls(json_build_object('cast', json_build_object('source', castsource::int8, 'target', \
             casttarget::int8, 'function', castfunc::int8, 'implicit', castcontext <> 'e')))::text FROM pg_cast WHERE castfunc >= 16384",
        since: None,
    },
    Part {
        kind: Kind::Operator,
        tables: &["pg_operator", "pg_namespace"],
        sql: concat!(
            "SELECT o.oid::int8, json_strip_nulls(json_build_object('operator', json_build_object('schema', nspname, 'name', oprname, ",
            "'left', oprleft::int8, 'right', oprright::int8, 'function', oprcode::oid::int8)))::text ",
            "FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE ",
            of_users!("n")
        ),
        since: None,
    },
];

/// The tables that relations are read from.
pub(super) const RELATION_TABLES: &[&str] = &[
    "pg_class",
    "pg_namespace",
    "pg_attribute",
    "pg_inherits",
    "pg_attrdef",
    "pg_constraint",
    "pg_index",
    "pg_policy",
    "pg_partitioned_table",
    "pg_collation",
];

/// OID, schema, name, kind, owner, row security, partition bound, partition key, whether that compares loosely.
pub(super) const RELATIONS: &str = "SELECT c.oid::int8, n.nspname, c.relname, c.relkind, c.relowner::int8, \
     CASE WHEN c.relkind = 'v' THEN coalesce(c.reloptions::text ~* 'security_invoker=(true|on|yes|1)', false) ELSE c.relrowsecurity END, \
     pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, \
     c.relkind = 'p' AND EXISTS (SELECT FROM pg_partitioned_table k JOIN pg_collation l ON l.oid = ANY (k.partcollation) \
     WHERE k.partrelid = c.oid AND NOT l.collisdeterministic) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = ANY ('{r,p,v,m,f,S,c}') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(temp|toast)'";

/// OID of a relation, name, type and number of a column; in no order, which would cost more than all the rest, as JSON of
/// them would.
pub(super) const COLUMNS: &str = "SELECT a.attrelid, a.attname, a.atttypid, a.attnum FROM pg_attribute a \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid >= 16384 AND a.attrelid IN \
     (SELECT oid FROM pg_class WHERE relkind = ANY ('{r,p,v,m,f,c}') AND relpersistence <> 't')";

/// OID of a relation, JSON of its parents' OIDs.
pub(super) const PARENTS: &str = "SELECT inhrelid::int8, json_agg(inhparent::int8 ORDER BY inhseqno)::text \
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
     WHERE c.relkind = ANY ('{r,p,f}') AND c.relpersistence <> 't' GROUP BY inhrelid";

/// OID of a relation, JSON of the expressions that belong to it.
pub(super) const EXPRESSIONS: &str = concat!(
    "SELECT relation::int8, json_agg(json_strip_nulls(json_build_object('when', kind, 'column', attname, 'text', definition)) ",
    "ORDER BY kind, attnum, definition)::text FROM (",
    "SELECT d.adrelid AS relation, CASE WHEN a.attgenerated = '' THEN 'default' ELSE 'generated' END AS kind, a.attname, a.attnum, ",
    "pg_get_expr(d.adbin, d.adrelid) AS definition FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum ",
    "WHERE d.adbin::text NOT LIKE '{CONST %' ",
    "UNION ALL SELECT conrelid, CASE contype WHEN 'c' THEN 'check' ELSE 'index' END, NULL, 0, pg_get_constraintdef(oid) ",
    "FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid <> 0 ",
    "UNION ALL SELECT indrelid, 'index', NULL, 0, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL ",
    "UNION ALL SELECT polrelid, 'policy', NULL, 0, e FROM pg_policy, LATERAL (VALUES (pg_get_expr(polqual, polrelid)), ",
    "(pg_get_expr(polwithcheck, polrelid))) AS v(e) WHERE e IS NOT NULL",
    // Of what has just been dropped there is no definition.
    ") x JOIN pg_class c ON c.oid = x.relation JOIN pg_namespace n ON n.oid = c.relnamespace ",
    "WHERE definition IS NOT NULL AND c.relpersistence <> 't' AND ",
    of_users!("n"),
    " GROUP BY relation"
);

/// The names of temporary relations and types, whoever's they are: of more than so many, they are not told.
pub(super) const TEMPORARY: &str = "WITH t AS (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_temp_') \
     SELECT relname FROM pg_class WHERE relkind = ANY ('{r,p,v,m,f,S,c}') AND relnamespace IN (SELECT oid FROM t) \
     UNION SELECT typname FROM pg_type WHERE typcategory <> 'A' AND typnamespace IN (SELECT oid FROM t) LIMIT 10001";
pub(super) const TEMPORARY_TABLES: &[&str] = &["pg_class", "pg_namespace", "pg_type"];
pub(super) const MAX_TEMPORARY: usize = 10_000;

/// OIDs of the rules and of the functions whose definitions are read by themselves.
pub(super) const RULES: &str = concat!(
    "SELECT r.oid::int8 FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace ",
    "WHERE r.rulename <> '_RETURN' AND c.relpersistence <> 't' AND ",
    of_users!("n")
);
pub(super) const STORED_BODIES: &str = "SELECT oid::int8 FROM pg_proc WHERE prosqlbody IS NOT NULL AND oid >= 16384";

/// The tables that rules are read from.
pub(super) const RULE_TABLES: &[&str] = &["pg_rewrite", "pg_class", "pg_namespace"];

/// PostgreSQL locks the relations that a view, a rule or a stored body names while it writes their definition: these
/// questions are asked for a few objects at a time, and the locks given back behind each.
pub(super) fn views(oids: &str) -> String {
    let text = bounded!("pg_get_viewdef(o::oid)");
    format!("SELECT o, {text}, pg_relation_is_updatable(o::oid, false) FROM unnest('{{{oids}}}'::int8[]) o")
}

pub(super) fn rules(oids: &str) -> String {
    format!(
        "SELECT oid::int8, json_build_object('rule', json_build_object('relation', ev_class::int8, 'name', rulename, 'enabled', \
         ev_enabled, 'definition', {}))::text FROM pg_rewrite WHERE oid = ANY ('{{{oids}}}'::oid[])",
        "pg_get_ruledef(oid)"
    )
}

pub(super) fn bodies(oids: &str) -> String {
    let text = bounded!("pg_get_function_sqlbody(o::oid)");
    format!("SELECT o, {text} FROM unnest('{{{oids}}}'::int8[]) o")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hansard_policy::{Operation, analyse, is_built_in};

    use super::*;

    /// Hansard's own statements are in the record like all others: none of them may read as one that changes something.
    #[test]
    fn what_is_asked_is_known_to_change_nothing() {
        let sources = SOURCES.iter().map(|source| source.sql.to_owned());
        let parts = PARTS.iter().chain([&DATABASE]);
        let parts =
            parts.flat_map(|part| [Some(part.sql), part.since.map(|(_, sql)| sql)]).flatten().map(str::to_owned);
        let others =
            [SETTINGS, DEFAULT_PATH, BEGIN, RELATIONS, COLUMNS, PARENTS, EXPRESSIONS, RULES, STORED_BODIES, TEMPORARY];
        let others = others.map(str::to_owned).into_iter().chain([views("1,2"), rules("1,2"), bodies("1,2")]);
        let mut strange = BTreeSet::new();
        for text in sources.chain(parts).chain(others) {
            for statement in analyse(&text).statements {
                assert_eq!(statement.opaque, None, "{text}");
                let reads =
                    |operation| matches!(operation, Operation::Select | Operation::Set | Operation::Transaction);
                assert!(reads(statement.operation) && !statement.may_end_transaction, "{text}");
                let others = statement.functions.into_iter().filter(|function| !is_built_in(function));
                strange.extend(others.map(|function| function.name));
            }
        }
        assert_eq!(strange, BTreeSet::new());
    }
}
