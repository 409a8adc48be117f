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

/// What has the focus: the element's id, else its text.
const FOCUS: &str = "document.activeElement.id || document.activeElement.textContent.trim()";

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_a_table_is_found_by_keyboard_alone() {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser("ranking").await.unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE rankings (film_id int PRIMARY KEY, score float8); INSERT INTO rankings VALUES (7, 6.1); \
             CREATE TABLE ranking_history (day date); GRANT ALL ON rankings, ranking_history TO app",
        )
        .await
        .unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    job.execute("UPDATE rankings SET score = 9 WHERE film_id = 7", &[]).await.unwrap();
    drop(job);
    let updated =
        &config.rows("sql", &["SELECT committed_at FROM touches WHERE relation = 'public.rankings'"]).unwrap()[0];
    let minute = updated["committed_at"].as_str().unwrap().get(..16).unwrap().to_owned();

    let link = hansard.logged().lines().find_map(|line| line.strip_prefix("open ").map(str::to_owned)).unwrap();
    let mut browser = Browser::start().unwrap();
    browser.open(&link).unwrap();
    browser.shows(&["Sessions", "nightly-reranker"]).unwrap();
    // From the first key on: skip link, brand, sessions, who changed.
    while browser.value(FOCUS).unwrap() != "Who changed" {
        browser.press("Tab").unwrap();
    }
    browser.press("Enter").unwrap();
    browser.shows(&["Which job updated the ranking table at 03:12 UTC?"]).unwrap();
    browser.press("/").unwrap();
    browser.holds("document.activeElement.id === 'search'").unwrap();
    browser.write("RANK").unwrap();
    let offered = "[...document.querySelectorAll('[role=option] code')].map(name => name.textContent).join()";
    browser.holds(&format!("{offered} === 'public.rankings,public.ranking_history'")).unwrap();
    browser.press("ArrowDown").unwrap();
    let chosen = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))";
    browser.holds(&format!("{chosen}.getAttribute('aria-selected') === 'true'")).unwrap();
    browser.press("Escape").unwrap();
    assert_eq!(browser.value("document.activeElement.value").unwrap(), "RANK", "what was typed stays");
    browser.press("ArrowDown").unwrap();
    browser.holds(&format!("{chosen} !== null")).unwrap();
    browser.press("Enter").unwrap();
    assert_eq!(browser.value("document.activeElement.value").unwrap(), "public.rankings");
    browser.press("Tab").unwrap();
    browser.write(&minute).unwrap();
    browser.press("Enter").unwrap();
    browser.shows(&["Updated", "nightly-reranker", "1 row", "Looked at", "names by the catalog of"]).unwrap();
    let asked = browser.value("location.href").unwrap();

    // On a phone, in the dark and on paper nothing is cut off.
    for (width, media, scheme) in [(390, "screen", "light"), (390, "screen", "dark"), (700, "print", "light")] {
        browser.resize(width, 844).unwrap();
        browser.media(media, scheme).unwrap();
        browser.holds("document.documentElement.scrollWidth <= innerWidth").unwrap();
    }
    browser.resize(1400, 900).unwrap();
    browser.media("screen", "light").unwrap();

    while !browser.value(FOCUS).unwrap().as_str().unwrap().starts_with("nightly-reranker") {
        browser.press("Tab").unwrap();
    }
    browser.press("Enter").unwrap();
    browser.shows(&["Statement 1 of 1", "UPDATE rankings SET score = 9", "Who else?"]).unwrap();
    browser.value("history.back()").unwrap();
    browser.shows(&["Looked at", "nightly-reranker"]).unwrap();
    assert_eq!(browser.value("location.href").unwrap(), asked, "the answer has its address");
    assert_eq!(browser.value("document.getElementById('search').value").unwrap(), "public.rankings");
    assert!(hansard.stop().unwrap().success());
}
