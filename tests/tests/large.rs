//! A large capture against what its generator wrote, and memory that stays flat as it grows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    process::{self, Done},
    row::Row,
    tools,
};
use serde_json::Value;

/// At the smallest size the queues between the threads are full already.
const MEGABYTES: [u32; 3] = [50, 100, 200];

/// How much more memory four times the capture may take. It has the same 64 connections at a time.
const FLAT: f64 = 1.3;

#[test]
fn rows_are_what_the_generator_wrote_and_memory_stays_flat() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut peaks = Vec::new();
    for megabytes in MEGABYTES {
        peaks.push(replay(folder.path(), megabytes)?);
    }
    let [small, .., large] = peaks[..] else {
        unreachable!("there are several sizes");
    };
    assert!(large <= small * FLAT, "{peaks:?} KiB for {MEGABYTES:?} MB");
    Ok(())
}

/// Generates a capture, replays it, compares the rows with the generator's figures, and gives the
/// peak of the resident memory in KiB.
fn replay(folder: &Path, megabytes: u32) -> Result<f64> {
    let capture = folder.join(format!("{megabytes}.pcap"));
    let mut generator = Command::new(tools::python()?);
    generator
        .arg(tools::file("tools/gen_llm_pcap.py"))
        .arg(&capture)
        .arg(megabytes.to_string());
    let generated = process::run(&mut generator)?;
    ensure!(
        generated.code == Some(0),
        "the generator: {}",
        generated.stderr
    );
    let truth: Value = serde_json::from_str(&generated.stdout)?;

    let (done, peak) = measured_replay(&capture)?;
    ensure!(
        done.code == Some(0),
        "replay: {:?} {}",
        done.code,
        done.stderr
    );
    check(&done.rows()?, &truth)?;
    fs::remove_file(capture)?;
    Ok(peak)
}

fn measured_replay(capture: &PathBuf) -> Result<(Done, f64)> {
    let report = capture.with_extension("usage");
    let replay = process::llmtap(&["replay"])?;
    let mut measured = Command::new(tools::python()?);
    measured
        .arg(tools::file("tools/measure.py"))
        .arg(&report)
        .arg(replay.get_program());
    measured
        .arg("replay")
        .arg(capture)
        .args(["--format", "ndjson"]);
    let done = process::run(&mut measured)?;
    let report = fs::read_to_string(report)?;
    let peak = report
        .split_whitespace()
        .nth(2)
        .context("measure.py's third figure")?;
    Ok((done, peak.parse()?))
}

fn check(rows: &[Row], truth: &Value) -> Result<()> {
    let expected = |name: &str| {
        truth
            .get(name)
            .and_then(Value::as_u64)
            .with_context(|| format!("no {name} in {truth}"))
    };
    let streams = || rows.iter().filter(|row| row.flag("stream") == Some(true));
    let plain = || rows.iter().filter(|row| row.flag("stream") == Some(false));
    assert_eq!(rows.len() as u64, expected("requests")?, "calls");
    assert_eq!(
        streams().count() as u64,
        expected("stream_requests")?,
        "streams"
    );
    assert_eq!(
        plain().count() as u64,
        expected("json_requests")?,
        "plain answers"
    );
    // Each content event is a space and a word: one token of cl100k_base.
    let events: i64 = streams().filter_map(|row| row.int("output_tokens")).sum();
    assert_eq!(
        events as u64,
        expected("stream_events")?,
        "content events of the streams"
    );
    let reported: i64 = plain()
        .filter_map(|row| row.int("reported_output_tokens"))
        .sum();
    assert_eq!(reported as u64, expected("json_tokens")?, "reported tokens");
    for row in rows {
        assert_eq!(row.text("outcome"), Some("ok"), "{row:?}");
        assert_eq!(row.text("confidence"), Some("complete"), "{row:?}");
        assert_eq!(row.text("request_model"), Some("m"), "{row:?}");
        let source = if row.flag("stream") == Some(true) {
            "counted"
        } else {
            "reported"
        };
        assert_eq!(row.text("output_source"), Some(source), "{row:?}");
        assert_eq!(row.micros("ttft").is_some(), source == "counted", "{row:?}");
    }
    Ok(())
}
