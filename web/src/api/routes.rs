//! Every route of the server but the pages' own, each with what types cannot say of it.

use hansard_schemas::http::{QueryFormat, QueryRequest};
use serde_json::json;

use super::{
    changes, description, examples, jobs, leases, log_out, mint_link, overview, query, sessions, status, steps,
    who_touched,
};
use crate::{
    description::{Routes, say},
    failure::Kind,
};

const NIGHT: (&str, &str) = ("id", examples::SESSION);

pub(super) fn routes() -> Routes {
    access(records(replays(Routes::new())))
        .post(
            "/query",
            query,
            say("query", "sql", "Answers a question in SQL")
                .more(
                    "One statement that reads: SELECT, EXPLAIN, SHOW or DESCRIBE over the record's tables and functions. CSV and \
                     Parquet hold all rows, unless `whole=false`; JSON and Arrow at most `query.row_limit` of them, unless \
                     `whole=true`.",
                )
                .body(QueryRequest { sql: examples::SQL.into(), format: QueryFormat::Json })
                .example(json!([{ "job": "nightly-rerank", "statements": 12 }])),
        )
        .get(
            "/status",
            status,
            say("getStatus", "instance", "Tells what this instance is, and how jobs reach it").example(examples::status()),
        )
        .get(
            "/openapi.json",
            description,
            say("getDescription", "instance", "Describes the API: this document")
                .more("OpenAPI 3.1, made of the server's own routes. It is in Hansard's documentation, too."),
        )
        .post(
            "/login-links",
            mint_link,
            say("createLoginLink", "access", "Makes a link by which one browser logs in")
                .more("It works once, and for an hour. Of the links that wait, the sixteen latest work.")
                .example(examples::login_link()),
        )
        .post("/logout", log_out, say("logOut", "access", "Ends the browser's session"))
        .get_open(
            "/login",
            crate::log_in,
            say("logIn", "access", "Logs a browser in by a link")
                .more("Gives the session's cookie for the secret of a login link, and leads to a page. It answers in HTML."),
        )
}

/// What jobs log in with, and how that ends.
fn access(routes: Routes) -> Routes {
    routes
        .get(
            "/leases",
            leases::list,
            say("listLeases", "leases", "Lists leases that are good")
                .more("Those that were given last first, at most 1,000. A job that asks with its own token sees its own; table `leases` has all that ever were.")
                .example(examples::leases())
                .fails(&[Kind::NotFound]),
        )
        .post(
            "/leases",
            leases::give,
            say("giveLease", "leases", "Gives a job a lease")
                .more(
                    "Asked with the job's own token as the bearer token. The answer has the password, which is told this once. The lease \
                     is good for that target and role, by SCRAM-SHA-256, until its time has come or it is revoked.",
                )
                .body(examples::lease_request())
                .example(examples::lease_given())
                .fails(&[Kind::NotFound]),
        )
        .delete(
            "/leases/{id}",
            leases::revoke,
            say("revokeLease", "leases", "Revokes a lease")
                .more("Sessions that are open by it end within a second. A job's own token revokes its own leases.")
                .with(&[("id", examples::LEASE), ("reason", "the job is done")])
                .example(examples::revoked()),
        )
        .post(
            "/revocations",
            leases::revoke_all,
            say("revoke", "leases", "Revokes a token, an identity, a job or an issuer")
                .more(
                    "Until its time has come, nothing that it names lets anybody in, whatever was given before and comes later; sessions \
                     that are open by it end within a second.",
                )
                .body(examples::revocation())
                .example(examples::revoked_token())
                .fails(&[Kind::NotFound]),
        )
}

