//! Whose call it was: clients behind proxies, users, keys, labels, traces; and what of it the operator's rules
//! keep from view.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Resolution},
    process::{self, Done},
    row::Row,
};
use serde_json::json;

const T0: u64 = 1_754_000_000_000_000;

const ASK: &str = r#"{"model":"m","user":"body-user","messages":[{"role":"user","content":"My order is 123-45."}]}"#;

const TELL: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"content":"Order 123-45 is fine."},"finish_reason":"stop"}]}"#;

/// One call with these headers, from this peer.
fn capture(file: &Path, peer: [u8; 4], headers: &str, ask: &str) -> Result<()> {
    let mut talk = Conversation::new((peer, 40_000).into(), ([10, 0, 0, 1], 8000).into());
    talk.handshake(T0)
        .client(
            T0 + 10,
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\n{headers}Content-Length: {}\r\n\r\n{ask}",
                ask.len()
            ),
        )
        .server(
            T0 + 20,
            format!(
                "HTTP/1.1 200 OK\r\nX-Request-Id: req-of-server\r\nContent-Length: {}\r\n\r\n{TELL}",
                TELL.len()
            ),
        )
        .close(T0 + 30);
    let bytes = Capture::of(&talk).to_pcap(ByteOrder::Little, Resolution::Micro);
    Ok(fs::write(file, bytes)?)
}

fn replay(file: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Done> {
    let mut command = process::llmtap(&["replay"])?;
    command.args(arguments).arg(file);
    command.envs(environment.iter().copied());
    process::run(&mut command)
}

fn row(file: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Row> {
    let arguments = [arguments, &["--format", "ndjson"]].concat();
    let done = replay(file, &arguments, environment)?;
    ensure!(done.code == Some(0), "{done:?}");
    done.rows()?.pop().context("a row")
}

#[test]
fn the_client_is_whom_trusted_proxies_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.pcap");
    let forwarded = "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 192.0.2.9\r\n";
    let client = |peer, arguments: &[&str], environment: &[(&str, &str)]| -> Result<_> {
        capture(&file, peer, forwarded, ASK)?;
        let row = row(&file, arguments, environment)?;
        Ok(row.text("client").map(str::to_owned))
    };
    let near = [10, 1, 0, 9];
    let far = [192, 0, 2, 77];
    let is = |address: &str| Some(address.to_owned());
    assert_eq!(client(near, &[], &[])?, is("192.0.2.9"));
    assert_eq!(client(far, &[], &[])?, None);
    assert_eq!(client(near, &["--trusted-proxy", "none"], &[])?, None);
    assert_eq!(
        client(far, &["--trusted-proxy", "any"], &[])?,
        is("198.51.100.1")
    );
    let nets = [
        "--trusted-proxy",
        "192.0.2.0/24",
        "--trusted-proxy",
        "203.0.113.7",
    ];
    assert_eq!(client(far, &nets, &[])?, is("198.51.100.1"));
    assert_eq!(client(near, &nets, &[])?, None);
    let environment = [("LLMTAP_TRUSTED_PROXY", "10.0.0.0/8,192.0.2.0/24")];
    assert_eq!(client(near, &[], &environment)?, is("203.0.113.7"));
    Ok(())
}

#[test]
fn heads_say_who_called_and_the_row_says_it_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.pcap");
    let headers = "User-Agent: openai-python/1.0\r\nX-Request-Id: req-of-client\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
        X-Team: blue\r\nX-Cost: 7\r\nX-Who: ann@example.org\r\nX-Route: routed\r\n\
        Authorization: Bearer sk-1\r\n";
    capture(&file, [10, 1, 0, 9], headers, ASK)?;
    let arguments = [
        "--label",
        "team=x-team",
        "--label",
        "cost=X-Cost",
        "--user-header",
        "x-who",
        "--model-header",
        "X-Route",
    ];
    let named = row(&file, &arguments, &[])?;
    assert_eq!(named.text("user_agent"), Some("openai-python/1.0"));
    assert_eq!(
        named.text("trace_id"),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert_eq!(named.text("span_id"), Some("00f067aa0ba902b7"));
    assert_eq!(named.text("request_id"), Some("req-of-client"));
    assert_eq!(named.text("server_request_id"), Some("req-of-server"));
    assert_eq!(named.get("labels"), &json!({"team": "blue", "cost": "7"}));
    // The body comes before the headers.
    assert_eq!(named.text("user"), Some("body-user"));
    assert_eq!(named.text("request_model"), Some("m"));

    let bare = ASK.replace("\"model\":\"m\",\"user\":\"body-user\",", "");
    capture(&file, [10, 1, 0, 9], headers, &bare)?;
    let by_headers = row(&file, &arguments, &[])?;
    assert_eq!(by_headers.text("user"), Some("ann@example.org"));
    assert_eq!(by_headers.text("request_model"), Some("routed"));
    let unasked = row(&file, &[], &[("LLMTAP_LABEL", "a=x-cost,b=x-team")])?;
    assert_eq!(unasked.get("labels"), &json!({"a": "7", "b": "blue"}));
    assert!(unasked.get("user").is_null() && unasked.get("request_model").is_null());
    // In SQL and in CSV.
    let store = folder.path().join("state/llmtap.db");
    let store_text = store.to_str().context("a path")?;
    let stored = replay(
        &file,
        &[&arguments[..], &["--db", store_text, "--format", "csv"]].concat(),
        &[],
    )?;
    ensure!(
        stored
            .stdout
            .contains(r#""{""team"":""blue"",""cost"":""7""}""#),
        "{}",
        stored.stdout
    );
    let database = rusqlite::Connection::open(&store)?;
    let team: String =
        database.query_one("SELECT labels ->> 'team' FROM calls", [], |row| row.get(0))?;
    assert_eq!(team, "blue");
    Ok(())
}

/// The bodies that are stored of this request and of [`TELL`].
fn stored(
    folder: &Path,
    ask: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<[String; 2]> {
    let file = folder.join("a.pcap");
    capture(&file, [10, 1, 0, 9], "", ask)?;
    let store = folder.join("llmtap.db");
    for name in ["llmtap.db", "llmtap.db-wal", "llmtap.db-shm"] {
        let _ = fs::remove_file(folder.join(name));
    }
    let store_text = store.to_str().context("a path")?;
    let done = replay(
        &file,
        &[arguments, &["--db", store_text]].concat(),
        environment,
    )?;
    ensure!(done.code == Some(0), "{done:?}");
    let database = rusqlite::Connection::open(&store)?;
    let bodies = "SELECT request_head, response_head FROM bodies";
    Ok(database.query_one(bodies, [], |row| Ok([row.get(0)?, row.get(1)?]))?)
}

#[test]
fn the_operators_rules_are_applied_before_anything_is_stored() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let [ask, tell] = stored(folder, ASK, &["--redact", r"\d{3}-\d{2}"], &[])?;
    assert_eq!(ask, ASK.replace("123-45", "[redacted:custom]"));
    assert_eq!(tell, TELL.replace("123-45", "[redacted:custom]"));
    let [ask, tell] = stored(
        folder,
        ASK,
        &["--redact-json", "$.messages[*].content"],
        &[],
    )?;
    assert_eq!(
        ask,
        ASK.replace("My order is 123-45.", "[redacted:json_path]")
    );
    assert_eq!(tell, TELL);
    let rules = folder.join("rules");
    fs::write(
        &rules,
        "# numbers, and what is said\n\\d{3}-\\d{2}\n$..message\n",
    )?;
    let rules_text = rules.to_str().context("a path")?;
    let by_file = stored(folder, ASK, &["--redact-file", rules_text], &[])?;
    assert_eq!(by_file[0], ASK.replace("123-45", "[redacted:custom]"));
    assert!(
        by_file[1].contains(r#""message":"[redacted:json_path]""#),
        "{}",
        by_file[1]
    );
    let environment = [
        ("LLMTAP_REDACT", "[0-9]{3},?-\nfine"),
        ("LLMTAP_REDACT_JSON", "$.user"),
    ];
    let [ask, tell] = stored(folder, ASK, &[], &environment)?;
    assert!(
        ask.contains("is [redacted:custom]45.") && ask.contains(r#""user":"[redacted:json_path]""#),
        "{ask}"
    );
    assert!(tell.contains("45 is [redacted:custom]."), "{tell}");
    Ok(())
}

#[test]
fn images_are_told_by_their_hash_and_other_data_by_request() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    // A PNG of one pixel, and as much of a WAV.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
    let ask = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}},
        {"type": "input_audio", "input_audio": {"data": wav, "format": "wav"}},
        {"type": "text", "text": "what is it?"}]}]})
    .to_string();
    // By `base64 -d | sha256sum`.
    let shown = "data:image/png;base64,[base64 image/png 70 bytes sha256:6b7fa434f92a8b80aab02d9bf1a12e49ffcae424e4013a1c4f68b67e3d2bbcd0]";
    let [full, _] = stored(folder, &ask, &["--bodies", "full"], &[])?;
    ensure!(full.contains(shown), "{full}");
    ensure!(
        full.contains(wav) && full.contains("what is it?") && !full.contains(png),
        "{full}"
    );
    let [text, _] = stored(folder, &ask, &["--bodies", "text"], &[])?;
    ensure!(
        text.contains(r#""data":"[base64 audio/wav 44 bytes sha256:"#),
        "{text}"
    );
    ensure!(
        text.contains("what is it?") && !text.contains(wav),
        "{text}"
    );
    serde_json::from_str::<serde_json::Value>(&text)?;
    Ok(())
}

