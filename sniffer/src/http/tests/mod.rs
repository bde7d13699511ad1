//! Streams in, events out, in a compact text form.

mod damage;
mod decisions;
mod endings;
mod framing;
mod hostile;
mod pairing;
mod protocols;
mod received;
mod simulator;
mod streams;
mod times;

use std::fmt::Write as _;

use analyzer::exchange::{Event, EventKind, Source, Transfer};
use analyzer::time::Timestamp;

use super::{EventSink, HttpCounters, HttpHandler, HttpLimits, HttpSettings, Protocol};
use crate::tcp::{CloseReason, ConnectionInfo, Sent, Side, StreamHandler};

/// One call of the seam.
#[derive(Clone, Debug)]
enum Op {
    Data(Side, Vec<u8>),
    /// So much of the other side's stream had been received by the sender of the data that follows.
    Knowing(u64),
    Gap(Side, u64),
    Fin(Side),
    Rst(Side),
    Close(CloseReason),
}

fn c(bytes: impl AsRef<[u8]>) -> Op {
    Op::Data(Side::Client, bytes.as_ref().to_vec())
}

fn s(bytes: impl AsRef<[u8]>) -> Op {
    Op::Data(Side::Server, bytes.as_ref().to_vec())
}

const fn gap_c(length: u64) -> Op {
    Op::Gap(Side::Client, length)
}

const fn gap_s(length: u64) -> Op {
    Op::Gap(Side::Server, length)
}

const fn knowing(received: u64) -> Op {
    Op::Knowing(received)
}

const FIN_C: Op = Op::Fin(Side::Client);
const FIN_S: Op = Op::Fin(Side::Server);
const RST_C: Op = Op::Rst(Side::Client);
const RST_S: Op = Op::Rst(Side::Server);
const CLOSED: Op = Op::Close(CloseReason::Closed);

/// Whether the log shows times; without them neighbouring pieces of a body are merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Times,
    NoTimes,
}

struct Log {
    lines: Vec<String>,
    show: Show,
    /// What the pieces of the last line belong to, where it is one of a body.
    open_body: Option<(u32, Side)>,
    protocols: Vec<Protocol>,
    open: Vec<u32>,
}

impl Log {
    fn body(&mut self, number: u32, side: Side, bytes: &[u8], time: Timestamp) {
        assert!(!bytes.is_empty(), "an empty piece");
        let text = String::from_utf8_lossy(bytes).escape_debug().to_string();
        if self.show == Show::NoTimes && self.open_body == Some((number, side)) {
            if let Some(line) = self.lines.last_mut() {
                line.push_str(&text);
            }
            return;
        }
        let arrow = match side {
            Side::Client => '>',
            Side::Server => '<',
        };
        let at = self.at(time);
        self.lines.push(format!("{number}{arrow}{at} {text}"));
        self.open_body = Some((number, side));
    }

    fn at(&self, time: Timestamp) -> String {
        match self.show {
            Show::Times => format!("@{}", time.as_micros()),
            Show::NoTimes => String::new(),
        }
    }
}

impl EventSink for Log {
    fn event(&mut self, event: Event<'_>) {
        let number = event.id.number;
        if matches!(event.kind, EventKind::Begin(_)) {
            assert!(!self.open.contains(&number), "begun twice");
            self.open.push(number);
        } else {
            assert!(self.open.contains(&number), "not open: {event:?}");
        }
        let line = match event.kind {
            EventKind::RequestBody { bytes, time } => {
                return self.body(number, Side::Client, &bytes, time);
            }
            EventKind::ResponseBody { bytes, time } => {
                return self.body(number, Side::Server, &bytes, time);
            }
            EventKind::Begin(_) => format!("{number} begin"),
            EventKind::RequestHead(head) => format!(
                "{number}{}{} {} {} {}",
                self.at(head.first),
                self.at(head.last),
                head.method,
                head.target,
                head.version.as_str()
            ),
            EventKind::RequestEnd { time } => format!("{number}{} sent", self.at(time)),
            EventKind::ResponseHead(head) => format!(
                "{number}{}{} {} {}",
                self.at(head.first),
                self.at(head.last),
                head.status,
                head.version.as_str()
            ),
            EventKind::Gap { place, length } => format!("{number} gap {place:?} {length}"),
            EventKind::End(end) => {
                self.open.retain(|&open| open != number);
                let mut line = format!("{number} {}{}", end.ending.as_str(), self.at(end.time));
                assert_eq!(
                    end.response_end.is_some(),
                    matches!(end.ending.as_str(), "complete" | "upgraded")
                );
                if self.show == Show::Times {
                    if let Some(left) = end.client_left {
                        write!(line, " left@{}", left.as_micros()).unwrap();
                    }
                    if let Some(last) = end.server_last {
                        write!(line, " server@{}", last.as_micros()).unwrap();
                    }
                }
                transfer(&mut line, "up", end.request);
                transfer(&mut line, "down", end.response);
                line
            }
        };
        self.open_body = None;
        self.lines.push(line);
    }

    fn protocol(&mut self, _: &ConnectionInfo, protocol: Protocol) {
        self.protocols.push(protocol);
    }
}

/// ` up 10:20 -head 5 -body 5 unread 3`: coded and decoded length, and what is not 0 of the rest.
fn transfer(line: &mut String, name: &str, of: Transfer) {
    if of == Transfer::default() {
        return;
    }
    write!(line, " {name} {}", of.body_bytes).unwrap();
    if of.decoded_bytes != of.body_bytes {
        write!(line, ":{}", of.decoded_bytes).unwrap();
    }
    for (what, count) in [
        ("-head", of.missing_head),
        ("-body", of.missing_body),
        ("unread", of.unread),
    ] {
        if count > 0 {
            write!(line, " {what} {count}").unwrap();
        }
    }
}

