//! The two text formats of a scrape.

use std::fmt::Write as _;

use super::{
    FamilySample, SeriesSample,
    names::{Kind, Unit},
    value::{Exemplar, HistogramSample, Sample},
};
use crate::time::Timestamp;

/// What a scraper reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: what everything reads.
    Prometheus,
    /// OpenMetrics 1.0, for those who ask for it.
    OpenMetrics,
}

impl Format {
    /// The format for an `Accept` header: OpenMetrics where it is named and not refused, else Prometheus text.
    pub fn for_accept(accept: Option<&str>) -> Self {
        let wanted = accept.is_some_and(|accept| {
            accept.split(',').any(|range| {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next().unwrap_or_default();
                let refused = parts.any(|part| {
                    part.strip_prefix("q=")
                        .is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
                });
                media.eq_ignore_ascii_case("application/openmetrics-text") && !refused
            })
        });
        if wanted {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of a reading.
pub(super) fn render(families: &[FamilySample], format: Format) -> String {
    let series: usize = families.iter().map(|family| family.series.len()).sum();
    // Histograms take more, and the text grows as it needs to.
    let mut page = Page {
        text: String::with_capacity(256 * (families.len() + series)),
        format,
    };
    for family in families.iter().filter(|family| !family.series.is_empty()) {
        page.family(family);
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

struct Page {
    text: String,
    format: Format,
}

impl Page {
    fn family(&mut self, family: &FamilySample) {
        let row = family.row;
        let open = self.format == Format::OpenMetrics;
        // In Prometheus text a counter's family has the name of its samples.
        let (kind, suffix) = match row.kind {
            Kind::Counter if open => ("counter", ""),
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram => ("histogram", ""),
        };
        let name = row.name;
        // Writing to a String cannot fail.
        let _ = write!(
            self.text,
            "# HELP {name}{suffix} {}.\n# TYPE {name}{suffix} {kind}\n",
            row.help
        );
        let unit = match row.unit {
            Unit::None => None,
            Unit::Seconds => Some("seconds"),
            Unit::Bytes => Some("bytes"),
        };
        if let Some(unit) = unit.filter(|_| open) {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
        for series in &family.series {
            self.series(name, series);
        }
    }

    fn series(&mut self, name: &str, series: &SeriesSample) {
        let labels = series.labels.text();
        match &series.sample {
            Sample::Counter(value) => self.sample(name, "_total", labels, *value),
            Sample::Gauge(value) => self.sample(name, "", labels, *value),
            Sample::Histogram(histogram) => self.histogram(name, labels, histogram),
        }
        if self.format == Format::OpenMetrics && !matches!(series.sample, Sample::Gauge(_)) {
            self.name(name, "_created", labels);
            self.time(series.created);
            self.text.push('\n');
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &HistogramSample) {
        let mut count = 0;
        for (bucket, values) in histogram.counts.iter().enumerate() {
            count += values;
            self.text.push_str(name);
            self.text.push_str("_bucket{");
            if !labels.is_empty() {
                self.text.push_str(labels);
                self.text.push(',');
            }
            self.text.push_str("le=\"");
            match histogram.bounds.get(bucket) {
                // With its decimal point, as OpenMetrics' canonical numbers have it.
                Some(bound) => {
                    let _ = write!(self.text, "{bound:?}");
                }
                None => self.text.push_str("+Inf"),
            }
            let _ = write!(self.text, "\"}} {count}");
            let exemplar = histogram.exemplars.get(bucket).copied().flatten();
            if let Some(exemplar) = exemplar.filter(|_| self.format == Format::OpenMetrics) {
                self.exemplar(exemplar);
            }
            self.text.push('\n');
        }
        self.sample(name, "_sum", labels, histogram.sum);
        self.sample(name, "_count", labels, count as f64);
    }

    /// 107 characters of labels at most: OpenMetrics allows 128.
    fn exemplar(&mut self, exemplar: Exemplar) {
        self.text.push_str(" # {");
        if let Some(trace) = exemplar.trace_id {
            let _ = write!(self.text, "trace_id=\"{trace:032x}\",");
        }
        let _ = write!(self.text, "call_key=\"{}\"}} ", exemplar.call_key);
        self.number(exemplar.value);
        if let Some(time) = exemplar.time {
            self.text.push(' ');
            self.time(time);
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: f64) {
        self.name(name, suffix, labels);
        self.number(value);
        self.text.push('\n');
    }

    /// All of a sample before its value.
    fn name(&mut self, name: &str, suffix: &str, labels: &str) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.push_str(labels);
            self.text.push('}');
        }
        self.text.push(' ');
    }

    fn number(&mut self, value: f64) {
        // Whole numbers up to 2^53 are exact, and have no decimal point.
        let _ = if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
            write!(self.text, "{}", value as i64)
        } else {
            write!(self.text, "{value:?}")
        };
    }

    /// Seconds since the Unix epoch, to the millisecond.
    fn time(&mut self, time: Timestamp) {
        let millis = time.as_micros().div_euclid(1_000);
        let (seconds, rest) = (millis.div_euclid(1_000), millis.rem_euclid(1_000));
        let _ = write!(self.text, "{seconds}.{rest:03}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_only_for_those_who_ask() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::for_accept(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::for_accept(Some("*/*")), Format::Prometheus);
        assert_eq!(
            Format::for_accept(Some("application/openmetrics-text;q=0, text/plain")),
            Format::Prometheus
        );
        assert_eq!(Format::for_accept(None), Format::Prometheus);
    }
}
