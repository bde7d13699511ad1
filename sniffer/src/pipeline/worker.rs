//! A worker: some shards, and all that happens to their connections.

use std::collections::HashMap;

use analyzer::{
    analysis::{Analyzer, Finished, UnderWay},
    exchange::{Event, EventKind, ExchangeId},
    feed::{Feed, SHOWN},
    legs::Leg,
    time::Timestamp,
};
use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::{
    Pace, Settings,
    batch::{Batch, Item},
    observe::{Board, Totals},
};
use crate::{
    http::{EventSink, HttpHandler, Protocol},
    tcp::{ConnectionInfo, ConnectionTable, SHARDS},
};

/// The place of an output in the order of the whole run: packet or tick, shard, number within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    packet: u64,
    shard: usize,
    number: u32,
}

impl Order {
    /// The last place of a packet.
    fn after(packet: u64) -> Self {
        Self {
            packet,
            shard: usize::MAX,
            number: u32::MAX,
        }
    }

    /// The first place of a packet or tick.
    pub(super) fn at(packet: u64) -> Self {
        Self {
            packet,
            shard: 0,
            number: 0,
        }
    }

    /// After everything.
    pub(super) const END: Self = Self {
        packet: u64::MAX,
        shard: usize::MAX,
        number: u32::MAX,
    };
}

/// What a worker passes to its counter.
pub(super) enum Passed {
    /// A finished exchange; `Shed` where it must not be counted.
    Exchange(Order, Box<Finished>, Counting),
    /// A recognised connection.
    Protocol(Order, ConnectionInfo, Protocol),
    /// A request that was seen whole, its exchange in flight.
    Asked(Order, Leg),
    /// Packet time has come this far; from the first worker alone.
    Tick(Order, Timestamp),
    /// Nothing before this place will come any more.
    Watermark(Order),
}

/// Whether a call's tokens are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// They are.
    Due,
    /// The counter is too far behind.
    Shed,
}

/// What the events of one shard led to.
enum Found {
    Exchange(Box<Finished>),
    Protocol(ConnectionInfo, Protocol),
    Asked(Leg),
}

/// Feeds the events of one shard's exchanges to its analyzer.
struct ShardSink {
    analyzer: Analyzer,
    found: Vec<Found>,
    /// What exchanges that begin now are shifted by, in microseconds: the clock was set meanwhile.
    correction: i64,
    /// Those under way that are to be shifted; bounded like the exchanges themselves.
    shifted: HashMap<ExchangeId, i64>,
    feed: Option<Feed>,
}

impl ShardSink {
    /// Tells of a call that has begun, or got its first token, where somebody wants to know.
    fn tell(&mut self, event: &Event<'_>) {
        let Some(feed) = self.feed.as_ref().filter(|feed| feed.is_wanted()) else {
            return;
        };
        if let EventKind::RequestEnd { .. } | EventKind::ResponseBody { .. } = event.kind
            && let Some(mut news) = self.analyzer.news(event.id)
        {
            if let Some(micros) = self.shifted.get(&event.id) {
                news.call.shift(*micros);
            }
            feed.news(news);
        }
    }

    /// The calls under way, at most so many.
    fn under_way(&mut self, most: usize) -> (Vec<UnderWay>, usize) {
        let (calls, left_out) = self.analyzer.under_way(most);
        let shifted = &self.shifted;
        let calls = calls.into_iter().map(|(id, mut call)| {
            if let Some(micros) = shifted.get(&id) {
                call.shift(*micros);
            }
            call
        });
        (calls.collect(), left_out)
    }
}

impl EventSink for ShardSink {
    fn event(&mut self, event: Event<'_>) {
        if self.correction != 0 && matches!(event.kind, EventKind::Begin(_)) {
            self.shifted.insert(event.id, self.correction);
        }
        if let Some(mut finished) = self.analyzer.event(&event) {
            if let Some(micros) = self.shifted.remove(&event.id) {
                finished.shift(micros);
            }
            self.found.push(Found::Exchange(Box::new(finished)));
        }
        self.tell(&event);
        if let EventKind::RequestEnd { .. } = event.kind
            && let Some(leg) = self.analyzer.leg(event.id)
        {
            self.found.push(Found::Asked(leg));
        }
    }

    fn protocol(&mut self, info: &ConnectionInfo, protocol: Protocol) {
        self.found.push(Found::Protocol(*info, protocol));
    }
}

/// One sixteenth of the connections, and of every budget.
struct Shard {
    number: usize,
    table: ConnectionTable<HttpHandler<ShardSink>>,
    handler: HttpHandler<ShardSink>,
}

/// Some shards, and the thread that owns them.
pub(super) struct Worker<'s> {
    number: usize,
    stride: usize,
    shards: Vec<Shard>,
    pace: Pace,
    board: &'s Board,
    exchanges: u64,
    calls: u64,
    uncounted: u64,
    feed: Option<Feed>,
    /// The last asking for calls under way that was answered.
    answered: u64,
}

