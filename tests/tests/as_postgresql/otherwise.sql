-- Numbers with a point are double precision, and no numeric.
SELECT 1.1 + 2.2 = 3.3
SELECT 1.0 / 0
-- Halves are rounded away from zero, as those of a numeric.
SELECT round(2.5::float8)
SELECT 2.5::float8::int
SELECT -0.0::float8 IN (0.0::float8)
-- Whole numbers have 64 bits.
SELECT 2147483647 + 1
SELECT 9223372036854775807 + 1
SELECT 1 << 32
SELECT to_hex(-1)
-- Of parts that may be left out the first takes what it can.
SELECT (regexp_match('ab', '(a?)(ab)?'))[1]
-- Without line breaks.
SELECT encode(decode(repeat('61', 100), 'hex'), 'base64')
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
