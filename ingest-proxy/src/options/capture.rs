//! How much of a session's frames is recorded: by target, and by who the job has shown to be.
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

/// Sessions that are recorded otherwise than the rest of their target: those of jobs of whom all of this is true. What
/// is compared is what a valid token says; what a job asks for does not matter. At least one of the conditions is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureRule {
    /// Name of the issuer in the configuration.
    pub issuer: Option<String>,
    /// Of the token, where `*` stands for any characters, or none.
    pub subject: Option<String>,
    /// Name of the job, likewise.
    pub job: Option<String>,
    /// Groups that the job is in, all of them.
    pub groups: Vec<String>,
    /// How they are recorded.
    pub capture: CaptureOptions,
}

impl CaptureRule {
    /// Whether it says whose sessions it is for.
    pub fn has_condition(&self) -> bool {
        self.issuer.is_some() || self.subject.is_some() || self.job.is_some() || !self.groups.is_empty()
    }
}
