//! `--since` and `--until`, as all commands read them.

use hansard_query::{Moment, rfc3339};

use crate::failure::Failure;
use crate::questions::literal;

/// Two times, either of which may be left out. A day or a minute as the second one is meant to its end.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    /// SQL of the first instant.
    pub(crate) from: Option<String>,
    /// SQL of the first instant that is not meant any more.
    to: Option<String>,
}

impl Stretch {
    pub(crate) fn parse(since: Option<&str>, until: Option<&str>) -> Result<Stretch, Failure> {
        let (since, until) = (time("--since", since)?, time("--until", until)?);
        if let (Some(since), Some(until)) = (&since, &until)
            && since.from >= until.to
        {
            return Err(Failure::usage("--since lies behind --until"));
        }
        Ok(Stretch { from: since.map(|since| instant(since.from)), to: until.map(|until| instant(until.to)) })
    }

    /// That a column lies in it.
    pub(crate) fn conditions(&self, column: &str) -> impl Iterator<Item = String> {
        let from = self.from.as_ref().map(|from| format!("{column} >= {from}"));
        from.into_iter().chain(self.to.as_ref().map(|to| format!("{column} < {to}")))
    }
}

fn time(option: &str, given: Option<&str>) -> Result<Option<Moment>, Failure> {
    given.map(|given| Moment::parse(given).map_err(|error| Failure::usage(format!("{option}: {error}")))).transpose()
}

fn instant(at: i64) -> String {
    format!("CAST({} AS TIMESTAMP)", literal(&rfc3339(at)))
}
