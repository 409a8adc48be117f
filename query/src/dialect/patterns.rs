//! Patterns as PostgreSQL reads them: `~` and its like, `SIMILAR TO`, and the functions on regular expressions.
//!
//! The engine's regular expressions are another dialect. Invariant: a pattern matches what it matches in PostgreSQL; what
//! cannot be said in the engine's dialect is refused.
//! Source: the PostgreSQL manual, "Pattern Matching".

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, UnaryOperator,
    Value,
};

use super::longest::{self, Taken};
use super::pattern_values::Kind;
use crate::Error;

/// An operator on a pattern; `None` where it is none.
pub(super) fn of_operator(expr: &Expr) -> Result<Option<Expr>, Error> {
    use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
    Ok(match expr {
        Expr::BinaryOp {
            left,
            op: op @ (PGRegexMatch | PGRegexIMatch | PGRegexNotMatch | PGRegexNotIMatch),
            right,
        } => {
            let right = Box::new(pattern(right, "", Taken::Never)?);
            Some(Expr::BinaryOp { left: left.clone(), op: op.clone(), right })
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            if escape_char.is_some() {
                return Err(Error::Invalid("SIMILAR TO has no ESCAPE here: write a backslash".to_owned()));
            }
            let Some(text) = text(pattern) else {
                return Err(Error::Invalid("SIMILAR TO takes a constant pattern here; write ~ for others".to_owned()));
            };
            let right = Box::new(literal(&compiled(similar(text)?)?));
            let matches = Expr::BinaryOp { left: expr.clone(), op: PGRegexMatch, right };
            let matches = Expr::Nested(Box::new(matches));
            Some(match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) },
                false => matches,
            })
        }
        _ => None,
    })
}

/// A function that takes a pattern; `None` where it takes none.
pub(super) fn of_function(function: &Function, name: &str) -> Result<Option<Expr>, Error> {
    let flags_at = match name {
        "regexp_like" | "regexp_match" => 2,
        "regexp_count" | "regexp_replace" => 3,
        "regexp_instr" => 5,
        _ => return Ok(None),
    };
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    let mut list = list.clone();
    let argument = |at: usize| match list.args.get(at) {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => Some(expr.clone()),
        _ => None,
    };
    let Some(written) = argument(1) else { return Ok(None) };
    let flags = match argument(flags_at) {
        None => String::new(),
        Some(flags) => text(&flags)
            .map(str::to_owned)
            .ok_or_else(|| Error::Invalid(format!("the flags of {name} are a constant text here")))?,
    };
    let replacement = (name == "regexp_replace").then(|| argument(2)).flatten();
    let mut set = |at: usize, expr: Expr| list.args[at] = FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    let taken = match name {
        "regexp_like" => Taken::Never,
        "regexp_count" => Taken::Repeatedly,
        _ if flags.contains('g') => Taken::Repeatedly,
        _ => Taken::Once,
    };
    set(1, pattern(&written, &flags, taken)?);
    if let Some(replacement) = replacement {
        set(2, replaced(&replacement)?);
    }
    if !flags.is_empty() {
        // What changes how lines are read is said in the pattern.
        set(flags_at, literal(&flags.replace(['n', 'm', 's', 'c', 'e'], "")));
    }
    Ok(Some(Expr::Function(Function { args: FunctionArguments::List(list), ..function.clone() })))
}

/// A pattern in the engine's dialect.
fn pattern(written: &Expr, flags: &str, taken: Taken) -> Result<Expr, Error> {
    for flag in flags.chars() {
        if !"gicsnmxe".contains(flag) {
            return Err(Error::Invalid(format!("'{flag}' is no flag of a regular expression here")));
        }
    }
    let by_lines = flags.contains(['n', 'm']);
    match text(written) {
        Some(text) => Ok(literal(&constant(text, by_lines, taken)?)),
        None => Ok(call(Kind::of(by_lines, taken).name(), vec![written.clone()])),
    }
}

/// Likewise of a text that is known.
pub(super) fn constant(written: &str, by_lines: bool, taken: Taken) -> Result<String, Error> {
    let pattern = compiled(regular(written, by_lines)?)?;
    longest::verify(&pattern, taken)?;
    Ok(pattern)
}

/// `.` matches line breaks, too, and `^` and `$` nothing within a text, unless lines are asked for.
fn mode(by_lines: bool) -> &'static str {
    if by_lines { "(?m)" } else { "(?s)" }
}

fn refused(what: &str) -> Error {
    Error::Invalid(format!("regular expressions have no {what} here"))
}

