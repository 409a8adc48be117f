//! What the server said, as psql shows it.

use hansard_schemas::http::{Notice, SaidDetails};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::{Row, Style, number, safe};

/// Of a line that an error points into, characters that are shown before and behind the place.
const AROUND: usize = 60;

/// Notices, as a column holds them.
pub(super) fn notices(json: &str, style: &Style) -> Vec<String> {
    let Ok(notices) = serde_json::from_str::<Vec<Notice>>(json) else { return vec![safe(json, false)] };
    notices.iter().flat_map(|notice| said(notice, style)).collect()
}

fn said(notice: &Notice, style: &Style) -> Vec<String> {
    if let Some(more) = notice.more {
        return vec![format!("(and {more} more, which are not kept here; the frames hold them)")];
    }
    let by = if notice.by.is_some() { " (Hansard)" } else { "" };
    let code = match notice.sqlstate.as_str() {
        "00000" | "" => String::new(),
        code => format!(" {}", safe(code, false)),
    };
    let line = format!("{}{code}{by}: {}", safe(&notice.severity, false).to_lowercase(), safe(&notice.message, false));
    let failed = matches!(notice.severity.as_str(), "ERROR" | "FATAL" | "PANIC");
    let mut lines = vec![if failed { style.red(&line) } else { line }];
    lines.extend(fields(&notice.details));
    lines
}

/// Of a step's error.
pub(super) fn error_details(step: &Row) -> Vec<String> {
    let text = |key: &str| step.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut lines = Vec::new();
    if let (Some(sql), Some(position)) = (step.get("sql").and_then(Value::as_str), number(step, "error_position")) {
        lines.extend(pointed(sql, position).into_iter().flatten());
    }
    lines.extend(fields(&SaidDetails {
        detail: text("error_detail"),
        hint: text("error_hint"),
        position: None,
        context: text("error_context"),
        internal_query: text("error_internal_query"),
        internal_position: number(step, "error_internal_position"),
        schema: text("error_schema"),
        table: text("error_table"),
        column: text("error_column"),
        data_type: text("error_data_type"),
        constraint: text("error_constraint"),
    }));
    lines
}

fn fields(details: &SaidDetails) -> Vec<String> {
    let whole = [("detail", &details.detail), ("hint", &details.hint), ("query", &details.internal_query)];
    let whole = whole.into_iter().chain([("context", &details.context)]);
    let mut lines: Vec<String> =
        whole.filter_map(|(name, text)| Some(format!("{name}: {}", safe(text.as_deref()?, false)))).collect();
    let about = [
        ("schema", &details.schema),
        ("table", &details.table),
        ("column", &details.column),
        ("type", &details.data_type),
        ("constraint", &details.constraint),
    ];
    let about: Vec<String> = about
        .into_iter()
        .filter_map(|(name, text)| Some(format!("{name} {}", safe(text.as_deref()?, false))))
        .collect();
    if !about.is_empty() {
        lines.push(format!("about: {}", about.join(", ")));
    }
    lines
}

/// The line of a text that holds its n-th character, from 1, and a mark below that.
fn pointed(sql: &str, position: i64) -> Option<[String; 2]> {
    let place = usize::try_from(position).ok()?.checked_sub(1)?;
    let (mut before, mut number) = (0, 1);
    for line in sql.split('\n') {
        let length = line.chars().count();
        if place <= before + length {
            let column = place - before;
            let from = column.saturating_sub(AROUND);
            let shown: String = line.chars().skip(from).take(2 * AROUND).collect();
            let left: String = line.chars().skip(from).take(column - from).collect();
            let head = format!("line {number}: {}", if from > 0 { "…" } else { "" });
            let pad = " ".repeat(head.width() + crate::output::safe(&left, false).width());
            return Some([format!("{head}{}", crate::output::safe(&shown, false)), format!("{pad}^")]);
        }
        before += length + 1;
        number += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_points_into_its_line() {
        let sql = "SELECT 映画,\n  xx FROM t";
        let place = sql.chars().take_while(|letter| *letter != 'x').count() + 1;
        let found = pointed(sql, i64::try_from(place).unwrap()).unwrap();
        assert_eq!(found, ["line 2:   xx FROM t".to_owned(), "          ^".to_owned()]);
        assert_eq!(pointed(sql, 8).unwrap()[1].len(), "line 1: SELECT ".len() + 1);
        assert_eq!((pointed(sql, 0), pointed(sql, 999)), (None, None));
    }

    #[test]
    fn what_a_server_says_commands_no_terminal() {
        let json = r#"[{"at":"t","severity":"NOTICE","sqlstate":"00000","message":"a\u001b[2J","detail":"\u202e","constraint":"k"},
                       {"at":"t","by":"hansard","severity":"FATAL","sqlstate":"57P01","message":"over"},{"more":3}]"#;
        let lines = notices(json, &Style { on: false });
        let expected = [
            "notice: a\\u{1b}[2J",
            "detail: \\u{202e}",
            "about: constraint k",
            "fatal 57P01 (Hansard): over",
            "(and 3 more, which are not kept here; the frames hold them)",
        ];
        assert_eq!(lines, expected);
    }
}
