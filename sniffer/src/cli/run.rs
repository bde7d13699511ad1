//! `llmtap run`: the sidecar.

use std::{
    collections::BTreeSet,
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use analyzer::{
    api::Board,
    feed::Feed,
    metrics::{ExchangeKind, Follower, Gauge, Metrics, Publisher},
    record::Record,
    store::WriterHandle,
};
use anyhow::Context as _;
use sniffer::{
    capture::discover::{self, Targets},
    http::Protocol,
    pipeline::{self, Output, Pace, Snapshot, Totals},
    tcp::ConnectionInfo,
};

use super::{
    args::{Format, LiveFormat, Rows, RunArgs},
    backend,
    config::{LogHandle, Reloader},
    counting::Counting,
    daemon::{Capturing, Daemon, Redactions},
    limits,
    print::Printer,
    summary,
};

/// Packets but no exchange for so long: something is wrong with what is tapped, and somebody should know.
const BLIND_AFTER: Duration = Duration::from_mins(1);

/// Runs the command.
pub(crate) fn main(args: &RunArgs, reload: (Reloader, LogHandle)) -> anyhow::Result<ExitCode> {
    let targets = targets(args)?;
    let daemon = Daemon::start(
        &args.serving,
        &args.analysis,
        &args.storage,
        Capturing::Yes,
        reload,
    )?;
    let backend::Opened {
        source,
        mut packets,
        what,
    } = backend::open(args, &targets)?;
    tracing::info!("{targets}");
    daemon.ready(Some(&what));

    let format = match args.format {
        LiveFormat::Table => Some(Format::Table),
        LiveFormat::Ndjson => Some(Format::Ndjson),
        LiveFormat::Csv => Some(Format::Csv),
        LiveFormat::None => None,
    };
    let mut sink = Sink {
        printer: format.map(|f| Printer::new(BufWriter::new(io::stdout()), f, Rows::Calls)),
        metrics: daemon.metrics().clone(),
        board: Arc::clone(daemon.board()),
        writer: daemon.writer(),
        export: daemon.exporting(),
        feed: daemon.feed().clone(),
        named: BTreeSet::new(),
    };
    sink.print(Printer::begin);
    let mut watch = Watch::new(&daemon);
    let setup = daemon.setup();
    let settings = pipeline::Settings {
        feed: Some(daemon.feed().clone()),
        ..setup.pipeline(source, Pace::Live, targets.ports, &args.limits)
    };
    let result = pipeline::run(
        packets.as_mut(),
        &settings,
        daemon.stop_flag(),
        |output| sink.take(output),
        |snapshot| watch.look(snapshot),
    );
    sink.print(Printer::end);
    daemon.close()?;
    result?;
    Ok(ExitCode::SUCCESS)
}

/// What to tap. What listens in another namespace is not looked up: there it is any interface, and
/// all well-known ports, unless they are named.
fn targets(args: &RunArgs) -> anyhow::Result<Targets> {
    if args.netns.is_some() {
        let any = ["any".to_owned()];
        let interfaces = if args.interfaces.is_empty() {
            &any[..]
        } else {
            &args.interfaces
        };
        return Ok(discover::choose(interfaces, &args.ports, &[], &[]));
    }
    discover::targets(&args.interfaces, &args.ports)
        .context("cannot find out what listens here: is /proc mounted?")
}

/// Takes the outputs: prints, counts, stores.
struct Sink<W: Write, E: Fn(&Record)> {
    printer: Option<Printer<W>>,
    metrics: Metrics,
    board: Arc<Board>,
    writer: WriterHandle,
    export: E,
    feed: Feed,
    named: BTreeSet<Protocol>,
}

impl<W: Write, E: Fn(&Record)> Sink<W, E> {
    fn take(&mut self, output: Output) {
        match output {
            Output::Protocol(info, protocol) => self.name(&info, protocol),
            Output::Exchange(_, None) => self.metrics.observe_exchange(ExchangeKind::Other),
            Output::Exchange(_, Some(record)) => {
                self.metrics.observe_exchange(ExchangeKind::Call);
                self.metrics.observe_call(&record.call);
                self.board.observe(&record.call);
                self.print(|printer| {
                    printer.call(&record.call)?;
                    printer.flush()
                });
                (self.export)(&record);
                self.feed.ended(&record.call);
                // Never waits. What is shed is counted, and logged by the writer.
                let _ = self.writer.submit(*record);
            }
        }
    }

    /// Logs the first connection of each kind that cannot be read, with what to do.
    fn name(&mut self, info: &ConnectionInfo, protocol: Protocol) {
        // A connection that was under way when the tap began is often seen without a head: no fault.
        if let Some(advice) = summary::advice(protocol)
            && (info.from_start || protocol != Protocol::Unknown)
            && self.named.insert(protocol)
        {
            tracing::warn!(
                "the connection from {} to {} is {}: {advice} (further ones are counted, not logged)",
                info.client,
                info.server,
                protocol.as_str()
            );
        }
    }

    /// Prints, until printing fails: rows go on to the store.
    fn print(&mut self, print: impl FnOnce(&mut Printer<W>) -> io::Result<()>) {
        if let Some(printer) = &mut self.printer
            && let Err(error) = print(printer)
        {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::warn!(
                    "calls are no longer printed: cannot write to standard output: {error}"
                );
            }
            self.printer = None;
        }
    }
}

/// Publishes what the pipeline counts, and notices when nothing comes of the packets.
pub(crate) struct Watch {
    metrics: Metrics,
    seen: Follower,
    packets: Follower,
    bytes: Follower,
    duplicates: Follower,
    gaps: Follower,
    gap_bytes: Follower,
    dropped: Publisher,
    shed: Publisher,
    ignored: Publisher,
    tcp: Publisher,
    http: Publisher,
    analysis: Publisher,
    redactions: Arc<Redactions>,
    counting: Arc<Counting>,
    connections: Publisher,
    warnings: usize,
    blind: Blind,
}

