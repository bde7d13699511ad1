//! Questions to a store: the API and the command line give the same answers, to whoever may read the file.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http,
    process::{self, Done},
    tools,
};
use serde_json::Value;

/// Cases for each kind of input that schemathesis makes up: the suite's share. More by hand find more.
const EXAMPLES: &str = "10";

/// Makes a store of the demonstration's calls.
fn store(path: &Path) -> Result<()> {
    let demo = tools::file("data/demo.pcap.gz");
    let mut command = process::llmtap(&["replay", "--format", "ndjson"])?;
    let done = process::run(command.arg(demo).arg("--db").arg(path))?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}

fn ask(store: &Path, arguments: &[&str]) -> Result<Done> {
    let mut command = process::llmtap(arguments)?;
    process::run(command.arg("--db").arg(store))
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))
}

#[test]
fn the_command_line_answers_as_the_api_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    store(&db)?;
    let (daemon, api) = process::serve(&db)?;
    let questions: [(&str, &[&str]); 7] = [
        (
            "/api/calls?limit=7&outer=yes",
            &["calls", "--limit", "7", "--outer", "yes"],
        ),
        (
            "/api/calls?model=*llama*&stream=true&sort=ttft&order=asc",
            &[
                "calls", "--model", "*llama*", "--stream", "true", "--sort", "ttft", "--order",
                "asc",
            ],
        ),
        (
            "/api/calls?status=!2xx&q=demo",
            &["calls", "--status", "!2xx", "--q", "demo"],
        ),
        ("/api/calls/3", &["calls", "3"]),
        (
            "/api/summary?group_by=model,outcome",
            &["stats", "--group-by", "model,outcome"],
        ),
        (
            "/api/summary?from=2020-01-01&min_elapsed=200ms",
            &["stats", "--from", "2020-01-01", "--min-elapsed", "200ms"],
        ),
        (
            "/api/timeseries?group_by=operation&step=1s",
            &["stats", "--group-by", "operation", "--step", "1s"],
        ),
    ];
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    let mut live = Vec::new();
    for (path, arguments) in questions {
        let answer = http::get_as(api, path, &token)?;
        ensure!(answer.status == 200, "{path}: {}", answer.text());
        let mut arguments = arguments.to_vec();
        if arguments != ["calls", "3"] {
            arguments.extend(["--format", "json"]);
        }
        let done = ask(&db, &arguments)?;
        ensure!(done.code.is_some_and(|code| code < 2), "{done:?}");
        assert_eq!(json(&done.stdout)?, json(&answer.text())?, "{path}");
        live.push((arguments, done.stdout));
    }
    for (path, format) in [("/api/calls.csv", "csv"), ("/api/calls.ndjson", "ndjson")] {
        let done = ask(&db, &["export", "--format", format])?;
        assert_eq!(done.stdout, http::get(api, path)?.text());
        assert_eq!(done.code, Some(0));
    }
    // A closed database gives what the live one gave.
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    for (arguments, stdout) in live {
        assert_eq!(ask(&db, &arguments)?.stdout, stdout, "{arguments:?}");
    }
    Ok(())
}

