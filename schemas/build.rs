//! Compiles the protobuf contract with protox, so that no system `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    if std::env::var_os("CARGO_FEATURE_EVENTS").is_none() {
        return Ok(());
    }
    let descriptors = protox::compile(["proto/hansard/v1/events.proto"], ["proto"])?;
    prost_build::Config::new().bytes([".hansard.v1.FrameRun.frames"]).compile_fds(descriptors)?;
    Ok(())
}
