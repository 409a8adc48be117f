-- Numbers.
7 / 2, -7 / 2, -7 % 3, 7 % -3
1 / 2.0, 0.1 + 0.2, 1.10
1.5::int, 2.5::int, -1.5::int, 0.4::bigint
3.5::float8::int, 1.7::float8::bigint
'1.5'::int
'12abc'::int
' 12 '::int
3000000000::int
round(2.5), round(-2.5), round(2.345, 2), round(1234.5, -2), round(0.5)
round(3.5::float8)
trunc(2.7), trunc(-2.7), trunc(2.789, 2), ceil(1.2), ceiling(-1.2), floor(-1.2), sign(-3), abs(-4)
power(2, 10), sqrt(16), cbrt(27), ln(1), log(100), log(2, 8), exp(0), pi() > 3
sqrt(-1)
gcd(12, 18), lcm(4, 6), factorial(5)
2 ^ 3, 2 ^ 3 ^ 2
5 & 3, 5 | 3, 1 << 4, 256 >> 4, ~5
5 # 3
|/ 16
@ -5
12.345::numeric(10,2), 12.355::numeric(10, 2), 1234567.891::numeric(12,1)
123456.789::numeric(5,2)
to_hex(255), 0.1::float8 + 0.2::float8
'0x1F'::int
1e3, 1.5e-2, .5
greatest(1, NULL, 3), least(NULL, 2), greatest(NULL, NULL)
coalesce(NULL, 5), nullif(5, 5), nullif(5, 6)
random() < 1
-- Texts.
'a' || NULL, concat('a', NULL, 'b'), concat_ws(',', 'a', NULL, 'b'), 'a' || 1
length('é'), char_length('日本'), octet_length('é'), bit_length('a')
substring('abcdef' from 2 for 3), substring('abcdef' from 0 for 3), substr('abcdef', -1, 4), substr('abcdef', 3), substring('abcdef', 2)
substring('foobar' from 'o.b')
substring('abc' from 2 for -1)
left('abcdef', 2), left('abcdef', -2), right('abcdef', 2), right('abcdef', -2), left('ab', 5)
split_part('a,b,c', ',', 2), split_part('a,b,c', ',', -1), split_part('a,b,c', ',', 5)
position('b' in 'abc'), strpos('abc', 'z'), position('' in 'abc')
trim('  x  '), trim(both 'x' from 'xaxx'), ltrim('xxa', 'x'), rtrim('axx', 'x'), btrim('xyax', 'xy'), trim(leading '0' from '0012')
length(trim(E'\tx\n'))
lpad('5', 3, '0'), lpad('abcdef', 3), rpad('ab', 5, 'xy'), lpad('a', 0), repeat('ab', 3), repeat('a', -1)
upper('abc'), lower('ABC'), initcap('hello wORLD-wide o''neil')
reverse('abc'), replace('aXbX', 'X', 'yy'), translate('12345', '143', 'ax'), overlay('abcdef' placing 'ZZ' from 2 for 3)
ascii('a'), chr(65), ascii(''), starts_with('abc', 'ab')
md5('a')
'abc' LIKE 'a%', 'abc' LIKE 'A%', 'abc' ILIKE 'A_C', 'a%c' LIKE 'a\%c', 'abc' LIKE 'a\%c', 'a_c' LIKE 'a!_c' ESCAPE '!', 'abc' NOT LIKE 'b%'
'ab\c' LIKE 'ab\\c', E'a\nb' LIKE 'a%b'
'abc' SIMILAR TO 'b', 'abc' SIMILAR TO '%b%', 'abc' SIMILAR TO 'a_c', 'abc' SIMILAR TO '(a|b)%', 'a.c' SIMILAR TO 'a.c', 'abc' SIMILAR TO 'a.c'
'abc' NOT SIMILAR TO '%b%'
'abc' ~ 'b', 'abc' ~ '^b', 'ABC' ~* 'b', 'abc' !~ 'b', 'ABC' !~* 'b'
E'a\nb' ~ 'a.b', E'a\nb' ~ '^b', E'a\nb' ~ 'a$', E'ab\n' ~ 'b$', E'a\nb' ~* 'A.B', E'a\nb' !~ 'a.b', E'a\nb' ~ 'a[^x]b'
'a1' ~ '\d', 'a b' ~ '\s', 'a' ~ '[[:alpha:]]', 'foo bar' ~ '\mbar', 'foo bar' ~ '\ybar\y'
'foobar' ~ 'foo(?=bar)', 'aa' ~ '(a)\1'
'a+b' ~ 'a\+b', 'ab' ~ 'a{1}b', 'ab' ~ '(?i)AB'
regexp_replace('foobarbaz', 'b..', 'X'), regexp_replace('foobarbaz', 'b..', 'X', 'g'), regexp_replace('foobar', 'o(b)', '[\1]'), regexp_replace('abc', 'b', '<\&>')
regexp_replace(E'a\nb', 'a.b', 'X'), regexp_replace('AbC', 'b', 'x', 'i'), regexp_replace('a$b', 'a', '$1')
regexp_match('foobar', 'o(b)(a)'), regexp_match('foobar', 'zz'), (regexp_match('foobar', 'o+'))[1], (regexp_match(E'a\nb', 'a(.)b'))[1] = E'\n'
(regexp_match('aaa', 'a*?'))[1]
regexp_count('abcabc', 'b'), regexp_like('abc', 'B', 'i'), regexp_like(E'a\nb', 'a.b'), regexp_instr('abcabc', 'c'), regexp_count(E'a\na', '^a'), regexp_count(E'a\na', '^a', 1, 'n')
regexp_substr('foobar', 'o.')
string_to_array('a,b,c', ','), string_to_array('a,,c', ',', ''), array_to_string(ARRAY['a', NULL, 'c'], ','), array_to_string(ARRAY['a', NULL], ',', '*')
'abc' < 'abd', 'a' < 'B', 'Z' < 'a', 'a ' = 'a'
'abc'::varchar(2), 'abc'::char(2), 'a'::char(3) || 'x'
'abc' COLLATE "C" < 'B'
E'a\tb', 'a\tb', $$a'b$$, $q$a$q$, U&'\0061'
'5' = 5, '10' > '9', 10 > '9', '10'::text > '9'
'abc' = 5
md5('x') IS NULL
encode('abc'::bytea, 'hex'), encode('abcd'::bytea, 'base64'), decode('616263', 'hex') = 'abc'::bytea, encode(decode('YWJjZA==', 'base64'), 'hex')
'\x6162'::bytea = 'ab'::bytea, decode('6162', 'hex') = '\x6162', decode('6162', 'hex')::text, length('\x6162'::bytea), convert_from('\x6162', 'UTF8')
decode('616263', 'hex') LIKE '%b%'
position('\x62'::bytea in '\x616263'::bytea), substring('\x616263'::bytea from 2 for 1), get_byte('\x61'::bytea, 0)
-- Truth.
NULL AND false, NULL OR true, NOT NULL, NULL IS NULL, NULL = NULL, 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL
true::int, 1::boolean, 't'::boolean, 'yes'::boolean, 'off'::bool, 'n'::bool, true::text, false::text
(1 > 2) IS UNKNOWN, (NULL > 2) IS UNKNOWN, true IS NOT FALSE, 5 ISNULL, 5 NOTNULL
2 BETWEEN 1 AND 3, 2 BETWEEN 3 AND 1, 2 BETWEEN SYMMETRIC 3 AND 1, 2 NOT BETWEEN 3 AND 4
1 IN (1, NULL), 2 IN (1, NULL), 2 NOT IN (1, NULL), 2 NOT IN (1, 3)
(1, 2) < (1, 3), (1, 2) = (1, 2), (1, 2) IN ((1, 2), (3, 4))
CASE WHEN NULL THEN 1 ELSE 2 END, CASE 1 WHEN 1 THEN 'a' END, CASE WHEN false THEN 1 END
-- Lists.
1 = ANY(ARRAY[1, 2]), 3 <> ALL(ARRAY[1, 2]), 'a' = ANY('{a,b}'), 'a' = ANY(ARRAY['a'])
ARRAY[1, 2] @> ARRAY[1], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1, 2] && ARRAY[2, 3]
(ARRAY[1, 2, 3])[1], (ARRAY[1, 2, 3])[4], (ARRAY[1, 2, 3])[0], (ARRAY[1, 2, 3])[-1], array_length(ARRAY[1, 2], 1), array_length(ARRAY[1, 2], 2), cardinality(ARRAY[1, 2])
(ARRAY[1, 2, 3])[2:3]
array_position(ARRAY['a', 'b'], 'b'), array_append(ARRAY[1], 2), ARRAY[1] || 2, ARRAY[1] || ARRAY[2], array_cat(ARRAY[1], ARRAY[2]), array_remove(ARRAY[1, 2, 1], 1), array_upper(ARRAY[1], 1)
ARRAY['a', 'b']::text, '{a,b}'::text[] = ARRAY['a', 'b']
cardinality(ARRAY[]::int[])
-- Times.
TIMESTAMPTZ '2026-11-22 03:12:07.5+00'::text, '2026-11-22'::date::text
TIMESTAMPTZ '2026-11-22 03:12:07.5+00' || '', concat(TIMESTAMPTZ '2026-11-22 03:12+00'), TIMESTAMPTZ '2026-11-22 03:12:00+00'::text LIKE '2026-11-22 03:12%'
extract(second FROM TIMESTAMPTZ '2026-11-22 03:12:07.5+00'), extract(milliseconds FROM TIMESTAMPTZ '2026-11-22 03:12:07.5+00'), extract(microseconds FROM TIMESTAMPTZ '2026-11-22 03:12:07.5+00')
extract(dow FROM DATE '2026-11-22'), extract(isodow FROM DATE '2026-11-22'), extract(week FROM DATE '2026-11-22'), extract(doy FROM DATE '2026-11-22'), extract(quarter FROM DATE '2026-11-22'), extract(year FROM DATE '2026-11-22'), extract(isoyear FROM DATE '2027-01-01')
extract(century FROM DATE '2026-11-22'), extract(decade FROM DATE '2026-11-22'), extract(millennium FROM DATE '2026-11-22')
extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00'), extract(minute FROM TIMESTAMPTZ '2026-11-22 03:12+00'), date_part('hour', TIMESTAMPTZ '2026-11-22 03:12+00')
extract(epoch FROM TIMESTAMPTZ '2026-11-22 03:12:07.5+00'), extract(epoch FROM TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:11:58.5+00')
extract(day FROM TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-20 03:11+00'), extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-20 01:11+00')
extract(epoch FROM TIMESTAMPTZ '2026-11-22 03:12:35.25+00' - TIMESTAMPTZ '2026-11-22 03:12+00'), extract(epoch FROM TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12:49.25+00'), extract(epoch FROM TIMESTAMPTZ '2026-11-24 03:12:00.75+00' - TIMESTAMPTZ '2026-11-22 03:11+00')
date_part('epoch', TIMESTAMPTZ '2026-11-22 03:12:05.75+00' - TIMESTAMPTZ '2026-11-22 03:12+00') > 5.5
extract(milliseconds FROM TIMESTAMPTZ '2026-11-22 03:12:01.5005+00'), date_part('millisecond', TIMESTAMPTZ '2026-11-22 03:12:01.5005+00')
extract(milliseconds FROM TIMESTAMPTZ '2026-11-22 03:12:00.000636+00' - TIMESTAMPTZ '2026-11-22 03:12+00') > 0.5
123456789::float, CAST('0.1' AS float) = 0.1::float8, 5::float / 7, 123456789::float(53), '0.1'::float(24)::text
extract(epoch FROM INTERVAL '90 minutes'), extract(minute FROM INTERVAL '90 minutes'), extract(hour FROM INTERVAL '90 minutes')
extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin'), (TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Asia/Tokyo')::date::text
extract(timezone FROM TIMESTAMPTZ '2026-11-22 03:12+00')
date_trunc('hour', TIMESTAMPTZ '2026-11-22 03:12+00') = '2026-11-22 03:00+00', date_trunc('week', TIMESTAMPTZ '2026-11-22 03:12+00') = '2026-11-16 00:00+00', date_trunc('day', TIMESTAMPTZ '2026-11-22 03:12+00', 'Europe/Berlin') = '2026-11-21 23:00+00'
date_trunc('day', TIMESTAMPTZ '2026-11-22 23:30+00' AT TIME ZONE 'Europe/Berlin')::date::text
date_bin('15 minutes', TIMESTAMPTZ '2026-11-22 03:12+00', TIMESTAMPTZ '2001-01-01 00:00+00') = '2026-11-22 03:00+00', date_bin(INTERVAL '15 minutes', TIMESTAMPTZ '2026-11-22 03:12+00', TIMESTAMPTZ '2001-01-01 00:05+00') = '2026-11-22 03:05+00'
DATE '2026-11-22' + 1 = DATE '2026-11-23', DATE '2026-11-22' - 1 = DATE '2026-11-21', DATE '2026-11-22' - DATE '2026-11-20'
DATE '2026-11-22' + INTERVAL '1 day' = TIMESTAMP '2026-11-23 00:00', DATE '2026-01-31' + INTERVAL '1 month' = TIMESTAMP '2026-02-28 00:00', DATE '2026-11-22' < TIMESTAMP '2026-11-22 00:01'
TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:00+00' > INTERVAL '10 minutes', TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:00+00' > '10 minutes', INTERVAL '90 minutes' > INTERVAL '1 hour'
(TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-20 01:00+00')::text, INTERVAL '90 minutes'::text, INTERVAL '1 month 2 days'::text, '1 day'::interval::text
(TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:00+00') * 2 = INTERVAL '24 minutes'
INTERVAL '1 hour' * 2 = INTERVAL '2 hours'
INTERVAL '1 hour' / 2 = INTERVAL '30 minutes'
to_timestamp(0) = '1970-01-01 00:00+00', to_timestamp(1.5) = '1970-01-01 00:00:01.5+00', make_date(2026, 11, 22) = DATE '2026-11-22'
to_timestamp('22 Nov 2026', 'DD Mon YYYY') = '2026-11-22 00:00+00'
to_date('20261122', 'YYYYMMDD') = DATE '2026-11-22'
to_char(TIMESTAMPTZ '2026-11-02 03:04:05.678+00', 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(TIMESTAMPTZ '2026-11-02 15:04:05+00', 'HH12:MI AM Dy Day Mon Month DDD IW Q'), to_char(TIMESTAMPTZ '2026-11-02 15:04:05+00', '"at" HH:MI US')
to_char(INTERVAL '90 minutes', 'HH24:MI')
'2026-11-22 03:12:00'::timestamp::time::text, TIME '03:12' < TIME '04:00'
'2026-11-22 3:12'::timestamptz = '2026-11-22 03:12+00'
'Nov 22 2026'::date = '2026-11-22'
'22.11.2026'::date = '2026-11-22'
'20261122'::date = '2026-11-22'
'infinity'::timestamptz > now()
TIMESTAMP '2026-11-22 03:12' AT TIME ZONE 'Europe/Berlin' = '2026-11-22 02:12+00'
now() - '10 minutes'
now() - '10 minutes'::interval < now(), now() > 'yesterday', 'tomorrow'::date - 'today'::date, 'epoch'::timestamptz = to_timestamp(0)
now() - INTERVAL '1 day 2 hours' < now(), now() + INTERVAL '1' DAY > now(), INTERVAL '1-2' YEAR TO MONTH = INTERVAL '14 months'
-- JSON.
'{"a": [1, "x"]}'::json #>> '{a,1}', '[1, 2, 3]'::json -> -1, '[1]'::json ->> 5, '{"a": null}'::json ->> 'a', '{"a": "x"}'::json -> 'a'
'[12345678901234567890123]'::json ->> 0, '{"a": 1, "a": 2}'::json ->> 'a', '{"a": 1, "a": 2}'::jsonb ->> 'a', '[true]'::json ->> 0, '"x"'::json ->> 0, '{"1": "x"}'::json ->> '1', '[["a"]]'::json -> 0 ->> 0
json_array_length('[1, 2]'), json_typeof('1'), jsonb_typeof('{"a": 1}'), json_typeof('null')
'{"a": 1}'::jsonb @> '{"a": 1}', '{"a": 1}'::jsonb ? 'a'
'{"a": 1}'::jsonb - 'a'
jsonb_extract_path_text('{"a": {"b": "x"}}', 'a', 'b')
'{"a":' ::json ->> 'a'
-- Others.
version() IS NOT NULL, gen_random_uuid()::text <> gen_random_uuid()::text
CAST('5' AS integer) + 1, '5'::int8 + 1, CAST(1 AS text) || 'a', 1::text || 2::text, int8 '5', numeric '1.5'
generate_series(1, 3)
unnest(ARRAY[1, 2])
'00000000-0000-0000-0000-00000000000A'::uuid = '00000000-0000-0000-0000-00000000000a'::uuid
current_date = now()::date, current_timestamp = now(), localtimestamp IS NOT NULL
EXISTS (SELECT 1), NOT EXISTS (SELECT 1 WHERE false)
(SELECT 1), (SELECT 1 WHERE false), ARRAY(SELECT 1)
width_bucket(5, 0, 10, 5)
-- Numbers of another type there, and what is out of range.
extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00') / 2, date_part('minute', TIMESTAMPTZ '2026-11-22 03:13+00') / 2, round(5) / 2, floor(5) / 2, ceil(5) / 2, (round(5) + 2) / 2, (extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00') + extract(minute FROM TIMESTAMPTZ '2026-11-22 03:12+00')) / 2
2147483647::int + 1::int, 30000::smallint + 30000::smallint, 2147483647::int * 2::int, 5::int + 6::int, 7::int / 2::int, -7::int - 1::int
round(0.285, 2), round(1.005, 2), round(9.999, 2), round(-2.345, 2), round(1250, -2), round(0.5, 3)
power(-8, 0.5), asin(2), acos(2), ln(-1), ln(0), log(0), log(-1), log(2, 0), exp(1000), atanh(2), acosh(0.5)
power(4, 0.5), asin(1), acos(1), ln(10), log(1000), exp(1)
to_timestamp(1e10), to_timestamp(-1e11)
-- Operators without brackets.
-2 ^ 2, (-2) ^ 2, -(2 ^ 2), -2 ^ 2 + 1, 2 ^ -1
4 | 2 & 1, 1 << 2 + 1, ~5 & 3, ~5 + 3, 7 & 3 = 3, 2 + 3 & 1
'bc' ~ 'b' || 'c', 'b' || 'c' ~ 'bc', ('b' || 'c') ~ 'bc', 'bc' ~ ('b' || 'c'), 'bc' LIKE 'b' || '%', 'x' || 'y' = 'xy'
-- Rows.
(1, NULL) IS NULL, (1, NULL) IS NOT NULL, (NULL, NULL) IS NULL, (1, 2) IS NOT NULL, ROW(1, NULL) IS NULL, ROW(NULL, NULL) IS NULL, NOT (1, NULL) IS NULL
-- Groups and classes of patterns.
regexp_match('ac', '(a)(b)?(c)'), regexp_match('foo', '(x)?foo'), regexp_match('Foo', '(F)(O)', 'i'), regexp_match(NULL, 'x'), regexp_match('abc', 'B', 'i')
'a**' ~ 'a**', 'aa' ~ 'a+*', 'a' ~ 'a{1}{2}', 'aaa' ~ 'a{2}?', 'a' ~ 'a??', 'a+' ~ 'a\++'
'foo bar' ~ '[[:<:]]bar', 'foobar' ~ '[[:<:]]bar', 'foo bar' ~ 'foo[[:>:]]', 'foobar' ~ 'foo[[:>:]]'
'a1_' ~ '^[[:alpha:]][[:digit:]]\W*_$', 'A' ~ '[[:upper:]]', 'a' ~ '[[:upper:]]', ' ' ~ '[[:space:]]', '!' ~ '[[:punct:]]', 'f' ~ '^[[:xdigit:]]$', 'g' ~ '[[:xdigit:]]', 'x' ~ '[^[:alpha:]]', '-' ~ '[\w-]', 'a' ~ '[\d]'
'a b' ~ 'a\Sb', 'a1' ~ 'a\D', 'a' ~ '\W', 'a' ~ '[[:foo:]]'
-- Zones.
TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin' = '2026-11-22 04:12', (TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin')::text, TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin' > TIMESTAMPTZ '2026-11-22 03:30+00'
to_char(TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin', 'YYYY-MM-DD HH24:MI'), extract(epoch FROM TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin'), extract(dow FROM TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin')
to_char(TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin', 'OF'), to_char(TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin', 'TZ')
date_trunc('day', TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'Europe/Berlin' = '2026-11-22 23:00+00', (date_trunc('hour', TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Asia/Kolkata'))::text
date_bin('1 day', TIMESTAMPTZ '2026-11-22 23:12+00' AT TIME ZONE 'Europe/Berlin', TIMESTAMP '2001-01-01')::text, TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Europe/Berlin' - TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'UTC' = INTERVAL '1 hour'
(TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE 'Mars/Base')::text, (TIMESTAMPTZ '2026-11-22 03:12+00' AT TIME ZONE '+03')::text, (TIMESTAMPTZ '2026-07-22 03:12+00' AT TIME ZONE 'CET')::text, (TIMESTAMPTZ '2026-07-22 03:12+00' AT TIME ZONE 'UTC')::text
timezone('Asia/Tokyo', TIMESTAMPTZ '2026-11-22 03:12+00')::text, TIMESTAMPTZ '2026-07-22 03:12 CET' = '2026-07-22 02:12+00', TIMESTAMPTZ '2026-07-22 03:12:60+00' = '2026-07-22 03:13+00'
-- Lengths of time.
TIMESTAMPTZ '2026-11-25 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' > INTERVAL '1 day', TIMESTAMPTZ '2026-11-22 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' < '1 day', TIMESTAMPTZ '2026-11-23 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' = '1 day', TIMESTAMPTZ '2026-12-25 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' >= INTERVAL '1 month'
TIMESTAMPTZ '2026-11-25 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' BETWEEN '1 day' AND '4 days', TIMESTAMPTZ '2026-11-23 03:12+00' - TIMESTAMPTZ '2026-11-22 03:12+00' IN ('1 day', '2 days'), INTERVAL '1 day' = INTERVAL '24 hours', INTERVAL '1 month' > INTERVAL '29 days', INTERVAL '1 month' IS DISTINCT FROM INTERVAL '30 days'
greatest(INTERVAL '1 day', INTERVAL '25 hours')::text
-- Texts that are something else.
encode('abc', 'hex'), encode('\x6162', 'hex'), encode('\x6162', 'base64'), concat(true), concat(false, 'x'), concat_ws('-', true, NULL, false), true || 'x', concat(1 = 1)
'notauuid'::uuid, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid, '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid
array_remove(ARRAY[1, NULL, 2], NULL), array_remove(ARRAY[1, NULL, 2], 1)
0.0::float8 = -0.0::float8
3 <> ALL(ARRAY[1, NULL]), 1 <> ALL(ARRAY[1, NULL]), NULL = ANY(ARRAY[1])
-- Whole numbers that do not fit.
cardinality(ARRAY[1, 2, 3]) / 2, cardinality(ARRAY[1]) - 5, array_length(ARRAY[1, 2, 3], 1) / 2, array_position(ARRAY['a', 'b', 'c'], 'c') / 2, length('a') - 5, strpos('abc', 'c') / 2
coalesce(extract(hour FROM TIMESTAMPTZ '2026-11-22 03:12+00'), 0) / 2, abs(round(5)) / 2, (CASE WHEN true THEN floor(5) END) / 2
-- Nulls in rows and lists.
(1, NULL) = (1, 2), (1, NULL) = (2, 1), (1, NULL) <> (1, 2), (1, NULL) < (2, 1), (1, NULL) < (1, 2), (NULL, 1) >= (1, 1), (1, 2, 3) <= (1, 2, 3), (1, 2) BETWEEN (1, 1) AND (1, 3)
(1, 2) IN ((1, NULL)), (1, 2) NOT IN ((1, NULL)), (1, 2) NOT IN ((1, 3)), (1, NULL) IS DISTINCT FROM (1, NULL), (1, NULL) IS NOT DISTINCT FROM (1, 2), ROW(1, 2) = ROW(1, 2), ROW(1, 2) = (1, 2)
3 = ANY(ARRAY[1, NULL]), 1 = ANY(ARRAY[1, NULL]), NOT (3 = ANY(ARRAY[1, NULL])), 3 = ANY(ARRAY[]::int[]), 1 <> ANY(ARRAY[1, NULL]), 2 <> ANY(ARRAY[1, NULL]), 1 = ANY(NULL::int[]), array_length(ARRAY[]::int[], 1), array_length(ARRAY[1, 2], 1)
-- Which match is taken.
(regexp_match('foobar', 'foo|foobar'))[1], (regexp_match('foobar', '(foo|far)'))[1], regexp_replace('abcd', '(a|ab)(c|bcd)', '[\2]'), (regexp_match('XY1234Z', 'Y*?([0-9]{1,3})'))[1], (regexp_match('key=val;x', '=(.*?);'))[1], 'foobar' ~ 'foo|foobar', regexp_like('foobar', 'foo|foobar')
-- Escapes that mean something else to the engine, and matches of nothing.
'foo' ~ '\<foo', '<foo' ~ '\<foo', 'a-b' ~ 'a\-b', 'a>' ~ '[\>]', '5' SIMILAR TO '\d', 'a%' SIMILAR TO 'a\%', regexp_replace('abc', '.*', 'x', 'g'), regexp_count('aab', 'a*'), regexp_replace('abc', '', 'x', 'g')
-- Days, intervals and their parts.
DATE '2026-11-22' + INTERVAL '1 hour' = TIMESTAMP '2026-11-22 01:00', (DATE '2026-11-22' - INTERVAL '1 hour')::text, (INTERVAL '1 day' + DATE '2026-11-22')::text, (DATE '2026-11-22' + 1)::text, (DATE '2026-11-22' - INTERVAL '1 month')::date::text
extract(epoch FROM INTERVAL '1 year'), extract(epoch FROM INTERVAL '1 month 1.5 seconds'), extract(second FROM INTERVAL '90.5 seconds'), extract(milliseconds FROM INTERVAL '1.5 seconds'), extract(hour FROM INTERVAL '26 hours'), date_part('second', INTERVAL '1.25 seconds')
age(DATE '2026-11-22', DATE '2026-11-20')::text, age(TIMESTAMPTZ '2026-11-22 03:12+00', TIMESTAMPTZ '2026-11-20 03:00+00')::text
to_timestamp(1795317127.25)::text, to_timestamp('NaN'::float8), TIMESTAMPTZ '2026-11-22 03:12:07.5+00'::timestamptz(0)::text
-- Lists, JSON and numbers of other kinds.
array_replace(ARRAY[1, 2, 1], 1, 9), (ARRAY[1, 2, 3])[-1:2], ARRAY[1] || NULL, '{"a":1}'::jsonb || '{"b":2}'::jsonb, X'1F'
