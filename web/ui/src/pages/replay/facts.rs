//! Right: who it was, and where the record lies.

use hansard_schemas::http::SessionDetail;
use leptos::prelude::*;

use super::{State, said};
use crate::{
    pages::{
        api::{Load, encode},
        icon,
        recorded::recorded,
    },
    states, text, visible,
};

#[component]
pub(super) fn Facts() -> impl IntoView {
    let state = expect_context::<State>();
    view! {
        <aside class="facts-pane" aria-label="Session facts">
            {move || match state.session.get() {
                Load::Ready(session) => view! { <Known session=session/> }.into_any(),
                _ => ().into_any(),
            }}
        </aside>
    }
}

/// Gaps that are written out.
const MAX_GAPS: usize = 20;

#[component]
fn Known(session: SessionDetail) -> impl IntoView {
    let SessionDetail { summary, .. } = session;
    let lost = states::end_is_lost(&summary);
    let moment = |at: Option<&String>| at.map(|at| text::moment(at)).unwrap_or_default();
    let let_in = session.auth_failure.is_none();
    let role = session.database_role.or_else(|| let_in.then(|| "not known".to_owned())).unwrap_or_default();
    let said = session.notices.iter().map(|notice| notice.more.unwrap_or(1)).sum::<u64>();
    let notices = (said > 0).then(|| {
        const TITLE: &str = "Said outside of any statement";
        view! { <h2>{TITLE}</h2>{said::notices(session.notices, TITLE)} }.into_any()
    });
    let more = session.gaps.len().saturating_sub(MAX_GAPS);
    let more = (more > 0).then(|| {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        let told = format!("{} more: all are in table sessions.", text::counted(more, "gap"));
        icon::notice("odd", icon::Kind::Warning, told.into_any())
    });
    let incomplete = session.gaps.into_iter().take(MAX_GAPS).map(|gap| {
        let missing =
            gap.frames.map_or_else(|| "an unknown number of frames".to_owned(), |count| text::counted(count, "frame"));
        let told = format!("Not recorded: {missing} after frame {}: ", text::count(gap.after_seq));
        icon::notice("odd", icon::Kind::Warning, view! { {told}{recorded(gap.reason)} }.into_any())
    });
    let export =
        |table: &str| format!("/api/v1/sessions/{}/export?table={table}&format=parquet", encode(&summary.session_id));
    let downloads = ["frames", "statements", "touches"]
        .map(|table| {
            view! {
                <li><a class="button small" href=export(table) rel="external" download>{icon::icon(icon::Kind::Download)}{table}</a></li>
            }
        })
        .collect_view();
    let frames = if session.frames > 0 { format!("1 to {}", text::count(session.frames)) } else { String::new() };
    let captured = match (session.capture.as_deref(), session.max_result_bytes) {
        (None | Some("full"), Some(limit)) => format!("in full, results up to {}", text::bytes(limit)),
        (None | Some("full"), None) => "in full".to_owned(),
        (Some("statements"), _) => "statements, without the rows of results".to_owned(),
        (Some("metadata"), _) => "metadata: neither texts nor values nor rows".to_owned(),
        (Some(other), _) => other.to_owned(),
    };
    let encryption = match (session.tls_version, session.tls_cipher) {
        (Some(version), Some(cipher)) => format!("{version}, {cipher}"),
        (version, _) => version.unwrap_or_else(|| "none".to_owned()),
    };
    let actors = session.actors.join("; before that ");
    let credential = match (session.authentication.as_deref(), session.token_id) {
        (None, _) => String::new(),
        (Some(way), None) => format!("a token, by {way}"),
        (Some(way), Some(id)) => format!("token {id}, by {way}"),
    };
    let unflushed = session.files.is_empty();
    let files = session
        .files
        .into_iter()
        .map(|file| {
            let size = i64::try_from(file.bytes).unwrap_or(i64::MAX);
            view! { <li><span class="quiet">{file.table}" · "{text::bytes(size)}</span><code class="path">{file.path}</code></li> }
        })
        .collect_view();
    let who = [
        ("Job", summary.job.clone()),
        ("Subject", summary.subject.clone()),
        ("Issuer", summary.issuer.clone()),
        ("Acts for it", actors),
        ("Purpose", session.purpose.unwrap_or_default()),
        ("Trace", session.traceparent.unwrap_or_default()),
        ("Groups", session.groups.join(", ")),
        ("Let in by", credential),
        ("Client", session.client_addr),
        ("Application", session.application_name),
        ("Encryption", encryption),
        ("Certificate", session.client_dn.unwrap_or_default()),
        ("Fingerprint", session.client_certificate_sha256.unwrap_or_default()),
    ];
    let place = [
        ("Target", summary.target.clone()),
        ("Database", session.database),
        ("Asked-for role", summary.db_user.clone()),
        ("Database role", role),
        ("Backend pid", session.backend_pid.map(|pid| pid.to_string()).unwrap_or_default()),
    ];
    let when = [
        ("Opened", moment(Some(&summary.opened_at))),
        ("Last frame", moment(summary.last_frame_at.as_ref())),
        (if lost { "Closed on recovery" } else { "Closed" }, moment(summary.closed_at.as_ref())),
        ("Duration", states::session_duration(&summary).map(text::duration).unwrap_or_default()),
    ];
    let denied = if summary.denied > 0 { text::count(summary.denied) } else { String::new() };
    let how = [
        ("Ending", states::ending(&summary).1),
        ("Reason", summary.close_reason.clone().unwrap_or_default()),
        ("Statements", text::count(summary.statements)),
        ("Errors", text::count(summary.errors)),
        ("Denied", denied),
    ];
    let record = [
        ("Captured", captured),
        ("Frames", frames),
        ("From the job", text::bytes(session.bytes_frontend)),
        ("To the job", text::bytes(session.bytes_backend)),
        ("Session", summary.session_id.clone()),
        ("Chain head", session.chain_head),
    ];
    view! {
        {incomplete.collect_view()}
        {more}
        {facts("Who", &who)}
        {facts("Where", &place)}
        {facts("When", &when)}
        {facts("How it went", &how)}
        {notices}
        {facts("Record", &record)}
        <h2>"Parquet"</h2>
        <ul class="downloads" aria-label="Download this session's rows">{downloads}</ul>
        {unflushed.then(|| view! { <p class="quiet">"Not in a file of the lake yet: it is read from the event log."</p> })}
        <ul class="files" aria-label="Files of the lake that hold it">{files}</ul>
    }
}

/// Those of them that are machines' names, and stand in their letters.
const CODES: [&str; 3] = ["Fingerprint", "Session", "Chain head"];

/// Names and their values; nothing where there is no value.
fn facts(title: &'static str, facts: &[(&'static str, String)]) -> AnyView {
    let facts = facts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| {
            let class = if CODES.contains(name) { "code" } else { "" };
            // A long one is shown in part; pointed at, and on paper, whole.
            let title = (value.len() > 200).then(|| visible::escaped(value));
            view! { <div><dt>{*name}</dt><dd class=class title=title>{recorded(value.clone())}</dd></div> }.into_any()
        })
        .collect_view();
    view! { <h2>{title}</h2><dl>{facts}</dl> }.into_any()
}
