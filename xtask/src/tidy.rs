//! `cargo xtask tidy`: the rules that no compiler checks. Each finding says where, what, and why it is a rule.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::Shell;

/// Lines of a source file above which it should be taken apart.
const LONGEST_FILE: usize = 600;

pub(crate) fn run(shell: &Shell) -> Result<()> {
    shell.say("checking the tree's own rules (tidy)");
    let mut findings = Vec::new();
    for path in tracked(&shell.root)? {
        // Not text, or deleted and not yet committed: nothing to read.
        if let Ok(text) = std::fs::read_to_string(shell.root.join(&path)) {
            check(&path, &text, &mut findings);
        }
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("{count} finding(s) against the tree's own rules"),
    }
}

/// Files that git knows or would add; a tree without git is walked instead.
fn tracked(root: &Path) -> Result<Vec<String>> {
    let listed =
        Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root).output();
    if let Ok(output) = listed
        && output.status.success()
    {
        return Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect());
    }
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "dist" | ".demo" | "node_modules") {
                walk(root, &path, files)?;
            }
        } else if let Ok(relative) = path.strip_prefix(root) {
            files.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn check(path: &str, text: &str, findings: &mut Vec<String>) {
    let mut find = |line: usize, what: &str, why: &str| findings.push(format!("{path}:{line}: {what}: {why}"));
    let rust = path.ends_with(".rs");
    if rust {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            find(
                lines,
                &format!("{lines} lines"),
                "a file of more than 600 lines does more than one thing; take it apart",
            );
        }
        if !text.trim_start().starts_with("//!") {
            find(1, "no `//!` at the top", "a module says what it is, what holds in it and what it must not do");
        }
    }
    let prose = rust || [".md", ".toml", ".proto", ".sh", ".yml", ".css", ".js"].iter().any(|end| path.ends_with(end));
    if !prose {
        return;
    }
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        for marker in markers() {
            // A word of its own: the X's of a template for file names are none.
            if line.split(|c: char| !c.is_alphanumeric()).any(|word| word == marker) {
                find(number, &marker, "what is not done is an issue, not a comment");
            }
        }
        for place in places() {
            if line.contains(place.as_str()) {
                find(number, &place, "one machine's path means nothing on another");
            }
        }
        if line.ends_with([' ', '\t']) && !path.ends_with(".md") {
            find(number, "blanks at the end of the line", "they only make noise in differences");
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        find(text.lines().count(), "no newline at the end of the file", "tools that append would break the last line");
    }
}

// Put together at run time, so that this file does not find itself.
fn markers() -> [String; 3] {
    [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat()]
}

fn places() -> [String; 4] {
    [["/ho", "me/"].concat(), ["/ro", "ot/"].concat(), ["/Us", "ers/"].concat(), ["/wo", "rk/"].concat()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings.len()
    }

    #[test]
    fn each_rule_finds_its_breach_and_nothing_else() {
        assert_eq!(found("src/a.rs", "//! A module.\nfn main() {}\n"), 0);
        assert_eq!(found("src/a.rs", "fn main() {}\n"), 1, "no head");
        assert_eq!(found("src/a.rs", &format!("//! A module.\n{}", "\n".repeat(700))), 1, "too long");
        assert_eq!(found("src/a.rs", &format!("//! A module.\n// {}: later\n", markers()[0])), 1, "marker");
        assert_eq!(found("docs/a.md", &format!("see {}somebody/notes\n", places()[0])), 1, "machine path");
        assert_eq!(found("docs/a.md", "no newline"), 1, "last line");
        assert_eq!(found("src/a.rs", &format!("//! A module.\n// mktemp {0}{0}\n", markers()[2])), 0, "not a word");
        assert_eq!(found("data/a.csv", &format!("{}\n", markers()[0])), 0, "data is not ours to judge");
    }
}
