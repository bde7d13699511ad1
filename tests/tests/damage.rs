//! Damaged captures of much traffic against the undamaged one: what was not hurt is the same, what
//! was hurt says so, and no answer goes to the request of another.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::{Capture, Link},
    process,
    row::Row,
    traffic::{Damage, Loss, Traffic},
};

/// Columns that follow the clock, or the order of the rows.
const MOVING: [&str; 21] = [
    "id",
    "call_key",
    "request_start",
    "request_end",
    "response_head",
    "first_event",
    "first_token",
    "last_token",
    "response_end",
    "ended",
    "elapsed",
    "upload",
    "ttft",
    "tpot",
    "tokens_per_second",
    "gap_p50",
    "gap_p95",
    "gap_max",
    "stalls",
    "wasted",
    "timeline",
];

/// Columns in which a row counts those before it: also in its key, those of its connection.
const COUNTING: [&str; 2] = ["id", "call_key"];

#[test]
fn disorder_and_repetition_change_nothing_but_clocks() -> Result<()> {
    let damage = Damage {
        lost: 0,
        doubled: 30_000,
        late: 5_000,
    };
    let seen = Seen::of(&Traffic::new(11, 60, 12), 1, damage)?;
    ensure!(seen.unhurt == seen.calls, "{seen:?}");
    Ok(())
}

#[test]
fn a_packet_in_a_thousand_is_lost() -> Result<()> {
    let seen = Seen::of(&Traffic::new(12, 60, 12), 2, loss(1_000))?;
    ensure!(seen.hurt > 0 && seen.gone == 0, "{seen:?}");
    Ok(())
}

#[test]
fn a_packet_in_a_hundred_is_lost() -> Result<()> {
    let seen = Seen::of(&Traffic::new(13, 60, 12), 3, loss(10_000))?;
    ensure!(seen.hurt > 20 && seen.gone < 10, "{seen:?}");
    Ok(())
}

#[test]
fn a_packet_in_twenty_is_lost() -> Result<()> {
    let seen = Seen::of(&Traffic::new(14, 60, 12), 4, loss(50_000))?;
    ensure!(seen.hurt > 100 && seen.gone < 40, "{seen:?}");
    Ok(())
}

#[test]
fn losses_in_disorder() -> Result<()> {
    let damage = Damage {
        lost: 10_000,
        doubled: 20_000,
        late: 5_000,
    };
    let seen = Seen::of(&Traffic::new(15, 60, 12), 5, damage)?;
    ensure!(seen.hurt > 20 && seen.gone < 10, "{seen:?}");
    Ok(())
}

const fn loss(lost: u64) -> Damage {
    Damage {
        lost,
        doubled: 0,
        late: 0,
    }
}

/// How many calls came out how.
#[derive(Debug, Default)]
struct Seen {
    calls: usize,
    /// Nothing of them was lost, and their rows are those of the undamaged capture.
    unhurt: usize,
    /// Something of them was lost, and their rows say so.
    hurt: usize,
    /// Nothing is left to tell that they were.
    gone: usize,
}

impl Seen {
    /// Damages a capture and compares the rows.
    fn of(traffic: &Traffic, seed: u64, damage: Damage) -> Result<Self> {
        let (damaged, losses) = traffic.damaged(seed, damage);
        let truth = by_model(replay(traffic)?)?;
        ensure!(truth.len() == traffic.calls.len(), "{} rows", truth.len());
        let rows = replay(&damaged)?;
        ensure!(
            rows.len() <= truth.len(),
            "{} rows are invented",
            rows.len()
        );
        let rows = by_model(rows)?;
        let moving: &[&str] = if damage.late > 0 { &MOVING } else { &COUNTING };
        let mut found = Self {
            calls: truth.len(),
            ..Self::default()
        };
        for (call, truth) in &truth {
            match (rows.get(call), losses.get(call)) {
                (Some(row), None) => {
                    found.unhurt += 1;
                    let other = differences(row, truth, moving);
                    ensure!(other.is_empty(), "call {call}, now and before: {other:?}");
                }
                (Some(row), Some(loss)) => {
                    found.hurt += 1;
                    check_hurt(*call, row, *loss)?;
                }
                // Of a call whose bytes are all there one is always made.
                (None, None) => anyhow::bail!("no row for call {call}, of which nothing was lost"),
                (None, Some(_)) => found.gone += 1,
            }
        }
        Ok(found)
    }
}

/// A row of a call of which bytes were lost says how many, and where.
fn check_hurt(call: u64, row: &Row, loss: Loss) -> Result<()> {
    let missing = |column| row.int(column).unwrap_or_default() as u64;
    let request = missing("missing_request_bytes");
    let response = missing("missing_response_bytes");
    let marked = row.text("confidence") == Some("partial");
    ensure!(
        marked,
        "call {call} lost {loss:?} and does not say so: {row:?}"
    );
    // What two calls in a row lost at their border may be told of the one or the other.
    let told = (request > 0 || loss.request == 0) && (response > 0 || loss.response == 0);
    ensure!(told, "call {call} lost {loss:?}: {row:?}");
    Ok(())
}

fn replay(traffic: &Traffic) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("traffic.pcap");
    let mut capture = Capture::new(Link::Ethernet);
    capture.add_packets(&traffic.packets());
    capture.write(&file)?;
    let file = file.to_str().context("a path in UTF-8")?;
    let done = process::run_llmtap(&["replay", file, "--format", "ndjson"])?;
    ensure!(done.code == Some(0), "replay: {done:?}");
    done.rows()
}

/// The rows by their calls' numbers; fails where one names two calls, or two name one. Rows that name
/// none (both names were lost) are left out.
fn by_model(rows: Vec<Row>) -> Result<BTreeMap<u64, Row>> {
    let mut named = BTreeMap::new();
    for row in rows {
        let number = |column| -> Option<u64> { row.text(column)?.strip_prefix("m-")?.parse().ok() };
        let (asked, answered) = (number("request_model"), number("response_model"));
        if let (Some(asked), Some(answered)) = (asked, answered) {
            ensure!(
                asked == answered,
                "{asked} has the answer to {answered}: {row:?}"
            );
        }
        if let Some(call) = asked.or(answered) {
            let twice = named.insert(call, row);
            ensure!(twice.is_none(), "call {call} has two rows: {twice:?}");
        }
    }
    Ok(named)
}

/// The columns in which two rows differ, without the moving ones: name, first, second.
fn differences<'r>(one: &'r Row, two: &'r Row, moving: &[&str]) -> Vec<(&'r str, String, String)> {
    let columns = one
        .0
        .keys()
        .filter(|column| !moving.contains(&column.as_str()));
    columns
        .filter(|column| one.get(column) != two.get(column))
        .map(|column| {
            let text = |row: &Row| row.get(column).to_string();
            (column.as_str(), text(one), text(two))
        })
        .collect()
}