/// An advanced regular expression in the engine's dialect.
fn regular(written: &str, mut by_lines: bool) -> Result<String, Error> {
    if written.starts_with("***") {
        return Err(refused("*** at their beginning"));
    }
    let mut rest = written;
    let (mut ignored, mut spaced) = (false, false);
    if let Some((options, behind)) = written.strip_prefix("(?").and_then(|inner| inner.split_once(')'))
        && !options.is_empty()
        && options.bytes().all(|option| option.is_ascii_lowercase())
    {
        for option in options.chars() {
            match option {
                'i' => ignored = true,
                'c' | 's' | 'e' | 't' => {}
                'n' | 'm' => by_lines = true,
                'x' => spaced = true,
                other => return Err(refused(&format!("option {other}"))),
            }
        }
        rest = behind;
    }
    let mut out = mode(by_lines).to_owned();
    out.push_str(if ignored { "(?i)" } else { "" });
    out.push_str(if spaced { "(?x)" } else { "" });
    let mut characters = rest.chars().peekable();
    let mut quantified = false;
    while let Some(character) = characters.next() {
        let mut now_quantified = false;
        match character {
            '\\' => match characters.next() {
                Some('m') => out.push_str(r"\b{start}"),
                Some('M') => out.push_str(r"\b{end}"),
                Some('y') => out.push_str(r"\b"),
                Some('Y') => out.push_str(r"\B"),
                Some('Z') => out.push_str(r"\z"),
                Some('0') => out.push_str(r"\x00"),
                Some('1'..='9') => return Err(refused("references back, as \\1")),
                Some('b') => return Err(refused("\\b, which is a backspace in PostgreSQL: \\y is a word's edge")),
                Some(class @ ('d' | 's' | 'w')) => out.push_str(&format!("[{}]", of_letter(class))),
                Some(class @ ('D' | 'S' | 'W')) => {
                    out.push_str(&format!("[^{}]", of_letter(class.to_ascii_lowercase())));
                }
                Some(escaped) if "Anrtfvx".contains(escaped) => out.extend(['\\', escaped]),
                Some(escaped) if !escaped.is_alphanumeric() => itself(escaped, &mut out),
                Some(other) => return Err(refused(&format!("\\{other}"))),
                None => return Err(Error::Invalid("a regular expression ends with a backslash".to_owned())),
            },
            '(' if characters.peek() == Some(&'?') => {
                characters.next();
                match characters.next() {
                    Some(':') => out.push_str("(?:"),
                    _ => return Err(refused("looking ahead or behind, as (?=...)")),
                }
            }
            '[' => bracket(&mut characters, &mut out)?,
            '*' | '+' | '?' if quantified => {
                return Err(Error::Invalid(format!("a regular expression repeats what is repeated: {character}")));
            }
            '*' | '+' | '?' => {
                out.push(character);
                now_quantified = true;
                // Behind it another one says how little is taken.
                out.extend(characters.next_if_eq(&'?'));
            }
            '{' if quantified => {
                return Err(Error::Invalid("a regular expression repeats what is repeated: {".to_owned()));
            }
            '}' => {
                out.push('}');
                now_quantified = true;
                out.extend(characters.next_if_eq(&'?'));
            }
            other => out.push(other),
        }
        quantified = now_quantified;
    }
    Ok(out)
}

/// A character that means nothing else; the engine's `\\<` is the beginning of a word.
fn itself(character: char, out: &mut String) {
    match regex_syntax::is_meta_character(character) {
        true => out.extend(['\\', character]),
        false => out.push_str(&format!("\\x{{{:x}}}", u32::from(character))),
    }
}

/// What is in a class, as in PostgreSQL with a locale of UTF-8: digits are those of ASCII, and spaces those that do not
/// forbid a break.
fn of_letter(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        's' => r"\t-\r\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200a}\u{2028}\u{2029}\u{205f}\u{3000}",
        _ => r"\p{Alphabetic}\p{Nd}_",
    }
}

/// Likewise by its name.
fn of_name(name: &str) -> Result<&'static str, Error> {
    Ok(match name {
        "digit" => of_letter('d'),
        "space" => of_letter('s'),
        "word" => of_letter('w'),
        "alpha" => r"\p{Alphabetic}",
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "upper" => r"\p{Uppercase}",
        "lower" => r"\p{Lowercase}",
        "punct" => r"\p{P}\p{S}",
        "blank" => r"\t\x20\u{1680}\u{2000}-\u{2006}\u{2008}-\u{200a}\u{205f}\u{3000}",
        "xdigit" => "0-9A-Fa-f",
        "cntrl" => r"\p{Cc}\u{2028}\u{2029}",
        other => return Err(refused(&format!("class [:{}:]", other.chars().take(16).collect::<String>()))),
    })
}

/// A bracket expression behind its bracket: some characters mean something in the engine's dialect alone.
fn bracket(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) -> Result<(), Error> {
    // These two are no classes, but edges of words.
    for (edge, engine) in [("[:<:]]", r"\b{start}"), ("[:>:]]", r"\b{end}")] {
        if characters.clone().take(edge.len()).eq(edge.chars()) {
            characters.by_ref().take(edge.len()).for_each(drop);
            out.push_str(engine);
            return Ok(());
        }
    }
    out.push('[');
    if characters.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if characters.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    while let Some(character) = characters.next() {
        match character {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '[' if characters.peek() == Some(&':') => {
                let class: String = characters.by_ref().take_while(|character| *character != ']').collect();
                out.push_str(of_name(class.trim_matches(':'))?);
            }
            '[' if matches!(characters.peek(), Some('.' | '=')) => return Err(refused("[. and [= in brackets")),
            '[' | '&' | '~' => out.extend(['\\', character]),
            '\\' => match characters.next() {
                Some(class @ ('d' | 's' | 'w')) => out.push_str(of_letter(class)),
                Some(class @ ('D' | 'S' | 'W')) => {
                    out.push_str(&format!("[^{}]", of_letter(class.to_ascii_lowercase())));
                }
                Some(escaped) if "nrtfvx".contains(escaped) => out.extend(['\\', escaped]),
                Some(escaped) if !escaped.is_alphanumeric() => itself(escaped, out),
                Some(other) => return Err(refused(&format!("\\{other} in brackets"))),
                None => return Err(Error::Invalid("a regular expression ends with a backslash".to_owned())),
            },
            other => out.push(other),
        }
    }
    Ok(())
}

