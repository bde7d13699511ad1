//! `llmtap stats`: counts, sums and percentiles by group, and over time.

use std::process::ExitCode;

use analyzer::{
    query::{
        Filter, Parameter,
        output::{Lines, flat_series, flat_summary},
        series::{self, Series},
        summary::{self, Summary},
    },
    store::system_clock,
    time::Timestamp,
};
use clap::Args;
use serde_json::{Map, Value};

use super::{
    AnswerFormat, PATIENCE, Place, exit_code,
    flags::{Given, Others},
    pretty, print, wrong_flag,
};
use crate::cli::{
    human,
    table::{self, Column},
};

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// How figures are printed
    #[arg(long, value_enum, default_value = "table")]
    format: AnswerFormat,

    /// Print the figures of each step in time, not of the whole; --step says how long a step is
    #[arg(long)]
    over_time: bool,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    given: Given<Grouped>,
}

#[derive(Clone, Debug)]
struct Grouped;

impl Others for Grouped {
    fn others() -> Vec<Parameter> {
        let limit = summary::PARAMETERS.iter();
        let series = series::PARAMETERS.iter().filter(|p| p.name == "step");
        limit.chain(series).copied().collect()
    }
}

/// Runs the command.
pub(crate) fn main(args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let mut session = args.place.open()?;
    let snapshot = session.snapshot(PATIENCE)?;
    let pairs = &args.given.pairs;
    let filter = Filter::parse(pairs, &Grouped::others(), system_clock());
    let filter = filter.map_err(|bad| wrong_flag(&bad))?;
    let over_time = args.over_time || pairs.iter().any(|(name, _)| name == "step");
    let (answer, rows) = if over_time {
        let series = Series::parse(pairs, filter).map_err(|bad| wrong_flag(&bad))?;
        let answer = series.answer(&snapshot, system_clock())?;
        let answer = answer.map_err(|bad| wrong_flag(&bad))?;
        let rows = flat_series(&answer);
        (answer, rows)
    } else {
        let summary = Summary::parse(pairs, filter).map_err(|bad| wrong_flag(&bad))?;
        let answer = summary.answer(&snapshot)?;
        let rows = flat_summary(&answer);
        (answer, rows)
    };
    print(|out| match args.format {
        AnswerFormat::Json => pretty(out, &answer),
        AnswerFormat::Ndjson => out.write_all(&Lines::Ndjson.objects(&rows)),
        AnswerFormat::Csv => out.write_all(&Lines::Csv.objects(&rows)),
        AnswerFormat::Table => {
            let keys = answer["group_by"].as_array().into_iter().flatten();
            let keys: Vec<_> = keys.filter_map(Value::as_str).collect();
            let lines: Vec<_> = rows.iter().map(|row| line(row, &keys)).collect();
            table::print(out, columns(&keys, over_time), &lines, table::width())
        }
    })?;
    let calls = rows.iter().filter_map(|row| row["calls"].as_u64());
    Ok(exit_code(calls.sum::<u64>() > 0))
}

/// The figures of the table and the names that they have in rows, the most wanted first.
const FIGURES: [(&str, &str); 12] = [
    ("calls", "calls"),
    ("errors", "errors"),
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("ttft p50", "ttft_p50"),
    ("p95", "ttft_p95"),
    ("elapsed p50", "elapsed_p50"),
    ("p95", "elapsed_p95"),
    ("tpot p50", "tpot_p50"),
    ("p95", "tpot_p95"),
    ("cost", "cost"),
    ("", "currency"),
];

fn columns(keys: &[&str], over_time: bool) -> Vec<Column> {
    let time = over_time.then(|| Column::right("time (UTC)"));
    let keys = keys.iter().map(|key| match *key {
        "model" => Column::of_models(*key),
        _ => Column::left(*key),
    });
    let figures = FIGURES.iter().map(|(title, _)| Column::right(*title));
    time.into_iter().chain(keys).chain(figures).collect()
}

fn line(row: &Map<String, Value>, keys: &[&str]) -> Vec<String> {
    let time = row.get("time").and_then(Value::as_f64);
    let time = time.map(|seconds| human::date_time(Timestamp::from_micros((seconds * 1e6) as i64)));
    let keys = keys.iter().map(|key| match row.get(*key) {
        Some(Value::String(text)) => text.clone(),
        _ => "-".to_owned(),
    });
    let figures = FIGURES.iter().map(|(_, name)| match row.get(*name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) => figure(name, n),
        _ => "-".to_owned(),
    });
    time.into_iter().chain(keys).chain(figures).collect()
}

fn figure(name: &str, number: &serde_json::Number) -> String {
    let real = number.as_f64().unwrap_or_default();
    match number.as_u64() {
        _ if name == "cost" => format!("{real:.4}"),
        Some(count) => human::count(count),
        None => human::duration((real * 1e6).round() as i64),
    }
}
