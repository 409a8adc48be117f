//! The connection under a session: TCP, and TLS where the target's URL says so.
//!
//! Invariants: a server that declines TLS, or speaks before it is up, gets nothing more; what of its certificate is
//! checked is decided by `sslmode` alone. Source: the PostgreSQL manual, "SSL Session Encryption" and "SSL Support".

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Failure, certificate, prepare, unreachable};
use crate::options::{Roots, SslMode, TargetOptions, UpstreamOptions, UpstreamTls};
use crate::relay::stream::Stream;
use hansard_tls::{self as tls, files::FromFiles};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How TLS to one target's database is made.
#[derive(Debug)]
pub(super) struct Client {
    name: ServerName<'static>,
    config: FromFiles<Arc<ClientConfig>>,
    /// The server's certificate is checked.
    checked: bool,
}

/// A connection that nothing has been said on.
pub(super) struct Line {
    pub(super) stream: Stream,
    pub(super) safety: Safety,
}

/// What a password may be trusted to.
#[derive(Debug)]
pub(super) enum Safety {
    /// The bytes do not leave this machine.
    Local,
    Plain,
    Tls {
        /// It is known who is at the other end.
        checked: bool,
        /// What SCRAM can be bound to.
        end_point: Option<Vec<u8>>,
    },
}

impl Client {
    /// `None` where the target's URL says so.
    pub(super) fn open(target: &TargetOptions) -> Result<Option<Client>, String> {
        let UpstreamOptions { host, tls, .. } = &target.upstream;
        let Some(tls) = tls.clone() else { return Ok(None) };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name)
            .map_err(|_| format!("upstream {host:?} is no name that a certificate can be for; use sslmode=disable"))?;
        let files = target.upstream.clone().files_mut().map(|file| file.clone()).collect::<Vec<PathBuf>>();
        let checked = tls.mode != SslMode::Require;
        let what = format!("TLS to the database of target \"{}\"", target.name);
        let config = FromFiles::open(what, files, move || client(&tls))?;
        Ok(Some(Client { name, config, checked }))
    }
}

fn client(tls: &UpstreamTls) -> Result<Arc<ClientConfig>, String> {
    let (believed, named) = match &tls.mode {
        SslMode::Require => (None, false),
        SslMode::VerifyCa(file) => (Some(Believed::read(file)?), false),
        SslMode::VerifyFull(Roots::File(file)) => (Some(Believed::read(file)?), true),
        SslMode::VerifyFull(Roots::System) => (Some(Believed { roots: system_roots()?, own: Vec::new() }), true),
    };
    let provider = tls::provider();
    let verifier = Arc::new(Verifier { believed, named, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = tls::certificates("sslcert", certificate)?;
            let private_key = tls::private_key("sslkey", key)?;
            builder.with_client_auth_cert(chain, private_key).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("sslkey {}: is not the key of the certificate in sslcert", key.display())
                }
                error => format!("sslcert {}: {error}", certificate.display()),
            })?
        }
    };
    config.alpn_protocols = vec![crate::postgres::ALPN.to_vec()];
    // Each session's certificate is looked at anew.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, String> {
    let roots = tls::system_roots();
    if roots.is_empty() {
        return Err("sslmode=verify-full without sslrootcert needs the operating system's certificate authorities, and there are none: install the package ca-certificates, or give sslrootcert".to_owned());
    }
    Ok(roots)
}

/// Connects, and secures the connection as the target says.
pub(super) async fn dial(target: &TargetOptions, tls: Option<&Client>) -> Result<Line, Failure> {
    let upstream = &target.upstream;
    let broken = |error: std::io::Error| unreachable(target, &error.to_string());
    let mut stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await.map_err(broken)?;
    let peer = stream.peer_addr().map_err(broken)?;
    prepare(&stream).map_err(broken)?;
    let Some(tls) = tls else {
        let safety = if is_local(peer) { Safety::Local } else { Safety::Plain };
        return Ok(Line { stream: Stream::Plain(stream), safety });
    };
    stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
    // Nothing but one byte may come before the handshake has begun: more would be somebody's in between.
    let mut answer = [0; 2];
    match (stream.read(&mut answer).await.map_err(broken)?, answer[0]) {
        (1, b'S') => {}
        (1, b'N') => {
            let hint = "it does not offer TLS, which the target's upstream asks for; set ssl = on at the server, or say sslmode=disable where the network is trusted";
            return Err(unreachable(target, hint));
        }
        (0, _) => return Err(unreachable(target, "it closed the connection when it was asked for TLS")),
        (_, b'S') => return Err(unreachable(target, "it sent data before TLS was up")),
        _ => return Err(unreachable(target, "it answered a request for TLS with something else")),
    }
    let connector = TlsConnector::from((*tls.config.get()).clone());
    let connecting = Box::pin(connector.connect(tls.name.clone(), stream));
    let stream = connecting.await.map_err(|error| {
        unreachable(
            target,
            &format!("TLS with it failed: {error}; see sslmode and sslrootcert of the target's upstream"),
        )
    })?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let end_point = certificate.and_then(|certificate| certificate::end_point(certificate));
    Ok(Line { safety: Safety::Tls { checked: tls.checked, end_point }, stream: Stream::tls(stream) })
}

/// Whether bytes to this address stay on this machine.
fn is_local(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// Checks as much of a server's certificate as `sslmode` says.
#[derive(Debug)]
struct Verifier {
    /// `None`: anybody's certificate is good.
    believed: Option<Believed>,
    /// The host's name has to be in it.
    named: bool,
    provider: Arc<CryptoProvider>,
}

/// Whose certificates are good.
#[derive(Debug)]
struct Believed {
    roots: RootCertStore,
    /// The authorities' own: a server with a certificate that signs itself is named by that very certificate.
    own: Vec<CertificateDer<'static>>,
}

impl Believed {
    fn read(file: &Path) -> Result<Believed, String> {
        let own = tls::certificates("sslrootcert", file)?;
        Ok(Believed { roots: tls::roots_of("sslrootcert", file, &own)?, own })
    }

    /// Whether a good certificate was refused for being an authority's, which the operator has named as the server's.
    fn names(&self, end_entity: &CertificateDer<'_>, refusal: &rustls::Error) -> bool {
        let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = refusal else { return false };
        // The times of its validity are looked at before this.
        matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) && self.own.contains(end_entity)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(believed) = &self.believed else { return Ok(ServerCertVerified::assertion()) };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let chain = verify_server_cert_signed_by_trust_anchor(&parsed, &believed.roots, intermediates, now, algorithms);
        if let Err(refusal) = chain
            && !believed.names(end_entity, &refusal)
        {
            return Err(refusal);
        }
        if self.named {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
