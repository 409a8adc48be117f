//! A throw-away PostgreSQL cluster for the life of the test process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::certificates::{Authority, Signed};

/// Password of every role that has one.
pub(crate) const PASSWORD: &str = "upstream-secret";

/// A running cluster. Roles: `postgres` (superuser, trust), `app_scram`, `app_md5`, `app_clear`, `app_trust`,
/// `app_replication` (trust); with TLS only: `app_tls` (SCRAM), `app_tls_clear`, `app_certificate`. Database `ranking`.
pub(crate) struct Cluster {
    pub(crate) port: u16,
    /// Signs the server's certificate, which is for 127.0.0.1 and no name, and those of roles.
    pub(crate) authority: Authority,
    /// Its end of the pipe holds the server up: the server stops when this process is gone, however it went.
    _keeper: Child,
}

const SCRIPT: &str = r#"
set -eu
dir=$(mktemp -d "${TMPDIR:-/tmp}/hansard-pg-XXXXXX")
trap 'rm -rf "$dir"' EXIT
# An interrupted test run ends the server as well.
trap '[ -z "${server:-}" ] || kill -INT "$server" 2>/dev/null; wait; exit 1' HUP INT TERM
"$BIN/initdb" -D "$dir/data" -U postgres --auth=trust --no-sync -E UTF8 --locale=C >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
printf '%s' "$CERTIFICATE" >"$dir/server.crt"
printf '%s' "$AUTHORITY" >"$dir/authority.crt"
(umask 077 && printf '%s' "$KEY" >"$dir/server.key")
cat >"$dir/data/pg_hba.conf" <<HBA
hostssl   all app_tls         127.0.0.1/32 scram-sha-256
hostssl   all app_tls_clear   127.0.0.1/32 password
hostssl   all app_certificate 127.0.0.1/32 cert
hostnossl all app_tls,app_tls_clear,app_certificate 127.0.0.1/32 reject
host replication app_replication 127.0.0.1/32 trust
host all app_md5   127.0.0.1/32 md5
host all app_scram 127.0.0.1/32 scram-sha-256
host all app_clear 127.0.0.1/32 password
host all all       127.0.0.1/32 trust
local all all trust
HBA
"$BIN/postgres" -D "$dir/data" -p "$PORT" -h 127.0.0.1 -k "$dir" -c fsync=off -c max_connections=700 \
  -c ssl=on -c ssl_cert_file="$dir/server.crt" -c ssl_key_file="$dir/server.key" -c ssl_ca_file="$dir/authority.crt" \
  -c shared_buffers=64MB -c unix_socket_permissions=0777 >"$dir/log" 2>&1 </dev/null &
server=$!
for i in $(seq 1 200); do
  "$BIN/pg_isready" -q -h 127.0.0.1 -p "$PORT" -U postgres && break
  kill -0 $server 2>/dev/null || { cat "$dir/log"; exit 1; }
  sleep 0.05
done
"$BIN/psql" -q -h 127.0.0.1 -p "$PORT" -U postgres -d postgres -v ON_ERROR_STOP=1 2>&1 <<SQL
CREATE ROLE app_scram LOGIN PASSWORD '$PASSWORD';
CREATE ROLE app_clear LOGIN PASSWORD '$PASSWORD';
CREATE ROLE app_trust LOGIN;
CREATE ROLE app_tls LOGIN PASSWORD '$PASSWORD';
CREATE ROLE app_tls_clear LOGIN PASSWORD '$PASSWORD';
CREATE ROLE app_certificate LOGIN;
CREATE ROLE app_replication LOGIN REPLICATION;
SET password_encryption = 'md5';
CREATE ROLE app_md5 LOGIN PASSWORD '$PASSWORD';
CREATE DATABASE ranking;
GRANT ALL ON DATABASE ranking TO PUBLIC;
\c ranking
GRANT ALL ON SCHEMA public TO PUBLIC;
CREATE TABLE rankings (id int PRIMARY KEY, score int NOT NULL);
INSERT INTO rankings SELECT i, i FROM generate_series(1, 1000) i;
GRANT ALL ON rankings TO PUBLIC;
SQL
echo ready
read -r _ || true
kill -INT $server
wait $server || true
"#;

impl Cluster {
    pub(crate) fn get() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            // The port is free when it is looked for, and may be taken a moment later.
            let mut reason = String::new();
            for _ in 0..5 {
                match start() {
                    Ok(cluster) => return cluster,
                    Err(why) => reason = why,
                }
            }
            panic!("PostgreSQL does not start: {reason}")
        })
    }
}

fn start() -> Result<Cluster, String> {
    let bin = bin();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let authority = Authority::new("test authority");
    let Signed { certificate, key } = authority.sign("server", &["127.0.0.1"]);
    let mut command = if is_root() {
        // initdb refuses root.
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.env("BIN", &bin).env("PORT", port.to_string()).env("PASSWORD", PASSWORD);
    command.env("CERTIFICATE", &certificate).env("KEY", &key).env("AUTHORITY", &authority.pem);
    let mut keeper = command
        .args(["-c", SCRIPT])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // The keeper outlives the test process by a moment and shall not hold its output open.
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell (and, for root, runuser) is needed to start PostgreSQL");
    let mut output = BufReader::new(keeper.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    if line.trim() == "ready" {
        return Ok(Cluster { port, authority, _keeper: keeper });
    }
    output.read_to_string(&mut line).unwrap();
    keeper.wait().unwrap();
    Err(line)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0).unwrap_or(false)
}

fn bin() -> String {
    let mut candidates: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    candidates.sort();
    let found = candidates.into_iter().rev().find(|bin| bin.join("initdb").exists());
    let found = found.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|bin| bin.join("initdb").exists())
    });
    found
        .expect("PostgreSQL's server programs (initdb) are needed: install the package postgresql")
        .display()
        .to_string()
}
