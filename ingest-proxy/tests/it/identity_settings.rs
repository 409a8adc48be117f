//! What the database knows of a job, and what a job can make of that.

use hansard_ingest_proxy::NamePattern;
use serde_json::json;

use crate::catalog::{database, direct};
use crate::proxy::{Plan, RunningProxy, claims, connect, token};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The SQL that the documentation tells.
fn documented() -> Vec<String> {
    let text = include_str!("../../../docs/row-level-security.md");
    text.split("```sql\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

async fn proxy(database: &str) -> RunningProxy {
    let mut plan = Plan::new().upstream_user("app_trust");
    plan.options.targets[0].upstream.database = Some(database.to_owned());
    let key_file = plan.folder().join("identity-key");
    std::fs::write(&key_file, format!("{KEY}\n")).unwrap();
    let told = &mut plan.options.targets[0].identity_settings;
    told.application_name = Some(NamePattern::parse("hansard:{job}").unwrap());
    (told.settings, told.key_file) = (true, Some(key_file));
    plan.start().await
}

async fn job(proxy: &RunningProxy, database: &str, name: &str) -> tokio_postgres::Client {
    let mut claims = claims();
    claims["job"] = json!(name);
    let dsn = proxy.dsn(&token(&claims)).replace("dbname=ranking", &format!("dbname={database}"));
    connect(&format!("{dsn} application_name=mine options='-c hansard.purpose=TICKET-1'")).await.unwrap()
}

async fn text(client: &tokio_postgres::Client, sql: &str) -> String {
    client.query_one(&format!("SELECT coalesce(({sql})::text, 'null')"), &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_job_are_seen_by_that_job_alone() {
    let admin = database("rows_of_jobs").await;
    let [functions, policy] = &documented()[..] else { panic!("two blocks of SQL") };
    // As it is often: whatever is made can be read by the jobs' role.
    admin.batch_execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO app_trust").await.unwrap();
    admin.batch_execute(functions).await.unwrap();
    admin.batch_execute(&format!("SELECT hansard.add_key('\\x{KEY}')")).await.unwrap();
    admin.batch_execute("CREATE TABLE rankings (issuer text, job text, v int)").await.unwrap();
    admin
        .batch_execute(
            "INSERT INTO rankings VALUES ('ci', 'nightly', 1), ('ci', 'other', 2), ('elsewhere', 'nightly', 3)",
        )
        .await
        .unwrap();
    admin.batch_execute("GRANT ALL ON rankings TO PUBLIC").await.unwrap();
    admin.batch_execute(policy).await.unwrap();
    let proxy = proxy("rows_of_jobs").await;
    let nightly = job(&proxy, "rows_of_jobs", "nightly").await;
    const SEEN: &str = "SELECT string_agg(job, ',') FROM rankings";
    assert_eq!(text(&nightly, SEEN).await, "nightly");
    assert_eq!(text(&nightly, "SELECT hansard.in_group('rankers')").await, "true");
    assert_eq!(text(&nightly, "SELECT hansard.in_group('dba')").await, "false");
    assert_eq!(text(&nightly, "SELECT hansard.identity() ->> 'purpose'").await, "TICKET-1");
    // Resets bring it back.
    for reset in ["RESET ALL", "DISCARD ALL", "RESET hansard.signed"] {
        nightly.batch_execute("SET hansard.signed = ''").await.unwrap();
        assert_eq!(text(&nightly, SEEN).await, "null");
        nightly.batch_execute(reset).await.unwrap();
        assert_eq!(text(&nightly, SEEN).await, "nightly", "{reset}");
    }
    // What it makes itself is worth nothing.
    let signed = text(&nightly, "SELECT current_setting('hansard.signed')").await;
    let (payload, mac) = signed.split_once('.').unwrap();
    let forged = text(
        &nightly,
        &format!("SELECT translate(encode(convert_to(replace(convert_from(decode('{payload}', 'base64'), 'UTF8'), 'nightly', 'other'), 'UTF8'), 'base64'), E'\\n', '')"),
    )
    .await;
    let forgeries = [
        "SET hansard.job = 'other'".to_owned(),
        format!("SET hansard.signed = '{forged}.{mac}'"),
        format!("SET hansard.signed = '{forged}.'"),
        format!("SET hansard.signed = '{forged}'"),
        format!("DO $$ BEGIN PERFORM set_config('hansard.' || 'signed', '{forged}.{mac}', false); END $$"),
        "SET hansard.signed = '.'".to_owned(),
        "CREATE SCHEMA evil; CREATE FUNCTION evil.get(jsonb, text) RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$; \
         CREATE OPERATOR evil.->> (leftarg = jsonb, rightarg = text, function = evil.get); \
         SET search_path = evil, pg_catalog, public"
            .to_owned(),
    ];
    admin.batch_execute("GRANT CREATE ON DATABASE rows_of_jobs TO PUBLIC").await.unwrap();
    for forgery in &forgeries {
        nightly.batch_execute(forgery).await.unwrap();
        let seen = text(&nightly, "SELECT string_agg(job, ',') FROM public.rankings").await;
        assert!(["null", "nightly"].contains(&seen.as_str()), "{forgery}: {seen}");
        nightly.batch_execute("RESET ALL").await.unwrap();
    }
    assert_eq!(text(&nightly, "SELECT count(*) FROM hansard.keys").await, "0");
    assert!(nightly.batch_execute("INSERT INTO hansard.keys VALUES ('', '')").await.is_err());
    assert!(nightly.batch_execute("SELECT hansard.add_key('\\x00')").await.is_err());
    let other = job(&proxy, "rows_of_jobs", "other").await;
    assert_eq!(text(&other, SEEN).await, "other");
    // Past Hansard, nothing is signed.
    let past = direct("app_trust", "rows_of_jobs").await;
    assert_eq!(text(&past, SEEN).await, "null");
    past.batch_execute("SET hansard.job = 'other'").await.unwrap();
    assert_eq!(text(&past, SEEN).await, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_knows_jobs_apart_that_share_an_account() {
    let admin = database("jobs_apart").await;
    let proxy = proxy("jobs_apart").await;
    let long = format!("{}-", "x".repeat(80));
    let jobs = ["nightly", "größe", &format!("{long}1"), &format!("{long}2")];
    let mut open = Vec::new();
    for name in jobs {
        let client = job(&proxy, "jobs_apart", name).await;
        assert_eq!(text(&client, "SELECT current_setting('hansard.job')").await, name);
        assert_eq!(text(&client, "SELECT current_setting('hansard.groups')").await, r#"["rankers","nightly"]"#);
        assert_eq!(text(&client, "SELECT current_setting('hansard.subject')").await, "service-account");
        let session = text(&client, "SELECT current_setting('hansard.session')").await;
        assert_eq!(session.len(), 36);
        open.push(client);
    }
    let seen = admin
        .query("SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'hansard:%' ORDER BY backend_start", &[])
        .await
        .unwrap();
    let mut seen: Vec<String> = seen.iter().map(|row| row.get(0)).collect();
    assert_eq!(seen[0], "hansard:nightly");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), jobs.len(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_the_database_cannot_be_told_are_refused() {
    let _admin = database("many_groups").await;
    let proxy = proxy("many_groups").await;
    let mut claims = claims();
    claims["groups"] = json!((0..100).map(|number| format!("{number}{}", "g".repeat(60))).collect::<Vec<_>>());
    let dsn = proxy.dsn(&token(&claims)).replace("dbname=ranking", "dbname=many_groups");
    let error = connect(&dsn).await.unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code().code(), "28000");
    assert!(told.message().contains("groups take"), "{told}");
}
