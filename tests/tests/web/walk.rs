//! One walk: the start page, who changed the table, the step. By keyboard alone, on a phone and a desktop, in the light and in
//! the dark, and printed; and every page is looked at by axe-core.

use hansard_tests::browser::Browser;
use hansard_tests::wire::Wire;
use serde_json::Value;

use crate::record::{Scene, talkative};

/// What has the focus: the element's id, else its text.
const FOCUS: &str = "document.activeElement.id || document.activeElement.textContent.trim()";

/// Screens: width, whether it is a phone's, and what the reader prefers.
const SCREENS: [(u32, bool, &str); 4] =
    [(1440, false, "light"), (1440, false, "dark"), (390, true, "light"), (390, true, "dark")];

/// The page is there, nothing is cut off at its side, and axe-core finds no fault.
fn looked_at(browser: &mut Browser, what: &str) {
    browser
        .holds("document.querySelector('main h1, main h2, main pre') !== null && !document.querySelector('.loading')")
        .unwrap();
    let wide = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").unwrap();
    assert_eq!(wide, 0, "{what} is too wide");
    assert_eq!(browser.faults().unwrap(), "", "{what}");
}

/// Presses Tab until what has the focus begins so; not for ever.
fn tab_to(browser: &mut Browser, wanted: &str) {
    let mut passed = Vec::new();
    for _ in 0..80 {
        browser.press("Tab").unwrap();
        let focus = browser.value(FOCUS).unwrap();
        let focus = focus.as_str().unwrap_or_default().to_owned();
        if focus.starts_with(wanted) {
            let seen = "(() => { const at = document.activeElement.getBoundingClientRect(); \
                        return at.top >= 0 && at.top < innerHeight && at.width > 0; })()";
            assert_eq!(browser.value(seen).unwrap(), true, "{wanted} has the focus out of sight");
            return;
        }
        passed.push(focus);
    }
    panic!("the tab key does not reach {wanted}: {passed:?}");
}

/// Prints what is shown: nothing is cut off on paper, and these parts can be read on it. Then the screen is as before.
fn printed(browser: &mut Browser, (width, phone, scheme): (u32, bool, &str), parts: &[&str]) {
    let paper = browser.print().unwrap();
    assert!(paper.bytes > 10_000, "{paper:?}");
    for part in parts {
        assert!(paper.text.contains(part), "{part:?} is not on the paper: {}", paper.text);
    }
    assert!(paper.cut_off <= 0, "{} pixels do not fit on the paper: {}", paper.cut_off, paper.text);
    assert!(paper.spilt <= 4, "a part of the page runs {} pixels into the next one", paper.spilt);
    browser.screen(width, 844, phone).unwrap();
    browser.media("screen", scheme).unwrap();
}

