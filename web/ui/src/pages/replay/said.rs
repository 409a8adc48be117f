//! What the server said in words: errors and notices, in psql's order and with its names for their parts.

use std::sync::Arc;

use hansard_schemas::http::{Notice, SaidDetails, Step};
use leptos::prelude::*;

use super::State;
use crate::{
    pages::{
        icon,
        recorded::{marked, marked_parts},
    },
    pointed::{Pointed, pointed},
    text, visible,
};

/// What a statement failed with, and where it points.
pub(super) fn failed(state: State, step: &Arc<Step>) -> AnyView {
    let severity = step.error_severity.as_deref().unwrap_or("ERROR");
    let head = format!("{severity}:  {}: ", step.sqlstate.as_deref().unwrap_or("?"));
    let message = step.error.clone().unwrap_or_else(|| "(its text is not recorded)".to_owned());
    let details = step.error_details.clone().unwrap_or_default();
    let place = match (place(step), details.position) {
        (Some(found), _) => Some(line(&step.sql, &found)),
        (None, Some(at)) if !step.text_omitted => {
            Some(format!("It points at character {} of the statement.", text::count(at)).into_any())
        }
        _ => None,
    };
    view! {
        <div class="notice bad">
            {icon::icon(icon::Kind::of_step(step))}
            <div class="said">
                <p class="strong">{head}{move || marked(&message, &state.find.get())}</p>
                {place.map(|place| view! { <p class="line">{place}</p> }.into_any())}
                {parts(details)}
            </div>
        </div>
    }
    .into_any()
}

/// Where a statement's error points into its text, as far as the text is here.
pub(super) fn place(step: &Step) -> Option<Pointed> {
    pointed(&step.sql, step.error_details.as_ref()?.position?)
}

/// The line that is pointed into, as psql shows it.
fn line(sql: &str, Pointed { place, line, part, whole }: &Pointed) -> AnyView {
    let at = &sql[place.clone()];
    let at = if at.is_empty() { "the end" } else { at };
    let left = if part.start > whole.start { "…" } else { "" };
    let right = if part.end < whole.end { "…" } else { "" };
    let (before, behind) = (&sql[part.start..place.start], &sql[place.end..part.end]);
    view! {
        {format!("LINE {}: {left}", text::count(*line))}
        <code><bdi>{marked_parts(before, 0, &[])}<mark class="fault">{marked_parts(at, 0, &[])}</mark>{marked_parts(behind, 0, &[])}</bdi></code>
        {right}
    }
    .into_any()
}

/// All parts but the message.
fn parts(details: SaidDetails) -> AnyView {
    let SaidDetails { detail, hint, internal_query, context, schema, table, column, data_type, constraint, .. } =
        details;
    let parts: Vec<AnyView> = [
        ("DETAIL", detail),
        ("HINT", hint),
        ("QUERY", internal_query),
        ("CONTEXT", context),
        ("SCHEMA NAME", schema),
        ("TABLE NAME", table),
        ("COLUMN NAME", column),
        ("DATATYPE NAME", data_type),
        ("CONSTRAINT NAME", constraint),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some(view! { <div><dt>{name}</dt><dd>{marked(&text?, "")}</dd></div> }.into_any()))
    .collect();
    if parts.is_empty() { ().into_any() } else { view! { <dl>{parts}</dl> }.into_any() }
}

/// Notices, and errors that are no statement's.
pub(super) fn notices(notices: Vec<Notice>, label: &'static str) -> AnyView {
    let items: Vec<AnyView> = notices.into_iter().map(notice).collect();
    view! { <div class="notices" role="region" aria-label=label tabindex="0"><ul>{items}</ul></div> }.into_any()
}

fn notice(notice: Notice) -> AnyView {
    if let Some(more) = notice.more {
        let more = text::count(i64::try_from(more).unwrap_or(i64::MAX));
        return view! { <li>{format!("{more} more are not kept here: the recorded frames hold them.")}</li> }
            .into_any();
    }
    let class = match notice.severity.as_str() {
        "ERROR" | "FATAL" | "PANIC" => "said bad",
        _ => "said",
    };
    let code = match notice.sqlstate.as_str() {
        "00000" | "" => String::new(),
        code => format!(" {code}:"),
    };
    let head = visible::escaped(&format!("{}:{code} ", notice.severity));
    let position = notice
        .details
        .position
        .map_or_else(String::new, |at| format!(", at character {} of what was sent", text::count(at)));
    let by = if notice.by.is_some() { ", Hansard's own words" } else { "" };
    let tail = format!(" {} UTC{by}{position}", text::precise_time(&notice.at));
    view! {
        <li class=class>
            <p><span class="strong">{head}</span>{marked(&notice.message, "")}<span class="quiet tabular">{tail}</span></p>
            {parts(notice.details)}
        </li>
    }
    .into_any()
}
