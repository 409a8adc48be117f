//! Hansard processes with a configuration and keys of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};

use crate::postgres::{DATABASE, PASSWORD, Postgres};
use crate::process::{Ended, Running, eventually, own_program, run, succeed, tail};
use crate::tls;

/// Long enough for a loaded machine; nothing waits for it where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with `hansard.toml`, the upstream's password and an issuer's key pair.
#[derive(Debug)]
pub struct Config {
    folder: PathBuf,
    program: PathBuf,
    tls: bool,
    _temporary: Option<TempDir>,
}

/// What differs between configurations; the rest is as most would have it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Role that Hansard logs in as; `app` by default.
    pub role: Option<&'static str>,
    /// Its password, when it should not be the right one.
    pub password: Option<&'static str>,
    /// TLS on both sides of Hansard: jobs may, and the database as these parameters of its URL say.
    pub tls: Option<String>,
    /// How a server that plays the database lets Hansard in, where that is not by the password.
    pub require_auth: Option<&'static str>,
    /// Keys of `[event_log]`, as TOML.
    pub event_log: String,
    /// Keys of `[recording]`, as TOML.
    pub recording: String,
    /// Keys of `[lake]` besides its place, as TOML.
    pub lake: String,
    /// Further tables, as TOML.
    pub more: String,
}

/// A table that leaves what a job is sent at log-in to the database alone.
pub const LOG_IN_AS_DIRECT: &str = "[proxy]\nsession_id = \"off\"\n";

impl Config {
    /// In a temporary folder.
    pub fn new(postgres: &Postgres, settings: &Settings) -> Result<Config> {
        let temporary = tempfile::Builder::new().prefix("hansard-test-").tempdir()?;
        let mut config = Config::within(temporary.path(), postgres.port(), settings)?;
        config._temporary = Some(temporary);
        Ok(config)
    }