/// What is asked of the whole record.
fn records(routes: Routes) -> Routes {
    routes
        .get(
            "/who-changed",
            changes::who_changed,
            say("whoChanged", "changes", "Tells who changed a relation around a time")
                .more(
                    "As JSON in three parts: what certainly was done, what may have been done, and what was looked at; in the \
                     other formats all the rows of `who_updated`.",
                )
                .with(&[("relation", "public.rankings"), ("at", "2026-11-22T03:12Z"), ("window", "1m"), ("operation", "update")])
                .example(examples::who_changed())
                .fails(&[Kind::NotFound]),
        )
        .get(
            "/who-touched",
            who_touched,
            say("whoTouched", "changes", "Lists what touched a relation")
                .more("The rows of `who_touched`: what was written or read, rolled back or not, and what may have been.")
                .with(&[
                    ("relation", "public.rankings"),
                    ("from", "2026-11-22T03:12:00Z"),
                    ("to", "2026-11-22T03:12:01Z"),
                    ("operation", "update"),
                ])
                .example([examples::touch_row()])
                .fails(&[Kind::NotFound]),
        )
        .get(
            "/relations",
            changes::relations,
            say("listRelations", "changes", "Lists relations of the recorded catalogs, for completion")
                .with(&[("prefix", "public.r")])
                .example(examples::relations()),
        )
        .get(
            "/jobs",
            jobs::list,
            say("listJobs", "sessions", "Lists who has shown a valid token")
                .more("One for each issuer, subject and job, those seen last first: the rows of table `identities`.")
                .with(&[("job", "nightly-*")])
                .example(examples::jobs()),
        )
        .get(
            "/sessions",
            sessions::list,
            say("listSessions", "sessions", "Lists recorded sessions, a page of them")
                .more("Latest first, unless `sort` and `order` say otherwise. Filters add up; in names `*` stands for any text.")
                .with(&[("job", "nightly-*"), ("relation", "public.rankings"), ("limit", "50")])
                .example(examples::sessions())
                .link("session", "getSession", json!({ "id": "$response.body#/items/0/session_id" }))
                .link("steps", "listSteps", json!({ "id": "$response.body#/items/0/session_id" }))
                .link("next", "listSessions", json!({ "cursor": "$response.body#/next" })),
        )
        .get(
            "/sessions/{id}",
            sessions::one,
            say("getSession", "sessions", "Tells all that is known of one session")
                .with(&[NIGHT])
                .example(examples::session())
                .link("steps", "listSteps", json!({ "id": "$response.body#/session_id" }))
                .link("overview", "getOverview", json!({ "id": "$response.body#/session_id" })),
        )
        .get(
            "/sessions/{id}/export",
            sessions::export,
            say("exportSession", "sessions", "Gives a session's rows of one table, all of them").with(&[
                NIGHT,
                ("table", "statements"),
                ("format", "json"),
            ]),
        )
}

/// What is asked of the statements of one session.
fn replays(routes: Routes) -> Routes {
    routes
        .get(
            "/sessions/{id}/overview",
            overview::overview,
            say("getOverview", "replay", "Counts a session's statements by time")
                .more("However many statements a session has, the answer is short.")
                .with(&[NIGHT, ("stretches", "38")])
                .example(examples::overview()),
        )
        .get(
            "/sessions/{id}/find",
            overview::find,
            say("findStep", "replay", "Finds the next statement of a kind")
                .with(&[NIGHT, ("of", "trouble")])
                .example(examples::found())
                .link("step", "getStep", json!({ "id": "$request.path.id", "no": "$response.body#/no" })),
        )
        .get(
            "/sessions/{id}/steps",
            steps::list,
            say("listSteps", "replay", "Lists a session's statements, a page of them")
                .more("In their order. Texts longer than 4,096 bytes are cut, and `cut` says so; one statement by itself is whole.")
                .with(&[NIGHT, ("from", "3"), ("limit", "1")])
                .example(examples::steps())
                .link("step", "getStep", json!({ "id": "$request.path.id", "no": "$response.body#/items/0/no" }))
                .link("result", "getResult", json!({ "id": "$request.path.id", "no": "$response.body#/items/0/no" })),
        )
        .get(
            "/sessions/{id}/steps/{no}",
            steps::one,
            say("getStep", "replay", "Tells one statement, whole")
                .with(&[NIGHT, ("no", "3")])
                .example(examples::step())
                .link("result", "getResult", json!({ "id": "$request.path.id", "no": "$response.body#/no" })),
        )
        .get(
            "/sessions/{id}/steps/{no}/result",
            steps::result,
            say("getResult", "replay", "Gives what a statement gave back")
                .more("A window of its rows; with `format=csv` all of them in one, up to 64 MiB, else it is an error and never cut.")
                .with(&[NIGHT, ("no", "3"), ("rows", "2")])
                .example(examples::result()),
        )
}
