//! What stands below replay's table: totals, models, losses, and what was not HTTP.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use analyzer::{
    call::{Call, Confidence, ExchangeRow, TokenSource},
    cost,
    time::Timestamp,
};
use sniffer::{http::Protocol, pipeline::Report};

use super::{human, limits};

/// Percentiles are exact up to so many calls, and those of the first ones after that.
const SAMPLES: usize = 1_000_000;

/// Models listed; calls of more are summed under `(other)`.
const MODELS: usize = 1_000;

/// Gathers what the summary says.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    exchanges: u64,
    calls: u64,
    /// Rows of these calls that are another's outer leg, left out of all else.
    outer: u64,
    streams: u64,
    partial: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    outcomes: BTreeMap<&'static str, u64>,
    models: BTreeMap<String, Model>,
    ttft: Vec<i64>,
    elapsed: Vec<i64>,
    missing: u64,
    /// Sums by currency, in billionths.
    costs: BTreeMap<Arc<str>, i64>,
    /// Calls whose cost is missing or too low.
    unpriced: u64,
    protocols: BTreeMap<Protocol, u64>,
}

#[derive(Debug, Default)]
struct Model {
    calls: u64,
    input: u64,
    output: u64,
    counted: bool,
}

impl Summary {
    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) const fn exchanges(&self) -> u64 {
        self.exchanges
    }

    pub(crate) fn protocol(&mut self, protocol: Protocol) {
        *self.protocols.entry(protocol).or_default() += 1;
    }

    pub(crate) fn exchange(&mut self, row: &ExchangeRow) {
        self.exchanges += 1;
        self.missing += row.missing_request_head
            + row.missing_request_body
            + row.missing_response_head
            + row.missing_response_body;
    }

    pub(crate) fn call(&mut self, call: &Call) {
        if call.outer_of.is_some() {
            self.outer += 1;
            return;
        }
        self.calls += 1;
        self.streams += u64::from(call.stream == Some(true));
        self.partial += u64::from(call.confidence == Confidence::Partial);
        let start = call.marks.request_start.or(call.marks.response_head);
        self.first = self.first.min(start).or(start).or(self.first);
        self.last = self.last.max(call.marks.ended);
        *self.outcomes.entry(call.outcome.as_str()).or_default() += 1;
        if let (Some(nanos), Some(currency)) = (call.cost.nanos, &call.cost.currency) {
            let sum = self.costs.entry(Arc::clone(currency)).or_default();
            *sum = sum.saturating_add(nanos);
        }
        self.unpriced += u64::from(call.cost.unpriced.is_some());
        let name = call
            .request_model
            .as_deref()
            .or(call.response_model.as_deref());
        let name = name.unwrap_or("(unknown)");
        let listed = self.models.len() < MODELS || self.models.contains_key(name);
        let model = self
            .models
            .entry(if listed { name } else { "(other)" }.to_owned())
            .or_default();
        model.calls += 1;
        model.input += call.input_tokens.unwrap_or(0);
        model.output += call.output_tokens.unwrap_or(0);
        model.counted |=
            call.input_source == TokenSource::Counted || call.output_source == TokenSource::Counted;
        for (samples, value) in [
            (&mut self.ttft, call.ttft),
            (&mut self.elapsed, call.elapsed),
        ] {
            if let Some(value) = value
                && samples.len() < SAMPLES
            {
                samples.push(value);
            }
        }
    }

    /// The summary of the calls, in lines.
    pub(crate) fn of_calls(mut self, report: &Report) -> String {
        let mut out = String::new();
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!(
            "{} calls ({} streamed) in {} exchanges, {}",
            human::count(self.calls),
            human::count(self.streams),
            human::count(self.exchanges),
            match (self.first, self.last) {
                (Some(first), Some(last)) => format!(
                    "{} to {} UTC",
                    human::date_time(first),
                    human::date_time(last)
                ),
                _ => "at unknown times".to_owned(),
            }
        ));
        if self.outer > 0 {
            line(format!(
                "{} rows are the same calls, seen farther out on another connection (outer), and left out \
                 of these figures",
                human::count(self.outer)
            ));
        }
        let outcomes: Vec<_> = self
            .outcomes
            .iter()
            .map(|(name, n)| format!("{} {name}", human::count(*n)))
            .collect();
        line(format!("outcomes: {}", outcomes.join(", ")));
        for (name, samples) in [("ttft", &mut self.ttft), ("elapsed", &mut self.elapsed)] {
            if let Some(text) = percentiles(samples) {
                line(format!("{name}: {text}"));
            }
        }
        if !self.costs.is_empty() || self.unpriced > 0 {
            line(format!("cost: {}", costs(&self.costs, self.unpriced)));
        }
        line(String::new());
        line(format!(
            "{:<40} {:>9} {:>11} {:>11}",
            "model", "calls", "input", "output"
        ));
        let mut counted = false;
        let mut models: Vec<_> = self.models.iter().collect();
        models.sort_by_key(|(_, model)| std::cmp::Reverse(model.calls));
        for (name, model) in models.iter().take(20) {
            counted |= model.counted;
            let mark = if model.counted { "~" } else { "" };
            line(format!(
                "{:<40} {:>9} {:>11} {:>11}",
                human::cell(name, 40),
                human::count(model.calls),
                format!("{mark}{}", human::count(model.input)),
                format!("{mark}{}", human::count(model.output)),
            ));
        }
        if models.len() > 20 {
            line(format!("… and {} models more", models.len() - 20));
        }
        if counted {
            line("~ some were counted by llmtap, not reported by the server".to_owned());
        }
        line(String::new());
        out.push_str(&self.losses(report));
        out
    }

    /// The summary where exchanges are the rows.
    pub(crate) fn of_exchanges(&self, report: &Report) -> String {
        format!(
            "{} exchanges, {} of them LLM calls\n{}",
            human::count(self.exchanges),
            human::count(self.calls),
            self.losses(report)
        )
    }

    /// What was read, what was lost, what was not HTTP/1.
    fn losses(&self, report: &Report) -> String {
        let mut out = format!(
            "read {} packets ({}), {} connections\n",
            human::count(report.capture.packets),
            human::bytes(report.capture.bytes),
            human::count(report.totals.tcp.connections),
        );
        let others: Vec<_> = self
            .protocols
            .iter()
            .filter(|(protocol, _)| **protocol != Protocol::Http1)
            .map(|(protocol, n)| format!("{} {}", human::count(*n), protocol.as_str()))
            .collect();
        if !others.is_empty() {
            let _ = writeln!(
                out,
                "connections that are not HTTP/1: {}",
                others.join(", ")
            );
        }
        if self.missing > 0 || self.partial > 0 {
            let _ = writeln!(
                out,
                "losses: {} of exchanges were not captured; {} calls are marked partial",
                human::bytes(self.missing),
                human::count(self.partial)
            );
        }
        let reached: Vec<_> = limits::reached(&report.totals)
            .map(|(count, counter, flag)| format!("{} {counter} ({flag})", human::count(count)))
            .collect();
        if !reached.is_empty() {
            let _ = writeln!(out, "limits reached: {}", reached.join(", "));
        }
        out
    }

    /// What a capture without the wanted rows did hold, and what to try.
    pub(crate) fn nothing_found(&self, report: &Report, wanted: &str) -> String {
        let mut out = format!("no {wanted} found. ");
        if report.capture.packets == 0 {
            out.push_str("The capture holds no packets.\n");
            return out;
        }
        out.push_str("What the capture did hold:\n");
        out.push_str(&self.losses(report));
        let frames: Vec<_> = report
            .packets
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| format!("{} {name}", human::count(n)))
            .collect();
        if !frames.is_empty() {
            let _ = writeln!(out, "frames: {}", frames.join(", "));
        }
        let ports: Vec<_> = report
            .ports
            .iter()
            .map(|(port, n)| format!("{port} ({} packets)", human::count(u64::from(*n))))
            .collect();
        if !ports.is_empty() {
            let _ = writeln!(out, "TCP ports: {}", ports.join(", "));
        }
        if report.other_ports > 0 {
            let packets = human::count(report.other_ports);
            let _ = writeln!(
                out,
                "{packets} packets of other ports were left out: drop -p to read them"
            );
        }
        if self.exchanges > 0 && wanted == "LLM calls" {
            let exchanges = human::count(self.exchanges);
            let _ = writeln!(
                out,
                "{exchanges} HTTP exchanges were read, none an LLM call: --rows exchanges lists them"
            );
        }
        for protocol in self.protocols.keys() {
            if let Some(advice) = advice(*protocol) {
                let _ = writeln!(out, "{}: {advice}", protocol.as_str());
            }
        }
        out
    }
}

