//! The report on the calls of a capture: sections of lines and tables, no wider than the terminal.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use analyzer::cost;
use sniffer::pipeline::Report;

use super::{
    Summary,
    errors::{Group, Kind},
    percentiles,
    slowest::Slow,
};
use crate::cli::{
    human,
    table::{self, Column},
};

/// Models shown, those with the most calls first.
const MODELS: usize = 20;

/// Kinds of errors shown, those with the most calls first.
const ERRORS: usize = 15;

impl Summary {
    /// The report on the calls, in lines of at most this width.
    pub(crate) fn of_calls(mut self, report: &Report, width: usize) -> String {
        self.percentiles.sort();
        let sections = [
            self.totals(width),
            self.by_model(width),
            self.spread(width),
            self.failed(width),
            self.slow(width),
            self.drift.report(width),
            wrapped(&self.losses(report), width),
        ];
        let sections = sections.into_iter().filter(|text| !text.is_empty());
        sections.collect::<Vec<_>>().join("\n")
    }

    /// The report where exchanges are the rows.
    pub(crate) fn of_exchanges(&self, report: &Report, width: usize) -> String {
        let text = format!(
            "{}, {} of them LLM calls\n{}",
            human::several(self.exchanges, "exchange"),
            human::count(self.calls),
            self.losses(report)
        );
        wrapped(&text, width)
    }

    fn totals(&self, width: usize) -> String {
        let mut lines = vec![format!(
            "{} ({} streamed) in {}, {}",
            human::several(self.calls, "call"),
            human::count(self.streams),
            human::several(self.exchanges, "exchange"),
            match (self.first, self.last) {
                (Some(first), Some(last)) => format!(
                    "{} to {} UTC ({})",
                    human::date_time(first),
                    human::date_time(last),
                    human::duration(last.micros_since(first).max(0))
                ),
                _ => "at unknown times".to_owned(),
            }
        )];
        if self.outer > 0 {
            lines.push(format!(
                "{} rows are the same calls, seen farther out on another connection (outer), and left out \
                 of these figures",
                human::count(self.outer)
            ));
        }
        let models = self.models.values();
        let (input, output, counted) = models.fold((0u64, 0u64, false), |sum, model| {
            (
                sum.0.saturating_add(model.input),
                sum.1.saturating_add(model.output),
                sum.2 | model.counted_input | model.counted_output,
            )
        });
        let mark = if counted { "~" } else { "" };
        lines.push(format!(
            "tokens: {mark}{} input, {mark}{} output",
            human::count(input),
            human::count(output)
        ));
        let mut outcomes: Vec<_> = self.outcomes.iter().collect();
        outcomes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let outcomes: Vec<_> = outcomes
            .into_iter()
            .map(|(name, n)| format!("{} {name} ({})", human::count(*n), share(*n, self.calls)))
            .collect();
        lines.push(format!("outcomes: {}", outcomes.join(", ")));
        if !self.costs.is_empty() || self.unpriced > 0 {
            lines.push(format!("cost: {}", costs(&self.costs, self.unpriced)));
        }
        wrapped(&lines.join("\n"), width)
    }

    fn by_model(&self, width: usize) -> String {
        let mut models: Vec<_> = self.models.iter().collect();
        models.sort_by_key(|(_, model)| std::cmp::Reverse(model.calls));
        let rows: Vec<Vec<String>> = models
            .iter()
            .take(MODELS)
            .map(|(name, model)| {
                let tokens = |counted: bool, n| {
                    format!("{}{}", if counted { "~" } else { "" }, human::count(n))
                };
                let [ttft, ttft95, elapsed] = self.percentiles.of_model(model.number);
                vec![
                    (*name).clone(),
                    human::count(model.calls),
                    share(model.failed, model.calls),
                    tokens(model.counted_input, model.input),
                    tokens(model.counted_output, model.output),
                    duration(ttft),
                    duration(ttft95),
                    duration(elapsed),
                ]
            })
            .collect();
        let columns = vec![
            Column::of_models("model"),
            Column::right("calls"),
            Column::right("not ok"),
            Column::right("input"),
            Column::right("output"),
            Column::right("ttft p50"),
            Column::right("ttft p95"),
            Column::right("elapsed p50"),
        ];
        let mut out = text(columns, &rows, width);
        more(&mut out, models.len(), MODELS, "models");
        let counted =
            |(_, model): &(&String, &super::Model)| model.counted_input || model.counted_output;
        if models.iter().take(MODELS).any(counted) {
            let note = "~ some were counted by llmtap, not reported by the server";
            out.push_str(&table::wrapped(note, width));
        }
        out
    }

