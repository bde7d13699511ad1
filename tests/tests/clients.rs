//! Real client libraries, recorded (`cargo xtask captures`): each row against what the client itself saw.
//!
//! `data/clients/NAME.truth.ndjson` has a line a call, in the order in which they were made, with what the library told its
//! caller under the names of our columns. `golden.rs` holds the whole rows fast; this says that they are true.

use std::{collections::BTreeSet, fs};

use anyhow::{Result, ensure};
use llmtap_tests::{recording, row::Row, tools};

/// The captures that have to be there.
const NAMES: [&str; 9] = [
    "anthropic",
    "google-genai",
    "litellm",
    "litellm-proxy",
    "llamacpp",
    "ollama",
    "openai-chat",
    "openai-others",
    "openai-responses",
];

#[test]
fn rows_are_what_the_clients_saw() -> Result<()> {
    let mut faults = Vec::new();
    for name in NAMES {
        let capture = tools::file(&format!("data/clients/{name}.pcap.gz"));
        let mut rows = recording::replay(&capture, &[])?.rows()?;
        rows.sort_by_key(|row| row.micros("request_start"));
        let truth = tools::file(&format!("data/clients/{name}.truth.ndjson"));
        let truth = Row::parse_lines(&fs::read_to_string(truth)?)?;
        ensure!(truth.len() >= 6, "{name}: only {} calls", truth.len());
        for (number, (seen, row)) in truth.iter().zip(&rows).enumerate() {
            let call = seen.text("call").unwrap_or_default();
            for (column, expected) in seen.0.iter().filter(|(column, _)| *column != "call") {
                let is = row.get(column);
                if is != expected {
                    faults.push(format!(
                        "{name}, call {number} ({call}): {column} is {is}, the client saw {expected}"
                    ));
                }
            }
        }
        if truth.len() != rows.len() {
            faults.push(format!(
                "{name}: {} rows of {} calls",
                rows.len(),
                truth.len()
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
fn every_recording_is_judged() -> Result<()> {
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(tools::file("data/clients"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        there.extend(name.strip_suffix(".pcap.gz").map(str::to_owned));
    }
    assert_eq!(there, NAMES.map(str::to_owned).into());
    Ok(())
}
