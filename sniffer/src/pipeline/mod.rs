//! From a packet source to finished exchanges: shards, queues, back-pressure, shutdown.
//!
//! ```text
//!  source ─ decoder ─┬─▶ worker 0 (shards 0, 2, …) ─▶ counter 0 ─┬─▶ collector ─▶ legs ─▶ Output
//!   (this thread)    └─▶ worker 1 (shards 1, 3, …) ─▶ counter 1 ─┘
//! ```
//!
//! Connections hash to [`SHARDS`] shards, whatever the number of threads. A worker
//! owns its shards whole: reassembly, HTTP and dialects of a connection happen on one thread, in the
//! order of its packets. Counting tokens is slow beside the rest, so it has a thread of its own behind
//! each worker. The collector puts the outputs back into the order of the packets that caused them, and
//! marks those calls that are the outer leg of another; few of these wait for it, and come out later.
//! Time-outs are deadlines in packet time, driven by ticks that depend on the packets alone. So what
//! comes out does not depend on the number of cores.
//!
//! Queues are bounded. Where one is full, the stage before it waits; in the end the source does, whose
//! ring buffers and counts what it had to drop. One exception: live, a counter that cannot keep up is
//! passed by (the call is handed on uncounted, and counted as such), since packets are worth more.

mod batch;
mod collector;
mod matching;
mod observe;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use analyzer::{
    analysis, call::ExchangeRow, exchange::Source, feed::Feed, live::Live, record::Record,
    time::Timestamp, tokens::Counter,
};
use crossbeam_channel::bounded;

pub use self::observe::{Snapshot, Totals};
use self::{
    batch::{Batch, Item, Sender},
    collector::Merge,
    matching::Matching,
    worker::{Passed, Worker},
};
use crate::{
    capture::{CaptureError, CaptureStats, Next, PacketSource, Steady},
    http::{HttpSettings, Protocol},
    packet::{Decoded, Decoder, PacketCounters, Segment, Tunnels},
    tcp::{ConnectionInfo, SHARDS, TcpSettings, shard_of},
};

/// Ticks are this far apart, in microseconds of packet time: fine enough for the 250 ms of the gap
/// rule, and too few to cost anything.
const TICK_INTERVAL: i64 = 100_000;

/// How often the sums are told while a live source is silent.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// After so long a silence nothing is left that is due within a second: no hole to give up, no reset
/// connection to close.
const QUIET_AFTER: Duration = Duration::from_secs(5);

/// How often ticks are sent, and the sums told, from then on: each wakes every thread, and that is most
/// of what an idle tap costs.
const QUIET_INTERVAL: Duration = Duration::from_secs(1);

/// Live and silent, packet time goes on this far behind the time that passes, in microseconds: packets
/// still on their way through the kernel's ring must not find that their deadline has passed.
const LIVE_LAG: i64 = 1_000_000;

/// What may wait between the threads.
#[derive(Clone, Copy)]
struct Queues {
    /// Batches for one worker; each holds up to 256 KiB and one packet more.
    batches: usize,
    /// Finished exchanges for one counter, and for the collector; each call holds its texts, tens of KiB.
    exchanges: usize,
}

impl Queues {
    /// Live: 32 MiB a worker beside the source's ring ride out what holds it up, and many calls may end
    /// together. A file waits, so there the queues need only keep both sides busy.
    const fn of(pace: Pace) -> Self {
        match pace {
            Pace::Live => Self {
                batches: 128,
                exchanges: 1_024,
            },
            Pace::Replay => Self {
                batches: 8,
                exchanges: 64,
            },
        }
    }
}

/// Ports listed in [`Report::ports`].
const REPORTED_PORTS: usize = 5;

/// How the source behaves when the pipeline cannot keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A file: it waits, and every call is counted.
    Replay,
    /// A ring: it drops. Counting is shed before packets are lost.
    Live,
}

/// What a run of the pipeline needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the traffic is taken, for the rows.
    pub source: Source,
    /// Replay or live.
    pub pace: Pace,
    /// The tapped ports; empty: all, HTTP is recognised by content.
    pub ports: Vec<u16>,
    /// Worker threads: 1 to [`SHARDS`].
    pub workers: usize,
    /// Limits and time-outs of reassembly.
    pub tcp: TcpSettings,
    /// Limits of HTTP reading.
    pub http: HttpSettings,
    /// How exchanges become calls.
    pub analysis: Live<analysis::Settings>,
    /// Counts tokens; the counting threads share it.
    pub counter: Live<Counter>,
    /// Who is told of calls under way; the end of a call is left to whoever takes the outputs.
    pub feed: Option<Feed>,
}

