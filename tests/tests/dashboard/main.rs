//! The dashboard in a real Chromium: what it shows is what the API says, and nothing in it becomes markup.

mod attack;
mod keyboard;
mod live;
mod shared;
mod support;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    browser::{Browser, Theme},
    pcap::{Capture, Conversation},
    process::{self, Daemon},
    tools,
};
use serde_json::json;

use self::support::{
    PHONE, WIDE, asks_its_server_alone, cells, count, demo, json, replay, serve, wide,
};

#[test]
fn the_overview_says_what_the_api_says() -> Result<()> {
    let (_folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/overview?from=all")?;
    let total = &json(api, "/api/summary")?["total"];
    let errors = browser.text("[data-figure=errors]")?;
    let expected = format!("{} of {}", count(&total["errors"]), count(&total["calls"]));
    ensure!(errors.contains(&expected), "{errors}");
    let p95 = browser.text("[data-figure=ttft_p95] dd")?;
    // One of fourteen took more than a second.
    let seconds = total["ttft"]["p95"].as_f64().context("ttft")?;
    assert_eq!(p95, format!("{seconds:.2} s"));

    browser.until("!!document.querySelector('.chart canvas')")?;

    // Dragging over a chart chooses that time, in the address.
    browser.drag(".chart .u-over", 0.25, 0.75)?;
    browser.until("/from=[0-9]+&to=[0-9]+/.test(location.hash)")?;
    browser.until("!!document.querySelector('.chart canvas')")?;
    let bounds = browser.value("location.hash.split('?')[1]")?;
    let narrowed = json(
        api,
        &format!("/api/summary?{}", bounds.as_str().unwrap_or_default()),
    )?;
    ensure!(narrowed["total"]["calls"].as_u64() < total["calls"].as_u64());
    let expected = format!("{} calls", count(&narrowed["total"]["calls"]));
    browser.until(&format!(
        "document.querySelector('[data-figure=calls]')?.innerText.includes({})",
        json!(expected)
    ))?;

    // Lines by model.
    browser.open(api, "#/overview?from=all&split=model")?;
    browser.until("document.querySelector('.u-legend')?.innerText.includes('qwen3-32b')")?;
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}

#[test]
fn groups_calls_and_one_call_say_what_the_api_says() -> Result<()> {
    let (folder, _daemon, api) = demo()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/groups?from=all")?;
    let rows = cells(&mut browser, "#view table.data")?;
    let groups = json(api, "/api/summary?group_by=model&limit=200")?;
    let groups = groups["groups"].as_array().context("groups")?;
    assert_eq!(rows.len(), groups.len());
    for (row, group) in rows.iter().zip(groups) {
        assert_eq!(row[0], group["model"].as_str().unwrap_or("~none"));
        assert_eq!(row[1], count(&group["calls"]));
        assert_eq!(row[2], count(&group["errors"]));
        assert_eq!(row[4], count(&group["input_tokens"]));
        assert_eq!(row[6], count(&group["output_tokens"]));
    }

    // A click on a name is a filter, which the next view keeps.
    browser.click("#view td.name button")?;
    browser.until("!!document.querySelector('.chip[data-filter=model]')")?;
    let model = groups[0]["model"].as_str().context("model")?;
    browser.click("nav a[href^='#/calls']")?;
    let rows = cells(&mut browser, "table.calls")?;
    let calls = json(api, &format!("/api/calls?model={model}"))?;
    let calls = calls["calls"].as_array().context("calls")?;
    assert_eq!(rows.len(), calls.len());
    for (row, call) in rows.iter().zip(calls) {
        assert_eq!(row[1], model);
        let outcome = call["outcome"].as_str().context("outcome")?;
        ensure!(row[2].starts_with(outcome), "{row:?}");
        assert_eq!(row[4], count(&call["output_tokens"]));
    }

    // One call: without the token its clocks and tokens, with it what was said.
    let reasoning = json(api, "/api/calls?model=deepseek-reasoner&outcome=ok")?;
    let call = &reasoning["calls"][0];
    browser.open(api, &format!("#/call/{}", call["id"]))?;
    let input = browser.text("[data-side=input]")?;
    ensure!(input.contains(&count(&call["input_tokens"])), "{input}");
    ensure!(browser.text(".waterfall")?.contains("wait"));
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    browser.click("section[aria-label='What was said'] button")?;
    browser.click("input[name=token]")?;
    browser.write(token.trim())?;
    browser.click(".token button[type=submit]")?;
    let said = browser.text(".conversation")?;
    ensure!(
        said.contains("user") && said.contains("assistant"),
        "{said}"
    );
    browser.text("[data-kind=reasoning]")?;
    browser.text("[data-role=assistant] [data-kind=text]")?;

    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}

/// Texts that are hard to read: those whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
const FAINT: &str = r"(() => {
    const numbers = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, place) => sum + c * [.2126, .7152, .0722][place], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = numbers(getComputedStyle(at).backgroundColor);
            if (colour.length === 3) return colour;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('body *')].filter((e) => !e.closest('svg, option') && e.checkVisibility()
        && [...e.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()))
        .map((e) => {
            const [one, other] = [light(numbers(getComputedStyle(e).color)), light(behind(e))].sort((a, b) => b - a);
            return [(one + .05) / (other + .05), e.outerHTML.slice(0, 100)];
        }).filter(([contrast]) => contrast < 4.5);
})()";

