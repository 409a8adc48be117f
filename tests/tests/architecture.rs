//! The architecture as it is written down: edges between crates, one copy of what must be one, licences and sources.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    hansard_tests::tree().unwrap()
}

/// The tree as it is built here: other platforms' crates need not even be downloaded.
fn metadata() -> Value {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(Command::new(rustc).arg("-vV").output().unwrap().stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn packages(metadata: &Value) -> &Vec<Value> {
    metadata["packages"].as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The source files of a room of the proxy: its folder, and the file of its name.
fn sources(room: &str) -> Vec<PathBuf> {
    let base = root().join("ingest-proxy/src").join(room);
    let (mut open, mut files) = (vec![base.clone()], vec![base.with_extension("rs")]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn what_serves_any_protocol_names_none() {
    let names = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        ["pg_wire", "postgres"].iter().any(|name| text.contains(name))
    };
    for room in ["admission", "relay", "capture"] {
        let files = sources(room);
        assert!(files.len() > 3, "{room} has its files: {files:?}");
        assert_eq!(files.iter().filter(|file| names(file)).collect::<Vec<_>>(), Vec::<&PathBuf>::new(), "{room}");
    }
    assert!(sources("postgres").iter().any(names), "the walk finds what is there");
}

/// The rows `| crate | may depend on |` of ARCHITECTURE.md.
fn drawn() -> BTreeMap<String, BTreeSet<String>> {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = map.lines().skip_while(|line| !line.replace(' ', "").starts_with("|crate|maydependon|")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let edges = cells[1].split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
            (cells[0].to_owned(), edges.collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_as_the_map_says() {
    let metadata = metadata();
    let members: BTreeSet<&str> = packages(&metadata)
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| text(&package["name"]))
        .collect();
    let drawn = drawn();
    assert_eq!(
        drawn.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        members,
        "the table of edges in ARCHITECTURE.md (left) and the workspace's members (right)"
    );
    for package in packages(&metadata).iter().filter(|package| package["source"].is_null()) {
        let name = text(&package["name"]);
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = text(&dependency["name"]);
            // A crate's tests may build what they test from the libraries below it.
            if dependency["kind"] == "dev" && drawn["hansard-query"].contains(to) {
                continue;
            }
            assert!(
                !members.contains(to) || drawn[name].contains(to),
                "{name} depends on {to}, and ARCHITECTURE.md does not allow it"
            );
        }
    }
}

#[test]
fn there_is_one_copy_of_what_must_be_one() {
    let metadata = metadata();
    for name in ["arrow", "arrow-array", "parquet", "datafusion", "object_store", "pgwire", "libsqlite3-sys", "tokio"] {
        let versions: Vec<&str> = packages(&metadata)
            .iter()
            .filter(|package| package["name"] == name)
            .map(|package| text(&package["version"]))
            .collect();
        assert!(
            versions.len() <= 1,
            "{name} is there {} times ({versions:?}): their types do not fit together",
            versions.len()
        );
    }
}

/// Packages that one member needs to run, itself left out.
fn tree_of(metadata: &Value, member: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| (text(&node["id"]), node)).collect();
    let names: BTreeMap<&str, &str> =
        packages(metadata).iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
    let start = names.iter().find(|(_, name)| **name == member).map(|(id, _)| *id).unwrap();
    let (mut open, mut seen) = (vec![start], BTreeSet::new());
    while let Some(id) = open.pop() {
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let runs = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            let to = text(&dependency["pkg"]);
            if runs && seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

#[test]
fn the_proxy_and_the_pages_carry_no_query_engine() {
    let metadata = metadata();
    for member in ["hansard-ingest-proxy", "hansard-ui", "hansard-event-log"] {
        let tree = tree_of(&metadata, member);
        for heavy in ["datafusion", "arrow", "parquet", "rusqlite"] {
            assert!(!tree.contains(heavy), "{member} needs {heavy}");
        }
    }
    assert!(tree_of(&metadata, "hansard").contains("datafusion"), "the walk finds what is there");
}

/// Packages that some features of a package need to run, as they are built by themselves.
fn built_alone(arguments: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn the_pages_carry_no_schemas_of_what_they_read() {
    assert!(built_alone(&["-p", "hansard-web"]).contains("schemars"), "the server describes its API with it");
    let pages = built_alone(&["-p", "hansard-ui"]);
    assert!(pages.contains("hansard-schemas") && !pages.contains("schemars"), "{pages:?}");
}

#[test]
fn the_slim_proxy_carries_neither_lake_nor_query_engine_nor_web_nor_parser() {
    let heavy = |name: &&String| {
        let families =
            ["arrow", "parquet", "datafusion", "rusqlite", "libsqlite3-sys", "axum", "leptos", "pg_query", "schemars"];
        families.iter().any(|family| *name == family || name.starts_with(&format!("{family}-")))
    };
    let slim = built_alone(&["-p", "hansard", "--no-default-features", "--features", "proxy"]);
    assert!(slim.contains("hansard-ingest-proxy"), "{slim:?}");
    assert_eq!(slim.iter().filter(heavy).collect::<Vec<_>>(), Vec::<&String>::new());
    let whole = built_alone(&["-p", "hansard"]);
    assert!(
        whole.iter().filter(heavy).count() > 5 && whole.contains("pg_query"),
        "the default build holds all of them"
    );
}

#[test]
fn everything_comes_from_the_registry_under_a_known_licence() {
    // As in deny.toml, which knows the reasons.
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    let list = deny.split_once("allow = [").unwrap().1.split_once(']').unwrap().0;
    let allowed: BTreeSet<&str> =
        list.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty()).collect();
    for package in packages(&metadata()) {
        let name = text(&package["name"]);
        let Some(source) = package["source"].as_str() else { continue };
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
        let licence = package["license"].as_str().unwrap_or("none");
        // One alternative that is allowed in all its parts is enough.
        let expression = licence.replace(['(', ')'], " ").replace('/', " OR ");
        let fits = expression.split(" OR ").any(|all| all.split(" AND ").all(|one| allowed.contains(one.trim())));
        assert!(fits, "{name} is under {licence}");
    }
}
