//! The database behind a target: a URL, in the words of libpq.
//!
//! Invariants: TLS is on or off by the URL, never by what a server offers; nothing of a URL is ignored; no message
//! repeats one, since it may hold a password. Source: the PostgreSQL manual, "Connection URIs", "SSL Support".

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{OptionsError, Password};

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
    /// The same in a file; read again when it changes.
    pub password_file: Option<PathBuf>,
    /// A program that prints it.
    pub password_command: Option<PasswordCommand>,
    /// The one database of this target; `None`: the job chooses.
    pub database: Option<String>,
    /// `None`: plain text.
    pub tls: Option<UpstreamTls>,
    /// Whether SCRAM is bound to the server's certificate.
    pub channel_binding: ChannelBinding,
    /// How the server may let Hansard in, as libpq's `require_auth`. Without it: by SCRAM or a cleartext password where one
    /// is configured, in any way where none is.
    pub require_auth: Option<Vec<AuthMethod>>,
}

/// How a server lets somebody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// It asks for nothing: it trusts the address, or the certificate.
    None,
    /// The password in the clear; only over TLS with a checked certificate, or on this machine.
    Password,
    /// Its hash by MD5, which whoever hears it can try passwords on, and which proves nothing of the server.
    Md5,
    /// SCRAM-SHA-256, by which the server shows that it knows the password, too.
    Scram,
}

impl AuthMethod {
    /// All of them.
    pub const ALL: [AuthMethod; 4] = [AuthMethod::None, AuthMethod::Password, AuthMethod::Md5, AuthMethod::Scram];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthMethod::None => "none",
            AuthMethod::Password => "password",
            AuthMethod::Md5 => "md5",
            AuthMethod::Scram => "scram-sha-256",
        }
    }
}

/// TLS to the database. The files are PEM, and are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// What of the server's certificate is checked.
    pub mode: SslMode,
    /// `sslcert` and `sslkey`: Hansard's own certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// How far the server's certificate is believed, each with `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SslMode {
    /// Any certificate: safe from listeners, not from somebody in between.
    Require,
    /// One of an authority in this file.
    VerifyCa(PathBuf),
    /// And for this host's name.
    VerifyFull(Roots),
}

/// Authorities that may vouch for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of the operating system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// Whether SCRAM is bound to the server's certificate (RFC 5929, `tls-server-end-point`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// When the server offers it.
    Prefer,
    /// A server that does not is refused.
    Require,
}

/// A program that prints a password, so that Vault and the clouds' stores of secrets fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordCommand {
    /// The program and its arguments; there is no shell.
    pub words: Vec<String>,
    /// How long what it printed is used before it is run again.
    pub kept: Duration,
}

impl UpstreamOptions {
    /// Whether there is one, wherever it is kept.
    fn has_password(&self) -> bool {
        self.password.is_some() || self.password_file.is_some() || self.password_command.is_some()
    }

    /// Whether the server may let Hansard in by this.
    pub fn permits(&self, method: AuthMethod) -> bool {
        match &self.require_auth {
            Some(methods) => methods.contains(&method),
            None => match method {
                AuthMethod::Password | AuthMethod::Scram => true,
                AuthMethod::None | AuthMethod::Md5 => !self.has_password(),
            },
        }
    }

    /// The files that it names, to be made absolute.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let (roots, certificate) = match &mut self.tls {
            None => (None, None),
            Some(tls) => {
                let roots = match &mut tls.mode {
                    SslMode::VerifyCa(file) | SslMode::VerifyFull(Roots::File(file)) => Some(file),
                    SslMode::Require | SslMode::VerifyFull(Roots::System) => None,
                };
                (roots, tls.certificate.as_mut())
            }
        };
        roots.into_iter().chain(certificate.into_iter().flat_map(|(certificate, key)| [certificate, key]))
    }
}

/// `postgres://user[:password]@host[:port][/database][?sslmode=…]`.
impl FromStr for UpstreamOptions {
    type Err = OptionsError;

    fn from_str(url: &str) -> Result<UpstreamOptions, OptionsError> {
        let refuse = |reason: &str| Err(OptionsError::Upstream(reason.to_owned()));
        let Some(rest) = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme)) else {
            return refuse("must look like postgres://user@host:5432/database");
        };
        // A question mark before the host is part of the password.
        let host = rest.find('@').unwrap_or(0);
        let (rest, query) = match rest[host..].find('?') {
            Some(at) => (&rest[..host + at], &rest[host + at + 1..]),
            None => (rest, ""),
        };
        let query = Query::read(query).map_err(OptionsError::Upstream)?;
        let config = match tokio_postgres::Config::from_str(&format!("postgres://{rest}")) {
            Ok(config) => config,
            Err(_) => return refuse("does not read as a URL: it must look like postgres://user@host:5432/database"),
        };
        let [tokio_postgres::config::Host::Tcp(host)] = config.get_hosts() else {
            return refuse("must name exactly one host");
        };
        let Some(user) = config.get_user() else {
            return refuse("names no user: it must look like postgres://user@host:5432/database");
        };
        let password = match config.get_password().map(std::str::from_utf8) {
            None => None,
            Some(Ok(password)) => Some(Password::new(password)),
            Some(Err(_)) => return refuse("has a password that is not UTF-8"),
        };
        let require_auth = query.require_auth().map_err(OptionsError::Upstream)?;
        let (tls, channel_binding) = query.tls(host).map_err(OptionsError::Upstream)?;
        Ok(UpstreamOptions {
            host: host.clone(),
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: user.to_owned(),
            password,
            password_file: None,
            password_command: None,
            database: config.get_dbname().map(str::to_owned),
            tls,
            channel_binding,
            require_auth,
        })
    }
}

