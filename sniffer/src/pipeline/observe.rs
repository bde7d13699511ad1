//! What a running pipeline shows of itself.

use std::sync::{Mutex, PoisonError};

use analyzer::{analysis::AnalyzerCounters, legs::LegCounters, time::Timestamp};

use crate::{capture::CaptureStats, http::HttpCounters, packet::PacketCounters, tcp::TcpCounters};

/// The sums of the workers. Counters only grow; the two gauges are of the moment.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Finished exchanges, LLM calls among them.
    pub exchanges: u64,
    /// Finished calls.
    pub calls: u64,
    /// Calls handed on uncounted because counting was too far behind (live only).
    pub uncounted: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Exchanges open now.
    pub in_flight: u64,
    /// Reassembly's counters.
    pub tcp: TcpCounters,
    /// HTTP's counters.
    pub http: HttpCounters,
    /// The analysis' counters.
    pub analysis: AnalyzerCounters,
    /// What the matching of legs had no room for.
    pub legs: LegCounters,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.calls += other.calls;
        self.uncounted += other.uncounted;
        self.open_connections += other.open_connections;
        self.in_flight += other.in_flight;
        self.tcp.add(&other.tcp);
        self.http.add(&other.http);
        self.analysis.add(&other.analysis);
        self.legs.add(&other.legs);
    }
}

/// All figures at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The time of the latest packet.
    pub now: Timestamp,
    /// The source's figures.
    pub capture: CaptureStats,
    /// The decoder's figures.
    pub packets: &'a PacketCounters,
    /// The workers' sums.
    pub totals: Totals,
    /// Packets of ports that are not tapped.
    pub other_ports: u64,
}

/// Where each worker, and the matching behind them, puts its sums.
pub(super) struct Board(Vec<Mutex<Totals>>);

impl Board {
    pub(super) fn new(slots: usize) -> Self {
        Self((0..slots).map(|_| Mutex::default()).collect())
    }

    pub(super) fn put(&self, slot: usize, totals: Totals) {
        if let Some(slot) = self.0.get(slot) {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        }
    }

    pub(super) fn sum(&self) -> Totals {
        let mut sum = Totals::default();
        for slot in &self.0 {
            sum.add(&slot.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }
}