#[test]
fn exit_codes_and_messages_say_what_came_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    store(&db)?;
    assert_eq!(
        ask(&db, &["calls", "--model", "no-such-model"])?.code,
        Some(1)
    );
    assert_eq!(
        ask(&db, &["stats", "--model", "no-such-model"])?.code,
        Some(1)
    );
    assert_eq!(
        ask(&db, &["export", "--model", "no-such-model"])?.code,
        Some(1)
    );
    assert_eq!(ask(&db, &["calls", "9999"])?.code, Some(1));
    for (arguments, said) in [
        (
            &["calls", "--min-ttft", "soon"][..],
            "--min-ttft is no span",
        ),
        (&["calls", "--limit", "0"], "--limit must be a whole number"),
        (&["stats", "--group-by", "modell"], "was \"model\" meant"),
        (&["calls", "--modle", "x"], "--model"),
        (&["calls", "--label", "team"], "NAME=VALUE"),
        (&["calls", "x"], "32 hexadecimal digits"),
    ] {
        let done = ask(&db, arguments)?;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(
            done.stdout.is_empty() && done.stderr.contains(said),
            "{done:?}"
        );
    }
    let missing = ask(&folder.path().join("none.db"), &["stats"])?;
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.stderr.contains("there is no database"),
        "{missing:?}"
    );
    assert!(
        !folder.path().join("none.db").exists(),
        "asking makes no file"
    );
    // What is no database is not said to be a damaged one, which somebody would set aside.
    let text = folder.path().join("text");
    fs::write(
        &text,
        "no database at all, but some lines of text\n".repeat(40),
    )?;
    for (path, said) in [
        (&*text, "is not a database"),
        (folder.path(), "it is no file"),
    ] {
        let done = ask(path, &["calls"])?;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(said), "{done:?}");
        assert!(!done.stderr.contains("aside"), "{done:?}");
    }

    let output = folder.path().join("calls.csv");
    let mut command = process::llmtap(&["export", "--db"])?;
    let done = process::run(command.arg(&db).arg("--output").arg(&output))?;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(fs::metadata(&output)?.permissions().mode() & 0o777, 0o600);
    let again = process::run(command.arg(&db))?;
    assert_eq!(
        again.code,
        Some(2),
        "a file that is there is not written over: {again:?}"
    );
    // A disk that is full.
    let mut command = process::llmtap(&["export", "--db"])?;
    command.arg(&db).stdout(fs::File::create("/dev/full")?);
    let full = Done::from(command.stderr(Stdio::piped()).spawn()?.wait_with_output()?);
    assert_eq!(full.code, Some(2), "{full:?}");
    let said = "cannot write to standard output: No space left";
    assert!(full.stderr.contains(said), "{full:?}");
    Ok(())
}

#[test]
fn a_pipe_that_closes_ends_quietly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    store(&db)?;
    for arguments in [
        &["export"][..],
        &["calls", "--format", "ndjson"],
        &["stats"],
    ] {
        let mut command = process::llmtap(arguments)?;
        command.arg("--db").arg(&db);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Closed before anything is read.
        drop(child.stdout.take());
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            for line in BufReader::new(stderr).lines() {
                said += &line?;
            }
        }
        let status = child.wait()?;
        assert_eq!(
            (status.code(), said.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    Ok(())
}

/// Somebody who may read the file, and write neither it nor its folder.
#[test]
fn a_closed_database_can_be_read_by_who_may_only_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    store(&db)?;
    let expected = ask(&db, &["export"])?.stdout;
    let binary = folder.path().join("llmtap");
    // By another process: see the like in bad_input.rs.
    let copied = Command::new("cp")
        .arg(tools::llmtap()?)
        .arg(&binary)
        .status()?;
    ensure!(copied.success(), "{copied}");
    let mut read_only = fs::metadata(&db)?.permissions();
    read_only.set_mode(0o444);
    fs::set_permissions(&db, read_only)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555))?;
    let nobody = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
    ];
    let mut command = Command::new("setpriv");
    command
        .args(nobody)
        .arg(&binary)
        .args(["export", "--db"])
        .arg(&db);
    let done = process::run(&mut command)?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    assert_eq!(
        (done.code, done.stdout),
        (Some(0), expected),
        "{}",
        done.stderr
    );
    let left: Vec<_> = fs::read_dir(folder.path())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.contains("-wal") || name.contains("-shm"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

/// Made-up requests, good ones and bad ones, after the OpenAPI document: no 5xx, and all answers are as it says.
#[test]
fn the_api_keeps_to_its_document() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    store(&db)?;
    let (daemon, api) = process::serve(&db)?;
    let token = fs::read_to_string(folder.path().join("llmtap.token"))?;
    // A URL that is too long is refused as well, which it would not take for a refusal.
    let refusals = "[checks.negative_data_rejection]\nexpected-statuses = [\"4xx\"]\n";
    fs::write(folder.path().join("schemathesis.toml"), refusals)?;
    let schemathesis = tools::python()?.with_file_name("schemathesis");
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_schema_conformance,negative_data_rejection,unsupported_method";
    let mut command = Command::new(schemathesis);
    command
        .arg("run")
        .arg(format!("http://{api}/api/openapi.json"))
        .args([
            "--header",
            &format!("Authorization: Bearer {}", token.trim()),
        ])
        // A stream without an end.
        .args(["--exclude-path", "/api/live"])
        .args(["--generation-deterministic", "--max-examples", EXAMPLES])
        .args([
            "--phases",
            "coverage,fuzzing",
            "--checks",
            checks,
            "--no-color",
        ])
        // What it remembers of a run stays with the run.
        .current_dir(folder.path())
        .env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path());
    let done = process::run(&mut command)?;
    ensure!(done.code == Some(0), "{}\n{}", done.stdout, done.stderr);
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    Ok(())
}