    fn spread(&self, width: usize) -> String {
        let shown = percentiles::SHOWN.iter();
        let columns = [Column::left("of each call"), Column::right("calls")]
            .into_iter()
            .chain(shown.map(|(name, _)| Column::right(*name)))
            .collect();
        match self.percentiles.lines() {
            lines if lines.is_empty() => String::new(),
            lines => text(columns, &lines, width),
        }
    }

    fn failed(&self, width: usize) -> String {
        let kinds = self.errors.most_first();
        if kinds.is_empty() {
            return String::new();
        }
        let row = |(kind, group): &(&Kind, &Group)| {
            let time = |time: Option<_>| time.map_or_else(|| "-".to_owned(), human::time_of_day);
            let mut examples = group.examples.iter().map(ToString::to_string);
            vec![
                kind.outcome.to_owned(),
                kind.status
                    .map_or_else(|| "-".to_owned(), |s| s.to_string()),
                kind.word.clone().unwrap_or_else(|| "-".to_owned()),
                human::count(group.calls),
                examples.next().unwrap_or_default(),
                time(group.first),
                time(group.last),
                examples.collect::<Vec<_>>().join(" "),
            ]
        };
        let rows: Vec<_> = kinds.iter().take(ERRORS).map(row).collect();
        let columns = vec![
            Column::left("not ok"),
            Column::right("status"),
            Column::left("the server's word"),
            Column::right("calls"),
            Column::right("call_key of one"),
            Column::right("first (UTC)"),
            Column::right("last (UTC)"),
            Column::right("of others"),
        ];
        let mut out = text(columns, &rows, width);
        more(&mut out, kinds.len(), ERRORS, "kinds");
        out
    }

    fn slow(&self, width: usize) -> String {
        let row = |slow: &Slow| {
            vec![
                duration(Some(slow.elapsed)),
                duration(slow.ttft),
                slow.output.map_or_else(|| "-".to_owned(), human::count),
                slow.model.clone().unwrap_or_else(|| "-".to_owned()),
                slow.key.to_string(),
                slow.outcome.to_owned(),
                slow.start
                    .map_or_else(|| "-".to_owned(), human::time_of_day),
            ]
        };
        let rows: Vec<_> = self.slowest.calls().iter().map(row).collect();
        if rows.is_empty() {
            return String::new();
        }
        let columns = vec![
            Column::right("slowest"),
            Column::right("ttft"),
            Column::right("output"),
            Column::of_models("model"),
            Column::right("call_key"),
            Column::left("outcome"),
            Column::right("time (UTC)"),
        ];
        text(columns, &rows, width)
    }
}

/// A table as text.
fn text(columns: Vec<Column>, rows: &[Vec<String>], width: usize) -> String {
    let mut out = Vec::new();
    // Memory takes all that is written to it.
    let _ = table::print(&mut out, columns, rows, width);
    String::from_utf8_lossy(&out).into_owned()
}

/// Says how many a table leaves out.
fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    if all > shown {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "… and {} {what} more", all - shown);
    }
}

/// Each line wrapped by itself.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    text.lines()
        .map(|line| table::wrapped(line, width))
        .collect()
}

fn duration(micros: Option<i64>) -> String {
    micros.map_or_else(|| "-".to_owned(), human::duration)
}

/// `0 %`, `4.8 %`, `100 %`.
fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    if part == 0 || part == whole {
        format!("{percent:.0} %")
    } else {
        // Neither none nor all.
        format!("{:.1} %", percent.clamp(0.1, 99.9))
    }
}

/// The sums, and how many calls are not wholly in them.
fn costs(sums: &BTreeMap<Arc<str>, i64>, unpriced: u64) -> String {
    let sums = sums.iter();
    let mut parts: Vec<_> = sums
        .map(|(currency, nanos)| format!("{} {currency}", cost::amount(*nanos)))
        .collect();
    if unpriced > 0 {
        parts.push(format!(
            "{} without a price or a token figure (column unpriced)",
            human::several(unpriced, "call")
        ));
    }
    parts.join(", ")
}
