-- What a session keeps: settings, prepared statements, cursors, listening, locks, temporary tables, large objects.
SET application_name = 'renamed'; SHOW application_name; RESET application_name; SHOW application_name;
SELECT set_config('my.setting', 'mine', false), current_setting('my.setting');
SET LOCAL work_mem = '1MB';
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation;
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET default_transaction_read_only = on; CREATE TABLE refused (); SET default_transaction_read_only = off;
SET ROLE app; SELECT current_user, session_user; CREATE TABLE pg_catalog.refused (); RESET ROLE; SELECT current_user;
PREPARE p(int) AS SELECT $1 * 2; EXECUTE p(21); EXECUTE p('x'); DEALLOCATE p; EXECUTE p(1);
BEGIN; DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT g FROM generate_series(1, 100) AS g; FETCH 3 FROM c; FETCH BACKWARD 2 FROM c; MOVE 50 IN c; COMMIT; FETCH NEXT FROM c; CLOSE c; FETCH c;
\set FETCH_COUNT 7
SELECT g FROM generate_series(1, 30) AS g;
SELECT g / (g - 20) FROM generate_series(1, 30) AS g;
\unset FETCH_COUNT
LISTEN news; NOTIFY news; SELECT pg_notify('news', 'payload'); UNLISTEN news; NOTIFY news;
SELECT pg_advisory_lock(7), pg_try_advisory_lock(7); SELECT pg_advisory_unlock_all();
CREATE TEMP TABLE passing (n int) ON COMMIT DELETE ROWS; INSERT INTO passing VALUES (1); TABLE passing;
BEGIN; SELECT lo_create(4711); SELECT lo_put(4711, 0, '\x0102'); SELECT lo_get(4711); SELECT lo_unlink(4711); COMMIT;
\lo_import /etc/hostname
\lo_unlink :LASTOID
SET statement_timeout = 50; SELECT pg_sleep(5); RESET statement_timeout; SELECT 'goes on';
SET lock_timeout = 50; BEGIN; LOCK TABLE pg_class IN ACCESS SHARE MODE; COMMIT; RESET lock_timeout;
BEGIN; PREPARE TRANSACTION 'two phases'; SELECT gid FROM pg_prepared_xacts; ROLLBACK PREPARED 'two phases';
SELECT pg_cancel_backend(pg_backend_pid()); SELECT 'still here';
DISCARD ALL;
SELECT pg_terminate_backend(pg_backend_pid());
SELECT 'a new session';
