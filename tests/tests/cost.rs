//! Costs by a price table, end to end: in the rows of a replay, in the store, and below the table.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use llmtap_tests::{
    process::{self, Done},
    row::Row,
    tools,
};
use rusqlite::Connection;

const TABLE: &str = "
currency = 'EUR'
[[price]]
model = '*'
input = 0.25
cached = 0.025
output = 1.5
";

fn replay(prices: &Path, more: &[&str]) -> Result<Done> {
    let mut command = process::llmtap(&["replay", "--prices"])?;
    command
        .arg(prices)
        .args(more)
        .arg(tools::file("data/demo.pcap.gz"));
    process::run(&mut command)
}

/// The cost by the row's own figures, in billionths.
fn expected(row: &Row) -> Option<i64> {
    let (input, output) = (row.int("input_tokens"), row.int("output_tokens"));
    input.or(output)?;
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cached = row.int("cached_tokens").unwrap_or(0).min(input);
    Some((input - cached) * 250 + cached * 25 + output * 1_500)
}

#[test]
fn each_row_has_its_cost_and_the_summary_their_sum() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let prices = folder.path().join("prices.toml");
    fs::write(&prices, TABLE)?;
    let store = folder.path().join("llmtap.db");
    let store_text = store.to_str().context("a name in UTF-8")?;
    let done = replay(&prices, &["--format=ndjson", "--db", store_text])?;
    let rows = done.rows()?;
    assert!(!rows.is_empty(), "{}", done.stderr);
    let (mut sum, mut paid) = (0, 0);
    for row in &rows {
        let cost = row.get("cost").as_f64();
        let nanos = expected(row);
        let as_units = nanos.map(|nanos| nanos as f64 / 1e9);
        assert_eq!(cost, as_units, "{row:?}");
        assert_eq!(row.text("currency"), nanos.map(|_| "EUR"));
        if row.text("outer_of").is_none() {
            sum += nanos.unwrap_or(0);
            paid += i64::from(nanos.is_some());
        }
    }
    assert!(paid > 0);
    let stored: (i64, i64) = Connection::open(&store)?.query_row(
        "SELECT sum(cost), count(cost) FROM calls WHERE outer_of IS NULL AND currency = 'EUR'",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    assert_eq!(stored, (sum, paid), "exact, in billionths");
    let table = replay(&prices, &[])?.stdout;
    let line = table.lines().find_map(|line| line.strip_prefix("cost: "));
    let shown = line
        .and_then(|line| line.split(" EUR").next())
        .context("a cost")?;
    let whole = format!("{}.{:09}", sum / 1_000_000_000, sum % 1_000_000_000);
    assert!(whole.starts_with(shown), "{shown} of {whole}");
    Ok(())
}

#[test]
fn without_a_table_there_is_no_cost_and_a_bad_one_is_told_with_its_line() -> Result<()> {
    let capture = tools::file("data/demo.pcap.gz");
    let mut command = process::llmtap(&["replay", "--format=ndjson"])?;
    for row in process::run(command.arg(capture))?.rows()? {
        let empty = ["cost", "currency", "unpriced"].map(|column| row.get(column).is_null());
        assert_eq!(empty, [true; 3]);
    }
    let folder = tempfile::tempdir()?;
    let prices = folder.path().join("prices.toml");
    fs::write(
        &prices,
        "currency = 'EUR'\n[[price]]\nmodel = 'm'\ninput = '1,5'\n",
    )?;
    let done = replay(&prices, &[])?;
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr
            .contains("prices.toml:4: input: it must be a decimal number"),
        "{}",
        done.stderr
    );
    Ok(())
}

#[test]
fn calls_of_unknown_models_are_named_and_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let prices = folder.path().join("prices.toml");
    fs::write(&prices, TABLE.replace("'*'", "'no-such-model'"))?;
    let done = replay(&prices, &["--format=ndjson"])?;
    let rows = done.rows()?;
    assert!(rows.iter().all(|row| row.get("cost").is_null()));
    let (refused, unpriced): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.text("unpriced").is_none());
    assert!(!unpriced.is_empty());
    assert!(
        unpriced
            .iter()
            .all(|row| row.text("unpriced") == Some("model"))
    );
    let only_refused = refused
        .iter()
        .all(|row| row.int("status").is_some_and(|status| status >= 300));
    assert!(only_refused, "only refused calls lack no price");
    Ok(())
}
