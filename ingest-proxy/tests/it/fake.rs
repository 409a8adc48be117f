//! Servers that a test plays, honest or not.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Signed;
use crate::raw::{Raw, frame};

/// What connections sent, each until it was closed.
pub(crate) type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// Gives each connection to `play`.
pub(crate) async fn server<F>(play: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(play(stream));
        }
    });
    address
}

/// Answers the first packet of each connection with `words` and hears the rest out.
pub(crate) async fn saying(words: &[u8]) -> (SocketAddr, Heard) {
    let (words, heard) = (words.to_vec(), Heard::default());
    let all = heard.clone();
    let address = server(move |mut stream| {
        let (words, all) = (words.clone(), all.clone());
        async move {
            let mut buffer = vec![0; 4096];
            let read = stream.read(&mut buffer).await.unwrap_or_default();
            let mut heard = buffer[..read].to_vec();
            let _ = stream.write_all(&words).await;
            // A connection that is reset has said what it had to say.
            let _ = stream.read_to_end(&mut heard).await;
            all.lock().push(heard);
        }
    })
    .await;
    (address, heard)
}

/// Reads a StartupMessage.
pub(crate) async fn startup<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.unwrap();
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).await.unwrap();
    rest
}

/// An Authentication message.
pub(crate) fn ask(code: u32, body: &[u8]) -> Vec<u8> {
    frame(b'R', &[&code.to_be_bytes(), body].concat())
}

/// AuthenticationSASL with these mechanisms.
pub(crate) fn sasl(mechanisms: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = mechanisms.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
    ask(10, &[&names[..], b"\0"].concat())
}

/// Takes a StartupMessage, sends `words`, and returns the next message's body; `None` when there is none.
pub(crate) async fn answered<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>, words: &[u8]) -> Option<Vec<u8>> {
    startup(&mut raw.stream).await;
    raw.stream.write_all(words).await.ok()?;
    raw.message().await.map(|(_, body)| body)
}

/// With TLS, answers the StartupMessage of each connection with `words`; hears what is answered to that, or nothing.
pub(crate) async fn saying_over_tls(certificate: &Signed, words: &[u8]) -> (SocketAddr, Heard) {
    let (words, heard) = (words.to_vec(), Heard::default());
    let all = heard.clone();
    let address = tls_server(certificate, move |mut raw| {
        let (words, all) = (words.clone(), all.clone());
        async move {
            let answer = answered(&mut raw, &words).await;
            all.lock().push(answer.unwrap_or_default());
        }
    })
    .await;
    (address, heard)
}

/// Gives each connection to `play` once it is TLS, with this certificate.
pub(crate) async fn tls_server<F>(
    certificate: &Signed,
    play: impl Fn(Raw<TlsStream<TcpStream>>) -> F + Clone + Send + Sync + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(certificate.server());
    server(move |mut stream| {
        let (acceptor, play) = (acceptor.clone(), play.clone());
        async move {
            stream.read_exact(&mut [0; 8]).await.unwrap();
            stream.write_all(b"S").await.unwrap();
            // A client that does not like the certificate goes.
            if let Ok(stream) = acceptor.accept(stream).await {
                play(Raw::over(stream)).await;
            }
        }
    })
    .await
}
