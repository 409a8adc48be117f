//! A real OpenID provider: the npm package oidc-provider, with keys and clients as a test wants them.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, eventually, free_port, succeed, tail};

/// A provider that can be stopped, and started again with other keys.
#[derive(Debug)]
pub struct Provider {
    running: Option<Running>,
    port: u16,
    clients: Value,
    key: Value,
    folder: TempDir,
}

impl Provider {
    /// With these clients and the claims of their tokens; a client's secret is its id.
    pub fn start(clients: &[(&str, Value)]) -> Result<Provider> {
        let clients = clients.iter().map(|(id, claims)| json!({ "id": id, "secret": id, "claims": claims })).collect();
        let folder = tempfile::Builder::new().prefix("hansard-oidc-").tempdir()?;
        let mut provider = Provider { running: None, port: free_port()?, clients, key: Value::Null, folder };
        provider.rotate("first")?;
        Ok(provider)
    }

    /// Its `iss`.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts anew with a new key of that id, and that alone.
    pub fn rotate(&mut self, key_id: &str) -> Result<()> {
        self.key = key(key_id)?;
        self.stop()?;
        self.serve()
    }

    pub fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some(mut running) => running.kill(),
            None => Ok(()),
        }
    }

    /// Starts with the keys of before.
    pub fn serve(&mut self) -> Result<()> {
        let (node, modules) = installed()?;
        let said = json!({ "port": self.port, "ttl": 300, "clients": self.clients, "keys": [self.key] });
        let log = self.folder.path().join("log");
        let file = std::fs::File::create(&log)?;
        let program = crate::tree().context("outside of the tree")?.join("tests/src/oidc/provider.mjs");
        let mut command = Command::new(node);
        command.arg(program).env("HANSARD_NODE_MODULES", modules).env("PROVIDER", said.to_string());
        command.stdout(file.try_clone()?).stderr(Stdio::from(file));
        self.running = Some(Running::start("oidc-provider", &mut command)?);
        eventually("the provider is ready", Duration::from_secs(30), || {
            ensure!(std::fs::read_to_string(&log)?.contains("ready"), "it is not");
            Ok(())
        })
        .with_context(|| tail(&log))
    }

    /// An access token for Hansard, as a job gets it.
    pub fn token(&self, client: &str) -> Result<String> {
        let script = "const [url, client] = process.argv.slice(1);
            const body = new URLSearchParams({ grant_type: 'client_credentials', resource: 'urn:hansard' });
            const authorization = 'Basic ' + Buffer.from(client + ':' + client).toString('base64');
            fetch(url, { method: 'POST', body, headers: { authorization } }).then((answer) => answer.text())
                .then((text) => process.stdout.write(text));";
        let text = node(script, &[&format!("{}/token", self.issuer()), client])?;
        let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok(answer["access_token"].as_str().with_context(|| text.clone())?.to_owned())
    }
}

/// Node.js, and the folder of packages.
fn installed() -> Result<(PathBuf, PathBuf)> {
    let named = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set: run `cargo xtask test`"))
    };
    Ok((named("HANSARD_NODE")?, named("HANSARD_NODE_MODULES")?))
}

/// Runs a script to its end.
fn node(script: &str, arguments: &[&str]) -> Result<String> {
    succeed(Command::new(installed()?.0).args(["-e", script, "--"]).args(arguments))
}

/// A private key for ES256, as JWK.
fn key(id: &str) -> Result<Value> {
    let script = "const { privateKey } = require('crypto').generateKeyPairSync('ec', { namedCurve: 'P-256' });
        process.stdout.write(JSON.stringify(privateKey.export({ format: 'jwk' })))";
    let mut jwk: Value = serde_json::from_str(&node(script, &[])?)?;
    for (name, value) in [("kid", id), ("use", "sig"), ("alg", "ES256")] {
        jwk[name] = value.into();
    }
    Ok(jwk)
}
