//! TLS towards jobs: who gets it, with which certificate, what is asked of theirs, and what a record says of it.
//!
//! Invariants: certificates are taken anew without a restart; no
//! session is resumed, so a changed certificate authority holds for the next connection. Source: the PostgreSQL manual,
//! "SSL Session Encryption"; RFC 8446.

use std::sync::Arc;

use der::Decode;
use hansard_identity::names::bounded;
use hansard_schemas::events;
use hansard_tls::files::FromFiles;
use hansard_tls::{certificates, private_key, provider, roots, wrong};
use ring::digest;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CommonState, ProtocolVersion, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::errors::Error;
use crate::options::{ClientCertificates, TargetOptions, TlsOptions};

/// TLS of a target's listener: what a job may, or has to, use.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    tls: Option<FromFiles<Shown>>,
    /// Sessions without TLS are taken.
    pub(crate) plaintext: bool,
}

/// What connections are encrypted with, and the certificate that they are shown.
#[derive(Debug, Clone)]
struct Shown {
    config: Arc<ServerConfig>,
    certificate: Vec<u8>,
}

impl ListenerTls {
    /// `alpn` is the protocol's name in TLS's own negotiation.
    pub(crate) fn open(target: &TargetOptions, alpn: &'static [u8]) -> Result<ListenerTls, Error> {
        let Some(options) = target.tls.clone() else { return Ok(ListenerTls { tls: None, plaintext: true }) };
        let files = [Some(&options.cert_file), Some(&options.key_file), options.client_ca_file.as_ref()];
        let files = files.into_iter().flatten().cloned().collect();
        let name = format!("TLS of target \"{}\"", target.name);
        let tls = FromFiles::open(name, files, move || server(&options, alpn))
            .map_err(|reason| Error::Credentials { target: target.name.clone(), reason })?;
        Ok(ListenerTls { tls: Some(tls), plaintext: target.allow_plaintext })
    }

    /// With the certificate, in DER, that whoever comes by it is shown; `None` when the target has none.
    pub(crate) fn acceptor(&self) -> Option<(TlsAcceptor, Vec<u8>)> {
        let shown = self.tls.as_ref()?.get();
        Some((TlsAcceptor::from(shown.config.clone()), shown.certificate.clone()))
    }
}

/// Most bytes that are recorded of a certificate's subject, which has several names.
const MAX_SUBJECT: usize = 2048;

/// SHA-256 of the certificate that the other side has shown.
pub(crate) fn certificate_digest(agreed: &CommonState) -> Option<Vec<u8>> {
    let certificate = agreed.peer_certificates()?.first()?;
    Some(digest::digest(&digest::SHA256, certificate).as_ref().to_vec())
}

/// What a record says of a connection's TLS, in the names of IANA's registry.
pub(crate) fn described(agreed: &CommonState) -> events::Tls {
    let version = match agreed.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    };
    let cipher = agreed.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or_default();
    let certificate = agreed.peer_certificates().and_then(<[_]>::first);
    events::Tls {
        version,
        cipher: cipher.replacen("TLS13_", "TLS_", 1),
        client_certificate: certificate.map(|certificate| events::ClientCertificate {
            subject: x509_cert::Certificate::from_der(certificate)
                .map(|certificate| bounded(&certificate.tbs_certificate.subject.to_string(), MAX_SUBJECT))
                .unwrap_or_default(),
            sha256: certificate_digest(agreed).unwrap_or_default(),
        }),
    }
}

fn server(options: &TlsOptions, alpn: &[u8]) -> Result<Shown, String> {
    let chain = certificates("tls.cert_file", &options.cert_file)?;
    let certificate = chain.first().map(|certificate| certificate.to_vec()).unwrap_or_default();
    let key = private_key("tls.key_file", &options.key_file)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match (&options.client_ca_file, options.client_certificates) {
        (Some(file), wanted @ (ClientCertificates::Optional | ClientCertificates::Required)) => {
            let roots = Arc::new(roots("tls.client_ca_file", file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            let verifier =
                if wanted == ClientCertificates::Optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| wrong("tls.client_ca_file", file, error))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            wrong("tls.key_file", &options.key_file, "is not the key of the certificate in tls.cert_file")
        }
        error => wrong("tls.cert_file", &options.cert_file, error),
    })?;
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Shown { config: Arc::new(config), certificate })
}
