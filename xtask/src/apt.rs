//! Debian's packages, by apt-get: as root or through sudo, asking nothing.
//!
//! Invariant: nothing that is installed is ever removed, and the machine's own list of sources stays as it is. Where a
//! package is wanted that only the security suite has, that suite is asked with a list of our own, in the cache.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{Shell, answers};

/// How to call apt-get here.
pub(crate) struct Apt {
    prefix: Vec<String>,
    /// Options that replace the machine's sources; empty for the machine's own.
    sources: Vec<String>,
}

impl Apt {
    /// `packages` are only named, where they cannot be installed.
    pub(crate) fn new(packages: &[&str]) -> Result<Apt> {
        if !answers("apt-get", &["--version"]) {
            bail!(
                "missing: {}; there is no apt-get here: install them by this system's own means",
                packages.join(", ")
            );
        }
        let mut prefix = Vec::new();
        if !is_root() {
            if !answers("sudo", &["-n", "true"]) {
                bail!(
                    "missing: {}; run `apt-get install {}` as root, or allow sudo",
                    packages.join(", "),
                    packages.join(" ")
                );
            }
            prefix.extend(["sudo".to_owned(), "-n".to_owned()]);
        }
        Ok(Apt { prefix, sources: Vec::new() })
    }

    /// The same with Debian's own servers and its security suite, whatever the machine's list names.
    pub(crate) fn with_security(&self, shell: &Shell) -> Result<Apt> {
        let codename = codename().context("this is not a Debian release: it has no security suite")?;
        let folder = shell.cache.join("apt");
        let (list, lists) = (folder.join("sources.list"), folder.join("lists"));
        std::fs::create_dir_all(lists.join("partial")).with_context(|| format!("cannot create {}", lists.display()))?;
        let suites = format!(
            "deb http://deb.debian.org/debian {codename} main\n\
             deb http://deb.debian.org/debian-security {codename}-security main\n"
        );
        std::fs::write(&list, suites).with_context(|| format!("cannot write {}", list.display()))?;
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        let sources = [
            option("Dir::Etc::SourceList", &list),
            option("Dir::Etc::SourceParts", Path::new("/dev/null")),
            option("Dir::State::Lists", &lists),
            // The machine's own is made from the machine's own list.
            option("Dir::Cache::PkgCache", Path::new("")),
            option("Dir::Cache::SrcPkgCache", Path::new("")),
            // The cache may be a folder that apt's unprivileged user cannot enter.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let sources = sources.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        Ok(Apt { prefix: self.prefix.clone(), sources })
    }

    /// Reads what is on offer. A source that does not answer is no reason to stop: the others may do.
    pub(crate) fn update(&self, shell: &Shell) {
        if self.get(&["update"]).output().is_ok_and(|output| output.status.success()) {
            return;
        }
        shell.say("apt-get update did not succeed for every source; going on with what it knows");
    }

    pub(crate) fn install(&self, shell: &Shell, packages: &[&str]) -> Result<()> {
        shell.run_quietly(self.get(&["install", "--yes", "--no-remove", "--no-install-recommends"]).args(packages))
    }

    /// The major and minor number of the version on offer.
    pub(crate) fn offered(&self, package: &str) -> Option<(u32, u32)> {
        let output = Command::new("apt-cache").args(&self.sources).args(["policy", package]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
        major_minor(version)
    }

    fn get(&self, arguments: &[&str]) -> Command {
        let mut words = self.prefix.iter().map(String::as_str).chain(["env", "DEBIAN_FRONTEND=noninteractive"]);
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]);
        command.args(&self.sources).args(arguments);
        command
    }
}

/// The two numbers that `1.96.0+dfsg1-1` begins with, after Debian's epoch where there is one.
pub(crate) fn major_minor(version: &str) -> Option<(u32, u32)> {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn codename() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME").map(|name| name.trim_matches('"').to_owned()))?
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}

#[cfg(test)]
mod tests {
    use super::major_minor;

    #[test]
    fn versions_are_read_as_debian_and_rust_write_them() {
        assert_eq!(major_minor("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(major_minor("1:22.1.8-1~deb12u1"), Some((22, 1)));
        assert_eq!(major_minor("1.95"), Some((1, 95)));
        assert_eq!(major_minor("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(major_minor("(none)"), None);
        assert_eq!(major_minor(""), None);
    }
}
