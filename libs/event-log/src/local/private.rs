//! Who can read a log: its owner, and the group of its folder where the folder lets the group in.
//!
//! Invariant: others can read nothing that is made here, whatever the umask.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a folder, and those above it, where there is none.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        // Made by somebody else meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    match is_the_groups(path) {
        // The new folder has the group of the one above, and hands it down as that one does.
        true => fs::set_permissions(path, Permissions::from_mode(0o2750)),
        false => Ok(()),
    }
}

/// Opens a file, which is made if `options` say so.
pub(super) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).open(path)?;
    if is_the_groups(path) {
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(file)
}

/// Whether the group may read what is in the folder around `path`.
fn is_the_groups(path: &Path) -> bool {
    path.parent().and_then(|folder| fs::metadata(folder).ok()).is_some_and(|folder| folder.mode() & 0o2050 == 0o2050)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_owners_or_the_folders_groups() {
        let base = tempfile::tempdir().unwrap();
        let write = |path: &Path| open(File::options().create_new(true).append(true), path).unwrap();
        for (folder, expected) in [(0o755, [0o700, 0o600]), (0o2755, [0o2750, 0o640])] {
            let around = base.path().join(format!("{folder:o}"));
            fs::create_dir(&around).unwrap();
            fs::set_permissions(&around, Permissions::from_mode(folder)).unwrap();
            let (inner, file) = (around.join("shard/0000"), around.join("shard/0000/file"));
            make_folder(&inner).unwrap();
            write(&file);
            assert_eq!([mode(&inner), mode(&file)], expected);
        }
    }
}
