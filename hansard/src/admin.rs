//! The admin listener: `/healthz` (the process turns over), `/readyz` (jobs are served), `/metrics` (Prometheus).
//!
//! Holds no data of jobs, and needs no token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Says why jobs are not served at the moment; `None` when they are. May block.
pub(crate) type Readiness = Arc<dyn Fn() -> Option<String> + Send + Sync>;

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
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready).with_state(readiness))
            .route("/metrics", get(render).with_state(self.metrics));
        let server = axum::serve(self.listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let (served, ()) = tokio::join!(server.into_future(), upkeep);
        if let Err(error) = served {
            tracing::error!(%error, "admin listener ended");
        }
    }
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let hindrance = tokio::task::spawn_blocking(move || readiness()).await;
    match hindrance.unwrap_or_else(|stopped| Some(format!("readiness could not be found out: {stopped}"))) {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn render(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
}
