//! Calls as they end, and those under way.

use std::{thread, time::Duration};

use anyhow::{Result, bail, ensure};
use llmtap_tests::{
    browser::Browser,
    http,
    model_server::{ModelServer, Pace},
    tap::Tap,
};
use serde_json::json;

use crate::support::{asks_its_server_alone, cells, demo, report, wide};

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
    report(api, "tail-1")?;
    report(api, "other")?;
    browser.until("document.querySelector('table.calls tbody')?.innerText.includes('tail-1')")?;
    browser.click("button[aria-pressed='false'].pause")?;
    report(api, "tail-2")?;
    browser.until("document.querySelector('[data-note=tail]')?.innerText.includes('1 newer')")?;
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

/// A call is shown while it is under way, with what is known of it, and as a row once it is over. Needs root, to
/// capture packets: without it, it fails.
#[test]
fn a_call_under_way_is_shown_until_it_ends() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Slow enough to be seen before and after its first token, however slow the machine is.
    let pace = Pace {
        think: Duration::from_secs(4),
        token: Duration::from_millis(400),
        ..Pace::default()
    };
    let server = ModelServer::start("127.0.0.1:0".parse()?, pace)?;
    let address = server.address();
    let store = folder.path().join("llmtap.db");
    let llmtap = Tap::new("pcap", "lo", &[address.port()], &store).start()?;
    let api = llmtap.ready()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    // Whatever the range is, it is now that is shown.
    browser.open(api, "#/calls?live=1&from=all")?;
    browser.text("[data-note=tail]")?;
    let model = "<b>thinker</b>";
    let ask = json!({
        "model": model, "stream": true, "user": "eve", "max_tokens": 30,
        "messages": [{"role": "user", "content": "hi"}],
    })
    .to_string();
    let client = thread::spawn(move || http::post(address, "/v1/chat/completions", &ask));

    let table = "[aria-label='Under way']:not([hidden]) table";
    let rows = cells(&mut browser, table)?;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][1..4], [model, "chat, stream", "not yet"]);
    assert_eq!(rows[0][5..], ["127.0.0.1", "eve"]);
    browser.picture("under-way-light")?;
    // Then its first token comes, and more.
    let figures = "document.querySelector(\"[aria-label='Under way'] tbody tr\")?.cells";
    browser.until(&format!(
        "/[0-9] s$/.test({figures}[3].innerText) && Number({figures}[4].innerText) > 2"
    ))?;
    let shown = browser.text(&format!("{table} tbody tr"))?;
    browser.until(&format!(
        "{figures} && document.querySelector(\"{table} tbody tr\").innerText !== {}",
        json!(shown)
    ))?;
    match client.join() {
        Ok(answer) => assert_eq!(answer?.status, 200),
        Err(_) => bail!("the client panicked"),
    }
    browser.until("document.querySelector(\"[aria-label='Under way']\").hidden")?;
    let rows = cells(&mut browser, "table.calls")?;
    assert_eq!(
        (rows.len(), rows[0][1].as_str(), rows[0][2].as_str()),
        (1, model, "ok")
    );
    assert_eq!(
        browser.value("document.querySelectorAll('#view b').length")?,
        json!(0)
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    llmtap.stop("INT")?;
    Ok(())
}
