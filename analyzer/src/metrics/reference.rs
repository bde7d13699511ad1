//! The reference page of the metrics, made of their table. `docs/metrics.md` is this text.

use std::fmt::Write as _;

use super::{
    cardinality::{LABEL_SET_CAP, NAME_CAP, OTHER, UNCONFIRMED, VALUE_CAP},
    kept,
    names::{ALL, Kind, Metric},
};

/// The groups of the page: a heading, and the beginnings of the names below it. The first that fits holds.
const GROUPS: &[(&str, &[&str])] = &[
    ("Calls, by OpenTelemetry's names", &["gen_ai_"]),
    (
        "The process",
        &["process_", "llmtap_build", "llmtap_metrics"],
    ),
    ("The store", &["llmtap_store"]),
    ("The API", &["llmtap_api"]),
    ("The OTLP export", &["llmtap_otlp"]),
    (
        "The capture",
        &[
            "llmtap_capture",
            "llmtap_packets",
            "llmtap_shed",
            "llmtap_tcp",
            "llmtap_http",
            "llmtap_connections",
        ],
    ),
    ("Calls", &["llmtap_"]),
];

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = format!(
        "\
# Metrics

*What does each metric mean?* How to scrape them and what to watch is on [another page](monitoring.md).

This page is made of the table in `analyzer/src/metrics/names.rs` (`cargo xtask docs`), from which the HELP texts come
as well.

`GET /metrics` (also `/api/metrics`) gives all of them from memory: Prometheus text 0.0.4, or OpenMetrics 1.0
for scrapers whose `Accept` likes that better, then with times of creation and with exemplars (`trace_id`
and `call_key` of the latest call in each bucket of a duration); gzip for those who accept it. Series come with what they
count: one that was never counted is absent.

## Labels

Texts off the wire (models, and users, keys, clients and headers where `--metric-label` asks for them) become
values of labels once an answer has confirmed them: it was good, or it was a 2xx that named a model or brought
output. Before that they show as `{UNCONFIRMED}`. A text is cut to {VALUE_CAP} bytes. Past {NAME_CAP} texts a
label, or {LABEL_SET_CAP} label sets a family, further ones show as `{OTHER}`: nothing is left out of a sum. Paths are
the known ends of the wire APIs' paths, or `other`.

`--metric-label user|key|client|path|label:NAME` (repeatable) adds labels of these names (`label_NAME` for a header) to
the counters of calls below that have a `model`, not to the histograms.

## After a restart

Totals go on: they are kept in `FILE.metrics` beside the store's `FILE`, for their owner alone, every
{interval} seconds where nobody reads them, before each scrape, and at the end. What a scraper was shown is kept first, so that an
end at any moment (`kill -9`) lets no counter fall; what was counted after the last scrape and in the last {interval} seconds may be lost.
After an end of the whole machine without an orderly one of llmtap, and where the file cannot be read (it is set
aside) or was not writable, totals begin at zero. Gauges and `process_*` are never kept. Of two processes on one store
the first keeps its totals; the second says so, and counts from zero.
",
        interval = kept::INTERVAL.as_secs()
    );
    for (heading, beginnings) in in_order() {
        let _ = write!(
            page,
            "\n## {heading}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        );
        for row in ALL.iter().filter(|row| group(row) == Some(*beginnings)) {
            let (suffix, kind) = match row.kind {
                Kind::Counter => ("_total", "counter"),
                Kind::Gauge => ("", "gauge"),
                Kind::Histogram => ("", "histogram"),
            };
            let labels: Vec<String> = row.labels.iter().map(|name| format!("`{name}`")).collect();
            let _ = writeln!(
                page,
                "| `{}{suffix}` | {kind} | {} | {} |",
                row.name,
                labels.join(", "),
                row.help
            );
        }
    }
    page.push_str("\n## Buckets\n\n| histogram | upper bounds |\n|---|---|\n");
    for row in ALL.iter().filter(|row| row.kind == Kind::Histogram) {
        let bounds: Vec<String> = row.buckets().iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "| `{}` | {} |", row.name, bounds.join(", "));
    }
    page
}

/// Calls first.
fn in_order() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    let (first, last) = GROUPS.split_at(1);
    first.iter().chain(last.iter().rev())
}

fn group(row: &Metric) -> Option<&'static [&'static str]> {
    let fits = |beginning: &&str| row.name.starts_with(beginning);
    let group = GROUPS
        .iter()
        .find(|(_, beginnings)| beginnings.iter().any(fits));
    group.map(|(_, beginnings)| *beginnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_stands_on_the_page_once() {
        let page = reference();
        for row in ALL {
            let lines = page.lines().filter(|line| {
                line.starts_with(&format!("| `{}` |", row.name))
                    || line.starts_with(&format!("| `{}_total` |", row.name))
            });
            let expected = if row.kind == Kind::Histogram { 2 } else { 1 };
            assert_eq!(lines.count(), expected, "{}", row.name);
            assert_eq!(row.buckets().is_empty(), row.kind != Kind::Histogram);
            assert!(!row.help.contains('|'), "{}", row.name);
        }
    }
}
