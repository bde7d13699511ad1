//! The report below replay's table: its figures are those of the rows, and it fits any terminal.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{process, row::Row, tools};

fn demo(columns: usize, arguments: &[&str]) -> Result<String> {
    let mut command = process::llmtap(&["replay"])?;
    command
        .args(arguments)
        .arg(tools::file("data/demo.pcap.gz"))
        .env("COLUMNS", columns.to_string());
    let done = process::run(&mut command)?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    Ok(done.stdout)
}

/// The lines after the rows.
fn report(columns: usize) -> Result<Vec<String>> {
    let out = demo(columns, &[])?;
    let (_, report) = out.split_once("\n\n").context("a report")?;
    Ok(report.lines().map(str::to_owned).collect())
}

/// The lines of the table whose first line begins so.
fn table<'r>(report: &'r [String], title: &str) -> Result<&'r [String]> {
    let at = report.iter().position(|line| line.starts_with(title));
    let at = at.with_context(|| format!("no table {title}: {report:#?}"))?;
    let rest = &report[at + 1..];
    let end = rest.iter().position(String::is_empty);
    Ok(&rest[..end.unwrap_or(rest.len())])
}

fn rows() -> Result<Vec<Row>> {
    Row::parse_lines(&demo(120, &["--format", "ndjson"])?)
}

#[test]
fn it_is_no_wider_than_the_terminal() -> Result<()> {
    for columns in [60, 80, 100, 132, 200] {
        for line in report(columns)? {
            ensure!(line.chars().count() <= columns, "{columns}: {line}");
        }
    }
    Ok(())
}

#[test]
fn models_add_up_to_the_rows() -> Result<()> {
    let rows = rows()?;
    let mut calls = BTreeMap::new();
    for row in &rows {
        let model = row.text("request_model").context("a model")?;
        *calls.entry(model.to_owned()).or_insert(0) += 1;
    }
    let report = report(120)?;
    let shown: BTreeMap<_, i32> = table(&report, "model ")?
        .iter()
        .filter(|line| !line.starts_with('~'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let model = words.next().unwrap_or_default().to_owned();
            (model, words.next().unwrap_or_default().parse().unwrap_or(0))
        })
        .collect();
    assert_eq!(shown, calls);
    let total = format!("{} calls (", rows.len());
    assert!(report[0].starts_with(&total), "{}", report[0]);
    Ok(())
}

#[test]
fn errors_name_calls_that_can_be_looked_up() -> Result<()> {
    let rows = rows()?;
    let failed = |row: &&Row| row.text("outcome") != Some("ok");
    let mut left: BTreeMap<_, _> = rows
        .iter()
        .filter(failed)
        .filter_map(|row| Some((row.text("call_key")?.to_owned(), row.text("outcome")?)))
        .collect();
    // At 80 columns, too, each kind has one.
    for columns in [80, 240] {
        let report = report(columns)?;
        let kinds = table(&report, "not ok ")?;
        assert!(!kinds.is_empty());
        for line in kinds {
            let outcome = line.split_whitespace().next();
            let keys: Vec<_> = line
                .split_whitespace()
                .filter(|word| word.len() == 32)
                .collect();
            assert!(!keys.is_empty(), "{line}");
            for key in keys {
                let found = match columns {
                    80 => left.get(key).copied(),
                    _ => left.remove(key),
                };
                assert_eq!(found, outcome, "{key}");
            }
        }
    }
    // There are at most three of a kind in this capture, so all were named.
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn the_slowest_are_the_slowest() -> Result<()> {
    let mut rows = rows()?;
    let elapsed = |row: &Row| row.get("elapsed").as_f64().unwrap_or(0.0);
    rows.sort_by(|a, b| elapsed(b).total_cmp(&elapsed(a)));
    let report = report(120)?;
    let shown = table(&report, "slowest ")?;
    assert_eq!(shown.len(), 5);
    for (line, row) in shown.iter().zip(&rows) {
        let key = row.text("call_key").context("a key")?;
        assert!(line.contains(key), "{line}: {row:?}");
    }
    Ok(())
}

#[test]
fn percentiles_are_those_of_the_rows() -> Result<()> {
    let mut values: Vec<_> = rows()?
        .iter()
        .filter_map(|row| row.int("output_tokens"))
        .collect();
    values.sort_unstable();
    let report = report(120)?;
    let lines = table(&report, "of each call ")?;
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix("output tokens"));
    let shown: Vec<i64> = line
        .context("output tokens")?
        .split_whitespace()
        .filter_map(|cell| cell.parse().ok())
        .collect();
    let at = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
    let expected = [values.len() as i64, at(50), at(90), at(95), at(99), at(100)];
    assert_eq!(shown, expected);
    Ok(())
}
