//! Validated settings of the proxy: plain data, no files read, nothing bound.
//!
//! Invariant: options that pass [`Options::validate`] fail later only for reasons outside of them (a port taken, a
//! key file that cannot be read).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Longest token accepted, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Everything the proxy needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Databases, each with a listening address of its own.
    pub targets: Vec<TargetOptions>,
    /// Whose tokens are believed.
    pub identity: IdentityOptions,
    /// When a frame has to be in the event log.
    pub durability: Durability,
    /// How long a job waits for a log that takes nothing before it is told 58030.
    pub log_patience: Duration,
    /// From the first byte to a valid token.
    pub authentication_timeout: Duration,
    /// For the connection to the database, its authentication included.
    pub connect_timeout: Duration,
    /// How long sessions may go on with what they run once the proxy is asked to stop.
    pub shutdown_grace: Duration,
    /// Sessions at once, all targets together.
    pub max_sessions: usize,
    /// Connections at once that have not shown a valid token.
    pub max_unauthenticated: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            targets: Vec::new(),
            identity: IdentityOptions::default(),
            durability: Durability::WriteAhead,
            log_patience: Duration::from_secs(3),
            authentication_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(5),
            max_sessions: 2000,
            max_unauthenticated: 500,
        }
    }
}

/// When a frame has to be in the event log, relative to its way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A request is acknowledged by the log before the database gets it.
    WriteAhead,
    /// A reply is acknowledged by the log before the job gets it.
    BeforeReply,
    /// Within 64 KiB or 5 ms.
    Async,
    /// Frames are not recorded. To measure what recording costs; never for a real job.
    Off,
}

/// One database server and the address where jobs reach it.
#[derive(Debug, Clone)]
pub struct TargetOptions {
    /// As in the configuration and in every record.
    pub name: String,
    /// Where jobs connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the database is.
    pub upstream: UpstreamOptions,
    /// Take tokens without TLS on an address that is not loopback.
    pub allow_plaintext: bool,
}

/// The database behind a target, and Hansard's own credentials for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role that Hansard connects as.
    pub user: String,
    /// Where the server asks for one.
    pub password: Option<Password>,
    /// The one database of this target; `None`: the job chooses.
    pub database: Option<String>,
}

/// A secret that shows itself in no output.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes it as it is.
    pub fn new(password: impl Into<String>) -> Password {
        Password(password.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(withheld)")
    }
}

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct IdentityOptions {
    /// Token issuers; `iss` decides which one a token is checked against.
    pub issuers: Vec<IssuerOptions>,
    /// How far the clocks of an issuer and of this host may be apart, for `exp` and `nbf`.
    pub leeway: Duration,
}

impl Default for IdentityOptions {
    fn default() -> IdentityOptions {
        IdentityOptions { issuers: Vec::new(), leeway: Duration::from_secs(5) }
    }
}

/// A token issuer.
#[derive(Debug, Clone)]
pub struct IssuerOptions {
    /// As in the configuration and in every record.
    pub name: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
    /// A JSON Web Key Set (RFC 7517) on this machine; read again when it changes.
    pub jwks_file: PathBuf,
    /// Claim with the job's name: a name, or a JSON pointer (RFC 6901) that begins with `/`.
    pub job_claim: String,
    /// Claim with the job's groups, an array of strings or one string with blanks between them; likewise.
    pub groups_claim: Option<String>,
}

/// Settings that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Nothing to listen for.
    #[error("no target is configured: add a [[targets]] section")]
    NoTarget,
    /// No token could ever be valid.
    #[error("no identity issuer is configured: add an [[identity.issuers]] section")]
    NoIssuer,
    /// Two of the same name.
    #[error("{what} \"{name}\" is configured twice: give each one its own")]
    Twice {
        /// Kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A value that may not be empty, or zero.
    #[error("{what} must not be {value}")]
    Invalid {
        /// Which value, of what.
        what: String,
        /// What it is.
        value: &'static str,
    },
    /// Tokens would cross a network in the clear.
    #[error(
        "target \"{target}\" listens on {listen} without TLS, where tokens could be read on the way: listen on a loopback address, or set allow_plaintext = true for this target"
    )]
    Plaintext {
        /// Its name.
        target: String,
        /// Its address.
        listen: SocketAddr,
    },
    /// Not a URL that an upstream can have.
    #[error("upstream {0}")]
    Upstream(String),
}