/// What to do about a connection that cannot be read.
pub(crate) const fn advice(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Http1 => None,
        Protocol::Tls => Some(
            "encrypted, so nothing can be read here; tap behind the point where TLS ends, between \
             the proxy and the model server",
        ),
        Protocol::Http2 => Some(
            "llmtap reads HTTP/1 only; have the proxy speak HTTP/1.1 to the model server \
             (in Traefik: an http:// server URL, not h2c://)",
        ),
        Protocol::WebSocket => Some("a WebSocket is not read; its calls are not counted"),
        Protocol::Tunnel => {
            Some("a CONNECT tunnel is not read; tap the connection behind the forward proxy")
        }
        Protocol::Unknown => Some(
            "no HTTP was recognised; is this the model server's port? (a capture that joined late \
             recognises a connection at its next request)",
        ),
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
            "{} calls without a price or a token figure (column unpriced)",
            human::count(unpriced)
        ));
    }
    parts.join(", ")
}

fn percentiles(samples: &mut [i64]) -> Option<String> {
    samples.sort_unstable();
    let at = |share: f64| {
        let rank = (share * samples.len() as f64).ceil() as usize;
        samples.get(rank.max(1) - 1).map(|v| human::duration(*v))
    };
    Some(format!(
        "p50 {}, p95 {}, p99 {}, max {}",
        at(0.5)?,
        at(0.95)?,
        at(0.99)?,
        at(1.0)?
    ))
}
