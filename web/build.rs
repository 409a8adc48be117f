//! Makes the folder of the built pages exist, so that the crate builds without them and again when they change.

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("dist");
    if let Err(error) = std::fs::create_dir_all(&dist) {
        println!("cargo::warning=cannot create {}: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=build.rs");
}
