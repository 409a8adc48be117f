//! A TCP relay that keeps what passes: the wire's own witness.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Both streams of the connections through it, one after the other in the order accepted.
#[derive(Clone)]
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Streams>>>,
}

/// What passed in one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams {
    pub(crate) frontend: Vec<u8>,
    pub(crate) backend: Vec<u8>,
}

impl Tap {
    pub(crate) async fn start(to: SocketAddr) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Tap { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let seen = tap.seen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let at = {
                    let mut seen = seen.lock();
                    seen.push(Streams::default());
                    seen.len() - 1
                };
                let Ok(server) = TcpStream::connect(to).await else { continue };
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                let (front, back) = (seen.clone(), seen.clone());
                tokio::spawn(pump(client_read, server_write, move |bytes| front.lock()[at].frontend.extend(bytes)));
                tokio::spawn(pump(server_read, client_write, move |bytes| back.lock()[at].backend.extend(bytes)));
            }
        });
        tap
    }
}

async fn pump(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        keep(&buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
