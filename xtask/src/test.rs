//! `cargo xtask test`: every check and every test, from a bare machine.
//!
//! The cheap checks come first. The last program to speak is the test runner, so that its closing line ends
//! the output.

use anyhow::Result;

use crate::provision::{self, Part};
use crate::shell::Shell;
use crate::{tidy, web};

pub(crate) fn run(shell: &Shell) -> Result<()> {
    provision::rust_components(shell);
    provision::debian(shell, &[Part::Postgres, Part::Libclang, Part::Chromium, Part::Venv, Part::Curl])?;
    let python = provision::python(shell)?;
    let (node, modules) = provision::node(shell, &python)?;

    if provision::cargo_has(shell, "fmt") {
        shell.say("checking the format");
        shell.run(shell.cargo().args(["fmt", "--all", "--check"]))?;
    } else {
        shell.say("NOT checking the format: cargo has no rustfmt here, and rustup cannot fetch it");
    }
    tidy::run(shell)?;
    if provision::cargo_has(shell, "deny") {
        shell.say("checking licences, sources and duplicates (cargo-deny)");
        shell.run(shell.cargo().args(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]))?;
    } else {
        shell.say("cargo-deny is not installed: tests/tests/architecture.rs checks duplicates, licences and sources");
    }

    shell.say("building the web replay");
    web::run(shell)?;
    shell.say("building the programs");
    shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    shell.say("checking the slim proxy, which is built without the other parts");
    let slim = ["check", "-p", "hansard", "--no-default-features", "--features", "proxy", "--locked"];
    shell.run(shell.cargo().args(slim))?;
    if provision::cargo_has(shell, "clippy") {
        shell.say("clippy");
        shell.run(shell.cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]))?;
    } else {
        shell.say("NOT running clippy: cargo has none here, and rustup cannot fetch it");
    }

    let runs: &[&[&str]] = if provision::cargo_has(shell, "nextest") {
        shell.say("testing (cargo-nextest)");
        &[&["nextest", "run", "--workspace", "--locked"]]
    } else {
        // What nextest is told in .config/nextest.toml: tests that need the machine to themselves get it.
        shell.say("testing (cargo-nextest is not installed: cargo test runs the same tests, a little slower)");
        &[
            &["test", "--workspace", "--locked", "--", "--skip", "alone_"],
            &["test", "--workspace", "--tests", "--locked", "--", "--test-threads=1", "alone_"],
        ]
    };
    for arguments in runs {
        let mut runner = shell.cargo();
        if std::env::var_os("NATS_SERVER").is_none() {
            runner.env("NATS_SERVER", python.join("bin/nats-server"));
        }
        runner.env("HANSARD_PYTHON", python.join("bin/python"));
        runner.env("HANSARD_NODE", &node).env("HANSARD_NODE_MODULES", &modules);
        shell.run(runner.args(*arguments))?;
    }
    Ok(())
}
