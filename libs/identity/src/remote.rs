//! An issuer's keys, asked for over HTTPS and kept.
//!
//! Invariants: keys that were had are believed for [`RemoteKeys::max_age`] at most while no others can be had, and after
//! that no token of the issuer is; it is asked at most every [`AGAIN`], and less often while it does not answer, whoever sends
//! tokens; at most [`WAITING`] jobs wait for it; what is not a key set leaves the keys as they were.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use parking_lot::Mutex;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::https;
use crate::keys::{self, Key};
use crate::metrics;
use crate::options::{RemoteKeys, address};

/// Between two requests, whatever they are on account of.
const AGAIN: Duration = Duration::from_secs(3);

/// For one request, with all that it takes.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a job waits for keys: until the issuer may be asked again, and for its answer.
const PATIENCE: Duration = Duration::from_secs(9);

/// Jobs that wait for one issuer's keys at once. Others of its tokens are refused meanwhile: an issuer that is slow takes no
/// places from the jobs of others.
const WAITING: usize = 50;

/// How long keys are kept before they are asked for anew: at least, where the answer says nothing of it, and at most.
const KEPT: (Duration, Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3600));

/// Between two attempts while there is no answer: the first, doubling up to the last.
const BACK_OFF: (Duration, Duration) = (AGAIN, Duration::from_secs(60));

/// Most characters of a reason, some of which issuers choose.
const REASON: usize = 300;

