//! `cargo xtask conformance`: fetches drivers' own test suites and hands over to the program in `tests/` that runs them
//! against a real PostgreSQL, directly and through Hansard, and compares.
//!
//! Everything comes from the registries that the project's own packages come from: crates.io, PyPI and Debian. A suite
//! that cannot be fetched is named and left out; what has been fetched once is kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::provision::{self, Part};
use crate::shell::Shell;

/// Source distributions whose tests are run, with the folder that holds them.
const SDISTS: [(&str, &str, &str, &[&str]); 6] = [
    ("psycopg2", "psycopg2", "2.9.10", &["tests"]),
    ("asyncpg", "asyncpg", "0.32.0", &["tests"]),
    ("pg8000", "pg8000", "1.31.6", &["test", "README.md"]),
    ("pygresql", "pygresql", "6.2.3", &["tests"]),
    ("sqlalchemy-psycopg", "sqlalchemy", "2.0.44", &["test", "lib", "setup.cfg", "pyproject.toml"]),
    ("sqlalchemy-asyncpg", "sqlalchemy", "2.0.44", &["test", "lib", "setup.cfg", "pyproject.toml"]),
];

/// What the suites in Python import.
const WHEELS: [&str; 12] = [
    "psycopg2-binary==2.9.10",
    "asyncpg==0.32.0",
    "pg8000==1.31.6",
    "pygresql==6.2.3",
    "psycopg[binary]==3.2.13",
    "sqlalchemy[asyncio]==2.0.44",
    "pytest==8.4.2",
    "pytest-mock==3.15.1",
    "pytest-benchmark==5.1.0",
    "pytz==2025.2",
    "distro==1.9.0",
    "uvloop==0.22.1",
];

/// Crates whose tests are run.
const CRATES: [(&str, &str); 2] = [("tokio-postgres", "0.7.18"), ("postgres", "0.19.14")];

/// Builds what the suites of PostgreSQL's own sources need beside them.
const BUILD: &str = "./configure --quiet --without-readline --without-zlib --without-icu && \
     make -s -j2 -C src/backend generated-headers && make -s -j2 -C src/test/isolation all && \
     make -s -j2 -C src/test/modules/libpq_pipeline all && make -s -C src/test/regress regress.so";

