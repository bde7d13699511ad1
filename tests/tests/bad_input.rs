//! What cannot work says so: the exit code, and a sentence that says what to do. Exit codes: 0 good,
//! 1 ran but found nothing, 2 usage or runtime error.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use llmtap_tests::{
    pcap::{ByteOrder, Capture, Conversation, Resolution},
    process::{self, Daemon, Done},
    tools,
};

/// Seventeen calls, each on a connection of its own: eight packets apiece.
fn capture(answer: &str) -> Capture {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    let mut capture = Capture::new(llmtap_tests::pcap::Link::Ethernet);
    for number in 0..17_u16 {
        let client = ([10, 1, 0, 9], 40_000 + number).into();
        let mut talk = Conversation::new(client, ([10, 0, 0, 1], 8000).into());
        let start = 1_754_000_000_000_000 + u64::from(number) * 1_000;
        talk.handshake(start)
            .client(start + 100, &request)
            .server(start + 200, &response)
            .close(start + 300);
        capture.add(&talk);
    }
    capture
}

const ANSWER: &str = r#"{"object":"chat.completion","choices":[]}"#;

fn replay(file: &Path) -> Result<Done> {
    process::run_llmtap(&[
        "replay".as_ref(),
        file.as_os_str(),
        "--format".as_ref(),
        "ndjson".as_ref(),
    ])
}

/// It failed with exit code 2, said all of this on standard error, and nothing on standard output.
fn refused(done: &Done, parts: &[&str]) {
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(done.stdout, "", "{done:?}");
    for part in parts {
        assert!(
            done.stderr.contains(part),
            "{part:?} is not said: {}",
            done.stderr
        );
    }
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    assert!(
        done.stderr.lines().count() <= 12,
        "too much is said: {}",
        done.stderr
    );
}

#[test]
fn a_file_that_is_no_capture() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("notes.txt");
    fs::write(
        &file,
        "this is no capture, only some text that somebody wrote down",
    )?;
    refused(&replay(&file)?, &["notes.txt", "pcap"]);
    Ok(())
}

#[test]
fn an_empty_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("empty.pcap");
    fs::write(&file, "")?;
    refused(&replay(&file)?, &["empty.pcap", "empty"]);
    Ok(())
}

#[test]
fn a_capture_of_frames_that_are_not_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("odd.pcap");
    let mut bytes = capture(ANSWER).to_pcap(ByteOrder::Little, Resolution::Micro);
    // The link type, in the file's header: the first of those for private use.
    bytes[20..24].copy_from_slice(&147_u32.to_le_bytes());
    fs::write(&file, bytes)?;
    let done = replay(&file)?;
    assert_eq!(done.code, Some(1), "{done:?}");
    for said in [
        "odd.pcap has frames of link type 147",
        "holds 136 frames, of a link type",
    ] {
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    Ok(())
}

#[test]
fn a_missing_file_and_a_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    refused(&replay(&folder.path().join("gone.pcap"))?, &["gone.pcap"]);
    let name = folder.path().to_str().context("a path in UTF-8")?;
    refused(&replay(folder.path())?, &[name]);
    Ok(())
}

#[test]
fn a_file_cut_off_gives_all_that_came_before_and_a_warning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cut.pcap");
    let mut bytes = capture(ANSWER).to_pcap(ByteOrder::Little, Resolution::Micro);
    // In the middle of the last packet: an ACK after all answers.
    bytes.truncate(bytes.len() - 20);
    fs::write(&file, bytes)?;
    let done = replay(&file)?;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.rows()?.len(), 17);
    assert!(
        done.stderr.contains("cut.pcap"),
        "no warning: {}",
        done.stderr
    );
    Ok(())
}

