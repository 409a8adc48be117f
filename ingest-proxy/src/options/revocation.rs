//! What a revocation does to what runs.

/// What becomes of a statement in flight whose session's right is revoked. The next one is refused in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRevocation {
    /// It is cancelled.
    Cancel,
    /// It may finish, for as long as `shutdown_grace`.
    Finish,
}

impl OnRevocation {
    /// All of them.
    pub const ALL: [OnRevocation; 2] = [OnRevocation::Cancel, OnRevocation::Finish];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            OnRevocation::Cancel => "cancel",
            OnRevocation::Finish => "finish",
        }
    }
}
