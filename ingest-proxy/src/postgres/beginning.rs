//! What a session begins with at the database: whose it is, and where its names are looked up.
//!
//! Settings of the start-up packet, of the role, of the role in the database, of the database and of the server decide
//! about that, and a login trigger may do so as well. So the session itself is asked, before the job may: by SHOW, which
//! takes no snapshot, calls no function and looks nothing up. It costs a round trip, and shows neither to the job nor in
//! its record; it does in `pg_stat_activity` as the last query until the job's first one.
//!
//! Invariant: a name that may have been converted wrongly is not known.

use std::time::Duration;

use super::upstream::{self, Failure, Upstream};
use crate::options::TargetOptions;

const QUESTION: &str = "SHOW search_path; SHOW role; SHOW session_authorization; SHOW session_replication_role";

/// See the module. What is not known is none or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// The setting, as it is written.
    pub(crate) search_path: Option<String>,
    pub(crate) role: String,
    pub(crate) session_role: String,
    /// `origin`, where triggers and rules act as usual.
    pub(crate) replication_role: String,
}

/// Asks the session, which is of no use any more where it does not answer.
pub(crate) async fn learn(
    upstream: Upstream,
    target: &TargetOptions,
    patience: Duration,
) -> Result<(Upstream, Beginning), Failure> {
    let utf8 = upstream::told(&upstream, "client_encoding").is_some_and(|encoding| encoding == "UTF8");
    let (upstream, answers) = upstream.ask(target, QUESTION, patience).await?;
    Ok((upstream, read(&answers, utf8)))
}

fn read(answers: &[Vec<u8>], utf8: bool) -> Beginning {
    let [path, role, session_role, replication_role] = answers else { return Beginning::default() };
    let text = |bytes: &Vec<u8>| {
        let known = utf8 || bytes.is_ascii();
        String::from_utf8(bytes.clone()).ok().filter(|_| known)
    };
    let session_role = text(session_role).unwrap_or_default();
    let role = match text(role) {
        Some(role) if role == "none" => session_role.clone(),
        role => role.unwrap_or_default(),
    };
    let replication_role = text(replication_role).unwrap_or_default();
    Beginning { search_path: text(path), role, session_role, replication_role }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(answers: [&[u8]; 4]) -> Vec<Vec<u8>> {
        answers.map(<[u8]>::to_vec).to_vec()
    }

    #[test]
    fn a_role_of_its_own_is_told_apart() {
        let found = read(&answers([b"\"$user\", public", b"none", b"app", b"origin"]), false);
        let expected = Beginning {
            search_path: Some("\"$user\", public".to_owned()),
            role: "app".to_owned(),
            session_role: "app".to_owned(),
            replication_role: "origin".to_owned(),
        };
        assert_eq!(found, expected);
        assert_eq!(read(&answers([b"x", b"other", b"app", b"replica"]), false).role, "other");
    }

    #[test]
    fn what_may_be_converted_wrongly_is_not_known() {
        let all = answers(["größe".as_bytes(), b"none", b"app", b"origin"]);
        assert_eq!(read(&all, true).search_path.as_deref(), Some("größe"));
        assert_eq!(read(&all, false).search_path, None);
        assert_eq!(read(&answers([b"gr\xf6\xdfe", b"\xff", b"\xff", b"\xff"]), true), Beginning::default());
        assert_eq!(read(&all[..2], true), Beginning::default());
    }
}
