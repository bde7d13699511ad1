//! Conversations with a known truth, seen through a tap that damages what it sees.
//!
//! A [`Scenario`] is made from a seed: a few connections whose words a script writes ([`script`]), and
//! whose frames two TCP ends exchange ([`ends`]). A [`Tap`] captures the frames with so much damage
//! ([`tap`]); what it does to each of them is a [`Fate`] of its own, so that a failure can be shrunk
//! fate by fate. The judge ([`judge`]) compares what was read from a capture with the truth. [`file`]
//! writes a capture, to be looked at elsewhere.

mod end;
mod ends;
mod file;
mod frame;
mod judge;
mod observed;
mod script;
mod seen;
mod tap;
mod truth;

use std::net::Ipv6Addr;

use anyhow::Result;

pub use file::to_pcapng;
pub use frame::{Ends, Frame};
pub use judge::{Costs, Judgement, judge};
pub use observed::{Body, Carried, Head, Observed};
pub use tap::{Fate, KINDS, Kind, Nature, Tap, Which, capture};
pub use truth::{Bait, Exchange, Message, Plan};

use self::ends::{Path, talk};
use crate::traffic::{From, Random};

/// Microseconds since the Unix epoch at which scenarios begin.
const START: u64 = 1_754_000_000_000_000;

/// Connections of a scenario at most.
pub const CONNECTIONS: usize = 3;

/// A few connections: what was meant, and what passed the tap.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The connections.
    pub connections: Vec<Connection>,
    /// The frames of all, in the order in which they passed.
    pub frames: Vec<Frame>,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its addresses.
    pub ends: Ends,
    /// What was said, in order.
    pub exchanges: Vec<Exchange>,
    /// All that client and server wrote.
    pub streams: [Vec<u8>; 2],
    /// Whether either end reset it.
    pub was_reset: bool,
}

/// How much of a scenario is made: less of it is a part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The connections, one bit each.
    pub connections: u32,
    /// Exchanges on each at most.
    pub exchanges: usize,
}

impl Size {
    /// All of it.
    pub const WHOLE: Self = Self {
        connections: u32::MAX,
        exchanges: usize::MAX,
    };
}

impl Scenario {
    /// The scenario of a seed.
    ///
    /// # Errors
    /// Where a body cannot be compressed.
    pub fn new(seed: u64, size: Size, bait: Bait) -> Result<Self> {
        let mut random = Random::new(seed);
        let count = 1 + random.below(CONNECTIONS as u64) as usize;
        let mut scenario = Self {
            connections: Vec::new(),
            frames: Vec::new(),
        };
        for number in 0..count {
            let mut own = Random::new(random.any());
            if size.connections >> number & 1 == 0 {
                continue;
            }
            let connection = scenario.connections.len();
            let script = script::write(own.any(), number, size.exchanges, bait)?;
            let start = START + own.below(1_000_000);
            let path = path(&mut own);
            let ends = addresses(&mut own, seed, number);
            let (streams, frames) = talk(&mut own, path, script.steps, start);
            let was_reset = frames.iter().any(|frame| frame.signals.rst);
            scenario
                .frames
                .extend(frames.into_iter().map(|frame| Frame {
                    connection,
                    ..frame
                }));
            scenario.connections.push(Connection {
                ends,
                exchanges: script.exchanges,
                streams,
                was_reset,
            });
        }
        scenario.frames.sort_by_key(|frame| frame.micros);
        Ok(scenario)
    }

    /// Takes the connections of another scenario too.
    pub fn add(&mut self, other: Self) {
        let before = self.connections.len();
        self.connections.extend(other.connections);
        self.frames
            .extend(other.frames.into_iter().map(|frame| Frame {
                connection: frame.connection + before,
                ..frame
            }));
        self.frames.sort_by_key(|frame| frame.micros);
    }

    /// What was meant, and each frame with what became of it, for people.
    pub fn listing(&self, fates: &[Fate]) -> String {
        let mut lines = Vec::new();
        for (number, connection) in self.connections.iter().enumerate() {
            lines.push(format!("connection {number}: {:?}", connection.ends));
            lines.extend(connection.exchanges.iter().map(|exchange| {
                let (request, response) = (&exchange.request, &exchange.response);
                format!(
                    "  {} {} {:?} head {:?} body {:?} -> {} head {:?} body {:?} {:?}",
                    exchange.name,
                    exchange.method,
                    if exchange.pipelined { "pipelined" } else { "" },
                    request.head,
                    request.body,
                    exchange.status,
                    response.head,
                    response.body,
                    exchange.plan,
                )
            }));
        }
        for (frame, fate) in self.frames.iter().zip(fates) {
            let fate = if *fate == Fate::NONE {
                String::new()
            } else {
                format!("{fate:?}")
            };
            lines.push(format!("{frame} {fate}"));
        }
        lines.join("\n")
    }
}

impl Connection {
    /// What one end wrote.
    pub const fn stream(&self, from: From) -> &Vec<u8> {
        let [client, server] = &self.streams;
        match from {
            From::Client => client,
            From::Server => server,
        }
    }
}

fn path(random: &mut Random) -> Path {
    let near = 10 + random.below(200);
    let far = 100 + random.below(20_000);
    let loss = match random.below(4) {
        0 => 30_000,
        1 => 5_000,
        _ => 0,
    };
    Path {
        segment: match random.below(8) {
            0 => 120 + random.below(400),
            1 => 8_948,
            2 => 16_000,
            _ => 1_448,
        },
        window: match random.below(4) {
            0 => 4_096,
            _ => 65_535,
        },
        // The tap stands at the server, at the client, or between.
        legs: match random.below(4) {
            0 => [near, far],
            1 => [far, far],
            _ => [far, near],
        },
        losses: match random.below(3) {
            0 => [loss, loss],
            1 => [loss, 0],
            _ => [0, loss],
        },
        first: [first(random), first(random)],
    }
}

/// An initial sequence number; every second one wraps soon.
fn first(random: &mut Random) -> u32 {
    match random.below(2) {
        0 => random.any() as u32,
        _ => u32::MAX - random.below(30_000) as u32,
    }
}

/// Addresses that no other scenario of the first 65,536 seeds has.
fn addresses(random: &mut Random, seed: u64, number: usize) -> Ends {
    let port = 40_000 + number as u16;
    let net = seed as u16;
    if random.happens(250_000) {
        let address = |last| Ipv6Addr::new(0xfd00, 0, 0, net, 0, 0, 0, last);
        return Ends {
            client: (address(9), port).into(),
            server: (address(1), 8000).into(),
        };
    }
    let [high, low] = net.to_be_bytes();
    // Which end has the lower address is a matter of chance too.
    let server = match random.below(2) {
        0 => 1,
        _ => 99,
    };
    Ends {
        client: ([10, high, low, 9], port).into(),
        server: ([10, high, low, server], 8000).into(),
    }
}
