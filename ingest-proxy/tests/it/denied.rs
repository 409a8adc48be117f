//! Who is not let in, and what it is told.

use hansard_ingest_proxy::{Password, PasswordCommand, check_target};
use hansard_schemas::events::event::Kind;
use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::proxy::{Plan, RunningProxy, claims, connect, now, signed, token};
use crate::record;

fn told(error: &tokio_postgres::Error) -> (String, String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("not an answer of the server: {error}"));
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_refused_with_the_reason_and_recorded() {
    let proxy = RunningProxy::start().await;
    let with = |claim: &str, value: serde_json::Value| {
        let mut claims = claims();
        claims[claim] = value;
        token(&claims)
    };
    let cases = [
        ("hunter2".to_owned(), "28P01", "the password is not a token"),
        (with("exp", json!(now() - 60)), "28P01", "the token expired at 20"),
        (with("aud", json!("other")), "28P01", "another audience than \"hansard\""),
        (with("iss", json!("https://evil.example")), "28P01", "is not known here"),
        (with("job", json!("")), "28000", "does not name the job"),
        (signed(&claims(), Algorithm::ES256, "es256", "stranger"), "28P01", "signature is not one of issuer \"ci\""),
    ];
    let count = cases.len();
    for (token, sqlstate, message) in cases {
        let error = connect(&proxy.dsn(&token)).await.expect_err("refused");
        let (code, told, hint) = told(&error);
        assert_eq!(code, sqlstate);
        assert!(told.contains(message) && !hint.contains(&token), "{told}");
    }
    let jobs = record::until(&proxy.log, |jobs| {
        jobs.len() == count && jobs.iter().all(|job| job.end() == Some("not authenticated"))
    })
    .await;
    for job in jobs {
        assert!(job.kinds().any(|kind| matches!(kind, Kind::AuthenticationFailed(_))));
        assert!(!job.kinds().any(|kind| matches!(kind, Kind::Authenticated(_))));
        assert!(matches!(
            job.withheld()[..],
            ["not identified", "password"] | ["not identified", "password", "not identified"]
        ));
        assert!(!format!("{job:?}").contains("hunter2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_taken_without_a_restart() {
    let proxy = RunningProxy::start().await;
    let new = signed(&claims(), Algorithm::ES256, "new", "stranger");
    assert!(connect(&proxy.dsn(&new)).await.is_err());
    let mut keys = crate::proxy::key_set();
    let mut key = jsonwebtoken::jwk::Jwk::from_encoding_key(&crate::proxy::key("stranger"), Algorithm::ES256).unwrap();
    key.common.key_id = Some("new".to_owned());
    keys.keys.push(key);
    std::fs::write(proxy.jwks_file(), serde_json::to_vec(&keys).unwrap()).unwrap();
    for _ in 0..100 {
        if connect(&proxy.dsn(&new)).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new key is not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_the_database_is_taken_without_a_restart() {
    let mut plan = Plan::new();
    let file = plan.folder().join("password");
    std::fs::write(&file, "old\n").unwrap();
    let upstream = &mut plan.options.targets[0].upstream;
    (upstream.password, upstream.password_file, upstream.require_auth) = (None, Some(file.clone()), None);
    let proxy = plan.start().await;
    assert!(connect(&proxy.dsn(&token(&claims()))).await.is_err());
    std::fs::write(&file, crate::cluster::PASSWORD).unwrap();
    let mut client = None;
    for _ in 0..100 {
        client = connect(&proxy.dsn(&token(&claims()))).await.ok();
        if client.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let client = client.expect("the new password is taken");
    // What was derived from a password is not used for another one.
    std::fs::write(&file, "wrong\n").unwrap();
    let mut refused = false;
    for _ in 0..100 {
        refused = connect(&proxy.dsn(&token(&claims()))).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(refused, "the former password is used");
    std::fs::write(&file, crate::cluster::PASSWORD).unwrap();
    for _ in 0..100 {
        if connect(&proxy.dsn(&token(&claims()))).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // A session outlives the password that it began with, and a file that is gone leaves the one of before.
    std::fs::remove_file(&file).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    client.query_one("SELECT 1", &[]).await.unwrap();
    connect(&proxy.dsn(&token(&claims()))).await.unwrap();

    let mut plan = Plan::new();
    plan.options.targets[0].upstream.password_file = Some("/nowhere/password".into());
    let error = plan.bind().unwrap_err().to_string();
    assert!(error.starts_with("target \"ranking\": upstream_password_file /nowhere/password: No such file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_a_command_prints_is_asked_for_anew_where_it_is_refused() {
    let mut plan = Plan::new();
    let file = plan.folder().join("word");
    std::fs::write(&file, "rotated-away\n").unwrap();
    let words = ["cat".to_owned(), file.display().to_string()].to_vec();
    let upstream = &mut plan.options.targets[0].upstream;
    upstream.password = None;
    upstream.password_command = Some(PasswordCommand { words, kept: std::time::Duration::from_secs(3600) });
    upstream.require_auth = None;
    let proxy = plan.start().await;
    let error = connect(&proxy.dsn(&token(&claims()))).await.unwrap_err();
    let (code, message, _) = told(&error);
    assert_eq!(code, "08004");
    assert!(!message.contains("rotated-away"), "{message}");
    std::fs::write(&file, crate::cluster::PASSWORD).unwrap();
    for _ in 0..200 {
        if let Ok(client) = connect(&proxy.dsn(&token(&claims()))).await {
            return drop(client.query_one("SELECT 1", &[]).await.unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the new password is not taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_or_refuses_is_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut down = Plan::new();
    down.options.targets[0].upstream.port = free;
    let mut refuses = Plan::new();
    refuses.options.targets[0].upstream.password = Some(Password::new("not-the-password"));
    let mut unknown = Plan::new();
    unknown.options.targets[0].upstream.database = None;
    for (plan, database, sqlstate, message, reason) in [
        (down, "ranking", "08001", "the database of target \"ranking\" cannot be reached", "database unavailable"),
        (
            refuses,
            "ranking",
            "08004",
            "the database of target \"ranking\" does not let Hansard in",
            "database unavailable",
        ),
        (unknown, "nowhere", "3D000", "database \"nowhere\" does not exist", "closed by database"),
    ] {
        let check = check_target(&plan.options.targets[0]).await;
        let proxy = plan.start().await;
        let dsn = proxy.dsn(&token(&claims())).replace("dbname=ranking", &format!("dbname={database}"));
        let error = connect(&dsn).await.expect_err("refused");
        let (code, text, hint) = told(&error);
        assert_eq!((code.as_str(), text.as_str()), (sqlstate, message));
        assert!(!hint.contains("app_scram") && !text.contains("not-the-password"));
        assert_eq!(record::closed(&proxy.log).await.end(), Some(reason));
        if sqlstate == "3D000" {
            // It looks at a database that is there.
            assert!(check.unwrap().contains("connected to database \"postgres\""));
        } else {
            let line = check.unwrap_err();
            assert!(line.starts_with("target \"ranking\": cannot use database \"ranking\" at 127.0.0.1:"), "{line}");
            assert!(!line.contains("not-the-password") && !line.contains('\n'), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_serves_its_own_database_only() {
    let proxy = RunningProxy::start().await;
    let asked = |database: &str| proxy.dsn(&token(&claims())).replace("dbname=ranking", &format!("dbname={database}"));
    let error = connect(&asked("postgres")).await.expect_err("refused");
    let (code, message, hint) = told(&error);
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("3D000", "database \"postgres\" is not served by target \"ranking\"")
    );
    assert_eq!(hint, "Connect to database \"ranking\".");
    // The user's name is what clients ask for when they are told nothing.
    let client = connect(&asked("nightly")).await.unwrap();
    assert_eq!(client.query_one("SELECT current_database()", &[]).await.unwrap().get::<_, &str>(0), "ranking");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_limited() {
    let mut plan = Plan::new();
    plan.options.max_sessions = 2;
    let proxy = plan.start().await;
    let (first, _second) = (proxy.client().await, proxy.client().await);
    let error = connect(&proxy.dsn(&token(&claims()))).await.expect_err("refused");
    assert_eq!(told(&error).0, "53300");
    drop(first);
    for _ in 0..100 {
        if connect(&proxy.dsn(&token(&claims()))).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("a place that became free is not given again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_an_error_with_the_way_out() {
    let proxy = RunningProxy::start().await;
    let mut plan = Plan::new();
    plan.options.targets[0].listen = proxy.address;
    let error = plan.bind().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("target \"ranking\" cannot listen on {}: Address already in use", proxy.address))
    );
    let mut plan = Plan::new();
    plan.options.identity.issuers[0].keys = hansard_identity::KeySource::File("/nowhere/jwks.json".into());
    let error = plan.bind().unwrap_err().to_string();
    assert!(error.contains("the key set /nowhere/jwks.json cannot be used: No such file"), "{error}");
}
