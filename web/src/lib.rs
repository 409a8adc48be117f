//! The web server: the API over the record, and the pages of the replay.
//!
//! Invariants: it listens on loopback only; nothing of the record is answered without a browser session or the
//! owner's token, but on a socket whose file only those can open who may read the record; connections, requests, bodies, answers and logins are bounded. It reads the record through the
//! query engine alone and writes nothing but its token file and, beside it, the hashes of its browser sessions; what it decides
//! on leases goes to the event log and the control feed.

#![warn(missing_docs)]

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    description::{As, Page},
    failure::Failure,
    parameters::{Asked, Text},
};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Redirect, Response},
};
use hansard_query::Engine;
use hansard_schemas::http::TargetHint;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

mod access;
mod api;
mod assets;
mod compression;
mod description;
mod failure;
mod guard;
mod leases;
mod listener;
mod parameters;

pub use access::{TokenFileError, read_token};
pub use leases::{LeaseOptions, LeaseTarget};

/// Requests answered at the same time; more are told to come again.
const MAX_REQUESTS: usize = 64;
/// Open connections; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 512;
/// Open connections of the commands on this machine.
const MAX_LOCAL_CONNECTIONS: usize = 64;
/// A request's body: a statement in SQL.
const MAX_BODY: usize = 256 * 1024;
/// How much longer than a query a request may take until its answer begins: its body, and several queries where a page needs them.
const REQUEST_MARGIN: Duration = Duration::from_secs(30);
/// How long requests under way may go on after a shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How to serve, already validated but for the address.
#[derive(Debug, Clone)]
pub struct WebOptions {
    /// Where to listen: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The file with the owner's token; made, with mode 0600, when there is none.
    pub token_file: PathBuf,
    /// The command that prints a new login link, as it is to be typed.
    pub login_command: String,
    /// How jobs reach the proxy, to teach it where there are no sessions yet.
    pub targets: Vec<TargetHint>,
    /// Leases, where this process reaches what the proxies follow.
    pub leases: Option<LeaseOptions>,
}

/// Why the web server cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other machines.
    #[error(
        "web.listen = \"{0}\" can be reached from other machines, and this version has no TLS; use 127.0.0.1 or [::1] \
         and reach it through an SSH tunnel"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken, or not ours.
    #[error("web.listen = \"{address}\" cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The owner's token cannot be read or made.
    #[error(transparent)]
    Token(#[from] TokenFileError),
    /// Serving ended by itself.
    #[error("the web server stopped: {0}")]
    Serve(#[source] std::io::Error),
}

/// A bound web server.
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    local: Option<UnixListener>,
    shared: Arc<Shared>,
}

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) access: access::Access,
    pub(crate) login_command: String,
    pub(crate) targets: Vec<TargetHint>,
    pub(crate) leases: Option<Arc<leases::Leases>>,
    pub(crate) address: SocketAddr,
    /// The session cookie's name: it holds the port, for cookies don't know ports.
    pub(crate) cookie: String,
    pub(crate) requests: Semaphore,
    pub(crate) request_timeout: Duration,
}

impl Web {
    /// Binds the address and reads or makes the owner's token.
    pub async fn bind(options: WebOptions, engine: Arc<Engine>) -> Result<Web, Error> {
        if !options.listen.ip().is_loopback() {
            return Err(Error::NotLoopback(options.listen));
        }
        let token = access::read_or_create_token(&options.token_file)?;
        let bind = |source| Error::Bind { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let request_timeout = engine.options().timeout.saturating_add(REQUEST_MARGIN);
        let shared = Arc::new(Shared {
            engine,
            access: access::Access::new(&token, options.token_file.with_extension("sessions"), access::now()),
            login_command: options.login_command,
            targets: options.targets,
            leases: options.leases.map(|options| Arc::new(leases::Leases::new(options))),
            address,
            cookie: format!("hansard_{}", address.port()),
            requests: Semaphore::new(MAX_REQUESTS),
            request_timeout,
        });
        Ok(Web { listener, address, local: None, shared })
    }

    /// Answers on a socket of this machine as well, and asks for no token there: its file's mode says who may ask.
    pub fn also_on(self, local: UnixListener) -> Web {
        Web { local: Some(local), ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long a request may take until its answer begins.
    pub fn request_timeout(&self) -> Duration {
        self.shared.request_timeout
    }

    /// Whom it asks.
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.shared.engine)
    }

    /// A new link that logs one browser in, once, within the hour. `&next=/sessions/ID?step=N` appended (and encoded)
    /// leads to that page.
    pub fn login_link(&self) -> String {
        self.shared.login_link()
    }

    /// Serves until `stop`; requests under way get a few seconds to end.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Error> {
        let following =
            self.shared.leases.clone().map(|leases| {
                tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move { leases.keep().await }))
            });
        let listener = listener::Bounded::new(self.listener, MAX_CONNECTIONS);
        let router = router(self.shared);
        let asked = || stop.clone().cancelled_owned();
        let local = self.local.map(|socket| {
            let router = router.clone().layer(Extension(guard::Local));
            axum::serve(listener::Bounded::new(socket, MAX_LOCAL_CONNECTIONS), router).with_graceful_shutdown(asked())
        });
        let serving = axum::serve(listener, router).with_graceful_shutdown(asked());
        let serving = async {
            match local {
                Some(local) => tokio::try_join!(serving.into_future(), local.into_future()).map(drop),
                None => serving.await,
            }
        };
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        let ended = tokio::select! {
            ended = serving => ended.map_err(Error::Serve),
            () = deadline => Ok(()),
        };
        drop(following);
        ended
    }
}

