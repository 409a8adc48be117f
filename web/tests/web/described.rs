//! The API's description: where it is, that it is OpenAPI 3.1, and that the server does what it says (by schemathesis).

use std::process::Stdio;

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{client::Server, doubts::doubts};

const DESCRIPTION: &str = "/api/v1/openapi.json";
/// What is in the book; the cookie's name holds the port, which is another one each time.
const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

async fn description(server: &Server) -> Value {
    let mut description: Value = server.get(DESCRIPTION).await.json();
    let name = &mut description["components"]["securitySchemes"]["session"]["name"];
    assert_eq!(*name, format!("hansard_{}", server.address.port()));
    *name = "hansard_8080".into();
    description
}

fn python() -> Command {
    let python = std::env::var_os("HANSARD_PYTHON").expect("HANSARD_PYTHON is not set: run `cargo xtask test`");
    let mut command = Command::new(python);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis")).kill_on_drop(true);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[tokio::test]
async fn the_description_is_for_who_is_signed_in() {
    let server = Server::start().await;
    assert_eq!(server.send("GET", DESCRIPTION, &[], "").await.status, 401);
    let cookie = server.log_in().await;
    let answer = server.send("GET", DESCRIPTION, &[("cookie", &cookie)], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json::<Value>()["openapi"], "3.1.0");
}

#[tokio::test]
async fn the_book_holds_the_description() {
    let server = Server::start().await;
    let now = description(&server).await;
    if std::env::var_os("HANSARD_BLESS").is_some() {
        std::fs::write(BOOK, format!("{now:#}\n")).unwrap();
    }
    let book: Value = serde_json::from_slice(&std::fs::read(BOOK).unwrap_or_default()).unwrap_or_default();
    assert!(
        book == now,
        "docs/openapi.json is not what the server says: HANSARD_BLESS=1 cargo nextest run -p hansard-web the_book_holds writes \
         it; see by its difference whether callers would notice"
    );
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_its_examples_fit() {
    let server = Server::start().await;
    let description = server.get(DESCRIPTION).await;
    let mut check = python().arg("valid.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(&description.body).await.unwrap();
    drop(stdin);
    let output = check.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// What the book shows of commands, each with what it printed.
fn shown(book: &str) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for block in book.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match (line.strip_prefix("$ "), shown.last_mut()) {
                (Some(command), _) => shown.push((command.to_owned(), String::new())),
                (None, Some((command, _))) if continued => command.push_str(&format!("\n{line}")),
                (None, Some((_, printed))) => printed.push_str(&format!("{line}\n")),
                (None, None) => panic!("{line:?} is printed by nothing"),
            }
            continued = line.ends_with('\\');
        }
    }
    shown
}

#[tokio::test]
async fn the_commands_of_the_book_print_what_it_shows() {
    let server = Server::start().await;
    let book = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md")).unwrap();
    let shown = shown(&book);
    assert!(shown.len() >= 6, "{shown:?}");
    let mut now = Vec::new();
    for (command, _) in &shown {
        let here = command.replace("127.0.0.1:8080", &server.address.to_string());
        let mut bash = Command::new("bash");
        bash.args(["-c", &here]).current_dir(server.folder.path()).kill_on_drop(true);
        let output = bash.output().await.unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap().replace('\r', "");
        now.push((command.clone(), format!("{}\n", printed.trim_end())));
    }
    assert_eq!(now, shown);
}

/// All checks of schemathesis, bounded and the same each time, as `tests/schemathesis/schemathesis.toml` says.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_does_what_the_description_says() {
    let server = Server::start().await;
    doubts(&server.night.fixture).await;
    // Where it runs it may leave what it notes down for itself.
    let notes = server.folder.path();
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis");
    for file in ["schemathesis.toml", "notations.py"] {
        std::fs::copy(format!("{tree}/{file}"), notes.join(file)).unwrap();
    }
    let output = python()
        .current_dir(notes)
        .args(["-m", "schemathesis.cli", "run", "--no-color"])
        .arg(format!("http://{}{DESCRIPTION}", server.address))
        .args(["--header", &format!("Authorization: Bearer {}", server.token)])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
