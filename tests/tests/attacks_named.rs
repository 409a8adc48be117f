//! `docs/attacks.md` names tests that exist.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::path::Path;

#[test]
fn each_attack_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = std::fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let (mut attacks, mut missing) = (0, Vec::new());
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack")) {
        attacks += 1;
        let named: Vec<&str> = line.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
        assert!(!named.is_empty(), "no test is named: {line}");
        for name in named {
            let (file, test) = name.split_once("::").unwrap();
            let path = match file.strip_prefix("it/") {
                Some(file) => root.join("ingest-proxy/tests/it").join(file),
                None => root.join("tests/tests").join(file),
            };
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if !text.contains(&format!("fn {test}(")) {
                missing.push(name);
            }
        }
    }
    assert!(attacks >= 25, "{attacks} attacks");
    assert!(missing.is_empty(), "docs/attacks.md names tests that are not there: {missing:#?}");
}
