//! What is counted, and what the audit says: real clients' captures replayed, and reports served.

use std::sync::{Arc, atomic::AtomicBool};

use analyzer::{
    analysis,
    audit::Pair,
    exchange::Source,
    tokens::{Counter, cache::Cache, policy::Policy},
};
use anyhow::{Result, ensure};
use llmtap_tests::{
    http, metrics,
    process::{self, Daemon},
    recording,
    row::Row,
    tools,
};
use serde_json::{Value, json};
use sniffer::{
    capture::file::FileSource,
    http::HttpSettings,
    pipeline::{self, Output, Pace, Settings},
    tcp::TcpSettings,
};

/// Captures of real clients, most of whose calls have reported tokens.
const CLIENTS: [&str; 6] = [
    "anthropic",
    "google-genai",
    "llamacpp",
    "ollama",
    "openai-chat",
    "openai-responses",
];

fn capture(name: &str) -> std::path::PathBuf {
    tools::file("data/clients").join(format!("{name}.pcap.gz"))
}

fn rows(name: &str, arguments: &[&str]) -> Result<Vec<Row>> {
    recording::replay(&capture(name), arguments)?.rows()
}

const SIDES: [[&str; 4]; 2] = [
    [
        "input_tokens",
        "input_source",
        "reported_input_tokens",
        "counted_input_tokens",
    ],
    [
        "output_tokens",
        "output_source",
        "reported_output_tokens",
        "counted_output_tokens",
    ],
];

#[test]
fn auto_counts_what_is_not_reported_and_never_counts_nothing() -> Result<()> {
    for name in CLIENTS {
        let always = rows(name, &["--count", "always"])?;
        let auto = rows(name, &["--audit-rate", "0"])?;
        let never = rows(name, &["--count", "never"])?;
        ensure!(auto.len() == always.len() && never.len() == always.len());
        for ((always, auto), never) in always.iter().zip(&auto).zip(&never) {
            for [figure, source, reported, counted] in SIDES {
                // What is effective does not depend on what else is counted.
                assert_eq!(auto.get(figure), always.get(figure), "{name}: {auto:?}");
                assert_eq!(auto.text(source), always.text(source), "{name}: {auto:?}");
                assert_eq!(auto.get(reported), always.get(reported), "{name}");
                match auto.text(source) {
                    Some("counted") => {
                        assert_eq!(auto.get(counted), auto.get(figure));
                        assert_ne!(never.text(source), Some("counted"), "{never:?}");
                    }
                    Some("reported") => {
                        assert!(auto.get(counted).is_null(), "{name}: {auto:?}");
                        assert_eq!(never.get(figure), auto.get(figure));
                    }
                    _ => assert!(auto.get(counted).is_null() && auto.get(figure).is_null()),
                }
                assert!(never.get(counted).is_null(), "{name}: {never:?}");
            }
            assert_eq!(auto.flag("audited"), Some(false));
            assert_eq!(never.flag("audited"), Some(false));
            assert!(never.get("tokenizer").is_null() && never.get("output_rule").is_null());
        }
    }
    Ok(())
}

#[test]
fn an_audited_call_is_whole_and_reported() -> Result<()> {
    let mut audited = 0;
    for name in CLIENTS {
        for row in rows(name, &["--count", "always"])? {
            let reported = SIDES
                .iter()
                .any(|[_, source, ..]| row.text(source) == Some("reported"));
            let broken = row.flag("output_partial") == Some(true);
            let whole = row.text("outcome") == Some("ok")
                && row.text("confidence") == Some("complete")
                && !broken;
            if row.flag("audited") == Some(true) {
                audited += 1;
                assert!(reported && whole, "{name}: {row:?}");
                assert!(!row.get("tokenizer").is_null());
            } else {
                let counted = SIDES.iter().any(|[_, source, _, counted]| {
                    row.text(source) == Some("reported") && !row.get(counted).is_null()
                });
                assert!(!(counted && whole), "{name}: {row:?}");
            }
        }
    }
    ensure!(audited > 40, "{audited} calls were audited");
    Ok(())
}

