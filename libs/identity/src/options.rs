//! Who issues tokens, where its keys are, and what of a token names the job.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

/// Longest token accepted, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct IdentityOptions {
    /// Token issuers; `iss` decides which one a token is checked against.
    pub issuers: Vec<IssuerOptions>,
    /// How far the clocks of an issuer and of this host may be apart, for `exp` and `nbf`.
    pub leeway: Duration,
}

impl Default for IdentityOptions {
    fn default() -> IdentityOptions {
        IdentityOptions { issuers: Vec::new(), leeway: Duration::from_secs(5) }
    }
}

/// A token issuer.
#[derive(Debug, Clone)]
pub struct IssuerOptions {
    /// As in the configuration and in every record.
    pub name: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
    /// Where its public keys are.
    pub keys: KeySource,
    /// What names the job.
    pub job: JobName,
    /// Claim with the job's groups, an array of strings or one string with blanks between them: a name, or a JSON pointer
    /// (RFC 6901) that begins with `/`.
    pub groups_claim: Option<String>,
    /// What a token must say besides; all of it.
    pub required_claims: Vec<RequiredClaim>,
}

/// Where an issuer's public keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JSON Web Key Set (RFC 7517) on this machine; read again when it changes.
    File(PathBuf),
    /// Asked for over HTTPS.
    Remote(RemoteKeys),
}

/// An issuer's keys that are asked for over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The key set's address; without it, it is found by OpenID Connect Discovery 1.0.
    pub url: Option<String>,
    /// PEM: the certificate authorities that are believed; without it, the operating system's.
    pub ca_file: Option<PathBuf>,
    /// How long keys are believed after they were had last, where none can be had.
    pub max_age: Duration,
}

/// What names a token's job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobName {
    /// A claim: its name, or a JSON pointer (RFC 6901) that begins with `/`.
    Claim(String),
    /// Several claims.
    Template(Template),
}

/// Text with claims in it, as `{repository}:{workflow}`.
///
/// Two tokens with other values have other names: a value must not hold the text that ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What stands before the first claim.
    pub(crate) begin: String,
    /// Claims, each with the text behind it.
    pub(crate) claims: Vec<(String, String)>,
}

/// A claim that a token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaim {
    /// Its name, or a JSON pointer (RFC 6901) that begins with `/`.
    pub claim: String,
    /// One of these; `*` stands for any text. Of a claim that is a list, one of its values has to be one of these.
    pub values: Vec<String>,
}

impl Template {
    /// Reads one; `{{` and `}}` stand for braces. `Err` says what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut template = Template { begin: String::new(), claims: Vec::new() };
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            let is_first = template.claims.is_empty();
            let literal = template.claims.last_mut().map_or(&mut template.begin, |(_, behind)| behind);
            match letter {
                '{' | '}' if rest.next_if_eq(&letter).is_some() => literal.push(letter),
                '}' => return Err("has a } without a {; write }} for a brace".to_owned()),
                '{' => {
                    if !is_first && literal.is_empty() {
                        return Err(
                            "has two claims side by side: write something between them that no value holds".to_owned()
                        );
                    }
                    let claim: String = std::iter::from_fn(|| rest.next_if(|next| *next != '}')).collect();
                    if rest.next().is_none() {
                        return Err(format!("has no }} behind {{{claim}"));
                    }
                    if claim.is_empty() {
                        return Err("has a {} without the name of a claim".to_owned());
                    }
                    template.claims.push((claim, String::new()));
                }
                letter => literal.push(letter),
            }
        }
        if template.claims.is_empty() {
            return Err("names no claim: all tokens would be one job; write as \"{repository}:{workflow}\"".to_owned());
        }
        Ok(template)
    }
}

impl RemoteKeys {
    /// What is asked for first: the key set, or the document that tells where it is.
    pub fn first_address(&self, issuer: &str) -> String {
        let discovery = || format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        self.url.clone().unwrap_or_else(discovery)
    }