impl Shared {
    pub(crate) fn login_link(&self) -> String {
        format!("http://{}/login?token={}", self.address, self.access.mint_link(access::now()))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let (api, open) = api::routers(&shared.cookie);
    let api = api
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(shared.clone(), guard::bounded))
        .layer(middleware::from_fn_with_state(shared.clone(), guard::identified))
        .layer(middleware::from_fn(compression::packed));
    open.nest("/api", api)
        .fallback(assets::serve)
        .layer(middleware::from_fn(guard::own_host))
        .layer(middleware::from_fn(guard::security_headers))
        .with_state(shared)
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct LoginQuery {
    /// The link's secret; without it the page says how to log in.
    #[serde(default)]
    token: Text<128>,
    /// The page to open then, one of this server's own; another one is not.
    next: Option<Text<8192>>,
}

impl LoginQuery {
    /// One of our own pages, whatever was asked for.
    fn page(&self) -> &str {
        let plain = |path: &str| {
            let pages = ["/sessions", "/jobs", "/who-changed"].map(|page| path.strip_prefix(page));
            pages.into_iter().flatten().any(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
                && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        };
        self.next.as_ref().map(Text::trimmed).filter(|path| plain(path)).unwrap_or("/sessions")
    }
}

/// Exchanges the link for a session cookie, and takes the secret out of the address bar.
async fn log_in(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    query: Result<Asked<LoginQuery>, Failure>,
) -> As<Page> {
    let query = match query {
        Ok(Asked(query)) => query,
        Err(failure) => {
            let said = format!("<p>{}</p>", assets::escaped(&failure.message));
            return As::new(assets::page(StatusCode::BAD_REQUEST, "This address is wrong", &said));
        }
    };
    As::new(logged_in(&shared, &headers, &query))
}

fn logged_in(shared: &Shared, headers: &HeaderMap, query: &LoginQuery) -> Response {
    let (now, token) = (access::now(), query.token.trimmed());
    let Some(session) = shared.access.exchange(token, now) else {
        let known = guard::cookie(headers, &shared.cookie).is_some_and(|held| shared.access.is_session(held, now));
        if known {
            return Redirect::to(query.page()).into_response();
        }
        let (status, title) = match token.is_empty() {
            true => (StatusCode::OK, "Log in"),
            false => (StatusCode::FORBIDDEN, "This login link does not work any more"),
        };
        return assets::page(status, title, &how_to_log_in(&shared.login_command));
    };
    let cookie = format!(
        "{}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}",
        shared.cookie,
        access::SESSION_VALID.as_secs()
    );
    let mut response = Redirect::to(query.page()).into_response();
    match HeaderValue::from_str(&cookie) {
        Ok(value) => {
            response.headers_mut().insert(header::SET_COOKIE, value);
            response
        }
        Err(error) => Failure::internal("a session cookie is no header value", &error).into_response(),
    }
}

/// What a browser that is not logged in is told.
fn how_to_log_in(command: &str) -> String {
    format!(
        "<p>A login link works once, and for an hour; then the browser stays logged in for twelve hours. On the machine where \
         Hansard runs, this prints a new one:</p><pre><code>{}</code></pre>",
        assets::escaped(command)
    )
}
