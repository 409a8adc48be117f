//! The answer in its three parts: what is certain, what may be, and what was looked at.

use hansard_schemas::http::{API, Changes, ErrorBody, LookedAt, TouchRow, WhoChanged};
use leptos::prelude::*;

use super::{FAULT, Shared, address};
use crate::pages::{
    api::{self, Load, encode},
    icon::{self, Badge},
    recorded::recorded,
    route::use_route,
};
use crate::{question, text};

/// Characters of a statement in a row.
const MAX_SQL: usize = 200;
/// Rows of each part on demand; beyond, they are in the CSV.
const MORE: u64 = 1000;

#[component]
pub(super) fn Answer(question: String) -> impl IntoView {
    let shared = expect_context::<Shared>();
    let answer = api::load::<WhoChanged>({
        let question = question.clone();
        move || format!("/who-changed?{question}")
    });
    Effect::new(move |_| match answer.get() {
        Load::Loading => {}
        Load::Failed(error) => shared.at_fault.set(error.parameter),
        Load::Ready(answer) => shared.targets.update(|targets| {
            targets.extend(answer.looked_at.into_iter().map(|looked| looked.target));
        }),
    });
    view! {
        <div class="sr-only" role="status">
            {move || match answer.get() {
                Load::Loading => "Asking".to_owned(),
                Load::Failed(_) => String::new(),
                Load::Ready(answer) => {
                    let count = |part: &Changes| text::count(i64::try_from(part.total).unwrap_or(i64::MAX));
                    format!("{} certain, {} possible", count(&answer.certain), count(&answer.possible))
                }
            }}
        </div>
        {move || match answer.get() {
            Load::Loading => view! { <p class="quiet loading">"Asking the record…"</p> }.into_any(),
            Load::Failed(error) => view! { <Refused error=error/> }.into_any(),
            Load::Ready(answer) => view! { <Told answer=answer question=question.clone()/> }.into_any(),
        }}
    }
}

/// The address of the same question with one part changed.
fn with(part: &'static str, value: &str) -> String {
    let query = use_route().address_untracked();
    let value = value.to_owned();
    format!("/who-changed?{}", address(|name| if name == part { Some(value.clone()) } else { query.get(name) }))
}

/// What is wrong, what to do, and the nearest names to ask for instead.
#[component]
fn Refused(error: ErrorBody) -> impl IntoView {
    // With links to the nearest names the sentence needs not list them.
    let message = match error.message.split_once("; nearest: ") {
        Some((message, _)) if !error.nearest.is_empty() => format!("{message}."),
        _ => error.message,
    };
    let message = text::sentence(&message);
    let nearest = (!error.nearest.is_empty()).then(|| {
        let links = error
            .nearest
            .into_iter()
            .map(|name| {
                let to = with("relation", &name);
                view! { <li><a href=to class="button"><code>{recorded(name)}</code></a></li> }
            })
            .collect_view();
        view! { <p>"Nearest:"</p><ul class="nearest" aria-label="Nearest relations">{links}</ul> }
    });
    view! {
        <div class="notice bad" role="alert" id=FAULT>
            {icon::icon(icon::Kind::Warning)}
            <div>
                <p class="strong">{recorded(message)}</p>
                {error.hint.map(|hint| view! { <p>{hint}</p> })}
                {nearest}
            </div>
        </div>
    }
}

