//! Right: who it was, and where the record lies.

use hansard_schemas::http::SessionDetail;
use leptos::prelude::*;

use super::State;
use crate::{
    pages::{
        api::{Load, encode},
        icon::{self, Icon},
        recorded::Recorded,
    },
    text,
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
    let lost = text::end_is_lost(&summary);
    let more = session.gaps.len().saturating_sub(MAX_GAPS);
    let more = (more > 0).then(|| {
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        view! { <p class="notice odd">{format!("{} more: all are in table sessions.", text::counted(more, "gap"))}</p> }
    });
    let incomplete = session.gaps.into_iter().take(MAX_GAPS).map(|gap| {
        let missing = gap.frames.map_or_else(|| "an unknown number of frames".to_owned(), |count| text::counted(count, "frame"));
        view! {
            <p class="notice odd">
                <Icon kind=icon::Kind::Warning/>
                <span>{format!("Not recorded: {missing} after frame {}: ", text::count(gap.after_seq))}<Recorded text=gap.reason/></span>
            </p>
        }
    });
    let export =
        |table: &str| format!("/api/v1/sessions/{}/export?table={table}&format=parquet", encode(&summary.session_id));
    let downloads = ["frames", "statements", "touches"]
        .map(|table| {
            view! {
                <li><a class="button small" href=export(table) rel="external" download><Icon kind=icon::Kind::Download/>{table}</a></li>
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
    let unflushed = session.files.is_empty();
    let files = session
        .files
        .into_iter()
        .map(|file| {
            let size = i64::try_from(file.bytes).unwrap_or(i64::MAX);
            view! { <li><span class="quiet">{file.table}" · "{text::bytes(size)}</span><code class="path">{file.path}</code></li> }
        })
        .collect_view();
    view! {
        {incomplete.collect_view()}
        {more}
        {lost.then(|| view! {
            <p class="notice odd">
                <Icon kind=icon::Kind::Warning/>
                <span>"The proxy ended before this session did: its end is not recorded, and when it was is not known."</span>
            </p>
        })}
        {session.auth_failure.map(|reason| view! {
            <p class="notice bad"><Icon kind=icon::Kind::Refused/><span>"Not let in: "<Recorded text=reason/></span></p>
        })}
        <h2>"Who"</h2>
        <dl>
            <Fact name="Job" value=summary.job.clone()/>
            <Fact name="Subject" value=summary.subject.clone()/>
            <Fact name="Issuer" value=summary.issuer.clone()/>
            <Fact name="Groups" value=session.groups.join(", ")/>
            <Fact name="Client" value=session.client_addr/>
            <Fact name="Application" value=session.application_name/>
            <Fact name="Encryption" value=encryption/>
            <Fact name="Certificate" value=session.client_dn.unwrap_or_default()/>
            <Fact name="Fingerprint" value=session.client_certificate_sha256.unwrap_or_default() code=true/>
        </dl>
        <h2>"Where"</h2>
        <dl>
            <Fact name="Target" value=summary.target.clone()/>
            <Fact name="Database" value=session.database/>
            <Fact name="Role" value=summary.db_user.clone()/>
        </dl>
        <h2>"When"</h2>
        <dl>
            <Fact name="Opened" value=format!("{} {}", text::date(&summary.opened_at), text::precise_time(&summary.opened_at))/>
            <Fact
                name=if lost { "Closed on recovery" } else { "Closed" }
                value=summary.closed_at.as_deref().map(|at| format!("{} {}", text::date(at), text::precise_time(at))).unwrap_or_default()
            />
            <Fact name="Duration" value=text::session_duration(&summary).map(text::duration).unwrap_or_default()/>
            <Fact name="Ended by" value=summary.close_reason.clone().unwrap_or_default()/>
        </dl>
        <h2>"Record"</h2>
        <dl>
            <Fact name="Captured" value=captured/>
            <Fact
                name="Frames"
                value=frames/>
            <Fact name="From the job" value=text::bytes(session.bytes_frontend)/>
            <Fact name="To the job" value=text::bytes(session.bytes_backend)/>
            <Fact name="Session" value=summary.session_id.clone() code=true/>
            <Fact name="Chain head" value=session.chain_head code=true/>
        </dl>
        <h2>"Parquet"</h2>
        <ul class="downloads" aria-label="Download this session's rows">{downloads}</ul>
        {unflushed.then(|| view! { <p class="quiet">"Not in a file of the lake yet: it is read from the event log."</p> })}
        <ul class="files" aria-label="Files of the lake that hold it">{files}</ul>
    }
}

/// A name and its value; nothing where there is no value.
#[component]
fn Fact(name: &'static str, #[prop(into)] value: String, #[prop(optional)] code: bool) -> impl IntoView {
    (!value.is_empty()).then(|| {
        let value = view! { <Recorded text=value/> };
        let value = if code { view! { <code>{value}</code> }.into_any() } else { value.into_any() };
        view! { <div><dt>{name}</dt><dd>{value}</dd></div> }
    })
}
