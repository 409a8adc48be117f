//! Making the two streams, and telling ours from others.
//!
//! Invariant: of a stream that exists, only limits and copies are changed; the number of shards is what it was made with.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};

use super::{JetStreamOptions, unavailable};
use crate::{Error, Shard};

/// How long the stream remembers message ids.
const DUPLICATES: Duration = Duration::from_secs(120);

const SHARDS: &str = "hansard-shards";

/// The subject of a shard's trim mark.
pub(super) fn mark_subject(stream: &str, shard: Shard) -> String {
    format!("hansard.trimmed.{stream}.{shard}")
}

/// Opens or makes the streams: of blocks, of trim marks; and the position before the first block ever.
pub(super) async fn open(api: &Context, options: &JetStreamOptions) -> Result<(Stream<()>, Stream<()>, u64), Error> {
    let name = &options.stream;
    let max_bytes = i64::try_from(options.max_bytes).unwrap_or(i64::MAX);
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let blocks = Config {
        name: name.clone(),
        description: Some("Hansard: recorded sessions, on their way to the lake".to_owned()),
        subjects: vec!["hansard.v1.>".to_owned()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes,
        num_replicas: options.replicas,
        duplicate_window: DUPLICATES,
        allow_direct: true,
        // A stream made anew begins behind all positions of a former one of this name (a million a second).
        first_sequence: Some(seconds << 20),
        metadata: [(SHARDS.to_owned(), options.shards.to_string())].into(),
        ..Config::default()
    };
    let marks = Config {
        name: format!("{name}_TRIMMED"),
        description: Some(format!("Hansard: how far each shard of {name} was trimmed")),
        subjects: vec![format!("hansard.trimmed.{name}.*")],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        max_messages_per_subject: 1,
        max_bytes: 1 << 20,
        num_replicas: options.replicas,
        allow_direct: true,
        ..Config::default()
    };
    let found = open_one(api, blocks).await?;
    match found.metadata.get(SHARDS) {
        Some(shards) if *shards == options.shards.to_string() => {}
        Some(shards) => {
            return Err(Error::Incompatible(format!(
                "the stream {name} was made with {shards} shards, not {}; say {shards}, or use another stream",
                options.shards
            )));
        }
        None => {
            return Err(Error::Incompatible(format!("the stream {name} was not made by Hansard; use another name")));
        }
    }
    if !found.subjects.iter().any(|subject| subject == "hansard.v1.>") || found.discard != DiscardPolicy::New {
        return Err(Error::Incompatible(format!(
            "the stream {name} was changed: it must take hansard.v1.> and, when full, refuse new messages"
        )));
    }
    open_one(api, marks.clone()).await?;
    let origin = found.first_sequence.unwrap_or(1).saturating_sub(1);
    let handle = |name: &str| {
        let name = name.to_owned();
        async move { api.get_stream_no_info(name).await.map_err(|e| unavailable("use the stream", &e)) }
    };
    Ok((handle(name).await?, handle(&marks.name).await?, origin))
}

/// Opens a stream or makes it as wanted; brings its limits and copies up to date. Returns its configuration.
pub(crate) async fn open_one(api: &Context, wanted: Config) -> Result<Config, Error> {
    let name = wanted.name.clone();
    let refused = |verb: &str, error: &dyn std::error::Error| {
        Error::Unavailable(format!("cannot {verb} the stream {name}: {error}"))
    };
    let mut tries = 0;
    let found = loop {
        match api.get_stream(&name).await {
            Ok(stream) => break stream.cached_info().config.clone(),
            Err(e) => match e.kind() {
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                GetStreamErrorKind::Request => {
                    return Err(refused("find", &e));
                }
                _ => return Err(refused("open", &e)),
            },
        }
        match api.create_stream(wanted.clone()).await {
            Ok(stream) => break stream.cached_info().config.clone(),
            // Made by another process at the same moment, a little differently.
            Err(e) if tries < 3 && made_already(&e.kind()) => tries += 1,
            Err(e) => return Err(refused("make", &e)),
        }
    };
    let limits = |config: &Config| (config.max_bytes, config.num_replicas);
    if found.metadata.contains_key(SHARDS) == wanted.metadata.contains_key(SHARDS) && limits(&found) != limits(&wanted)
    {
        let (max_bytes, num_replicas) = limits(&wanted);
        let updated = Config { max_bytes, num_replicas, ..found };
        return match api.update_stream(updated).await {
            Ok(info) => Ok(info.config),
            Err(e) => Err(refused("update", &e)),
        };
    }
    Ok(found)
}

fn made_already(error: &CreateStreamErrorKind) -> bool {
    matches!(error, CreateStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NAME_EXIST)
}