#[test]
fn what_cannot_be_is_refused_at_the_start_with_the_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("a.pcap");
    capture(&file, [10, 1, 0, 9], "", ASK)?;
    let rules = folder.path().join("rules");
    fs::write(&rules, "fine\n\n(broken\n")?;
    let rules = rules.to_str().context("a path")?;
    for (arguments, parts) in [
        (
            ["--trusted-proxy", "10.0.0.0/33"],
            ["--trusted-proxy", "0 to 32"],
        ),
        (
            ["--trusted-proxy", "proxy.local"],
            ["--trusted-proxy", "no IP address"],
        ),
        (
            ["--trusted-proxy", "none,any"],
            ["--trusted-proxy", "stand alone"],
        ),
        (["--label", "team"], ["--label", "names no header"]),
        (["--label", "key=Authorization"], ["--label", "never kept"]),
        (["--user-header", "Cookie"], ["--user-header", "never kept"]),
        (
            ["--model-header", "x y"],
            ["--model-header", "no header name"],
        ),
        (["--redact", "(a"], ["--redact", "unclosed group"]),
        (["--redact", "a*"], ["--redact", "empty text"]),
        (
            ["--redact-json", "messages"],
            ["--redact-json", "must begin with $"],
        ),
        (
            ["--redact-json", "$.a[x]"],
            ["--redact-json", "character 5"],
        ),
        (["--redact-file", rules], ["line 3", "unclosed group"]),
        (
            ["--redact-file", "/does/not/exist"],
            ["/does/not/exist", "cannot read"],
        ),
    ] {
        let done = replay(&file, &arguments, &[])?;
        assert_eq!(done.code, Some(2), "{arguments:?} {done:?}");
        for part in parts {
            ensure!(done.stderr.contains(part), "{arguments:?}: {}", done.stderr);
        }
    }
    Ok(())
}
