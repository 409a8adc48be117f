//! Who is measured: nobody in between, others, and Hansard as it can be set.
//!
//! HAProxy and PgBouncer run as they come, but for what they need to forward. With TLS, PgBouncer and Hansard end it, and
//! HAProxy passes it on to the database.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use hansard_tests::Postgres;
use hansard_tests::hansard::{Config, Hansard, Settings};
use hansard_tests::nats::Nats;
use hansard_tests::postgres::{DATABASE, PASSWORD};
use hansard_tests::process::{Running, eventually, free_port, system_program, tail};
use hansard_tests::usage::cpu_seconds;
use tempfile::TempDir;

pub(crate) const DIRECT: &str = "direct";
pub(crate) const HAPROXY: &str = "HAProxy, TCP";
pub(crate) const PGBOUNCER: &str = "PgBouncer, session";
pub(crate) const PROXY: &str = "hansard proxy";
pub(crate) const OFF: &str = "hansard proxy, recording off";
pub(crate) const SPOOL: &str = "hansard proxy, NATS, wait_for = spool";

/// Hansard as it can be set: name, service, keys of `[recording]`, whether with NATS, whether in every load.
const OURS: [(&str, &str, &str, bool, bool); 7] = [
    (PROXY, "proxy", "", false, true),
    (OFF, "proxy", "durability = \"off\"", false, true),
    ("hansard proxy, before-reply", "proxy", "durability = \"before-reply\"", false, false),
    ("hansard proxy, async", "proxy", "durability = \"async\"", false, false),
    (SPOOL, "proxy", "wait_for = \"spool\"", true, false),
    ("hansard proxy, NATS, wait_for = stream", "proxy", "wait_for = \"stream\"", true, false),
    ("hansard up (with recorder)", "up", "", false, false),
];

/// Somebody between the client and the database, or nobody.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) password: String,
    /// Whose CPU time counts; none for a direct connection.
    processes: Vec<u32>,
    /// Measured in every load, not only in those for comparing Hansard with itself.
    pub(crate) general: bool,
}

impl Contender {
    /// User and system time of its processes, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.processes.iter().map(|&process| cpu_seconds(process)).sum()
    }
}

/// All of them, running until this is dropped.
pub(crate) struct Field {
    pub(crate) contenders: Vec<Contender>,
    _others: [Running; 2],
    _ours: Vec<Hansard>,
    _nats: Vec<Nats>,
    folder: TempDir,
}

impl Field {
    pub(crate) fn set_up(postgres: &Postgres, whole: &Path, slim: &Path) -> Result<Field> {
        let folder = tempfile::Builder::new().prefix("hansard-bench-").tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let (haproxy, haproxy_port) = haproxy(postgres, folder.path())?;
        let (pgbouncer, pgbouncer_port) = pgbouncer(postgres, folder.path())?;
        let other =
            |name, port, processes| Contender { name, port, password: PASSWORD.to_owned(), processes, general: true };
        let mut contenders = vec![
            other(DIRECT, postgres.port(), Vec::new()),
            other(HAPROXY, haproxy_port, vec![haproxy.id()]),
            other(PGBOUNCER, pgbouncer_port, vec![pgbouncer.id()]),
        ];
        let (mut ours, mut servers) = (Vec::new(), Vec::new());
        for (number, (name, service, recording, with_nats, general)) in OURS.into_iter().enumerate() {
            let mut settings = Settings {
                event_log: "max_size = \"64GiB\"".to_owned(),
                recording: recording.to_owned(),
                lake: "flush_interval = \"5s\"".to_owned(),
                tls: Some("sslmode=disable".to_owned()),
                ..Settings::default()
            };
            let mut processes = Vec::new();
            if with_nats {
                let nats = Nats::start()?;
                settings.event_log.push('\n');
                settings.event_log.push_str(&nats.event_log_of("10GiB"));
                processes.extend(nats.id());
                servers.push(nats);
            }
            let mut config =
                Config::within(&folder.path().join(format!("hansard-{number}")), postgres.port(), &settings)?;
            // A proxy alone is the program that is built for it.
            config.use_program(if service == "proxy" { slim } else { whole });
            let hansard = config.start(service)?;
            processes.push(hansard.id());
            let (port, password) = (hansard.proxy()?.port(), config.token("bench")?);
            contenders.push(Contender { name, port, password, processes, general });
            ours.push(hansard);
        }
        Ok(Field { contenders, _others: [haproxy, pgbouncer], _ours: ours, _nats: servers, folder })
    }

    /// For files that a measurement leaves.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn haproxy(postgres: &Postgres, folder: &Path) -> Result<(Running, u16)> {
    let program = system_program("haproxy", &["/usr/sbin"]).context("haproxy is not installed")?;
    let port = free_port()?;
    let file = folder.join("haproxy.cfg");
    std::fs::write(
        &file,
        format!(
            "global\n  maxconn 1000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
             listen postgres\n  bind 127.0.0.1:{port}\n  server postgres 127.0.0.1:{}\n",
            postgres.port()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file);
    Ok((listening("haproxy", &mut command, port, folder)?, port))
}

fn pgbouncer(postgres: &Postgres, folder: &Path) -> Result<(Running, u16)> {
    let program = system_program("pgbouncer", &["/usr/sbin"]).context("pgbouncer is not installed")?;
    let port = free_port()?;
    std::fs::write(folder.join("users.txt"), format!("\"app\" \"{PASSWORD}\"\n"))?;
    let file = folder.join("pgbouncer.ini");
    std::fs::write(
        &file,
        format!(
            "[databases]\n{DATABASE} = host=127.0.0.1 port={} dbname={DATABASE}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = session\n\
             max_client_conn = 200\ndefault_pool_size = 100\nclient_tls_sslmode = allow\nclient_tls_cert_file = {}\n\
             client_tls_key_file = {}\n",
            postgres.port(),
            folder.join("users.txt").display(),
            postgres.certificate().display(),
            postgres.key().display()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg(&file);
    postgres.as_owner(&mut command);
    Ok((listening("pgbouncer", &mut command, port, folder)?, port))
}

fn listening(name: &str, command: &mut Command, port: u16, folder: &Path) -> Result<Running> {
    let path = folder.join(format!("{name}.log"));
    let log = std::fs::File::create(&path)?;
    let running = Running::start(name, command.stdout(log.try_clone()?).stderr(Stdio::from(log)))?;
    eventually(name, Duration::from_secs(10), || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)?))
        .with_context(|| tail(&path))?;
    Ok(running)
}
