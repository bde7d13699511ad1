//! `llmtap calls`: calls as they are stored, or one with everything.

use std::process::ExitCode;

use analyzer::{
    columns::StoredRow,
    query::{
        Filter, Parameter,
        details::{Details, Name, Texts},
        output::Lines,
        select::{ORDERING, PAGING, Selection},
    },
    store::{Snapshot, system_clock},
    time::Timestamp,
};
use anyhow::bail;
use clap::Args;

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
pub(crate) struct CallsArgs {
    /// Print all of this call: its number, or its call_key. As JSON
    #[arg(value_name = "ID")]
    id: Option<String>,

    /// How calls are printed
    #[arg(long, value_enum, default_value = "table")]
    format: AnswerFormat,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    given: Given<Listing>,
}

#[derive(Clone, Debug)]
struct Listing;

impl Others for Listing {
    fn others() -> Vec<Parameter> {
        let paging = PAGING.iter();
        ORDERING.iter().chain(paging).copied().collect()
    }
}

/// Runs the command.
pub(crate) fn main(args: &CallsArgs) -> anyhow::Result<ExitCode> {
    let mut session = args.place.open()?;
    if let Some(id) = &args.id {
        return one(id, &session.snapshot(PATIENCE)?);
    }
    let pairs = &args.given.pairs;
    let filter = Filter::parse(pairs, &Listing::others(), system_clock());
    let filter = filter.map_err(|bad| wrong_flag(&bad))?;
    let selection = Selection::parse(pairs, filter).map_err(|bad| wrong_flag(&bad))?;
    let page = selection.rows(&session.snapshot(PATIENCE)?)?;
    print(|out| match args.format {
        AnswerFormat::Table => {
            let rows: Vec<_> = page.calls.iter().map(line).collect();
            table::print(out, columns(), &rows, table::width())
        }
        AnswerFormat::Json => pretty(out, &page),
        AnswerFormat::Ndjson | AnswerFormat::Csv => {
            let lines = match args.format {
                AnswerFormat::Csv => Lines::Csv,
                _ => Lines::Ndjson,
            };
            let mut text = Vec::new();
            lines.begin_calls(&mut text);
            for row in &page.calls {
                lines.call(&mut text, row);
            }
            out.write_all(&text)
        }
    })?;
    if let (Some(next), AnswerFormat::Table) = (&page.next, args.format) {
        tracing::info!("there are more calls: --cursor {next} prints the next ones");
    }
    Ok(exit_code(!page.calls.is_empty()))
}

fn one(id: &str, snapshot: &Snapshot<'_>) -> anyhow::Result<ExitCode> {
    let Some(name) = Name::parse(id) else {
        bail!("{id:?} is no call: give its number, or the 32 hexadecimal digits of its call_key");
    };
    let Some(details) = Details::read(snapshot, name, Texts::Shown)? else {
        tracing::warn!("there is no call {id}");
        return Ok(exit_code(false));
    };
    print(|out| pretty(out, &details))?;
    Ok(exit_code(true))
}

fn columns() -> Vec<Column> {
    vec![
        Column::right("id"),
        Column::right("time (UTC)"),
        Column::of_models("model"),
        Column::left("outcome"),
        Column::right("status"),
        Column::right("input"),
        Column::right("output"),
        Column::right("ttft"),
        Column::right("elapsed"),
        Column::left("client"),
        Column::left("user"),
    ]
}

/// A call as a line; counted tokens are marked as in other tables.
fn line(row: &StoredRow) -> Vec<String> {
    let text = |names: &[&str]| {
        let mut values = names.iter().map(|name| row.get(name));
        let value = values.find_map(|value| value.as_str().map(str::to_owned));
        value.unwrap_or_else(|| "-".to_owned())
    };
    let micros = |name: &str| row.get(name).as_f64().map(|seconds| (seconds * 1e6) as i64);
    let duration = |name: &str| micros(name).map_or_else(|| "-".to_owned(), human::duration);
    let tokens = |name: &str, source: &str| match row.get(name).as_u64() {
        None => "-".to_owned(),
        Some(n) if row.get(source) == "counted" => format!("~{}", human::count(n)),
        Some(n) => human::count(n),
    };
    let times = ["request_start", "response_head", "ended"];
    let time = times.iter().find_map(|name| micros(name));
    let time = time.map(|time| human::date_time(Timestamp::from_micros(time)));
    vec![
        row.id.to_string(),
        time.unwrap_or_else(|| "-".to_owned()),
        text(&["request_model", "response_model"]),
        text(&["outcome"]),
        row.get("status")
            .as_u64()
            .map_or_else(|| "-".to_owned(), |status| status.to_string()),
        tokens("input_tokens", "input_source"),
        tokens("output_tokens", "output_source"),
        duration("ttft"),
        duration("elapsed"),
        text(&["client", "peer"]),
        text(&["user"]),
    ]
}
