//! Nothing that traffic or an address holds becomes markup.

use std::fs;

use anyhow::{Result, ensure};
use llmtap_tests::{
    browser::Browser,
    pcap::{Capture, Conversation},
};
use serde_json::json;

use crate::support::{asks_its_server_alone, replay, serve, wide};

/// What an attacker would have the page run; it marks the page where it is run.
const ATTACK: &str = "<img src=x onerror=\"window.hit=1\"><script>window.hit=2</script>{{7*7}}\"'>";

/// A capture of a call that attacks by every text that it has.
fn attack() -> Result<Conversation> {
    let attack = json!(ATTACK);
    let body = json!({
        "model": format!("m{ATTACK}"), "user": format!("u{ATTACK}"), "stream": false,
        "messages": [{"role": format!("user{ATTACK}"), "content": ATTACK}, {"role": "user", "content": [{"type": "text", "text": ATTACK}]}],
        "tools": [{"type": "function", "function": {"name": ATTACK, "description": ATTACK}}],
    })
    .to_string();
    let answer = json!({
        "id": ATTACK, "object": "chat.completion", "model": ATTACK,
        "choices": [{"index": 0, "finish_reason": ATTACK, "message": {
            "role": "assistant", "content": attack, "reasoning_content": attack,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": ATTACK, "arguments": ATTACK}}],
        }}],
        "error": {"message": ATTACK, "type": ATTACK, "code": ATTACK},
    })
    .to_string();
    let mut tcp = Conversation::new("10.0.0.1:40000".parse()?, "10.0.0.2:8000".parse()?);
    tcp.handshake(0);
    tcp.client(
        1_000,
        format!(
            "POST /<img/src=x/onerror=window.hit=3>/v1/chat/completions HTTP/1.1\r\nHost: x\r\nUser-Agent: {ATTACK}\r\n\
             X-Request-Id: {ATTACK}\r\nX-Team: t{ATTACK}\r\nX-Forwarded-For: {ATTACK}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    tcp.server(
        9_000,
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: {ATTACK}\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        ),
    );
    tcp.close(10_000);
    Ok(tcp)
}

#[test]
fn an_attack_in_any_text_is_shown_as_text() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (capture, store) = (
        folder.path().join("attack.pcap"),
        folder.path().join("llmtap.db"),
    );
    Capture::of(&attack()?).write(&capture)?;
    replay(&capture, &store, &["--label", "team=x-team"])?;
    let (_daemon, api) = serve(&store, &[])?;
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    let mut browser = Browser::start()?;
    wide(&mut browser)?;
    browser.open(api, "")?;
    browser.until("document.readyState === 'complete'")?;
    browser.value(&format!(
        "sessionStorage.setItem('llmtap.token', {})",
        json!(token.trim())
    ))?;
    let attack = json!(ATTACK);
    for place in [
        "#/groups?from=all".to_owned(),
        "#/groups?from=all&by=user".to_owned(),
        "#/groups?from=all&by=label.team".to_owned(),
        "#/calls?from=all".to_owned(),
        "#/calls?from=all&live=1".to_owned(),
        "#/call/1".to_owned(),
        "#/overview?from=all&split=model".to_owned(),
        // What stands in a link that somebody sends.
        format!(
            "#/calls?from=all&model=*<script>*&x={}",
            ATTACK.replace(' ', "%20")
        ),
    ] {
        browser.open(api, &place)?;
        browser.until(&format!(
            "document.querySelector('#view').textContent.includes({attack})"
        ))?;
        let made = browser.value(
            "[window.hit ?? 0, document.querySelectorAll('img, #view script, iframe').length]",
        )?;
        assert_eq!(made, json!([0, 0]), "{place}");
    }
    browser.open(api, "#/call/1")?;
    for (selector, text) in [
        ("[data-kind=text]", ATTACK),
        ("[data-kind=reasoning]", ATTACK),
        ("[data-kind=call]", ATTACK),
        ("[data-kind=error]", ATTACK),
        (
            "section[aria-label='Whose, and where']",
            "onerror=window.hit=3",
        ),
        (
            "section[aria-label='Whose, and where']",
            &format!("u{ATTACK}"),
        ),
        // Headers.
        (
            "section[aria-label='Whose, and where']",
            &format!("user agent\n{ATTACK}"),
        ),
        (
            "section[aria-label='Whose, and where']",
            &format!("request id\n{ATTACK}"),
        ),
        (
            "section[aria-label='Whose, and where']",
            &format!("labels\nteam=t{ATTACK}"),
        ),
    ] {
        let shown = browser.text(selector)?;
        ensure!(shown.contains(text), "{selector}: {shown}");
    }
    browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true; })")?;
    browser.until("document.querySelectorAll('.raw pre').length === 2")?;
    browser.picture("attack")?;
    assert_eq!(browser.value("window.hit ?? 0")?, json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    asks_its_server_alone(&browser, api);
    Ok(())
}
