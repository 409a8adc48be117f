//! Answers that are whole, however long: they leave as they come, and are held nowhere.
//!
//! Invariants: an export obeys no row limit. It ends with its last row or with an error, and whoever reads it can tell
//! which: after an error no end of the format is written.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::common::ScalarValue;
use hansard_schemas::http::QueryFormat;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::Asked;
use crate::format::{self, Encoder};
use crate::lanes::{Asker, Running, Weight};
use crate::sink::{Sink, Taken};
use crate::{Engine, Error};

/// Pieces that wait to be taken; one is some MiB at most.
const AHEAD: usize = 2;

/// How long a piece waits to be taken. Whoever takes nothing for so long keeps others from their answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer on its way.
pub struct Export {
    first: Option<Piece>,
    pieces: mpsc::Receiver<Piece>,
    running: Option<Running<Result<Option<Piped>, Error>>>,
    until: Instant,
    limit: Duration,
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Bytes of the format that was asked for.
    Bytes(Bytes),
    /// What the columns are, of an answer in batches: its first piece.
    Schema(SchemaRef),
    /// Rows, of an answer in batches.
    Rows(RecordBatch),
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Export {
    /// The next piece; `None` after the last one. After an error there are none.
    pub async fn next(&mut self) -> Option<Result<Piece, Error>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let running = self.running.take()?;
        match tokio::time::timeout_at(self.until, self.pieces.recv()).await {
            Ok(Some(piece)) => {
                self.running = Some(running);
                Some(Ok(piece))
            }
            Ok(None) => match running.done().await.and_then(|done| done) {
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            },
            Err(_) => Some(Err(Error::Timeout { limit: self.limit, setting: "query.export_timeout" })),
        }
    }
}

impl Engine {
    /// The whole answer to one statement that reads, in a format. It waits for the first piece, so that an error before
    /// it is told here.
    pub async fn export(&self, sql: &str, format: QueryFormat) -> Result<Export, Error> {
        self.exported(Asked { asker: Asker::Somebody, sql: sql.to_owned(), values: Vec::new() }, Some(format)).await
    }

    /// Likewise, as batches of rows.
    pub async fn batches(&self, sql: &str) -> Result<Export, Error> {
        self.exported(Asked { asker: Asker::Somebody, sql: sql.to_owned(), values: Vec::new() }, None).await
    }

    /// As [`Engine::export`], with values for `$1`, `$2`, ...
    pub(crate) async fn export_of(
        &self,
        sql: String,
        values: Vec<ScalarValue>,
        format: QueryFormat,
    ) -> Result<Export, Error> {
        self.exported(Asked { asker: Asker::Somebody, sql, values }, Some(format)).await
    }

    async fn exported(&self, asked: Asked, format: Option<QueryFormat>) -> Result<Export, Error> {
        let began = Instant::now();
        let limit = self.options().timeout;
        let first = tokio::time::timeout(limit, self.begun(asked, format, began)).await;
        let outcome = first.unwrap_or(Err(Error::Timeout { limit, setting: "query.timeout" }));
        crate::engine::count(&outcome, began);
        outcome
    }

    async fn begun(&self, asked: Asked, format: Option<QueryFormat>, began: Instant) -> Result<Export, Error> {
        let limit = self.options().export_timeout;
        let mut weight = Weight::Small;
        loop {
            let (taker, mut pieces) = mpsc::channel(AHEAD);
            let sink = move || Piped { format, encoder: None, taker: Some(taker.clone()) };
            let running = self
                .start(&asked, weight, began + crate::engine::places(self.options().timeout), Arc::new(sink))
                .await?;
            let first = pieces.recv().await;
            if first.is_none() {
                match running.done().await?? {
                    Some(_) => return Err(Error::Internal("an answer without a beginning".to_owned())),
                    None => weight = Weight::Heavy,
                }
                continue;
            }
            return Ok(Export { first, pieces, running: Some(running), until: began + limit, limit });
        }
    }
}

/// Gives an answer on in pieces.
pub(crate) struct Piped {
    format: Option<QueryFormat>,
    encoder: Option<Encoder>,
    /// None after the end: then nothing more can come.
    taker: Option<mpsc::Sender<Piece>>,
}

impl Piped {
    async fn give(&mut self, piece: Piece) -> Result<(), Error> {
        let Some(taker) = &self.taker else { return Err(Error::GivenUp) };
        match tokio::time::timeout(PATIENCE, taker.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            // Nobody reads on, or nobody is there.
            Ok(Err(_)) => Err(Error::GivenUp),
            Err(_) => Err(Error::NotTaken { patience: PATIENCE }),
        }
    }

    async fn written(&mut self) -> Result<(), Error> {
        let bytes = self.encoder.as_mut().map(Encoder::take).unwrap_or_default();
        if bytes.is_empty() { Ok(()) } else { self.give(Piece::Bytes(bytes.into())).await }
    }
}

impl Sink for Piped {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        match self.format {
            Some(format) => self.encoder = Some(Encoder::new(format, schema)?),
            // There is room for it: it is the first.
            None => drop(self.taker.as_ref().map(|taker| taker.try_send(Piece::Schema(Arc::clone(schema))))),
        }
        Ok(())
    }

    async fn rows(&mut self, batch: RecordBatch) -> Taken {
        if self.encoder.is_none() {
            self.give(Piece::Rows(batch)).await?;
            return Ok((0, ControlFlow::Continue(())));
        }
        for step in format::steps(&batch) {
            if let Some(encoder) = &mut self.encoder {
                encoder.rows(&step)?;
            }
            self.written().await?;
        }
        Ok((0, ControlFlow::Continue(())))
    }

    async fn end(&mut self) -> Result<(), Error> {
        if let Some(encoder) = &mut self.encoder {
            encoder.end()?;
        }
        self.written().await?;
        self.taker = None;
        Ok(())
    }
}