/// The rows of a capture by so many threads, as they are.
fn by_threads(name: &str, workers: usize, counter: &Arc<Counter>) -> Result<Vec<String>> {
    let settings = Settings {
        source: Source::File,
        pace: Pace::Replay,
        feed: None,
        ports: Vec::new(),
        workers,
        tcp: TcpSettings::default(),
        http: HttpSettings::new(Source::File),
        analysis: analysis::Settings::default().into(),
        counter: Arc::clone(counter).into(),
    };
    let mut rows = Vec::new();
    pipeline::run(
        &mut FileSource::open(&[capture(name)])?,
        &settings,
        &AtomicBool::new(false),
        |output| {
            if let Output::Exchange(_, Some(record)) = output {
                rows.push(format!("{:?}", record.call));
            }
        },
        |_| {},
    )?;
    Ok(rows)
}

#[test]
fn the_sample_is_the_same_each_time_on_any_number_of_cores() -> Result<()> {
    let half = Policy {
        audit: "0.5".parse()?,
        ..Policy::default()
    };
    let mut chosen = [0, 0];
    for name in CLIENTS {
        let counter = |entries| {
            let (tokenizers, cache) = (Arc::default(), Arc::new(Cache::new(entries)));
            Arc::new(Counter::new(tokenizers, half, cache))
        };
        let remembering = counter(1_000);
        let first = by_threads(name, 1, &counter(0))?;
        // With the counts of the run before it, with none, by one thread, by several.
        for (workers, counter) in [(1, &remembering), (4, &remembering), (4, &counter(0))] {
            assert_eq!(by_threads(name, workers, counter)?, first, "{name}");
        }
        for row in &first {
            let audited = row.contains("audited: true");
            let could = row.contains("source: Reported");
            chosen[0] += usize::from(audited);
            chosen[1] += usize::from(could);
        }
        // And the program says the same.
        let flags = ["--audit-rate", "0.5"];
        let [once, again] = [rows(name, &flags)?, rows(name, &flags)?];
        assert!(
            once.iter()
                .map(|row| row.flag("audited"))
                .eq(again.iter().map(|row| row.flag("audited")))
        );
    }
    let [audited, could] = chosen;
    ensure!(
        (could / 5..=could * 4 / 5).contains(&audited),
        "{audited} of {could} were chosen"
    );
    Ok(())
}

#[test]
fn replay_reports_the_drift() -> Result<()> {
    let mut command = process::llmtap(&["replay", "--count", "always"])?;
    let done = process::run(command.arg(capture("openai-chat")))?;
    let lines: Vec<_> = done.stdout.lines().collect();
    let Some(at) = lines
        .iter()
        .position(|line| line.starts_with("audited model"))
    else {
        anyhow::bail!("no report: {}", done.stdout);
    };
    // The sums of the rows themselves.
    let mut input = Pair::default();
    for row in rows("openai-chat", &["--count", "always"])? {
        let of_model = row.text("request_model") == Some("gpt-x");
        if of_model && row.flag("audited") == Some(true) {
            let number = |column| row.int(column).unwrap_or(0).unsigned_abs();
            input.add(Pair {
                reported: number("input_tokens"),
                counted: number("counted_input_tokens"),
            });
        }
    }
    let line = lines[at + 1..]
        .iter()
        .find(|line| line.starts_with("gpt-x "))
        .copied()
        .unwrap_or_default();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        cells[3..5],
        [input.reported.to_string(), input.counted.to_string()]
    );
    let drift = format!("{:+.1}%", input.drift().unwrap_or_default() * 100.0);
    assert_eq!(cells[5], drift);
    // Without an audit there is no report.
    let mut command = process::llmtap(&["replay", "--audit-rate", "0"])?;
    let done = process::run(command.arg(capture("openai-chat")))?;
    assert!(!done.stdout.contains("audited model"));
    Ok(())
}

fn serve(folder: &std::path::Path, arguments: &[&str]) -> Result<(Daemon, std::net::SocketAddr)> {
    let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(folder.join("llmtap.db")).args(arguments);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok((daemon, api))
}

