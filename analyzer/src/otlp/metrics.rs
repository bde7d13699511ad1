//! The metrics as OTLP has them: the same families and figures as a scrape, under OpenTelemetry's own names.

use super::{
    proto::{
        Data, Exemplar, Gauge, Histogram, HistogramPoint, KeyValue, Metric, Number, NumberPoint,
        Sum, Temporality,
    },
    span::{nanos, span_id},
};
use crate::{
    metrics::{self, FamilySample, HistogramSample, Sample, SeriesSample, names},
    time::Timestamp,
};

/// Families as messages; `now` is the time of the reading.
pub(super) fn metrics(families: &[FamilySample], now: Timestamp) -> Vec<Metric> {
    families.iter().map(|family| metric(family, now)).collect()
}

fn metric(family: &FamilySample, now: Timestamp) -> Metric {
    let row = family.row;
    let numbers = || {
        let series = family.series.iter();
        series.filter_map(|s| number(s, row, now)).collect()
    };
    let data = match row.kind {
        names::Kind::Gauge => Data::Gauge(Gauge {
            data_points: numbers(),
        }),
        names::Kind::Counter => Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: Temporality::Cumulative.into(),
            is_monotonic: true,
        }),
        names::Kind::Histogram => Data::Histogram(Histogram {
            data_points: family
                .series
                .iter()
                .filter_map(|series| histogram(series, now))
                .collect(),
            aggregation_temporality: Temporality::Cumulative.into(),
        }),
    };
    Metric {
        name: row.otel_name().into_owned(),
        description: format!("{}.", row.help),
        unit: row.otel_unit().to_owned(),
        data: Some(data),
    }
}

fn attributes(series: &SeriesSample) -> Vec<KeyValue> {
    let labels = series.labels.iter();
    let pairs = labels.map(|(name, value)| KeyValue::text(&names::otel_label(name), value));
    pairs.collect()
}

fn number(series: &SeriesSample, row: &names::Metric, now: Timestamp) -> Option<NumberPoint> {
    let (Sample::Counter(value) | Sample::Gauge(value)) = series.sample else {
        return None;
    };
    // What counts things is whole, whatever it was read as.
    let whole = value.fract() == 0.0 && value.abs() < 2_f64.powi(53);
    let number = if whole && row.unit != names::Unit::Seconds && *row != names::COST {
        Number::Int(value as i64)
    } else {
        Number::Double(value)
    };
    Some(NumberPoint {
        start_time_unix_nano: match series.sample {
            Sample::Counter(_) => nanos(series.created),
            _ => 0,
        },
        time_unix_nano: nanos(now),
        value: Some(number),
        attributes: attributes(series),
    })
}

fn histogram(series: &SeriesSample, now: Timestamp) -> Option<HistogramPoint> {
    let Sample::Histogram(histogram) = &series.sample else {
        return None;
    };
    Some(HistogramPoint {
        start_time_unix_nano: nanos(series.created),
        time_unix_nano: nanos(now),
        count: histogram.count(),
        sum: Some(histogram.sum),
        bucket_counts: histogram.counts.to_vec(),
        explicit_bounds: histogram.bounds.to_vec(),
        exemplars: exemplars(histogram),
        attributes: attributes(series),
    })
}

/// Each points at the span of its call.
fn exemplars(histogram: &HistogramSample) -> Vec<Exemplar> {
    let known = histogram.exemplars.iter().flatten();
    known.map(exemplar).collect()
}

fn exemplar(exemplar: &metrics::Exemplar) -> Exemplar {
    let trace = exemplar.trace_id.map(u128::to_be_bytes);
    Exemplar {
        time_unix_nano: exemplar.time.map_or(0, nanos),
        as_double: exemplar.value,
        span_id: span_id(exemplar.call_key),
        trace_id: trace.unwrap_or(exemplar.call_key.0).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::proto::Any;
    use crate::{fixtures, metrics::Metrics};

    fn of<'m>(all: &'m [Metric], name: &str) -> &'m Metric {
        all.iter().find(|metric| metric.name == name).unwrap()
    }

    fn text(pair: &KeyValue) -> (&str, &str) {
        match &pair.value.as_ref().unwrap().value {
            Some(Any::Text(text)) => (&pair.key, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn families_have_opentelemetrys_names_and_the_figures_of_the_scrape() {
        let metrics = Metrics::new();
        let mut call = fixtures::call(3);
        call.wasted = 1_500_000;
        metrics.observe_call(&call);
        let now = Timestamp::from_micros(1_767_225_700_000_000);
        let all = super::metrics(&metrics.families(), now);

        let duration = of(&all, "gen_ai.server.request.duration");
        assert_eq!(duration.unit, "s");
        let Some(Data::Histogram(histogram)) = &duration.data else {
            panic!("{duration:?}")
        };
        assert_eq!(histogram.aggregation_temporality, 2);
        let point = &histogram.data_points[0];
        assert_eq!((point.count, point.sum), (1, Some(1.5)));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.time_unix_nano, 1_767_225_700_000_000_000);
        assert!(point.start_time_unix_nano > 0);
        let labels: Vec<_> = point.attributes.iter().map(text).collect();
        assert!(
            labels.contains(&("gen_ai.request.model", "qwen3")),
            "{labels:?}"
        );
        assert!(
            labels.contains(&("gen_ai.operation.name", "chat")),
            "{labels:?}"
        );
        let exemplar = &point.exemplars[0];
        assert_eq!(
            (&exemplar.trace_id[..], &exemplar.span_id[..]),
            (&[3; 16][..], &[3; 8][..])
        );

        let calls = of(&all, "llmtap.calls");
        let Some(Data::Sum(sum)) = &calls.data else {
            panic!("{calls:?}")
        };
        assert!(sum.is_monotonic);
        assert_eq!(sum.data_points[0].value, Some(Number::Int(1)));
        let Some(Data::Sum(wasted)) = &of(&all, "llmtap.wasted").data else {
            panic!("no sum")
        };
        assert_eq!(wasted.data_points[0].value, Some(Number::Double(1.5)));
        assert_eq!(of(&all, "gen_ai.client.token.usage").unit, "{token}");
        assert_eq!(of(&all, "llmtap.store_size").unit, "By");
    }
}