#[component]
fn Told(answer: WhoChanged, question: String) -> impl IntoView {
    let done = question::done(&answer.operations);
    let did = question::did(&answer.operations);
    let stretch = text::stretch(&answer.from, &answer.to);
    // Times of this day need not name it.
    let day = text::date(&answer.from).to_owned();
    let day = if day == text::date(&answer.to) { day } else { String::new() };
    let several = answer.looked_at.len() > 1;
    let csv = format!("{API}/who-changed?{question}&format=csv");
    let rows = answer.certain.total + answer.possible.total;
    let nothing = answer.certain.total == 0;
    let nobody = answer.looked_at.is_empty();
    view! {
        <div class="asked">
            <p>
                <code class="strong">{recorded(answer.relation.clone())}</code>
                <span>{question::named(&answer.operations)}</span>
                <span class="tabular">{stretch.clone()}</span>
                {answer.target.clone().map(|target| view! { <span>"target "{recorded(target)}</span> })}
            </p>
            {(rows > 0).then(|| view! {
                <a class="button small" href=csv rel="external" download>{icon::icon(icon::Kind::Download)}"All rows as CSV"</a>
            })}
        </div>
        <section class="part" aria-labelledby="part-certain">
            <Heading id="part-certain" kind=icon::Kind::Done title=done total=answer.certain.total/>
            {if nothing {
                view! {
                    <div class="nothing">
                        <p>
                            "No job is recorded to have certainly "{did.clone()}" "<code>{recorded(answer.relation.clone())}</code>
                            " from "{stretch.clone()}"."
                        </p>
                        <Wider operations=answer.operations.clone()/>
                    </div>
                }.into_any()
            } else {
                view! { <Rows part=answer.certain possible=false day=day.clone() several=several/> }.into_any()
            }}
        </section>
        <section class="part" aria-labelledby="part-possible">
            <Heading id="part-possible" kind=icon::Kind::Doubt title=format!("May have {did}") total=answer.possible.total/>
            {if answer.possible.total == 0 {
                let told = if nobody { "There is nothing to doubt: no session was open then." } else {
                    "Nothing else: all that these sessions did then is known."
                };
                view! { <p class="nothing">{told}</p> }.into_any()
            } else {
                view! { <Rows part=answer.possible possible=true day=day several=several/> }.into_any()
            }}
        </section>
        <section class="part" aria-labelledby="part-looked">
            <h2 id="part-looked"><span class="mark calm">{icon::icon(icon::Kind::Look)}</span>"Looked at"</h2>
            <LookedAtAll all=answer.looked_at stretch=stretch/>
        </section>
    }
}

#[component]
fn Heading(id: &'static str, kind: icon::Kind, #[prop(into)] title: String, total: u64) -> impl IntoView {
    let tone = if total == 0 { "calm" } else { kind.tone() };
    view! {
        <h2 id=id>
            <span class=format!("mark {tone}")>{icon::icon(kind)}</span>
            {title}
            <span class="quiet">{text::count(i64::try_from(total).unwrap_or(i64::MAX))}</span>
        </h2>
    }
}

/// The same question, asked a little wider.
#[component]
fn Wider(operations: Vec<String>) -> impl IntoView {
    let windows = [("10m", "10 minutes"), ("1h", "1 hour"), ("1d", "1 day")].map(|(window, name)| {
        let to = with("window", window);
        view! { <li><a href=to class="button small">{format!("± {name}")}</a></li> }
    });
    let any = (operations != ["any"]).then(|| {
        let to = with("operation", "any");
        view! { <li><a href=to class="button small">"Any operation"</a></li> }
    });
    view! {
        <ul class="wider" aria-label="Ask wider">
            {windows.into_iter().collect_view()}
            {any}
        </ul>
    }
}

/// One part's rows. Roles are written out: on a phone each row is a card, which would else be no table any more.
#[component]
fn Rows(part: Changes, possible: bool, day: String, several: bool) -> impl IntoView {
    let shown = u64::try_from(part.rows.len()).unwrap_or(u64::MAX);
    let number = |number: u64| text::count(i64::try_from(number).unwrap_or(i64::MAX));
    let more = (shown < part.total).then(|| {
        let told = format!("The first {} of {}.", number(shown), number(part.total));
        let to = (shown < MORE).then(|| with("limit", &MORE.to_string()));
        view! {
            <p class="more">
                {told}" "
                {to.map(|to| view! { <a href=to class="button small">"Show more"</a>" " })}
                <span class="quiet">"The CSV has all; a shorter window or a target has fewer."</span>
            </p>
        }
    });
    let mut heads = vec!["When (UTC)", "Job", "Operation", "Relation"];
    if possible {
        heads.push("Why it is only possible");
    }
    heads.push("Statement");
    let class = if possible { "changes possible" } else { "changes" };
    view! {
        <table class=class role="table">
            <thead role="rowgroup">
                <tr role="row">
                    {heads.into_iter().map(|head| view! { <th scope="col" role="columnheader">{head}</th> }).collect_view()}
                </tr>
            </thead>
            <tbody role="rowgroup">
                {part.rows.into_iter().map(|touch| view! { <Row touch=touch possible=possible day=&day several=several/> }).collect_view()}
            </tbody>
        </table>
        {more}
    }
}

