//! How a job may send its token.

/// A way in for tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authentication {
    /// As the password: every driver can.
    #[default]
    Password,
    /// By SASL OAUTHBEARER (RFC 7628): drivers that know tokens as such.
    OAuthBearer,
}

impl Authentication {
    /// All of them.
    pub const ALL: [Authentication; 2] = [Authentication::Password, Authentication::OAuthBearer];

    /// The word in the configuration, in a start-up parameter and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Authentication::Password => "password",
            Authentication::OAuthBearer => "oauthbearer",
        }
    }
}
