//! TCP as a sequence of operations: segments of a few connections, and time that passes.
//!
//! The octet at sequence number N is N, modulo 256, unless the segment lies. So what is handed on shows
//! by itself whether it stands where it should. Checked are the calls of the seam and their order, that
//! gaps have the length of what is missing, the budgets, the sums of the counters, and that what is
//! handed on does not depend on ticks between the segments.

use std::collections::BTreeSet;

use analyzer::time::Timestamp;
use sniffer::{
    packet::{Flags, Segment},
    tcp::{
        CloseReason, ConnectionInfo, ConnectionTable, SHARDS, Sent, SeqNumber, Side, StreamHandler,
        TcpSettings,
    },
};

use crate::{
    fuzz::{Features, Target, choices::Choices},
    traffic::Random,
};

pub(super) const TARGET: Target = Target {
    name: "segments",
    check,
    seeds,
    words: &[],
    longest: 1_024,
    mutations: 15_000,
};

/// Initial sequence numbers, the wrap among them. The first octet of data has the number 0 modulo 256.
const INITIAL: [[u32; 2]; 4] = [
    [0x0000_00ff, 0x1234_56ff],
    [0xffff_f0ff, 0xffff_ffff],
    [0x7fff_ffff, 0x8000_00ff],
    [0x0100_00ff, 0x00ff_ffff],
];

/// Steps of time in microseconds: within and past every patience of the room.
const STEPS: [i64; 16] = [
    0,
    1,
    100,
    1_000,
    20_000,
    100_000,
    -1_000,
    250_000,
    300_000,
    -500_000,
    1_000_000,
    2_000_000,
    61_000_000,
    301_000_000,
    1_801_000_000,
    10,
];

/// A segment of the harness's own.
#[derive(Clone, Debug)]
struct Op {
    time: i64,
    connection: usize,
    from: usize,
    seq: u32,
    ack: Option<u32>,
    flags: Flags,
    payload: Vec<u8>,
    wire_len: u32,
    interface: u32,
    ip_id: u16,
}

impl Op {
    fn segment(&self) -> Segment<'_> {
        // Both ends of a connection; servers listen on 80 and on ports above their clients'.
        let port = [40_000, 40_001, 80, 9_000][self.connection];
        let ends = [
            ([10, 0, 0, 9], port).into(),
            ([10, 0, 0, 1], 8_000 + self.connection as u16).into(),
        ];
        Segment {
            time: Timestamp::from_micros(self.time),
            source: ends[self.from],
            destination: ends[1 - self.from],
            seq: SeqNumber(self.seq),
            ack: self.ack.map(SeqNumber),
            flags: self.flags,
            payload: &self.payload,
            wire_len: self.wire_len,
            interface: self.interface,
            ip_id: Some(self.ip_id),
        }
    }
}

/// All that the input asks for.
struct Plan {
    settings: TcpSettings,
    ops: Vec<Op>,
    /// No segment has octets other than its numbers'.
    honest: bool,
    /// Every number is near the connection's first, and a SYN acknowledges none but the other's.
    one_start: bool,
}

fn plan(bytes: &[u8]) -> Plan {
    let mut choices = Choices::new(bytes);
    let limits = choices.byte();
    let mut plan = Plan {
        settings: settings(limits),
        ops: Vec::new(),
        honest: true,
        one_start: true,
    };
    let mut next = [[0_u32; 2]; 4];
    let mut time = 1_000_000_000_i64;
    while !choices.is_empty() {
        let (kind, control, size) = (choices.byte(), choices.byte(), choices.byte());
        let (connection, from) = (usize::from(kind & 3), usize::from(kind >> 2 & 1));
        time += STEPS[usize::from(control >> 4)];
        let flags = Flags {
            syn: control & 1 > 0,
            fin: control & 2 > 0,
            rst: control & 4 > 0,
        };
        if flags.syn && flags.fin && flags.rst {
            // The same as before, on another interface or once more.
            if let Some(last) = plan.ops.last().cloned() {
                let interface = last.interface ^ u32::from(size & 1);
                plan.ops.push(Op {
                    time,
                    interface,
                    ..last
                });
            }
            continue;
        }
        let length = match size {
            0..128 => u32::from(size),
            _ => (u32::from(size) - 127) * 60,
        };
        let first = |end: usize| INITIAL[connection][end].wrapping_add(1);
        let own = next[connection][from];
        let relative = match kind >> 3 & 3 {
            0 => own,
            1 => own.wrapping_add(u32::from(choices.byte()) * 4),
            2 => u32::from(choices.u16()),
            _ => choices.u32(),
        };
        let wild = kind >> 3 & 3 == 3;
        let seq = if flags.syn && !wild {
            INITIAL[connection][from]
        } else {
            first(from).wrapping_add(relative)
        };
        let ack = match kind >> 5 & 3 {
            0 => Some(next[connection][1 - from]),
            1 => Some(u32::from(choices.u16())),
            2 => Some(choices.u32()),
            _ => None,
        };
        // A SYN that acknowledges data says that the other direction began elsewhere, and what lies
        // far from the beginning is of another connection.
        plan.one_start &= !wild && (!flags.syn || ack.is_none_or(|ack| ack == 0));
        let data = seq.wrapping_add(u32::from(flags.syn));
        let lie = kind & 0x80 > 0;
        plan.honest &= !lie;
        let captured = if control & 8 > 0 { length / 2 } else { length };
        let octets = (0..captured).map(|n| data.wrapping_add(n) as u8 ^ u8::from(lie));
        let end = data.wrapping_add(length).wrapping_add(u32::from(flags.fin));
        // A wild number is not gone on from.
        if !wild {
            next[connection][from] = end.wrapping_sub(first(from));
        }
        plan.ops.push(Op {
            time,
            connection,
            from,
            seq,
            ack: ack.map(|ack| first(1 - from).wrapping_add(ack)),
            flags,
            payload: octets.collect(),
            wire_len: length,
            interface: 0,
            ip_id: plan.ops.len() as u16,
        });
    }
    plan
}