/// What comes out, in the order of the packets that caused it, or, for a call that may be the outer leg of
/// another, that decided on it.
#[derive(Debug)]
pub enum Output {
    /// A finished exchange, and the call that it is, if it is one.
    Exchange(Box<ExchangeRow>, Option<Box<Record>>),
    /// A connection's protocol was recognised.
    Protocol(ConnectionInfo, Protocol),
}

/// What a run saw, for people.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The source's own figures.
    pub capture: CaptureStats,
    /// What the decoder made of the frames.
    pub packets: PacketCounters,
    /// The sums of all workers.
    pub totals: Totals,
    /// The busiest TCP ports and their segments; a segment counts for both of its ports.
    pub ports: Vec<(u16, u32)>,
    /// Packets left out because neither port is tapped.
    pub other_ports: u64,
}

/// Runs a source to its end, or until `stop` is set, and hands each output to `on_output` on a thread
/// of the pipeline's own. All that was accepted comes out before this returns.
///
/// `on_progress` is called about every 100 ms of packet time (and when nothing comes) with the sums so
/// far.
///
/// # Errors
/// Where the source cannot go on. What came before it has been handed out all the same.
pub fn run<S, P>(
    source: &mut dyn PacketSource,
    settings: &Settings,
    stop: &AtomicBool,
    on_output: S,
    mut on_progress: P,
) -> Result<Report, CaptureError>
where
    S: FnMut(Output) + Send,
    P: FnMut(&Snapshot<'_>),
{
    let mut steady;
    let source = match settings.pace {
        Pace::Replay => {
            steady = Steady::new(source);
            &mut steady
        }
        Pace::Live => source,
    };
    let workers = settings.workers.clamp(1, SHARDS);
    let totals = observe::Board::new(workers + 1);
    if let Some(feed) = &settings.feed {
        feed.in_flight().workers(workers);
    }
    thread::scope(|scope| {
        let queues = Queues::of(settings.pace);
        let (merged, outputs) = bounded(queues.exchanges);
        let mut senders = Vec::with_capacity(workers);
        for number in 0..workers {
            let (batches, inbox) = bounded::<Batch>(queues.batches);
            let (spare, spares) = bounded::<Batch>(queues.batches);
            let (finished, uncounted) = bounded::<Passed>(queues.exchanges);
            senders.push(Sender::new(batches, spares));
            let worker = Worker::new(number, workers, settings, &totals);
            scope.spawn(move || worker.run(&inbox, &spare, &finished));
            let merged = merged.clone();
            let counter = settings.counter.clone();
            scope.spawn(move || collector::count(number, &uncounted, &counter, &merged));
        }
        drop(merged);
        let mut matching = Matching::new(on_output, &totals, workers);
        scope.spawn(move || {
            Merge::new(workers).run(&outputs, |step| matching.step(step));
            matching.finish();
        });

        let mut feeder = Feeder::new(settings, senders);
        let result = feeder.feed(source, stop, &totals, &mut on_progress);
        let mut report = feeder.finish();
        report.capture = source.stats();
        result.map(|()| report)
    })
    .map(|mut report| {
        report.totals = totals.sum();
        report
    })
    .inspect(|_| {
        // Nobody follows calls any more.
        if let Some(feed) = &settings.feed {
            feed.in_flight().workers(0);
        }
    })
}

/// Reads the source, decodes its frames, and deals segments to the workers.
struct Feeder<'s> {
    settings: &'s Settings,
    senders: Vec<Sender>,
    decoder: Decoder,
    report: Report,
    order: u64,
    now: Timestamp,
    next_tick: Option<Timestamp>,
    /// Since when a live source is silent. A steady clock: setting the system's must time nothing out.
    silent_since: Option<Instant>,
    correction: i64,
}