    /// In a folder that stays, in front of whatever listens on `port`.
    pub fn within(folder: &Path, port: u16, settings: &Settings) -> Result<Config> {
        std::fs::create_dir_all(folder.join("secrets"))?;
        std::fs::write(folder.join("secrets/upstream"), settings.password.unwrap_or(PASSWORD))?;
        let tls = if settings.tls.is_some() {
            tls::write_certificate(&folder.join("secrets"))?;
            let (certificate, key) = (tls::CERTIFICATE, tls::KEY);
            format!(
                "allow_plaintext = true\ntls = {{ cert_file = \"secrets/{certificate}\", key_file = \"secrets/{key}\" }}"
            )
        } else {
            String::new()
        };
        let require_auth = settings.require_auth.map(|methods| format!("require_auth={methods}"));
        let parameters: Vec<String> = settings.tls.iter().cloned().chain(require_auth).collect();
        let parameters = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
        let lake = if settings.lake.is_empty() { "flush_interval = \"500ms\"" } else { &settings.lake };
        let text = format!(
            r#"[admin]
listen = "127.0.0.1:0"

[event_log]
path = "data/log"
{event_log}

[recording]
{recording}

[lake]
url = "file:data/lake"
catalog = "sqlite:data/catalog.db"
{lake}

[policy]
unrestricted = true

[[identity.issuers]]
name = "ci"
issuer = "https://ci.example"
audience = "hansard"
jwks_file = "keys/jwks.json"
private_key_file = "keys/private.pem"

[[targets]]
name = "ranking"
listen = "127.0.0.1:0"
upstream = "postgres://{role}@127.0.0.1:{port}{parameters}"
upstream_password_file = "secrets/upstream"
{tls}

[web]
listen = "127.0.0.1:0"

{more}
"#,
            event_log = settings.event_log,
            recording = settings.recording,
            role = settings.role.unwrap_or("app"),
            parameters = parameters,
            more = settings.more,
        );
        std::fs::write(folder.join("hansard.toml"), text)?;
        let program = own_program("hansard")?;
        let config = Config { folder: folder.to_path_buf(), program, tls: settings.tls.is_some(), _temporary: None };
        succeed(config.command("token").args(["--issuer", "ci", "--new-key"]))?;
        Ok(config)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("hansard.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The folder with the certificate that Hansard shows to jobs.
    pub fn certificate(&self) -> Option<PathBuf> {
        self.tls.then(|| self.folder.join("secrets"))
    }

    /// Another build of Hansard than the one beside us.
    pub fn use_program(&mut self, program: &Path) {
        self.program = program.to_path_buf();
    }

    /// `hansard COMMAND --config …`, still to be given arguments.
    pub fn command(&self, command: &str) -> Command {
        let mut process = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HANSARD_")) {
            process.env_remove(name);
        }
        process.arg(command).arg("--config").arg(self.file());
        process
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Result<Ended> {
        run(self.command(command).args(arguments))
    }

    /// Runs a command that must succeed.
    pub fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        succeed(self.command(command).args(arguments))
    }

    /// The rows that a reading command answers with.
    pub fn rows(&self, command: &str, arguments: &[&str]) -> Result<Vec<Value>> {
        let text = self.ask(command, &[arguments, &["--format", "json"]].concat())?;
        match serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))? {
            Value::Array(rows) => Ok(rows),
            other => bail!("not an array: {other}"),
        }
    }

    /// The rows that `hansard sql` answers with.
    pub fn sql(&self, sql: &str) -> Result<Vec<Value>> {
        self.rows("sql", &[sql])
    }

    /// A token of the issuer `ci`.
    pub fn token(&self, subject: &str) -> Result<String> {
        Ok(self.ask("token", &["--subject", subject])?.trim().to_owned())
    }

    /// Starts `hansard SERVICE` and waits until it serves.
    pub fn start(&self, service: &'static str) -> Result<Hansard> {
        self.start_with(service, |_| {})
    }

    /// Likewise, after a change to how it is started.
    pub fn start_with(&self, service: &'static str, change: impl FnOnce(&mut Command)) -> Result<Hansard> {
        let log = self.folder.join(format!("{service}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = self.command(service);
        command.stdout(file.try_clone()?).stderr(Stdio::from(file));
        change(&mut command);
        let mut running = Running::start("hansard", &mut command)?;
        let note = self.data().join("run").join(format!("{service}.json"));
        let process = u64::from(running.id());
        let mut ended = None;
        let read = || {
            ended = running.ended();
            if ended.is_some() {
                return Ok(None);
            }
            let note: Value = serde_json::from_slice(&std::fs::read(&note)?)?;
            match note["pid"].as_u64() {
                Some(id) if id == process => Ok(Some(note)),
                _ => bail!("the note in {} is a former process's", self.data().display()),
            }
        };
        let addresses = eventually("hansard serves", PATIENCE, read).with_context(|| tail(&log))?;
        match addresses {
            Some(addresses) => Ok(Hansard { running, addresses, log, certificate: self.certificate() }),
            None => bail!("hansard {service} ended with {ended:?}: {}", tail(&log)),
        }
    }
}

/// A serving process.
#[derive(Debug)]
pub struct Hansard {
    running: Running,
    addresses: Value,
    log: PathBuf,
    certificate: Option<PathBuf>,
}

impl Hansard {
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    fn address(&self, pointer: &str) -> Result<SocketAddr> {
        let text = self.addresses.pointer(pointer).and_then(Value::as_str);
        text.and_then(|text| text.parse().ok()).with_context(|| format!("no {pointer} in {}", self.addresses))
    }

    /// Where jobs connect.
    pub fn proxy(&self) -> Result<SocketAddr> {
        self.address("/targets/ranking")
    }

    pub fn admin(&self) -> Result<SocketAddr> {
        self.address("/admin")
    }

    pub fn web(&self) -> Result<SocketAddr> {
        self.address("/web")
    }

    /// What it has logged.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn kill(&mut self) -> Result<()> {
        self.running.kill()
    }

    /// SIGTERM, and its exit.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.running.stop("TERM", PATIENCE)
    }

    pub fn signal(&self, name: &str) -> Result<()> {
        self.running.signal(name)
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.running.ended()
    }

    /// A job's connection, with TLS where Hansard has it.
    pub async fn connect(&self, token: &str) -> Result<Client> {
        let Some(certificate) = &self.certificate else { return connect(self.proxy()?, token).await };
        let stream = tls::connect(self.proxy()?, certificate).await?;
        let (client, connection) = job(token).connect_raw(stream, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// A job's connection to a proxy, or to a tap in front of it.
pub async fn connect(address: SocketAddr, token: &str) -> Result<Client> {
    let mut config = job(token);
    config.host(address.ip().to_string()).port(address.port());
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn job(token: &str) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    // What is encrypted already does not ask for it.
    config.user("app").dbname(DATABASE).password(token).ssl_mode(SslMode::Disable);
    config
}

/// One HTTP request without a body, and its answer's status line and body.
pub fn get(address: SocketAddr, path: &str) -> Result<(String, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}