pub(crate) fn run(shell: &Shell, only: &[String], tls: bool) -> Result<()> {
    provision::debian(shell, &[Part::Postgres, Part::Libclang, Part::Venv])?;
    let folder = shell.cache.join("conformance");
    fs::create_dir_all(folder.join("pgbench"))?;
    let wanted = |names: &[&str]| only.is_empty() || names.iter().any(|name| only.iter().any(|only| only == name));
    if wanted(&["regress", "contrib", "isolation", "libpq-pipeline"]) {
        attempt(shell, "PostgreSQL's own tests", postgres(shell, &folder));
    }
    if wanted(&["libpqxx"]) {
        attempt(shell, "the suite in C++", cxx(shell, &folder));
    }
    if wanted(&["psycopg2", "asyncpg", "pg8000", "pygresql", "sqlalchemy-psycopg", "sqlalchemy-asyncpg"]) {
        attempt(shell, "the suites in Python", python(shell, &folder));
    }
    if wanted(&["tokio-postgres", "postgres"]) {
        attempt(shell, "the suites in Rust", crates(shell, &folder));
    }
    if wanted(&["lib-pq", "pgx"]) {
        attempt(shell, "the suites in Go", go(shell, &folder));
    }
    shell.say("building the programs");
    shell.run(shell.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    let mut conformance = Command::new(shell.target().join("debug/hansard-conformance"));
    conformance.arg("--suites").arg(&folder);
    if !only.is_empty() {
        conformance.arg("--only").arg(only.join(","));
    }
    if tls {
        conformance.arg("--tls");
    }
    shell.run(&mut conformance)
}

fn attempt(shell: &Shell, what: &str, fetched: Result<()>) {
    if let Err(error) = fetched {
        shell.say(&format!("{what} cannot be had and are left out: {error:#}"));
    }
}

/// Regression, contrib, isolation and pipeline tests, from Debian's source package.
fn postgres(shell: &Shell, folder: &Path) -> Result<()> {
    let parts = ["regress", "contrib", "isolation", "libpq-pipeline"];
    if parts.iter().all(|part| folder.join(part).exists()) {
        return Ok(());
    }
    provision::debian(shell, &[Part::DpkgDev, Part::Make])?;
    let bin = provision::postgres_bin().context("PostgreSQL was installed a moment ago")?;
    let version = bin.parent().and_then(Path::file_name).context("a version's folder")?.to_string_lossy().into_owned();
    let source = debian_source(shell, folder, &format!("postgresql-{version}"))?;
    shell.say("building PostgreSQL's test programs (a minute)");
    shell.run_quietly(Command::new("sh").args(["-c", BUILD]).current_dir(&source))?;
    let lay_out = "rm -rf $1/regress $1/contrib $1/isolation $1/libpq-pipeline && \
         mkdir -p $1/contrib $1/isolation $1/libpq-pipeline && cp -r src/test/regress $1/regress && \
         for module in contrib/*/sql src/pl/plpgsql/src/sql; do cp -r ${module%/sql} $1/contrib/; done && \
         mv $1/contrib/src $1/contrib/plpgsql && \
         cp -r src/test/isolation/isolationtester src/test/isolation/isolation_schedule src/test/isolation/specs $1/isolation/ && \
         cp src/test/modules/libpq_pipeline/libpq_pipeline $1/libpq-pipeline/";
    shell.run_quietly(Command::new("sh").args(["-e", "-c", lay_out, "sh"]).arg(folder).current_dir(&source))
}

/// libpqxx's two test programs, from Debian's source package.
fn cxx(shell: &Shell, folder: &Path) -> Result<()> {
    let to = folder.join("libpqxx");
    if to.exists() {
        return Ok(());
    }
    provision::debian(shell, &[Part::DpkgDev, Part::Make, Part::Cxx, Part::LibPqDev])?;
    let source = debian_source(shell, folder, "libpqxx")?;
    shell.say("building libpqxx and its test programs (two minutes)");
    let build = "./configure --quiet --disable-documentation --disable-shared && make -s -j2 && \
         make -s -C test runner && make -s -C test/unit runner && \
         rm -rf $1.part && mkdir $1.part && cp test/runner $1.part/runner && cp test/unit/runner $1.part/unit && mv $1.part $1";
    shell.run_quietly(Command::new("sh").args(["-e", "-c", build, "sh"]).arg(&to).current_dir(&source))
}

/// A source package, unpacked; apt's lists for it are our own, so that the system's stay as they are.
fn debian_source(shell: &Shell, folder: &Path, package: &str) -> Result<PathBuf> {
    let apt = folder.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "source", "parts"] {
        fs::create_dir_all(apt.join(part))?;
    }
    source_entries(&apt.join("parts"))?;
    let conf = format!(
        "Dir::State::lists \"{0}/lists\";\nDir::Cache \"{0}/cache\";\nDir::Etc::sourcelist \"-\";\nDir::Etc::sourceparts \"{0}/parts\";\nAPT::Sandbox::User \"root\";\n",
        apt.display()
    );
    fs::write(apt.join("apt.conf"), conf)?;
    let with = |program: &str| {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", apt.join("apt.conf")).current_dir(apt.join("source"));
        command
    };
    shell.run_quietly(with("apt-get").args(["-qq", "update"]))?;
    // The version that runs here, or else any that the mirror has.
    let installed =
        output(Command::new("dpkg-query").args(["-W", "-f", "${source:Version}", package])).unwrap_or_default();
    let listed = output(with("apt-cache").args(["showsrc", package])).unwrap_or_default();
    let versions = listed.lines().filter_map(|line| line.strip_prefix("Version: "));
    let fetched =
        std::iter::once(installed.as_str()).filter(|version| !version.is_empty()).chain(versions).any(|version| {
            let wanted = format!("{package}={version}");
            shell.say(&format!("fetching {wanted} (Debian source package)"));
            let mut get = with("apt-get");
            get.args(["-qq", "source", "--download-only", &wanted]).stderr(std::process::Stdio::null());
            get.status().is_ok_and(|status| status.success())
        });
    if !fetched {
        bail!("no version of the source package {package} can be fetched");
    }
    let source = apt.join("source/unpacked");
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    let unpack = format!("dpkg-source --no-check -x $(ls -t {package}_*.dsc | head -n 1) unpacked");
    shell.run_quietly(with("sh").args(["-c", &unpack]))?;
    Ok(source)
}

