//! The database that a conversation of roads has to itself: each relation is there twice, by the same name.

/// In both schemas `{s}`; `{x}` is the other one.
const SCHEMA: &str = r#"
CREATE SCHEMA {s};
CREATE TABLE {s}.t (n bigint, k text);
CREATE TABLE {s}.t2 (n bigint, k text);
CREATE TABLE {s}."Odd.t" (n bigint, k text);
CREATE TABLE {s}."café" (n bigint, k text);
CREATE TABLE {s}.u (i int PRIMARY KEY, n bigint);
INSERT INTO {s}.u VALUES (1, 0);
CREATE TABLE {s}.p (n bigint, k text) PARTITION BY LIST (k);
CREATE TABLE {s}.p_x PARTITION OF {s}.p FOR VALUES IN ('x');
CREATE TABLE {s}.p_y PARTITION OF {s}.p FOR VALUES IN ('y', NULL);
CREATE TABLE {s}.p_d PARTITION OF {s}.p DEFAULT;
CREATE TABLE {s}.q (n bigint, k int) PARTITION BY RANGE (k);
CREATE TABLE {s}.q_1 PARTITION OF {s}.q FOR VALUES FROM (0) TO (10);
CREATE TABLE {s}.q_2 PARTITION OF {s}.q FOR VALUES FROM (10) TO (20) PARTITION BY HASH (n);
CREATE TABLE {s}.q_2a PARTITION OF {s}.q_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE {s}.q_2b PARTITION OF {s}.q_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE COLLATION {s}.loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE {s}.l (n bigint, k text COLLATE {s}.loose) PARTITION BY LIST (k);
CREATE TABLE {s}.l_x PARTITION OF {s}.l FOR VALUES IN ('x');
CREATE TABLE {s}.l_d PARTITION OF {s}.l DEFAULT;
CREATE TABLE {s}.h (n bigint, k text);
CREATE TABLE {s}.h_1 () INHERITS ({s}.h);
CREATE TABLE {s}.h_2 () INHERITS ({s}.h_1);
CREATE TABLE {s}.f (n bigint PRIMARY KEY);
CREATE TABLE {s}.f_1 (n bigint UNIQUE REFERENCES {s}.f ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE {s}.f_2 (n bigint REFERENCES {s}.f_1 (n) ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE {s}.ru (n bigint, k text);
CREATE RULE also AS ON INSERT TO {s}.ru DO ALSO INSERT INTO {s}.t2 VALUES (NEW.n, NEW.k);
CREATE TABLE {s}.rn (n bigint, k text);
CREATE RULE instead AS ON UPDATE TO {s}.rn DO INSTEAD UPDATE {s}.t SET n = NEW.n WHERE n = (SELECT max(n) FROM {s}.t WHERE n < 0);
CREATE VIEW {s}.v AS SELECT n, k FROM {s}.t;
CREATE VIEW {s}.vv AS SELECT k, n FROM {s}.v WHERE n <> 0 WITH LOCAL CHECK OPTION;
CREATE VIEW {s}.vp AS SELECT * FROM {s}.p;
CREATE VIEW {s}.vi AS SELECT n, k FROM {s}.t UNION ALL SELECT n, k FROM {s}.t2;
CREATE VIEW {s}.vr AS SELECT n, k FROM {s}.t UNION ALL SELECT n, k FROM {s}.t2;
CREATE RULE instead AS ON INSERT TO {s}.vr DO INSTEAD INSERT INTO {s}.t2 VALUES (NEW.n, NEW.k);
CREATE FUNCTION {s}.to_t2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN DELETE FROM {s}.t2 WHERE n = OLD.n; RETURN OLD; END IF;
    INSERT INTO {s}.t2 (n) VALUES (NEW.n); RETURN NEW;
END $$;
CREATE FUNCTION {s}.to_t() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO t (n) VALUES (NEW.n); RETURN NULL; END $$;
CREATE FUNCTION {s}.to_named() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('INSERT INTO %s (n) VALUES ($1)', TG_ARGV[0]) USING NEW.n; RETURN NULL; END $$;
CREATE FUNCTION {s}.all_to_t2() RETURNS trigger LANGUAGE plpgsql SET search_path = {s}, pg_temp AS $$
BEGIN INSERT INTO t2 (n) SELECT n FROM fresh; RETURN NULL; END $$;
CREATE TRIGGER change INSTEAD OF INSERT OR UPDATE OR DELETE ON {s}.vi FOR EACH ROW EXECUTE FUNCTION {s}.to_t2();
CREATE TABLE {s}.g_1 (n bigint, k text);
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON {s}.g_1 FOR EACH ROW EXECUTE FUNCTION {s}.to_t2();
CREATE TABLE {s}.g_2 (n bigint, k text);
CREATE TRIGGER change BEFORE INSERT ON {s}.g_2 FOR EACH ROW EXECUTE FUNCTION {s}.to_t();
CREATE TABLE {s}.g_3 (n bigint, k text);
CREATE TRIGGER change AFTER INSERT ON {s}.g_3 REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION {s}.all_to_t2();
CREATE TABLE {s}.g_4 (n bigint, k text);
CREATE CONSTRAINT TRIGGER change AFTER INSERT ON {s}.g_4 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {s}.to_t2();
CREATE TABLE {s}.g_5 (n bigint, k text);
CREATE TRIGGER change AFTER INSERT ON {s}.g_5 FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION {s}.to_named('{x}.t');
CREATE FUNCTION {s}.f_sql(n bigint) RETURNS void LANGUAGE sql AS $$ INSERT INTO t (n) VALUES ($1) $$;
CREATE FUNCTION {s}.f_plpgsql(a bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN IF a > 0 THEN INSERT INTO t (n) VALUES (a); END IF; RETURN 1; END $$;
CREATE FUNCTION {s}.f_loop(a bigint) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN FOR r IN INSERT INTO t (n) VALUES (a) RETURNING n LOOP NULL; END LOOP; RETURN 1; END $$;
CREATE FUNCTION {s}.f_own(a bigint) RETURNS int LANGUAGE plpgsql SET search_path = {x}, pg_temp AS $$
BEGIN INSERT INTO t (n) VALUES (a); RETURN 1; END $$;
CREATE FUNCTION {s}.f_definer(a bigint) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN UPDATE t SET n = a WHERE n = (SELECT max(n) FROM t WHERE n < 0); RETURN 1; END $$;
CREATE FUNCTION {s}.f_dynamic(a bigint, b text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN EXECUTE 'INSERT INTO ' || b || ' (n) VALUES ($1)' USING a; RETURN 1; END $$;
CREATE FUNCTION {s}.f_constant(a bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN EXECUTE 'INSERT INTO t (n) VALUES ($1)' USING a; RETURN 1; END $$;
CREATE FUNCTION {s}.f_nested(a bigint, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT {x}.f_plpgsql(a) $$;
CREATE FUNCTION {s}.f_atomic(a bigint) RETURNS void LANGUAGE sql BEGIN ATOMIC INSERT INTO {s}.t (n) VALUES (a); END;
CREATE FUNCTION {s}.f_variadic(VARIADIC a bigint[]) RETURNS void LANGUAGE sql AS $$ INSERT INTO t2 (n) SELECT unnest(a) $$;
CREATE FUNCTION {s}.f_set(a text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN PERFORM set_config('search_path', a, false); END $$;
CREATE FUNCTION {s}.f_temporary() RETURNS void LANGUAGE plpgsql AS $$
BEGIN CREATE TEMP TABLE IF NOT EXISTS t (n bigint, k text); END $$;
CREATE FUNCTION {s}.f_path(a bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN SET LOCAL search_path = {x}; INSERT INTO t (n) VALUES (a); RETURN 1; END $$;
CREATE PROCEDURE {s}.pr(a bigint) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t (n) VALUES (a); END $$;
CREATE PROCEDURE {s}.pr_own(a bigint) LANGUAGE plpgsql SET search_path = {x}, {s}, pg_temp AS $$
BEGIN INSERT INTO t (n) VALUES (a); END $$;
CREATE PROCEDURE {s}.pr_slow(a bigint) LANGUAGE plpgsql AS $$
BEGIN INSERT INTO {s}.t (n) VALUES (a); PERFORM pg_sleep(0.5); END $$;
CREATE PROCEDURE {s}.pr_commit(a bigint) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t (n) VALUES (a); COMMIT; END $$;
CREATE PROCEDURE {s}.pr_sql(a bigint) LANGUAGE sql AS $$ UPDATE t SET n = a WHERE n = (SELECT max(n) FROM t WHERE n < 0) $$;
CREATE FUNCTION {s}.check_it(a bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN INSERT INTO {s}.t2 (n) VALUES (a); RETURN true; END $$;
CREATE DOMAIN {s}.checked AS bigint CHECK ({s}.check_it(VALUE));
CREATE TABLE {s}.dm (n {s}.checked);
CREATE TABLE {s}.ck (n bigint CHECK ({s}.check_it(n)));
CREATE TABLE {s}.ge (n bigint, m int DEFAULT 0, k text);
CREATE FUNCTION {s}.plus(a bigint, b text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO {s}.t2 (n) VALUES (a); RETURN 1; END $$;
CREATE OPERATOR {s}.|+| (LEFTARG = bigint, RIGHTARG = text, FUNCTION = {s}.plus);
CREATE VIEW {s}.vf AS SELECT n, {s}.f_plpgsql(n) AS m FROM {s}.ge;
CREATE AGGREGATE {s}.ag (bigint) (SFUNC = {s}.ag_step, STYPE = int, INITCOND = '0');
"#;

/// In schemas that have little else.
const LITTLE: &str = r#"
CREATE SCHEMA {s};
CREATE TABLE {s}.t (n bigint, k text);
CREATE VIEW {s}.v AS SELECT n, k FROM {s}.t;
"#;

/// Before an aggregate can be made of it.
const STEP: &str = "CREATE FUNCTION {s}.ag_step(s int, a bigint) RETURNS int LANGUAGE plpgsql AS $$
BEGIN INSERT INTO {s}.t2 (n) VALUES (a); RETURN s + 1; END $$;\n";

/// The database that conversations get copies of.
pub(crate) const TEMPLATE: &str = "world";

/// Two schemas with the same relations, one whose name needs quotes, and one that is called as a role is.
pub(crate) const SCHEMAS: [&str; 4] = ["a", "b", "\"Odd.s\"", "r"];

/// Tables that have rows to update and delete.
const WITH_ROWS: &[&str] = &["t", "t2", "\"Odd.t\"", "\"café\"", "p", "h", "h_1", "h_2", "f", "f_1", "f_2", "rn"];

/// SQL that makes them, in the template.
pub(crate) fn create() -> String {
    let [a, b, odd, role] = SCHEMAS;
    let mut sql = "SET ROLE app; SET check_function_bodies = off;\n".to_owned();
    let schema = SCHEMA.replace("CREATE AGGREGATE", &format!("{STEP}CREATE AGGREGATE"));
    for (own, other) in [(a, b), (b, a)] {
        sql.push_str(&schema.replace("{s}", own).replace("{x}", other));
    }
    for own in [odd, role] {
        sql.push_str(&LITTLE.replace("{s}", own));
    }
    for table in tables() {
        sql.push_str(&format!("INSERT INTO {table} (n) SELECT -g FROM generate_series(1, 12) AS g;\n"));
    }
    for own in [a, b] {
        sql.push_str(&format!("INSERT INTO {own}.q (n, k) SELECT -g, g FROM generate_series(1, 12) AS g;\n"));
    }
    sql.push_str("SET CONSTRAINTS ALL IMMEDIATE;\n");
    for own in SCHEMAS {
        for table in ["t", "t2", "\"Odd.t\"", "p_x", "p_y", "p_d", "h", "h_1", "h_2", "f_1", "f_2"] {
            if table == "t" || own == a || own == b {
                sql.push_str(&format!("ALTER TABLE {own}.{table} REPLICA IDENTITY FULL;\n"));
            }
        }
        sql.push_str(&format!(
            "GRANT ALL ON SCHEMA {own} TO public; GRANT ALL ON ALL TABLES IN SCHEMA {own} TO public;\n"
        ));
    }
    sql
}

/// SQL that puts rows in all tables, to be deleted.
pub(crate) fn victims(numbers: &[i64]) -> String {
    let values: Vec<String> = numbers.iter().map(|number| format!("({number})")).collect();
    let values = values.join(", ");
    tables().map(|table| format!("INSERT INTO {table} (n) VALUES {values};\n")).collect()
}

fn tables() -> impl Iterator<Item = String> {
    let both = ["a", "b"].into_iter().flat_map(|own| WITH_ROWS.iter().map(move |table| format!("{own}.{table}")));
    both.chain(SCHEMAS[2..].iter().map(|own| format!("{own}.t")))
}