fn report(usage: &Value) -> Value {
    let words = "the tap reads what passes by and keeps nothing of it ".repeat(4);
    let request = json!({"model": "qwen3", "messages": [{"role": "user", "content": words}]});
    let response = json!({"object": "chat.completion", "model": "qwen3", "usage": usage,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    json!({
        "request_body": request.to_string(),
        "response_body": response.to_string(),
        "elapsed_time": 1.5,
        "path": "/v1/chat/completions",
    })
}

#[test]
fn the_drift_and_the_memory_of_counts_are_metrics() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_daemon, api) = serve(folder.path(), &["--audit-rate", "1"])?;
    let usage = json!({"prompt_tokens": 60, "completion_tokens": 2});
    for _ in 0..3 {
        let response = http::post(api, "/api/report", &report(&usage).to_string())?;
        assert_eq!(response.status, 200, "{}", response.text());
    }
    let text = http::get(api, "/metrics")?.text();
    metrics::check(&text)?;
    let samples = metrics::parse(&text)?;
    let sum = |name: &str, labels: &[(&str, &str)]| {
        metrics::sum(&samples, name, |sample| {
            labels
                .iter()
                .all(|(label, value)| sample.label(label) == Some(value))
        })
    };
    let near = |is: f64, should_be: f64| {
        assert!((is - should_be).abs() < 1e-9, "{is} {should_be}\n{text}");
    };
    near(sum("llmtap_audit_calls_total", &[("model", "qwen3")]), 3.0);
    let tokens = |kind, source| {
        sum(
            "llmtap_audit_tokens_total",
            &[("model", "qwen3"), ("kind", kind), ("source", source)],
        )
    };
    near(tokens("input", "reported"), 180.0);
    near(tokens("output", "reported"), 6.0);
    // "hi" and the end of the turn.
    near(tokens("output", "counted"), 6.0);
    assert!(tokens("input", "counted") > 120.0);
    let lookups = |result| sum("llmtap_count_cache_lookups_total", &[("result", result)]);
    near(lookups("miss"), 1.0);
    near(lookups("hit"), 2.0);
    near(sum("llmtap_count_cache_entries", &[]), 1.0);
    let bytes = |by| sum("llmtap_count_bytes_total", &[("by", by)]);
    assert!(bytes("cache") > 2.0 * 200.0 && bytes("tokenizer") >= 212.0);
    Ok(())
}

#[test]
fn reports_are_taken_where_nothing_is_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_daemon, api) = serve(folder.path(), &["--count", "never"])?;
    let total = |body: &Value| -> Result<Value> {
        let response = http::post(api, "/api/report", &body.to_string())?;
        assert_eq!(response.status, 200, "{}", response.text());
        Ok(serde_json::from_slice::<Value>(&response.body)?["total_tokens"].take())
    };
    let reported = json!({"prompt_tokens": 60, "completion_tokens": 2});
    assert_eq!(total(&report(&reported))?, 62);
    // Where the server said nothing, the old figures are 0, as they were before anything was counted.
    assert_eq!(total(&report(&Value::Null))?, 0);
    let page = http::get(api, "/api/metrics?offset=0")?;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("llm_total_tokens"), "{}", page.text());
    Ok(())
}

#[test]
fn settings_that_make_no_sense_are_refused_in_words() -> Result<()> {
    for (flags, said) in [
        (["--audit-rate", "1.5"], "between 0 (none) and 1 (all)"),
        (
            ["--audit-rate", "much"],
            "a number from 0 (none) to 1 (all)",
        ),
        (["--count", "sometimes"], "auto, always, never"),
        (["--count-cache", "many"], "--count-cache"),
    ] {
        let mut command = process::llmtap(&["replay"])?;
        let done = process::run(command.args(flags).arg(capture("ollama")))?;
        assert_eq!(done.code, Some(2), "{flags:?}: {done:?}");
        assert!(done.stderr.contains(said), "{flags:?}: {}", done.stderr);
    }
    Ok(())
}