type Keys = Arc<Vec<Arc<Key>>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Remote {
    name: String,
    issuer: String,
    options: RemoteKeys,
    client: Arc<ClientConfig>,
    state: watch::Sender<State>,
    wanted: Notify,
    waiting: Semaphore,
    /// When it may be asked again; none while it is being asked.
    next: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct State {
    /// With when they were had last.
    keys: Option<(Keys, Instant)>,
    /// Requests that have ended.
    ended: u64,
    /// Why the last one brought nothing.
    trouble: Option<String>,
}

impl Remote {
    pub(crate) fn open(name: &str, issuer: &str, options: &RemoteKeys) -> Result<Remote, String> {
        let remote = Remote {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            client: https::client(options.ca_file.as_deref())?,
            options: options.clone(),
            state: watch::Sender::new(State::default()),
            wanted: Notify::new(),
            waiting: Semaphore::new(WAITING),
            next: Mutex::new(None),
        };
        options.check(issuer)?;
        Ok(remote)
    }

    /// The keys, where there are any that may be believed.
    pub(crate) fn keys(&self) -> Option<Keys> {
        let state = self.state.borrow();
        let (keys, at) = state.keys.as_ref()?;
        (at.elapsed() < self.options.max_age).then(|| keys.clone())
    }

    /// Waits for keys that are newer than those of now, where the issuer may be asked soon. Whether they came.
    pub(crate) async fn refreshed(&self) -> bool {
        let Ok(_place) = self.waiting.try_acquire() else { return false };
        let mut states = self.state.subscribe();
        let before = states.borrow_and_update().ended;
        let next = *self.next.lock();
        if next.is_some_and(|next| next > Instant::now() + AGAIN) {
            return false;
        }
        let answered = async {
            if let Some(next) = next {
                tokio::time::sleep_until(next).await;
                self.wanted.notify_one();
            }
            states.wait_for(|state| state.ended > before).await.is_ok_and(|state| state.trouble.is_none())
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap_or(false)
    }

    /// Why no keys can be had at present, and what of it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state.borrow();
        let reason = match (&state.trouble, &state.keys) {
            (Some(reason), _) => reason,
            (None, Some((_, at))) if at.elapsed() < self.options.max_age => return None,
            (None, _) => "it has not answered yet",
        };
        let what = match &state.keys {
            None => "its tokens are refused".to_owned(),
            Some((_, at)) => match self.options.max_age.checked_sub(at.elapsed()) {
                Some(left) => format!("the keys of before are believed for {} s more", left.as_secs()),
                None => "the keys of before are too old, and its tokens are refused".to_owned(),
            },
        };
        Some(format!("keys of issuer \"{}\": {reason}; {what}", self.name))
    }

    /// Keeps the keys up to date. Never ends.
    pub(crate) async fn keep(&self) {
        let mut back_off = BACK_OFF.0;
        loop {
            let (earliest, latest) = match self.ask().await {
                Some(kept) => {
                    back_off = BACK_OFF.0;
                    (AGAIN, kept.min(self.options.max_age / 2))
                }
                None => {
                    let pause = back_off;
                    back_off = (2 * back_off).min(BACK_OFF.1);
                    (pause, pause)
                }
            };
            let now = Instant::now();
            *self.next.lock() = Some(now + earliest);
            tokio::time::sleep_until(now + earliest).await;
            // Once is enough for all who wanted it meanwhile.
            let _ = tokio::time::timeout_at(now + latest.max(earliest), self.wanted.notified()).await;
            *self.next.lock() = None;
        }
    }

    /// Asks once; how long what came may be kept.
    async fn ask(&self) -> Option<Duration> {
        let fetched = self.fetch().await;
        metrics::keys_requested(&self.name, fetched.is_ok());
        let before = self.state.borrow().trouble.clone();
        let (keys, kept) = match fetched {
            Ok((keys, max_age)) => {
                if before.is_some() {
                    tracing::info!(issuer = %self.name, "the issuer's keys can be had again");
                }
                (Ok(keys), Some(max_age.unwrap_or(KEPT.1).clamp(KEPT.0, KEPT.2)))
            }
            Err(reason) => {
                if before.as_ref() != Some(&reason) {
                    tracing::warn!(issuer = %self.name, %reason, "the issuer's keys cannot be had");
                }
                (Err(reason), None)
            }
        };
        self.state.send_modify(|state| {
            state.ended += 1;
            match keys {
                Ok(keys) => (state.keys, state.trouble) = (Some((Arc::new(keys), Instant::now())), None),
                Err(reason) => state.trouble = Some(reason),
            }
        });
        kept
    }

    /// The keys as the issuer has them now.
    pub(crate) async fn fetch(&self) -> Result<(Vec<Arc<Key>>, Option<Duration>), String> {
        let fetched = tokio::time::timeout(ANSWER, self.fetch_whole()).await;
        let late = |_| format!("{} did not answer within {} s", self.issuer, ANSWER.as_secs());
        fetched.map_err(late).flatten().map_err(|reason| reason.chars().take(REASON).collect())
    }

    async fn fetch_whole(&self) -> Result<(Vec<Arc<Key>>, Option<Duration>), String> {
        let first = address(&self.options.first_address(&self.issuer))?;
        let address = match &self.options.url {
            Some(_) => first,
            None => self.discover(&first).await?,
        };
        let answer = https::get(&address, &self.client).await?;
        let keys = keys::parse(&answer.body)
            .map_err(|reason| format!("{} is no key set: {reason}", https::shown(&address)))?;
        Ok((keys, answer.max_age))
    }

    /// OpenID Connect Discovery 1.0, section 4.
    async fn discover(&self, url: &Uri) -> Result<Uri, String> {
        let answer = https::get(url, &self.client).await?;
        let document: Value =
            serde_json::from_slice(&answer.body).map_err(|error| format!("{url} is not JSON: {error}"))?;
        let text = |key: &str| document.get(key).and_then(Value::as_str);
        match text("issuer") {
            Some(issuer) if issuer == self.issuer => {}
            other => return Err(format!("{url} is of another issuer: {:?}", other.unwrap_or("none"))),
        }
        let keys = address(text("jwks_uri").ok_or_else(|| format!("{url} has no jwks_uri"))?)?;
        if keys.scheme_str() == Some("http") && self.issuer.starts_with("https:") {
            return Err(format!("{url} says that the keys are at an address without TLS"));
        }
        Ok(keys)
    }
}
