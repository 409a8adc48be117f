//! How much of a session's frames is recorded: by target, and by the role that a job asks for.
//!
//! Invariant: what is decided holds for the whole session and stands in its record.

/// How much of a session's frames is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Which frames with their content.
    pub level: CaptureLevel,
    /// Bytes of one result's rows after which further ones are marked and not recorded; `None`: no limit.
    pub max_result_bytes: Option<u64>,
}

/// Which frames are recorded with their content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaptureLevel {
    /// All.
    #[default]
    Full,
    /// All but the rows of results.
    Statements,
    /// None but command tags, SQLSTATEs and the state of transactions; of all others that they were there.
    Metadata,
}

impl CaptureLevel {
    /// All levels.
    pub const ALL: [CaptureLevel; 3] = [CaptureLevel::Full, CaptureLevel::Statements, CaptureLevel::Metadata];

    /// The word in the configuration and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            CaptureLevel::Full => "full",
            CaptureLevel::Statements => "statements",
            CaptureLevel::Metadata => "metadata",
        }
    }
}

/// Roles that are recorded otherwise than the rest of their target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleOptions {
    /// Name of a role, where `*` stands for any characters, or none.
    pub role: String,
    /// How they are recorded.
    pub capture: CaptureOptions,
}

impl RoleOptions {
    pub(crate) fn matches(&self, role: &str) -> bool {
        let Some((first, rest)) = self.role.split_once('*') else { return self.role == role };
        let Some(mut left) = role.strip_prefix(first) else { return false };
        let mut pieces: Vec<&str> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or("");
        for piece in pieces {
            let Some(place) = left.find(piece) else { return false };
            left = &left[place + piece.len()..];
        }
        left.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let matches = |pattern: &str, role: &str| {
            RoleOptions { role: pattern.to_owned(), capture: CaptureOptions::default() }.matches(role)
        };
        for (pattern, role) in
            [("etl_*", "etl_"), ("etl_*", "etl_night"), ("*", ""), ("a*b*c", "abbc"), ("*_ro", "x_ro"), ("app", "app")]
        {
            assert!(matches(pattern, role), "{pattern} {role}");
        }
        for (pattern, role) in
            [("etl_*", "ETL_x"), ("etl_*", "et"), ("app", "app2"), ("ab*ba", "aba"), ("a*b*c", "acb"), ("*_ro", "x_rw")]
        {
            assert!(!matches(pattern, role), "{pattern} {role}");
        }
    }
}
