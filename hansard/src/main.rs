//! Hansard, the one binary: reads the command line and the configuration, and puts the rooms together.
//!
//! Nothing about sessions, events or files is decided here. Whatever goes wrong ends in one line and an exit code.

use std::process::ExitCode;

use clap::Parser;

mod admin;
#[cfg(feature = "query")]
mod ask;
mod check;
mod cli;
mod config;
mod failure;
mod init;
mod logging;
#[cfg(feature = "query")]
mod login;
mod note;
mod output;
mod parts;
mod permissions;
#[cfg(feature = "query")]
mod questions;
#[cfg(feature = "query")]
mod replay;
mod serve;
#[cfg(feature = "query")]
mod socket;
mod token;

use cli::{Arguments, Command};
use failure::Failure;
use serve::Services;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::quiet_panics();
    let done = match arguments.command.missing_features() {
        missing if missing.is_empty() => run(&arguments.command),
        missing => Err(Failure::usage(format!(
            "this build has no `hansard {}`: it lacks {}; build with `--features {}`, or with all of them, as by default",
            arguments.command.name(),
            missing.iter().map(|feature| format!("feature `{feature}`")).collect::<Vec<_>>().join(", "),
            missing.join(",")
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    let services = Services { name: command.name(), proxy: false, recorder: false, web: false };
    match command {
        Command::Init(asked) => init::run(asked),
        Command::Up(asked) => {
            serve::run(&asked.config, Services { proxy: true, recorder: true, web: true, ..services })
        }
        Command::Proxy(asked) => serve::run(&asked.config, Services { proxy: true, ..services }),
        Command::Record(asked) => serve::run(&asked.config, Services { recorder: true, ..services }),
        Command::Query(asked) | Command::Web(asked) => serve::run(&asked.config, Services { web: true, ..services }),
        #[cfg(feature = "query")]
        Command::Login(asked) => login::run(asked),
        Command::Check(asked) => check::run(asked),
        Command::Token(asked) => token::run(asked),
        #[cfg(feature = "query")]
        Command::Sql(asked) => questions::sql(asked),
        #[cfg(feature = "query")]
        Command::WhoUpdated(asked) => questions::who_updated(asked),
        #[cfg(feature = "query")]
        Command::Sessions(asked) => questions::sessions(asked),
        #[cfg(feature = "query")]
        Command::Replay(asked) => replay::run(asked),
        // Told above which feature is missing.
        #[cfg(not(feature = "query"))]
        Command::Login(_) | Command::Sql(_) | Command::WhoUpdated(_) | Command::Sessions(_) | Command::Replay(_) => {
            Ok(())
        }
    }
}
