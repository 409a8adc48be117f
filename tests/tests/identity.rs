//! Who a job is, by tokens as well-known issuers make them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop where it stands")]

use std::time::Duration;

use anyhow::ensure;
use hansard_tests::hansard::{Config, Settings, get};
use hansard_tests::oidc::Provider;
use hansard_tests::{Postgres, eventually};
use serde_json::{Value, json};

/// A preset, what the operator adds to it, the claims of such a token as its issuer documents them (but for times), and the
/// job.
type Shape = (&'static str, &'static str, fn() -> Value, &'static str);

const SHAPES: [Shape; 8] = [
    (
        "github-actions",
        "required_claims = { repository_owner = \"octo-org\" }",
        github,
        "octo-org/octo-repo/.github/workflows/nightly.yml@refs/heads/main",
    ),
    (
        "gitlab-ci",
        "required_claims = { namespace_path = \"my-group\" }",
        gitlab,
        "my-group/my-project:branch:feature/1",
    ),
    ("kubernetes", "issuer = \"https://kubernetes.default.svc.cluster.local\"", kubernetes, "ranking:reranker"),
    ("spiffe", "issuer = \"https://oidc.example.org\"", spiffe, "spiffe://example.org/ns/ranking/sa/reranker"),
    ("keycloak", "issuer = \"https://keycloak.example/realms/jobs\"", keycloak, "nightly-rerank"),
    (
        "entra-id",
        "issuer = \"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0\"",
        entra,
        "6e74172b-be56-4843-9ff4-e66a39bb12e3",
    ),
    (
        "google",
        "required_claims = { email = \"*@acme.iam.gserviceaccount.com\", email_verified = true }",
        google,
        "reranker@acme.iam.gserviceaccount.com",
    ),
    (
        "aws",
        "issuer = \"https://abc12345-def4-5678-90ab-cdef12345678.tokens.sts.global.api.aws\"",
        aws,
        "arn:aws:iam::123456789012:role/Reranker",
    ),
];

fn github() -> Value {
    json!({
        "sub": "repo:octo-org/octo-repo:environment:prod", "repository": "octo-org/octo-repo", "repository_id": "74",
        "repository_owner": "octo-org", "repository_owner_id": "65", "workflow": "nightly rerank", "run_id": "8",
        "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main", "ref": "refs/heads/main",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/nightly.yml@refs/heads/main", "actor": "octocat", "environment": "prod", "event_name": "schedule", "runner_environment": "github-hosted",
    })
}

fn gitlab() -> Value {
    json!({
        "sub": "project_path:my-group/my-project:ref_type:branch:ref:feature/1", "namespace_id": "72",
        "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project", "user_login": "sample",
        "pipeline_id": "574", "job_id": "302", "ref": "feature/1", "ref_type": "branch", "ref_protected": "false",
        "groups_direct": ["mygroup/mysubgroup"],
    })
}

fn kubernetes() -> Value {
    json!({
        "sub": "system:serviceaccount:ranking:reranker",
        "kubernetes.io": {
            "namespace": "ranking", "pod": { "name": "reranker-1", "uid": "5c" },
            "serviceaccount": { "name": "reranker", "uid": "14" }, "node": { "name": "n1", "uid": "6b" },
        },
    })
}

fn spiffe() -> Value {
    json!({ "sub": "spiffe://example.org/ns/ranking/sa/reranker" })
}

fn keycloak() -> Value {
    json!({
        "sub": "f8c3de3d-1fea-4d7c-a8b0-29f63c4c3454", "azp": "nightly-rerank", "typ": "Bearer", "scope": "profile",
        "realm_access": { "roles": ["rankers"] }, "client_id": "nightly-rerank", "acr": "1",
    })
}

fn entra() -> Value {
    json!({
        "sub": "0f4c", "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3", "azpacr": "1", "oid": "690222be", "ver": "2.0",
        "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "roles": ["rankers"], "idtyp": "app",
    })
}

fn google() -> Value {
    json!({
        "sub": "113774264463038321964", "azp": "113774264463038321964", "email_verified": true,
        "email": "reranker@acme.iam.gserviceaccount.com",
    })
}

fn aws() -> Value {
    json!({
        "sub": "arn:aws:iam::123456789012:role/Reranker",
        "https://sts.amazonaws.com/": { "aws_account": "123456789012", "org_id": "o-abc", "source_region": "us-east-1" },
    })
}

fn entry(preset: &str, more: &str) -> String {
    format!(
        "[[identity.issuers]]\nname = \"{preset}\"\npreset = \"{preset}\"\naudience = \"hansard\"\n{more}\n\
         jwks_file = \"keys/jwks.json\"\nprivate_key_file = \"keys/private.pem\"\n"
    )
}

/// A token of that issuer.
fn token(config: &Config, issuer: &str, claims: &Value) -> String {
    let said = claims.as_object().unwrap().iter().map(|(name, value)| format!("{name}={value}"));
    let said: Vec<String> = said.flat_map(|claim| ["--claim".to_owned(), claim]).collect();
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    let subject = claims["sub"].as_str().unwrap();
    let arguments = [&["--issuer", issuer, "--subject", subject], &said[..]].concat();
    config.ask("token", &arguments).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_well_known_issuers_name_their_jobs() {
    let postgres = Postgres::start().await.unwrap();
    let more = SHAPES.iter().map(|(preset, more, ..)| entry(preset, more)).collect::<String>();
    let config = Config::new(&postgres, &Settings { more, ..Settings::default() }).unwrap();
    let hansard = config.start("up").unwrap();
    for (preset, _, claims, job) in &SHAPES {
        let client =
            hansard.connect(&token(&config, preset, &claims())).await.unwrap_or_else(|e| panic!("{preset}: {e:#}"));
        client.simple_query("SELECT 1").await.unwrap();
        drop(client);
        let sql = format!("SELECT subject, groups FROM sessions WHERE issuer = '{preset}' AND job = '{job}'");
        let rows = eventually("the session is told", Duration::from_secs(30), || {
            let rows = config.sql(&sql)?;
            ensure!(rows.len() == 1, "{preset}: {rows:?}");
            Ok(rows)
        })
        .unwrap();
        assert_eq!(rows[0]["subject"], claims()["sub"], "{preset}");
        let has_groups = matches!(*preset, "keycloak" | "entra-id");
        assert_eq!(rows[0]["groups"].to_string().contains("rankers"), has_groups, "{preset}: {rows:?}");
    }
    // Somebody else of the same issuer.
    for (issuer, claim, value) in [
        ("github-actions", "repository_owner", json!("evil-org")),
        ("gitlab-ci", "namespace_path", json!("my-group-2")),
        ("google", "email_verified", json!(false)),
        ("google", "email", json!("reranker@acme.iam.gserviceaccount.com.evil.example")),
    ] {
        let mut claims = SHAPES.iter().find(|(preset, ..)| *preset == issuer).unwrap().2();
        claims[claim] = value;
        let refused = hansard.connect(&token(&config, issuer, &claims)).await.unwrap_err();
        let refused = format!("{refused:#}");
        assert!(refused.contains(&format!("the token's claim \"{claim}\" is not one that is let in")), "{refused}");
    }
}

/// Two jobs of one service account, at a real provider, which rotates its key, goes down, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_one_service_account_are_told_apart_whatever_their_issuer_does() {
    let claims = |workflow: &str| json!({ "repository": "acme/rank", "workflow": workflow, "team": ["db"] });
    let clients = [("nightly", claims("nightly")), ("hourly", claims("hourly")), ("other", json!({ "team": "web" }))];
    let mut first = Provider::start(&clients).unwrap();
    // The same subjects.
    let second = Provider::start(&clients).unwrap();
    let entry = |name: &str, provider: &Provider| {
        format!(
            "[[identity.issuers]]\nname = \"{name}\"\nissuer = \"{}\"\naudience = \"hansard\"\n\
             job_template = \"{{repository}}:{{workflow}}\"\nrequired_claims = {{ team = \"db\" }}\n",
            provider.issuer()
        )
    };
    let more = entry("one", &first) + &entry("two", &second);
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings { more, ..Settings::default() }).unwrap();
    let checked = config.ask("check", &[]).unwrap();
    assert!(checked.contains(&format!("1 key(s), by {}/.well-known", first.issuer())), "{checked}");
    let hansard = config.start("up").unwrap();
    let works = async |token: String| match hansard.connect(&token).await {
        Ok(client) => client.simple_query("SELECT 1").await.map(|_| client).map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    };
    let session = works(first.token("nightly").unwrap()).await.unwrap();
    works(first.token("hourly").unwrap()).await.unwrap();
    works(second.token("nightly").unwrap()).await.unwrap();
    let refused = works(first.token("other").unwrap()).await.unwrap_err();
    assert!(refused.contains("claim \"team\" is not one that is let in"), "{refused}");

    // Rotated: the new key is taken, the old one is not, who is in stays.
    let old = first.token("nightly").unwrap();
    first.rotate("second").unwrap();
    let new = first.token("nightly").unwrap();
    let mut last = String::new();
    for _ in 0..60 {
        match works(new.clone()).await {
            Ok(_) => break,
            Err(refused) => last = refused,
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    works(new.clone()).await.unwrap_or_else(|refused| panic!("{refused}, before: {last}"));
    assert!(works(old).await.unwrap_err().contains("has no key"), "a token of the former key");
    session.simple_query("SELECT 2").await.unwrap();

    // Down: known keys go on.
    first.stop().unwrap();
    works(new.clone()).await.unwrap();
    let second_goes_on = works(second.token("hourly").unwrap()).await;
    assert!(second_goes_on.is_ok());

    // A proxy that starts meanwhile lets nobody of it in, says so, and goes on by itself.
    drop(hansard);
    let hansard = config.start("up").unwrap();
    let refused = hansard.connect(&new).await.map(drop).unwrap_err();
    assert!(format!("{refused:#}").contains("the keys of issuer \"one\" are not known at present"), "{refused:#}");
    let (_, ready) = get(hansard.admin().unwrap(), "/readyz").unwrap();
    assert!(ready.contains("keys of issuer \"one\"") && ready.contains("its tokens are refused"), "{ready}");
    first.serve().unwrap();
    let again = eventually("the issuer's keys are had", Duration::from_secs(60), || {
        let (_, ready) = get(hansard.admin()?, "/readyz")?;
        ensure!(!ready.contains("keys of issuer"), "{ready}");
        Ok(())
    });
    again.unwrap();
    hansard.connect(&new).await.unwrap();

    let sql = "SELECT issuer, job, count(*) AS n FROM sessions WHERE issuer IN ('one', 'two') AND complete AND statements > 0 \
               GROUP BY 1, 2 ORDER BY 1, 2";
    let expected = json!([
        ["one", "acme/rank:hourly"],
        ["one", "acme/rank:nightly"],
        ["two", "acme/rank:hourly"],
        ["two", "acme/rank:nightly"]
    ]);
    eventually("each job is told by its own name", Duration::from_secs(30), || {
        let rows = config.sql(sql)?;
        let told: Vec<_> = rows.iter().map(|row| json!([row["issuer"], row["job"]])).collect();
        ensure!(json!(told) == expected, "{rows:?}");
        Ok(())
    })
    .unwrap();
}
