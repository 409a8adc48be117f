//! A certificate for what serves on this machine, and connections that believe it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Names of the files, as PostgreSQL looks for them.
pub const CERTIFICATE: &str = "server.crt";
pub const KEY: &str = "server.key";

/// Writes both to this folder: a certificate for 127.0.0.1 that signs itself.
pub fn write_certificate(folder: &Path) -> Result<()> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(folder.join(CERTIFICATE), own.cert.pem())?;
    std::fs::write(folder.join(KEY), own.signing_key.serialize_pem())?;
    // PostgreSQL takes no key that others can read.
    Ok(std::fs::set_permissions(folder.join(KEY), std::fs::Permissions::from_mode(0o600))?)
}

/// A connection to who has the certificate in this folder, without an SSLRequest before it.
pub async fn connect(address: SocketAddr, folder: &Path) -> Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join(CERTIFICATE))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await?)
}
