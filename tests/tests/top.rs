//! `llmtap top`, and the view of `replay --realtime`, driven on a terminal.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    certificate::Certificate,
    http,
    model_server::{ModelServer, Pace},
    pcap::{Capture, Conversation},
    process::{self, Daemon},
    pty::{OWN_TERMINAL, Streams, Terminal},
    tap::Tap,
    tools,
};
use serde_json::json;

const SMALL: (u16, u16) = (24, 80);

/// No sentence is broken.
const WIDE: (u16, u16) = (24, 400);

fn on_terminal(arguments: &[&str]) -> Result<Command> {
    process::llmtap_under(&OWN_TERMINAL, arguments)
}

/// The demonstration's capture, played fast, up to its end.
fn played(command: impl FnOnce(&mut Command)) -> Result<Terminal> {
    let mut played = on_terminal(&["replay", "--realtime", "--speed", "100"])?;
    played.arg(tools::file("data/demo.pcap.gz"));
    command(&mut played);
    let terminal = Terminal::start(played, Streams::All, SMALL)?;
    terminal.wait_for("the capture has ended")?;
    Ok(terminal)
}

fn serve(folder: &Path) -> Result<(Daemon, SocketAddr)> {
    let store = folder.join("llmtap.db");
    let store = store.to_str().context("a name in UTF-8")?;
    let daemon = Daemon::start(process::llmtap(&[
        "serve",
        "--listen=127.0.0.1:0",
        "--db",
        store,
    ])?)?;
    let address = daemon.ready()?;
    Ok((daemon, address))
}

fn report(address: SocketAddr, model: &str) -> Result<()> {
    let request = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]});
    let response = json!({
        "object": "chat.completion",
        "choices": [{"message": {"content": "Hi!"}}],
        "usage": {"prompt_tokens": 1_200_000, "completion_tokens": 2},
    });
    let body = json!({
        "elapsed_time": 0.34,
        "request_body": request.to_string(),
        "response_body": response.to_string(),
    });
    let answer = http::post(address, "/api/report", &body.to_string())?;
    ensure!(answer.status == 200, "{}", answer.text());
    Ok(())
}

/// `top` on what listens there.
fn top(address: SocketAddr, folder: &Path) -> Result<Terminal> {
    let mut command = on_terminal(&["top", &format!("http://{address}")])?;
    command.arg("--db").arg(folder.join("llmtap.db"));
    let terminal = Terminal::start(command, Streams::All, SMALL)?;
    terminal.wait_for("not capturing")?;
    Ok(terminal)
}

#[test]
fn a_replay_is_watched_and_then_reported() -> Result<()> {
    let mut terminal = played(|_| {})?;
    let screen = terminal.text();
    ensure!(screen.contains("calls 21 "), "{screen}");
    ensure!(screen.contains("not ok 7 (33.3 %)"), "{screen}");
    for line in screen.lines() {
        ensure!(line.chars().count() <= 80, "{line}");
    }
    ensure!(screen.contains("models: 8 by calls"), "{screen}");
    terminal.type_keys("m")?;
    terminal.wait_for("models: 8 by not ok")?;
    terminal.type_keys("e")?;
    let screen = terminal.wait_for("last calls not ok: 7")?;
    ensure!(
        screen.contains("rate_limited") && !screen.contains(" ok  "),
        "{screen}"
    );
    terminal.type_keys("/QWEN")?;
    terminal.wait_for("filter: QWEN_")?;
    terminal.wait_for("last calls not ok: 2 of 7")?;
    terminal.type_keys("\u{1b}")?;
    terminal.wait_for("last calls not ok: 7")?;
    terminal.type_keys("?")?;
    terminal.wait_for("turn the order around")?;
    terminal.type_keys("x0")?;
    terminal.wait_for("in flight:")?;
    terminal.type_keys("q")?;
    ensure!(terminal.end()?.success());
    terminal.wait_for("losses: none seen")?;
    ensure!(terminal.is_given_back()?);
    let said = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    ensure!(
        said.contains("21 calls (15 streamed) in 21 exchanges"),
        "the report comes after"
    );
    Ok(())
}

