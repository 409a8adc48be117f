//! Where a lake can be, and what is said when it cannot.

use super::*;

fn options(folder: &Path) -> LakeOptions {
    LakeOptions {
        url: format!("file:{}", folder.join("lake").display()),
        catalog: format!("sqlite:{}", folder.join("catalog/catalog.db").display()),
    }
}

#[test]
fn opening_creates_what_is_missing_and_reading_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let absent = Lake::open_read_only(&options).unwrap_err();
    assert!(absent.to_string().contains("there is no lake at"), "{absent}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    Lake::open(&options).unwrap();
    Lake::open(&options).unwrap();
    Lake::open_read_only(&options).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lake"), b"a file stands where the folder should be").unwrap();
    let error = Lake::open(&options(folder.path())).unwrap_err();
    let line = error.to_string();
    assert!(
        line.contains(&folder.path().join("lake").display().to_string()) && line.contains("configuration"),
        "{line}"
    );
}

#[test]
fn places_that_this_version_cannot_use_are_refused() {
    let sqlite = "sqlite:/nowhere/catalog.db";
    for (url, catalog, expected) in [
        ("s3://bucket/prefix", sqlite, "not available in this version"),
        ("https://example.com", sqlite, "expected file:FOLDER"),
        ("file:", sqlite, "has no path"),
        ("file://host/lake", sqlite, "names a host"),
        ("file:/nowhere/lake", "postgres://secret@host/db", "not available in this version"),
        ("file:/nowhere/lake", "catalog.db", "expected sqlite:FILE"),
    ] {
        let options = LakeOptions { url: url.to_owned(), catalog: catalog.to_owned() };
        let line = Lake::open(&options).unwrap_err().to_string();
        assert!(line.contains(expected) && !line.contains("secret"), "{line}");
    }
    assert_eq!(folder("file:data/lake").unwrap(), Path::new("data/lake"));
    assert_eq!(folder("file:///data").unwrap(), Path::new("/data"));
}
