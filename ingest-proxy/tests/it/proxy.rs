//! A proxy in this process, with its log, keys and tokens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hansard_event_log::{Fsync, LocalLog, LocalLogOptions};
use hansard_identity::{IdentityOptions, IssuerOptions, JobName, KeySource};
use hansard_ingest_proxy::{
    AuthMethod, Authentication, CaptureOptions, ChannelBinding, ClientCertificates, Durability, IdentitySettings,
    Options, Password, Proxy, TargetOptions, TlsOptions, UpstreamOptions,
};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::certificates::Authority;
use crate::cluster::{Cluster, PASSWORD};

pub(crate) const ISSUER: &str = "https://issuer.example";

/// A running proxy.
pub(crate) struct RunningProxy {
    pub(crate) address: SocketAddr,
    /// Of all targets.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) log: Arc<LocalLog>,
    pub(crate) folder: TempDir,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<Result<(), hansard_ingest_proxy::Error>>,
}

/// How to start one.
pub(crate) struct Plan {
    pub(crate) options: Options,
    pub(crate) shards: u16,
    pub(crate) max_bytes: u64,
    pub(crate) fsync: Fsync,
    folder: TempDir,
}

impl Plan {
    /// To the cluster's database `ranking` with SCRAM.
    pub(crate) fn new() -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let jwks_file = folder.path().join("jwks.json");
        write_keys(&jwks_file);
        let upstream = UpstreamOptions {
            host: "127.0.0.1".to_owned(),
            port: Cluster::get().port,
            user: "app_scram".to_owned(),
            password: Some(Password::new(PASSWORD)),
            password_file: None,
            password_command: None,
            database: Some("ranking".to_owned()),
            tls: None,
            channel_binding: ChannelBinding::Prefer,
            require_auth: Some(AuthMethod::ALL.to_vec()),
        };
        let options = Options {
            targets: vec![TargetOptions {
                name: "ranking".to_owned(),
                listen: "127.0.0.1:0".parse().unwrap(),
                upstream,
                tls: None,
                allow_plaintext: false,
                authentication: Authentication::Password,
                identity_settings: IdentitySettings::default(),
                replication: false,
                capture: CaptureOptions::default(),
                capture_rules: Vec::new(),
            }],
            identity: IdentityOptions {
                issuers: vec![IssuerOptions {
                    name: "ci".to_owned(),
                    issuer: ISSUER.to_owned(),
                    audience: "hansard".to_owned(),
                    keys: KeySource::File(jwks_file),
                    job: JobName::Claim("job".to_owned()),
                    groups_claim: Some("groups".to_owned()),
                    required_claims: Vec::new(),
                }],
                leeway: Duration::ZERO,
            },
            ..Options::default()
        };
        Plan { options, shards: 2, max_bytes: 1 << 34, fsync: Fsync::Interval(Duration::from_millis(50)), folder }
    }

    pub(crate) fn upstream_user(mut self, user: &str) -> Plan {
        self.options.targets[0].upstream.user = user.to_owned();
        self
    }

    pub(crate) fn durability(mut self, durability: Durability) -> Plan {
        self.options.durability = durability;
        self
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// With a certificate for 127.0.0.1 of this authority, in `job.crt` and `job.key`.
    pub(crate) fn tls(mut self, authority: &Authority) -> Plan {
        let (cert_file, key_file) = authority.sign("hansard", &["127.0.0.1"]).write(self.folder.path(), "job");
        let client_certificates = ClientCertificates::None;
        self.options.targets[0].tls =
            Some(TlsOptions { cert_file, key_file, client_ca_file: None, client_certificates });
        self
    }

    /// With TLS, and with certificates of jobs that this authority signs.
    pub(crate) fn client_certificates(self, authority: &Authority, wanted: ClientCertificates) -> Plan {
        let mut plan = self.tls(authority);
        let ca = authority.write(plan.folder(), "clients.crt");
        let tls = plan.options.targets[0].tls.as_mut().unwrap();
        (tls.client_ca_file, tls.client_certificates) = (Some(ca), wanted);
        plan
    }

    /// To the cluster as `user`, with these parameters in the URL; the cluster's authority is in `upstream-ca.crt`.
    pub(crate) fn upstream(self, user: &str, parameters: &str) -> Plan {
        let port = Cluster::get().port;
        self.upstream_at(port, user, parameters)
    }

    /// To any server on this machine, which may let Hansard in as it likes unless the parameters say how.
    pub(crate) fn upstream_at(mut self, port: u16, user: &str, parameters: &str) -> Plan {
        let authority = Cluster::get().authority.write(self.folder.path(), "upstream-ca.crt");
        let parameters = parameters.replace("CA", &authority.display().to_string());
        let url = format!("postgres://{user}:{PASSWORD}@127.0.0.1:{port}/ranking?{parameters}");
        let mut upstream: UpstreamOptions = url.parse().unwrap();
        upstream.require_auth.get_or_insert_with(|| AuthMethod::ALL.to_vec());
        self.options.targets[0].upstream = upstream;
        self
    }

    fn log(&self) -> Arc<LocalLog> {
        LocalLog::open(LocalLogOptions {
            path: self.folder.path().join("log"),
            shards: self.shards,
            fsync: self.fsync,
            segment_bytes: (self.max_bytes / 8).clamp(64 * 1024, 64 * 1024 * 1024),
            max_bytes: self.max_bytes,
        })
        .unwrap()
    }

    pub(crate) fn bind(self) -> Result<Proxy, hansard_ingest_proxy::Error> {
        let log = self.log();
        Proxy::bind(self.options, log)
    }

    pub(crate) async fn start(self) -> RunningProxy {
        let log = self.log();
        let proxy = Proxy::bind(self.options, log.clone()).unwrap();
        let addresses: Vec<_> = proxy.addresses().iter().map(|(_, address)| *address).collect();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(proxy.serve(shutdown.clone()));
        RunningProxy { address: addresses[0], addresses, log, folder: self.folder, shutdown, serving }
    }
}

