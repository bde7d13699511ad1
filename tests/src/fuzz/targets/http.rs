//! The two streams of connections as a sequence of operations: data, holes, FIN, RST, close.
//!
//! Checked are the grammar of the events and their sums, and that an undamaged stream gives the same
//! in other pieces.

use analyzer::{exchange::Source, time::Timestamp};
use sniffer::{
    http::{HttpCounters, HttpHandler, HttpLimits, HttpSettings},
    tcp::{CloseReason, ConnectionInfo, Sent, Side, StreamHandler as _},
};

use super::{
    grammar::{Grammar, assert_same},
    words,
};
use crate::fuzz::{
    Features, Target,
    choices::{Choices, cutting, pieces},
};

pub(super) const TARGET: Target = Target {
    name: "http",
    check,
    seeds,
    words: words::HTTP,
    longest: 4_096,
    mutations: 20_000,
};

/// Steps of time in microseconds.
const STEPS: [i64; 8] = [0, 1, 100, 20_000, -50, 1_000_000, 10, 400];

const REASONS: [CloseReason; 5] = [
    CloseReason::Closed,
    CloseReason::TimedOut,
    CloseReason::CaptureEnd,
    CloseReason::Evicted,
    CloseReason::Replaced,
];

/// One call of the seam.
#[derive(Clone, Debug)]
pub(super) enum Op<'a> {
    Data(Side, &'a [u8]),
    Gap(Side, u64),
    Fin(Side),
    Rst(Side),
    /// The connection is over, and another begins, seen from its start or not.
    Close(CloseReason, bool),
}

/// What the operations came to.
pub(super) struct Played {
    pub(super) grammar: Grammar,
    pub(super) counters: HttpCounters,
}

/// Bounds that small inputs reach.
pub(super) const SMALL: HttpLimits = HttpLimits {
    head_bytes: 600,
    head_fields: 12,
    open_exchanges: 6,
    body_read: 16_384,
    decoder_memory: 200 << 10,
};

