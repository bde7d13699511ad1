//! `POST /api/report`: the old plugin's JSON, to a row.

use analyzer::{
    analysis::{KeepBodies, Settings, analyze_report},
    api::read_report,
    call::TokenSource,
    time::Timestamp,
    tokens::{Counter, Tokenizers, Vocabulary},
};
use serde_json::{Value, json};

use super::{rows, words};
use crate::fuzz::{Features, Target};

pub(super) const TARGET: Target = Target {
    name: "report",
    check,
    seeds,
    words: REPORT,
    longest: 2_048,
    mutations: 20_000,
};

const REPORT: &[&str] = &[
    "{\"request_body\":\"",
    "\",\"response_body\":\"",
    "\",\"elapsed_time\":",
    ",\"timestamp\":\"2026-01-01T00:00:00Z\"",
    ",\"path\":\"/v1/chat/completions\"",
    ",\"model\":\"m\"",
    "null",
    "1e308",
    "-0",
    "\\\"",
    "\\ud800",
    "{\\\"messages\\\":[{\\\"content\\\":\\\"a\\\"}]}",
    "{\\\"usage\\\":{\\\"prompt_tokens\\\":3}}",
    "data: [DONE]\\n\\n",
    words::BODIES[33],
];

fn check(bytes: &[u8]) -> Features {
    let mut features = Features::default();
    let value = serde_json::from_slice::<Value>(bytes);
    let Some(report) = read_report(bytes) else {
        let whole = value.as_ref().is_ok_and(|value| {
            value["request_body"].is_string()
                && value["response_body"].is_string()
                && value["elapsed_time"]
                    .as_f64()
                    .is_some_and(|time| time >= 0.0)
                && ["path", "timestamp", "model"]
                    .iter()
                    .all(|name| value[*name].is_null() || value[*name].is_string())
        });
        assert!(!whole || has_doubles(bytes), "a whole report was refused");
        features.seen(if value.is_ok() { "refused" } else { "no JSON" });
        return features;
    };
    if let Ok(value) = value {
        assert_eq!(
            Some(report.request_body.as_str()),
            value["request_body"].as_str()
        );
        assert_eq!(report.path.as_deref(), value["path"].as_str());
    }
    assert!(report.elapsed_time.is_finite() && report.elapsed_time >= 0.0);
    let settings = Settings {
        bodies: KeepBodies::Full,
        ..Settings::default()
    };
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let counter = Counter::always_by(Tokenizers::always(Vocabulary::Cl100kBase));
    let record = analyze_report(report.clone(), now, &settings, &counter, 3);
    rows::call(&record.call, &mut features);
    assert_eq!(record.call.ttft, None, "a report has no clocks inside");
    assert!(record.call.input_source != TokenSource::None || record.call.input_tokens.is_none());
    let again = analyze_report(report, now, &settings, &counter, 3);
    assert_eq!(format!("{record:?}"), format!("{again:?}"));
    features
}

/// Whether a name may stand twice, of which serde_json's value has the last.
fn has_doubles(bytes: &[u8]) -> bool {
    [
        "request_body",
        "response_body",
        "elapsed_time",
        "path",
        "timestamp",
        "model",
    ]
    .iter()
    .any(|name| {
        let windows = bytes.windows(name.len());
        windows.filter(|window| *window == name.as_bytes()).count() > 1
    }) || bytes.contains(&b'\\')
}

fn seeds() -> Vec<Vec<u8>> {
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let answer = r#"{"choices":[{"index":0,"message":{"content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let stream =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let whole = json!({
        "request_body": chat, "response_body": answer, "elapsed_time": 1.5, "model": "route",
        "path": "/v1/chat/completions?a=b", "timestamp": "2026-01-01T00:00:00Z", "other": [1],
    });
    [
        whole,
        json!({"request_body": chat, "response_body": stream, "elapsed_time": 0}),
        json!({"request_body": "hello", "response_body": "12", "elapsed_time": 1e300}),
        json!({"request_body": "", "response_body": "", "elapsed_time": 1, "path": null}),
        json!({"request_body": 1, "response_body": "", "elapsed_time": "1"}),
        json!([chat, answer, 1]),
    ]
    .iter()
    .map(|value| value.to_string().into_bytes())
    .collect()
}