impl Watch {
    pub(crate) fn new(daemon: &Daemon) -> Self {
        let metrics = daemon.metrics();
        let capture = metrics.capture();
        Self {
            seen: capture.seen.follower(),
            packets: capture.packets.follower(),
            bytes: capture.bytes.follower(),
            duplicates: capture.duplicates.follower(),
            gaps: capture.gaps.follower(),
            gap_bytes: capture.gap_bytes.follower(),
            dropped: capture.dropped.publisher(),
            shed: capture.shed.publisher(),
            ignored: capture.ignored.publisher(),
            tcp: capture.tcp_events.publisher(),
            http: capture.http_events.publisher(),
            analysis: metrics.analysis_events().publisher(),
            redactions: Arc::clone(daemon.redactions()),
            counting: Arc::clone(daemon.counting()),
            connections: capture.connections.publisher(),
            warnings: 0,
            blind: Blind::new(capture.blind.clone(), Instant::now()),
            metrics: metrics.clone(),
        }
    }

    pub(crate) fn look(&mut self, seen: &Snapshot<'_>) {
        let (capture, totals) = (&seen.capture, &seen.totals);
        self.seen.follow(capture.seen);
        self.packets.follow(capture.packets);
        self.bytes.follow(capture.bytes);
        self.duplicates
            .follow(capture.duplicates + totals.tcp.duplicate_segments);
        self.gaps.follow(totals.tcp.gaps);
        self.gap_bytes.follow(totals.tcp.gap_bytes);
        let mut shed: Vec<_> = limits::shed(totals).collect();
        shed.push(("uncounted", totals.uncounted));
        self.shed.publish(&shed);
        self.dropped.publish(&[
            ("ring", seen.capture.dropped_ring),
            ("interface", seen.capture.dropped_interface),
            ("copy", seen.capture.dropped_copy),
        ]);
        let mut ignored: Vec<_> = seen.packets.iter().collect();
        ignored.push(("unsupported_link", seen.capture.unsupported_link));
        ignored.push(("other_port", seen.other_ports));
        ignored.push(("duplicate", seen.capture.duplicates));
        self.ignored.publish(&ignored);
        self.tcp
            .publish(&seen.totals.tcp.iter().collect::<Vec<_>>());
        self.http
            .publish(&seen.totals.http.iter().collect::<Vec<_>>());
        let mut analysis: Vec<_> = seen.totals.analysis.iter().collect();
        analysis.push(("uncounted", seen.totals.uncounted));
        analysis.extend(seen.totals.legs.iter());
        self.analysis.publish(&analysis);
        self.redactions.publish();
        self.counting.publish();
        self.connections.publish(&seen.totals.http.protocols());
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.metrics.in_flight().set(gauge(totals.in_flight));
        let open = &self.metrics.capture().open_connections;
        open.set(gauge(totals.open_connections));
        for warning in seen.capture.warnings.iter().skip(self.warnings) {
            tracing::warn!("{warning}");
        }
        self.warnings = seen.capture.warnings.len();
        self.blind
            .look(seen.packets.segments, &seen.totals, Instant::now());
    }
}

/// Notices packets without exchanges.
struct Blind {
    gauge: Gauge,
    exchanges: u64,
    /// When an exchange was last seen, or else packets first came after it.
    since: Instant,
    /// How many segments there were then.
    segments: u64,
}

impl Blind {
    fn new(gauge: Gauge, now: Instant) -> Self {
        Self {
            gauge,
            exchanges: 0,
            since: now,
            segments: 0,
        }
    }

    fn look(&mut self, segments: u64, totals: &Totals, now: Instant) {
        let blind = self.gauge.get() == 1;
        // A long answer is packets without a finished exchange: what is open counts as seen.
        let seeing = totals.exchanges != self.exchanges || totals.in_flight > 0;
        if seeing || segments == self.segments {
            (self.exchanges, self.segments, self.since) = (totals.exchanges, segments, now);
            if blind {
                self.gauge.set(0);
                tracing::info!("exchanges are read again");
            }
        } else if !blind && now.duration_since(self.since) >= BLIND_AFTER {
            self.gauge.set(1);
            tracing::warn!(
                "{} packets came in the last {} s, and no HTTP exchange among them: is the tapped \
                 port the model server's, and is the traffic unencrypted HTTP/1 there?",
                segments - self.segments,
                BLIND_AFTER.as_secs()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(exchanges: u64, in_flight: u64) -> Totals {
        Totals {
            exchanges,
            in_flight,
            ..Totals::default()
        }
    }

    #[test]
    fn packets_without_an_exchange_are_noticed_after_a_minute_and_forgotten_at_the_next() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut blind = Blind::new(Gauge::default(), start);
        blind.look(10, &totals(0, 0), at(1));
        blind.look(20, &totals(0, 0), at(59));
        assert_eq!(blind.gauge.get(), 0);
        blind.look(30, &totals(0, 0), at(62));
        assert_eq!(blind.gauge.get(), 1);
        blind.look(40, &totals(1, 0), at(63));
        assert_eq!(blind.gauge.get(), 0);
    }

    #[test]
    fn silence_and_long_answers_are_not_blindness() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut blind = Blind::new(Gauge::default(), start);
        for seconds in 0..300 {
            blind.look(0, &totals(0, 0), at(seconds));
        }
        assert_eq!(blind.gauge.get(), 0, "no packets");
        for seconds in 300..600 {
            blind.look(seconds, &totals(0, 1), at(seconds));
        }
        assert_eq!(blind.gauge.get(), 0, "one answer of five minutes");
    }
}
