//! `hansard lease` and `hansard revoke`: leases for a job that has a token, and the end of what somebody holds.
//!
//! Invariants: a job's token goes to the instance on this machine alone, on its socket or a port of it; a lease's password goes
//! to standard output where it was asked for, to the environment of the one command that `run` starts, and nowhere else.

mod asking;
mod running;

use std::path::Path;

use hansard_schemas::http::{
    LeaseGiven, LeaseRequest, LeaseSummary, Page, RevocationDone, RevocationKind, RevocationRequest,
};

use crate::cli::{Lease, LeaseAsked, LeaseFormat, LeaseRequested, ListFormat, Revoke};
use crate::failure::Failure;
use crate::output::{self, safe};
use asking::Instance;

pub(crate) fn run(file: &Path, asked: &Lease) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        match asked {
            Lease::Request(LeaseRequested { asked, format, from }) => {
                let instance = Instance::find(file, from, true).await?;
                show(&request(&instance, asked).await?, *format)
            }
            Lease::List { format, from } => list(&Instance::find(file, from, false).await?, *format).await,
            Lease::Revoke { id, reason, from } => {
                let instance = Instance::find(file, from, false).await?;
                let done = revoke(&instance, id, reason.as_deref()).await?;
                output::line(&format!("{} is revoked", safe(id, false)))?;
                output::note(&format!("it would have ended at {}", done.until));
                Ok(())
            }
            Lease::Run { asked, from, command } => {
                let instance = Instance::find(file, from, true).await?;
                let lease = request(&instance, asked).await?;
                running::run(&instance, &lease, command).await
            }
        }
    })
}

/// `hansard revoke`.
pub(crate) fn revoke_all(file: &Path, asked: &Revoke) -> Result<(), Failure> {
    let Revoke { token_id, subject, job, issuer, reason, duration, from } = asked;
    let kind = match (token_id, subject, job) {
        (Some(_), ..) => RevocationKind::Token,
        (_, Some(_), _) => RevocationKind::Subject,
        (_, _, Some(_)) => RevocationKind::Job,
        _ => RevocationKind::Issuer,
    };
    let request = RevocationRequest {
        kind,
        issuer: issuer.clone(),
        token_id: token_id.clone(),
        subject: subject.clone(),
        job: job.clone(),
        reason: reason.clone(),
        duration: duration.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let instance = Instance::find(file, from, false).await?;
        let done: RevocationDone = instance.post("/api/v1/revocations", &request).await?;
        output::line(&format!("{} revoked until {}", done.kind, done.until))
    })
}

async fn request(instance: &Instance, asked: &LeaseAsked) -> Result<LeaseGiven, Failure> {
    let request = LeaseRequest {
        target: asked.target.clone(),
        role: asked.role.clone(),
        database: asked.database.clone(),
        purpose: asked.purpose.clone(),
        duration: asked.duration.clone(),
        max_connections: asked.connections,
        certificate_sha256: asked.certificate_sha256.clone(),
    };
    instance.post("/api/v1/leases", &request).await
}

async fn revoke(instance: &Instance, id: &str, reason: Option<&str>) -> Result<RevocationDone, Failure> {
    let id = id.trim();
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Failure::usage("a lease's name is as `hansard lease list` shows it: lease-…"));
    }
    let reason = reason.map(|reason| format!("?reason={}", asking::percent(reason))).unwrap_or_default();
    instance.delete(&format!("/api/v1/leases/{id}{reason}")).await
}

fn show(lease: &LeaseGiven, format: LeaseFormat) -> Result<(), Failure> {
    match format {
        LeaseFormat::Url => output::line(&lease.url),
        LeaseFormat::Pgpass => output::line(&lease.pgpass),
        LeaseFormat::Json => output::line(&serde_json::to_string_pretty(lease).map_err(Failure::internal)?),
        LeaseFormat::Env => {
            for (name, value) in &lease.environment {
                output::line(&format!("export {name}={}", quoted(value)))?;
            }
            Ok(())
        }
        LeaseFormat::Table => {
            let port = lease.port.to_string();
            let rows = [
                ("user", lease.user.as_str()),
                ("password", &lease.password),
                ("target", &lease.target),
                ("host", &lease.host),
                ("port", &port),
                ("database", lease.database.as_deref().unwrap_or("any")),
                ("expires_at", &lease.expires_at),
            ];
            for (name, value) in rows {
                output::line(&format!("{name:<10}  {}", safe(value, false)))?;
            }
            Ok(())
        }
    }
}

/// As a shell reads it back.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

async fn list(instance: &Instance, format: ListFormat) -> Result<(), Failure> {
    let page: Page<LeaseSummary> = instance.get("/api/v1/leases").await?;
    match format {
        ListFormat::Json => output::line(&serde_json::to_string_pretty(&page.items).map_err(Failure::internal)?)?,
        ListFormat::Table => {
            let header = ["id", "job", "target", "role", "expires_at", "connections", "purpose"].map(str::to_owned);
            let rows = page.items.iter().map(|lease| {
                let connections = match (lease.connections, lease.max_connections) {
                    (Some(made), Some(most)) => format!("{made} of {most}"),
                    _ => "any".to_owned(),
                };
                let purpose = lease.purpose.clone().unwrap_or_default();
                [
                    lease.id.clone(),
                    lease.job.clone(),
                    lease.target.clone(),
                    lease.role.clone(),
                    lease.expires_at.clone(),
                    connections,
                    purpose,
                ]
                .map(|cell| safe(&cell, false))
            });
            let rows: Vec<[String; 7]> = std::iter::once(header).chain(rows).collect();
            let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let widths: [usize; 7] = std::array::from_fn(width);
            for row in &rows {
                let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
                output::line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
            }
        }
    }
    let total = page.total.unwrap_or(0);
    if total > page.items.len() as u64 {
        output::note(&format!("there are {total}; `hansard sql` has all in table leases"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_for_a_shell() {
        assert_eq!(quoted("a'b c"), "'a'\\''b c'");
    }
}
