//! How a command ends when it does not end well: one line (each fault of a configuration has its own), one exit code,
//! never a backtrace.

use std::fmt;

use crate::config::ConfigErrors;

/// What is told to whoever called us.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1: a negative finding. 2: usage, configuration or surroundings that do not let the command work. 3: a fault of our
    /// own. 0: nobody reads on, which is no failure but ends the work.
    pub(crate) code: u8,
    lines: Vec<String>,
}

impl Failure {
    /// Looked, and found it wanting.
    pub(crate) fn finding(line: impl fmt::Display) -> Failure {
        Failure { code: 1, lines: vec![one_line(&line.to_string())] }
    }

    /// Could not do it as asked.
    pub(crate) fn usage(line: impl fmt::Display) -> Failure {
        Failure { code: 2, lines: vec![one_line(&line.to_string())] }
    }

    /// A defect of Hansard.
    pub(crate) fn internal(line: impl fmt::Display) -> Failure {
        let report = "this is a defect in Hansard: please report it with this line and the version (hansard --version)";
        Failure { code: 3, lines: vec![format!("{}; {report}", one_line(&line.to_string()))] }
    }

    /// A command that was started ended with that exit code, and has said itself what there is to say.
    #[cfg(feature = "query")]
    pub(crate) fn ended(code: u8) -> Failure {
        Failure { code, lines: Vec::new() }
    }

    /// The same, behind what else is to be said of it.
    #[cfg(feature = "query")]
    pub(crate) fn after(mut self, text: &str) -> Failure {
        if let Some(line) = self.lines.first_mut() {
            *line = format!("{text}: {line}");
        }
        self
    }

    /// Whoever read the output has gone away.
    pub(crate) fn reader_gone() -> Failure {
        Failure { code: 0, lines: Vec::new() }
    }

    /// What is to be told, a line each.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines.join("; "))
    }
}

impl From<ConfigErrors> for Failure {
    fn from(ConfigErrors(faults): ConfigErrors) -> Failure {
        Failure { code: 2, lines: faults.iter().map(|fault| one_line(&fault.to_string())).collect() }
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An error and what it came from, in one line. The rooms' own texts often repeat their source's: once is enough.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}