impl<'s> Feeder<'s> {
    fn new(settings: &'s Settings, senders: Vec<Sender>) -> Self {
        Self {
            settings,
            senders,
            decoder: Decoder::default().with_tunnels(match settings.pace {
                Pace::Live => Tunnels::Closed,
                Pace::Replay => Tunnels::Open,
            }),
            report: Report::default(),
            order: 0,
            now: Timestamp::default(),
            next_tick: None,
            silent_since: None,
            correction: 0,
        }
    }

    fn feed(
        &mut self,
        source: &mut dyn PacketSource,
        stop: &AtomicBool,
        totals: &observe::Board,
        on_progress: &mut dyn FnMut(&Snapshot<'_>),
    ) -> Result<(), CaptureError> {
        let mut told = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            self.correction = source.utc_correction();
            let due = match source.next()? {
                Next::Packet(packet) => {
                    self.silent_since = None;
                    self.now = self.now.max(packet.time);
                    let ticked = self.tick_if_due(self.now);
                    self.order += 1;
                    if let Decoded::Segment(segment) = self.decoder.decode(&packet)
                        && deal(
                            self.settings,
                            &mut self.senders,
                            &mut self.report,
                            self.order,
                            &segment,
                        )
                    {
                        // All at once: the merge waits for the slowest, so none may hold back.
                        self.flush();
                    }
                    ticked
                }
                Next::Idle => told.elapsed() >= self.tick_in_silence(),
                Next::End => break,
            };
            if due {
                told = Instant::now();
                let snapshot = Snapshot {
                    now: self.now,
                    capture: source.stats(),
                    packets: self.decoder.counters(),
                    totals: totals.sum(),
                    other_ports: self.report.other_ports,
                };
                on_progress(&snapshot);
            }
        }
        Ok(())
    }

    /// Lets packet time go on while a live source is silent; gives how often the sums should be told.
    fn tick_in_silence(&mut self) -> Duration {
        if self.settings.pace == Pace::Replay {
            // Played at its own pace. Its time is that of its packets alone, so that the rows are always the same.
            self.flush();
            return PROGRESS_INTERVAL;
        }
        let silence = self.silent_since.get_or_insert_with(Instant::now).elapsed();
        let micros = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let now = self.now.plus_micros(micros.saturating_sub(LIVE_LAG).max(0));
        let ticked = self.tick_if_due(now);
        self.flush();
        if silence < QUIET_AFTER {
            return PROGRESS_INTERVAL;
        }
        if ticked {
            let interval = i64::try_from(QUIET_INTERVAL.as_micros()).unwrap_or(i64::MAX);
            self.next_tick = Some(now.plus_micros(interval));
        }
        QUIET_INTERVAL
    }

    /// Sends every worker the time where a tick is due. Whether it is depends on the packets alone.
    fn tick_if_due(&mut self, now: Timestamp) -> bool {
        if self.next_tick.is_some_and(|due| now < due) {
            return false;
        }
        self.next_tick = Some(now.plus_micros(TICK_INTERVAL));
        // A place of its own in the order: outputs of the packet before it come first, in every shard.
        self.order += 1;
        let mut full = self.settings.pace == Pace::Live;
        for sender in &mut self.senders {
            full |= sender.push(Item::Tick {
                order: self.order,
                now,
                correction: self.correction,
            });
        }
        if full {
            self.flush();
        }
        true
    }

    fn flush(&mut self) {
        self.senders.iter_mut().for_each(Sender::flush);
    }

    /// Tells the workers that the capture has ended.
    fn finish(mut self) -> Report {
        for sender in &mut self.senders {
            sender.push(Item::Finish { now: self.now });
        }
        self.flush();
        self.report.packets = *self.decoder.counters();
        self.report.ports = self.decoder.busiest_ports(REPORTED_PORTS);
        self.report
    }
}

/// Hands a segment to the worker that owns its connection, unless its ports are not tapped; says
/// whether that worker's batch is full.
fn deal(
    settings: &Settings,
    senders: &mut [Sender],
    report: &mut Report,
    order: u64,
    segment: &Segment<'_>,
) -> bool {
    let (from, to) = (segment.source.port(), segment.destination.port());
    if !settings.ports.is_empty()
        && !settings.ports.contains(&from)
        && !settings.ports.contains(&to)
    {
        report.other_ports += 1;
        return false;
    }
    let shard = shard_of(segment.source, segment.destination);
    let count = senders.len();
    senders
        .get_mut(shard % count)
        .is_some_and(|s| s.push_segment(order, shard, segment))
}
