//! A text taken apart into questions and commands of the shell.
//!
//! Invariant: a semicolon or a backslash within quotes, dollar quotes and comments ends nothing.

/// Something to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A question in SQL.
    Sql(String),
    /// A command of the shell, without its backslash; behind a question it is about that one.
    Command(String),
}

/// All pieces of a text; the last question need not be ended.
pub(crate) fn all(text: &str) -> Vec<Piece> {
    let (mut pieces, rest) = split(text);
    if has_words(rest) {
        pieces.push(Piece::Sql(rest.trim().to_owned()));
    }
    pieces
}

/// The pieces that are ended, and what is left.
pub(crate) fn split(text: &str) -> (Vec<Piece>, &str) {
    let bytes = text.as_bytes();
    let (mut pieces, mut begin, mut at) = (Vec::new(), 0, 0);
    let question = |begin: usize, end: usize| {
        let sql = text[begin..end].trim();
        has_words(sql).then(|| Piece::Sql(sql.to_owned()))
    };
    while at < bytes.len() {
        match bytes[at] {
            b';' => {
                pieces.extend(question(begin, at));
                at += 1;
                begin = at;
            }
            b'\\' => {
                pieces.extend(question(begin, at));
                let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |line| at + line);
                pieces.push(Piece::Command(text[at + 1..end].trim().to_owned()));
                at = end;
                begin = end;
            }
            _ => at = token_end(bytes, at).unwrap_or(bytes.len()),
        }
    }
    (pieces, &text[begin..])
}

/// Behind the token that begins there; `None` where its end is missing.
fn token_end(bytes: &[u8], at: usize) -> Option<usize> {
    let find = |from: usize, what: &[u8]| {
        bytes.get(from..)?.windows(what.len()).position(|window| window == what).map(|place| from + place + what.len())
    };
    match (bytes[at], bytes.get(at + 1)) {
        // A doubled quote ends one text and begins the next: that comes to the same.
        (quote @ (b'\'' | b'"'), _) => find(at + 1, &[quote]),
        (b'-', Some(b'-')) => find(at, b"\n"),
        (b'/', Some(b'*')) => comment_end(bytes, at),
        (b'$', _) => {
            let tag = bytes[at + 1..].iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))?;
            let end = at + 1 + tag;
            match bytes[end] == b'$' && !bytes[at + 1..end].first().is_some_and(u8::is_ascii_digit) {
                true => find(end + 1, &bytes[at..=end]),
                false => Some(at + 1),
            }
        }
        _ => Some(at + 1),
    }
}

/// Comments nest.
fn comment_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// There is more than space and comments.
fn has_words(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let comment = matches!(bytes.get(at..at + 2), Some(b"--" | b"/*"));
        if !comment && !bytes[at].is_ascii_whitespace() {
            return true;
        }
        at = if comment { token_end(bytes, at).unwrap_or(bytes.len()) } else { at + 1 };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> Piece {
        Piece::Sql(text.to_owned())
    }

    #[test]
    fn what_is_quoted_ends_nothing() {
        let text = "SELECT ';', \"a;b\" -- it's; no end\n, $x$ ; \\d $x$ /* ; /* ; */ ; */; SELECT 2";
        let (first, second) = text.rsplit_once(';').unwrap();
        assert_eq!(all(text), [sql(first), sql(second.trim())]);
        assert_eq!(split("SELECT 'open; ").0, []);
        assert_eq!(split("SELECT 1; SELECT").1.trim(), "SELECT");
        assert_eq!(all("SELECT 'größe''s;' ; ; -- nothing\n"), [sql("SELECT 'größe''s;'")]);
        assert_eq!(all("SELECT $1, a$b$c;SELECT 2").len(), 1);
        assert_eq!(all("  /* no words */ -- at all"), []);
    }

    #[test]
    fn commands_stand_on_a_line_or_behind_a_question() {
        let command = |text: &str| Piece::Command(text.to_owned());
        assert_eq!(all("\\d films\nSELECT 1;"), [command("d films"), sql("SELECT 1")]);
        assert_eq!(all("SELECT 1 \\watch 2\nSELECT 2"), [sql("SELECT 1"), command("watch 2"), sql("SELECT 2")]);
    }

    #[test]
    fn a_long_text_is_split_in_one_pass() {
        let text = "SELECT 'x'; /* */ \\x\n".repeat(100_000);
        let begun = std::time::Instant::now();
        assert_eq!(all(&text).len(), 200_000);
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
