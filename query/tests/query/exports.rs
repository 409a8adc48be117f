//! Exports are whole, whatever the row limit, or fail so that it shows.

use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use hansard_query::{EngineOptions, ErrorKind, Piece};
use hansard_schemas::http::QueryFormat;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bulk;
use crate::fixture::{Fixture, whole};

const ROWS: usize = 3 * 20_000;

async fn recorded() -> Fixture {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 3, 20_000).await;
    fixture
}

fn options() -> EngineOptions {
    EngineOptions { target_partitions: 2, row_limit: 100, ..EngineOptions::default() }
}

#[tokio::test]
async fn an_export_obeys_no_row_limit() {
    let fixture = recorded().await;
    let engine = fixture.engine_with(options());
    let sql = "SELECT * FROM statements";
    let json = whole(engine.export(sql, QueryFormat::Json).await.unwrap()).await.unwrap();
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&json).unwrap().len(), ROWS);
    let csv = whole(engine.export(sql, QueryFormat::Csv).await.unwrap()).await.unwrap();
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), ROWS + 1);
    let parquet = whole(engine.export(sql, QueryFormat::Parquet).await.unwrap()).await.unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).unwrap().build().unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), ROWS);
    let arrow = whole(engine.export(sql, QueryFormat::Arrow).await.unwrap()).await.unwrap();
    let reader = StreamReader::try_new(&arrow[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), ROWS);

    let mut batches = engine.batches(sql).await.unwrap();
    assert!(matches!(batches.next().await, Some(Ok(Piece::Schema(_)))));
    let mut rows = 0;
    while let Some(piece) = batches.next().await {
        let Piece::Rows(batch) = piece.unwrap() else { panic!("one schema, and then rows") };
        rows += batch.num_rows();
    }
    assert_eq!(rows, ROWS);

    // What is shown obeys it, and says so.
    let shown = engine.formatted(sql, QueryFormat::Csv).await.unwrap();
    assert_eq!((shown.rows, shown.truncated), (100, true));
    assert_eq!(shown.bytes.iter().filter(|byte| **byte == b'\n').count(), 101);
}

#[tokio::test]
async fn an_empty_export_is_a_file_of_its_format() {
    let fixture = recorded().await;
    let engine = fixture.engine_with(options());
    let sql = "SELECT job FROM statements WHERE job = 'nobody'";
    assert_eq!(whole(engine.export(sql, QueryFormat::Json).await.unwrap()).await.unwrap(), b"[]\n");
    assert_eq!(whole(engine.export(sql, QueryFormat::Csv).await.unwrap()).await.unwrap(), b"\"job\"\r\n");
    let parquet = whole(engine.export(sql, QueryFormat::Parquet).await.unwrap()).await.unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

/// Its last rows cannot be computed.
const BREAKS: &str = "SELECT 1 / (20000 - statement_no) AS n, sql FROM statements";

#[tokio::test]
async fn an_export_that_breaks_does_not_look_whole() {
    let fixture = recorded().await;
    let engine = fixture.engine_with(options());
    for format in QueryFormat::ALL {
        let mut export = match engine.export(BREAKS, format).await {
            Ok(export) => export,
            // Of a Parquet file nothing is written before much of it is known.
            Err(error) => {
                assert_eq!((format, error.kind()), (QueryFormat::Parquet, ErrorKind::Invalid), "{error}");
                continue;
            }
        };
        let (mut bytes, mut error) = (Vec::new(), None);
        while let Some(piece) = export.next().await {
            match piece {
                Ok(Piece::Bytes(piece)) => bytes.extend_from_slice(&piece),
                Ok(other) => panic!("{other:?}"),
                Err(broken) => error = Some(broken),
            }
        }
        let error = error.expect("it cannot come to its end");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!bytes.is_empty());
        match format {
            QueryFormat::Json => assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_err()),
            QueryFormat::Parquet => panic!("it began: {} bytes", bytes.len()),
            QueryFormat::Arrow => {
                let reader = StreamReader::try_new(&bytes[..], None).unwrap();
                assert!(reader.map_while(Result::ok).map(|batch| batch.num_rows()).sum::<usize>() < ROWS);
            }
            QueryFormat::Csv => assert!(bytes.iter().filter(|byte| **byte == b'\n').count() < ROWS + 1),
        }
    }
    // What cannot begin has no export.
    let error = engine.export("SELECT nope FROM statements", QueryFormat::Csv).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_nobody_reads_on_ends() {
    let fixture = recorded().await;
    let engine = fixture.engine_with(options());
    let sql = "SELECT a.sql FROM statements a, statements b";
    let mut export = engine.export(sql, QueryFormat::Csv).await.unwrap();
    export.next().await.unwrap().unwrap();
    assert_eq!(engine.load().heavy, 1);
    drop(export);
    let began = std::time::Instant::now();
    while engine.load().heavy > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", engine.load());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_longer_than_all_memory_streams() {
    let fixture = recorded().await;
    let limit = 8 * 1024 * 1024;
    let engine = fixture.engine_with(EngineOptions { memory_limit: limit, ..options() });
    let sql = "SELECT a.statement_no, b.sql, b.job, b.session_id FROM statements a, statements b WHERE a.statement_no <= 3 AND b.statement_no < 6000";
    let mut export = engine.export(sql, QueryFormat::Csv).await.unwrap();
    let mut bytes = 0;
    while let Some(piece) = export.next().await {
        let Piece::Bytes(piece) = piece.unwrap() else { panic!("bytes alone") };
        bytes += piece.len();
    }
    assert!(bytes > 2 * limit, "{bytes}");
}