impl<'s> Worker<'s> {
    /// The worker that owns every shard whose number is `number` modulo `stride`.
    pub(super) fn new(number: usize, stride: usize, settings: &Settings, board: &'s Board) -> Self {
        let shards = (number..SHARDS).step_by(stride).map(|shard| Shard {
            number: shard,
            table: ConnectionTable::new(settings.tcp.clone(), shard),
            handler: HttpHandler::new(
                settings.http,
                ShardSink {
                    analyzer: Analyzer::new(settings.analysis.clone()),
                    found: Vec::new(),
                    correction: 0,
                    shifted: HashMap::new(),
                    feed: settings.feed.clone(),
                },
            ),
        });
        Self {
            number,
            stride,
            shards: shards.collect(),
            pace: settings.pace,
            board,
            exchanges: 0,
            calls: 0,
            uncounted: 0,
            feed: settings.feed.clone(),
            answered: 0,
        }
    }

    /// Works until the capture's end has come.
    pub(super) fn run(
        mut self,
        inbox: &Receiver<Batch>,
        spares: &Sender<Batch>,
        finished: &Sender<Passed>,
    ) {
        for mut batch in inbox {
            let mut reached = None;
            for item in &batch.items {
                match item {
                    Item::Segment(stored) => {
                        let segment = batch.segment(stored);
                        if let Some(shard) = self.shards.get_mut(stored.shard / self.stride) {
                            shard.table.segment(&segment, &mut shard.handler);
                            self.pass_on(stored.shard / self.stride, stored.order, finished);
                        }
                        reached = Some(Order::after(stored.order.saturating_sub(1)));
                    }
                    Item::Tick {
                        order,
                        now,
                        correction,
                    } => {
                        if self.number == 0 {
                            let _ = finished.send(Passed::Tick(Order::at(*order), *now));
                        }
                        self.each_shard(*order, finished, |shard| {
                            shard.handler.sink_mut().correction = *correction;
                            shard.table.tick(*now, &mut shard.handler);
                        });
                        self.publish();
                        self.show_calls();
                        reached = Some(Order::after(order.saturating_sub(1)));
                    }
                    Item::Finish { now } => {
                        self.each_shard(u64::MAX, finished, |shard| {
                            shard.table.finish(*now, &mut shard.handler);
                        });
                        reached = Some(Order::END);
                    }
                }
            }
            self.publish();
            if let Some(order) = reached {
                // The counter ends after its worker, so there is always somebody to take it.
                let _ = finished.send(Passed::Watermark(order));
            }
            batch.clear();
            // The spares may be full: then this buffer has served.
            let _ = spares.try_send(batch);
        }
    }

    fn each_shard(
        &mut self,
        order: u64,
        finished: &Sender<Passed>,
        mut work: impl FnMut(&mut Shard),
    ) {
        for index in 0..self.shards.len() {
            if let Some(shard) = self.shards.get_mut(index) {
                work(shard);
            }
            self.pass_on(index, order, finished);
        }
    }

    /// Hands on what the last step of a shard led to.
    fn pass_on(&mut self, index: usize, packet: u64, finished: &Sender<Passed>) {
        let Some(shard) = self.shards.get_mut(index) else {
            return;
        };
        let sink = shard.handler.sink_mut();
        if sink.found.is_empty() {
            return;
        }
        for (number, found) in (0..).zip(sink.found.drain(..)) {
            let order = Order {
                packet,
                shard: shard.number,
                number,
            };
            match found {
                Found::Protocol(info, protocol) => {
                    let _ = finished.send(Passed::Protocol(order, info, protocol));
                }
                Found::Asked(leg) => {
                    let _ = finished.send(Passed::Asked(order, leg));
                }
                Found::Exchange(exchange) => {
                    self.exchanges += 1;
                    self.calls += u64::from(exchange.call.is_some());
                    let passed = Passed::Exchange(order, exchange, Counting::Due);
                    match (self.pace, finished.try_send(passed)) {
                        (_, Ok(()) | Err(TrySendError::Disconnected(_))) => {}
                        (Pace::Live, Err(TrySendError::Full(Passed::Exchange(order, e, _)))) => {
                            self.uncounted += u64::from(e.call.is_some());
                            let _ = finished.send(Passed::Exchange(order, e, Counting::Shed));
                        }
                        (_, Err(TrySendError::Full(passed))) => {
                            let _ = finished.send(passed);
                        }
                    }
                }
            }
        }
    }

    /// Writes down the calls under way, if somebody asked since.
    fn show_calls(&mut self) {
        let Some(feed) = &self.feed else { return };
        let asked = feed.in_flight().asked();
        if asked == self.answered {
            return;
        }
        self.answered = asked;
        let (mut calls, mut left_out) = (Vec::new(), 0);
        for shard in &mut self.shards {
            let (more, without) = shard.handler.sink_mut().under_way(SHOWN / SHARDS);
            calls.extend(more);
            left_out += without;
        }
        feed.in_flight().answer(self.number, asked, calls, left_out);
    }

    /// Puts this worker's sums where others can read them.
    fn publish(&self) {
        let mut totals = Totals {
            exchanges: self.exchanges,
            calls: self.calls,
            uncounted: self.uncounted,
            ..Totals::default()
        };
        for shard in &self.shards {
            totals.open_connections += shard.table.len() as u64;
            totals.in_flight += shard.handler.sink().analyzer.in_flight() as u64;
            totals.tcp.add(shard.table.counters());
            totals.http.add(shard.handler.counters());
            totals
                .analysis
                .add(&shard.handler.sink().analyzer.counters());
        }
        self.board.put(self.number, totals);
    }
}