/// What follows the question mark.
#[derive(Debug, Default)]
struct Query {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    sslcert: Option<String>,
    sslkey: Option<String>,
    channel_binding: Option<String>,
    require_auth: Option<String>,
}

impl Query {
    fn read(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = match name {
                "sslmode" => &mut query.sslmode,
                "sslrootcert" => &mut query.sslrootcert,
                "sslcert" => &mut query.sslcert,
                "sslkey" => &mut query.sslkey,
                "channel_binding" => &mut query.channel_binding,
                "require_auth" => &mut query.require_auth,
                other => {
                    let other: String = other.chars().filter(|character| !character.is_control()).take(40).collect();
                    return Err(format!(
                        "has a parameter {other:?} that is not known: there are sslmode, sslrootcert, sslcert, sslkey, channel_binding and require_auth"
                    ));
                }
            };
            let value = percent_encoding::percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| format!("has a {name} that is not UTF-8"))?;
            if value.is_empty() {
                return Err(format!("has an empty {name}"));
            }
            if known.replace(value.into_owned()).is_some() {
                return Err(format!("has {name} twice"));
            }
        }
        Ok(query)
    }

    fn require_auth(&self) -> Result<Option<Vec<AuthMethod>>, String> {
        let Some(text) = &self.require_auth else { return Ok(None) };
        let method = |word: &str| AuthMethod::ALL.into_iter().find(|method| method.as_str() == word);
        let methods: Option<Vec<AuthMethod>> = text.split(',').map(method).collect();
        methods.map(Some).ok_or_else(|| {
            let known = AuthMethod::ALL.map(AuthMethod::as_str).join(", ");
            format!("has a require_auth that is not a list of {known}, with commas between them")
        })
    }

    fn tls(self, host: &str) -> Result<(Option<UpstreamTls>, ChannelBinding), String> {
        let channel_binding = match self.channel_binding.as_deref() {
            None | Some("prefer") => ChannelBinding::Prefer,
            Some("disable") => ChannelBinding::Disable,
            Some("require") => ChannelBinding::Require,
            Some(_) => return Err("has a channel_binding other than disable, prefer and require".to_owned()),
        };
        let default = if is_local(host) { "disable" } else { "verify-full" };
        let mode = match (self.sslmode.as_deref().unwrap_or(default), self.sslrootcert) {
            ("disable", None) => {
                if self.sslcert.is_some() || self.sslkey.is_some() || channel_binding == ChannelBinding::Require {
                    return Err("asks for what TLS alone can give, and TLS is off: add sslmode=verify-full".to_owned());
                }
                return Ok((None, channel_binding));
            }
            ("disable", Some(_)) => return Err("has sslrootcert, and TLS is off: add sslmode=verify-full".to_owned()),
            ("require", None) => SslMode::Require,
            ("require", Some(_)) => {
                return Err("has sslrootcert, and sslmode=require checks no certificate: say verify-full".to_owned());
            }
            ("verify-ca", None) => return Err("has sslmode=verify-ca without sslrootcert".to_owned()),
            ("verify-ca", Some(file)) if file == "system" => {
                return Err("has sslmode=verify-ca with sslrootcert=system, where anybody can get a certificate: say verify-full".to_owned());
            }
            ("verify-ca", Some(file)) => SslMode::VerifyCa(file.into()),
            ("verify-full", None) => SslMode::VerifyFull(Roots::System),
            ("verify-full", Some(file)) if file == "system" => SslMode::VerifyFull(Roots::System),
            ("verify-full", Some(file)) => SslMode::VerifyFull(Roots::File(file.into())),
            ("prefer" | "allow", _) => {
                return Err("has an sslmode that goes on in plain text when TLS is refused: say disable, require, verify-ca or verify-full".to_owned());
            }
            _ => return Err("has an sslmode other than disable, require, verify-ca and verify-full".to_owned()),
        };
        let certificate = match (self.sslcert, self.sslkey) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            _ => return Err("has one of sslcert and sslkey: they go together".to_owned()),
        };
        Ok((Some(UpstreamTls { mode, certificate }), channel_binding))
    }
}

/// Whether what is sent to a host stays on this machine, as far as its name tells.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
