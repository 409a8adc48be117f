//! The admin listener: `/healthz` (the process turns over), `/readyz` (jobs are served), `/metrics` (Prometheus).
//!
//! Holds no data of jobs, and needs no token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Says why jobs are not served at the moment, or what is not as it should be although they are, a line each. May block.
pub(crate) type Readiness = Arc<dyn Fn() -> Result<Vec<String>, String> + Send + Sync>;

/// A bound admin listener.
pub(crate) struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    metrics: PrometheusHandle,
}

impl Admin {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Admin, Failure> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Failure::usage(format!("admin.listen: cannot listen on {address}: {error}; choose a free address"))
        })?;
        let metrics = PrometheusBuilder::new()
            .install_recorder()
            .map_err(|error| Failure::usage(format!("cannot collect metrics: {error}")))?;
        let address = listener.local_addr().unwrap_or(address);
        Ok(Admin { listener, address, metrics })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn serve(self, readiness: Readiness, stop: CancellationToken) {
        let upkeep = {
            let metrics = self.metrics.clone();
            let stop = stop.clone();
            async move {
                let mut tick = tokio::time::interval(Duration::from_secs(5));
                while stop.run_until_cancelled(tick.tick()).await.is_some() {
                    metrics.run_upkeep();
                }
            }
        };
        tokio::join!(self.accept(readiness, stop), upkeep);
    }

    /// Connections that are open at the end are cut.
    async fn accept(&self, readiness: Readiness, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, readiness.clone(), self.metrics.clone()));
                }
                Err(error) => {
                    // For want of files, for instance: the next try may find some.
                    tracing::warn!(%error, "admin listener takes no connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn answer(stream: TcpStream, readiness: Readiness, metrics: PrometheusHandle) {
    let service = service_fn(|request: Request<Incoming>| {
        let (readiness, metrics) = (readiness.clone(), metrics.clone());
        async move {
            if request.method() != Method::GET && request.method() != Method::HEAD {
                return response(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            }
            match request.uri().path() {
                "/healthz" => response(StatusCode::OK, "ok\n".to_owned()),
                "/readyz" => ready(readiness).await,
                "/metrics" => response(StatusCode::OK, metrics.render()),
                _ => response(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".to_owned()),
            }
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new());
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "admin connection ended");
    }
}

async fn ready(readiness: Readiness) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let found = tokio::task::spawn_blocking(move || readiness()).await;
    match found.unwrap_or_else(|stopped| Err(format!("readiness could not be found out: {stopped}"))) {
        Ok(remarks) => {
            let lines = std::iter::once("ready".to_owned()).chain(remarks);
            response(StatusCode::OK, lines.map(|line| line + "\n").collect())
        }
        Err(reason) => response(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// All that is answered is text, the metrics in the form that Prometheus reads.
fn response(status: StatusCode, text: String) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")
        .body(Full::new(Bytes::from(text)))
}
