//! Asks the server that the page came from.

use hansard_schemas::http::{API, ApiError, ErrorBody};
use leptos::{prelude::*, task::spawn_local};
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::{icon, recorded::recorded};

/// Something that is on its way, here, or will not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Load<T> {
    Loading,
    Ready(T),
    Failed(ErrorBody),
}

impl<T> From<Result<T, ErrorBody>> for Load<T> {
    fn from(result: Result<T, ErrorBody>) -> Load<T> {
        match result {
            Ok(value) => Load::Ready(value),
            Err(error) => Load::Failed(error),
        }
    }
}

/// Why nothing came.
fn failed(message: &str, hint: &str) -> ErrorBody {
    ErrorBody { code: "unavailable".into(), message: message.into(), hint: Some(hint.into()), ..ErrorBody::default() }
}

/// `address` is below the API's path.
pub(super) async fn get<T: DeserializeOwned>(address: &str) -> Result<T, ErrorBody> {
    parse(&fetch(address).await?)
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, ErrorBody> {
    serde_json::from_str(body)
        .map_err(|_| failed("The answer cannot be read.", "Reload the page: it may be older than the server."))
}

fn away<T>(_: T) -> ErrorBody {
    failed("Hansard does not answer.", "Is it still running? Start it again and reload this page.")
}

/// The body of an answer; one piece of code, whatever is in it.
async fn fetch(address: &str) -> Result<String, ErrorBody> {
    answered(window().fetch_with_str(&format!("{API}{address}"))).await
}

/// Asks for something to be done.
pub(super) async fn post(address: &str) -> Result<String, ErrorBody> {
    let how = web_sys::RequestInit::new();
    how.set_method("POST");
    answered(window().fetch_with_str_and_init(&format!("{API}{address}"), &how)).await
}

async fn answered(asked: js_sys::Promise) -> Result<String, ErrorBody> {
    let response = JsFuture::from(asked).await.map_err(away)?;
    let response: web_sys::Response = response.dyn_into().map_err(away)?;
    let body = JsFuture::from(response.text().map_err(away)?).await.map_err(away)?;
    let body = body.as_string().unwrap_or_default();
    if response.ok() { Ok(body) } else { Err(parse::<ApiError>(&body).map_or_else(|odd| odd, |error| error.error)) }
}

/// Loads, and loads anew whenever the address changes; an answer that comes too late is dropped.
pub(super) fn load<T>(address: impl Fn() -> String + 'static) -> RwSignal<Load<T>>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let loaded = RwSignal::new(Load::Loading);
    let asked = StoredValue::new(0_u64);
    Effect::new(move |_| {
        let address = address();
        let number = asked.get_value() + 1;
        asked.set_value(number);
        loaded.set(Load::Loading);
        spawn_local(async move {
            let answer = get(&address).await;
            if asked.try_get_value() == Some(number) {
                loaded.set(answer.into());
            }
        });
    });
    loaded
}

/// One part of a query string.
pub(super) fn encode(text: &str) -> String {
    js_sys::encode_uri_component(text).into()
}

/// What went wrong, where the content would be.
#[component]
pub(super) fn Failure(error: ErrorBody) -> impl IntoView {
    let signed_out = error.code == "unauthenticated";
    view! {
        <div class="notice bad" role="alert">
            {icon::icon(icon::Kind::Warning)}
            <div>
                <p class="strong">{recorded(error.message)}</p>
                {error.hint.map(|hint| view! { <p>{hint}</p> })}
                {signed_out.then(|| view! { <p><a href="/login" rel="external">"How to log in"</a></p> })}
            </div>
        </div>
    }
}
