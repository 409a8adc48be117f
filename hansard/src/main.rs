//! Hansard, the one binary: reads the command line and the configuration, and puts the rooms together.
//!
//! Nothing about sessions, events or files is decided here. Whatever goes wrong ends in one line and an exit code.

use std::process::ExitCode;

use clap::Parser;

mod admin;
mod ask;
mod check;
mod cli;
mod config;
mod failure;
mod logging;
mod note;
mod output;
mod parts;
mod questions;
mod replay;
mod serve;
mod token;

use cli::{Arguments, Command};
use serve::Services;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::quiet_panics();
    let done = match &arguments.command {
        Command::Up(asked) => {
            serve::run(&asked.config, Services { name: "up", proxy: true, recorder: true, web: true })
        }
        Command::Proxy(asked) => {
            serve::run(&asked.config, Services { name: "proxy", proxy: true, recorder: false, web: false })
        }
        Command::Record(asked) => {
            serve::run(&asked.config, Services { name: "record", proxy: false, recorder: true, web: false })
        }
        Command::Query(asked) => {
            serve::run(&asked.config, Services { name: "query", proxy: false, recorder: false, web: true })
        }
        Command::Web(asked) => {
            serve::run(&asked.config, Services { name: "web", proxy: false, recorder: false, web: true })
        }
        Command::Check(asked) => check::run(asked),
        Command::Token(asked) => token::run(asked),
        Command::Sql(asked) => questions::sql(asked),
        Command::WhoUpdated(asked) => questions::who_updated(asked),
        Command::Sessions(asked) => questions::sessions(asked),
        Command::Replay(asked) => replay::run(asked),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(failure.code)
        }
    }
}
