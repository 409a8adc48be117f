//! `hansard jobs`: who has shown a valid token.

use std::path::Path;

use crate::ask::reading;
use crate::cli::Jobs;
use crate::failure::Failure;
use crate::questions::like;
use crate::show::{Chosen, Screen, answer};

/// Columns that matter least, where a terminal has no room for all.
const LEAST: Chosen<'_> =
    Chosen::LeastFirst(&["targets", "first_seen", "errors", "open", "statements", "subject", "refused"]);

pub(crate) fn run(file: &Path, asked: &Jobs) -> Result<(), Failure> {
    Screen::stdout().bears(asked.format)?;
    let wanted = asked.job.as_ref().map(|job| format!("WHERE {} ", like("job", job))).unwrap_or_default();
    let sql = format!("SELECT * FROM identities {wanted}ORDER BY last_seen DESC, job, subject, issuer");
    reading(file, async |_, record| answer(record, &sql, asked.format, LEAST).await)
}