/// A pattern of SIMILAR TO, which is about the whole text.
fn similar(written: &str) -> Result<String, Error> {
    let mut out = String::from("(?s)^(?:");
    let mut characters = written.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '.' | '^' | '$' => out.extend(['\\', character]),
            '(' => out.push_str("(?:"),
            '[' => bracket(&mut characters, &mut out)?,
            '\\' => match characters.next() {
                Some(escaped) if escaped.is_alphanumeric() => return Err(refused(&format!("\\{escaped}"))),
                Some(escaped) => itself(escaped, &mut out),
                None => return Err(Error::Invalid("a pattern ends with a backslash".to_owned())),
            },
            other => out.push(other),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// Says of a pattern that is none what is wrong with it, before anything is read.
fn compiled(pattern: String) -> Result<String, Error> {
    match regex::RegexBuilder::new(&pattern).size_limit(SIZE).build() {
        Ok(_) => Ok(pattern),
        Err(regex::Error::CompiledTooBig(_)) => Err(Error::Invalid("a regular expression is too large".to_owned())),
        Err(error) => {
            let text = error.to_string();
            let why =
                text.lines().rev().find_map(|line| line.trim().strip_prefix("error: ")).unwrap_or("it does not read");
            Err(Error::Invalid(format!("a regular expression cannot be read: {why}")))
        }
    }
}

/// Bytes of a compiled pattern.
pub(super) const SIZE: usize = 10 * 1024 * 1024;

/// What takes the place of a match: `\1` and `\&` stand for parts of it, `$` for itself.
fn replaced(written: &Expr) -> Result<Expr, Error> {
    match text(written) {
        Some(text) => Ok(literal(&replacement(text)?)),
        None => Ok(call(Kind::Replacement.name(), vec![written.clone()])),
    }
}

/// Likewise of a text that is known.
pub(super) fn replacement(text: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '$' => out.push_str("$$"),
            '\\' => match characters.next() {
                Some('&') => out.push_str("${0}"),
                Some(group @ '0'..='9') => out.extend(['$', '{', group, '}']),
                // The engine would read it as the beginning of a group.
                Some('\\') => return Err(refused("backslash in what takes the place of a match")),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    Ok(out)
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            Value::DollarQuotedString(text) => Some(&text.value),
            _ => None,
        },
        Expr::Nested(inner) => text(inner),
        _ => None,
    }
}

fn literal(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(datafusion::sql::sqlparser::ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_put_into_the_engines_dialect() {
        for (written, expected) in [
            ("a.b", "(?s)a.b"),
            (r"\mfoo\M", r"(?s)\b{start}foo\b{end}"),
            ("(?i)x", "(?s)(?i)x"),
            ("(?n)^x", "(?m)^x"),
            ("[]a&&b[:alpha:][]", r"(?s)[\]a\&\&b\p{Alphabetic}\[]"),
            (r"[^\d-]\.", r"(?s)[^0-9-]\."),
            ("[[:<:]]x[[:>:]]", r"(?s)\b{start}x\b{end}"),
            (r"\<a\-[\<\]]", r"(?s)\x{3c}a\-[\x{3c}\]]"),
            (r"\D\d*?x{2}?", r"(?s)[^0-9][0-9]*?x{2}?"),
        ] {
            let read = regular(written, false).and_then(compiled).unwrap();
            assert_eq!(read, expected, "{written}");
        }
        for written in [r"(a)\1", "a(?=b)", r"\bfoo", "***=x", "(", r"a\", "a**", "a+*", "a{2}*", "a*?+", "[[:foo:]]"] {
            assert!(regular(written, false).and_then(compiled).is_err(), "{written}");
        }
        let found = |pattern: &str, text: &str| {
            regex::Regex::new(&regular(pattern, false).unwrap())
                .unwrap()
                .find(text)
                .map(|found| found.as_str().to_owned())
        };
        for (pattern, text, part) in [
            ("^[[:alpha:]]+$", "Größe", Some("Größe")),
            (r"\d", "\u{663}", None),
            (r"\s", "\u{a0}", None),
            (r"\s", "\u{3000}", Some("\u{3000}")),
            ("[[:<:]]o.", "foo ox", Some("ox")),
        ] {
            assert_eq!(found(pattern, text).as_deref(), part, "{pattern}");
        }
        assert_eq!(similar("a_(b|c)%.").unwrap(), r"(?s)^(?:a.(?:b|c).*\.)$");
    }
}
