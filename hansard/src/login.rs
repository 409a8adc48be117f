//! `hansard login`: a new link into the running instance, for one browser.

use std::path::Path;

use hansard_schemas::http::LoginLink;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header;
use hyper_util::rt::TokioIo;

use crate::config::Config;
use crate::failure::Failure;
use crate::{output, socket};

/// Prints the link; nobody else is told it.
pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::load(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    let link = runtime.block_on(mint(&config))?;
    output::line(&format!("open {}", link.url))?;
    output::note(&format!("it works once, within {} minutes", link.valid_seconds / 60));
    Ok(())
}

async fn mint(config: &Config) -> Result<LoginLink, Failure> {
    let nobody = || {
        Failure::usage(format!(
            "no instance of {} runs here that serves the pages: start it with `hansard up`",
            config.file.display()
        ))
    };
    let socket = socket::find(config).await.ok_or_else(nobody)?;
    let lost =
        |reason: String| Failure::usage(format!("the instance on {} does not answer: {reason}", socket.display()));
    let stream = socket::connect(&socket).await.ok_or_else(nobody)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(error.to_string()))?;
    tokio::spawn(connection);
    let request = hyper::Request::post("/api/v1/login-links")
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| lost(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| lost(error.to_string()))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| lost(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|_| lost(format!("it answers {status}")))
}

/// The command for a configuration, as it is to be typed.
pub(crate) fn command(config: &Path) -> String {
    let path = config.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:@%,".contains(letter);
    let path = if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) };
    format!("hansard login --config {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted() {
        assert_eq!(command(Path::new("/srv/h/hansard.toml")), "hansard login --config /srv/h/hansard.toml");
        assert_eq!(command(Path::new("/a b/it's.toml")), "hansard login --config '/a b/it'\\''s.toml'");
    }
}
