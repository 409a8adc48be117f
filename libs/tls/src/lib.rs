//! What both sides of every TLS connection here take from: the crypto provider, certificates, keys and authorities out of PEM
//! files, and files that are read again when they change.
//!
//! Invariant: one crypto provider, named here and nowhere else.

#![warn(missing_docs)]

pub mod files;

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The crypto provider of every connection.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM file, at least one. `key` is the setting that names the file.
pub fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = files::read(path).map_err(|reason| wrong(key, path, reason))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(wrong(key, path, "holds no certificate in PEM form")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(key, path, format!("is not valid PEM: {error}"))),
    }
}

/// The private key of a PEM file.
pub fn private_key(key: &str, path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = files::read(path).map_err(|reason| wrong(key, path, reason))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            wrong(key, path, "holds no private key in PEM form; one with a passphrase cannot be used")
        }
        error => wrong(key, path, format!("is not valid PEM: {error}")),
    })
}

/// Certificate authorities.
pub fn roots(key: &str, path: &Path) -> Result<RootCertStore, String> {
    roots_of(key, path, &certificates(key, path)?)
}

/// The authorities of the operating system: none where it has none.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    // Stores hold certificates from the last century; those that can be used are.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// These certificates, which are those of a file, as authorities.
pub fn roots_of(key: &str, path: &Path, certificates: &[CertificateDer<'_>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate.clone().into_owned())
            .map_err(|error| wrong(key, path, format!("holds an unusable certificate: {error}")))?;
    }
    Ok(roots)
}

/// What is wrong with a file that a setting names.
pub fn wrong(key: &str, path: &Path, reason: impl std::fmt::Display) -> String {
    format!("{key} {}: {reason}", path.display())
}
