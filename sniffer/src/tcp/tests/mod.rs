//! Connections as a handler sees them: one rule a test, and a simulated network.

mod copies;
mod doubts;
mod ends;
mod handshake;
mod holes;
mod limits;
mod network;
mod order;
mod probes;
mod resets;
mod roles;

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use super::{
    CloseReason, ConnectionInfo, ConnectionTable, Sent, SeqNumber, Side, StreamHandler,
    TcpCounters, TcpSettings,
};
use crate::packet::{Flags, Segment};

/// What a handler was told. Times are microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Open {
        from_start: bool,
        client: SocketAddr,
    },
    Data(Side, Vec<u8>, i64),
    Gap(Side, u64, i64),
    Fin(Side, i64),
    Rst(Side, i64),
    Close(CloseReason, i64),
}

fn data(side: Side, text: &str, time: i64) -> Told {
    Told::Data(side, text.as_bytes().to_vec(), time)
}

/// Writes down what it is told; takes what begins with `GET` for a request, with `HTTP` for an answer.
#[derive(Default)]
struct Recorder {
    /// What the senders of data had received.
    received: Vec<Option<u64>>,
    told: Vec<(u64, Told)>,
    /// Octets of data, and of gaps.
    bytes: u64,
    missing: u64,
    is_waiting: bool,
}

impl StreamHandler for Recorder {
    type Stream = u64;

    fn sender_of(&self, payload: &[u8]) -> Option<Side> {
        match payload {
            [b'G', b'E', b'T', ..] => Some(Side::Client),
            [b'H', b'T', b'T', b'P', ..] => Some(Side::Server),
            _ => None,
        }
    }

    fn open(&mut self, info: ConnectionInfo) -> u64 {
        let (from_start, client) = (info.from_start, info.client);
        self.told.push((info.id, Told::Open { from_start, client }));
        info.id
    }

    fn data(&mut self, stream: &mut u64, from: Side, bytes: &[u8], sent: Sent) {
        self.received.push(sent.received);
        self.bytes += bytes.len() as u64;
        let told = Told::Data(from, bytes.to_vec(), sent.time.as_micros());
        self.told.push((*stream, told));
    }

    fn gap(&mut self, stream: &mut u64, from: Side, length: u64, time: Timestamp) {
        self.missing += length;
        let told = Told::Gap(from, length, time.as_micros());
        self.told.push((*stream, told));
    }

    fn fin(&mut self, stream: &mut u64, from: Side, time: Timestamp) {
        self.told.push((*stream, Told::Fin(from, time.as_micros())));
    }

    fn rst(&mut self, stream: &mut u64, from: Side, time: Timestamp) {
        self.told.push((*stream, Told::Rst(from, time.as_micros())));
    }

    fn close(&mut self, stream: u64, reason: CloseReason, time: Timestamp) {
        self.told
            .push((stream, Told::Close(reason, time.as_micros())));
    }

    fn is_waiting(&self, _: &u64) -> bool {
        self.is_waiting
    }
}

const CLIENT_ISN: u32 = 1_000;
const SERVER_ISN: u32 = 50_000;

/// A segment to be built: `at` and `ack` count octets of data from each direction's first.
#[derive(Clone, Debug)]
struct Draft {
    from: Side,
    time: i64,
    seq: u32,
    ack: Option<u32>,
    flags: Flags,
    payload: Vec<u8>,
    cut: u32,
    interface: u32,
    ip_id: Option<u16>,
}

fn isn(side: Side) -> u32 {
    match side {
        Side::Client => CLIENT_ISN,
        Side::Server => SERVER_ISN,
    }
}

/// A segment of data.
fn send(from: Side, time: i64, at: u32, text: &str, ack: u32) -> Draft {
    Draft {
        from,
        time,
        seq: isn(from).wrapping_add(1).wrapping_add(at),
        ack: Some(isn(from.other()).wrapping_add(1).wrapping_add(ack)),
        flags: Flags::default(),
        payload: text.as_bytes().to_vec(),
        cut: 0,
        interface: 0,
        ip_id: None,
    }
}

fn ack(from: Side, time: i64, at: u32, ack: u32) -> Draft {
    send(from, time, at, "", ack)
}

fn fin(from: Side, time: i64, at: u32, text: &str, ack: u32) -> Draft {
    let mut draft = send(from, time, at, text, ack);
    draft.flags.fin = true;
    draft
}