/// Controls that a finger misses: smaller than 24 pixels (WCAG 2.2, 2.5.8; links within a line or a row are excepted).
const SMALL: &str = r"[...document.querySelectorAll('button, select, input, summary, nav a')].filter((e) => e.checkVisibility())
    .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 100)])
    .filter(([{ width, height }]) => width < 23.9 || height < 23.9).map(([{ width, height }, html]) => [width, height, html])";

/// Pictures of each view, on a desktop in both themes and on a phone: nothing is wider than the screen, too faint or too
/// small.
#[test]
fn every_view_fits_a_desktop_and_a_phone_in_both_themes() -> Result<()> {
    let (folder, _daemon, api) = demo()?;
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    let mut browser = Browser::start()?;
    browser.open(api, "")?;
    browser.until("document.readyState === 'complete'")?;
    browser.value(&format!(
        "sessionStorage.setItem('llmtap.token', {})",
        json!(token.trim())
    ))?;
    for (screen, (width, height), theme) in [
        ("light", WIDE, Theme::Light),
        ("dark", WIDE, Theme::Dark),
        ("phone", PHONE, Theme::Dark),
        ("phone-light", PHONE, Theme::Light),
    ] {
        browser.screen(width, height, theme)?;
        for (name, place, there) in [
            ("overview", "#/overview?from=all", ".chart canvas"),
            ("groups", "#/groups?from=all", "table.data tbody td"),
            ("calls", "#/calls?from=all", "table.calls tbody td"),
            ("live", "#/calls?live=1&from=all", "table.calls tbody td"),
            ("call", "#/call/2?from=all", ".conversation"),
            ("heat", "#/heat?from=all", ".heat canvas"),
            ("losses", "#/losses", ".facts dd"),
            ("empty", "#/overview?from=-1m", ".empty"),
        ] {
            browser.open(api, place)?;
            browser.until(&format!("!!document.querySelector('{there}')"))?;
            let wide = browser.value("document.documentElement.scrollWidth")?;
            ensure!(
                wide.as_u64() <= Some(width.into()),
                "{name}, {screen}: {wide}"
            );
            for (what, fault) in [("faint", FAINT), ("small", SMALL)] {
                let found = browser.value(fault)?;
                assert_eq!(found, json!([]), "{what}: {name}, {screen}");
            }
            browser.picture(&format!("{name}-{screen}"))?;
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}

/// Bytes that a capture lacks are losses on the overview, in the list of them, and in the call's own row; how much came
/// is none.
#[test]
fn a_hole_in_a_capture_is_told() -> Result<()> {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let mut tcp = Conversation::new("10.0.0.1:40000".parse()?, "10.0.0.2:8000".parse()?);
    tcp.handshake(0);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.client(1_000, request);
    tcp.server(2_000, "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{");
    let _ = tcp.reserve_server("x".repeat(40));
    tcp.server(4_000, "y".repeat(19)).client_ack(4_500);
    tcp.close(5_000);
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("hole.pcap");
    Capture::of(&tcp).write(&capture)?;
    let mut command = process::llmtap(&["replay", "--serve", "--listen", "127.0.0.1:0"])?;
    command.arg(&capture);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "")?;
    assert_eq!(browser.text("[data-figure=losses] dd")?, "1");
    browser.open(api, "#/losses")?;
    let rows = cells(&mut browser, "[aria-label=Losses] table")?;
    let told: Vec<_> = rows
        .iter()
        .map(|row| [&*row[1], &*row[2], &*row[3]])
        .collect();
    ensure!(told.contains(&["gaps", "1", "lost"]), "{told:?}");
    ensure!(told.contains(&["gap bytes", "40", "lost"]), "{told:?}");
    ensure!(
        !told
            .iter()
            .any(|[reason, ..]| ["segments", "packets"].contains(reason)),
        "{told:?}"
    );
    browser.open(api, "#/call/1")?;
    let losses = browser.text("section[aria-label=Losses]")?;
    ensure!(
        losses.contains("partial") && losses.contains("40 B"),
        "{losses}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    Ok(())
}

/// A capture is looked at as a store is, and nothing of it is left.
#[test]
fn a_replay_is_served_and_leaves_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = process::llmtap(&["replay", "--serve", "--listen", "127.0.0.1:0"])?;
    command
        .arg(tools::file("data/demo.pcap.gz"))
        .current_dir(folder.path());
    let daemon = Daemon::start(command)?;
    let line = daemon.stderr_line(|line| line.contains("ready:"))?;
    ensure!(line.contains("21 calls of"), "{line}");
    let api = daemon.ready()?;
    let token = daemon.stderr_line(|line| line.contains("llmtap.token"))?;
    let token = token
        .split_whitespace()
        .find(|word| word.contains("llmtap.token"));
    let token = Path::new(token.context("a path")?.trim_end_matches([';', ','])).to_owned();
    ensure!(token.is_file(), "{}", token.display());
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    // Of a capture, all is shown, whenever it was.
    browser.open(api, "")?;
    let errors = browser.text("[data-figure=errors]")?;
    ensure!(errors.contains("7 of 21"), "{errors}");
    let state = browser.text("#state")?;
    ensure!(state.contains("21 calls of"), "{state}");
    browser.open(api, "#/losses")?;
    let status = json(api, "/api/status")?;
    let packets = format!("packets\n{}", count(&status["packets"]));
    ensure!(status["packets"].as_u64() > Some(100));
    browser.until(&format!(
        "document.querySelector('.facts')?.innerText.includes({})",
        json!(packets)
    ))?;
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    ensure!(!token.exists() && !token.parent().is_some_and(Path::exists));
    ensure!(fs::read_dir(folder.path())?.next().is_none());
    Ok(())
}

#[test]
fn without_a_token_there_is_a_way_in_and_without_a_server_a_word() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    replay(&tools::file("data/demo.pcap.gz"), &store, &[])?;
    let file = folder.path().join("token");
    fs::write(&file, "a-token-of-the-tests-0123456789\n")?;
    let file = file.to_str().context("a path")?;
    let (daemon, api) = serve(&store, &["--api-token-file", file])?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "#/calls?from=all")?;
    browser.click("input[name=token]")?;
    browser.picture("unauthorised-light")?;
    browser.write("a-wrong-token-0123456789")?;
    browser.click(".token button")?;
    browser.until("document.querySelector('.token')?.innerText.includes('not taken')")?;
    browser.click("input[name=token]")?;
    browser.write("a-token-of-the-tests-0123456789")?;
    browser.click(".token button")?;
    assert_eq!(cells(&mut browser, "table.calls")?.len(), 21);
    // A file is fetched with the token, too.
    ensure!(browser.value("document.cookie")? == json!(""));
    // Refusals of the server are its own affair, and are logged by the browser.
    let complaints = browser.complaints();
    ensure!(
        complaints.iter().all(|one| one.contains("401")),
        "{complaints:?}"
    );

    // A question that the server refuses says why.
    browser.open(api, "#/calls?from=yesterday")?;
    let problem = browser.text(".problem")?;
    ensure!(problem.contains("from"), "{problem}");
    browser.picture("problem-light")?;

    browser.open(api, "#/overview?from=-1h")?;
    browser.until("!!document.querySelector('[data-figure=calls]')")?;
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    let banner = browser.until("document.querySelector('#banner:not([hidden])')?.innerText")?;
    ensure!(
        banner
            .as_str()
            .is_some_and(|text| text.contains("does not answer"))
    );
    browser.picture("disconnected-light")?;
    Ok(())
}
