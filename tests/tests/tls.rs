//! Jobs reach a target over the network with TLS, by the configuration alone.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use hansard_tests::hansard::{Settings, connect};
use hansard_tests::process::{run, succeed};
use hansard_tests::{Config, Postgres, tls};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_a_certificate_serves_other_machines() {
    let postgres = Postgres::start().await.unwrap();
    let config = Config::new(&postgres, &Settings::default()).unwrap();
    let text = std::fs::read_to_string(config.file()).unwrap();
    let (head, target) = text.split_once("[[targets]]").unwrap();
    let target = target.replacen("127.0.0.1:0", "0.0.0.0:0", 1);
    // Not without TLS or a word.
    std::fs::write(config.file(), format!("{head}[[targets]]{target}")).unwrap();
    let refused = config.run("check", &[]).unwrap();
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("tls.cert_file"), "{refused:?}");

    tls::write_certificate(config.folder()).unwrap();
    let certificate = config.folder().join(tls::CERTIFICATE);
    let keys = format!("tls.cert_file = \"{}\"\ntls.key_file = \"{}\"\n", tls::CERTIFICATE, tls::KEY);
    let target = target.replacen("upstream =", &format!("{keys}upstream ="), 1);
    std::fs::write(config.file(), format!("{head}[[targets]]{target}")).unwrap();
    let checked = config.ask("check", &[]).unwrap();
    assert!(checked.contains("ok    target ranking tls: "), "{checked}");

    let mut hansard = config.start("up").unwrap();
    let port = hansard.proxy().unwrap().port();
    let token = config.token("nightly").unwrap();
    let error = connect(([127, 0, 0, 1], port).into(), &token).await.unwrap_err();
    assert!(format!("{error:#}").contains("sessions without TLS are not taken here"), "{error:#}");
    let psql = |address: &str| {
        let connection = format!(
            "host={address} port={port} user=app dbname={} sslmode=verify-full sslrootcert={}",
            hansard_tests::postgres::DATABASE,
            certificate.display()
        );
        let mut psql = postgres.client_program("psql");
        psql.args(["-X", "-A", "-t", "-d", &connection, "-c", "SELECT 'over TLS'"]).env("PGPASSWORD", &token);
        psql
    };
    assert_eq!(succeed(&mut psql("127.0.0.1")).unwrap().trim(), "over TLS");
    // The certificate is for another name.
    let refused = run(&mut psql("localhost")).unwrap();
    assert!(refused.stderr.contains("does not match host name"), "{refused:?}");
    let rows = config.sql("SELECT count(*) AS n FROM statements WHERE sql = 'SELECT ''over TLS'''").unwrap();
    assert_eq!(rows[0]["n"], 1, "{rows:?}");
    let sessions = "SELECT DISTINCT tls_version, auth_failure IS NULL AS welcome FROM sessions WHERE job <> 'hansard' ORDER BY welcome";
    let said: Vec<_> = config.sql(sessions).unwrap().iter().map(|row| row["tls_version"].clone()).collect();
    assert_eq!(said, [Value::Null, "TLSv1.3".into()]);
    assert!(hansard.stop().unwrap().success());
}
