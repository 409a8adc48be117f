//! How commands that read get their answers: from the running instance over its API where one answers, so that the
//! live tail is in them; from lake and log directly where none does. The same SQL either way.
//!
//! Invariant: the owner's token is given to nobody. The instance is asked on the socket beside its data, which nobody
//! else can have put there; who listens on a port of this machine may be anybody.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use hansard_lake::Lake;
use hansard_query::{Answer, Engine, ErrorKind};
use hansard_schemas::http::{ApiError, QueryFormat, QueryRequest, ResultGrid};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::failure::{Failure, reasons};
use crate::parts::with_config;
use crate::{output, parts, socket};

mod whole;

pub(crate) use whole::Rows;

/// Reads the record, for as long as somebody reads what comes of it.
pub(crate) fn reading(
    file: &Path,
    work: impl AsyncFnOnce(&Config, &Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    with_config(file, async |config| {
        let read = async {
            let record = Record::open(config).await?;
            work(config, &record).await
        };
        tokio::select! {
            done = read => done,
            () = output::reader_gone() => Err(Failure::reader_gone()),
        }
    })
}

/// Most rows of one result that are asked for.
const MOST_ROWS: usize = 1_000;

/// Somebody who can be asked.
pub(crate) enum Record {
    /// A running instance, asked on its socket.
    Running { socket: PathBuf },
    /// Nobody runs: the files themselves.
    Files(Box<Engine>),
}

impl Record {
    /// The running instance, or else the files.
    pub(crate) async fn open(config: &Config) -> Result<Record, Failure> {
        if let Some(socket) = socket::find(config).await {
            return Ok(Record::Running { socket });
        }
        let lake = Lake::open_read_only(&parts::lake_options(config))
            .map_err(|error| Failure::usage(format!("nothing answers on this machine, and {}", reasons(&error))))?;
        let log = match parts::log_reader(config).await {
            Ok((log, _)) => Some(log),
            Err(failure) => {
                output::note(&format!(
                    "the event log cannot be read, so what is not in the lake yet is missing ({failure})"
                ));
                None
            }
        };
        let engine = Engine::new(Arc::new(lake), log, parts::engine_options(config));
        Ok(Record::Files(Box::new(engine)))
    }

    /// Asks in SQL, for an answer that is shown: it ends at the row limit, and says so.
    pub(crate) async fn sql(&self, sql: &str) -> Result<Answer, Failure> {
        match self {
            Record::Files(engine) => engine.sql(sql).await.map_err(failed),
            Record::Running { socket } => over_http(socket, sql).await,
        }
    }

    /// Asks in SQL, for all of the answer, as it comes.
    pub(crate) async fn whole(&self, sql: &str) -> Result<Rows, Failure> {
        match self {
            Record::Files(engine) => Rows::of_engine(engine, sql).await,
            Record::Running { socket } => {
                let (request, body) = question(sql, "?whole=true")?;
                Rows::of_answer(begin(socket, request, body).await?, socket).await
            }
        }
    }

    /// Likewise, at once: of a question that limits its rows itself.
    pub(crate) async fn all(&self, sql: &str) -> Result<Answer, Failure> {
        let began = std::time::Instant::now();
        let mut rows = self.whole(sql).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok(Answer { schema: rows.schema, batches, truncated: false, elapsed: began.elapsed() })
    }

    /// What a statement gave back, at most so many rows of it.
    pub(crate) async fn result(&self, session_id: &str, statement_no: i64, rows: usize) -> Result<ResultGrid, Failure> {
        let rows = rows.min(MOST_ROWS);
        match self {
            Record::Files(engine) => {
                let id = uuid::Uuid::try_parse(session_id).map_err(Failure::internal)?;
                engine.step_result(id, statement_no, 1, rows).await.map_err(failed)
            }
            Record::Running { socket } => {
                let path = format!("/api/v1/sessions/{session_id}/steps/{statement_no}/result?rows={rows}");
                let (_, body) = exchange(socket, hyper::Request::get(path), Bytes::new()).await?;
                serde_json::from_slice(&body)
                    .map_err(|error| lost(socket, &format!("its answer cannot be read: {error}")))
            }
        }
    }
}

fn failed(error: hansard_query::Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::finding(error),
        ErrorKind::Internal => Failure::internal(reasons(&error)),
        _ => Failure::usage(reasons(&error)),
    }
}

/// Asks in SQL, over the socket.
async fn over_http(socket: &Path, sql: &str) -> Result<Answer, Failure> {
    let began = std::time::Instant::now();
    let (request, body) = question(sql, "")?;
    let (headers, body) = exchange(socket, request, body).await?;
    let truncated = headers.get("hansard-truncated").is_some_and(|value| value == "true");
    let unreadable = |error: arrow::error::ArrowError| lost(socket, &format!("its answer cannot be read: {error}"));
    let reader = StreamReader::try_new(Cursor::new(body), None).map_err(unreadable)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    Ok(Answer { schema, batches, truncated, elapsed: began.elapsed() })
}

/// A question as a request.
fn question(sql: &str, parameters: &str) -> Result<(hyper::http::request::Builder, Bytes), Failure> {
    let question = QueryRequest { sql: sql.to_owned(), format: QueryFormat::Arrow };
    let body = serde_json::to_vec(&question).map_err(Failure::internal)?;
    let request = hyper::Request::post(format!("/api/v1/query{parameters}"));
    Ok((request.header(header::CONTENT_TYPE, "application/json"), Bytes::from(body)))
}

fn lost(socket: &Path, reason: &str) -> Failure {
    Failure::usage(format!("the instance on {} does not answer: {reason}", socket.display()))
}

/// An answer that has begun.
struct Begun {
    headers: hyper::HeaderMap,
    body: Incoming,
    /// It ends with this, so that the instance knows that nobody waits for the answer.
    _connection: JoinSet<Result<(), hyper::Error>>,
}

/// A request and the body of its answer, where that is a success.
async fn exchange(
    socket: &Path,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> Result<(hyper::HeaderMap, Bytes), Failure> {
    let Begun { headers, body, _connection } = begin(socket, request, body).await?;
    let body = body.collect().await.map_err(|error| lost(socket, &error.to_string()))?.to_bytes();
    Ok((headers, body))
}

/// A request, and its answer's beginning, where that is a success.
async fn begin(socket: &Path, request: hyper::http::request::Builder, body: Bytes) -> Result<Begun, Failure> {
    let lost = |reason: String| lost(socket, &reason);
    let stream = socket::connect(socket).await.ok_or_else(|| lost("it is gone".to_owned()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(error.to_string()))?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let request =
        request.header(header::HOST, "localhost").body(Full::new(body)).map_err(|error| lost(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.into_body();
    if !status.is_success() {
        let body = body.collect().await.map_err(|error| lost(error.to_string()))?.to_bytes();
        return Err(refused(status, &body, socket));
    }
    Ok(Begun { headers, body, _connection: connections })
}

fn refused(status: hyper::StatusCode, body: &[u8], socket: &Path) -> Failure {
    match serde_json::from_slice::<ApiError>(body) {
        Ok(ApiError { error }) => {
            let hint = error.hint.map(|hint| format!(" {hint}")).unwrap_or_default();
            match error.code.as_str() {
                "not_found" => Failure::finding(error.message + &hint),
                "internal" => Failure::internal(error.message + &hint),
                _ => Failure::usage(error.message + &hint),
            }
        }
        Err(_) => Failure::usage(format!("{} answers {status}, and is no instance of Hansard", socket.display())),
    }
}
