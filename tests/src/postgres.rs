//! A throw-away PostgreSQL cluster on a free port, with roles for each way to show a password.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::process::{Running, free_port, succeed, tail};
use crate::tls;

/// Password of all roles.
pub const PASSWORD: &str = "correct horse battery staple";
/// Roles that show it by SCRAM-SHA-256, MD5 and in clear.
pub const ROLES: [&str; 3] = ["app", "app_md5", "app_clear"];
/// The database that jobs work in.
pub const DATABASE: &str = "ranking";

/// A running cluster.
#[derive(Debug)]
pub struct Postgres {
    running: Option<Running>,
    port: u16,
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    folder: TempDir,
    settings: Vec<String>,
}

impl Postgres {
    /// Makes a cluster and starts it, with [`ROLES`] and [`DATABASE`].
    pub async fn start() -> Result<Postgres> {
        Postgres::start_on(None, &[]).await
    }

    /// Likewise, on this port where one is given, with further settings (`name=value`).
    pub async fn start_on(port: Option<u16>, settings: &[&str]) -> Result<Postgres> {
        let folder = tempfile::Builder::new().prefix("hansard-postgres-").tempdir()?;
        // The server refuses to be root, and must reach its folder as somebody else.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let owner = owner()?;
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut postgres = Postgres { running: None, port: 0, bin: bin()?, owner, folder, settings };
        let data = postgres.data();
        std::fs::create_dir(&data)?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(&data, Some(user), Some(group))?;
        }
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))?;
        succeed(
            postgres
                .program("initdb")
                .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
                .arg(&data),
        )?;
        std::fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\n\
             host all app_md5 127.0.0.1/32 md5\n\
             host all app_clear 127.0.0.1/32 password\n\
             host all all 127.0.0.1/32 scram-sha-256\n",
        )?;
        tls::write_certificate(postgres.folder.path())?;
        if let Some((user, group)) = owner {
            std::os::unix::fs::chown(postgres.key(), Some(user), Some(group))?;
        }
        postgres.serve(port).await?;
        let client = postgres.superuser("postgres").await?;
        client.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        for role in ROLES {
            let kind = if role == "app_md5" { "md5" } else { "scram-sha-256" };
            client
                .batch_execute(&format!(
                    "SET password_encryption = '{kind}'; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; \
                     GRANT ALL ON DATABASE {DATABASE} TO {role}"
                ))
                .await?;
        }
        let client = postgres.superuser(DATABASE).await?;
        client.batch_execute("GRANT ALL ON SCHEMA public TO public").await?;
        Ok(postgres)
    }

    async fn serve(&mut self, port: Option<u16>) -> Result<()> {
        for _ in 0..5 {
            self.port = port.map_or_else(free_port, Ok)?;
            let log = std::fs::File::create(self.log())?;
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k"]).arg(self.data());
            for setting in [
                "listen_addresses=127.0.0.1",
                "fsync=off",
                "full_page_writes=off",
                "max_connections=1200",
                "shared_buffers=64MB",
                "log_min_messages=fatal",
            ] {
                command.args(["-c", setting]);
            }
            for (setting, file) in [("ssl_cert_file", self.certificate()), ("ssl_key_file", self.key())] {
                command.arg("-c").arg(format!("{setting}={}", file.display()));
            }
            for setting in &self.settings {
                command.args(["-c", setting]);
            }
            command.stdout(log.try_clone()?).stderr(log);
            let mut running = Running::start("postgres", &mut command)?;
            for _ in 0..600 {
                if self.superuser("postgres").await.is_ok() {
                    self.running = Some(running);
                    return Ok(());
                }
                if running.ended().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        bail!("PostgreSQL does not start: {}", tail(&self.log()))
    }

    /// Stops the server, as if the database were down.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut running) = self.running.take() {
            running.stop("INT", Duration::from_secs(30))?;
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    /// One of PostgreSQL's programs, run as the cluster's owner.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.folder.path()).env_remove("PGDATA");
        self.as_owner(&mut command);
        command
    }

    /// One of PostgreSQL's client programs, run as ourselves.
    pub fn client_program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(variable);
        }
        command
    }

    /// Makes the tables that pgbench works on, `scale` times 100,000 rows.
    pub fn initialise_pgbench(&self, scale: u32) -> Result<()> {
        let (port, scale) = (self.port().to_string(), scale.to_string());
        let mut pgbench = self.client_program("pgbench");
        pgbench.args(["-h", "127.0.0.1", "-p", &port, "-U", "app", "-i", "-q", "-s", &scale, DATABASE]);
        succeed(pgbench.env("PGPASSWORD", PASSWORD)).map(drop)
    }

    /// Has a program run as the cluster's owner: not as root.
    pub fn as_owner(&self, command: &mut Command) {
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
    }

    /// What it shows where it is started with `ssl=on`.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join(tls::CERTIFICATE)
    }

    /// Its key, which the cluster's owner alone can read.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join(tls::KEY)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Through the local socket, past all passwords.
    pub async fn superuser(&self, database: &str) -> Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.data()).port(self.port).user("postgres").dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn bin() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    versions.sort();
    match versions.pop() {
        Some((_, bin)) => Ok(bin),
        None => bail!("PostgreSQL's server programs are not in /usr/lib/postgresql: install Debian's `postgresql`"),
    }
}

/// Whom the server runs as, where we are root.
fn owner() -> Result<Option<(u32, u32)>> {
    let probe = tempfile::tempfile()?;
    if std::os::unix::fs::MetadataExt::uid(&probe.metadata()?) != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd"))?;
    for user in ["postgres", "nobody"] {
        let line = users.lines().find(|line| line.split(':').next() == Some(user));
        if let Some(fields) = line.map(|line| line.split(':').collect::<Vec<_>>())
            && let (Some(id), Some(group)) = (fields.get(2), fields.get(3))
        {
            return Ok(Some((id.parse().context("a user's number")?, group.parse().context("a group's number")?)));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}
