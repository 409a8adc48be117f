//! A real browser, driven through its own protocol (Chrome DevTools) over two pipes: no driver program is needed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::system_program;

/// A headless Chromium with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    page: String,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Result<Browser> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let program = names.iter().find_map(|name| system_program(name, &["/usr/bin"]));
        let program =
            program.context("there is no chromium: install Debian's `chromium`, or run `cargo xtask test`")?;
        let profile = tempfile::Builder::new().prefix("hansard-browser-").tempdir()?;
        // The protocol is spoken on descriptors 3 and 4: the shell lays our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--remote-debugging-pipe", "--window-size=1400,900"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the browser")?;
        let (to, from) = child.stdin.take().zip(child.stdout.take()).context("pipes were asked for")?;
        let mut browser =
            Browser { child, to, from: BufReader::new(from), page: String::new(), last: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }))?;
        browser.page = attached["sessionId"].as_str().context("a session of the page")?.to_owned();
        Ok(browser)
    }

    /// One call of the protocol, and its result; what the browser tells meanwhile is passed over.
    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if !self.page.is_empty() {
            message["sessionId"] = self.page.clone().into();
        }
        self.to.write_all(message.to_string().as_bytes())?;
        self.to.write_all(&[0])?;
        loop {
            let mut bytes = Vec::new();
            if self.from.read_until(0, &mut bytes)? == 0 {
                bail!("the browser has ended");
            }
            let answer: Value = serde_json::from_slice(bytes.strip_suffix(&[0]).unwrap_or(&bytes))?;
            if answer["id"] == self.last {
                if let Some(error) = answer.get("error") {
                    bail!("{method}: {error}");
                }
                return Ok(answer["result"].clone());
            }
        }
    }

    pub fn open(&mut self, url: &str) -> Result<()> {
        let opened = self.call("Page.navigate", json!({ "url": url }))?;
        match opened["errorText"].as_str() {
            None => Ok(()),
            Some(error) => bail!("{url} does not open: {error}"),
        }
    }

    /// The value of a JavaScript expression on the page.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let result = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }))?;
        match result.get("exceptionDetails") {
            None => Ok(result["result"]["value"].clone()),
            Some(exception) => bail!("{expression}: {exception}"),
        }
    }

    /// Waits until the page shows all of these texts.
    pub fn shows(&mut self, texts: &[&str]) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.value("document.body ? document.body.innerText : ''")?;
            let shown = shown.as_str().unwrap_or_default();
            let missing: Vec<_> = texts.iter().filter(|text| !shown.contains(**text)).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the page does not show {missing:?}, but: {shown}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key, as a user would: a letter, or one by its name.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Space" => (32, " "),
            "PageUp" => (33, ""),
            "PageDown" => (34, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            letter => (0, letter),
        };
        let key = if key == "Space" { " " } else { key };
        let mut down = json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
        if !text.is_empty() {
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", down)?;
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }))?;
        Ok(())
    }

    /// Types a text into what has the focus.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", json!({ "text": text })).map(|_| ())
    }

    /// Waits until an expression is true on the page.
    pub fn holds(&mut self, expression: &str) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        while self.value(expression)? != true {
            if Instant::now() > until {
                bail!("{expression} does not become true");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Makes the window so wide.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<()> {
        self.screen(width, height, false)
    }

    /// A window of that size, or a phone's screen, which is touched.
    pub fn screen(&mut self, width: u32, height: u32, phone: bool) -> Result<()> {
        let scale = if phone { 3 } else { 1 };
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", size)?;
        self.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone })).map(|_| ())
    }

    /// Shows the page as on a `screen` or in `print`, `light` or `dark`.
    pub fn media(&mut self, media: &str, scheme: &str) -> Result<()> {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": media, "features": features })).map(|_| ())
    }
}

/// What came out of a printer.
#[derive(Debug)]
pub struct Paper {
    /// Length of the PDF.
    pub bytes: usize,
    /// What can be read on it.
    pub text: String,
    /// Pixels that do not fit on its width.
    pub cut_off: i64,
    /// Pixels by which a part of the page runs into the next one.
    pub spilt: i64,
}

impl Browser {
    /// Prints the page. The screen's size and media are to be set again afterwards.
    pub fn print(&mut self) -> Result<Paper> {
        // As wide as A4 is between its margins.
        self.resize(718, 1000)?;
        self.media("print", "light")?;
        self.value("dispatchEvent(new Event('beforeprint')); 0")?;
        // One frame, so that the page has drawn what it adds for paper.
        self.value("window.drawn = false; requestAnimationFrame(() => setTimeout(() => { window.drawn = true; })); 0")?;
        self.holds("window.drawn")?;
        let text = self.value("document.body.innerText")?.as_str().unwrap_or_default().to_owned();
        let cut_off = self.value("document.documentElement.scrollWidth - innerWidth")?.as_i64().unwrap_or(i64::MAX);
        let spilt = "Math.max(0, ...[...document.querySelectorAll('main > *')].filter(part => getComputedStyle(part).overflow === 'visible' \
                     && part.clientHeight > 0).map(part => part.scrollHeight - part.clientHeight))";
        let spilt = self.value(spilt)?.as_i64().unwrap_or(i64::MAX);
        self.value("dispatchEvent(new Event('afterprint')); 0")?;
        let size = json!({ "printBackground": true, "paperWidth": 8.27, "paperHeight": 11.69 });
        let printed = self.call("Page.printToPDF", size)?;
        let encoded = printed["data"].as_str().context("the paper's bytes")?;
        Ok(Paper { bytes: encoded.len() / 4 * 3, text, cut_off, spilt })
    }

    /// Faults of accessibility that axe-core finds on the page, a line for each; none is the empty text.
    pub fn faults(&mut self) -> Result<String> {
        if self.value("typeof axe")? != "object" {
            self.value(&axe()?)?;
        }
        let lines =
            "found.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' | ')).join('\\n')";
        self.value("window.faults = undefined")?;
        self.value(&format!("axe.run(document).then(found => {{ window.faults = {lines}; }}); 0"))?;
        self.holds("window.faults !== undefined")?;
        Ok(self.value("window.faults")?.as_str().unwrap_or_default().to_owned())
    }
}

/// axe-core, as the Python package that brings it has it.
fn axe() -> Result<String> {
    let python = std::env::var_os("HANSARD_PYTHON").context("HANSARD_PYTHON is not set: run `cargo xtask test`")?;
    let find = "import importlib.util as u, pathlib as p; \
                print(p.Path(u.find_spec('axe_playwright_python').origin).parent / 'axe.min.js')";
    let found = Command::new(python).args(["-c", find]).output().context("cannot start Python")?;
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    std::fs::read_to_string(&path)
        .with_context(|| format!("there is no axe-core: {}", String::from_utf8_lossy(&found.stderr)))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its profile is thrown away: there is nothing to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