#[component]
fn Row<'a>(touch: TouchRow, possible: bool, day: &'a str, several: bool) -> impl IntoView {
    // Statement 0 stands for a session of which frames are missing.
    let session = touch.statement_no == 0;
    let (when, what) = match &touch.committed_at {
        Some(at) => (at.clone(), "committed"),
        None => (touch.at.clone(), if session { "session opened" } else { "started" }),
    };
    let days = text::date(&when) != day;
    let at = encode(&touch.session_id);
    let to = if session { format!("/sessions/{at}") } else { format!("/sessions/{at}?step={}", touch.statement_no) };
    let place =
        if session { "the session".to_owned() } else { format!("statement {}", text::count(touch.statement_no)) };
    let job = if touch.job.is_empty() { "(unknown)".to_owned() } else { touch.job };
    let outcome = match touch.transaction_outcome.as_str() {
        _ if session => None,
        "open" => Some((icon::Kind::Open, "not committed yet")),
        "unknown" => Some((icon::Kind::Warning, "outcome not known")),
        _ => None,
    };
    let via = touch.via.filter(|via| via != "direct");
    let columns = touch.columns.join(", ");
    let reason = match (touch.reason, touch.outcome_reason) {
        (Some(reason), Some(outcome)) if reason != outcome => Some(format!("{reason}; {outcome}")),
        (reason, outcome) => reason.or(outcome),
    };
    let reason = reason.map(|reason| view! { {recorded(reason)} });
    let (why, note) = if possible { (Some(reason), None) } else { (None, reason) };
    let sql = touch.sql.unwrap_or_default();
    let sql = match text::one_line(&sql, MAX_SQL) {
        line if touch.cut && !line.ends_with('…') => format!("{line} …"),
        line => line,
    };
    let relation = if touch.relation == "?" { "? (not known)".to_owned() } else { touch.relation };
    let operation = if session { "not recorded".to_owned() } else { touch.operation };
    view! {
        <tr role="row">
            <td role="cell" class="when">
                <span>
                    {days.then(|| view! { <span class="date quiet">{text::date(&when).to_owned()}</span>" " })}
                    {text::precise_time(&when).to_owned()}
                </span>
                <span class="quiet">{what}</span>
            </td>
            <td role="cell" class="who">
                <a href=to><span class="strong">{recorded(job)}</span>" "<span class="place">{place}</span></a>
                {several.then(|| view! { <span class="quiet">"target "{recorded(touch.target)}</span> })}
                <span class="printed">{format!("session {}", touch.session_id)}</span>
            </td>
            <td role="cell" data-label="Operation">
                <span>{operation}</span>
                {touch.rows.map(|rows| view! { <span class="quiet">{text::counted(rows, "row")}</span> })}
                {outcome.map(|(kind, text)| view! { <Badge kind=kind text=text/> })}
            </td>
            <td role="cell" data-label="Relation">
                <code>{recorded(relation)}</code>
                {via.map(|via| view! { <span class="quiet">{format!("by {}", reached(&via))}</span> })}
                {(!columns.is_empty()).then(|| view! { <span class="quiet">{recorded(text::one_line(&columns, 80))}</span> })}
                {note.map(|note| view! { <span class="note">{note}</span> })}
            </td>
            {why.map(|why| view! { <td role="cell" class="why" data-label="Why only possible">{why}</td> })}
            <td role="cell" class="text">
                {if sql.is_empty() {
                    let told = if session { "See the session for what is missing." } else { "Its text is not recorded." };
                    view! { <span class="quiet">{told}</span> }.into_any()
                } else {
                    view! { <code>{recorded(sql)}</code> }.into_any()
                }}
            </td>
        </tr>
    }
}

/// How a relation was reached, in words.
fn reached(via: &str) -> String {
    match via {
        "view" | "rule" | "trigger" | "function" | "partition" => format!("a {via}"),
        "cascade" => "a cascade of a foreign key".to_owned(),
        other => other.to_owned(),
    }
}

#[component]
fn LookedAtAll(all: Vec<LookedAt>, stretch: String) -> impl IntoView {
    if all.is_empty() {
        return view! {
            <p class="nothing">
                {format!("No session was open from {stretch}: nothing went through Hansard then that could have done it.")}
            </p>
        }
        .into_any();
    }
    let items = all
        .into_iter()
        .map(|looked| {
            let gaps = (looked.with_gaps > 0).then(|| view! {
                <Badge kind=icon::Kind::Warning text=format!("{} with gaps in the record", text::count(looked.with_gaps))/>
            });
            let whole = (looked.with_gaps == 0).then_some("none with gaps in the record");
            let catalog = match looked.catalog.as_deref() {
                Some(at) => format!("names by the catalog of {} {} UTC", text::date(at), text::precise_time(at)),
                None => "no catalog recorded: names by the statements' texts alone".to_owned(),
            };
            view! {
                <li>
                    <span>"Target "<strong>{recorded(looked.target)}</strong></span>
                    <span>{text::counted(looked.sessions, "session")}" open then"</span>
                    {gaps}
                    {whole.map(|whole| view! { <span>{whole}</span> })}
                    <span>{catalog}</span>
                </li>
            }
        })
        .collect_view();
    view! { <ul class="looked">{items}</ul> }.into_any()
}
