//! What was read, what was lost, and what was not HTTP/1.

use std::fmt::Write as _;

use analyzer::call::ExchangeRow;
use sniffer::{http::Protocol, pipeline::Report};

use super::Summary;
use crate::cli::{human, limits};

/// Bytes of exchanges that the capture does not have, by place.
#[derive(Debug, Default)]
pub(super) struct Missing {
    request_heads: u64,
    request_bodies: u64,
    response_heads: u64,
    response_bodies: u64,
}

impl Missing {
    pub(super) const fn exchange(&mut self, row: &ExchangeRow) {
        self.request_heads += row.missing_request_head;
        self.request_bodies += row.missing_request_body;
        self.response_heads += row.missing_response_head;
        self.response_bodies += row.missing_response_body;
    }

    /// The places where bytes are missing.
    fn places(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let places = [
            ("request heads", self.request_heads),
            ("request bodies", self.request_bodies),
            ("response heads", self.response_heads),
            ("response bodies", self.response_bodies),
        ];
        places.into_iter().filter(|(_, bytes)| *bytes > 0)
    }
}

impl Summary {
    /// What was read, what was lost, what was not HTTP/1.
    pub(super) fn losses(&self, report: &Report) -> String {
        let mut out = format!(
            "read {} ({}), {}\n",
            human::several(report.capture.packets, "packet"),
            human::bytes(report.capture.bytes),
            human::several(report.totals.tcp.connections, "connection"),
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
        let stats = &report.capture;
        let places = self.missing.places();
        let places = places.map(|(place, n)| format!("{} of {place}", human::bytes(n)));
        let losses: Vec<_> = places
            .chain(several(
                self.partial,
                "call marked partial",
                "calls marked partial",
            ))
            .chain(several(
                stats.dropped_ring.saturating_add(stats.dropped_interface),
                "packet dropped by what wrote the capture",
                "packets dropped by what wrote the capture",
            ))
            .chain(several(
                stats.unsupported_link,
                "frame of a link type that is not read",
                "frames of link types that are not read",
            ))
            .collect();
        if losses.is_empty() {
            out.push_str("losses: none seen\n");
        } else {
            let _ = writeln!(out, "losses: {}", losses.join(", "));
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
        let unread = report.capture.unsupported_link;
        if report.capture.packets == 0 && unread > 0 {
            let frames = human::several(unread, "frame");
            let _ = writeln!(
                out,
                "The capture holds {frames}, of a link type that llmtap does not read: capture anew with tcpdump -i \
                 any -w FILE tcp port PORT"
            );
            return out;
        }
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
            .map(|(port, n)| format!("{port} ({})", human::several(u64::from(*n), "packet")))
            .collect();
        if !ports.is_empty() {
            let _ = writeln!(out, "TCP ports: {}", ports.join(", "));
        }
        if report.other_ports > 0 {
            let packets = human::several(report.other_ports, "packet");
            let _ = writeln!(
                out,
                "{packets} of other ports left out: drop -p to read them"
            );
        }
        if self.exchanges > 0 && wanted == "LLM calls" {
            let exchanges = human::several(self.exchanges, "HTTP exchange");
            let _ = writeln!(
                out,
                "{exchanges} read, none an LLM call: --rows exchanges lists them"
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

/// `1 call`, `2 calls`; nothing of none.
fn several(n: u64, one: &str, many: &str) -> Option<String> {
    match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{} {many}", human::count(n))),
    }
}