impl RunningProxy {
    pub(crate) async fn start() -> RunningProxy {
        Plan::new().start().await
    }

    /// Stops the proxy and leaves the log.
    pub(crate) async fn stop(self) -> (Arc<LocalLog>, TempDir) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
        (self.log, self.folder)
    }

    pub(crate) fn jwks_file(&self) -> PathBuf {
        self.folder.path().join("jwks.json")
    }

    /// A connection string for libpq and tokio-postgres.
    pub(crate) fn dsn(&self, token: &str) -> String {
        dsn(self.address, token)
    }

    /// A client with a valid token; its connection runs in the background.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        connect(&self.dsn(&token(&claims()))).await.unwrap()
    }
}

pub(crate) fn dsn(address: SocketAddr, token: &str) -> String {
    format!("host={} port={} user=nightly dbname=ranking password={token}", address.ip(), address.port())
}

pub(crate) async fn connect(dsn: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

pub(crate) fn key(name: &str) -> EncodingKey {
    let pem = std::fs::read(format!("tests/keys/{name}.pem")).unwrap();
    match name {
        "ed25519" => EncodingKey::from_ed_pem(&pem),
        "rs256" => EncodingKey::from_rsa_pem(&pem),
        _ => EncodingKey::from_ec_pem(&pem),
    }
    .unwrap()
}

/// The public halves of the test keys, but for the stranger's.
pub(crate) fn key_set() -> JwkSet {
    let one = |name: &str, algorithm| {
        let mut jwk = Jwk::from_encoding_key(&key(name), algorithm).unwrap();
        jwk.common.key_id = Some(name.to_owned());
        jwk
    };
    JwkSet {
        keys: vec![one("es256", Algorithm::ES256), one("ed25519", Algorithm::EdDSA), one("rs256", Algorithm::RS256)],
    }
}

fn write_keys(path: &std::path::Path) {
    std::fs::write(path, serde_json::to_vec(&key_set()).unwrap()).unwrap();
}

pub(crate) fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Claims that are good for an hour.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "hansard", "sub": "service-account", "job": "nightly-rerank", "jti": "token-1",
        "groups": ["rankers", "nightly"], "exp": now() + 3600, "nbf": now() - 10,
    })
}

pub(crate) fn token(claims: &Value) -> String {
    signed(claims, Algorithm::ES256, "es256", "es256")
}

pub(crate) fn signed(claims: &Value, algorithm: Algorithm, key_id: &str, with: &str) -> String {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &key(with)).unwrap()
}