#[test]
fn a_capture_without_calls_says_what_it_saw() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tls.pcap");
    let mut talk = Conversation::new(([10, 1, 0, 9], 40_000).into(), ([10, 0, 0, 1], 8443).into());
    // The start of a TLS ClientHello.
    let hello = [22, 3, 1, 0, 5, 1, 0, 0, 1, 3];
    talk.handshake(1_000_000)
        .client(1_000_100, hello)
        .close(1_000_200);
    Capture::of(&talk).write(&file)?;
    let done = process::run_llmtap(&["replay".as_ref(), file.as_os_str()])?;
    assert_eq!(done.code, Some(1), "{done:?}");
    let said = format!("{}{}", done.stdout, done.stderr).to_lowercase();
    for part in ["tls", "8443", "7 packets"] {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
    Ok(())
}

#[test]
fn standard_input_is_a_file_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x.pcap");
    capture(ANSWER).write(&file)?;
    let mut command = process::llmtap(&["replay", "-", "--format", "ndjson"])?;
    command.stdin(fs::File::open(&file)?);
    let done = process::run(&mut command)?;
    assert_eq!(
        (done.code, done.rows()?.len()),
        (Some(0), 17),
        "{}",
        done.stderr
    );
    assert_eq!(done.rows()?, replay(&file)?.rows()?);
    Ok(())
}

/// As with `llmtap replay FILE | head`.
#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("x.pcap");
    capture(ANSWER).write(&file)?;
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let mut command = process::llmtap(&["replay".as_ref(), file.as_os_str()])?;
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn()?;
    // Holds the last writer of ours.
    drop(command);
    let done = Done::from(child.wait_with_output()?);
    assert_eq!(done.code, Some(0), "what was asked for was given: {done:?}");
    assert_eq!(done.stderr, "", "nobody is there to be told");
    Ok(())
}

#[test]
fn unknown_flags_commands_and_formats() -> Result<()> {
    for arguments in [
        &["replay", "--no-such-flag", "x"][..],
        &[],
        &["no-such-command"],
        &["replay"],
        &["replay", "x", "--format", "xml"],
        &["run", "-p", "http"],
        &["run", "-p", "70000"],
    ] {
        let done = process::run_llmtap(arguments)?;
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert_eq!(done.stdout, "", "{arguments:?}");
        assert!(
            done.stderr.contains("--help") || done.stderr.contains("Usage: llmtap"),
            "{arguments:?}: {}",
            done.stderr
        );
    }
    Ok(())
}

#[test]
fn help_and_version() -> Result<()> {
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["replay", "--help"],
        &["serve", "--help"],
        &["--version"],
    ] {
        let done = process::run_llmtap(arguments)?;
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        assert!(
            done.stdout.contains("llmtap") && done.stderr.is_empty(),
            "{arguments:?}: {done:?}"
        );
    }
    Ok(())
}

#[test]
fn a_port_in_use() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let store = folder.path().join("llmtap.db");
    let mut command = process::llmtap(&["serve", "--listen", &address, "--db"])?;
    command.arg(&store);
    refused(&process::run(&mut command)?, &[&address, "--listen"]);
    Ok(())
}

#[test]
fn a_store_that_cannot_be() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("notes.txt");
    fs::write(
        &text,
        "no database, and longer than the header of one would be: ".repeat(99),
    )?;
    for store in [Path::new("/proc/llmtap/llmtap.db"), folder.path(), &text] {
        let name = store.to_str().context("a path in UTF-8")?;
        let done = process::run_llmtap(&["serve", "--listen", "127.0.0.1:0", "--db", name])?;
        // What cannot be used is named: the folder, or the file.
        let culprit = name.strip_suffix("/llmtap.db").unwrap_or(name);
        refused(&done, &[culprit, "--db"]);
    }
    assert!(
        fs::read_to_string(text)?.starts_with("no database"),
        "it must be left alone"
    );
    let left: Vec<_> = fs::read_dir(folder.path())?.collect();
    assert_eq!(
        left.len(),
        1,
        "no secrets beside what is no store: {left:?}"
    );
    Ok(())
}

