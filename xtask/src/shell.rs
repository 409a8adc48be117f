//! Where chores run: the tree, the cache, the clock, and other programs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The surroundings of one run.
pub(crate) struct Shell {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// What is downloaded or started lies here, outside the tree.
    pub(crate) cache: PathBuf,
    started: Instant,
}

impl Shell {
    pub(crate) fn new() -> Result<Shell> {
        let root = workspace()?;
        let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
            (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
            (_, Some(home)) => Path::new(&home).join(".cache"),
            _ => bail!("neither HOME nor XDG_CACHE_HOME is set: set one, downloads are kept there"),
        }
        .join("hansard");
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot create {}: set XDG_CACHE_HOME to a folder of yours", cache.display()))?;
        Ok(Shell { root, cache, started: Instant::now() })
    }

    /// One line of progress, with the time since the start.
    pub(crate) fn say(&self, line: &str) {
        println!("[{:>6.1} s] {line}", self.started.elapsed().as_secs_f64());
    }

    /// The cargo that runs us, in the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> PathBuf {
        match env::var_os("CARGO_TARGET_DIR") {
            Some(target) if !target.is_empty() => self.root.join(target),
            _ => self.root.join("target"),
        }
    }

    /// Runs a program to its end, its output on our terminal.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let status = command.status().with_context(|| format!("cannot start {}", words(command)))?;
        if !status.success() {
            bail!("{} ended with {status}", words(command));
        }
        Ok(())
    }

    /// Runs a program to its end and shows its output only when it failed.
    pub(crate) fn run_quietly(&self, command: &mut Command) -> Result<()> {
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", words(command)))?;
        if !output.status.success() {
            eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            bail!("{} ended with {}", words(command), output.status);
        }
        Ok(())
    }
}

/// The tree that we are called in, not the one that we were built in: two clones may share a target folder.
fn workspace() -> Result<PathBuf> {
    let start = match env::var_os("CARGO_MANIFEST_DIR").filter(|package| !package.is_empty()) {
        Some(package) => PathBuf::from(package),
        None => env::current_dir().context("there is no current folder")?,
    };
    let found = start.ancestors().find(|folder| folder.join("xtask/Cargo.toml").exists()).map(Path::to_path_buf);
    found.with_context(|| format!("{} does not lie in the project's tree: change into it", start.display()))
}

/// Whether a program answers `--version` (or whatever `argument` is) with success.
pub(crate) fn answers(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn words(command: &Command) -> String {
    let mut words = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        words.push(' ');
        words.push_str(&argument.to_string_lossy());
    }
    words
}
