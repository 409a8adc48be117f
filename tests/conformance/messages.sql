-- Notices, warnings, errors and their fields; several statements in one message; failed transactions.
\set VERBOSITY verbose
DO $$ BEGIN RAISE NOTICE 'one' USING DETAIL = 'a detail', HINT = 'a hint'; RAISE WARNING 'two'; RAISE INFO 'three'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'four' USING ERRCODE = 'P1234', COLUMN = 'c', TABLE = 't', SCHEMA = 's', DATATYPE = 'd', CONSTRAINT = 'k'; END $$;
SELECT 1/0;
SELEC 1;
SELECT nothing FROM nowhere;
SELECT 1 AS a\; SELECT 2 AS b\; SELECT 3 AS c;
SELECT 1 AS a\; SELECT 1/0\; SELECT 3 AS c;
BEGIN;
CREATE TABLE kept (n int PRIMARY KEY);
INSERT INTO kept VALUES (1), (1);
SELECT 'not any more';
ROLLBACK;
BEGIN;
CREATE TABLE kept (n int PRIMARY KEY);
SAVEPOINT here;
INSERT INTO kept VALUES (1), (1);
ROLLBACK TO here;
INSERT INTO kept VALUES (1), (2) RETURNING n;
COMMIT;
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO kept VALUES (1);
INSERT INTO kept VALUES (3);
COMMIT;
\set ON_ERROR_ROLLBACK off
SELECT * FROM kept ORDER BY n;
\set VERBOSITY default
\set SHOW_CONTEXT always
CREATE FUNCTION fails(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / n; END $$;
SELECT fails(0);
\errverbose
;
