//! `cargo xtask bench live`: what tapping costs those who are tapped, and the machine.

mod machine;
mod traffic;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use self::{
    machine::{Cores, Daemon, Namespace, Runs, statistics},
    traffic::{PING_BYTES, STREAMS, TOKENS_PER_SECOND},
};
use super::table::{Style, Table};
use crate::{
    setup,
    shell::{self, cargo, must, say},
};

const ROUND_TRIPS: u32 = 50_000;
const STREAMS_FOR: Duration = Duration::from_secs(20);
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Long rounds: at most so many.
const LONG_ROUNDS: usize = 3;
const BULK_MEGABYTES: u32 = 512;
/// What a part needs to get going, or to settle.
const SETTLE: Duration = Duration::from_secs(1);

pub(in crate::bench) use traffic::part;

/// Measures, and prints the tables.
pub(super) fn run(rounds: usize, style: Style) -> Result<()> {
    ensure!(
        setup::is_root(),
        "the bench needs root: it makes a network namespace and loads programs into the kernel"
    );
    setup::for_live_bench()?;
    must(cargo().args(["build", "--release", "-p", "sniffer", "-p", "xtask"]))?;
    let folder = shell::state().join("bench");
    fs::create_dir_all(&folder)?;
    let bench = Bench {
        namespace: Namespace::new()?,
        folder,
    };
    say(&machine());
    let mut placed = Vec::new();
    for (place, cores) in PLACES {
        if cores.1 < available_cores() {
            placed.push((place, bench.ping_pong(rounds, place, cores)?));
        }
    }
    let long = rounds.min(LONG_ROUNDS);
    let programs = bench.programs(long)?;
    let (streams, dropped) = bench.streams(long)?;
    let idle = bench.idle(long)?;
    say(&format!("load at the end: {}", load()));

    for (place, pings) in &placed {
        let mut table = Table::new(
            format!(
                "Round trips of {PING_BYTES} bytes over one TCP connection on loopback, {place}, the \
                 bare run and the taps in turn: medians of {rounds} rounds of {ROUND_TRIPS}"
            ),
            &["", "p50 µs", "p99 µs", "p50 / bare", "p99 / bare"],
        );
        let [bare, ..] = pings;
        let bare = (bare.median(|ping| ping.0), bare.median(|ping| ping.1));
        for (name, rounds) in NAMES.iter().zip(pings) {
            let (p50, p99) = (rounds.median(|ping| ping.0), rounds.median(|ping| ping.1));
            table.row([
                (*name).to_owned(),
                format!("{:.1}", p50 / 1e3),
                format!("{:.1}", p99 / 1e3),
                format!("{:.2}", p50 / bare.0),
                format!("{:.2}", p99 / bare.1),
            ]);
        }
        say(&table.render(style));
    }

    let mut table = Table::new(
        format!("The eBPF program's own time, as the kernel measures it: medians of {long} rounds"),
        &["", "µs a packet", "packets"],
    );
    for (name, rounds) in [
        ("round trips", &programs.ping_pong),
        ("streams", &programs.streams),
        ("bulk, packets of up to 64 KB", &programs.bulk),
    ] {
        table.row([
            name.to_owned(),
            format!("{:.2}", rounds.median(|runs| runs.each() / 1e3)),
            format!("{:.0}", rounds.median(|runs| runs.count as f64)),
        ]);
    }
    say(&table.render(style));

    let mut table = Table::new(
        format!(
            "The daemon's CPU, in per cent of a core: medians of {long} rounds of {} s under {STREAMS} \
             streams of {TOKENS_PER_SECOND} tokens a second ({dropped} packets lost), and of {} s \
             without traffic",
            STREAMS_FOR.as_secs(),
            IDLE_FOR.as_secs()
        ),
        &["", "streams %", "idle %"],
    );
    for (number, name) in TAPS.into_iter().enumerate() {
        let percent = |rounds: &[Rounds<f64>; 2], digits: usize| {
            let part = rounds.get(number).map(|rounds| rounds.median(|part| *part));
            format!("{:.digits$}", part.unwrap_or(f64::NAN) * 100.0)
        };
        table.row([name.to_owned(), percent(&streams, 1), percent(&idle, 3)]);
    }
    say(&table.render(style));
    Ok(())
}

/// The runs that are compared; the first has no daemon.
const NAMES: [&str; 3] = ["bare", "eBPF", "libpcap"];
const TAPS: [&str; 2] = ["eBPF", "libpcap"];
const BACKENDS: [&str; 2] = ["ebpf", "pcap"];

/// Where the two ends of the round trips run. On one core nothing but the path itself takes time; on
/// two the wake-up of the other core comes to it, as between machines.
const PLACES: [(&str, Cores); 2] = [
    ("both ends on one core", (0, 0)),
    ("each end on a core of its own", (0, 1)),
];

struct Bench {
    namespace: Namespace,
    folder: PathBuf,
}

impl Bench {
    fn daemon(&self, backend: &str) -> Result<Daemon> {
        self.namespace.daemon(backend, &self.folder)
    }

    /// Median and 99th percentile in nanoseconds, by run and round.
    fn ping_pong(
        &self,
        rounds: usize,
        place: &str,
        cores: Cores,
    ) -> Result<[Rounds<(f64, f64)>; 3]> {
        let mut taken = [Rounds::default(), Rounds::default(), Rounds::default()];
        for round in 1..=rounds {
            let backends = std::iter::once(None).chain(BACKENDS.into_iter().map(Some));
            for ((backend, name), taken) in backends.zip(NAMES).zip(&mut taken) {
                let daemon = backend.map(|backend| self.daemon(backend)).transpose()?;
                let (p50, p99) = self.namespace.round_trips(ROUND_TRIPS, cores)?;
                drop(daemon);
                say(&format!(
                    "round trips, {place}, round {round}, {name}: p50 {:.1} µs, p99 {:.1} µs",
                    p50 / 1e3,
                    p99 / 1e3
                ));
                taken.0.push((p50, p99));
            }
        }
        Ok(taken)
    }

