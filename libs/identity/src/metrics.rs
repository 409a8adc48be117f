//! What is counted of the issuers.

const KEY_REQUESTS: &str = "hansard_proxy_issuer_key_requests_total";

/// Gives the metrics their help texts.
pub fn describe() {
    metrics::describe_counter!(KEY_REQUESTS, "Requests for the keys of issuers, by issuer and outcome");
}

/// An issuer was asked for its keys.
pub(crate) fn keys_requested(issuer: &str, had: bool) {
    let outcome = if had { "ok" } else { "failed" };
    metrics::counter!(KEY_REQUESTS, "issuer" => issuer.to_owned(), "outcome" => outcome).increment(1);
}
