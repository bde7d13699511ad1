//! A real Chromium, driven over its debugging pipe: no port is open, and nothing but the standard library is needed.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{process::PATIENCE, tools};

/// Between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);

/// What the browser is started with. Its own sandbox wants rights that containers and root do not have, and the
/// pages are our own.
const ARGUMENTS: &str = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
     --disable-background-networking --disable-dev-shm-usage --force-device-scale-factor=1";

/// Keys: the name in the page, that of the place on the keyboard, Windows' number, and the text that it makes.
const KEYS: &[(&str, &str, u32, &str)] = &[
    ("Tab", "Tab", 9, ""),
    ("Enter", "Enter", 13, "\r"),
    ("Escape", "Escape", 27, ""),
    (" ", "Space", 32, " "),
    ("End", "End", 35, ""),
    ("Home", "Home", 36, ""),
    ("ArrowLeft", "ArrowLeft", 37, ""),
    ("ArrowUp", "ArrowUp", 38, ""),
    ("ArrowRight", "ArrowRight", 39, ""),
    ("ArrowDown", "ArrowDown", 40, ""),
];

/// What a page of ours has fewer places for the focus than.
const MOST_STOPS: usize = 200;

/// Colours that the system asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// One page of a browser; dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    complaints: Vec<String>,
    origins: BTreeSet<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it, with an empty page.
    ///
    /// # Errors
    /// Where it is not there, or does not answer.
    pub fn start() -> Result<Self> {
        let profile = tempfile::tempdir()?;
        // It reads orders from descriptor 3 and answers on 4.
        let script = format!(
            "exec \"$0\" {ARGUMENTS} --remote-debugging-pipe --user-data-dir=\"$1\" about:blank \
             3<&0 4>&1 </dev/null >/dev/null 2>&1"
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .arg(tools::chromium()?)
            .arg(profile.path())
            // Its time zone is the tests'.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run sh")?;
        let to = child.stdin.take().context("stdin is a pipe")?;
        let out = child.stdout.take().context("stdout is a pipe")?;
        let (sender, from) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(out);
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                let value = serde_json::from_slice(&message).unwrap_or_default();
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            session: None,
            asked: 0,
            complaints: Vec::new(),
            origins: BTreeSet::new(),
            _profile: profile,
        };
        browser.attach()?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let target = self.order("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.order("Target.attachToTarget", attach)?;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.order(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    /// Sends one order of the DevTools protocol and waits for what comes of it.
    ///
    /// # Errors
    /// Where it is refused, or after [`PATIENCE`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers make the parameters where they give the order"
    )]
    pub fn order(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.asked += 1;
        let mut order = json!({"id": self.asked, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut text = order.to_string().into_bytes();
        text.push(0);
        self.to.write_all(&text)?;
        self.to.flush()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = match self.from.recv_timeout(left) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => bail!("{method}: no answer"),
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser ended"),
            };
            if message["id"] == self.asked {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            self.listen(&message);
        }
    }

    /// Notes what the page complains about.
    fn listen(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str() {
            Some("Network.requestWillBeSent" | "Network.webSocketCreated") => {
                let url = parameters["request"]["url"].as_str();
                let url = url.or(parameters["url"].as_str()).unwrap_or_default();
                // `data:` and `blob:` are of the page itself.
                if let Some((scheme, rest)) = url.split_once("://")
                    && !scheme.starts_with("blob:")
                {
                    let host = rest.split('/').next().unwrap_or_default();
                    self.origins.insert(format!("{scheme}://{host}"));
                }
            }
            Some("Runtime.exceptionThrown") => {
                self.complaints
                    .push(parameters["exceptionDetails"].to_string());
            }
            Some("Runtime.consoleAPICalled")
                if matches!(
                    parameters["type"].as_str(),
                    Some("error" | "warning" | "assert")
                ) =>
            {
                self.complaints.push(parameters["args"].to_string());
            }
            Some("Log.entryAdded")
                if matches!(
                    parameters["entry"]["level"].as_str(),
                    Some("error" | "warning")
                ) =>
            {
                self.complaints.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Errors and warnings of the console, exceptions and breaches of the page's policy, since the last look.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Whom the page asked for anything, as `http://HOST:PORT`, since the start.
    pub fn origins(&self) -> &BTreeSet<String> {
        &self.origins
    }

    /// Sets the page's size, in pixels of CSS, and the colours that its system asks for.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub fn screen(&mut self, width: u32, height: u32, theme: Theme) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.order("Emulation.setDeviceMetricsOverride", size)?;
        let scheme = match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.order("Emulation.setEmulatedMedia", media)?;
        Ok(())
    }

    /// Opens an address of this server, from an empty page.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(&mut self, server: SocketAddr, place: &str) -> Result<()> {
        self.order("Page.navigate", json!({"url": "about:blank"}))?;
        let url = format!("http://{server}/{place}");
        let opened = self.order("Page.navigate", json!({"url": url}))?;
        ensure!(opened["errorText"].is_null(), "{url}: {opened}");
        Ok(())
    }

    /// The value of an expression in the page.
    ///
    /// # Errors
    /// Where it throws.
    pub fn value(&mut self, expression: &str) -> Result<Value> {
        let what = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.order("Runtime.evaluate", what)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {thrown}");
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until an expression is true; what it then is.
    ///
    /// # Errors
    /// After [`PATIENCE`]; the error shows the page's text.
    pub fn until(&mut self, expression: &str) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // While a page is being opened, there may be nothing to ask.
            let value = self.value(expression).unwrap_or_default();
            if !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0 {
                return Ok(value);
            }
            if Instant::now() > deadline {
                let text = self.value("document.body.innerText").unwrap_or_default();
                let complaints = self.complaints();
                bail!(
                    "never true: {expression}\n--- the page\n{text}\n--- complaints\n{complaints:#?}"
                );
            }
            thread::sleep(LOOK);
        }
    }

    /// The text of the first element that a selector finds, once it is there.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let found = self.until(&format!(
            "document.querySelector({})?.innerText",
            json!(selector)
        ))?;
        Ok(found.as_str().unwrap_or_default().to_owned())
    }

    /// Clicks on the first element that a selector finds, with the mouse, once it is there.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn click(&mut self, selector: &str) -> Result<()> {
        let place = self.until(&format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null; e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.order("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Drags the mouse from one point of an element to another, given as parts of its width, at half its height.
    ///
    /// # Errors
    /// Where the element does not come.
    pub fn drag(&mut self, selector: &str, from: f64, to: f64) -> Result<()> {
        let place = self.until(&format!(
            "(() => {{ const e = document.querySelector({}); if (!e) return null; e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x, r.y + r.height / 2, r.width]; }})()",
            json!(selector)
        ))?;
        let number = |index: usize| place[index].as_f64().unwrap_or_default();
        let (left, y, width) = (number(0), number(1), number(2));
        for (kind, part) in [
            ("mouseMoved", from),
            ("mousePressed", from),
            ("mouseMoved", f64::midpoint(from, to)),
            ("mouseMoved", to),
            ("mouseReleased", to),
        ] {
            let event = json!({
                "type": kind, "x": left + width * part, "y": y, "button": "left",
                "buttons": u8::from(kind != "mouseReleased"), "clickCount": 1,
            });
            self.order("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Presses a key, by its name in the page (`Tab`, `Enter`, ` `, `ArrowDown` …), and lets it go.
    ///
    /// # Errors
    /// Where it is not known here, or the browser does not answer.
    pub fn key(&mut self, name: &str) -> Result<()> {
        self.press(name, 0)
    }

    /// Presses a key while Shift is held.
    ///
    /// # Errors
    /// As [`key`](Self::key).
    pub fn shift_key(&mut self, name: &str) -> Result<()> {
        self.press(name, 8)
    }

    fn press(&mut self, name: &str, modifiers: u8) -> Result<()> {
        let known = KEYS.iter().find(|(key, ..)| *key == name);
        let (_, code, number, text) = known.with_context(|| format!("no key {name:?} here"))?;
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers,
            });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.order("Input.dispatchKeyEvent", event)?;
        }
        Ok(())
    }

    /// Goes on by Tab until what a selector finds has the focus.
    ///
    /// # Errors
    /// Where it is not reached.
    pub fn tab_to(&mut self, selector: &str) -> Result<()> {
        self.until(&format!("!!document.querySelector({})", json!(selector)))?;
        let reached = format!("document.activeElement?.matches({})", json!(selector));
        for _ in 0..MOST_STOPS {
            self.key("Tab")?;
            if self.value(&reached)? == true {
                return Ok(());
            }
        }
        bail!("{selector} is not reached by Tab")
    }

    /// Goes back as the browser's own button does.
    ///
    /// # Errors
    /// Where there is nothing before.
    pub fn back(&mut self) -> Result<()> {
        let history = self.order("Page.getNavigationHistory", json!({}))?;
        let now = history["currentIndex"].as_u64().context("an index")?;
        let before = now.checked_sub(1).context("nothing is before this")?;
        let entry = history["entries"][usize::try_from(before)?]["id"].clone();
        self.order("Page.navigateToHistoryEntry", json!({"entryId": entry}))?;
        Ok(())
    }

    /// Types a text into what has the focus.
    ///
    /// # Errors
    /// Where the browser does not answer.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.order("Input.insertText", json!({"text": text}))?;
        Ok(())
    }

    /// Keeps a picture of the page, as the target folder's `screenshots/NAME.png`.
    ///
    /// # Errors
    /// Where it cannot be taken or written.
    pub fn picture(&mut self, name: &str) -> Result<PathBuf> {
        let folder = tools::screenshots();
        fs::create_dir_all(&folder)?;
        let path = folder.join(Path::new(name).with_extension("png"));
        let taken = self.order("Page.captureScreenshot", json!({"format": "png"}))?;
        let data = taken["data"].as_str().context("no picture")?;
        fs::write(&path, from_base64(data))?;
        Ok(path)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it takes its own helpers along.
        let _ = self.order("Browser.close", json!({}));
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// RFC 4648 §4, of what a browser wrote.
fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut bits) = (0_u32, 0);
    for digit in text.bytes().take_while(|digit| *digit != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        group = group << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(from_base64(text), bytes.as_bytes());
        }
    }
}
