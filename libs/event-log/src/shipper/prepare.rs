//! From blocks of the spool to messages for the stream.
//!
//! Small blocks of a session become one, the session's chain is carried on over its events, the payload is
//! compressed. Pure: no clock, no I/O.
//!
//! Invariants: the messages of a session, in order, hold its events in the order of the spool, each once; a block's
//! chain head is that of its last event, however the blocks were cut; no message is longer than the stream takes, unless
//! one event alone is.

use std::collections::HashMap;

use bytes::Bytes;
use hansard_schemas::events::{Block, BlockError, BlockExt, Compression, Event, Message as _, event, extend_chain};
use prost::encoding::{WireType, decode_key, decode_varint};
use uuid::Uuid;

use super::progress::{Progress, Session};
use crate::merge::{self, MERGED_PAYLOAD};
use crate::{Position, Positioned, Shard, subject};

/// Payloads shorter than this are not worth zstd's own setting up.
const COMPRESSED_FROM: u64 = 1024;

const ZSTD_LEVEL: i32 = 3;

/// One message for the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) id: String,
    pub(super) block: Bytes,
}

/// The messages of one session, in order.
pub(super) type Lane = Vec<Message>;

/// Makes messages of at most `longest` bytes of the blocks, and carries the sessions on. Sessions of blocks before
/// `opened_at` belong to a process that is gone: no more comes of them.
pub(super) fn prepare(
    shard: Shard,
    blocks: Vec<Positioned>,
    opened_at: Position,
    longest: usize,
    progress: &mut Progress,
) -> Vec<Lane> {
    let mut former = blocks;
    let own = former.split_off(former.partition_point(|found| found.next <= opened_at));
    let mut lanes = messages(shard, former, longest, progress);
    if !own.is_empty() && progress.position <= opened_at {
        progress.sessions.clear();
    }
    lanes.extend(messages(shard, own, longest, progress));
    lanes
}

fn messages(shard: Shard, blocks: Vec<Positioned>, longest: usize, progress: &mut Progress) -> Vec<Lane> {
    let mut order: Vec<(Uuid, Vec<Block>)> = Vec::new();
    let mut places: HashMap<Uuid, usize> = HashMap::new();
    for Positioned { block, next } in blocks {
        progress.position = next;
        let Ok(id) = block.session() else {
            tracing::error!(shard, position = next.0, "a block without a session id cannot be shipped");
            continue;
        };
        let session = progress.sessions.entry(id).or_insert(Session::NEW);
        if block.last_seq <= session.last_seq && block.last_event <= session.last_event {
            // Appended twice.
            continue;
        }
        session.last_seq = session.last_seq.max(block.last_seq);
        session.last_event = session.last_event.max(block.last_event);
        let place = *places.entry(id).or_insert_with(|| {
            order.push((id, Vec::new()));
            order.len() - 1
        });
        match order[place].1.last_mut() {
            Some(last) if merge::merges(last, &block) => merge::merge(last, &block),
            _ => order[place].1.push(block),
        }
    }
    let mut lanes = Vec::with_capacity(order.len());
    for (id, blocks) in order {
        let session = progress.sessions.get_mut(&id).expect("entered above");
        let mut lane = Lane::new();
        let mut ended = false;
        for block in blocks {
            match pieces(&block, session, longest) {
                Ok((blocks, last)) => {
                    ended |= last;
                    lane.extend(blocks.iter().map(|block| message(shard, id, block)));
                }
                Err(error) => {
                    // Readers make a gap of it, with this reason.
                    tracing::error!(shard, session = %id, %error, "a block of the spool cannot be opened");
                    lane.push(message(shard, id, &block));
                }
            }
        }
        if ended {
            progress.sessions.remove(&id);
        }
        lanes.push(lane);
    }
    lanes
}

fn message(shard: Shard, id: Uuid, block: &Block) -> Message {
    Message {
        subject: subject(&block.target, shard, &id),
        id: block.message_id().expect("the session id was read before"),
        block: block.encode_to_vec().into(),
    }
}

/// The block as it is published: one, or several when it is too long for one message. And whether the session ends.
fn pieces(block: &Block, session: &mut Session, longest: usize) -> Result<(Vec<Block>, bool), BlockError> {
    let opened;
    let payload = if block.compression == Compression::None as i32 && block.payload_length == block.payload.len() as u64
    {
        &block.payload
    } else {
        opened = block.open()?;
        &opened
    };
    let events = events(payload)?;
    let ended = block.first_event <= block.last_event && events.iter().any(|event| ends_session(event));
    let whole = Block { payload: Vec::new(), compression: Compression::None as i32, ..block.clone() };
    let mut head = session.head;
    let mut sealed = Vec::new();
    if payload.len() as u64 <= MERGED_PAYLOAD.max(longest as u64) {
        head = events.iter().fold(head, |head, event| extend_chain(&head, event));
        let one = seal(Block { payload: payload.clone(), ..whole.clone() }, &head)?;
        if one.encoded_len() <= longest {
            session.head = head;
            return Ok((vec![one], ended));
        }
        head = session.head;
    }
    let empty =
        Block { last_seq: whole.first_seq.saturating_sub(1), last_event: whole.first_event.saturating_sub(1), ..whole };
    let mut piece = empty;
    for event in events {
        let length = framed(event).len();
        if !piece.payload.is_empty() && piece.payload.len() + length > longest / 2 {
            let next = Block {
                first_seq: piece.last_seq + 1,
                first_event: piece.last_event + 1,
                payload: Vec::new(),
                ..piece.clone()
            };
            sealed.push(seal(std::mem::replace(&mut piece, next), &head)?);
        }
        head = extend_chain(&head, event);
        match Event::decode(event)? {
            Event { kind: Some(event::Kind::Frames(run)), .. } => {
                piece.last_seq = run.first_seq + u64::from(run.count) - 1;
            }
            other => piece.last_event = other.event_no,
        }
        piece.payload.extend_from_slice(&framed(event));
    }
    sealed.push(seal(piece, &head)?);
    session.head = head;
    Ok((sealed, ended))
}

fn seal(mut block: Block, head: &[u8; 32]) -> Result<Block, BlockError> {
    block.payload_length = block.payload.len() as u64;
    block.chain_head = head.to_vec();
    if block.payload_length >= COMPRESSED_FROM {
        block.compress(ZSTD_LEVEL)?;
    }
    Ok(block)
}

/// The encoded events of a payload.
fn events(mut payload: &[u8]) -> Result<Vec<&[u8]>, BlockError> {
    let mut events = Vec::new();
    while !payload.is_empty() {
        let field = decode_key(&mut payload)?;
        let length = decode_varint(&mut payload)?;
        let event = usize::try_from(length).ok().and_then(|length| payload.split_at_checked(length));
        match (field, event) {
            ((1, WireType::LengthDelimited), Some((event, rest))) => {
                events.push(event);
                payload = rest;
            }
            _ => return Err(BlockError::Decode(Event::decode(&[0xff][..]).expect_err("an unfinished key"))),
        }
    }
    Ok(events)
}

/// An encoded event as a field of a payload.
fn framed(event: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(event.len() + 6);
    prost::encoding::encode_key(1, WireType::LengthDelimited, &mut field);
    prost::encoding::encode_varint(event.len() as u64, &mut field);
    field.extend_from_slice(event);
    field
}

fn ends_session(event: &[u8]) -> bool {
    let last = |kind| matches!(kind, event::Kind::SessionClosed(_) | event::Kind::ProxyStopped(_));
    Event::decode(event).is_ok_and(|event| event.kind.is_some_and(last))
}

#[cfg(test)]
mod tests;
