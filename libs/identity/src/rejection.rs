//! Why a token is not taken.
//!
//! Invariant: what is said of it holds no token.

/// Whether the token is bad, or whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// It is not a good one.
    Token,
    /// A good one of somebody who is not let in, or of whom that cannot be told.
    Identity,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Whether the token is bad, or whose it is.
    pub kind: RejectionKind,
    /// What is wrong, in one line.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// What is recorded of it as long as nobody vouches for the sender, where the message repeats what that sent.
    pub recorded: Option<&'static str>,
    /// Whose token it was, where its signature was good.
    pub vouched: Option<Box<Vouched>>,
}

/// Whom a token names whose signature is good: its issuer vouches for that, whatever else is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vouched {
    /// Name of the issuer in the configuration.
    pub issuer: String,
    /// Empty where the token does not say it.
    pub subject: String,
    /// Likewise.
    pub job: String,
}

impl Rejection {
    pub(crate) fn new(kind: RejectionKind, message: impl Into<String>) -> Rejection {
        Rejection { kind, message: message.into(), detail: None, hint: None, recorded: None, vouched: None }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Rejection {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Rejection {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn recorded_as(mut self, message: &'static str) -> Rejection {
        self.recorded = Some(message);
        self
    }

    pub(crate) fn vouched(mut self, vouched: Vouched) -> Rejection {
        self.vouched = Some(Box::new(vouched));
        self
    }
}
