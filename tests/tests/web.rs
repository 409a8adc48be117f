//! The replay in a real browser: in through the login link, from the list to a session, and through its steps.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use hansard_tests::browser::Browser;
use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Postgres};

#[path = "web/record.rs"]
mod record;
#[path = "web/values.rs"]
mod values;
#[path = "web/walk.rs"]
mod walk;

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
    let address = "location.search";
    browser.holds(&format!("{address}.includes('step=2')")).unwrap();
    // A step that is not there is said, and the address stays what it is.
    browser.open(&format!("http://{web}/sessions/{session}?step=80000")).unwrap();
    browser.shows(&["There is no statement 80\u{2009}000: the session has statements 1 to 3."]).unwrap();
    assert!(browser.value(address).unwrap().as_str().unwrap().contains("step=80000"));
    assert_eq!(browser.value("document.getElementById('tab-statement')").unwrap(), serde_json::Value::Null);

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

#[tokio::test(flavor = "multi_thread")]
async fn a_new_link_is_printed_sessions_outlive_a_restart_and_end_by_logging_out() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let refused = config.run("login", &[]).unwrap();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("hansard up"), "{refused:?}");
    let mut hansard = config.start("up").unwrap();
    let web = hansard.web().unwrap();
    let mut browser = Browser::start().unwrap();
    browser.open(&format!("http://{web}/login")).unwrap();
    let command = format!("hansard login --config {}", config.file().display());
    browser.shows(&["Log in", &command]).unwrap();
    let printed = config.ask("login", &[]).unwrap();
    let link = printed.trim().strip_prefix("open ").unwrap();
    browser.open(link).unwrap();
    browser.shows(&["Sessions", "No session has been recorded yet"]).unwrap();

    assert!(hansard.stop().unwrap().success());
    let address = web.to_string();
    let mut hansard = config.start_with("up", |command| _ = command.env("HANSARD__WEB__LISTEN", address)).unwrap();
    browser.open(&format!("http://{web}/sessions")).unwrap();
    browser.shows(&["No session has been recorded yet"]).unwrap();
    browser
        .value("[...document.querySelectorAll('button')].find(one => one.textContent === 'Log out').click()")
        .unwrap();
    browser.shows(&["Log in", &command]).unwrap();
    browser.open(&format!("http://{web}/sessions")).unwrap();
    browser.shows(&["You are not logged in", "How to log in"]).unwrap();
    assert!(hansard.stop().unwrap().success());
}

/// How many statements there are in a session that is longer than a page, and than what is prefetched.
const MANY: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_session_is_walked_by_keyboard() {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser("ranking").await.unwrap();
    superuser.batch_execute("CREATE TABLE rankings (id int); GRANT ALL ON rankings TO app").await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let mut hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    for _ in 0..MANY / 100 {
        job.batch_execute(&"SELECT 1;".repeat(99)).await.unwrap();
        job.batch_execute("UPDATE rankings SET id = 7").await.unwrap();
    }
    assert!(job.batch_execute("SELECT wrong").await.is_err());
    drop(job);
    let session =
        config.rows("sessions", &["--job", "nightly-reranker"]).unwrap()[0]["session_id"].as_str().unwrap().to_owned();
    let web = hansard.web().unwrap();
    let link = config.ask("login", &[]).unwrap();
    let mut browser = Browser::start().unwrap();
    browser.open(link.trim().strip_prefix("open ").unwrap()).unwrap();
    browser.shows(&["nightly-reranker", "Ended, 1 error"]).unwrap();
    browser.open(&format!("http://{web}/sessions?job=nightly-*&errors=true")).unwrap();
    browser.shows(&["nightly-reranker", "1 session"]).unwrap();

    // The wanted statement comes first, and the total is the session's own.
    browser.open(&format!("http://{web}/sessions/{session}?step=2900")).unwrap();
    browser.shows(&["Statement 2\u{2009}900 of 3\u{2009}001", "UPDATE rankings"]).unwrap();
    browser.holds("document.querySelectorAll('[role=option]').length < 60").unwrap();
    browser
        .holds("document.querySelector('[aria-selected=true][role=option]').getAttribute('aria-setsize') === '3001'")
        .unwrap();
    browser.holds("document.querySelector('input[type=range]').value === '2900'").unwrap();

    // One stop of the tab key for the list; arrows, Home, End and Space work in it.
    let stops = "[...document.querySelectorAll('.list [tabindex=\"0\"], .list [role=option] button')].length";
    assert_eq!(browser.value(stops).unwrap(), 1);
    browser.value("document.querySelector('[role=listbox]').focus()").unwrap();
    for (key, shown) in [
        ("ArrowDown", "Statement 2\u{2009}901 of"),
        ("ArrowUp", "Statement 2\u{2009}900 of"),
        ("PageUp", "Statement 2\u{2009}890 of"),
        ("Home", "Statement 1 of"),
        ("N", "No denial or error that way"),
        ("n", "column \"wrong\" does not exist"),
        ("k", "Statement 3\u{2009}000 of"),
        // It plays: the next one comes by itself.
        ("Space", "Statement 3\u{2009}001 of"),
        ("Home", "Statement 1 of"),
        ("End", "Statement 3\u{2009}001 of"),
        ("Home", "Statement 1 of"),
    ] {
        browser.press(key).unwrap();
        browser.shows(&[shown]).unwrap();
        assert_eq!(browser.value("scrollY").unwrap(), 0, "{key}: the page itself is never scrolled");
    }
    // Tabs are one stop, and the arrows go between them.
    browser.value("document.getElementById('tab-statement').focus()").unwrap();
    browser.press("ArrowRight").unwrap();
    browser.holds("document.activeElement.id === 'tab-result'").unwrap();
    browser.holds("location.search.includes('tab=result')").unwrap();
    browser.press("ArrowRight").unwrap();
    browser.holds("document.activeElement.id === 'tab-statement'").unwrap();

    // What is sought is found, counted and marked.
    browser.press("f").unwrap();
    browser.holds("document.activeElement.id === 'find'").unwrap();
    browser.press("Escape").unwrap();
    browser.write("update RANKINGS").unwrap();
    browser.value("document.querySelector('.find').requestSubmit()").unwrap();
    browser.shows(&["1 of 30", "Statement 100 of"]).unwrap();
    browser.value("document.querySelector('.find').requestSubmit()").unwrap();
    browser.shows(&["2 of 30", "Statement 200 of"]).unwrap();
    browser.open(&format!("http://{web}/sessions/{session}?find=update%20RANKINGS")).unwrap();
    browser.shows(&["1 of 30", "Statement 100 of"]).unwrap();
    let marked = "[...document.querySelectorAll('.code mark')].map(mark => mark.textContent).join('').toLowerCase()";
    browser.holds(&format!("{marked} === 'update rankings'")).unwrap();
    assert!(hansard.stop().unwrap().success());
}
