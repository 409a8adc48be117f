//! Answers as bytes, read back by others.

use arrow::ipc::reader::StreamReader;
use hansard_query::format;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::bulk;
use crate::fixture::Fixture;

const SQL: &str = "SELECT arrow_cast('2026-11-22T03:12:00.5Z', 'Timestamp(Nanosecond, Some(\"+00:00\"))') AS at, \
                   arrow_cast('ab', 'Binary') AS bytes, make_array('a', NULL) AS list, NULL AS nothing, 1.5 AS x, \
                   9007199254740993 AS big, '=1+1' AS formula, -3 AS minus, true AS yes, '' AS empty, \
                   date '2026-11-22' AS day, 'a\nb' AS two";

#[tokio::test]
async fn textual_formats() {
    let fixture = Fixture::new();
    let answer = fixture.engine().sql(SQL).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&format::json(&answer)).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "at": "2026-11-22T03:12:00.500000000Z", "bytes": "\\x6162", "list": ["a", null], "nothing": null, "x": 1.5,
            "big": 9_007_199_254_740_993_i64, "formula": "=1+1", "minus": -3, "yes": true, "empty": "",
            "day": "2026-11-22", "two": "a\nb"
        }])
    );
    // Members stand in the order of the columns.
    assert!(format::json(&answer).starts_with(b"[\n{\"at\":\"2026-11-22T03:12:00.500000000Z\",\"bytes\":"));
    let csv = String::from_utf8(format::csv(&answer)).unwrap();
    assert_eq!(
        csv,
        "\"at\",\"bytes\",\"list\",\"nothing\",\"x\",\"big\",\"formula\",\"minus\",\"yes\",\"empty\",\"day\",\"two\"\r\n\
         \"2026-11-22T03:12:00.500000000Z\",\"\\x6162\",\"[\"\"a\"\",null]\",,1.5,9007199254740993,\"'=1+1\",-3,\"true\",\"\",\
         \"2026-11-22\",\"a\nb\"\r\n"
    );
    let table = format::table(&answer);
    assert!(table.contains("a\\nb") && table.ends_with("(1 row)\n"), "{table}");
    assert_eq!(format::json(&fixture.engine().sql("SELECT 1 AS a WHERE false").await.unwrap()), b"[]\n");
}

#[tokio::test]
async fn binary_formats() {
    let fixture = Fixture::new();
    bulk::fill(&fixture, 2, 10).await;
    let engine = fixture.engine();
    let answer = engine.sql("SELECT * FROM touches ORDER BY at").await.unwrap();
    let parquet = format::parquet(&answer).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).unwrap().build().unwrap();
    let rows: Vec<_> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(
        arrow::compute::concat_batches(&answer.schema, &rows).unwrap(),
        arrow::compute::concat_batches(&answer.schema, &answer.batches).unwrap()
    );
    let stream = format::arrow_stream(&answer).unwrap();
    let batches: Vec<_> = StreamReader::try_new(&stream[..], None).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20);
}
