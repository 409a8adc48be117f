//! Starts the replay in a browser.

#[cfg(target_arch = "wasm32")]
fn main() {
    hansard_ui::pages::mount();
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "there is nobody else to tell")]
fn main() -> std::process::ExitCode {
    eprintln!("the replay runs in a browser: build it with `cargo xtask web`");
    std::process::ExitCode::from(2)
}