/// A stream that goes on for an hour, an event every 50 ms.
fn endless(file: &Path) -> Result<()> {
    const T0: u64 = 1_754_000_000_000_000;
    let at = |millis: u64| T0 + millis * 1_000;
    let mut talk = Conversation::new(([10, 1, 0, 9], 40_001).into(), ([10, 0, 0, 1], 8000).into());
    let body = json!({"model": "slow-model", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let body = body.to_string();
    let length = body.len();
    let head = "Host: llm\r\nContent-Type: application/json\r\n";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    talk.handshake(at(0))
        .client(at(1), request)
        .server(at(20), head);
    let chunk = json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "word "}}]});
    let event = format!("data: {chunk}\n\n");
    for number in 1..=72_000 {
        talk.server(at(20 + number * 50), &event);
    }
    Ok(Capture::of(&talk).write(file)?)
}

#[test]
fn calls_under_way_are_seen_while_a_capture_is_played() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let capture = folder.path().join("endless.pcap");
    endless(&capture)?;
    let mut command = on_terminal(&["replay", "--realtime"])?;
    command.arg(&capture);
    let mut terminal = Terminal::start(command, Streams::All, SMALL)?;
    let tokens = |screen: &str| {
        let line = screen.lines().find(|line| line.contains("slow-model"))?;
        let tokens = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix('~'))?;
        line.contains("streaming")
            .then(|| tokens.parse::<u64>().ok())?
    };
    let screen = terminal.wait("call under way", |screen| tokens(screen).is_some())?;
    ensure!(
        screen.contains("in flight: 1 by age") && screen.contains("10.1.0.9"),
        "{screen}"
    );
    let before = tokens(&screen);
    terminal.wait("call with more tokens", |screen| tokens(screen) > before)?;
    terminal.type_keys("q")?;
    ensure!(terminal.end()?.success());
    terminal.wait_for("incomplete")?;
    Ok(())
}

#[test]
fn it_follows_the_terminals_size() -> Result<()> {
    let terminal = played(|_| {})?;
    let has_clients = |screen: &str| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains("outcome") && line.contains("client"))
    };
    ensure!(
        !has_clients(&terminal.text()),
        "there is no room for them at 80 columns"
    );
    terminal.resize(40, 140)?;
    terminal.wait("column of clients", has_clients)?;
    terminal.resize(8, 30)?;
    terminal.wait_for("needs 40 columns")?;
    terminal.resize(24, 80)?;
    terminal.wait_for("last calls: 21")?;
    Ok(())
}

#[test]
fn a_daemon_is_watched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (daemon, address) = serve(folder.path())?;
    report(address, "first-model")?;
    let mut terminal = top(address, folder.path())?;
    let screen = terminal.wait_for("calls 1 ")?;
    ensure!(
        screen.contains("first-model") && screen.contains("1.20 M"),
        "{screen}"
    );
    ensure!(screen.contains("340 ms"), "{screen}");
    terminal.type_keys("p")?;
    terminal.wait_for("PAUSED")?;
    report(address, "second-model")?;
    terminal.type_keys("p")?;
    terminal.wait_for("second-model")?;
    drop(daemon);
    terminal.wait_for("no answer from")?;
    ensure!(
        terminal.text().contains("second-model"),
        "what was known stays"
    );
    terminal.type_keys("\u{3}")?;
    ensure!(terminal.end()?.success());
    ensure!(terminal.is_given_back()?);
    Ok(())
}

