//! `hansard lease` and `hansard revoke`: what can be asked for.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) enum Lease {
    /// Asks for a lease with a job's token; shows the user name and the password, this once.
    Request(LeaseRequested),
    /// Leases that are good.
    List {
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
        #[command(flatten)]
        from: LeaseFrom,
    },
    /// Revokes a lease: sessions that are open by it end within a second.
    Revoke {
        /// The lease's name, as `hansard lease list` shows it.
        id: String,
        /// Why: it is recorded.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        from: LeaseFrom,
    },
    /// Runs one command with a lease of its own in its environment (PGUSER, PGPASSWORD, ...), and revokes that at its end.
    Run {
        #[command(flatten)]
        asked: LeaseAsked,
        #[command(flatten)]
        from: LeaseFrom,
        /// The command, as in `-- psql -c "SELECT 1"`.
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct LeaseRequested {
    #[command(flatten)]
    pub(crate) asked: LeaseAsked,
    #[arg(long, value_enum, default_value_t = LeaseFormat::Table)]
    pub(crate) format: LeaseFormat,
    #[command(flatten)]
    pub(crate) from: LeaseFrom,
}

/// What a lease is to be good for.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct LeaseAsked {
    /// The target.
    #[arg(long, value_name = "NAME")]
    pub(crate) target: String,
    /// The database role.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: String,
    /// The database that it is good for; without it, any that the target serves.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// What it is for: a ticket, a run's number.
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: Option<String>,
    /// For how long, such as 30m; without it as long as leases may be.
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    /// How many connections it is good for; 1 is one use.
    #[arg(long, value_name = "COUNT")]
    pub(crate) connections: Option<u32>,
    /// SHA-256 (hex) of the certificate that has to be shown with it.
    #[arg(long, value_name = "HEX")]
    pub(crate) certificate_sha256: Option<String>,
}

/// Who is asked, and who asks.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct LeaseFrom {
    /// A file with the job's token; without it, HANSARD_TOKEN has it. Without both, the owner of the data asks, who gets no lease.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The web's address, as http://127.0.0.1:8080; without it, the running instance of the configuration.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// How a new lease is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LeaseFormat {
    /// A line for each value.
    Table,
    /// Lines for a shell: export PGUSER=...
    Env,
    /// postgres://user:password@host:port/database
    Url,
    /// A line of ~/.pgpass
    Pgpass,
    /// One object.
    Json,
}

/// How leases are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Table,
    /// One array of objects.
    Json,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["token_id", "subject", "job", "issuer"])))]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct Revoke {
    /// One token, by its `jti`, and the leases that were given for it.
    #[arg(long, value_name = "JTI", requires = "issuer", conflicts_with_all = ["subject", "job"])]
    pub(crate) token_id: Option<String>,
    /// One identity, by its `sub`.
    #[arg(long, value_name = "SUBJECT", requires = "issuer", conflicts_with = "job")]
    pub(crate) subject: Option<String>,
    /// A job, of whatever issuer.
    #[arg(long, value_name = "JOB", conflicts_with = "issuer")]
    pub(crate) job: Option<String>,
    /// The issuer's name in the configuration; by itself, all of it.
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,
    /// Why: it is recorded.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// For how long it holds, such as 12h; at most 7d, which it is without it.
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) duration: Option<String>,
    #[command(flatten)]
    pub(crate) from: LeaseFrom,
}
