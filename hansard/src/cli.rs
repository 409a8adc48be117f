//! The command line: what can be asked for, nothing done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod lease;

pub(crate) use lease::{Lease, Revoke};
#[cfg(feature = "query")]
pub(crate) use lease::{LeaseAsked, LeaseFormat, LeaseFrom, LeaseRequested, ListFormat};

#[derive(Debug, Parser)]
#[command(
    name = "hansard",
    version,
    about = "The verbatim record of what automated jobs did to a database.",
    after_help = "Exit codes: 0 done, 1 a negative finding or an answer that is not whole, 2 usage or configuration error, 3 a defect of Hansard.",
    propagate_version = true
)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", env = "HANSARD_CONFIG", default_value = "hansard.toml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a working folder for a database: configuration, development issuer and key, secret file.
    Init(Init),
    /// All services in one process: proxy, recorder, query and web.
    Up,
    /// The proxy alone: takes jobs in, relays and records.
    Proxy,
    /// The recorder alone: event log to lake.
    Record,
    /// The query API (in this version the same server as `web`, and so with its pages).
    Query,
    /// The web replay with its query API.
    Web,
    /// Prints a new link by which one browser logs in to the running instance.
    Login,
    /// Validates the configuration and reaches each part; says what is wrong, and where.
    Check,
    /// Mints a token for an issuer whose private key is on this machine (development).
    Token(Token),
    /// Asks the record in SQL: tables frames, statements, touches, transactions, sessions, catalog, leases.
    Sql(Sql),
    /// Which jobs updated a relation in a stretch of time.
    WhoUpdated(WhoUpdated),
    /// Who has shown a valid token, latest first.
    Jobs(Jobs),
    /// Recorded sessions, latest first.
    Sessions(Sessions),
    /// Plays a session back in the terminal, step by step.
    Replay(Replay),
    /// Leases: what a job with a token logs in with for a while.
    #[command(subcommand)]
    Lease(Lease),
    /// Makes what somebody holds good for nothing: a token, an identity, a job, all of an issuer.
    Revoke(Revoke),
}

