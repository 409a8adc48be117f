//! The socket beside the data where the commands that read find the running instance: `data/run/SERVICE.sock`.
//!
//! Invariant: who can connect to it can read the record, and nobody else; so no token is shown to whoever listens. It
//! lies in a folder that is closed to others, and the one who asks looks whose process it is that answers.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::config::Config;
use crate::failure::Failure;
use crate::permissions;

/// Services that answer questions, the likeliest first.
const SERVICES: [&str; 3] = ["up", "query", "web"];

/// Longest path that a socket's address holds (`sun_path`, unix(7)), its final zero left out.
const LONGEST: usize = 107;

fn path(config: &Config, service: &str) -> PathBuf {
    config.data.join("run").join(format!("{service}.sock"))
}

/// A listening socket; its file is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
}

impl Drop for Bound {
    fn drop(&mut self) {
        // One that stays answers nobody, and the next start takes its place.
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens for those who read. A socket that a killed process has left is replaced.
pub(crate) async fn bind(config: &Config, service: &str) -> Result<(UnixListener, Bound), Failure> {
    let path = path(config, service);
    let failed = |error: io::Error| Failure::usage(format!("cannot listen on {}: {error}", path.display()));
    let (_folder, address) = address(&path).map_err(failed)?;
    if UnixStream::connect(&address).await.is_ok() {
        return Err(Failure::usage(format!(
            "{} is another process's, which answers: `hansard {service}` runs already",
            path.display()
        )));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&address).map_err(failed)?;
    fs::set_permissions(&path, Permissions::from_mode(permissions::socket_mode(config))).map_err(failed)?;
    Ok((listener, Bound { path }))
}

/// The socket of the running instance of this configuration, if there is one.
pub(crate) async fn find(config: &Config) -> Option<PathBuf> {
    for service in SERVICES {
        let path = path(config, service);
        if connect(&path).await.is_some() {
            return Some(path);
        }
    }
    None
}

/// A connection to it, where it answers.
pub(crate) async fn connect(path: &Path) -> Option<UnixStream> {
    let (_folder, address) = address(path).ok()?;
    let stream = UnixStream::connect(&address).await.ok()?;
    is_the_folders_owner(&stream, path).then_some(stream)
}

/// Whether who answers is the one whose folder it is: somebody else's socket in it is not believed.
fn is_the_folders_owner(stream: &UnixStream, path: &Path) -> bool {
    let owner = path.parent().and_then(|folder| fs::metadata(folder).ok()).map(|folder| folder.uid());
    stream.peer_cred().is_ok_and(|peer| Some(peer.uid()) == owner || peer.uid() == 0)
}

/// The path as a socket's address takes it: one that is too long goes by the folder's descriptor, as long as that is
/// held.
fn address(path: &Path) -> io::Result<(Option<File>, PathBuf)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok((None, path.to_path_buf()));
    };
    if path.as_os_str().len() <= LONGEST {
        return Ok((None, path.to_path_buf()));
    }
    let folder = File::open(folder)?;
    let address = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((Some(folder), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_of_any_length_can_be_listened_on() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(200));
        fs::create_dir(&deep).unwrap();
        let path = deep.join("up.sock");
        let (_folder, listening) = address(&path).unwrap();
        let _listener = UnixListener::bind(&listening).unwrap();
        let (_folder, asking) = address(&path).unwrap();
        let stream = UnixStream::connect(&asking).await.unwrap();
        assert!(is_the_folders_owner(&stream, &path));
        assert!(path.exists());
    }
}