impl Options {
    /// Checks all settings, alone and against each other.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.targets.is_empty() {
            return Err(OptionsError::NoTarget);
        }
        if self.identity.issuers.is_empty() {
            return Err(OptionsError::NoIssuer);
        }
        unique("target", self.targets.iter().map(|target| target.name.clone()))?;
        let fixed = self.targets.iter().filter(|target| target.listen.port() != 0);
        unique("listening address", fixed.map(|target| target.listen.to_string()))?;
        unique("identity issuer", self.identity.issuers.iter().map(|issuer| issuer.name.clone()))?;
        unique("issuer URL", self.identity.issuers.iter().map(|issuer| issuer.issuer.clone()))?;
        for target in &self.targets {
            target.validate()?;
        }
        for issuer in &self.identity.issuers {
            issuer.validate()?;
        }
        for (what, value) in [
            ("authentication_timeout", self.authentication_timeout),
            ("connect_timeout", self.connect_timeout),
            ("log_patience", self.log_patience),
        ] {
            if value.is_zero() {
                return Err(OptionsError::Invalid { what: what.to_owned(), value: "zero" });
            }
        }
        for (what, value) in [("max_sessions", self.max_sessions), ("max_unauthenticated", self.max_unauthenticated)] {
            if value == 0 {
                return Err(OptionsError::Invalid { what: what.to_owned(), value: "zero" });
            }
        }
        Ok(())
    }
}

impl TargetOptions {
    fn validate(&self) -> Result<(), OptionsError> {
        not_empty("the name of a target", &self.name)?;
        not_empty(&format!("the upstream user of target \"{}\"", self.name), &self.upstream.user)?;
        not_empty(&format!("the upstream host of target \"{}\"", self.name), &self.upstream.host)?;
        if !self.listen.ip().is_loopback() && !self.allow_plaintext {
            return Err(OptionsError::Plaintext { target: self.name.clone(), listen: self.listen });
        }
        Ok(())
    }
}

impl IssuerOptions {
    fn validate(&self) -> Result<(), OptionsError> {
        not_empty("the name of an identity issuer", &self.name)?;
        for (what, value) in [("issuer", &self.issuer), ("audience", &self.audience), ("job_claim", &self.job_claim)] {
            not_empty(&format!("{what} of identity issuer \"{}\"", self.name), value)?;
        }
        Ok(())
    }
}

fn not_empty(what: &str, value: &str) -> Result<(), OptionsError> {
    if value.is_empty() { Err(OptionsError::Invalid { what: what.to_owned(), value: "empty" }) } else { Ok(()) }
}

fn unique(what: &'static str, names: impl Iterator<Item = String>) -> Result<(), OptionsError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            return Err(OptionsError::Twice { what, name });
        }
    }
    Ok(())
}

/// `postgres://user[:password]@host[:port][/database]`.
impl FromStr for UpstreamOptions {
    type Err = OptionsError;

    fn from_str(url: &str) -> Result<UpstreamOptions, OptionsError> {
        // The URL may hold a password, so no message repeats it.
        let refuse = |reason: &str| Err(OptionsError::Upstream(reason.to_owned()));
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return refuse("must look like postgres://user@host:5432/database");
        }
        let config = match tokio_postgres::Config::from_str(url) {
            Ok(config) => config,
            Err(_) => return refuse("does not read as a URL: it must look like postgres://user@host:5432/database"),
        };
        let [tokio_postgres::config::Host::Tcp(host)] = config.get_hosts() else {
            return refuse("must name exactly one host");
        };
        if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
            return refuse("asks for sslmode=require, and TLS to the database is not supported yet");
        }
        let Some(user) = config.get_user() else {
            return refuse("names no user: it must look like postgres://user@host:5432/database");
        };
        let password = match config.get_password().map(std::str::from_utf8) {
            None => None,
            Some(Ok(password)) => Some(Password::new(password)),
            Some(Err(_)) => return refuse("has a password that is not UTF-8"),
        };
        Ok(UpstreamOptions {
            host: host.clone(),
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: user.to_owned(),
            password,
            database: config.get_dbname().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests;
