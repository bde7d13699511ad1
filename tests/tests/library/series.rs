//! Traffic that makes up names: the metrics do not grow with it, and no sum loses anything.

use std::sync::atomic::AtomicBool;

use analyzer::{
    analysis,
    metrics::{CallLabel, ExchangeKind, Format, Metrics, Sample},
};
use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    metrics::{self, Sample as Line},
    pcap::{Conversation, Packet},
};
use sniffer::pipeline::{self, Output};

use super::{Packets, settings};

/// Exchanges, each with a model, path, user, header, client address and error of its own.
const EXCHANGES: u32 = 100_000;

/// Those of one connection, and the connections of one run.
const ON_ONE: u32 = 500;
const CONNECTIONS: u32 = 10;

/// Label sets of a family, and what stands for all others: operations, outcomes, token kinds and sources.
const MOST_OF_A_FAMILY: usize = 2_000 + 40;

/// A third are refused, a third are good, a third are errors under 200 that name a model.
fn exchange(number: u32) -> (String, String) {
    let body = format!(
        r#"{{"model":"model-{number}","user":"user-{number}","messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let path = match number % 4 {
        0 => format!("/made/up/{number}"),
        1 => format!("/v{number}/chat/completions"),
        2 => format!("/v1/chat/completions?id={number}"),
        _ => "/v1/chat/completions".to_owned(),
    };
    let [_, a, b, c] = number.to_be_bytes();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: llm\r\nX-Team: team-{number}\r\nX-Forwarded-For: 100.{a}.{b}.{c}\r\n\
         Authorization: Bearer key-{number}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let error = format!(
        r#"{{"error":{{"message":"no","type":"type-{number}","code":"code-{number}"}},"model":"answer-{number}"}}"#
    );
    let (status, answer) = match number % 3 {
        0 => (404 + number % 90, error),
        1 => (200, error),
        _ => (
            200,
            format!(
                r#"{{"object":"chat.completion","model":"answer-{number}","choices":[{{"message":{{"role":"assistant","content":"yes"}}}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
            ),
        ),
    };
    let response = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    );
    (request, response)
}

fn connection(first: u32) -> Vec<Packet> {
    let port = 20_000 + (first / ON_ONE % 1_000) as u16;
    let mut talk = Conversation::new(([10, 1, 0, 9], port).into(), ([10, 0, 0, 1], 8000).into());
    let mut time = 1_754_000_000_000_000 + u64::from(first) * 10_000;
    talk.handshake(time);
    for number in first..first + ON_ONE {
        time += 10_000;
        let (request, response) = exchange(number);
        talk.client(time, request).server(time + 5_000, response);
    }
    talk.close(time + 10_000);
    talk.packets().to_vec()
}

#[test]
fn a_hundred_thousand_made_up_names_make_a_bounded_number_of_series() -> Result<()> {
    let words = ["user", "key", "client", "path", "label:team"];
    let labels: Result<Vec<CallLabel>, _> = words.iter().map(|word| word.parse()).collect();
    let told = Metrics::with_labels(&labels?);
    let plain = Metrics::new();
    let mut settings = settings(2);
    settings.analysis = analysis::Settings {
        labels: vec!["team=x-team".parse()?],
        hash_key: Some(analysis::HashKey::new(b"a key of the tests")),
        ..analysis::Settings::default()
    }
    .into();
    for run in 0..EXCHANGES / (ON_ONE * CONNECTIONS) {
        let firsts = (0..CONNECTIONS).map(|n| (run * CONNECTIONS + n) * ON_ONE);
        let packets: Vec<Packet> = firsts.flat_map(connection).collect();
        let mut source = Packets {
            left: packets.iter(),
        };
        let observe = |output| {
            if let Output::Exchange(_, Some(record)) = output {
                for metrics in [&told, &plain] {
                    metrics.observe_exchange(ExchangeKind::Call);
                    metrics.observe_call(&record.call);
                }
            }
        };
        pipeline::run(
            &mut source,
            &settings,
            &AtomicBool::new(false),
            observe,
            |_| {},
        )?;
    }
    for (name, metrics) in [("told apart", &told), ("plain", &plain)] {
        let families = metrics.families();
        let mut series = 0;
        for family in &families {
            let count = family.series.len();
            ensure!(
                count <= MOST_OF_A_FAMILY,
                "{}: {count} series",
                family.row.name
            );
            series += count;
        }
        let text = metrics.render(Format::Prometheus);
        let samples = metrics::parse(&text)?;
        println!(
            "{name}: {} families, {series} label sets, {} time series, {} bytes of text",
            families.len(),
            samples.len(),
            text.len()
        );
        let sum = |name: &str, fits: &dyn Fn(&Line) -> bool| metrics::sum(&samples, name, fits);
        let all = f64::from(EXCHANGES);
        for (name, expected) in [
            ("llmtap_calls_total", all),
            ("gen_ai_server_request_duration_seconds_count", all),
        ] {
            let counted = sum(name, &|_| true);
            ensure!((counted - expected).abs() < 0.5, "{name}: {counted}");
        }
        let good = sum("llmtap_calls_total", &|line| {
            line.label("outcome") == Some("ok")
        });
        ensure!(
            (good - (all / 3.0).floor()).abs() < 1.5,
            "{good} good calls"
        );
        // What a refused call named is nowhere, and errors are never names.
        for made_up in [
            "type-",
            "code-",
            "/made/up",
            "model-0\"",
            "user-0\"",
            "team-0\"",
        ] {
            ensure!(!text.contains(made_up), "{made_up}");
        }
    }
    let families = told.families();
    let calls = families
        .iter()
        .find(|family| family.row.name == "llmtap_calls");
    let paths: std::collections::BTreeSet<_> = calls
        .context("calls")?
        .series
        .iter()
        .filter(|series| matches!(series.sample, Sample::Counter(_)))
        .filter_map(|series| series.labels.iter().find(|(name, _)| *name == "path"))
        .map(|(_, path)| path.to_owned())
        .collect();
    ensure!(
        paths
            .iter()
            .map(String::as_str)
            .eq(["/chat/completions", "other", "~other"]),
        "{paths:?}"
    );
    Ok(())
}
