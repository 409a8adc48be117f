//! The replay in a real browser: in through the login link, from the list to a session, and through its steps.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use hansard_tests::browser::Browser;
use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Postgres};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_replayed_in_the_browser() {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser("ranking").await.unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE rankings (film_id int PRIMARY KEY, title text, score float8); GRANT ALL ON rankings TO app; \
             INSERT INTO rankings VALUES (7, 'The <b>Land</b> Girls', 6.1), (8, 'Slam', 3.4)",
        )
        .await
        .unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    assert_eq!(job.query("SELECT title, score FROM rankings WHERE film_id = $1", &[&7_i32]).await.unwrap().len(), 1);
    job.execute("UPDATE rankings SET score = 9 WHERE film_id = 7", &[]).await.unwrap();
    assert!(job.batch_execute("DELETE FROM nowhere").await.is_err());
    drop(job);
    // The session may be open or closed by now: the record shows it either way.
    let session =
        config.rows("sessions", &["--job", "nightly-reranker"]).unwrap()[0]["session_id"].as_str().unwrap().to_owned();

    let link = hansard.logged().lines().find_map(|line| line.strip_prefix("open ").map(str::to_owned)).unwrap();
    let web = hansard.web().unwrap();
    let mut browser = Browser::start().unwrap();
    browser.open(&format!("http://{web}/api/v1/sessions")).unwrap();
    browser.shows(&["unauthenticated"]).unwrap();

    browser.open(&link).unwrap();
    browser.shows(&["Sessions", "nightly-reranker"]).unwrap();
    let address = browser.value("location.pathname + location.search").unwrap();
    assert_eq!(address, "/sessions", "the secret has left the address bar");

    let link_to_it = format!("document.querySelector('a[href^=\"/sessions/{session}\"]').click()");
    browser.value(&link_to_it).unwrap();
    // It opens where something went wrong.
    browser.shows(&["nightly-reranker", "DELETE FROM nowhere", "42P01"]).unwrap();
    browser.open(&format!("http://{web}/sessions/{session}?step=1&tab=result")).unwrap();
    browser.shows(&["Statement 1 of 3", "The <b>Land</b> Girls", "6.1"]).unwrap();
    let markup = browser.value("document.querySelectorAll('main b').length").unwrap();
    assert_eq!(markup, 0, "what was recorded is text, never markup");
    browser.press("j").unwrap();
    browser.shows(&["Statement 2 of 3"]).unwrap();

    // The link works once: another browser is not let in by it.
    let mut other = Browser::start().unwrap();
    other.open(&link).unwrap();
    other.shows(&["does not work any more"]).unwrap();
    assert!(hansard.stop().unwrap().success());
}