/// Needs root, to capture packets: without it, it fails.
#[test]
fn a_live_call_is_seen_while_it_streams_and_when_it_has_ended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    let store = folder.path().join("llmtap.db");
    let daemon = Tap::new("pcap", "lo", &[port], &store).start()?;
    let address = daemon.ready()?;
    let mut command = on_terminal(&["top", &format!("http://{address}")])?;
    command.arg("--db").arg(&store);
    let terminal = Terminal::start(command, Streams::All, SMALL)?;
    terminal.wait_for("capturing on lo")?;

    let mut client = TcpStream::connect(server.local_addr()?)?;
    let (mut connection, _) = server.accept()?;
    let body =
        r#"{"model":"held-model","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
    let length = body.len();
    let head = "Host: llm\r\nContent-Type: application/json\r\n";
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes())?;
    let line = |screen: &str, word: &str| {
        let mut lines = screen.lines();
        lines.any(|line| line.contains("held-model") && line.contains(word))
    };
    terminal.wait("call that waits", |screen| line(screen, "waiting"))?;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let event = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a word"}}]}"#;
    connection.write_all(format!("{head}{event}\n\n").as_bytes())?;
    let screen = terminal.wait("call that streams", |screen| line(screen, "streaming"))?;
    ensure!(
        screen.contains("in flight 1 ") && line(&screen, "~1 "),
        "{screen}"
    );
    connection.write_all(b"data: [DONE]\n\n")?;
    drop(connection);
    drop(client);
    terminal.wait("call that has ended", |screen| line(screen, " ok "))?;
    terminal.wait_for("in flight 0 ")?;
    Ok(())
}

#[test]
fn what_is_off_the_wire_drives_no_terminal_and_stays_in_its_column() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_daemon, address) = serve(folder.path())?;
    report(address, "plain")?;
    report(
        address,
        "evil\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}x",
    )?;
    report(address, "通义千问-🦙-大模型")?;
    let mut terminal = top(address, folder.path())?;
    terminal.wait_for("calls 3 ")?;
    terminal.type_keys("3")?;
    // Alone: with all panes, the models' names stand twice.
    let alone = |text: &str| text.contains("last calls: 3") && !text.contains("models: 3");
    let screen = terminal.wait("the last calls alone", alone)?;
    for model in ["plain", "evil", "通义"] {
        ensure!(screen.contains(model), "{screen}");
    }
    // The emulator leaves U+FFFD out, and with it a cell: the columns of that row cannot be told by it.
    for model in ["plain", "通义"] {
        terminal.wait(model, |_| {
            terminal.column(model, "ok ") == terminal.column("model", "outcome")
        })?;
    }
    let bytes = terminal.bytes();
    let said = String::from_utf8_lossy(&bytes);
    for bad in ["\u{1b}]0;", "\u{7}", "\u{9b}", "\u{202e}", "evil\u{1b}"] {
        ensure!(!said.contains(bad), "{bad:?}");
    }
    Ok(())
}

#[test]
fn the_terminal_is_given_back_whatever_the_signal() -> Result<()> {
    for name in ["INT", "TERM", "HUP"] {
        let mut terminal = played(|_| {})?;
        ensure!(!terminal.is_given_back()?, "it is taken");
        terminal.signal(name)?;
        ensure!(terminal.end()?.success(), "{name}");
        terminal.wait(name, |_| terminal.is_given_back().unwrap_or(false))?;
    }
    Ok(())
}

#[test]
fn a_terminal_that_is_gone_ends_it() -> Result<()> {
    // With the signal that its own terminal sends, and without: a terminal that is not its own sends none.
    for own in [true, false] {
        let mut command = if own {
            on_terminal(&["replay", "--realtime", "--speed", "100"])?
        } else {
            process::llmtap(&["replay", "--realtime", "--speed", "100"])?
        };
        command.arg(tools::file("data/demo.pcap.gz"));
        let mut terminal = Terminal::start(command, Streams::All, SMALL)?;
        terminal.wait_for("the capture has ended")?;
        terminal.hang_up()?;
        let ended = terminal.end()?;
        ensure!(ended.code().is_some(), "it ended by itself: {ended}");
    }
    Ok(())
}

