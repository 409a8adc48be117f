//! Whole answers, as they come, whatever the row limit is.
//!
//! Invariants: an answer that does not come to its end ends with a failure, never as if it had; what has come and waits to
//! be taken is bounded.

use std::path::Path;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use hansard_query::{Engine, Piece, format};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Begun, failed, lost};
use crate::failure::Failure;
use crate::socket;

/// For an instance to show that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Batches that are read ahead of whoever takes them; one is about a MiB. So somebody may read the beginning of a not too
/// long answer in a pager, while whoever gives it waits for nobody.
const AHEAD: usize = 64;

/// The rows of an answer.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    batches: mpsc::Receiver<Result<Piece, Failure>>,
    taken: usize,
    /// Ends with it.
    _work: JoinSet<()>,
}

type Give = mpsc::Sender<Result<Piece, Failure>>;

impl Rows {
    /// Waits for the columns, so that what cannot begin fails here.
    async fn of<W: Future<Output = Result<(), Failure>> + Send + 'static>(
        work: impl FnOnce(Give) -> W,
    ) -> Result<Rows, Failure> {
        let (give, mut batches) = mpsc::channel(AHEAD);
        let work = work(give.clone());
        let mut works = JoinSet::new();
        works.spawn(async move {
            if let Err(failure) = work.await {
                // Nobody takes it where nobody reads on.
                let _ = give.send(Err(failure)).await;
            }
        });
        match batches.recv().await {
            Some(Ok(Piece::Schema(schema))) => Ok(Rows { schema, batches, taken: 0, _work: works }),
            Some(Err(failure)) => Err(failure),
            Some(Ok(_)) | None => Err(Failure::internal("an answer has no columns")),
        }
    }

    pub(super) async fn of_engine(engine: &Engine, sql: &str) -> Result<Rows, Failure> {
        let mut export = engine.batches(sql).await.map_err(failed)?;
        Rows::of(async move |give| {
            while let Some(piece) = export.next().await {
                match piece.map_err(failed)? {
                    Piece::Rows(batch) => {
                        for step in format::steps(&batch) {
                            given(&give, Piece::Rows(step)).await?;
                        }
                    }
                    piece => given(&give, piece).await?,
                }
            }
            Ok(())
        })
        .await
    }

    /// An answer over HTTP, as an Arrow IPC stream.
    pub(super) async fn of_answer(begun: Begun, socket: &Path) -> Result<Rows, Failure> {
        let socket = socket.to_path_buf();
        Rows::of(async move |give| {
            let Begun { mut body, _connection, .. } = begun;
            let unreadable = |error: ArrowError| lost(&socket, &format!("its answer cannot be read: {error}"));
            let mut decoder = StreamDecoder::new();
            let mut known = false;
            while let Some(frame) = body.frame().await {
                let frame = match frame {
                    Ok(frame) => frame,
                    Err(_) => return Err(broken_off(&socket).await),
                };
                let Ok(data) = frame.into_data() else { continue };
                let mut data = Buffer::from(data);
                loop {
                    let batch = decoder.decode(&mut data).map_err(unreadable)?;
                    if let (false, Some(schema)) = (known, decoder.schema()) {
                        known = true;
                        given(&give, Piece::Schema(schema)).await?;
                    }
                    match batch {
                        Some(batch) => given(&give, Piece::Rows(batch)).await?,
                        None => break,
                    }
                }
            }
            decoder.finish().map_err(unreadable)
        })
        .await
    }

    /// The next rows; `None` after the last ones.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match self.batches.recv().await {
            Some(Ok(Piece::Rows(batch))) => {
                self.taken += batch.num_rows();
                Ok(Some(batch))
            }
            Some(Ok(_)) => Err(Failure::internal("an answer's rows are none")),
            Some(Err(failure)) => Err(failure.after(&format!("the answer broke off after {} rows", self.taken))),
            None => Ok(None),
        }
    }

    /// How many were taken so far.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

/// Whether the instance gave its answer up, or is not there any more: then its log has no line on it. One that was killed may
/// still take connections for a moment, and answers none.
async fn broken_off(socket: &Path) -> Failure {
    let which = socket.display();
    let answers = async {
        let Some(mut stream) = socket::connect(socket).await else { return false };
        let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        asked.is_ok() && stream.read(&mut [0; 16]).await.is_ok_and(|read| read > 0)
    };
    if tokio::time::timeout(PATIENCE, answers).await.unwrap_or(false) {
        return Failure::finding(format!(
            "the instance on {which} broke its answer off; its log says why (\"an export broke off\")"
        ));
    }
    Failure::finding(format!("the instance on {which} ended before its answer did"))
}

async fn given(give: &Give, piece: Piece) -> Result<(), Failure> {
    give.send(Ok(piece)).await.map_err(|_| Failure::reader_gone())
}
