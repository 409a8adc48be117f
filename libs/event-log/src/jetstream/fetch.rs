//! Reading many messages with one request: JetStream's direct get in batches (NATS ADR-31; server 2.11 and later).
//!
//! It needs no consumer, so readers at many places cost the server nothing while they rest.
//!
//! Invariant: the messages returned are consecutive for their filter. A message that got lost on the way is an error.

use async_nats::{Client, HeaderMap, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;

use super::{REQUEST, unavailable};
use crate::Error;

/// Most messages in one answer.
const MESSAGES: usize = 512;

/// Most bytes in one answer, whatever was asked for.
const BYTES: usize = 8 * 1024 * 1024;

/// The messages of `stream` under `filter` behind the sequence `from`, about `max_bytes` of them, at least one where
/// there is one.
pub(super) async fn fetch(
    client: &Client,
    stream: &str,
    filter: &str,
    from: u64,
    max_bytes: usize,
) -> Result<Vec<(u64, Bytes)>, Error> {
    let found = ask(client, stream, filter, from, MESSAGES, max_bytes.clamp(1, BYTES)).await?;
    match found {
        // More bytes than were asked for, in the first message.
        Some(found) if found.is_empty() => Ok(ask(client, stream, filter, from, 1, BYTES).await?.unwrap_or_default()),
        Some(found) => Ok(found),
        None => Ok(Vec::new()),
    }
}

/// None where there is no message.
async fn ask(
    client: &Client,
    stream: &str,
    filter: &str,
    from: u64,
    messages: usize,
    bytes: usize,
) -> Result<Option<Vec<(u64, Bytes)>>, Error> {
    let request = serde_json::json!({
        "seq": from + 1, "next_by_subj": filter, "batch": messages, "max_bytes": bytes,
    });
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|e| unavailable("read the stream", &e))?;
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    let sent = client.publish_with_reply(subject, inbox, request.to_string().into()).await;
    sent.map_err(|e| unavailable("read the stream", &e))?;
    let mut found: Vec<(u64, Bytes)> = Vec::new();
    loop {
        let answer = match timeout(REQUEST, answers.next()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(Error::Unavailable("the connection to NATS was closed".to_owned())),
            Err(_) => return Err(Error::Unavailable("the stream did not answer in time".to_owned())),
        };
        let headers = answer.headers.unwrap_or_default();
        let before = found.last().map_or(0, |(sequence, _)| *sequence);
        match answer.status {
            None | Some(StatusCode::OK) => {
                let (Some(sequence), Some(last)) =
                    (number(&headers, "Nats-Sequence"), number(&headers, "Nats-Last-Sequence"))
                else {
                    return Err(Error::Incompatible(
                        "the NATS server does not answer reads in batches; it has to be 2.11 or later".to_owned(),
                    ));
                };
                if last != before {
                    return Err(lost());
                }
                found.push((sequence, answer.payload));
            }
            Some(StatusCode::NOT_FOUND) => return Ok(None),
            Some(status) if status.as_u16() == 204 => {
                let whole = found.is_empty() || number(&headers, "Nats-Last-Sequence") == Some(before);
                return if whole { Ok(Some(found)) } else { Err(lost()) };
            }
            Some(StatusCode::NO_RESPONDERS) => {
                return Err(Error::Unavailable("NATS is there, but the stream does not answer".to_owned()));
            }
            Some(status) => {
                let text = answer.description.unwrap_or_default();
                return Err(Error::Unavailable(format!("the stream answered a read with {status} {text}")));
            }
        }
    }
}

fn lost() -> Error {
    Error::Unavailable("an answer of the stream got lost on the way".to_owned())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.as_str().parse().ok()
}
