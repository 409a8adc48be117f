-- Numbers with a point are double precision, and no numeric.
SELECT 1.1 + 2.2 = 3.3
SELECT 1.0 / 0
-- Halves are rounded away from zero, as those of a numeric.
SELECT round(2.5::float8)
SELECT 2.5::float8::int
-- Whole numbers have 64 bits, and nothing says that they overflow.
SELECT 9223372036854775807 + 1
SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS t(x)
-- Of alternatives the first is taken, not the longest.
SELECT (regexp_match('foobar', 'foo|foobar'))[1]
-- Without line breaks.
SELECT encode(decode(repeat('61', 100), 'hex'), 'base64')
-- Nulls in rows and lists.
SELECT (1, NULL) = (1, 2)
SELECT 3 = ANY(ARRAY[1, NULL])
SELECT array_length(ARRAY[]::int[], 1)
-- Times have a zone and nanoseconds.
SELECT TIMESTAMP '2026-11-22 03:12'::text
SELECT '2026-11-22T03:12:07.123456789Z'::timestamptz = '2026-11-22 03:12:07.123457+00'
SELECT age(TIMESTAMP '2026-11-22', TIMESTAMP '2025-10-20')::text
-- JSON is text.
SELECT '{"a":1}'::jsonb = '{"a": 1}'::jsonb
SELECT '{"a":1}'::jsonb::text
SELECT '{"a": [1, 2]}'::json -> 'a'
-- Notation.
SELECT ROW(1, 2)
SELECT 'x' 'y'
