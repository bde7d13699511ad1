//! Reads a capture with the library, and keeps every exchange whole.

use std::collections::BTreeMap;

use analyzer::{
    exchange::{Event, EventKind, ExchangeId, Source, Transfer},
    time::Timestamp,
};
use llmtap_tests::simulator::{Body, Carried, Ends, Frame, Head, Observed, Scenario};
use sniffer::{
    capture::{LinkType, Packet},
    http::{EventSink, HttpHandler, HttpSettings},
    packet::{Decoded, Decoder},
    tcp::{CloseReason, ConnectionInfo, ConnectionTable, Sent, Side, StreamHandler, TcpSettings},
};

/// What was read.
pub(super) struct Read {
    pub(super) observed: Vec<Observed>,
    /// Octets that were counted as missing.
    pub(super) missing: u64,
    /// Events that break the order of the contract.
    pub(super) disorder: Vec<String>,
}

/// Reads a capture: frames, segments, streams, exchanges.
pub(super) fn read(scenario: &Scenario, capture: &[Frame]) -> Read {
    let mut handler = HttpHandler::new(HttpSettings::new(Source::File), Watch::default());
    feed(scenario, capture, &mut handler);
    let counters = handler.counters();
    let missing = counters.missing_request_head
        + counters.missing_request_body
        + counters.missing_response_head
        + counters.missing_response_body
        + counters.missing_between;
    let watch = handler.into_sink();
    let mut disorder = watch.disorder;
    disorder.extend(watch.open.keys().map(|id| format!("{id:?} never ends")));
    Read {
        observed: watch.ended,
        missing,
        disorder,
    }
}

/// What the streams of a capture are, as the tests of `sniffer::http` write them.
pub(super) fn streams(scenario: &Scenario, capture: &[Frame]) -> String {
    let mut scribe = Scribe(Vec::new());
    feed(scenario, capture, &mut scribe);
    scribe.0.join("\n")
}

fn feed<H: StreamHandler>(scenario: &Scenario, capture: &[Frame], handler: &mut H) {
    let mut decoder = Decoder::default();
    let mut table = ConnectionTable::new(TcpSettings::default(), 0);
    let mut now = Timestamp::default();
    for frame in capture {
        let Some(connection) = scenario.connections.get(frame.connection) else {
            continue;
        };
        let bytes = frame.packet(&connection.ends);
        let kept = frame.cut.map_or(bytes.len(), |cut| cut.min(bytes.len()));
        let packet = Packet {
            time: Timestamp::from_micros(frame.micros as i64),
            link: LinkType::RawIp,
            data: bytes.get(..kept).unwrap_or_default(),
            wire_len: bytes.len() as u32,
            interface: frame.interface,
        };
        now = now.max(packet.time);
        if let Decoded::Segment(segment) = decoder.decode(&packet) {
            table.segment(&segment, handler);
        }
    }
    table.finish(now, handler);
}

/// Writes down what it is told.
struct Scribe(Vec<String>);

impl Scribe {
    fn line(&mut self, stream: u64, from: Side, text: &str) {
        let side = match from {
            Side::Client => 'c',
            Side::Server => 's',
        };
        let text = text.replacen('*', &side.to_string(), 1);
        self.0.push(format!("{stream:x} {text},"));
    }
}

impl StreamHandler for Scribe {
    type Stream = u64;

    fn sender_of(&self, payload: &[u8]) -> Option<Side> {
        HttpHandler::new(HttpSettings::new(Source::File), Watch::default()).sender_of(payload)
    }

    fn open(&mut self, info: ConnectionInfo) -> u64 {
        self.0.push(format!(
            "{:x} open, from start: {}",
            info.id, info.from_start
        ));
        info.id
    }

    fn data(&mut self, stream: &mut u64, from: Side, bytes: &[u8], sent: Sent) {
        if let Some(received) = sent.received {
            self.line(*stream, from, &format!("knowing({received})"));
        }
        self.line(*stream, from, &format!("*(\"{}\")", bytes.escape_ascii()));
    }

    fn gap(&mut self, stream: &mut u64, from: Side, length: u64, _: Timestamp) {
        self.line(*stream, from, &format!("gap_*({length})"));
    }

    fn fin(&mut self, stream: &mut u64, from: Side, _: Timestamp) {
        self.line(*stream, from, "fin_*");
    }

    fn rst(&mut self, stream: &mut u64, from: Side, _: Timestamp) {
        self.line(*stream, from, "rst_*");
    }

    fn close(&mut self, stream: u64, reason: CloseReason, _: Timestamp) {
        self.0.push(format!("{stream:x} {reason:?}"));
    }

    fn is_waiting(&self, _: &u64) -> bool {
        false
    }
}

#[derive(Default)]
struct Watch {
    open: BTreeMap<ExchangeId, Observed>,
    ended: Vec<Observed>,
    disorder: Vec<String>,
}

impl EventSink for Watch {
    fn event(&mut self, event: Event<'_>) {
        let id = event.id;
        if let EventKind::Begin(begin) = &event.kind {
            let ends = begin.peer.zip(begin.server);
            let observed = Observed {
                ends: ends.map(|(client, server)| Ends { client, server }),
                number: id.number,
                ..Observed::default()
            };
            if self.open.insert(id, observed).is_some() {
                self.disorder.push(format!("{id:?} begins twice"));
            }
            return;
        }
        let Some(observed) = self.open.get_mut(&id) else {
            self.disorder.push(format!("{id:?} is not open: {event:?}"));
            return;
        };
        match event.kind {
            EventKind::Begin(_) => {}
            EventKind::RequestHead(head) => {
                observed.request = Some(Head {
                    line: format!("{} {}", head.method, head.target),
                    name: head.headers.get("x-name").map(str::to_owned),
                    first: micros(head.first),
                    last: micros(head.last),
                });
            }
            EventKind::ResponseHead(head) => {
                observed.response = Some(Head {
                    line: head.status.to_string(),
                    name: head.headers.get("x-name").map(str::to_owned),
                    first: micros(head.first),
                    last: micros(head.last),
                });
            }
            EventKind::RequestBody { bytes, time } => {
                piece(&mut observed.request_body, &bytes, time);
            }
            EventKind::ResponseBody { bytes, time } => {
                piece(&mut observed.response_body, &bytes, time);
            }
            EventKind::RequestEnd { time } => observed.request_end = Some(micros(time)),
            EventKind::Gap { length, .. } => {
                observed.gaps += length;
                for body in [&mut observed.request_body, &mut observed.response_body] {
                    body.holes.push(body.bytes.len());
                }
            }
            EventKind::End(end) => {
                observed.ending = end.ending.as_str();
                observed.response_end = end.response_end.map(micros);
                observed.request_carried = carried(end.request);
                observed.response_carried = carried(end.response);
                self.ended.extend(self.open.remove(&id));
            }
        }
    }
}

const fn micros(time: Timestamp) -> u64 {
    time.as_micros() as u64
}

fn piece(body: &mut Body, bytes: &[u8], time: Timestamp) {
    body.bytes.extend_from_slice(bytes);
    body.pieces.push((body.bytes.len(), micros(time)));
}

const fn carried(transfer: Transfer) -> Carried {
    Carried {
        framed: transfer.body_bytes,
        decoded: transfer.decoded_bytes,
        missing_head: transfer.missing_head,
        missing_body: transfer.missing_body,
        unread: transfer.unread,
    }
}
