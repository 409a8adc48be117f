SELECT 1 WHERE 1 NOT IN (SELECT NULL::int)
SELECT 1 WHERE 1 NOT IN (SELECT 2 UNION ALL SELECT NULL)
SELECT x FROM (VALUES (1), (NULL), (3)) AS t(x) ORDER BY x
SELECT x FROM (VALUES (1), (NULL), (3)) AS t(x) ORDER BY x DESC
SELECT x FROM (VALUES (1), (NULL), (3)) AS t(x) ORDER BY x NULLS FIRST
SELECT x FROM (VALUES ('b'), ('a'), ('B'), ('')) AS t(x) ORDER BY x
SELECT count(*), count(x), sum(x), avg(x), min(x), max(x) FROM (VALUES (1), (NULL), (4)) AS t(x)
SELECT count(*), sum(x), avg(x), string_agg(x::text, ','), array_agg(x) FROM (VALUES (1)) AS t(x) WHERE false
SELECT avg(x) FROM (VALUES (1.5), (2.5)) AS t(x)
SELECT stddev(x), variance(x), stddev_pop(x), var_pop(x) FROM (VALUES (1), (2), (4)) AS t(x)
SELECT stddev(x), variance(x) FROM (VALUES (1)) AS t(x)
SELECT string_agg(x, ',' ORDER BY x DESC), array_agg(x ORDER BY x), array_agg(DISTINCT x ORDER BY x), count(DISTINCT x) FROM (VALUES ('a'), ('c'), ('b'), ('a')) AS t(x)
SELECT array_agg(x) FROM (VALUES (1), (NULL), (3)) AS t(x)
SELECT count(*) FILTER (WHERE x > 1), sum(x) FILTER (WHERE x > 5) FROM (VALUES (1), (2), (3)) AS t(x)
SELECT bool_and(x), bool_or(x), every(x) FROM (VALUES (true), (false), (NULL)) AS t(x)
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x), percentile_cont(0.9) WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2), (3), (10)) AS t(x)
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2), (3), (10)) AS t(x)
SELECT mode() WITHIN GROUP (ORDER BY x) FROM (VALUES (1), (2), (2)) AS t(x)
SELECT x, row_number() OVER (ORDER BY x), rank() OVER (ORDER BY x), dense_rank() OVER (ORDER BY x), lag(x) OVER (ORDER BY x), lead(x, 1, 0) OVER (ORDER BY x) FROM (VALUES (1), (2), (2), (3)) AS t(x) ORDER BY 1, 2
SELECT x, sum(x) OVER (ORDER BY x), last_value(x) OVER (ORDER BY x), first_value(x) OVER (ORDER BY x), count(*) OVER () FROM (VALUES (1), (2), (2), (3)) AS t(x) ORDER BY 1
SELECT x, sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), nth_value(x, 2) OVER (ORDER BY x), ntile(2) OVER (ORDER BY x), percent_rank() OVER (ORDER BY x), cume_dist() OVER (ORDER BY x) FROM (VALUES (1), (2), (3), (4)) AS t(x) ORDER BY 1
SELECT x, sum(x) OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (5)) AS t(x) ORDER BY 1
SELECT DISTINCT ON (k) k, v FROM (VALUES ('a', 2), ('a', 1), ('b', 3)) AS t(k, v) ORDER BY k, v
SELECT k, sum(v) FROM (VALUES ('a', 2), ('a', 1), ('b', 3)) AS t(k, v) GROUP BY ROLLUP (k) ORDER BY k NULLS LAST
SELECT k, grouping(k), sum(v) FROM (VALUES ('a', 2), ('b', 3)) AS t(k, v) GROUP BY GROUPING SETS ((k), ()) ORDER BY 2, 1
SELECT k, count(*) FROM (VALUES ('a', 2), ('a', 1), ('b', 3)) AS t(k, v) GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC
SELECT * FROM (VALUES (1), (2), (2)) AS a(x) EXCEPT SELECT 2
SELECT * FROM (VALUES (1), (2), (2)) AS a(x) EXCEPT ALL SELECT 2
SELECT * FROM (VALUES (1), (2), (2)) AS a(x) INTERSECT ALL SELECT * FROM (VALUES (2), (2), (2)) AS b(x)
SELECT 1 UNION SELECT 1 UNION ALL SELECT 1
SELECT '1' UNION SELECT '2' ORDER BY 1
SELECT a.x, b.x FROM (VALUES (1), (2)) AS a(x) LEFT JOIN (VALUES (2)) AS b(x) USING (x) ORDER BY 1
SELECT * FROM (VALUES (1, 'a')) AS a(x, y) NATURAL JOIN (VALUES (1, 'b')) AS b(x, z)
SELECT a.x, b.x FROM (VALUES (1), (2)) AS a(x) FULL JOIN (VALUES (2), (3)) AS b(x) ON a.x = b.x ORDER BY 1, 2
SELECT a.x, l.y FROM (VALUES (1), (2)) AS a(x) CROSS JOIN LATERAL (SELECT a.x * 10 AS y) AS l ORDER BY 1
SELECT x FROM generate_series(1, 5, 2) AS t(x) ORDER BY x
SELECT * FROM generate_series(3, 1)
SELECT * FROM generate_series(3, 1, -1)
SELECT count(*) FROM generate_series(TIMESTAMP '2026-11-22 00:00', TIMESTAMP '2026-11-22 03:00', INTERVAL '1 hour')
SELECT generate_series FROM generate_series(1, 2)
SELECT unnest(ARRAY[1, 2]), unnest(ARRAY['a', 'b'])
SELECT x, n FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS t(x, n)
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) ORDER BY x LIMIT 1 OFFSET 1
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) ORDER BY x FETCH FIRST 2 ROWS ONLY
SELECT x FROM (VALUES (1), (2), (2), (3)) AS t(x) ORDER BY x FETCH FIRST 2 ROWS WITH TIES
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) ORDER BY x LIMIT ALL
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT sum(n) FROM r
WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT n % 3 + 1 FROM r) SELECT count(*) FROM r
WITH a AS MATERIALIZED (SELECT 1 AS x) SELECT x FROM a
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x = (SELECT max(y) FROM (VALUES (1), (2)) AS s(y))
SELECT (SELECT y FROM (VALUES (1), (2)) AS s(y))
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE EXISTS (SELECT 1 FROM (VALUES (2)) AS s(y) WHERE y = x)
SELECT x FROM (VALUES (1), (2), (NULL)) AS t(x) WHERE x NOT IN (SELECT y FROM (VALUES (1)) AS s(y))
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x > ALL (SELECT 1)
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x = ANY (SELECT 2)
SELECT 1 AS a, 2 AS a
SELECT "x" FROM (SELECT 1 AS X) AS t
SELECT X FROM (SELECT 1 AS "X") AS t
SELECT x.* FROM (SELECT 1 AS a, 2 AS b) AS x
SELECT count(*) FROM (VALUES (1), (2), (3)) AS t(x) TABLESAMPLE SYSTEM (50)
SELECT x FROM (VALUES (1)) AS t(x) FOR UPDATE
SELECT 1 INTO t2
TABLE pg_class
VALUES (1, 'a'), (2, 'b')
SELECT x FROM (VALUES (2), (1)) AS t(x) ORDER BY -x
SELECT x AS y FROM (VALUES (2), (1)) AS t(x) ORDER BY y
SELECT upper(x) FROM (VALUES ('a'), ('b')) AS t(x) GROUP BY upper(x) ORDER BY upper(x)
SELECT x % 2 AS odd, count(*) FROM generate_series(1, 5) AS t(x) GROUP BY odd ORDER BY odd
SELECT sum(x)::int / count(*) FROM (VALUES (1), (2), (4)) AS t(x)
SELECT round(avg(x), 2) FROM (VALUES (1), (2), (2)) AS t(x)
SELECT round(100.0 * 1 / 3, 1), 100 * 1 / 3, 2 / 3 * 100
SELECT max(x) - min(x) > INTERVAL '1 hour', sum(x - x)::text FROM (VALUES (TIMESTAMPTZ '2026-11-22 03:12+00'), (TIMESTAMPTZ '2026-11-22 05:12+00')) AS t(x)
SELECT avg(x - TIMESTAMPTZ '2026-11-22 03:00+00')::text FROM (VALUES (TIMESTAMPTZ '2026-11-22 03:12+00'), (TIMESTAMPTZ '2026-11-22 03:14+00')) AS t(x)
SELECT x - lag(x) OVER (ORDER BY x) > INTERVAL '1 hour' FROM (VALUES (TIMESTAMPTZ '2026-11-22 03:12+00'), (TIMESTAMPTZ '2026-11-22 05:12+00')) AS t(x) ORDER BY 1
SELECT corr(x, y), regr_slope(y, x), covar_samp(x, y) FROM (VALUES (1, 2), (2, 4), (3, 7)) AS t(x, y)
SELECT bit_and(x), bit_or(x), count(DISTINCT x % 2) FROM (VALUES (1), (3)) AS t(x)
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x = '2'
SELECT x FROM (VALUES (9), (10)) AS t(x) WHERE x < '10'
SELECT x FROM (VALUES (9), (10)) AS t(x) WHERE x IN ('9', '11')
SELECT x FROM (VALUES (9), (10)) AS t(x) WHERE x BETWEEN '9' AND '9'
SELECT max(x), min(x) FROM (VALUES ('9'), ('10')) AS t(x)
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x NOT IN (SELECT y FROM (VALUES (1), (NULL)) AS s(y))
SELECT x FROM (VALUES (ARRAY['a', 'b']), (ARRAY['c'])) AS t(x) WHERE x @> '{a}'
SELECT count(*) FROM (VALUES (ARRAY['a', 'b']), (ARRAY['c'])) AS t(x) WHERE x = '{c}'
SELECT count(*) FROM (VALUES (ARRAY['a', 'b']), (ARRAY['c'])) AS t(x) WHERE 'b' = ANY(x)
SELECT count(*) FROM (VALUES (decode('00ff', 'hex')), (decode('61', 'hex'))) AS t(x) WHERE x = '\x00ff' OR x IN ('a')
SELECT x::text FROM (VALUES (decode('00ff', 'hex'))) AS t(x)
SELECT count(*) FROM (VALUES (TIMESTAMPTZ '2026-11-22 03:12+00')) AS t(x) WHERE x::text LIKE '2026-11-22 03:12%'
SELECT extract(hour FROM max(x) - min(x)), extract(minute FROM max(x) - min(x)), extract(second FROM max(x) - min(x)), extract(day FROM max(x) - min(x)) FROM (VALUES (TIMESTAMPTZ '2026-11-22 03:12:01.5+00'), (TIMESTAMPTZ '2026-11-24 05:14+00')) AS t(x)
SELECT x, a.x, b.x FROM (VALUES (1), (2)) AS a(x) RIGHT JOIN (VALUES (2), (3)) AS b(x) USING (x) ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS a(x) FULL JOIN (VALUES (2), (3)) AS b(x) USING (x) ORDER BY 1
SELECT * FROM (VALUES (1), (2)) AS a(x) NATURAL FULL JOIN (VALUES (2), (3)) AS b(x) ORDER BY 1
SELECT * FROM (VALUES (1), (2)) AS a(x) NATURAL RIGHT JOIN (VALUES (2), (3)) AS b(x) ORDER BY 1
SELECT * FROM ((VALUES (1), (2)) AS a(x) RIGHT JOIN (VALUES (2), (3)) AS b(x) USING (x)) ORDER BY 1
SELECT coalesce(a.x, b.x) FROM (VALUES (1), (2)) AS a(x) FULL JOIN (VALUES (2), (3)) AS b(x) ON a.x = b.x ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE EXISTS (SELECT count(*) FROM (VALUES (2)) AS s(y) WHERE y = x) ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE NOT EXISTS (SELECT max(y) FROM (VALUES (2)) AS s(y) WHERE y = x) ORDER BY 1
SELECT x FROM (VALUES (0), (2)) AS t(x) WHERE x IN (SELECT count(*) FROM (VALUES (2)) AS s(y) WHERE y = x) ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE EXISTS (SELECT y FROM (VALUES (2), (1), (2)) AS s(y) WHERE y = x OFFSET 1) ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE EXISTS (SELECT y FROM (VALUES (2), (1), (2)) AS s(y) WHERE y = x LIMIT 1) ORDER BY 1
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x IN (SELECT y FROM (VALUES (2), (1), (2)) AS s(y) WHERE y >= x ORDER BY y LIMIT 1) ORDER BY 1
SELECT x, (SELECT y FROM (VALUES (2), (1), (3)) AS s(y) WHERE y >= x ORDER BY y OFFSET 1 LIMIT 1) FROM (VALUES (1), (2)) AS t(x) ORDER BY 1
SELECT x, (SELECT count(*) FROM (VALUES (2)) AS s(y) WHERE y = x) FROM (VALUES (1), (2)) AS t(x) ORDER BY 1
SELECT 1 WHERE EXISTS (SELECT count(*) FROM (VALUES (2)) AS s(y) WHERE y = 7)
SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE EXISTS (SELECT y, count(*) FROM (VALUES (2)) AS s(y) WHERE y = x GROUP BY y) ORDER BY 1
SELECT 1 WHERE NULL = ANY (SELECT 1)
SELECT 1 WHERE 2 = ANY (SELECT 2)
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) WHERE x <> ALL (SELECT y FROM (VALUES (1), (NULL)) AS s(y)) ORDER BY 1
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) WHERE x <> ALL (SELECT y FROM (VALUES (1), (2)) AS s(y)) ORDER BY 1
SELECT x FROM (VALUES (1), (NULL)) AS t(x) WHERE x = ANY (SELECT 1) ORDER BY 1
SELECT x = ANY (SELECT 1) FROM (VALUES (1), (2)) AS t(x) ORDER BY 1
SELECT x::text FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day'), (INTERVAL '1 month')) AS t(x) ORDER BY x
SELECT x::text FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day'), (INTERVAL '1 month')) AS t(x) ORDER BY x DESC LIMIT 1
SELECT max(x)::text FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day')) AS t(x)
SELECT count(*) FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) AS t(x) GROUP BY x
SELECT DISTINCT x::text FROM (SELECT DISTINCT x FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) AS t(x)) AS d
SELECT count(DISTINCT x) FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) AS t(x)
SELECT max(x - y)::text, max(x - y) > '1 day' FROM (VALUES (TIMESTAMPTZ '2026-11-25 03:12+00', TIMESTAMPTZ '2026-11-22 03:12+00')) AS t(x, y)
SELECT count(*) FROM (VALUES (TIMESTAMPTZ '2026-11-25 03:12+00', TIMESTAMPTZ '2026-11-22 03:12+00')) AS t(x, y) WHERE x - y > INTERVAL '1 day'
SELECT sum(x::bigint) / 2 FROM (VALUES (1), (2)) AS t(x)
SELECT 100 * sum(x::bigint) / count(*) FROM (VALUES (1), (2)) AS t(x)
SELECT sum(x::bigint)::bigint / 2, sum(x::bigint)::float8 / 2, sum(x::float8) / 2, count(*) / 2 FROM (VALUES (1), (2)) AS t(x)
SELECT x::int + x::int FROM (VALUES (2147483647)) AS t(x)
SELECT x::int * 2::int FROM (VALUES (5)) AS t(x)
SELECT to_char(date_trunc('day', x AT TIME ZONE 'Europe/Berlin'), 'YYYY-MM-DD'), count(*) FROM (VALUES (TIMESTAMPTZ '2026-11-22 23:12+00'), (TIMESTAMPTZ '2026-11-23 12:00+00')) AS t(x) GROUP BY 1 ORDER BY 1
SELECT (x AT TIME ZONE z)::text FROM (VALUES (TIMESTAMPTZ '2026-11-22 23:12+00', 'Europe/Berlin'), (TIMESTAMPTZ '2026-11-22 23:12+00', 'Asia/Tokyo'), (NULL, 'UTC')) AS t(x, z) ORDER BY 1
SELECT regexp_match(x, '(a)(b)?') FROM (VALUES ('a'), ('ab'), ('x'), (NULL)) AS t(x)
SELECT s / n FROM (SELECT sum(x::bigint) AS s, count(*) AS n FROM (VALUES (1), (2)) AS t(x)) AS d
SELECT total / 2 FROM (SELECT x, sum(x::bigint) OVER () AS total FROM (VALUES (1), (2)) AS t(x)) AS d ORDER BY 1
WITH s AS (SELECT x % 2 AS odd, sum(x::bigint) AS total FROM (VALUES (1), (2)) AS t(x) GROUP BY 1) SELECT a.total / b.odd FROM s AS a JOIN s AS b ON b.odd = 1 ORDER BY 1
SELECT h / 2 FROM (SELECT extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00') AS h) AS d
SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS t(x)
SELECT sum(x), sum(DISTINCT x), count(*) FROM (VALUES (9223372036854775807), (1), (-5)) AS t(x) WHERE x < 5
SELECT x, sum(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (4)) AS t(x) ORDER BY 1
SELECT sum(x) OVER (ORDER BY x) FROM (VALUES (9223372036854775806), (9223372036854775807)) AS t(x) ORDER BY 1
SELECT row_number() OVER (ORDER BY x) / 2, rank() OVER (ORDER BY x) - 5, ntile(2) OVER (ORDER BY x) / 2, row_number() OVER (ORDER BY x) - row_number() OVER (ORDER BY x DESC) FROM (VALUES (1), (2), (3)) AS t(x) ORDER BY 1, 2
SELECT (SELECT sum(x::bigint) FROM (VALUES (1), (2)) AS t(x)) / 2
SELECT coalesce(sum(x::bigint), 0) / 2 FROM (VALUES (1), (2)) AS t(x)
SELECT max(round(x)) / 2 FROM (VALUES (1), (3)) AS t(x)
SELECT 'a' = ANY(x), NOT ('a' = ANY(x)), 'a' <> ALL(x) FROM (VALUES (ARRAY['a', 'b']), (ARRAY['c']), (NULL), (ARRAY['x', NULL])) AS t(x)
SELECT x FROM (VALUES (1, 2), (1, NULL), (2, 1)) AS t(x, y) WHERE NOT ((x, y) = (1, 2)) ORDER BY 1
SELECT x ~ y FROM (VALUES ('abc', '^a'), ('a b', 'a\sb'), ('x', '\d'), ('foo', '\mfoo'), ('9', '\d'), (NULL, 'a'), ('a', NULL)) AS t(x, y)
SELECT x ~ y FROM (VALUES ('aa', '(a)\1')) AS t(x, y)
SELECT regexp_replace(x, y, z) FROM (VALUES ('abc', '(b)', '[\1]'), ('a$c', '\$', '$1'), ('abc', 'b', '<\&>')) AS t(x, y, z)
SELECT x ~ ('^' || y) FROM (VALUES ('abc', 'a'), ('abc', 'b')) AS t(x, y)
SELECT x FROM (VALUES (1), (2), (3)) AS t(x) WHERE x NOT IN (SELECT y FROM (VALUES (1), (2), (NULL)) AS s(y) WHERE y < x) ORDER BY 1
SELECT x FROM (VALUES (1), (3)) AS t(x) WHERE (x IN (SELECT y FROM (VALUES (1), (NULL)) AS s(y))) IS NULL ORDER BY 1
SELECT x FROM (VALUES (1), (3)) AS t(x) WHERE x NOT IN (SELECT y FROM (VALUES (1), (NULL)) AS s(y)) OR x = 7 ORDER BY 1
SELECT x FROM (VALUES (1), (3)) AS t(x) WHERE x IN (SELECT y FROM (VALUES (1), (NULL)) AS s(y)) OR x = 7 ORDER BY 1
SELECT x FROM (VALUES (1), (3)) AS t(x) WHERE NOT (x IN (SELECT y FROM (VALUES (1)) AS s(y))) AND x > 0 ORDER BY 1
SELECT -x AS x FROM (VALUES (1), (2)) AS t(x) ORDER BY x + 0
SELECT -x AS x FROM (VALUES (1), (2)) AS t(x) ORDER BY x
SELECT x AS y FROM (VALUES (2), (1)) AS t(x) ORDER BY abs(x)
SELECT x::text FROM (VALUES (9), (10)) AS t(x) ORDER BY x
SELECT x::text FROM (VALUES (9), (10)) AS t(x) ORDER BY x + 0
SELECT t.x::text, count(*) FROM (VALUES (9), (10)) AS t(x) GROUP BY t.x ORDER BY x