/// Plays operations; `cut` says into which pieces data is cut.
pub(super) fn play(
    limits: HttpLimits,
    ops: &[(i64, Op<'_>)],
    from_start: bool,
    cut: Option<(u64, u64)>,
) -> Played {
    let settings = HttpSettings {
        limits,
        ..HttpSettings::new(Source::File)
    };
    let mut handler = HttpHandler::new(settings, Grammar::default());
    let mut id = 0;
    let info = |id, from_start| ConnectionInfo {
        id,
        client: ([10, 0, 0, 9], 40_000).into(),
        server: ([10, 0, 0, 1], 8_000).into(),
        from_start,
    };
    let mut stream = handler.open(info(id, from_start));
    let mut now = Timestamp::from_micros(1_000_000_000);
    // How far client and server have come.
    let mut came = [0_u64; 2];
    for (step, op) in ops {
        now = now.plus_micros(*step);
        let sent = |from: Side, came: [u64; 2]| {
            let [client, server] = came;
            let other = if from == Side::Client { server } else { client };
            // Some packets do not say.
            let received = (*step != 1).then_some(other);
            Sent {
                time: now,
                received,
            }
        };
        match op {
            Op::Data(from, bytes) => match cut {
                Some((seed, most)) => {
                    for piece in pieces(bytes, seed, most) {
                        handler.data(&mut stream, *from, piece, sent(*from, came));
                    }
                }
                None if bytes.is_empty() => {}
                None => handler.data(&mut stream, *from, bytes, sent(*from, came)),
            },
            Op::Gap(from, length) => handler.gap(&mut stream, *from, *length, now),
            Op::Fin(from) => handler.fin(&mut stream, *from, now),
            Op::Rst(from) => handler.rst(&mut stream, *from, now),
            Op::Close(reason, from_start) => {
                id += 1;
                let next = handler.open(info(id, *from_start));
                handler.close(std::mem::replace(&mut stream, next), *reason, now);
                came = [0; 2];
            }
        }
        let (from, length) = match op {
            Op::Data(from, bytes) => (*from, bytes.len() as u64),
            Op::Gap(from, length) => (*from, *length),
            _ => continue,
        };
        let own = &mut came[usize::from(from == Side::Server)];
        *own = own.saturating_add(length);
    }
    handler.close(stream, CloseReason::Closed, now);
    let counters = *handler.counters();
    let grammar = handler.into_sink();
    grammar.finish(&counters);
    Played { grammar, counters }
}

/// Whether the same stream must give the same events however it is cut: damage is made good at the
/// start of a segment, and what is passed over is counted by the segment.
pub(super) fn is_whole(counters: &HttpCounters) -> bool {
    [
        counters.responses_without_request,
        counters.exchanges_evicted,
        counters.skipped_bytes,
        counters.left_alone_client_bytes,
        counters.left_alone_server_bytes,
        counters.responses_unpaired,
        counters.heads_invalid,
        counters.heads_too_large,
        counters.framings_invalid,
        counters.chunks_invalid,
        counters.bodies_undecoded,
        counters.bodies_capped,
        counters.missing_between,
        counters.missing_request_head,
        counters.missing_request_body,
        counters.missing_response_head,
        counters.missing_response_body,
    ]
    .into_iter()
    .all(|count| count == 0)
}

/// Plays operations whole and cut, and compares.
pub(super) fn compare(
    limits: HttpLimits,
    ops: &[(i64, Op<'_>)],
    from_start: bool,
    cut: (u64, u64),
) -> Played {
    let whole = play(limits, ops, from_start, None);
    let cut = play(limits, ops, from_start, Some(cut));
    if is_whole(&whole.counters) && from_start {
        assert_same(&whole.grammar.log, &cut.grammar.log, "in other pieces");
        assert_eq!(whole.counters, cut.counters, "in other pieces");
    }
    whole
}

fn check(bytes: &[u8]) -> Features {
    let mut choices = Choices::new(bytes);
    let form = choices.byte();
    let limits = if form & 2 > 0 { SMALL } else { ordinary() };
    let mut ops = Vec::new();
    let mut from_start = form & 1 == 0;
    let first = from_start;
    // What TCP promises: nothing of a side after its end.
    let mut ended = [false; 2];
    while !choices.is_empty() {
        let code = choices.byte();
        let step = STEPS[usize::from(code >> 5)];
        let side = if code & 1 == 0 {
            Side::Client
        } else {
            Side::Server
        };
        let over = &mut ended[usize::from(code & 1)];
        let op = match code >> 1 & 15 {
            _ if *over && code >> 1 & 15 < 14 => continue,
            0..=7 => {
                let length = choices.byte();
                Op::Data(side, choices.bytes(usize::from(length)))
            }
            8 | 9 => {
                let length = choices.u16();
                Op::Data(side, choices.bytes(usize::from(length)))
            }
            10 => Op::Gap(side, u64::from(choices.byte()) + 1),
            11 => Op::Gap(side, (choices.u64() >> (choices.byte() % 64)).max(1)),
            12 => {
                *over = true;
                Op::Fin(side)
            }
            13 => {
                *over = true;
                Op::Rst(side)
            }
            _ => {
                ended = [false; 2];
                from_start = code & 1 == 0;
                Op::Close(choices.of(&REASONS), from_start)
            }
        };
        ops.push((step, op));
    }
    let all_from_start = !ops.iter().any(|(_, op)| matches!(op, Op::Close(_, false)));
    let cut = cutting(bytes);
    let played = if all_from_start {
        compare(limits, &ops, first, cut)
    } else {
        play(limits, &ops, first, Some(cut));
        play(limits, &ops, first, None)
    };
    let mut features = played.grammar.features;
    features.counters(played.counters.iter());
    features
}

/// The ordinary bounds, with a body that a run can afford.
fn ordinary() -> HttpLimits {
    HttpLimits {
        body_read: 1 << 20,
        ..HttpLimits::default()
    }
}

/// Writes operations.
#[derive(Default)]
struct Script(Vec<u8>);

impl Script {
    fn data(mut self, side: u8, text: &str) -> Self {
        self.0.push(0x60 | 8 << 1 | side);
        self.0.extend((text.len() as u16).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn client(self, text: &str) -> Self {
        self.data(0, text)
    }

    fn server(self, text: &str) -> Self {
        self.data(1, text)
    }

    fn op(mut self, code: u8, side: u8, more: &[u8]) -> Self {
        self.0.push(0x60 | code << 1 | side);
        self.0.extend(more);
        self
    }

    fn take(&mut self, form: u8) -> Vec<u8> {
        let mut bytes = vec![form];
        bytes.append(&mut self.0);
        bytes
    }
}

fn seeds() -> Vec<Vec<u8>> {
    const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    const POST: &str = "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n";
    let script = Script::default;
    let talks = [
        script().client(POST).server(ANSWER).client(GET).server(CHUNKS),
        script().client(&GET.repeat(3)).server(ANSWER).server(CHUNKS).server(ANSWER),
        script()
            .client("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
            .server("HTTP/1.1 100 Continue\r\n\r\n")
            .client("5\r\nhello\r\n0\r\n\r\n")
            .server("HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
        script()
            .client("HEAD /a HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
            .client("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .server("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\u{81}\u{5}hello"),
        script()
            .client("CONNECT a:443 HTTP/1.1\r\n\r\n")
            .server("HTTP/1.1 200 OK\r\n\r\n")
            .client("\u{16}\u{3}\u{1}"),
        script().client("GET /old\r\n").server("<html>bare</html>").op(12, 1, &[]),
        script()
            .client(GET)
            .server("HTTP/1.0 200 OK\r\n\r\nuntil the end")
            .op(12, 1, &[])
            .op(12, 0, &[]),
        script().client(POST).op(13, 0, &[]),
        script().client(POST).server(&ANSWER[..30]).op(10, 1, &[9]).op(13, 1, &[]),
        script()
            .client(POST)
            .server(&CHUNKS[..60])
            .op(10, 1, &[4])
            .server("3\r\nabc\r\n0\r\n\r\n")
            .client(GET)
            .server(ANSWER)
            .op(14, 0, &[2])
            .client(GET)
            .server(ANSWER),
        script().client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        script().op(14, 1, &[0]).server(&ANSWER[20..]).client(GET).server(ANSWER),
        script().client("POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc").server(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ];
    talks
        .into_iter()
        .enumerate()
        .map(|(number, mut talk)| talk.take(if number % 3 == 2 { 2 } else { 0 }))
        .collect()
}