#[test]
fn it_is_suspended_and_goes_on() -> Result<()> {
    let mut terminal = played(|_| {})?;
    // By the key, and by the signal.
    for by_key in [true, false] {
        if by_key {
            terminal.type_keys("\u{1a}")?;
        } else {
            terminal.signal("TSTP")?;
        }
        let stat = format!("/proc/{}/stat", terminal.child().id());
        process::eventually(|| {
            let stat = fs::read_to_string(&stat).ok()?;
            stat.rsplit(')')
                .next()?
                .trim_start()
                .starts_with('T')
                .then_some(())
        })
        .context("it was not suspended")?;
        terminal.wait("shell's terminal", |_| {
            terminal.is_given_back().unwrap_or(false)
        })?;
        terminal.signal("CONT")?;
        terminal.wait("view", |screen| {
            terminal.is_full_screen() && screen.contains("the capture has ended")
        })?;
    }
    terminal.type_keys("q")?;
    ensure!(terminal.end()?.success());
    Ok(())
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() -> Result<()> {
    let red = |terminal: &Terminal| {
        let bytes = terminal.bytes();
        let said = String::from_utf8_lossy(&bytes).into_owned();
        said.contains("\u{1b}[31") || said.contains("\u{1b}[38;5;1") || said.contains(";31m")
    };
    ensure!(
        !red(&played(|_| {})?),
        "the tests' environment has NO_COLOR"
    );
    let coloured = played(|command| {
        command.env_remove("NO_COLOR");
    })?;
    ensure!(red(&coloured), "errors are red");
    Ok(())
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() -> Result<()> {
    let done = process::run_llmtap(&["top"])?;
    assert_eq!(done.code, Some(2));
    ensure!(done.stderr.contains("llmtap stats"), "{}", done.stderr);
    Ok(())
}

#[test]
fn what_does_not_answer_is_named_before_the_screen_is_taken() -> Result<()> {
    // A port that nobody listens on any more.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let command = on_terminal(&["top", &address.to_string()])?;
    let mut terminal = Terminal::start(command, Streams::All, SMALL)?;
    assert_eq!(terminal.end()?.code(), Some(2));
    terminal.wait_for("nothing listens there")?;
    ensure!(
        !terminal
            .bytes()
            .windows(8)
            .any(|bytes| bytes == b"\x1b[?1049h")
    );
    Ok(())
}

/// `serve` by TLS, with this certificate.
fn serve_by_tls(folder: &Path, certificate: &Certificate) -> Result<(Daemon, SocketAddr)> {
    let mut command = process::llmtap(&["serve", "--listen=127.0.0.1:0", "--db"])?;
    command
        .arg(folder.join("llmtap.db"))
        .arg("--tls-cert")
        .arg(&certificate.cert)
        .arg("--tls-key")
        .arg(&certificate.key);
    let daemon = Daemon::start(command)?;
    let address = daemon.ready()?;
    Ok((daemon, address))
}

/// `top` with these arguments.
fn asked(arguments: &[&OsStr], change: impl FnOnce(&mut Command)) -> Result<Terminal> {
    let mut command = on_terminal(&["top"])?;
    command.args(arguments);
    change(&mut command);
    Terminal::start(command, Streams::All, WIDE)
}

#[test]
fn a_daemon_is_watched_by_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Certificate::authority(folder.path())?;
    let names = "DNS:localhost,IP:127.0.0.1";
    for certificate in [
        authority.signed(folder.path(), names)?,
        Certificate::self_signed(folder.path(), "one.example")?,
    ] {
        let (daemon, address) = serve_by_tls(folder.path(), &certificate)?;
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{}", address.port());
            // By the daemon's own certificate; by the authority's, as the system's list has it.
            let own = ["--ca-cert".as_ref(), certificate.cert.as_os_str()];
            let mut terminal = asked(&[&[url.as_ref()], &own[..]].concat(), |_| {})?;
            terminal.wait_for(&format!("{url}  not capturing"))?;
            terminal.type_keys("q")?;
            ensure!(terminal.end()?.success());
        }
        daemon.stop("TERM")?;
    }
    Ok(())
}

