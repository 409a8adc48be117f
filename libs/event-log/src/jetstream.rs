//! The event log in a NATS JetStream stream.
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Error, Shard};

/// How to reach and shape the stream.
#[derive(Debug, Clone)]
pub struct JetStreamOptions {
    /// `nats://` or `tls://` addresses of the servers.
    pub servers: Vec<String>,
    /// NATS credentials file (`.creds`).
    pub credentials_file: Option<PathBuf>,
    /// Name of the stream.
    pub stream: String,
    /// Copies of the stream in the cluster.
    pub replicas: usize,
    /// Number of shards; fixed when the stream is created.
    pub shards: Shard,
    /// Most bytes that the stream may hold; above that, [`Error::Full`].
    pub max_bytes: u64,
}

impl Default for JetStreamOptions {
    fn default() -> Self {
        JetStreamOptions {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            credentials_file: None,
            stream: "HANSARD".to_owned(),
            replicas: 1,
            shards: 8,
            max_bytes: 16 << 30,
        }
    }
}

/// The event log in a JetStream stream.
#[derive(Debug)]
pub struct JetStreamLog {}

impl JetStreamLog {
    /// Connects, and creates or updates the stream.
    pub async fn connect(_options: JetStreamOptions) -> Result<Arc<JetStreamLog>, Error> {
        Err(Error::Unavailable("not yet".into()))
    }
}
