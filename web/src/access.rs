//! Who may in: login links, browser sessions, the owner's token.
//!
//! Invariants: a login link works once and not for ever; of a secret only its SHA-256 is kept, in memory and in the file by
//! which sessions outlive a restart, and hashes are compared in constant time; the number of links and sessions is
//! bounded, the oldest goes first. Time comes from the caller, since 1970. Nothing here knows HTTP.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use rand::RngCore;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a login link may wait to be used.
pub(crate) const LINK_VALID: Duration = Duration::from_secs(60 * 60);
/// How long a browser stays logged in, over restarts.
pub(crate) const SESSION_VALID: Duration = Duration::from_secs(12 * 60 * 60);
const MAX_LINKS: usize = 16;
const MAX_SESSIONS: usize = 64;

/// Since 1970, as secrets expire.
pub(crate) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// All secrets that open this server.
#[derive(Debug)]
pub(crate) struct Access {
    owner: Hash,
    links: Mutex<Passes>,
    sessions: Mutex<Passes>,
    /// Where the sessions' hashes are kept.
    file: PathBuf,
}

impl Access {
    /// `owner_token` opens the API for who can read the token file; sessions of an earlier process that `file` holds go on.
    pub(crate) fn new(owner_token: &str, file: PathBuf, now: Duration) -> Access {
        let mut sessions = Passes::new(MAX_SESSIONS, SESSION_VALID);
        match read_private(&file, MAX_KEPT) {
            Ok(text) => sessions.restore(&text, now),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Whoever was logged in logs in anew.
            Err(error) => tracing::warn!(path = %file.display(), %error, "browser sessions are not taken over"),
        }
        Access {
            owner: hash(owner_token),
            links: Mutex::new(Passes::new(MAX_LINKS, LINK_VALID)),
            sessions: Mutex::new(sessions),
            file,
        }
    }

    /// A new secret for one login.
    pub(crate) fn mint_link(&self, now: Duration) -> String {
        self.links.lock().mint(now)
    }

    /// Takes a link's secret, gives a browser session's for it.
    pub(crate) fn exchange(&self, link: &str, now: Duration) -> Option<String> {
        if !self.links.lock().take(link, now) {
            return None;
        }
        let mut sessions = self.sessions.lock();
        let secret = sessions.mint(now);
        self.keep(&sessions);
        Some(secret)
    }

    pub(crate) fn is_session(&self, secret: &str, now: Duration) -> bool {
        self.sessions.lock().has(secret, now)
    }

    pub(crate) fn end_session(&self, secret: &str, now: Duration) {
        let mut sessions = self.sessions.lock();
        sessions.take(secret, now);
        self.keep(&sessions);
    }

    pub(crate) fn is_owner(&self, token: &str) -> bool {
        bool::from(hash(token).ct_eq(&self.owner))
    }

    /// Writes the sessions down, readable by the owner only, and whole or not at all.
    fn keep(&self, sessions: &Passes) {
        let beside = self.file.with_extension("sessions.new");
        let written = write_private(&beside, &sessions.kept()).and_then(|()| std::fs::rename(&beside, &self.file));
        if let Err(error) = written {
            tracing::warn!(path = %self.file.display(), %error, "browser sessions will not outlive a restart");
        }
    }
}

/// Longest file of sessions that is read: each is a line of a hash and a time.
const MAX_KEPT: u64 = 16 * 1024;

fn read_private(path: &Path, most: u64) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(io::Error::other("it can be read by others than its owner"));
        }
    }
    if metadata.len() > most {
        return Err(io::Error::other("it is too long"));
    }
    std::fs::read_to_string(path)
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

type Hash = [u8; 32];

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// 256 random bits, fit for a URL and a header.
fn secret() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[derive(Debug)]
struct Passes {
    held: Vec<(Hash, Duration)>,
    most: usize,
    valid: Duration,
}

impl Passes {
    fn new(most: usize, valid: Duration) -> Passes {
        Passes { held: Vec::new(), most, valid }
    }

    /// A line for each: its hash and since when it is good, seconds.
    fn kept(&self) -> String {
        self.held.iter().map(|(hash, since)| format!("{} {}\n", hex::encode(hash), since.as_secs())).collect()
    }

    /// Takes over what [`Passes::kept`] wrote; lines that are none are left out.
    fn restore(&mut self, text: &str, now: Duration) {
        let pass = |line: &str| {
            let (hash, since) = line.split_once(' ')?;
            let hash: Hash = hex::decode(hash).ok()?.try_into().ok()?;
            // Nothing is good from a later time on.
            Some((hash, Duration::from_secs(since.parse().ok()?).min(now)))
        };
        self.held.extend(text.lines().filter_map(pass).take(self.most));
        self.expire(now);
    }

    fn mint(&mut self, now: Duration) -> String {
        self.expire(now);
        if self.held.len() == self.most {
            self.held.remove(0);
        }
        let secret = secret();
        self.held.push((hash(&secret), now));
        secret
    }

    fn has(&mut self, secret: &str, now: Duration) -> bool {
        self.find(secret, now).is_some()
    }

