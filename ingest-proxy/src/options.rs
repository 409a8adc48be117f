//! Validated settings of the proxy: plain data, no files read, nothing bound.
//!
//! Invariant: options that pass [`Options::validate`] fail later only for reasons outside of them (a port taken, a
//! key file that cannot be read).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hansard_identity::{IdentityOptions, IssuerOptions};

mod authentication;
mod capture;
mod identity_settings;
mod revocation;
mod upstream;

pub use authentication::Authentication;
pub use capture::{CaptureLevel, CaptureOptions, CaptureRule};
pub use identity_settings::{IdentitySettings, NamePattern};
pub(crate) use identity_settings::{NamePart, NameWord};
pub use revocation::OnRevocation;
pub use upstream::{AuthMethod, ChannelBinding, PasswordCommand, Roots, SslMode, UpstreamOptions, UpstreamTls};

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
    /// How a job learns the id of its session.
    pub session_id: SessionId,
    /// What becomes of a statement in flight whose session's right is revoked.
    pub on_revocation: OnRevocation,
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
            session_id: SessionId::Parameter,
            on_revocation: OnRevocation::Cancel,
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

/// How a job learns at its log-in which session of the record is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionId {
    /// By a ParameterStatus `hansard.session`. Drivers keep it with the server's own parameters, or leave it aside.
    Parameter,
    /// By a NoticeResponse, which many programs show.
    Notice,
    /// Not at all.
    Off,
}

impl SessionId {
    /// All of them.
    pub const ALL: [SessionId; 3] = [SessionId::Parameter, SessionId::Notice, SessionId::Off];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            SessionId::Parameter => "parameter",
            SessionId::Notice => "notice",
            SessionId::Off => "off",
        }
    }
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
    /// For jobs that ask for TLS; without it, none of them gets it.
    pub tls: Option<TlsOptions>,
    /// Take tokens without TLS, too. Without `tls` this is needed on an address that is not loopback.
    pub allow_plaintext: bool,
    /// How jobs send their tokens that do not say how.
    pub authentication: Authentication,
    /// What the database is told of the jobs.
    pub identity_settings: IdentitySettings,
    /// Let jobs open replication connections.
    pub replication: bool,
    /// How much of its sessions is recorded.
    pub capture: CaptureOptions,
    /// Jobs with another one; the first that fits counts.
    pub capture_rules: Vec<CaptureRule>,
}

/// TLS towards jobs. The files are PEM, and are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// The certificate, and what leads from it to an authority that jobs know.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Whose certificates are accepted from jobs.
    pub client_ca_file: Option<PathBuf>,
    /// Whether jobs are asked for one; it is checked beside the token, not in its place.
    pub client_certificates: ClientCertificates,
}

/// Whether a job shows a certificate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It is not asked.
    None,
    /// One that it shows has to be good.
    Optional,
    /// Without one it is refused.
    Required,
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
        "target \"{target}\" listens on {listen} without TLS, where tokens could be read on the way: listen on a loopback address, give the target a certificate (tls.cert_file and tls.key_file), or set allow_plaintext = true for it"
    )]
    Plaintext {
        /// Its name.
        target: String,
        /// Its address.
        listen: SocketAddr,
    },
    /// TLS settings that do not fit each other.
    #[error("target \"{target}\": tls.{reason}")]
    Tls {
        /// Its name.
        target: String,
        /// The setting, and what is wrong with it.
        reason: &'static str,
    },
    /// A rule about what is recorded that fits everybody, nobody, or whom it is not meant for.
    #[error("target \"{target}\": a capture rule {reason}")]
    CaptureRule {
        /// Its name.
        target: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value of an issuer's that may not be empty.
    #[error("{0}")]
    Issuer(String),
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
            target.validate_rules(&self.identity.issuers)?;
        }
        for issuer in &self.identity.issuers {
            issuer.validate().map_err(OptionsError::Issuer)?;
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
        if let Some(reason) = self.tls.as_ref().and_then(TlsOptions::contradiction) {
            return Err(OptionsError::Tls { target: self.name.clone(), reason });
        }
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.allow_plaintext {
            return Err(OptionsError::Plaintext { target: self.name.clone(), listen: self.listen });
        }
        Ok(())
    }
}

impl TargetOptions {
    fn validate_rules(&self, issuers: &[IssuerOptions]) -> Result<(), OptionsError> {
        for rule in &self.capture_rules {
            let reason = match &rule.issuer {
                _ if !rule.has_condition() => "does not say whose sessions it is for",
                Some(name) if !issuers.iter().any(|issuer| issuer.name == *name) => {
                    "names an issuer that is not configured"
                }
                // Each issuer names jobs, subjects and groups as it likes.
                None if issuers.len() > 1 => "does not say of which issuer, and there are several",
                _ => continue,
            };
            return Err(OptionsError::CaptureRule { target: self.name.clone(), reason });
        }
        Ok(())
    }
}

impl TlsOptions {
    fn contradiction(&self) -> Option<&'static str> {
        match (&self.client_ca_file, self.client_certificates) {
            (None, ClientCertificates::Optional | ClientCertificates::Required) => {
                Some("client_ca_file is missing: it says whose certificates are good")
            }
            (Some(_), ClientCertificates::None) => {
                Some("client_ca_file is given, and client_certificates = \"none\" asks for none; drop one of them")
            }
            _ => None,
        }
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

#[cfg(test)]
mod tests;
