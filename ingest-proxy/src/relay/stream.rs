//! One connection, to a job or to a database, plain or with TLS.
//!
//! Invariants: plain text costs one branch a call; bytes that a write took with TLS are on their way, not in a buffer
//! that waits for a flush; an end is an end, with TLS's own goodbye (close_notify) or without: messages say how long
//! they are, so a connection that was cut is seen in them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// See the module.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A connection with TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    stream: TlsStream<TcpStream>,
    /// Bytes of the pending write that are encrypted and not all sent. A pending write is repeated with the same bytes
    /// first, as [`tokio::io::AsyncWriteExt::write_all`] and the relay do.
    taken: usize,
}

impl Stream {
    pub(crate) fn tls(stream: impl Into<TlsStream<TcpStream>>) -> Stream {
        Stream::Tls(Box::new(Tls { stream: stream.into(), taken: 0 }))
    }

    /// What was agreed on by TLS.
    pub(crate) fn agreed(&self) -> Option<&CommonState> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => Some(tls.stream.get_ref().1),
        }
    }
}

impl Tls {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken).min(bytes.len())))
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(tls) => tls.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(tls) => tls.poll_write(cx, bytes),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(&mut tls.stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// Both ends of a TLS connection with little room in the kernel.
    async fn pair() -> (Stream, tokio_rustls::client::TlsStream<TcpStream>) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(hansard_tls::provider());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut server = server.with_single_cert(vec![own.cert.der().clone()], key).unwrap();
        // Unread, they would make an end a reset.
        server.send_tls13_tickets = 0;
        let mut roots = RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(hansard_tls::provider());
        let client = client.with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let (connected, accepted) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
        let accepted = accepted.unwrap().0;
        socket2::SockRef::from(&accepted).set_send_buffer_size(4096).unwrap();
        let (acceptor, connector) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        let name = ServerName::try_from("localhost").unwrap();
        let (server, client) = tokio::join!(acceptor.accept(accepted), connector.connect(name, connected.unwrap()));
        (Stream::tls(server.unwrap()), client.unwrap())
    }

    #[tokio::test]
    async fn what_is_written_arrives_without_a_flush() {
        let (mut server, mut client) = pair().await;
        // Less than what TLS would hold back for itself, more than the kernel has room for.
        let sent: Vec<u8> = (0..=255).cycle().take(60_000).collect();
        let mut received = vec![0; sent.len()];
        let write = async {
            for chunk in sent.chunks(7_001) {
                server.write_all(chunk).await.unwrap();
            }
            // Waits for the other side, as a relay does, and writes no more.
            server.read(&mut [0]).await
        };
        let read = async {
            client.read_exact(&mut received).await.unwrap();
            client.write_all(b"!").await.unwrap();
            client.flush().await
        };
        let both = async { tokio::join!(write, read) };
        let (ended, _) = tokio::time::timeout(Duration::from_secs(60), both).await.expect("the last bytes arrive");
        assert_eq!(ended.unwrap(), 1);
        assert_eq!(received, sent);
    }

    #[tokio::test]
    async fn an_end_without_a_goodbye_is_an_end() {
        let (mut server, client) = pair().await;
        drop(client);
        assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    }
}
