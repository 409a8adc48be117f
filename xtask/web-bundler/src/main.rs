//! The replay's wasm, and what belongs to it, as files that a browser takes.
//!
//! `web-bundler WASM STATIC DIST`: writes JavaScript bindings, names every file by its hash, packs it with brotli, and fills
//! in `index.html`. Invariant: DIST is complete or untouched; what was there before is gone. A replay above the budget is an
//! error. (`wasm-opt` makes the wasm shorter and what is packed of it longer.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

/// Wasm and JavaScript, packed, in bytes.
const BUDGET: usize = 250 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [wasm, pages, dist] = arguments.as_slice() else {
        eprintln!("usage: web-bundler WASM STATIC DIST");
        return ExitCode::from(2);
    };
    match bundle(wasm, pages, dist) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bundle(wasm: &Path, pages: &Path, dist: &Path) -> Result<()> {
    let beside = dist.with_extension("new");
    remove(&beside)?;
    fs::create_dir_all(beside.join("assets")).with_context(|| format!("cannot create {}", beside.display()))?;

    let work = wasm.with_extension("bindgen");
    remove(&work)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes("hansard", read(wasm)?).out_name("hansard").typescript(false);
    bindgen.remove_name_section(true).remove_producers_section(true);
    bindgen.web(true)?.generate(&work).context("wasm-bindgen cannot read the replay")?;

    let mut assets = Assets { folder: beside.join("assets"), packed: 0 };
    let module = assets.add("hansard", "wasm", &read(&work.join("hansard_bg.wasm"))?)?;
    // The bindings name the wasm by itself; the page gives its hashed name instead.
    let bindings = String::from_utf8(read(&work.join("hansard.js"))?).context("the bindings are not UTF-8")?;
    let bindings = assets.add("hansard", "js", without_comments(&bindings).as_bytes())?;
    ensure!(!work.join("snippets").exists(), "a dependency brings JavaScript of its own: the bundler does not copy it");
    let start = format!("import init from './{bindings}';\ninit({{ module_or_path: '/assets/{module}' }});\n");
    let start = assets.add("start", "js", start.as_bytes())?;
    let code = assets.packed;
    let style = assets.add("style", "css", &read(&pages.join("style.css"))?)?;

    let index = String::from_utf8(read(&pages.join("index.html"))?).context("index.html is not UTF-8")?;
    let index = index
        .replace("{{style}}", &style)
        .replace("{{start}}", &start)
        .replace("{{bindings}}", &bindings)
        .replace("{{module}}", &module);
    ensure!(!index.contains("{{"), "index.html asks for something that the bundler does not know");
    assets.packed += pack(index.as_bytes())?.len();
    write(&beside.join("index.html"), index.as_bytes())?;
    fs::copy(pages.join("favicon.svg"), beside.join("favicon.svg")).context("cannot copy favicon.svg")?;

    let (all, code) = (kilobytes(assets.packed), kilobytes(code));
    println!("  the replay is {all:.1} KB over the wire, {code:.1} KB of it code (budget {} KB)", BUDGET / 1024);
    if code > kilobytes(BUDGET) {
        bail!("the replay has {code:.1} KB of wasm and JavaScript, {} KB are allowed", BUDGET / 1024);
    }
    remove(dist)?;
    fs::rename(&beside, dist).with_context(|| format!("cannot put the replay into {}", dist.display()))
}

/// wasm-bindgen's bindings without indentation and the comments that have lines of their own. It writes no text over several
/// lines, in which a line could be one.
fn without_comments(bindings: &str) -> String {
    let mut inside = false;
    let mut kept = String::with_capacity(bindings.len());
    for line in bindings.lines().map(str::trim) {
        inside |= line.starts_with("/*");
        if !inside && !line.is_empty() && !line.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.ends_with("*/");
    }
    kept
}

struct Assets {
    folder: PathBuf,
    packed: usize,
}

impl Assets {
    /// Writes a file under a name that holds its hash, and its packed twin; gives the name.
    fn add(&mut self, stem: &str, extension: &str, bytes: &[u8]) -> Result<String> {
        let hash: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{stem}-{hash}.{extension}");
        let packed = pack(bytes)?;
        println!("  {name}: {:.1} KB, packed {:.1} KB", kilobytes(bytes.len()), kilobytes(packed.len()));
        self.packed += packed.len();
        write(&self.folder.join(&name), bytes)?;
        write(&self.folder.join(format!("{name}.br")), &packed)?;
        Ok(name)
    }
}

fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)?;
    Ok(packed)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1024.0
}
