//! Sealing and opening blocks.

use std::io::Read;

use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use sha2::{Digest, Sha256};

use super::{Block, Compression, Event, Payload};

/// Longest payload of a block before compression, in bytes. Producers cut at 256 KiB; the rest is headroom for
/// one event that is longer by itself.
pub const MAX_PAYLOAD: u64 = 4 * 1024 * 1024;

/// Most events in the payload of a block. A payload of 256 KiB has room for a third of it.
pub const MAX_EVENTS: usize = 65_536;

/// Largest zstd window, as a power of two: that of [`MAX_PAYLOAD`].
const WINDOW_LOG: u32 = 22;

/// Head of a session's hash chain.
pub type ChainHead = [u8; 32];

/// The chain head before a session's first event.
pub const CHAIN_START: ChainHead = [0; 32];

/// Why a block could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The session id is not 16 bytes.
    #[error("block has a session id of {0} bytes, not 16")]
    SessionId(usize),
    /// The payload claims, or turned out, to be longer than [`MAX_PAYLOAD`].
    #[error("block payload of {0} bytes is longer than the {MAX_PAYLOAD} allowed")]
    TooLong(u64),
    /// The payload is not as long as the block says.
    #[error("block payload is {actual} bytes long, its header says {stated}")]
    Length {
        /// Bytes found.
        actual: u64,
        /// Bytes stated.
        stated: u64,
    },
    /// A compression this version does not know.
    #[error("block payload has the unknown compression {0}")]
    Compression(i32),
    /// The payload has more than [`MAX_EVENTS`] events.
    #[error("block payload has more than the {MAX_EVENTS} events allowed")]
    TooManyEvents,
    /// zstd failed on the payload.
    #[error("block payload does not pass zstd")]
    Zstd(#[source] std::io::Error),
    /// Not protobuf, or not this message.
    #[error("block does not decode")]
    Decode(#[from] prost::DecodeError),
}

/// What can be done with a [`Block`].
pub trait BlockExt: Sized {
    /// The session's id.
    fn session(&self) -> Result<uuid::Uuid, BlockError>;
    /// The payload's bytes, decompressed, never more than [`MAX_PAYLOAD`].
    fn open(&self) -> Result<Vec<u8>, BlockError>;
    /// The events, in order; never more than [`MAX_EVENTS`].
    fn events(&self) -> Result<Vec<Event>, BlockError>;
    /// Replaces the payload by its zstd form at `level`; a block that is compressed already stays as it is.
    fn compress(&mut self, level: i32) -> Result<(), BlockError>;
    /// The message id for the event log's own duplicate window; equal exactly for equal ranges of one session.
    fn message_id(&self) -> Result<String, BlockError>;
}

impl BlockExt for Block {
    fn session(&self) -> Result<uuid::Uuid, BlockError> {
        uuid::Uuid::from_slice(&self.session_id).map_err(|_| BlockError::SessionId(self.session_id.len()))
    }

    fn open(&self) -> Result<Vec<u8>, BlockError> {
        if self.payload_length > MAX_PAYLOAD {
            return Err(BlockError::TooLong(self.payload_length));
        }
        let payload = match Compression::try_from(self.compression) {
            Ok(Compression::None) => self.payload.clone(),
            Ok(Compression::Zstd) => {
                let mut out = Vec::new();
                zstd::stream::read::Decoder::new(&self.payload[..])
                    .and_then(|mut decoder| {
                        // Else a header of a few bytes has 128 MiB set aside.
                        decoder.window_log_max(WINDOW_LOG)?;
                        decoder.take(self.payload_length + 1).read_to_end(&mut out)
                    })
                    .map_err(BlockError::Zstd)?;
                out
            }
            Err(_) => return Err(BlockError::Compression(self.compression)),
        };
        let actual = payload.len() as u64;
        if actual != self.payload_length {
            return Err(BlockError::Length { actual, stated: self.payload_length });
        }
        Ok(payload)
    }

    fn events(&self) -> Result<Vec<Event>, BlockError> {
        let payload = self.open()?;
        if count_fields(&payload, MAX_EVENTS)? > MAX_EVENTS {
            return Err(BlockError::TooManyEvents);
        }
        Ok(Payload::decode(&payload[..])?.events)
    }

    fn compress(&mut self, level: i32) -> Result<(), BlockError> {
        if self.compression() == Compression::None {
            self.payload = zstd::bulk::compress(&self.payload, level).map_err(BlockError::Zstd)?;
            self.compression = Compression::Zstd as i32;
        }
        Ok(())
    }

    fn message_id(&self) -> Result<String, BlockError> {
        let session = self.session()?;
        let Block { first_seq, last_seq, first_event, last_event, .. } = self;
        Ok(format!("{session}:{first_seq}-{last_seq}:{first_event}-{last_event}"))
    }
}

/// Counts the fields of a message, at most to one more than `limit`.
fn count_fields(mut message: &[u8], limit: usize) -> Result<usize, prost::DecodeError> {
    let mut fields = 0;
    while !message.is_empty() && fields <= limit {
        let (tag, wire_type) = decode_key(&mut message)?;
        skip_field(wire_type, tag, &mut message, DecodeContext::default())?;
        fields += 1;
    }
    Ok(fields)
}

/// The chain head after `event`: `SHA-256(head || encoded event)`.
pub fn extend_chain(head: &ChainHead, encoded_event: &[u8]) -> ChainHead {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update(encoded_event);
    hash.finalize().into()
}