/// The ordinary bounds, or such that a few segments reach.
fn settings(limits: u8) -> TcpSettings {
    let mut settings = TcpSettings {
        server_ports: if limits & 1 > 0 {
            vec![8_000]
        } else {
            Vec::new()
        },
        ..TcpSettings::default()
    };
    if limits & 2 > 0 {
        settings.max_connection_bytes = 4_096;
        settings.max_chunks = 4;
    }
    if limits & 4 > 0 {
        settings.max_buffered_bytes = 6_000 * SHARDS;
    }
    if limits & 8 > 0 {
        settings.max_connections = 2 * SHARDS;
        settings.max_closed = 2 * SHARDS;
    }
    settings
}

/// One call of the seam.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Open(ConnectionInfo),
    Data(u64, Side, Vec<u8>, Timestamp),
    Gap(u64, Side, u64, Timestamp),
    Fin(u64, Side, Timestamp),
    Rst(u64, Side, Timestamp),
    Close(u64, CloseReason, Timestamp),
}

#[derive(Debug, Default)]
struct Handler {
    calls: Vec<Call>,
    honest: bool,
    one_start: bool,
    opened: BTreeSet<u64>,
    closed: u64,
    data: u64,
    gaps: u64,
    features: Features,
}

#[derive(Debug)]
struct Stream {
    id: u64,
    from_start: bool,
    ends: [Direction; 2],
}

#[derive(Debug, Default)]
struct Direction {
    /// The next octet's value, where it is known.
    next: Option<u8>,
    begun: bool,
    fin: bool,
    rst: bool,
    requests: u64,
}

impl Stream {
    fn end(&mut self, side: Side) -> &mut Direction {
        &mut self.ends[usize::from(side == Side::Server)]
    }
}

impl Handler {
    fn call(&mut self, name: &str, call: Call) {
        let before = match self.calls.last() {
            None => "",
            Some(Call::Open(_)) => "open",
            Some(Call::Data(..)) => "data",
            Some(Call::Gap(..)) => "gap",
            Some(Call::Fin(..)) => "fin",
            Some(Call::Rst(..)) => "rst",
            Some(Call::Close(..)) => "close",
        };
        self.features.followed(before, name);
        self.calls.push(call);
    }
}

impl StreamHandler for Handler {
    type Stream = Stream;

    fn sender_of(&self, payload: &[u8]) -> Option<Side> {
        match payload.len() % 3 {
            0 => None,
            1 => Some(Side::Client),
            _ => Some(Side::Server),
        }
    }

    fn open(&mut self, info: ConnectionInfo) -> Stream {
        assert!(self.opened.insert(info.id), "opened twice: {info:?}");
        self.call("open", Call::Open(info));
        Stream {
            id: info.id,
            from_start: info.from_start,
            ends: [Direction::default(), Direction::default()],
        }
    }

    fn data(&mut self, stream: &mut Stream, from: Side, bytes: &[u8], sent: Sent) {
        assert!(!bytes.is_empty(), "no data");
        let knows_start = self.honest && self.one_start && stream.from_start;
        let honest = self.honest;
        let end = stream.end(from);
        assert!(!end.fin && !end.rst, "data after the end of {from:?}");
        if knows_start && from == Side::Client && !end.begun {
            end.next = Some(0);
        }
        end.begun = true;
        end.requests += 1;
        if honest {
            let mut next = end
                .next
                .unwrap_or_else(|| bytes.first().copied().unwrap_or(0));
            for byte in bytes {
                assert_eq!(*byte, next, "not the octet that is due, {from:?}");
                next = next.wrapping_add(1);
            }
            end.next = Some(next);
        }
        self.data += bytes.len() as u64;
        self.call(
            "data",
            Call::Data(stream.id, from, bytes.to_vec(), sent.time),
        );
    }

    fn gap(&mut self, stream: &mut Stream, from: Side, length: u64, time: Timestamp) {
        assert!(length > 0, "no gap");
        let knows_start = self.honest && self.one_start && stream.from_start;
        let end = stream.end(from);
        assert!(!end.fin && !end.rst, "a gap after the end of {from:?}");
        if knows_start && from == Side::Client && !end.begun {
            end.next = Some(0);
        }
        end.begun = true;
        end.next = end.next.map(|next| next.wrapping_add(length as u8));
        self.gaps += length;
        self.call("gap", Call::Gap(stream.id, from, length, time));
    }

