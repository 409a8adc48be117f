-- What psql does with more than one query of its own.
CREATE TABLE shown (n int PRIMARY KEY, name text DEFAULT 'none' NOT NULL, CHECK (n > 0)); CREATE INDEX ON shown (name); CREATE VIEW looks AS SELECT n FROM shown;
INSERT INTO shown SELECT g, 'name ' || g FROM generate_series(1, 5) AS g;
\d shown
\d+ looks
\dt shown
\df pg_catalog.int4abs
\dn
\sf pg_catalog.obj_description(oid)
SELECT n, name, n * 2.5 AS product FROM shown \gdesc
SELECT 'SELECT ' || n FROM shown ORDER BY n \gexec
SELECT n AS number, name AS called FROM shown WHERE n = 3 \gset
\echo :number :called
SELECT * FROM shown ORDER BY n \gx
\crosstabview
SELECT n % 2 AS row, name AS col, n FROM shown ORDER BY 1, 2 \crosstabview
\pset format csv
TABLE shown;
\pset format aligned
\x on
TABLE shown;
\x off
\timing off
\encoding LATIN1
SELECT 'umlaut: ä' AS text;
\encoding UTF8
\c - - - -
SELECT count(*) FROM shown;
\c nowhere
SELECT 'the former connection';
\conninfo
