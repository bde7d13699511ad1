use super::*;
use crate::{
    cost::{Cost, Unpriced},
    fixtures,
};

/// The samples of a text whose name is `name` or `name` with a suffix that its type gives.
fn samples<'a>(text: &'a str, name: &'a str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(name)).collect()
}

fn sample(text: &str, start: &str) -> f64 {
    let lines = samples(text, start);
    assert_eq!(lines.len(), 1, "{start}: {lines:?}");
    lines[0].rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_call_reaches_its_families() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    call.wasted = 2_500_000;
    call.stalls = Some(3);
    metrics.observe_call(&call);
    metrics.observe_exchange(ExchangeKind::Call);
    let text = metrics.render(Format::Prometheus);
    for (start, value) in [
        (
            r#"llmtap_calls_total{outcome="ok",operation="chat",model="qwen3"}"#,
            1.0,
        ),
        (
            r#"llmtap_tokens_total{kind="input",source="reported",model="qwen3"}"#,
            10.0,
        ),
        (
            r#"llmtap_tokens_total{kind="output",source="counted",model="qwen3"}"#,
            20.0,
        ),
        (r#"llmtap_stalls_total{model="qwen3"}"#, 3.0),
        (r#"llmtap_wasted_seconds_total{model="qwen3"}"#, 2.5),
        (r#"llmtap_exchanges_total{kind="call"}"#, 1.0),
        ("gen_ai_server_request_duration_seconds_sum{", 1.5),
        ("gen_ai_server_time_to_first_token_seconds_sum{", 0.052),
        ("gen_ai_server_time_per_output_token_seconds_count{", 1.0),
    ] {
        assert!(
            (sample(&text, start) - value).abs() < 1e-9,
            "{start}\n{text}"
        );
    }
    let usage = samples(&text, "gen_ai_client_token_usage_sum");
    assert_eq!(usage.len(), 2, "{usage:?}");
    assert!(
        usage
            .iter()
            .any(|line| line.contains(r#"gen_ai_token_type="output""#) && line.ends_with(" 20"))
    );
    assert!(!text.contains("error_type"), "{text}");
}

#[test]
fn costs_add_up_exactly_by_currency_and_those_that_lack_one_are_counted() {
    let metrics = Metrics::new();
    let priced = |nanos, currency: &str| Call {
        cost: Cost {
            nanos: Some(nanos),
            currency: Some(currency.into()),
            unpriced: None,
        },
        ..fixtures::call(1)
    };
    for _ in 0..1_000 {
        metrics.observe_call(&priced(100_000_001, "EUR"));
    }
    metrics.observe_call(&priced(5, "USD"));
    let mut unknown = fixtures::call(1);
    unknown.cost.unpriced = Some(Unpriced::Model);
    metrics.observe_call(&unknown);
    metrics.observe_call(&fixtures::call(2));
    let text = metrics.render(Format::Prometheus);
    let costs = samples(&text, "llmtap_cost_total{");
    assert_eq!(
        costs,
        [
            r#"llmtap_cost_total{currency="EUR",model="qwen3"} 100.000001"#,
            r#"llmtap_cost_total{currency="USD",model="qwen3"} 5e-9"#,
        ]
    );
    let unpriced = samples(&text, "llmtap_unpriced_calls_total");
    assert_eq!(
        unpriced,
        [r#"llmtap_unpriced_calls_total{reason="model"} 1"#]
    );
}

#[test]
fn an_outer_row_is_counted_and_nothing_of_it() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    call.outer_of = Some(crate::call::CallKey([2; 16]));
    metrics.observe_call(&call);
    let text = metrics.render(Format::Prometheus);
    assert!((sample(&text, "llmtap_outer_calls_total") - 1.0).abs() < 1e-9);
    for family in ["llmtap_calls_total", "llmtap_tokens_total", "gen_ai_"] {
        assert_eq!(samples(&text, family), [""; 0], "{family}");
    }
}

#[test]
fn an_error_is_named_and_its_model_is_not() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    call.outcome = Outcome::ClientError;
    call.status = Some(404);
    call.request_model = Some("made-up".into());
    call.response_model = None;
    metrics.observe_call(&call);
    let text = metrics.render(Format::Prometheus);
    assert!(
        text.contains(r#"gen_ai_request_model="~unconfirmed",error_type="client_error""#),
        "{text}"
    );
    assert!(!text.contains("made-up"));
    assert!(!text.contains("gen_ai_response_model"));
}

#[test]
fn only_an_answer_confirms_a_model() {
    for (outcome, status, response_model, output, confirmed) in [
        (Outcome::Ok, Some(200), None, None, true),
        (Outcome::ErrorIn200, Some(200), None, None, false),
        (Outcome::ErrorIn200, Some(200), None, Some(0), false),
        (Outcome::ErrorIn200, Some(200), None, Some(1), true),
        (Outcome::ErrorIn200, Some(200), Some("m"), None, true),
        (Outcome::ClientAbort, None, None, None, false),
        (Outcome::ClientAbort, Some(200), None, None, false),
        (Outcome::ClientAbort, Some(200), Some("m"), None, true),
        (Outcome::ServerAbort, Some(200), None, Some(3), true),
        (Outcome::ServerError, Some(500), Some("m"), Some(3), false),
        (Outcome::Incomplete, None, Some("m"), Some(3), false),
    ] {
        let metrics = Metrics::new();
        let mut call = fixtures::call(1);
        call.outcome = outcome;
        call.status = status;
        call.request_model = Some("asked".into());
        call.response_model = response_model.map(str::to_owned);
        call.output_tokens = output;
        let label = metrics.model_label(&call);
        let expected = if confirmed { "asked" } else { "~unconfirmed" };
        assert_eq!(label.as_deref(), Some(expected), "{outcome:?} {status:?}");
    }
}

#[test]
fn labels_that_are_asked_for_tell_the_counters_apart_and_nothing_else() {
    let words = ["user", "key", "client", "path", "label:team", "user"];
    let labels: Vec<CallLabel> = words.iter().map(|word| word.parse().unwrap()).collect();
    let metrics = Metrics::with_labels(&labels);
    let mut call = fixtures::call(1);
    call.user = Some("ada".into());
    call.key = Some("0123abcd".into());
    call.path = Some("/prefix/v1/chat/completions".into());
    call.whose.labels.push(crate::call::Label {
        name: "team".into(),
        value: "blue".into(),
    });
    metrics.observe_call(&call);
    // A refused call makes no values of labels, but for those that the code has itself.
    call.outcome = Outcome::ClientError;
    call.status = Some(401);
    call.user = Some("made-up".into());
    call.key = None;
    call.path = Some("/made/up".into());
    metrics.observe_call(&call);
    let text = metrics.render(Format::Prometheus);
    let calls = samples(&text, "llmtap_calls_total{");
    assert_eq!(
        calls,
        [
            r#"llmtap_calls_total{outcome="ok",operation="chat",model="qwen3",user="ada",key="0123abcd",client="192.0.2.7",path="/chat/completions",label_team="blue"} 1"#,
            r#"llmtap_calls_total{outcome="client_error",operation="chat",model="qwen3",user="~unconfirmed",client="192.0.2.7",path="other",label_team="blue"} 1"#,
        ]
    );
    for family in ["llmtap_tokens_total{", "llmtap_stalls_total{"] {
        assert!(
            samples(&text, family)
                .iter()
                .all(|line| line.contains("label_team="))
        );
    }
    assert!(
        samples(&text, "gen_ai_")
            .iter()
            .all(|line| !line.contains("user="))
    );
}

#[test]
fn open_metrics_has_units_times_of_creation_and_exemplars() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(0xab);
    call.whose.trace_id = Some("0af7651916cd43dd8448eb211c80319c".into());
    metrics.observe_call(&call);
    let text = metrics.render(Format::OpenMetrics);
    for line in [
        "# TYPE llmtap_store_commit_seconds histogram\n# UNIT llmtap_store_commit_seconds seconds\n",
        "# TYPE llmtap_calls counter\nllmtap_calls_total{",
        "llmtap_calls_created{outcome=\"ok\",",
        "gen_ai_server_request_duration_seconds_created{",
        ",le=\"2.56\"} 1 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\",\
         call_key=\"abababababababababababababababab\"} 1.5 1767225601.500\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    // Times of creation are of now, in seconds.
    let created = samples(&text, "llmtap_calls_created{");
    let created: f64 = created[0].rsplit_once(' ').unwrap().1.parse().unwrap();
    let now = crate::store::system_clock().as_seconds();
    assert!((0.0..60.0).contains(&(now - created)), "{created}");
    let plain = metrics.render(Format::Prometheus);
    for part in ["_created", " # {", "# UNIT", "# EOF"] {
        assert!(!plain.contains(part), "{part}");
    }
}

/// The bounds of a histogram's buckets, as a scraper reads them.
fn bounds(text: &str, family: &str) -> Vec<String> {
    let mut bounds = Vec::new();
    for line in samples(text, &format!("{family}_bucket{{")) {
        let bound = line.split("le=\"").nth(1).unwrap();
        let bound = bound.split('"').next().unwrap().to_owned();
        if bounds.contains(&bound) {
            break;
        }
        bounds.push(bound);
    }
    bounds
}

/// OpenTelemetry's bounds, with what is added before and after them.
#[test]
fn buckets_are_those_of_the_conventions_with_longer_tails() {
    let metrics = Metrics::new();
    metrics.observe_call(&fixtures::call(1));
    let text = metrics.render(Format::Prometheus);
    for (family, before, conventions, after) in [
        (
            "gen_ai_server_request_duration_seconds",
            "",
            "0.01 0.02 0.04 0.08 0.16 0.32 0.64 1.28 2.56 5.12 10.24 20.48 40.96 81.92",
            "163.84 327.68 655.36 1310.72",
        ),
        (
            "gen_ai_server_time_to_first_token_seconds",
            "",
            "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0",
            "15.0 20.0 30.0 45.0 60.0 120.0 300.0",
        ),
        (
            "gen_ai_server_time_per_output_token_seconds",
            "0.001 0.0025 0.005",
            "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5",
            "5.0 10.0",
        ),
        (
            "gen_ai_client_token_usage",
            "",
            "1.0 4.0 16.0 64.0 256.0 1024.0 4096.0 16384.0 65536.0 262144.0 1048576.0 4194304.0 \
             16777216.0 67108864.0",
            "",
        ),
    ] {
        let expected: Vec<&str> = [before, conventions, after, "+Inf"]
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect();
        assert_eq!(bounds(&text, family), expected, "{family}");
    }
}

#[test]
fn made_up_models_do_not_grow_the_text() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    for i in 0..100_000 {
        call.request_model = Some(format!("model-{i}"));
        call.response_model = Some(format!("model-{}", i + 50_000));
        metrics.observe_call(&call);
    }
    let text = metrics.render(Format::Prometheus);
    for family in [
        "llmtap_calls_total{",
        "gen_ai_server_request_duration_seconds_count{",
    ] {
        let series = samples(&text, family).len();
        assert!(
            series <= cardinality::LABEL_SET_CAP + 1,
            "{family} {series}"
        );
    }
    let calls = samples(&text, "llmtap_calls_total{");
    let total: f64 = calls
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    assert!((total - 100_000.0).abs() < 0.5);
}

#[test]
fn hostile_names_stay_inside_their_quotes() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    call.request_model = Some("a\"} 1\nevil_total 7\\".into());
    metrics.observe_call(&call);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let text = metrics.render(format);
        assert!(samples(&text, "evil").is_empty());
        assert!(
            text.contains("model=\"a\\\"} 1\u{fffd}evil_total 7\\\\\""),
            "{text}"
        );
    }
}

/// Every family of the table is registered, and every sample has a family and only the labels of its row.
#[test]
fn the_text_is_the_table() {
    let metrics = Metrics::new();
    let mut call = fixtures::call(1);
    call.wasted = 1;
    call.outcome = Outcome::ErrorIn200;
    (call.audited, call.counted_input_tokens) = (true, Some(11));
    metrics.observe_call(&call);
    call.cost.nanos = Some(1);
    call.cost.currency = Some("EUR".into());
    call.cost.unpriced = Some(Unpriced::OutputTokens);
    metrics.observe_call(&call);
    metrics.observe_exchange(ExchangeKind::Other);
    let counting = metrics.counting();
    let (capture, store) = (metrics.capture(), metrics.store());
    for counters in [
        &counting.lookups,
        &counting.bytes,
        &capture.dropped,
        &capture.shed,
        &capture.ignored,
        &capture.tcp_events,
        &capture.http_events,
        &capture.connections,
        &store.rows,
        &store.errors,
        &store.shed,
        &store.rows_removed,
        &store.bodies_removed,
        metrics.analysis_events(),
        metrics.redactions(),
        metrics.reloads(),
        &metrics.otlp().spans,
        &metrics.otlp().requests,
        &metrics.api().refused,
        &metrics.0.keep_errors,
        &metrics.api().refused,
        &metrics.api().feed_shed,
    ] {
        counters.inc("something");
    }
    metrics.api().answered("/live", 200, 0.1);
    let text = metrics.render(Format::Prometheus);
    for row in names::ALL {
        let (name, kind) = match row.kind {
            names::Kind::Counter => (format!("{}_total", row.name), "counter"),
            names::Kind::Gauge => (row.name.to_owned(), "gauge"),
            names::Kind::Histogram => (row.name.to_owned(), "histogram"),
        };
        assert!(
            text.contains(&format!("# TYPE {name} {kind}\n")),
            "{name}\n{text}"
        );
        assert!(
            text.contains(&format!("# HELP {name} {}.\n", row.help)),
            "{name}"
        );
        let lines: Vec<_> = text
            .lines()
            .filter(|line| {
                line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_sum{{"))
            })
            .collect();
        for line in lines {
            let labels = line.split_once('{').unwrap().1.split_once('}').unwrap().0;
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let label = label.split_once('=').unwrap().0;
                assert!(row.labels.contains(&label), "{name} {label}");
            }
        }
    }
    let families = text
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    assert_eq!(families, names::ALL.len());
}

#[test]
fn losses_show_what_is_not_zero() {
    let metrics = Metrics::new();
    metrics
        .capture()
        .dropped
        .publisher()
        .publish(&[("ring", 3), ("interface", 0)]);
    metrics.store().shed.inc("queue_rows");
    assert_eq!(
        metrics.losses(),
        [
            ("llmtap_capture_dropped_packets", "ring", 3),
            ("llmtap_store_shed", "queue_rows", 1)
        ]
    );
}
