//! Hansard, the one binary: reads the command line and the configuration, and puts the rooms together.
//!
//! Nothing about sessions, events or files is decided here. Whatever goes wrong ends in one line and an exit code.

use std::process::ExitCode;

use clap::Parser;

mod admin;
mod cli;
mod config;
mod failure;
mod logging;
mod output;
mod token;

use cli::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::quiet_panics();
    let done = match &arguments.command {
        Command::Token(asked) => token::run(asked),
        _ => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(failure.code)
        }
    }
}