/// Debian's own repositories as sources of source packages.
fn source_entries(to: &Path) -> Result<()> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut number = 0;
    for file in parts.chain([PathBuf::from("/etc/apt/sources.list")]) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let (text, kind) = if file.extension().is_some_and(|extension| extension == "sources") {
            (text.replace("Types: deb\n", "Types: deb-src\n"), "sources")
        } else {
            let lines = text.lines().filter_map(|line| Some(format!("deb-src {}\n", line.strip_prefix("deb ")?)));
            (lines.collect(), "list")
        };
        let debian = ["/debian\n", "/debian ", "/debian/ ", "/debian-security\n", "/debian-security "];
        if debian.iter().any(|place| text.contains(place)) {
            number += 1;
            fs::write(to.join(format!("debian{number}.{kind}")), text)?;
        }
    }
    Ok(())
}

/// The drivers, and the tests of their source distributions.
fn python(shell: &Shell, folder: &Path) -> Result<()> {
    // PyGreSQL has no wheels for Linux.
    provision::debian(shell, &[Part::LibPqDev, Part::PythonDev])?;
    let venv = folder.join("venv");
    let stamp = venv.join("hansard-wheels");
    let wanted = WHEELS.join("\n");
    if !fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        shell.say("installing the drivers in Python (pip)");
        shell.run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        shell.run_quietly(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(WHEELS))?;
        fs::write(&stamp, wanted)?;
    }
    for (suite, name, version, parts) in SDISTS {
        let to = folder.join(suite);
        if to.exists() {
            continue;
        }
        shell.say(&format!("fetching the tests of {name} {version} (pip)"));
        let sdists = folder.join("sdists");
        let archive = sdists.join(format!("{name}-{version}.tar.gz"));
        if !archive.exists() {
            let mut pip = Command::new(venv.join("bin/pip"));
            pip.args(["download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest"]).arg(&sdists);
            shell.run_quietly(pip.arg(format!("{name}=={version}")))?;
        }
        let fresh = folder.join("unpacking");
        fs::create_dir_all(&fresh)?;
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).args(["--strip-components=1", "-C"]).arg(&fresh);
        shell.run_quietly(tar.args(parts.iter().map(|part| format!("{name}-{version}/{part}"))))?;
        fs::rename(&fresh, &to)?;
    }
    Ok(())
}

/// Crates' sources, as cargo fetches them.
fn crates(shell: &Shell, folder: &Path) -> Result<()> {
    if CRATES.iter().all(|(name, _)| folder.join(name).exists()) {
        return Ok(());
    }
    shell.say("fetching the sources of tokio-postgres and postgres (cargo)");
    let probe = folder.join("crates");
    fs::create_dir_all(probe.join("src"))?;
    fs::write(probe.join("src/lib.rs"), "")?;
    let wanted: String = CRATES.iter().map(|(name, version)| format!("{name} = \"={version}\"\n")).collect();
    let manifest = format!(
        "[package]\nname = \"crates\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n{wanted}\n[workspace]\n"
    );
    fs::write(probe.join("Cargo.toml"), manifest)?;
    shell.run_quietly(shell.cargo().current_dir(&probe).args(["vendor", "--quiet", "--versioned-dirs", "vendor"]))?;
    for (name, version) in CRATES {
        let to = folder.join(name);
        let from = probe.join(format!("vendor/{name}-{version}"));
        shell.run_quietly(Command::new("cp").arg("-rT").arg(from).arg(&to))?;
        let manifest = fs::read_to_string(to.join("Cargo.toml"))?;
        // A workspace of its own, wherever the cache lies.
        fs::write(to.join("Cargo.toml"), format!("{manifest}\n[workspace]\n"))?;
    }
    Ok(())
}

/// Debian installs Go packages as sources, with their tests.
fn go(shell: &Shell, folder: &Path) -> Result<()> {
    provision::debian(shell, &[Part::Go, Part::LibPq, Part::Pgx])?;
    for suite in ["lib-pq", "pgx"] {
        fs::create_dir_all(folder.join(suite))?;
    }
    Ok(())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