    fn programs(&self, rounds: usize) -> Result<Programs> {
        let _statistics = statistics()?;
        let mut programs = Programs::default();
        for round in 1..=rounds {
            let daemon = self.daemon("ebpf")?;
            let before = daemon.programs()?;
            ensure!(before.count == 0 || before.nanoseconds > 0, "no statistics");
            self.namespace.round_trips(ROUND_TRIPS, (0, 0))?;
            let pinged = daemon.programs()?;
            self.namespace.run(&["bulk", &BULK_MEGABYTES.to_string()])?;
            let sent = daemon.programs()?;
            {
                let _streams = self.namespace.streams()?;
                thread::sleep(STREAMS_FOR / 4);
            }
            let streamed = daemon.programs()?;
            for (name, runs, taken) in [
                ("round trips", pinged.since(before), &mut programs.ping_pong),
                ("bulk", sent.since(pinged), &mut programs.bulk),
                ("streams", streamed.since(sent), &mut programs.streams),
            ] {
                ensure!(runs.count > 0, "the eBPF program did not run");
                let each = runs.each() / 1e3;
                say(&format!(
                    "the eBPF program, round {round}, {name}: {each:.2} µs a packet"
                ));
                taken.0.push(runs);
            }
        }
        Ok(programs)
    }

    /// The part of a core that the daemon takes under the streams, by tap and round, and the packets
    /// that were lost.
    fn streams(&self, rounds: usize) -> Result<([Rounds<f64>; 2], u64)> {
        let mut dropped = 0;
        let taken = self.cpu(rounds, "streams", |daemon| {
            let streams = self.namespace.streams()?;
            thread::sleep(SETTLE);
            let part = part_of_core(daemon, STREAMS_FOR)?;
            drop(streams);
            let metrics = self.namespace.run(&["get", &daemon.address, "/metrics"])?;
            let packets = sum(&metrics, "llmtap_capture_packets_total");
            let least = u64::from(STREAMS * TOKENS_PER_SECOND) * STREAMS_FOR.as_secs();
            ensure!(
                packets >= least,
                "{packets} packets were captured, but at least {least} were sent"
            );
            let lost = sum(&metrics, "llmtap_capture_dropped_packets_total");
            if lost > 0 {
                say(&format!(
                    "{packets} packets were captured, {lost} were lost"
                ));
            }
            dropped += lost;
            Ok(part)
        })?;
        Ok((taken, dropped))
    }

    fn idle(&self, rounds: usize) -> Result<[Rounds<f64>; 2]> {
        self.cpu(rounds, "idle", |daemon| {
            thread::sleep(SETTLE);
            part_of_core(daemon, IDLE_FOR)
        })
    }

    fn cpu(
        &self,
        rounds: usize,
        what: &str,
        mut measure: impl FnMut(&Daemon) -> Result<f64>,
    ) -> Result<[Rounds<f64>; 2]> {
        let mut taken = [Rounds::default(), Rounds::default()];
        for round in 1..=rounds {
            for ((backend, name), taken) in BACKENDS.into_iter().zip(TAPS).zip(&mut taken) {
                let part = measure(&self.daemon(backend)?)?;
                let percent = part * 100.0;
                say(&format!(
                    "CPU, {what}, round {round}, {name}: {percent:.3} % of a core"
                ));
                taken.0.push(part);
            }
        }
        Ok(taken)
    }
}

#[derive(Default)]
struct Programs {
    ping_pong: Rounds<Runs>,
    streams: Rounds<Runs>,
    bulk: Rounds<Runs>,
}

impl Runs {
    /// Nanoseconds a run.
    fn each(self) -> f64 {
        self.nanoseconds as f64 / self.count as f64
    }
}

/// What each round gave.
#[derive(Debug, Default)]
struct Rounds<T>(Vec<T>);

impl<T> Rounds<T> {
    /// The median of a figure; of an even number, the upper one.
    fn median(&self, figure: impl Fn(&T) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.0.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn part_of_core(daemon: &Daemon, time: Duration) -> Result<f64> {
    let (begin, before) = (Instant::now(), daemon.cpu()?);
    thread::sleep(time);
    let taken = daemon.cpu()?.saturating_sub(before);
    Ok(taken.as_secs_f64() / begin.elapsed().as_secs_f64())
}

/// The sum of a metric over its labels.
fn sum(metrics: &str, name: &str) -> u64 {
    let of_name = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    metrics.lines().filter(of_name).filter_map(value).sum()
}

/// The machine in general terms.
fn machine() -> String {
    let cores = available_cores();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores, Linux {}, load at the start: {}",
        kernel.trim(),
        load()
    )
}

fn available_cores() -> u32 {
    thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
}

/// The load of the last minute.
fn load() -> String {
    let text = read("/proc/loadavg");
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let median = Rounds(vec![9, 1, 2]).median(|figure| f64::from(*figure));
        assert_eq!(median.to_bits(), 2_f64.to_bits());
        assert!(Rounds::<f64>::default().median(|figure| *figure).is_nan());
    }

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let metrics = "# HELP a_total x\na_total{b=\"c\"} 2\na_total{b=\"d\"} 3\na_total_more 9\n";
        assert_eq!(sum(metrics, "a_total"), 5);
    }
}