fn walk(browser: &mut Browser, start: &str, minute: &str, screen: (u32, bool, &str)) {
    let at = |page: &str| format!("{page} on {screen:?}");
    let (width, phone, scheme) = screen;
    browser.screen(width, 844, phone).unwrap();
    browser.media("screen", scheme).unwrap();
    browser.open(start).unwrap();
    browser.shows(&["Sessions", "nightly-reranker"]).unwrap();
    looked_at(browser, &at("start"));
    printed(browser, screen, &["nightly-reranker"]);

    tab_to(browser, "Who changed");
    browser.press("Enter").unwrap();
    browser.shows(&["Which job updated the ranking table at 03:12 UTC?"]).unwrap();
    looked_at(browser, &at("the empty question"));
    browser.press("/").unwrap();
    browser.holds("document.activeElement.id === 'search'").unwrap();
    browser.write("RANK").unwrap();
    browser.holds("document.querySelectorAll('[role=option]').length === 2").unwrap();
    looked_at(browser, &at("completion"));
    browser.press("ArrowDown").unwrap();
    let chosen = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))";
    browser.holds(&format!("{chosen} !== null && {chosen}.textContent.startsWith('public.rankings')")).unwrap();
    browser.press("Enter").unwrap();
    assert_eq!(browser.value("document.activeElement.value").unwrap(), "public.rankings");
    browser.press("Tab").unwrap();
    browser.write(minute).unwrap();
    browser.press("Enter").unwrap();
    browser.shows(&["Updated", "nightly-reranker", "Looked at"]).unwrap();
    looked_at(browser, &at("the answer"));
    printed(browser, screen, &["nightly-reranker", "session 0"]);

    tab_to(browser, "nightly-reranker");
    browser.press("Enter").unwrap();
    browser.shows(&["Statement 2 of 4", "UPDATE rankings SET score = 9", "Who else?"]).unwrap();
    browser.holds("location.search.includes('step=2')").unwrap();
    looked_at(browser, &at("the step"));
    browser.press("j").unwrap();
    browser.shows(&["Statement 3 of 4", "LINE 1:", "HINT"]).unwrap();
    browser.holds("location.search.includes('step=3')").unwrap();
    looked_at(browser, &at("the error"));
    printed(browser, screen, &["SELECT score FROM rankings", "UPDATE rankings SET score = 9", "ERROR:", "HINT"]);
    browser.press("k").unwrap();
    browser.press("r").unwrap();
    browser.holds("location.search.includes('step=2') && location.search.includes('tab=result')").unwrap();
    browser.press("r").unwrap();
    browser.shows(&["Touches"]).unwrap();
    browser.press("?").unwrap();
    browser.holds("document.querySelector('dialog').open").unwrap();
    looked_at(browser, &at("the keys"));
    browser.press("Escape").unwrap();
    browser.holds("!document.querySelector('dialog').open").unwrap();
    tab_to(browser, "Who else?");
    browser.press("Enter").unwrap();
    browser.shows(&["Looked at", "nightly-reranker"]).unwrap();
    assert_eq!(browser.value("document.getElementById('search').value").unwrap(), "public.rankings");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_from_the_start_to_the_step_holds_on_every_screen_and_on_paper() {
    let mut scene = Scene::start().await;
    // Before anything is recorded.
    let web = scene.hansard.web().unwrap();
    for (width, phone, scheme) in SCREENS {
        scene.browser.screen(width, 844, phone).unwrap();
        scene.browser.media("screen", scheme).unwrap();
        scene.open("/sessions");
        scene.browser.shows(&["No session has been recorded yet"]).unwrap();
        looked_at(&mut scene.browser, "nothing recorded");
    }

    let mut wire = scene.wire("nightly-reranker").await;
    for sql in [
        "SELECT score FROM rankings",
        "UPDATE rankings SET score = 9 WHERE film_id = 7",
        "SELECT scroe FROM rankings",
        "UPDATE rankings SET film_id = 7 WHERE film_id = 8",
    ] {
        wire.query(sql).await.unwrap();
    }
    wire.send(&hansard_tests::wire::terminate()).await.unwrap();
    wire.rest().await.unwrap();
    scene.ended("nightly-reranker");
    let updated = &scene
        .config
        .sql("SELECT committed_at FROM touches WHERE operation = 'update' AND committed_at IS NOT NULL")
        .unwrap()[0];
    let minute = updated["committed_at"].as_str().unwrap().get(..16).unwrap().to_owned();
    let start = format!("http://{web}/");
    for screen in SCREENS {
        walk(&mut scene.browser, &start, &minute, screen);
    }
    assert!(scene.hansard.stop().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_core_finds_no_fault_on_any_page() {
    let mut scene = Scene::start().await;
    let session = talkative(&scene).await;
    let mut open = scene.wire(&"long-name-".repeat(40)).await;
    open.query("BEGIN").await.unwrap();
    open.query(&format!("SELECT {} AS \"{}\", NULL, ''", "'x' || ".repeat(3_000) + "'y'", "w".repeat(60)))
        .await
        .unwrap();
    let refused = Wire::session(scene.hansard.proxy().unwrap(), "app", "ranking", "no token").await;
    assert!(refused.is_err());
    let id = |session: &Value| session["session_id"].as_str().unwrap().to_owned();
    let of = |scene: &Scene, which: &str| {
        id(&scene.config.sql(&format!("SELECT session_id FROM sessions WHERE {which}")).unwrap()[0])
    };
    let (live, refused) = (of(&scene, "job LIKE 'long-name%'"), of(&scene, "auth_failure IS NOT NULL"));
    let talk = id(&session);
    let who = "/who-changed?at=2026-01-01";
    let pages = [
        "/".to_owned(),
        "/jobs".to_owned(),
        "/jobs?job=nobody".to_owned(),
        "/sessions?job=nobody&errors=true".to_owned(),
        "/sessions?text=rankings".to_owned(),
        "/sessions?from=lately".to_owned(),
        who.to_owned() + "&relation=rankings",
        who.to_owned() + "&relation=rankigns",
        "/who-changed?relation=rankings&at=lately".to_owned(),
        "/who-changed?relation=rankings&operation=any&window=1d&at=".to_owned() + &jiff::Timestamp::now().to_string(),
        format!("/sessions/{talk}?step=1"),
        format!("/sessions/{talk}?step=3&find=nope"),
        format!("/sessions/{talk}?step=7"),
        format!("/sessions/{talk}?step=10&tab=result"),
        format!("/sessions/{talk}?step=14&tab=result"),
        format!("/sessions/{talk}?step=999"),
        format!("/sessions/{live}?step=2"),
        format!("/sessions/{live}?step=2&tab=result"),
        format!("/sessions/{refused}"),
        "/sessions/none".to_owned(),
        "/nowhere".to_owned(),
        "/login?token=used-up".to_owned(),
    ];
    let mut stranger = Browser::start().unwrap();
    let strangers = ["/login", "/login?token=used-up", "/sessions", "/who-changed"];
    let web = scene.hansard.web().unwrap();
    for (width, phone, scheme) in SCREENS.into_iter().chain([(320, false, "light")]) {
        for (browser, pages) in [
            (&mut scene.browser, &pages.iter().map(String::as_str).collect::<Vec<_>>()[..]),
            (&mut stranger, &strangers),
        ] {
            browser.screen(width, 844, phone).unwrap();
            browser.media("screen", scheme).unwrap();
            for page in pages {
                browser.open(&format!("http://{web}{page}")).unwrap();
                looked_at(browser, &format!("{page} at {width}, {scheme}"));
            }
        }
    }
    drop(open);
}
