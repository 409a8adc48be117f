//! `cargo xtask web`: the web replay, compiled to WebAssembly, into `web/dist`.
//!
//! Invariant: `web/dist` is the replay of this tree or untouched; when nothing that goes into it has changed, nothing is
//! built. Two builds have target folders of their own, so that they never disturb the workspace's: the replay's, whose
//! crates must not get features that only the server needs, and the bundler's (see its Cargo.toml).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::shell::Shell;
use crate::wasm::{TARGET, Toolchain};

/// Leptos' views without their types, which would all be compiled apart.
const FLAGS: &str = "--cfg erase_components";

/// Everything that ends up in the replay, or decides how.
const INPUTS: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "schemas/Cargo.toml",
    "schemas/src",
    "web/ui",
    "xtask/src/wasm.rs",
    "xtask/src/web.rs",
    "xtask/web-bundler",
];

/// Builds the replay where it is missing or out of date.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let dist = shell.root.join("web/dist");
    let folder = shell.target().join("web");
    // Two at once (a demo and a test) would take each other's files away.
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let alone = std::fs::File::create(folder.join("lock")).context("cannot lock the web replay's folder")?;
    alone.lock().context("cannot lock the web replay's folder")?;
    // Each clone has pages of its own; the folder may be shared.
    let stamp = folder.join(format!("stamp-{}", hashed(&shell.root)));
    let inputs = fingerprint(&shell.root)?;
    let fresh = std::fs::read_to_string(&stamp).is_ok_and(|built| built == inputs);
    if fresh && dist.join("index.html").exists() {
        shell.say("the web replay is up to date");
        return Ok(());
    }
    same_bindgen(&shell.root)?;
    let wasm = build(shell, &folder.join("ui"))?;
    shell.say("bundling the web replay");
    let mut bundler = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    bundler
        .current_dir(shell.root.join("xtask/web-bundler"))
        .args(["run", "--quiet", "--locked", "--target-dir"])
        .arg(folder.join("bundler"))
        .arg("--")
        .args([&wasm, &shell.root.join("web/ui/static"), &dist]);
    shell.run(&mut bundler)?;
    std::fs::write(&stamp, inputs).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Compiles the replay; gives the wasm file.
fn build(shell: &Shell, folder: &Path) -> Result<PathBuf> {
    let toolchain = Toolchain::find(shell)?;
    let mut cargo = toolchain.cargo(shell);
    shell.say(match toolchain {
        Toolchain::Own => "compiling the web replay to wasm",
        Toolchain::Debian(_) => {
            "compiling the web replay to wasm, and Rust's standard library for it, with Debian's Rust"
        }
    });
    // The server's features must not reach the replay's crates.
    cargo
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", FLAGS);
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "hansard-ui",
        "--target",
        TARGET,
        "--profile",
        "wasm",
        "--target-dir",
    ]);
    shell.run(cargo.arg(folder))?;
    let wasm = folder.join(TARGET).join("wasm/hansard-ui.wasm");
    ensure!(wasm.exists(), "cargo did not leave {}", wasm.display());
    Ok(wasm)
}

/// The bundler must read what the replay's wasm-bindgen wrote: both have one version.
fn same_bindgen(root: &Path) -> Result<()> {
    let ours = locked(&root.join("Cargo.lock"), "wasm-bindgen")?;
    let bundlers = locked(&root.join("xtask/web-bundler/Cargo.lock"), "wasm-bindgen-cli-support")?;
    ensure!(
        ours == bundlers,
        "Cargo.lock has wasm-bindgen {ours}, the bundler reads {bundlers}: write wasm-bindgen-cli-support = \"={ours}\" \
         in xtask/web-bundler/Cargo.toml and run `cargo update` there"
    );
    Ok(())
}

fn locked(lock: &Path, package: &str) -> Result<String> {
    let text = std::fs::read_to_string(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let (_, rest) = text
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .with_context(|| format!("{} does not name {package}", lock.display()))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// Of all inputs' names and contents, and of the tool that may be there or not.
fn fingerprint(root: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for input in INPUTS {
        add(&root.join(input), &mut hasher)?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hashed(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn add(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let read = || format!("cannot read {}", path.display());
    path.hash(hasher);
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
            .with_context(read)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()
            .with_context(read)?;
        entries.sort();
        // Somebody may have built there by hand.
        entries.retain(|entry| !entry.ends_with("target"));
        entries.iter().try_for_each(|entry| add(entry, hasher))
    } else {
        std::fs::read(path).with_context(read)?.hash(hasher);
        Ok(())
    }
}
