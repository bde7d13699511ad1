//! A store that is served, and what the page shows of it.

use std::{net::SocketAddr, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    browser::{Browser, Theme},
    http,
    process::{self, Daemon},
    tools,
};
use serde_json::{Value, json};

/// A desktop's page and a phone's.
pub(crate) const WIDE: (u32, u32) = (1280, 900);
pub(crate) const PHONE: (u32, u32) = (390, 844);

pub(crate) fn replay(capture: &Path, store: &Path, more: &[&str]) -> Result<()> {
    let mut command = process::llmtap(&["replay", "--format", "ndjson"])?;
    let done = process::run(command.arg(capture).arg("--db").arg(store).args(more))?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}

pub(crate) fn serve(store: &Path, more: &[&str]) -> Result<(Daemon, SocketAddr)> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store).args(more);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok((daemon, api))
}

/// The demonstration's calls, served.
pub(crate) fn demo() -> Result<(tempfile::TempDir, Daemon, SocketAddr)> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    replay(&tools::file("data/demo.pcap.gz"), &store, &[])?;
    let (daemon, api) = serve(&store, &[])?;
    Ok((folder, daemon, api))
}

pub(crate) fn json(api: SocketAddr, path: &str) -> Result<Value> {
    let answer = http::get(api, path)?;
    ensure!(answer.status == 200, "{path}: {}", answer.text());
    serde_json::from_str(&answer.text()).with_context(|| path.to_owned())
}

pub(crate) fn wide(browser: &mut Browser) -> Result<()> {
    browser.screen(WIDE.0, WIDE.1, Theme::Light)
}

/// 1,234,567, as the page writes it.
pub(crate) fn count(value: &Value) -> String {
    let digits = value.as_u64().unwrap_or_default().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The cells of a table's body, row by row.
pub(crate) fn cells(browser: &mut Browser, table: &str) -> Result<Vec<Vec<String>>> {
    let found = browser.until(&format!(
        "(() => {{ const rows = [...document.querySelectorAll({})].map((row) => [...row.cells].map((cell) => cell.innerText)); \
         return rows.length ? rows : null; }})()",
        json!(format!("{table} tbody tr"))
    ))?;
    serde_json::from_value(found).context("no table")
}

/// Reports a call of this model, as the old plugin did.
pub(crate) fn report(api: SocketAddr, model: &str) -> Result<()> {
    let request = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let body = json!({
        "request_body": request.to_string(),
        "response_body": "{}", "elapsed_time": 0.5, "model": model,
    });
    let answer = http::post(api, "/api/report", &body.to_string())?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(())
}

/// Whom the page asks: its own server alone.
pub(crate) fn asks_its_server_alone(browser: &Browser, api: SocketAddr) {
    let origins: Vec<_> = browser.origins().iter().cloned().collect();
    assert_eq!(origins, [format!("http://{api}")]);
}
