//! What takes an answer's rows.

use std::ops::ControlFlow;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use hansard_schemas::http::QueryFormat;

use crate::Error;
use crate::format::{self, Encoder};

/// How much memory a sink holds more, in bytes; breaks when it has enough.
pub(crate) type Taken = Result<(usize, ControlFlow<()>), Error>;

/// Takes an answer's rows, on the engine's threads.
pub(crate) trait Sink: Send + 'static {
    /// Before the first row.
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Error>;

    /// The next rows.
    fn rows(&mut self, batch: RecordBatch) -> impl Future<Output = Taken> + Send;

    /// After the last row.
    fn end(&mut self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }
}

/// Rows up to a number.
#[derive(Debug, Clone, Copy)]
struct Room {
    left: usize,
    truncated: bool,
}

impl Room {
    /// What there is room for.
    fn take(&mut self, batch: RecordBatch) -> (RecordBatch, ControlFlow<()>) {
        if batch.num_rows() > self.left {
            self.truncated = true;
            return (batch.slice(0, self.left), ControlFlow::Break(()));
        }
        self.left -= batch.num_rows();
        (batch, ControlFlow::Continue(()))
    }
}

/// All rows, up to a number.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) schema: Option<SchemaRef>,
    pub(crate) batches: Vec<RecordBatch>,
    room: Room,
}

impl Collected {
    pub(crate) fn up_to(rows: usize) -> Collected {
        Collected { schema: None, batches: Vec::new(), room: Room { left: rows, truncated: false } }
    }

    /// There were more.
    pub(crate) fn truncated(&self) -> bool {
        self.room.truncated
    }
}

impl Sink for Collected {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        self.schema = Some(SchemaRef::clone(schema));
        Ok(())
    }

    async fn rows(&mut self, batch: RecordBatch) -> Taken {
        let bytes = batch.get_array_memory_size();
        let (batch, flow) = self.room.take(batch);
        self.batches.push(batch);
        Ok((bytes, flow))
    }
}

/// An answer in a format, up to a number of rows.
#[derive(Debug)]
pub(crate) struct Encoded {
    format: QueryFormat,
    encoder: Option<Encoder>,
    room: Room,
    /// What was written.
    pub(crate) bytes: Vec<u8>,
    /// Rows of it.
    pub(crate) rows: usize,
}

impl Encoded {
    pub(crate) fn up_to(rows: usize, format: QueryFormat) -> Encoded {
        let room = Room { left: rows, truncated: false };
        Encoded { format, encoder: None, room, bytes: Vec::new(), rows: 0 }
    }

    /// There were more.
    pub(crate) fn truncated(&self) -> bool {
        self.room.truncated
    }
}

impl Sink for Encoded {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Error> {
        self.encoder = Some(Encoder::new(self.format, schema)?);
        Ok(())
    }

    async fn rows(&mut self, batch: RecordBatch) -> Taken {
        let before = self.bytes.len();
        let (batch, flow) = self.room.take(batch);
        self.rows += batch.num_rows();
        if let Some(encoder) = &mut self.encoder {
            for step in format::steps(&batch) {
                encoder.rows(&step)?;
                self.bytes.append(&mut encoder.take());
                tokio::task::consume_budget().await;
            }
        }
        // A buffer that grows is copied into one of twice its size.
        Ok(((self.bytes.len() - before) * 2, flow))
    }

    async fn end(&mut self) -> Result<(), Error> {
        if let Some(encoder) = &mut self.encoder {
            encoder.end()?;
            self.bytes.append(&mut encoder.take());
        }
        Ok(())
    }
}
