//! Makes the folder of the built pages exist, so that the crate builds without them and again when they change.

fn main() {
    // Cargo runs it in the package's folder, which need not be the one that it was built in.
    let dist = std::path::Path::new("dist");
    if let Err(error) = std::fs::create_dir_all(dist) {
        println!("cargo::warning=cannot create {}: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed=dist");
    println!("cargo::rerun-if-changed=build.rs");
}