    /// Whether the keys of that issuer can be asked for where this says; if not, why.
    pub fn check(&self, issuer: &str) -> Result<(), String> {
        if self.url.is_none() && issuer.contains(['?', '#']) {
            return Err(format!("{issuer:?} has a part behind ? or #, where nothing can be found: say jwks_url"));
        }
        // What was written, so that a message shows that.
        address(self.url.as_deref().unwrap_or(issuer)).map(drop)
    }
}

/// An address that may be asked.
pub(crate) fn address(url: &str) -> Result<Uri, String> {
    let shown = &url[..url.floor_char_boundary(200)];
    let uri: Uri = url.parse().map_err(|error| format!("{shown:?} is not a URL: {error}"))?;
    let host = uri.host().unwrap_or_default();
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| host.eq_ignore_ascii_case(local));
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("the URL has credentials in it, which are sent to nobody, and would be told in the log".to_owned());
    }
    match uri.scheme_str() {
        _ if host.is_empty() => Err(format!("{shown:?} is not a URL: it names no host")),
        Some("https") => Ok(uri),
        Some("http") if is_local => Ok(uri),
        Some("http") => {
            Err(format!("{shown:?} has no TLS: whoever is on the way could give keys of his own; use https"))
        }
        _ => Err(format!("{shown:?} is not an https URL")),
    }
}

impl IssuerOptions {
    /// Checks that what has to be said is said; `Err` says what is not.
    pub fn validate(&self) -> Result<(), String> {
        not_empty("the name of an identity issuer", &self.name)?;
        let claim = match &self.job {
            JobName::Claim(claim) => claim.as_str(),
            JobName::Template(_) => "a template",
        };
        for (what, value) in
            [("issuer", self.issuer.as_str()), ("audience", self.audience.as_str()), ("job_claim", claim)]
        {
            not_empty(&format!("{what} of identity issuer \"{}\"", self.name), value)?;
        }
        for required in &self.required_claims {
            not_empty(&format!("a required claim of identity issuer \"{}\"", self.name), &required.claim)?;
        }
        Ok(())
    }
}

/// Whether a text is like a pattern, in which `*` stands for any characters, or none.
pub fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or("");
    for piece in pieces {
        let Some(place) = left.find(piece) else { return false };
        left = &left[place + piece.len()..];
    }
    left.ends_with(last)
}

fn not_empty(what: &str, value: &str) -> Result<(), String> {
    if value.is_empty() { Err(format!("{what} must not be empty")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_this_machine_is_asked_without_tls() {
        for good in ["https://ci.example/a", "http://127.0.0.1:1/x", "http://localhost/", "http://[::1]:8080/"] {
            assert!(address(good).is_ok(), "{good}");
        }
        assert!(address("http://LocalHost:1/").is_ok());
        for secret in ["https://user:s3cr3t@h.example/", "http://s3cr3t@localhost/", "ftp://s3cr3t@localhost/"] {
            assert!(!address(secret).unwrap_err().contains("s3cr3t"), "{secret}");
        }
        for bad in ["http://ci.example", "http://127.0.0.1.evil.example/", "ftp://localhost/", "ci", "https://", "/a"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn templates_are_read_and_faults_in_them_named() {
        let read = Template::parse("ci/{repository}:{/a/b}{{x}}").unwrap();
        assert_eq!(read.begin, "ci/");
        assert_eq!(read.claims, [("repository".into(), ":".into()), ("/a/b".into(), "{x}".into())]);
        for (text, reason) in [
            ("{a}{b}", "side by side"),
            ("{a", "no }"),
            ("a}", "without a {"),
            ("{}", "without the name"),
            ("job", "names no claim"),
            ("", "names no claim"),
        ] {
            let told = Template::parse(text).unwrap_err();
            assert!(told.contains(reason), "{text}: {told}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in
            [("etl_*", "etl_"), ("etl_*", "etl_night"), ("*", ""), ("a*b*c", "abbc"), ("*_ro", "x_ro"), ("app", "app")]
        {
            assert!(is_like(text, pattern), "{pattern} {text}");
        }
        for (pattern, text) in
            [("etl_*", "ETL_x"), ("etl_*", "et"), ("app", "app2"), ("ab*ba", "aba"), ("a*b*c", "acb"), ("*_ro", "x_rw")]
        {
            assert!(!is_like(text, pattern), "{pattern} {text}");
        }
    }
}
