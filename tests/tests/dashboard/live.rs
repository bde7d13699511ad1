//! Calls as they end, and those under way.

use anyhow::{Result, ensure};
use llmtap_tests::{browser::Browser, http};
use serde_json::json;

use crate::support::{cells, demo, wide};

/// The live tail shows calls as they end, and stands still while it is paused.
#[test]
fn the_live_tail_can_be_paused() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/calls?live=1&model=tail*")?;
    browser.until(
        "document.querySelector('[data-note=tail]')?.innerText.includes('No call yet') || null",
    )?;
    let report = |model: &str| -> Result<()> {
        let request = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        let body = json!({
            "request_body": request.to_string(),
            "response_body": "{}", "elapsed_time": 0.5, "model": model,
        });
        let answer = http::post(api, "/api/report", &body.to_string())?;
        ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    };
    report("tail-1")?;
    report("other")?;
    browser.until("document.querySelector('table.calls tbody')?.innerText.includes('tail-1')")?;
    browser.click("button[aria-pressed='false'].pause")?;
    report("tail-2")?;
    browser
        .until("document.querySelector('[data-note=tail]')?.innerText.includes('1 newer')")?;
    assert_eq!(cells(&mut browser, "table.calls")?.len(), 1);
    browser.click("button.pause")?;
    browser.until("document.querySelector('table.calls tbody')?.innerText.includes('tail-2')")?;
    let rows = cells(&mut browser, "table.calls")?;
    let models: Vec<_> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(models, ["tail-2", "tail-1"]);
    // The row opens, by its key.
    browser.click("table.calls tbody a")?;
    ensure!(browser.text("h1")?.contains("tail-2"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

