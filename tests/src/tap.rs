//! A wire tap: passes TCP connections on, byte for byte, and keeps a copy of both directions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What one connection carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// From the job.
    pub frontend: Vec<u8>,
    /// To the job.
    pub backend: Vec<u8>,
}

/// A listening tap.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    captures: Arc<Mutex<Vec<Arc<Mutex<Capture>>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Tap {
    pub async fn start(target: SocketAddr) -> Result<Tap> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let captures: Arc<Mutex<Vec<Arc<Mutex<Capture>>>>> = Arc::default();
        let kept = captures.clone();
        let task = tokio::spawn(async move {
            while let Ok((job, _)) = listener.accept().await {
                let capture = Arc::new(Mutex::new(Capture::default()));
                lock(&kept).push(capture.clone());
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(job, server, capture).await;
                    }
                });
            }
        });
        Ok(Tap { address, captures, task })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was carried so far, one entry a connection, in the order of their beginning.
    pub fn captures(&self) -> Vec<Capture> {
        lock(&self.captures).iter().map(|capture| lock(capture).clone()).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(job: TcpStream, server: TcpStream, capture: Arc<Mutex<Capture>>) {
    let _ = (job.set_nodelay(true), server.set_nodelay(true));
    let (mut job_read, mut job_write) = job.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let there = capture.clone();
    let up = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = job_read.read(&mut buffer).await {
            lock(&there).frontend.extend_from_slice(&buffer[..length]);
            if server_write.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        let _ = server_write.shutdown().await;
    };
    let down = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = server_read.read(&mut buffer).await {
            lock(&capture).backend.extend_from_slice(&buffer[..length]);
            if job_write.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        let _ = job_write.shutdown().await;
    };
    tokio::join!(up, down);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
