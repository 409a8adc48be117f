//! Who can read what is recorded: its owner, and the group of its folder where the folder lets the group in.
//!
//! Invariant: others can read nothing that is made here, whatever the umask.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a folder, and those above it, where there is none.
///
/// # Errors
/// As [`DirBuilder::create`] and [`fs::set_permissions`].
pub fn make_folder(path: &Path) -> io::Result<()> {
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
///
/// # Errors
/// As [`OpenOptions::open`] and [`File::set_permissions`].
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).open(path)?;
    if is_the_groups(path) {
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(file)
}

/// Whether the group may read what is in the folder around `path`.
///
/// A folder has the bit that hands the group down from its first moment, and the permission of the group a moment later:
/// what somebody else makes in it meanwhile goes by the folder above.
fn is_the_groups(path: &Path) -> bool {
    let folders = path.ancestors().skip(1).map(|folder| match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    });
    let mode = |folder: &Path| fs::metadata(folder).map_or(0, |folder| folder.mode());
    let mut handed_down = folders.map(mode).take_while(|mode| mode & 0o2000 != 0);
    handed_down.any(|mode| mode & 0o050 == 0o050)
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
            let (inner, file) = (around.join("frames/0000"), around.join("frames/0000/file"));
            make_folder(&inner).unwrap();
            write(&file);
            assert_eq!([mode(&inner), mode(&file)], expected);
        }
    }

    #[test]
    fn a_file_in_a_folder_that_is_just_being_made_is_the_groups() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for (around, own, expected) in [(0o2750, 0o2700, 0o640), (0o2700, 0o2700, 0o600), (0o2750, 0o700, 0o600)] {
            fs::set_permissions(base.path(), Permissions::from_mode(around)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(own)).unwrap();
            let file = inner.join(format!("{around:o}-{own:o}"));
            open(File::options().create_new(true).append(true), &file).unwrap();
            assert_eq!(mode(&file), expected, "{}", file.display());
        }
    }
}
