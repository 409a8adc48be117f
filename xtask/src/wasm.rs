//! A compiler for WebAssembly: the one that runs us, or Debian's where rustup cannot fetch the target.
//!
//! Debian's has no standard library for the target: it is built along, from Debian's source of it, which the stable
//! compiler does only when told to take itself for an unstable one. Nothing of the rustup that runs us may reach it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::apt::{self, Apt};
use crate::shell::{Shell, answers};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const REASONS: [&str; 3] = [
    "a Rust that compiles the web replay to WebAssembly",
    "the cargo that goes with it",
    "the standard library for WebAssembly is built from it",
];

/// Which compiler knows wasm.
pub(crate) enum Toolchain {
    /// The one that runs us.
    Own,
    /// Debian's, with the standard library built from source, and this linker.
    Debian(PathBuf),
}

impl Toolchain {
    /// Finds a compiler for wasm: adds the target where rustup can, installs Debian's where it cannot.
    pub(crate) fn find(shell: &Shell) -> Result<Toolchain> {
        if has_target(shell) {
            return Ok(Toolchain::Own);
        }
        if answers("rustup", &["--version"]) {
            shell.say(&format!("installing {TARGET} (rustup): the web replay runs as WebAssembly in the browser"));
            let added = Command::new("rustup").current_dir(&shell.root).args(["target", "add", TARGET]).output();
            if has_target(shell) {
                return Ok(Toolchain::Own);
            }
            let said = added.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
            let reason = said.lines().find_map(|line| line.strip_prefix("error: ")?.split(": ").next());
            shell.say(&format!("rustup cannot ({}): Debian's Rust will", reason.unwrap_or("it gives no reason")));
        }
        let linker = debian(shell).with_context(|| {
            format!(
                "this Rust cannot compile to {TARGET} (`rustup target add {TARGET}` would teach it), nor can Debian's"
            )
        })?;
        Ok(Toolchain::Debian(linker))
    }

    /// A cargo in the workspace that compiles for [`TARGET`] when told so.
    pub(crate) fn cargo(&self, shell: &Shell) -> Command {
        let Toolchain::Debian(linker) = self else { return shell.cargo() };
        let mut cargo = Command::new("/usr/bin/cargo");
        cargo.current_dir(&shell.root);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let own = name.starts_with("RUST") || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
            if own || ["CARGO", "LD_LIBRARY_PATH"].contains(&&*name) {
                cargo.env_remove(&*name);
            }
        }
        cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        cargo.arg("-Zbuild-std=std,panic_abort");
        cargo
    }
}

fn has_target(shell: &Shell) -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(&shell.root).args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null());
    rustc.output().is_ok_and(|output| {
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        output.status.success() && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
    })
}

/// Debian's compiler, installed where it is missing or too old for the workspace; gives the linker that goes with it.
fn debian(shell: &Shell) -> Result<PathBuf> {
    let needed = needed(&shell.root)?;
    let mut apt = None;
    if !present(needed) {
        for (package, reason) in PACKAGES.into_iter().zip(REASONS) {
            shell.say(&format!("installing {package} (Debian): {reason}"));
        }
        apt = Some(install(shell, needed)?);
        ensure!(
            present(needed),
            "{} are installed, but do not bring a Rust of the version needed",
            PACKAGES.join(", ")
        );
    }
    let lld = format!("lld-{}", llvm().context("/usr/bin/rustc does not say which LLVM it has")?);
    let linker = Path::new("/usr/bin").join(format!("wasm-{}", lld.replacen("lld", "ld", 1)));
    if !linker.exists() {
        shell.say(&format!("installing {lld} (Debian): the linker of that Rust for WebAssembly"));
        let apt = match apt {
            Some(apt) => apt,
            None => offering(shell, &lld, (0, 0))?,
        };
        apt.install(shell, &[&lld])?;
        ensure!(linker.exists(), "{lld} is installed, but {} is not there", linker.display());
    }
    Ok(linker)
}

fn install(shell: &Shell, needed: (u32, u32)) -> Result<Apt> {
    let apt = offering(shell, PACKAGES[0], needed)?;
    apt.install(shell, &PACKAGES)?;
    Ok(apt)
}

/// An apt that offers `package` in the version needed, or a newer one.
fn offering(shell: &Shell, package: &str, needed: (u32, u32)) -> Result<Apt> {
    let apt = Apt::new(&PACKAGES)?;
    apt.update(shell);
    if apt.offered(package) >= Some(needed) {
        return Ok(apt);
    }
    shell.say(&format!("looking into Debian's security suite: this machine's sources have no {package} new enough"));
    let apt = apt.with_security(shell)?;
    apt.update(shell);
    ensure!(apt.offered(package) >= Some(needed), "Debian has no {package} of {}.{} or later", needed.0, needed.1);
    Ok(apt)
}

/// Whether Debian's compiler, its cargo and the library's source are there, new enough.
fn present(needed: (u32, u32)) -> bool {
    let version = said(&["--version"]).and_then(|text| apt::major_minor(text.split(' ').nth(1)?));
    let source = said(&["--print", "sysroot"])
        .map(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library"))
        .is_some_and(|library| library.exists());
    Path::new("/usr/bin/cargo").exists() && source && version >= Some(needed)
}

/// The major version of LLVM in Debian's compiler.
fn llvm() -> Option<u32> {
    let text = said(&["--version", "--verbose"])?;
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

fn said(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("/usr/bin/rustc").args(arguments).env_remove("LD_LIBRARY_PATH").stderr(Stdio::null()).output();
    output.ok().filter(|output| output.status.success()).map(|output| String::from_utf8_lossy(&output.stdout).into())
}

/// The workspace's `rust-version`.
fn needed(root: &Path) -> Result<(u32, u32)> {
    let path = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"').and_then(apt::major_minor))
        .with_context(|| format!("{} names no rust-version", path.display()))
}