#[test]
fn the_store_is_for_its_owner_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("new/llmtap.db");
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(&store);
    let served = Daemon::start(command)?;
    let api = served.ready()?;
    let report = r#"{"request_body":"secret","response_body":"secret","elapsed_time":1}"#;
    assert_eq!(
        llmtap_tests::http::post(api, "/api/report", report)?.status,
        200
    );
    let mode =
        |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode() & 0o777);
    let parent = store.parent().context("a folder")?;
    assert_eq!(mode(parent)?, 0o700);
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
    }
    Ok(())
}

#[test]
fn an_unknown_interface() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = process::llmtap(&[
        "run",
        "-i",
        "nosuch0",
        "-p",
        "8000",
        "--listen",
        "127.0.0.1:0",
        "--db",
    ])?;
    command.arg(folder.path().join("llmtap.db"));
    // What there is instead is named.
    refused(&process::run(&mut command)?, &["nosuch0", "lo"]);
    Ok(())
}

/// A file that a flag names and that cannot be used is named with the flag.
#[test]
fn files_that_flags_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("text"), "neither a key nor a certificate\n")?;
    let (gone, text) = (path("gone"), path("text"));
    let otlp = ["--otlp-endpoint", "https://127.0.0.1:1"];
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["--tls-cert", &gone, "--tls-key", &text],
            &["--tls-cert", &gone],
        ),
        (
            &["--tls-cert", &text, "--tls-key", &text],
            &["--tls-cert", &text],
        ),
        (
            &[otlp[0], otlp[1], "--otlp-ca", &gone],
            &["--otlp-ca", &gone],
        ),
        (
            &[otlp[0], otlp[1], "--otlp-ca", &text],
            &["--otlp-ca", "PEM"],
        ),
        (
            &[otlp[0], otlp[1], "--otlp-header-file", &gone],
            &["--otlp-header-file", &gone],
        ),
        (&["--prices", &gone], &["--prices", &gone]),
    ];
    for (flags, said) in cases {
        let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
        command.arg(path("llmtap.db")).args(flags);
        refused(&process::run(&mut command)?, said);
    }
    Ok(())
}

#[test]
fn a_namespace_that_is_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cases: [(&str, &[&str]); 3] = [
        // Beyond the largest that Linux gives.
        ("4194305", &["no process 4194305", "--netns"]),
        ("nosuchns", &["/run/netns/nosuchns", "ip netns list"]),
        ("/dev/null", &["cannot be entered", "--netns"]),
    ];
    for (name, said) in cases {
        let mut command =
            process::llmtap(&["run", "--listen", "127.0.0.1:0", "--netns", name, "--db"])?;
        command.arg(folder.path().join("llmtap.db"));
        refused(&process::run(&mut command)?, said);
    }
    Ok(())
}

#[test]
fn a_settings_file_with_a_fault_in_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("llmtap.toml");
    fs::write(&file, "port = [8000]\nlisten = 'x\n")?;
    let mut command = process::llmtap(&["serve", "--config"])?;
    let done = process::run(command.arg(&file))?;
    refused(&done, &["llmtap.toml:2: this is no TOML (column 12)"]);
    Ok(())
}

#[test]
fn no_privileges() -> Result<()> {
    // A place that another user can reach, which a build folder need not be.
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
    let binary = folder.path().join("llmtap");
    // By another process: were the copy open for writing here while a test beside this one starts a
    // program, that one would hold it open too, and it could not be run ("text file busy").
    let copied = Command::new("cp")
        .arg(tools::llmtap()?)
        .arg(&binary)
        .status()?;
    assert!(copied.success(), "{copied}");
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ])
        .arg(&binary)
        .args([
            "run",
            "-i",
            "lo",
            "-p",
            "8000",
            "--backend",
            "pcap",
            "--listen",
            "127.0.0.1:0",
            "--db",
        ])
        .arg(folder.path().join("llmtap.db"));
    refused(&process::run(&mut command)?, &["CAP_NET_RAW", "root"]);
    Ok(())
}