impl Command {
    /// As it is typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Command::Init(_) => "init",
            Command::Up => "up",
            Command::Proxy => "proxy",
            Command::Record => "record",
            Command::Query => "query",
            Command::Web => "web",
            Command::Login => "login",
            Command::Check => "check",
            Command::Token(_) => "token",
            Command::Sql(_) => "sql",
            Command::WhoUpdated(_) => "who-updated",
            Command::Jobs(_) => "jobs",
            Command::Sessions(_) => "sessions",
            Command::Replay(_) => "replay",
            Command::Lease(_) => "lease",
            Command::Revoke(_) => "revoke",
        }
    }

    /// Cargo features that the command needs, and that this build was made without.
    pub(crate) fn missing_features(&self) -> Vec<&'static str> {
        let needed: &[&str] = match self {
            Command::Up => &["proxy", "record", "query", "web"],
            Command::Proxy => &["proxy"],
            Command::Record => &["record"],
            Command::Web => &["web"],
            Command::Query
            | Command::Login
            | Command::Sql(_)
            | Command::WhoUpdated(_)
            | Command::Jobs(_)
            | Command::Sessions(_)
            | Command::Replay(_)
            | Command::Lease(_)
            | Command::Revoke(_) => &["query"],
            Command::Init(_) | Command::Check | Command::Token(_) => &[],
        };
        let built = [
            ("proxy", cfg!(feature = "proxy")),
            ("record", cfg!(feature = "record")),
            ("query", cfg!(feature = "query")),
            ("web", cfg!(feature = "web")),
        ];
        needed.iter().copied().filter(|feature| !built.contains(&(feature, true))).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The database, as postgres://role:password@host:port/database; without it, what psql would connect to, over TCP.
    /// A password in it goes to the secret file alone; it may also be in PGPASSWORD.
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The folder to write to; it is made where there is none, and nothing in it is overwritten.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Name of the issuer in the configuration; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,
    /// Who the token is for.
    #[arg(long, value_name = "SUBJECT", required_unless_present = "new_key")]
    pub(crate) subject: Option<String>,
    /// Groups that the subject is in.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) groups: Vec<String>,
    /// A further claim; a value that is JSON is taken as such. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) claim: Vec<String>,
    /// How long the token is good for.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(crate) ttl: String,
    /// First makes the issuer's key pair: writes its private_key_file and jwks_file, which must not exist yet.
    #[arg(long)]
    pub(crate) new_key: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Rows and columns; on a terminal as wide as it is, and as `vertical` where they do not fit.
    Table,
    /// A line for each value.
    Vertical,
    /// One array of objects.
    Json,
    Csv,
    Parquet,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct Sql {
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// A file with questions, each ended by `;` (- is standard input).
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["sql", "command"])]
    pub(crate) file: Option<PathBuf>,
    /// A question; may be repeated.
    #[arg(short, long, value_name = "SQL", conflicts_with = "sql")]
    pub(crate) command: Vec<String>,
    /// The question, such as "SELECT job, count(*) FROM statements GROUP BY job". Without it, from -c, -f or standard input;
    /// on a terminal, a shell.
    pub(crate) sql: Option<String>,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct WhoUpdated {
    /// The relation as SQL writes it: schema.table, or a table on the database's default path.
    pub(crate) relation: String,
    /// Such as 2026-11-22T03:12Z, 03:12Z for today, "10m ago", "2026-11-22 03:12 Europe/Berlin".
    #[arg(long, value_name = "TIME")]
    pub(crate) at: String,
    /// How far before and after --at is looked; a minute such as 03:12Z is always looked at whole.
    #[arg(long, value_name = "TIME", default_value = "1m")]
    pub(crate) window: String,
    /// What was done to it: several with commas between them, or any.
    #[arg(long, value_name = "OPERATIONS", default_value = "update")]
    pub(crate) operation: String,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// With --format json: one object of `updated`, `may_have` and `looked_at` instead of one array.
    #[arg(long)]
    pub(crate) parts: bool,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct Jobs {
    /// Only jobs of that name; `*` stands for any text, as in nightly-*.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct Sessions {
    /// Only this job's; `*` stands for any text, as in nightly-*.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Only of this target; likewise.
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only with this role, asked for or as the database knows it; likewise.
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Option<String>,
    /// Opened at that time or later: 2026-11-22, 03:12Z, "10m ago".
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Opened at that time or before; a day or a minute is meant to its end.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only with a statement that touched this relation, or may have.
    #[arg(long, value_name = "RELATION")]
    pub(crate) relation: Option<String>,
    /// Only those that stand or ended so.
    #[arg(long, value_enum, value_name = "OUTCOME")]
    pub(crate) outcome: Option<Outcome>,
    /// Only with statements that failed.
    #[arg(long)]
    pub(crate) errors: bool,
    /// Only with this text in a statement, its values or its error, whatever the case.
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// At most so many; 50 on a terminal, all elsewhere.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u32>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// How a session stands: by its record, or by its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// Still open.
    Live,
    /// Ended, and recorded from its first frame to its last.
    Complete,
    /// Ended, and something of it is not recorded.
    Incomplete,
    /// The job was not let in.
    Refused,
    /// The job took its leave.
    Terminated,
    /// The job's connection ended without that.
    Lost,
    /// The database ended it.
    EndedByDatabase,
    /// Hansard ended it.
    EndedByHansard,
    /// Nobody saw its end.
    Unknown,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "query"), allow(dead_code, reason = "the command only says that it is not there"))]
pub(crate) struct Replay {
    /// The session's id, as `hansard sessions` shows it; its beginning is enough where it is unambiguous.
    pub(crate) session: String,
    /// The step to begin with.
    #[arg(long, value_name = "STEP", default_value_t = 1)]
    pub(crate) from: u64,
    /// The last step.
    #[arg(long, value_name = "STEP")]
    pub(crate) to: Option<u64>,
    /// Only steps that began at that time or later: 03:12Z, "10m ago".
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only steps that began at that time or before; a day or a minute is meant to its end.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only these steps.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) only: Option<Only>,
    /// Rows of each result that are shown; 0 for none. Without it 5, or none of a session with very many frames.
    #[arg(long, value_name = "COUNT")]
    pub(crate) rows: Option<usize>,
    /// Plays with the session's own pauses, so many times as fast; without it, all at once.
    #[arg(long, value_name = "FACTOR")]
    pub(crate) speed: Option<f64>,
    /// text, or json: one array of objects, an object a line.
    #[arg(long, value_enum, default_value_t = ReplayFormat::Text)]
    pub(crate) format: ReplayFormat,
}

/// Which steps of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// That failed, were not run because of it, or have no answer.
    Errors,
    /// That changed rows or relations, or may have.
    Writes,
    /// That policy denied.
    Denied,
}

/// How a replay is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplayFormat {
    Text,
    Json,
}