#[test]
fn a_certificate_is_believed_by_the_systems_authorities_and_for_its_names_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Certificate::authority(folder.path())?;
    let certificate = authority.signed(folder.path(), "DNS:localhost")?;
    let (_daemon, address) = serve_by_tls(folder.path(), &certificate)?;
    let url = |scheme: &str, host: &str| format!("{scheme}://{host}:{}", address.port());
    let by_name = url("https", "localhost");
    let mut terminal = asked(&[by_name.as_ref()], |command| {
        command.env("SSL_CERT_FILE", &authority.cert);
    })?;
    terminal.wait_for("not capturing")?;
    terminal.type_keys("q")?;
    ensure!(terminal.end()?.success());

    let other = tempfile::tempdir()?;
    let stranger = Certificate::authority(other.path())?;
    let none = folder.path().join("none.pem");
    fs::write(&none, "no certificate\n")?;
    let gone = folder.path().join("gone.pem");
    for (url, ca_cert, said) in [
        (
            &by_name,
            &stranger.cert,
            "name the authority's, or the daemon's own, with --ca-cert FILE",
        ),
        (
            &url("https", "127.0.0.1"),
            &authority.cert,
            "name the daemon as its certificate does",
        ),
        (
            &url("http", "localhost"),
            &authority.cert,
            "does it speak TLS? Then it is https://",
        ),
        (
            &by_name,
            &none,
            "none.pem: there is no certificate in PEM in it",
        ),
        (&by_name, &gone, "gone.pem: cannot read it"),
    ] {
        let arguments = [url.as_ref(), "--ca-cert".as_ref(), ca_cert.as_os_str()];
        let mut terminal = asked(&arguments, |_| {})?;
        assert_eq!(terminal.end()?.code(), Some(2), "{said}");
        terminal.wait_for(said)?;
    }
    Ok(())
}

#[test]
fn what_is_no_llmtap_or_refuses_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    fs::write(&token, "the-right-token-0123\n")?;
    let mut command = process::llmtap(&["serve", "--listen=127.0.0.1:0", "--api-token-file"])?;
    command
        .arg(&token)
        .arg("--db")
        .arg(folder.path().join("llmtap.db"));
    let daemon = Daemon::start(command)?;
    let address = daemon.ready()?;
    let wrong = folder.path().join("wrong");
    fs::write(&wrong, "the-wrong-token-0123\n")?;
    let empty = folder.path().join("empty");
    fs::write(&empty, "# none\n")?;
    let other = ModelServer::start("127.0.0.1:0".parse()?, Pace::default())?;

    let llmtap = address.to_string();
    let by_tls = format!("https://{address}");
    let other = other.address().to_string();
    let db = folder.path().join("elsewhere.db");
    let without = ["--db".as_ref(), db.as_os_str()];
    let with = |file: &'static str| {
        [
            "--api-token-file".into(),
            folder.path().join(file).into_os_string(),
        ]
    };
    for (url, how, said) in [
        (
            &llmtap,
            without.map(OsStr::to_owned),
            "wants a token: name its file with --api-token-file",
        ),
        (&llmtap, with("wrong"), "wants another token"),
        (&llmtap, with("empty"), "has no token"),
        (&llmtap, with("gone"), "cannot read the token file"),
        (
            &by_tls,
            with("token"),
            "it speaks no TLS: ask it as http://",
        ),
        (&other, with("token"), "is no llmtap: it has no /api/status"),
    ] {
        let arguments = [url.as_ref(), how[0].as_os_str(), how[1].as_os_str()];
        let mut terminal = asked(&arguments, |_| {})?;
        assert_eq!(terminal.end()?.code(), Some(2), "{said}");
        let screen = terminal.wait_for(said)?;
        ensure!(!screen.contains("-token-0123"), "{screen}");
    }
    Ok(())
}

#[test]
fn a_replay_shows_how_far_it_is_on_a_terminal_alone() -> Result<()> {
    let capture = tools::file("data/demo.pcap.gz");
    let bytes = fs::read(&capture)?;
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let mut command = process::llmtap(&["replay", "-", "--format", "ndjson"])?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = Terminal::start(command, Streams::Error, SMALL)?;
    let mut into = terminal.child().stdin.take().context("a pipe")?;
    into.write_all(first)?;
    into.flush()?;
    // As long as the rest is missing, it stands there.
    terminal.wait("line of progress", |screen| {
        screen.contains("reading ") && screen.contains("KiB; ")
    })?;
    into.write_all(rest)?;
    drop(into);
    let out = terminal.child().stdout.take().context("a pipe")?;
    let rows = std::io::read_to_string(out)?;
    assert_eq!(rows.lines().count(), 21);
    ensure!(terminal.end()?.success());
    terminal.wait("empty screen", |screen| screen.trim().is_empty())?;

    let mut command = process::llmtap(&["replay"])?;
    let done = process::run(command.arg(&capture))?;
    ensure!(done.stderr.is_empty(), "{}", done.stderr);
    Ok(())
}
