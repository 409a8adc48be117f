//! Hansard, the one binary: reads the command line and the configuration, and puts the rooms together.
//!
//! Nothing about sessions, events or files is decided here. Whatever goes wrong ends in one line and an exit code.

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

mod admin;
#[cfg(feature = "query")]
mod ask;
mod check;
mod cli;
mod config;
mod failure;
mod init;
#[cfg(feature = "query")]
mod jobs;
#[cfg(feature = "query")]
mod lease;
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
mod sessions;
#[cfg(feature = "query")]
mod shell;
#[cfg(feature = "query")]
mod show;
#[cfg(feature = "query")]
mod socket;
#[cfg(feature = "query")]
mod sql;
#[cfg(feature = "query")]
mod times;
mod token;

use cli::{Arguments, Command};
use failure::Failure;
use serve::Services;

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    logging::quiet_panics();
    if let (Command::Init(_), Some(ValueSource::CommandLine)) = (&arguments.command, matches.value_source("config")) {
        output::error(&Failure::usage("`hansard init` reads no configuration: it writes one, to FOLDER"));
        return ExitCode::from(2);
    }
    let done = match arguments.command.missing_features() {
        missing if missing.is_empty() => {
            // Whoever calls tells a defect of ours from a finding by the exit code.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&arguments)))
                .unwrap_or_else(|_| Err(Failure::internal(logging::last_panic())))
        }
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

fn run(Arguments { config: file, command }: &Arguments) -> Result<(), Failure> {
    let services = Services { name: command.name(), proxy: false, recorder: false, web: false };
    match command {
        Command::Init(asked) => init::run(asked),
        Command::Up => serve::run(file, Services { proxy: true, recorder: true, web: true, ..services }),
        Command::Proxy => serve::run(file, Services { proxy: true, ..services }),
        Command::Record => serve::run(file, Services { recorder: true, ..services }),
        Command::Query | Command::Web => serve::run(file, Services { web: true, ..services }),
        #[cfg(feature = "query")]
        Command::Login => login::run(file),
        Command::Check => check::run(file),
        Command::Token(asked) => token::run(file, asked),
        #[cfg(feature = "query")]
        Command::Sql(asked) => sql::run(file, asked),
        #[cfg(feature = "query")]
        Command::WhoUpdated(asked) => questions::who_updated(file, asked),
        #[cfg(feature = "query")]
        Command::Jobs(asked) => jobs::run(file, asked),
        #[cfg(feature = "query")]
        Command::Sessions(asked) => sessions::run(file, asked),
        #[cfg(feature = "query")]
        Command::Replay(asked) => replay::run(file, asked),
        #[cfg(feature = "query")]
        Command::Lease(asked) => lease::run(file, asked),
        #[cfg(feature = "query")]
        Command::Revoke(asked) => lease::revoke_all(file, asked),
        // Told above which feature is missing.
        #[cfg(not(feature = "query"))]
        Command::Login
        | Command::Sql(_)
        | Command::WhoUpdated(_)
        | Command::Jobs(_)
        | Command::Sessions(_)
        | Command::Replay(_)
        | Command::Lease(_)
        | Command::Revoke(_) => Ok(()),
    }
}
