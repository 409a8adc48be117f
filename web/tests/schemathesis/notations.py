"""Values in Hansard's own notations, for parameters whose `format` names one: what is asked at random should be answered."""

import schemathesis
from hypothesis import strategies as st

DAYS = st.sampled_from(["2026-11-22", "2026-11-22T03:12Z", "2026-11-22T03:12:00.5Z", "2026-11-22 03:12 Europe/Berlin"])
AGES = st.builds("{} {} ago".format, st.integers(1, 999), st.sampled_from(["s", "m", "hours", "d"]))

schemathesis.openapi.format("hansard-time", st.one_of(DAYS, AGES, st.sampled_from(["now", "today", "03:12Z"])))
schemathesis.openapi.format(
    "hansard-length", st.builds("{}{}".format, st.integers(0, 10_000), st.sampled_from(["s", "m", "h", " minutes"]))
)
schemathesis.openapi.format(
    "hansard-relation", st.sampled_from(["public.rankings", "rankings", "public.candidates", 'public."Rankings"'])
)
schemathesis.openapi.format(
    "hansard-operations",
    st.lists(st.sampled_from(["update", "insert", "delete", "select"]), min_size=1).map(",".join) | st.just("any"),
)
schemathesis.openapi.format(
    "hansard-cursor", st.just("1795317117000000000.1795317117000000000.019aa000-0000-7000-8000-000000000001")
)
schemathesis.openapi.format(
    "hansard-sql",
    st.sampled_from(
        [
            "SELECT 1 AS one",
            "SELECT job, count(*) AS n FROM sessions GROUP BY job",
            "SELECT * FROM statements ORDER BY started_at LIMIT 3",
            "SELECT * FROM who_touched('public.rankings', NULL, NULL)",
            "EXPLAIN SELECT 1",
            "SHOW TABLES",
        ]
    ),
)