    fn fin(&mut self, stream: &mut Stream, from: Side, time: Timestamp) {
        let end = stream.end(from);
        assert!(!end.fin && !end.rst, "a second end of {from:?}");
        end.fin = true;
        self.call("fin", Call::Fin(stream.id, from, time));
    }

    fn rst(&mut self, stream: &mut Stream, from: Side, time: Timestamp) {
        let end = stream.end(from);
        assert!(!end.rst, "a second RST of {from:?}");
        end.rst = true;
        self.call("rst", Call::Rst(stream.id, from, time));
    }

    fn close(&mut self, stream: Stream, reason: CloseReason, time: Timestamp) {
        self.closed += 1;
        self.features.seen(&format!("{reason:?}"));
        self.call("close", Call::Close(stream.id, reason, time));
    }

    fn is_waiting(&self, stream: &Stream) -> bool {
        let [client, server] = &stream.ends;
        client.requests > server.requests
    }
}

fn check(bytes: &[u8]) -> Features {
    let plan = plan(bytes);
    let (handler, table) = play(&plan, None);
    let seed = crate::fuzz::features::hash(&[bytes]);
    let (ticked, _) = play(&plan, Some(Random::new(seed)));
    assert_eq!(
        handler.calls, ticked.calls,
        "ticks between the segments changed it"
    );

    let counters = *table.counters();
    let payload: usize = plan.ops.iter().map(|op| op.payload.len()).sum();
    assert_eq!(counters.segments, plan.ops.len() as u64);
    assert_eq!(counters.payload_bytes, payload as u64);
    assert_eq!(counters.opened, handler.opened.len() as u64);
    assert_eq!(
        counters.opened, handler.closed,
        "a connection was not closed"
    );
    assert_eq!(counters.gap_bytes, handler.gaps);
    assert!(
        handler.data <= counters.payload_bytes,
        "more data than came"
    );
    let ends = counters.closed
        + counters.timed_out
        + counters.capture_end
        + counters.evicted
        + counters.replaced;
    assert_eq!(counters.connections, ends, "{counters:?}");
    let mut features = handler.features;
    features.counters(counters.iter());
    features
}

/// Plays it to its end; with a generator, with ticks between the segments.
fn play(plan: &Plan, mut ticks: Option<Random>) -> (Handler, ConnectionTable<Handler>) {
    let mut handler = Handler {
        honest: plan.honest,
        one_start: plan.one_start,
        ..Handler::default()
    };
    let mut table = ConnectionTable::new(plan.settings.clone(), 3);
    let share = |limit: usize| (limit / SHARDS).max(1);
    let mut latest = i64::MIN;
    for op in &plan.ops {
        if let Some(random) = &mut ticks {
            // Time never runs ahead of the segment that comes next.
            let back = random.below(400_000) as i64;
            table.tick(Timestamp::from_micros(op.time - back), &mut handler);
        }
        table.segment(&op.segment(), &mut handler);
        latest = latest.max(op.time);
        assert!(table.len() <= share(plan.settings.max_connections));
        assert!(table.buffered() <= share(plan.settings.max_buffered_bytes));
    }
    table.finish(Timestamp::from_micros(latest), &mut handler);
    assert!(table.is_empty(), "{} connections are open", table.len());
    assert_eq!(table.buffered(), 0);
    (handler, table)
}

fn seeds() -> Vec<Vec<u8>> {
    const SYN: u8 = 0x41;
    const FIN: u8 = 0x42;
    const DATA: u8 = 0x40;
    // A whole connection; one of which the client's half was lost; an RST; holes; a lie.
    let handshake: &[[u8; 3]] = &[[0x60, SYN, 0], [4, SYN, 0], [0, DATA, 0]];
    let exchange: &[[u8; 3]] = &[[0, DATA, 100], [4, DATA, 200], [4, DATA, 50], [0, DATA, 0]];
    let close: &[[u8; 3]] = &[[0, FIN, 0], [4, FIN, 0], [0, DATA, 0]];
    let build = |limits: u8, parts: &[&[[u8; 3]]]| {
        let mut bytes = vec![limits];
        bytes.extend(parts.concat().concat());
        bytes
    };
    let mut seeds = vec![
        build(0, &[handshake, exchange, exchange, close]),
        build(1, &[exchange, close]),
        build(15, &[handshake, exchange, &[[0, 0x44, 0]]]),
        build(
            15,
            &[
                handshake,
                exchange,
                &[[0x80, 0x90, 9], [4, 0xd0, 3]],
                exchange,
            ],
        ),
    ];
    // Out of order within a direction: an absolute place for each.
    let mut holes = build(2, &[handshake]);
    for place in [100_u16, 300, 0, 200, 500, 400, 600, 250] {
        holes.extend([0x10, DATA, 100]);
        holes.extend(place.to_le_bytes());
    }
    holes.extend([4, 0x80, 40]);
    seeds.push(holes);
    seeds
}
