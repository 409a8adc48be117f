//! The replay over a made-up night, to look at: `cargo run -p hansard-web --example replay`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "for a developer at a terminal")]

use std::sync::Arc;

use hansard_schemas::http::TargetHint;
use hansard_web::{Web, WebOptions};
use tokio_util::sync::CancellationToken;

#[allow(dead_code)]
#[path = "../tests/web/doubts.rs"]
mod doubts;
#[allow(dead_code, unreachable_pub)]
#[path = "../../query/tests/query/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../tests/web/night.rs"]
mod night;

#[tokio::main]
async fn main() {
    let night = night::night().await;
    doubts::doubts(&night.fixture).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = fixture::Fixture::new();
    let fixture = if std::env::args().any(|argument| argument == "--empty") { &empty } else { &night.fixture };
    let engine = fixture.engine();
    let options = WebOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        token_file: folder.path().join("web.token"),
        login_command: "hansard login --config hansard.toml".into(),
        targets: vec![TargetHint {
            name: "ranking".into(),
            listen: "127.0.0.1:6432".into(),
            database: Some("ranking".into()),
        }],
        leases: None,
    };
    let web = Web::bind(options, Arc::new(engine)).await.unwrap();
    println!("rerank {}\ncontractor {}\nlive {}\nmarkup {}", night.rerank, night.contractor, night.live, night.markup);
    println!("{}", hansard_web::read_token(&folder.path().join("web.token")).unwrap());
    println!("{}", web.login_link());
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::signal::ctrl_c().await.unwrap();
        asked.cancel();
    });
    web.serve(stop).await.unwrap();
}