fn rst(from: Side, time: i64, at: u32) -> Draft {
    let mut draft = send(from, time, at, "", 0);
    draft.flags.rst = true;
    draft.ack = None;
    draft
}

fn syn(time: i64) -> Draft {
    let mut draft = send(Side::Client, time, 0, "", 0);
    draft.seq = CLIENT_ISN;
    draft.ack = None;
    draft.flags.syn = true;
    draft
}

fn syn_ack(time: i64) -> Draft {
    let mut draft = send(Side::Server, time, 0, "", 0);
    draft.seq = SERVER_ISN;
    draft.flags.syn = true;
    draft
}

/// A table under test.
struct Bench {
    table: ConnectionTable<Recorder>,
    handler: Recorder,
    client: SocketAddr,
    server: SocketAddr,
    /// What every number of the client's and of the server's is shifted by.
    shift: (u32, u32),
}

impl Bench {
    fn new() -> Self {
        Self::with(TcpSettings::default())
    }

    fn with(settings: TcpSettings) -> Self {
        Self {
            table: ConnectionTable::new(settings, 3),
            handler: Recorder::default(),
            client: "10.0.0.1:40000".parse().unwrap(),
            server: "10.0.0.2:8000".parse().unwrap(),
            shift: (0, 0),
        }
    }

    /// One whose ends begin with these numbers.
    fn numbered(client: u32, server: u32) -> Self {
        let mut bench = Self::new();
        bench.shift = (
            client.wrapping_sub(CLIENT_ISN),
            server.wrapping_sub(SERVER_ISN),
        );
        bench
    }

    /// One whose handshake was seen at 1, 2 and 3 µs.
    fn connected() -> Self {
        let mut bench = Self::new();
        bench.take(&[syn(1), syn_ack(2), ack(Side::Client, 3, 0, 0)]);
        bench
    }

    fn take(&mut self, drafts: &[Draft]) {
        for draft in drafts {
            let (client, server) = self.shift;
            let (source, destination, shift, other) = match draft.from {
                Side::Client => (self.client, self.server, client, server),
                Side::Server => (self.server, self.client, server, client),
            };
            let segment = Segment {
                time: Timestamp::from_micros(draft.time),
                source,
                destination,
                seq: SeqNumber(draft.seq).plus(shift),
                ack: draft.ack.map(|ack| SeqNumber(ack).plus(other)),
                flags: draft.flags,
                payload: &draft.payload,
                wire_len: draft.payload.len() as u32 + draft.cut,
                interface: draft.interface,
                ip_id: draft.ip_id,
            };
            self.table.segment(&segment, &mut self.handler);
        }
    }

    fn tick(&mut self, now: i64) {
        let now = Timestamp::from_micros(now);
        self.table.tick(now, &mut self.handler);
    }

    fn finish(&mut self, now: i64) {
        let now = Timestamp::from_micros(now);
        self.table.finish(now, &mut self.handler);
        assert_eq!(self.table.len(), 0);
        assert_eq!(self.table.buffered(), 0);
        self.balance();
    }

    /// Every octet of payload is in one counter, and in one alone; what was handed on was told.
    fn balance(&self) {
        let counters = self.counters();
        let sum = counters.handed_on_bytes
            + counters.retransmitted_bytes
            + counters.duplicate_bytes
            + counters.late_bytes
            + counters.keep_alive_bytes
            + counters.after_end_bytes
            + counters.rst_bytes
            + counters.absurd_bytes;
        assert_eq!(counters.payload_bytes, sum, "{counters:?}");
        assert!(counters.late_bytes <= counters.gap_bytes, "{counters:?}");
        assert!(counters.conflict_bytes <= counters.retransmitted_bytes);
        assert_eq!(counters.handed_on_bytes, self.handler.bytes);
        assert_eq!(counters.gap_bytes, self.handler.missing);
    }

    fn counters(&self) -> TcpCounters {
        *self.table.counters()
    }

    /// What was told since the last call, without the connections' ids.
    fn told(&mut self) -> Vec<Told> {
        self.handler.told.drain(..).map(|(_, told)| told).collect()
    }

    fn opened(&self, from_start: bool) -> Told {
        let client = self.client;
        Told::Open { from_start, client }
    }
}