    fn take(&mut self, secret: &str, now: Duration) -> bool {
        self.find(secret, now).map(|place| self.held.remove(place)).is_some()
    }

    /// Looks at every one, so that the time it takes says nothing about which one it is.
    fn find(&mut self, secret: &str, now: Duration) -> Option<usize> {
        self.expire(now);
        let wanted = hash(secret);
        let mut found = None;
        for (place, (held, _)) in self.held.iter().enumerate() {
            if bool::from(held.ct_eq(&wanted)) {
                found = Some(place);
            }
        }
        found
    }

    fn expire(&mut self, now: Duration) {
        self.held.retain(|(_, since)| now.saturating_sub(*since) < self.valid);
    }
}

/// Why the token file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read or made.
    #[error("the token file {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others than its owner may read it.
    #[error("the token file {} can be read by others than its owner; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It does not hold a token.
    #[error("the token file {} holds no token; delete it, and the next start makes a new one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the owner's token, as the command line does before it asks a running instance.
pub fn read_token(path: &Path) -> Result<String, TokenFileError> {
    let io = |source| TokenFileError::Io { path: path.into(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(TokenFileError::Exposed { path: path.into() });
        }
    }
    if metadata.len() > 1024 {
        return Err(TokenFileError::Malformed { path: path.into() });
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    let token = text.trim();
    let well_formed = URL_SAFE_NO_PAD.decode(token).is_ok_and(|bytes| bytes.len() == 32);
    if well_formed { Ok(token.to_owned()) } else { Err(TokenFileError::Malformed { path: path.into() }) }
}

/// The owner's token; makes the file, readable by its owner only, when there is none.
pub(crate) fn read_or_create_token(path: &Path) -> Result<String, TokenFileError> {
    let io = |source| TokenFileError::Io { path: path.into(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(io)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(mut file) => {
            let token = secret();
            file.write_all(format!("{token}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            Ok(token)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read_token(path),
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn access(folder: &tempfile::TempDir) -> Access {
        Access::new("owner", folder.path().join("web.sessions"), NOW)
    }

    #[test]
    fn a_link_works_once() {
        let (folder, now) = (tempfile::tempdir().unwrap(), NOW);
        let access = access(&folder);
        let link = access.mint_link(now);
        let session = access.exchange(&link, now).unwrap();
        assert!(access.is_session(&session, now));
        assert_eq!(access.exchange(&link, now), None);
        assert!(!access.is_session(&link, now));
    }

    #[test]
    fn links_and_sessions_expire() {
        let (folder, now) = (tempfile::tempdir().unwrap(), NOW);
        let access = access(&folder);
        let link = access.mint_link(now);
        assert_eq!(access.exchange(&link, now + LINK_VALID), None);
        let link = access.mint_link(now);
        let session = access.exchange(&link, now).unwrap();
        assert!(access.is_session(&session, now + SESSION_VALID - Duration::from_secs(1)));
        assert!(!access.is_session(&session, now + SESSION_VALID));
    }

    #[test]
    fn the_oldest_session_goes_when_there_are_too_many() {
        let (folder, now) = (tempfile::tempdir().unwrap(), NOW);
        let access = access(&folder);
        let log_in = || access.exchange(&access.mint_link(now), now).unwrap();
        let first = log_in();
        let second = log_in();
        for _ in 0..MAX_SESSIONS - 1 {
            log_in();
        }
        assert!(!access.is_session(&first, now));
        assert!(access.is_session(&second, now));
    }

    #[test]
    fn logging_out_ends_a_session() {
        let (folder, now) = (tempfile::tempdir().unwrap(), NOW);
        let access = access(&folder);
        let session = access.exchange(&access.mint_link(now), now).unwrap();
        access.end_session(&session, now);
        assert!(!access.is_session(&session, now));
    }

    #[test]
    fn sessions_outlive_a_restart_and_a_log_out_does_too() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let first = access(&folder);
        let [kept, ended] = [(); 2].map(|()| first.exchange(&first.mint_link(NOW), NOW).unwrap());
        first.end_session(&ended, NOW);
        drop(first);
        let second = access(&folder);
        assert!(second.is_session(&kept, NOW) && !second.is_session(&ended, NOW));
        assert!(!second.is_session(&kept, NOW + SESSION_VALID), "it ends when it would have ended");

        let file = folder.path().join("web.sessions");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&kept), "of a secret only its hash is kept");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!access(&folder).is_session(&kept, NOW), "what others can read is not believed");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&file, "nonsense\n00 1\n").unwrap();
        assert!(!access(&folder).is_session(&kept, NOW));
    }

    #[test]
    fn only_the_owners_token_is_the_owners() {
        let folder = tempfile::tempdir().unwrap();
        let access = access(&folder);
        assert!(access.is_owner("owner"));
        assert!(!access.is_owner("owne"));
        assert!(!access.is_owner(""));
    }

    #[test]
    fn the_token_file_is_private_and_stays() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/web.token");
        let token = read_or_create_token(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_or_create_token(&path).unwrap(), token);
        assert_eq!(read_token(&path).unwrap(), token);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_token(&path), Err(TokenFileError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(read_or_create_token(&path), Err(TokenFileError::Malformed { .. })));
    }
}
