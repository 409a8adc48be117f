-- COPY both ways, in each format, well and badly ended.
CREATE TABLE copied (n int PRIMARY KEY, name text, at date);
COPY copied FROM STDIN;
1	one	2026-11-22
2	two with a \t tab	\N
3	\N	infinity
\.
COPY copied FROM STDIN (FORMAT csv, HEADER, NULL 'none');
n,name,at
4,"four, quoted ""twice""",2026-01-01
5,none,none
\.
COPY copied FROM STDIN;
6	six
\.
COPY copied FROM STDIN;
not a number	x	2026-01-01
\.
COPY copied FROM STDIN;
1	again	2026-01-01
\.
SELECT count(*) FROM copied;
COPY copied TO STDOUT;
COPY copied TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *);
COPY (SELECT n, repeat('r', n * 100) FROM generate_series(1, 200) AS n) TO STDOUT;
COPY (SELECT 1/0) TO STDOUT;
COPY (SELECT n / (n - 50) FROM generate_series(1, 100) AS n) TO STDOUT;
SELECT 1\; COPY (SELECT 2) TO STDOUT\; SELECT 3;
\copy copied (n, name) FROM STDIN
100	by copy
101	and another
\.
\copy (SELECT * FROM copied ORDER BY n) TO STDOUT (FORMAT csv)
\copy copied TO PROGRAM 'md5sum' (FORMAT binary)
BEGIN; COPY copied FROM STDIN;
bad	row
\.
SELECT 'in a failed transaction';
ROLLBACK;
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row %', NEW.n; RETURN NEW; END $$;
CREATE TRIGGER tells BEFORE INSERT ON copied FOR EACH ROW EXECUTE FUNCTION tells();
COPY copied (n) FROM STDIN;
200
201
\.
TRUNCATE copied;
COPY copied FROM STDIN (FREEZE);
\.
SELECT count(*) FROM copied;
