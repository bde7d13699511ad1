//! Calls as they happen: tapped live on loopback, read from `/api/live` and `/api/inflight`; and the rules of who may
//! ask, as the program starts with them. Needs root, to capture packets: without it, it fails.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use llmtap_tests::{
    certificate::Certificate,
    http,
    model_server::{ModelServer, Pace},
    process::{self, Daemon, PATIENCE},
    tap::Tap,
};
use serde_json::Value as Json;

/// Listens to the live feed.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn new(api: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(api)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /api/live HTTP/1.1\r\nHost: {api}\r\n\r\n")?;
        let mut listener = Self(BufReader::new(stream));
        while !listener.line()?.starts_with("retry:") {}
        Ok(listener)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the feed ended");
        Ok(line.trim_end().to_owned())
    }

    /// The next event: its name and its data.
    fn next(&mut self) -> Result<(String, Json)> {
        let mut name = String::new();
        loop {
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => return Ok((name, serde_json::from_str(value)?)),
                _ => {}
            }
        }
    }
}

#[test]
fn a_stream_is_told_while_it_is_under_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Slow enough to be seen under way, however slow the machine is.
    let pace = Pace {
        think: Duration::from_secs(3),
        token: Duration::from_millis(200),
        ..Pace::default()
    };
    let server = ModelServer::start("127.0.0.1:0".parse()?, pace)?;
    let address = server.address();
    let store = folder.path().join("llmtap.db");
    let llmtap = Tap::new("pcap", "lo", &[address.port()], &store).start()?;
    let api = llmtap.ready()?;
    let mut listener = Listener::new(api)?;
    let ask =
        r#"{"model":"m","stream":true,"user":"eve","messages":[{"role":"user","content":"hi"}]}"#;
    let client = thread::spawn(move || http::post(address, "/v1/chat/completions", ask));

    let (name, begun) = listener.next()?;
    assert_eq!(name, "begin", "{begun}");
    assert_eq!(begun["request_model"], "m");
    assert_eq!(begun["operation"], "chat");
    assert_eq!(begun["first_token"], Json::Null);
    let shown = process::eventually(|| {
        let text = http::get(api, "/api/inflight?model=m").ok()?.text();
        let shown: Json = serde_json::from_str(&text).ok()?;
        (shown["calls"].as_array()?.len() == 1).then_some(shown)
    });
    let shown = shown.context("the call never showed as under way")?;
    let call = &shown["calls"][0];
    assert_eq!(call["call_key"], begun["call_key"]);
    assert_eq!(
        (&call["user"], &call["status"]),
        (&begun["user"], &Json::from(200))
    );
    assert!(call["age"].as_f64().context("an age")? >= 0.0);
    assert_eq!(shown["left_out"], 0);

    let (name, first) = listener.next()?;
    assert_eq!(
        (name.as_str(), &first["call_key"]),
        ("first_token", &begun["call_key"])
    );
    let (name, end) = listener.next()?;
    assert_eq!(
        (name.as_str(), &end["call_key"]),
        ("end", &begun["call_key"])
    );
    for key in [
        "request_start",
        "request_end",
        "client",
        "peer",
        "server",
        "path",
        "dialect",
    ] {
        assert_eq!(begun[key], end[key], "{key}");
    }
    assert_eq!(
        (&first["first_token"], &first["ttft"]),
        (&end["first_token"], &end["ttft"])
    );
    assert_eq!(end["outcome"], "ok");
    match client.join() {
        Ok(answer) => assert_eq!(answer?.status, 200),
        Err(_) => bail!("the client panicked"),
    }
    llmtap.stdout_lines(1)?;
    let after: Json = serde_json::from_str(&http::get(api, "/api/inflight")?.text())?;
    assert_eq!(after["calls"], Json::Array(Vec::new()));

    // What was said takes the token beside the store.
    let key = end["call_key"].as_str().context("a key")?.to_owned();
    let path = format!("/api/calls/{key}");
    let without = process::eventually(|| {
        let answer = http::get(api, &path).ok()?;
        (answer.status == 200).then_some(answer)
    });
    let without: Json = serde_json::from_str(&without.context("never stored")?.text())?;
    assert_eq!(without["bodies"], Json::Null);
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    let with = http::get_as(api, &path, &token)?.text();
    assert!(with.contains(r#"\"user\":\"eve\""#), "{with}");
    llmtap.stop("INT")?;
    Ok(())
}

#[test]
fn bound_elsewhere_it_starts_with_a_token_alone_and_takes_a_new_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    let db = db.to_string_lossy();
    let arguments = ["serve", "--listen", "0.0.0.0:0", "--db", &db];
    let refused = process::run_llmtap(&arguments)?;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("--api-token-file FILE"),
        "{refused:?}"
    );

    let file = folder.path().join("token");
    fs::write(&file, "the-first-token-0123\n")?;
    let mut command = process::llmtap(&arguments)?;
    command.arg("--api-token-file").arg(&file);
    let llmtap = Daemon::start(command)?;
    let port = llmtap.ready()?.port();
    let api: SocketAddr = ([127, 0, 0, 1], port).into();
    assert_eq!(http::get(api, "/metrics")?.status, 401);
    assert_eq!(http::get(api, "/live")?.status, 200);
    let status = |token: &str| Ok::<_, anyhow::Error>(http::get_as(api, "/metrics", token)?.status);
    assert_eq!(status("the-first-token-0123")?, 200);
    fs::write(&file, "the-second-token-0123\n")?;
    llmtap.signal("HUP")?;
    llmtap.stderr_line(|line| line.contains("settings read again"))?;
    assert_eq!(status("the-second-token-0123")?, 200);
    assert_eq!(status("the-first-token-0123")?, 401);
    llmtap.stop("TERM")?;
    Ok(())
}

#[test]
fn by_tls_it_shows_the_certificate_and_a_new_one_after_a_reload() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let make = |name: &str| Certificate::self_signed(folder.path(), name);
    let Certificate { cert, key } = make("one.example")?;
    let db = folder.path().join("llmtap.db");
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command
        .arg(&db)
        .arg("--tls-cert")
        .arg(&cert)
        .arg("--tls-key")
        .arg(&key);
    let llmtap = Daemon::start(command)?;
    let api = llmtap.ready()?;
    let get = || -> Result<process::Done> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--cacert"])
            .arg(&cert)
            .arg(format!("https://{api}/live"));
        process::run(&mut curl)
    };
    let first = get()?;
    assert_eq!(first.stdout, r#"{"status":"live"}"#, "{first:?}");
    make("two.example")?;
    ensure!(get()?.code != Some(0), "another certificate was believed");
    llmtap.signal("HUP")?;
    let told = "settings read again: the file of --tls-cert, the file of --tls-key changed";
    llmtap.stderr_line(|line| line.contains(told))?;
    let second = get()?;
    assert_eq!(second.stdout, r#"{"status":"live"}"#, "{second:?}");
    ensure!(http::get(api, "/live").is_err(), "plain HTTP was answered");
    llmtap.stop("TERM")?;
    Ok(())
}