/// What a connection gave.
struct Seen {
    lines: Vec<String>,
    protocols: Vec<Protocol>,
    counters: HttpCounters,
}

#[derive(Clone, Copy)]
struct Setup {
    from_start: bool,
    show: Show,
    limits: HttpLimits,
}

impl Setup {
    fn new() -> Self {
        Self {
            from_start: true,
            show: Show::NoTimes,
            limits: HttpLimits::default(),
        }
    }

    fn late() -> Self {
        Self {
            from_start: false,
            ..Self::new()
        }
    }

    fn timed() -> Self {
        Self {
            show: Show::Times,
            ..Self::new()
        }
    }

    /// Each operation at its own time: 10, 20, 30 …
    fn run(self, ops: &[Op]) -> Seen {
        let timed: Vec<_> = (1..).map(|n| n * 10).zip(ops.iter().cloned()).collect();
        self.run_at(&timed)
    }

    fn run_at(self, ops: &[(i64, Op)]) -> Seen {
        let settings = HttpSettings {
            source: Source::File,
            limits: self.limits,
        };
        let log = Log {
            lines: Vec::new(),
            show: self.show,
            open_body: None,
            protocols: Vec::new(),
            open: Vec::new(),
        };
        let mut handler = HttpHandler::new(settings, log);
        let mut stream = Some(handler.open(ConnectionInfo {
            id: 7,
            client: "192.0.2.1:40000".parse().unwrap(),
            server: "192.0.2.2:8000".parse().unwrap(),
            from_start: self.from_start,
        }));
        let mut last = Timestamp::from_micros(0);
        let mut received = None;
        for (time, op) in ops {
            let Some(open) = &mut stream else { break };
            last = Timestamp::from_micros(*time);
            match op {
                Op::Knowing(so_far) => received = Some(*so_far),
                Op::Data(side, bytes) => {
                    let received = received.take();
                    let time = last;
                    handler.data(open, *side, bytes, Sent { time, received });
                }
                Op::Gap(side, length) => handler.gap(open, *side, *length, last),
                Op::Fin(side) => handler.fin(open, *side, last),
                Op::Rst(side) => handler.rst(open, *side, last),
                Op::Close(reason) => {
                    if let Some(stream) = stream.take() {
                        handler.close(stream, *reason, last);
                    }
                }
            }
            let waiting = stream.as_ref().is_some_and(|open| handler.is_waiting(open));
            assert_eq!(waiting, !handler.sink().open.is_empty());
        }
        if let Some(stream) = stream.take() {
            handler.close(stream, CloseReason::CaptureEnd, last);
        }
        let counters = *handler.counters();
        let log = handler.into_sink();
        check_conservation(ops, &counters);
        assert!(log.open.is_empty(), "never ended: {:?}", log.open);
        Seen {
            lines: log.lines,
            protocols: log.protocols,
            counters,
        }
    }
}

/// Every byte is counted once, at the place where it went; so is every missing one.
fn check_conservation(ops: &[(i64, Op)], counters: &HttpCounters) {
    let (mut bytes, mut missing) = (0_u64, 0_u64);
    for (_, op) in ops.iter().take_while(|(_, op)| !matches!(op, Op::Close(_))) {
        match op {
            Op::Data(_, data) => bytes += data.len() as u64,
            Op::Gap(_, length) => missing = missing.saturating_add(*length),
            _ => {}
        }
    }
    let counted = counters.head_bytes
        + counters.body_bytes
        + counters.framing_bytes
        + counters.skipped_bytes
        + counters.left_alone_client_bytes
        + counters.left_alone_server_bytes;
    assert_eq!(counted, bytes, "{counters:?} of {ops:?}");
    let counted = [
        counters.missing_request_head,
        counters.missing_request_body,
        counters.missing_response_head,
        counters.missing_response_body,
        counters.missing_between,
    ];
    let counted = counted.into_iter().fold(0_u64, u64::saturating_add);
    assert_eq!(counted, missing, "{counters:?} of {ops:?}");
}

#[track_caller]
fn check(ops: &[Op], expected: &[&str]) -> HttpCounters {
    let seen = Setup::new().run(ops);
    assert_eq!(seen.lines, expected);
    seen.counters
}

/// The same, and with every piece of data cut at every byte, and sent byte by byte.
#[track_caller]
fn check_splits(ops: &[Op], expected: &[&str]) -> HttpCounters {
    let seen = Setup::new().run(ops);
    assert_eq!(seen.lines, expected);
    for (index, op) in ops.iter().enumerate() {
        let Op::Data(side, bytes) = op else { continue };
        for cut in 1..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            let mut split = ops.to_vec();
            let halves = [left, right].map(|half| Op::Data(*side, half.to_vec()));
            split.splice(index..=index, halves);
            let lines = Setup::new().run(&split).lines;
            assert_eq!(lines, expected, "operation {index} cut at {cut}");
        }
    }
    let single: Vec<Op> = ops
        .iter()
        .flat_map(|op| match op {
            Op::Data(side, bytes) => bytes.iter().map(|&b| Op::Data(*side, vec![b])).collect(),
            op => vec![op.clone()],
        })
        .collect();
    assert_eq!(Setup::new().run(&single).lines, expected, "byte by byte");
    seen.counters
}
