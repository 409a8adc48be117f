//! Values that a driver asked for in binary format are shown as the server itself writes them.

use hansard_tests::hansard::Settings;
use hansard_tests::{Config, Postgres};
use rand::Rng;
use tokio_postgres::SimpleQueryMessage;

/// Numbers at which a text may go wrong: beside powers of two and ten, in the middle between two, without full precision,
/// around where exponents begin, and any.
fn doubles() -> Vec<f64> {
    let mut rng = rand::rng();
    let mut found = vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE];
    let around = |value: f64| [value.next_down(), value, value.next_up(), -value];
    found.extend((0..2046).flat_map(|power| around(f64::from_bits(power << 52))));
    found.extend((-323..309).flat_map(|power| around(format!("1e{power}").parse().unwrap())));
    found.extend((1..52).flat_map(|bit| around(f64::from_bits(1 << bit))));
    // Few digits and a large power: many lie in the middle between two numbers.
    for power in 15..30 {
        found.extend((0..60).map(|_| format!("{}e{power}", rng.random_range(1..100_000)).parse::<f64>().unwrap()));
    }
    found.extend((0..1_000).map(|_| (rng.random_range(0..1_u64 << 55)) as f64));
    found.extend((0..1_000).map(|_| f64::from(rng.random_range(-100_000..100_000)) / 1_000.0));
    found.extend((0..4_000).map(|_| f64::from_bits(rng.random())));
    found
}

fn singles(count: usize) -> Vec<f32> {
    let mut rng = rand::rng();
    let mut found = vec![0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
    let around = |value: f32| [value.next_down(), value, value.next_up(), -value];
    found.extend((0..255).flat_map(|power| around(f32::from_bits(power << 23))));
    found.extend((-45..39).flat_map(|power| around(format!("1e{power}").parse().unwrap())));
    found.extend((0..1_500).map(|_| (rng.random_range(0..1_u64 << 40)) as f32));
    found.extend((found.len()..count).map(|_| f32::from_bits(rng.random())));
    found.truncate(count);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_in_binary_format_are_shown_as_the_server_writes_them() {
    let postgres = Postgres::start().await.unwrap();
    let superuser = postgres.superuser("ranking").await.unwrap();
    superuser
        .batch_execute("CREATE TABLE floats (n serial, d float8, s float4); GRANT ALL ON floats TO app")
        .await
        .unwrap();
    let doubles = doubles();
    let singles = singles(doubles.len());
    let fill = "INSERT INTO floats (d, s) SELECT * FROM unnest($1::float8[], $2::float4[])";
    assert_eq!(superuser.execute(fill, &[&doubles, &singles]).await.unwrap(), doubles.len() as u64);
    let truth = superuser.simple_query("SELECT d, s FROM floats ORDER BY n").await.unwrap();
    let text = |row: &tokio_postgres::SimpleQueryRow, column| row.get(column).unwrap().to_owned();
    let truth: Vec<[String; 2]> = truth
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some([text(row, 0), text(row, 1)]),
            _ => None,
        })
        .collect();

    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let hansard = config.start("up").unwrap();
    let job = hansard.connect(&config.token("nightly-reranker").unwrap()).await.unwrap();
    // A result is shown a thousand rows at a time, at most.
    const PART: usize = 1_000;
    for part in 0..doubles.len().div_ceil(PART) {
        let after = i32::try_from(part * PART).unwrap();
        job.query("SELECT d, s FROM floats WHERE n > $1 ORDER BY n LIMIT 1000", &[&after]).await.unwrap();
    }
    job.query("SELECT ARRAY[$1::float8, $2], $3::float4", &[&1e300, &-0.0, &1e10_f32]).await.unwrap();
    drop(job);
    let session =
        config.rows("sessions", &["--job", "nightly-*"]).unwrap()[0]["session_id"].as_str().unwrap().to_owned();
    let steps = config.rows("replay", &[&session, "--rows", "1000"]).unwrap();
    let (bound, parts) = steps.split_last().unwrap();
    let rows = |step: &serde_json::Value| step["result"]["sets"][0]["rows"].as_array().unwrap().clone();
    let shown: Vec<_> = parts.iter().flat_map(rows).collect();
    assert_eq!(shown.len(), truth.len());
    let wrong: Vec<_> = shown
        .iter()
        .zip(&truth)
        .filter(|(shown, truth)| shown[0] != truth[0].as_str() || shown[1] != truth[1].as_str())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} are not the server's: {:?}",
        wrong.len(),
        truth.len(),
        &wrong[..wrong.len().min(20)]
    );
    assert_eq!(bound["parameters"], serde_json::json!(["1e+300", "-0", "1e+10"]), "{bound}");
    assert_eq!(bound["result"]["sets"][0]["rows"][0], serde_json::json!(["{1e+300,-0}", "1e+10"]), "{bound}");
}
