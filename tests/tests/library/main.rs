//! The library itself: the same rows whatever the number of threads, no panic, hang or invention
//! whatever the bytes, and the truth or a mark whatever the tap did.

mod determinism;
mod fuzz;
mod hostile;
mod legs;
mod series;
mod simulator;

use std::sync::atomic::AtomicBool;

use analyzer::{analysis, exchange::Source, time::Timestamp, tokens::Counter};
use anyhow::Result;
use llmtap_tests::pcap::Packet as Seen;
use sniffer::{
    capture::{CaptureError, CaptureStats, LinkType, Next, Packet, PacketSource},
    http::HttpSettings,
    pipeline::{self, Output, Pace, Report, Settings},
    tcp::TcpSettings,
};

/// IP packets in memory.
struct Packets<'p> {
    left: std::slice::Iter<'p, Seen>,
}

impl PacketSource for Packets<'_> {
    fn next(&mut self) -> Result<Next<'_>, CaptureError> {
        Ok(self.left.next().map_or(Next::End, |seen| {
            Next::Packet(Packet {
                time: Timestamp::from_micros(seen.micros as i64),
                link: LinkType::RawIp,
                data: &seen.bytes,
                wire_len: seen.bytes.len() as u32,
                interface: 0,
            })
        }))
    }

    fn stats(&mut self) -> CaptureStats {
        CaptureStats::default()
    }
}

fn settings(workers: usize) -> Settings {
    Settings {
        source: Source::File,
        pace: Pace::Replay,
        feed: None,
        ports: Vec::new(),
        workers,
        tcp: TcpSettings::default(),
        http: HttpSettings::new(Source::File),
        analysis: analysis::Settings::default().into(),
        counter: Counter::always().into(),
    }
}

/// All that comes out of a source, in order, as text.
fn run(source: &mut dyn PacketSource, workers: usize) -> Result<(Vec<String>, Report)> {
    let mut outputs = Vec::new();
    let report = pipeline::run(
        source,
        &settings(workers),
        &AtomicBool::new(false),
        |output| {
            outputs.push(match output {
                Output::Exchange(row, record) => format!("{row:?} {record:?}"),
                Output::Protocol(info, protocol) => format!("{info:?} {protocol:?}"),
            });
        },
        |_| {},
    )?;
    Ok((outputs, report))
}

fn run_packets(packets: &[Seen], workers: usize) -> Result<(Vec<String>, Report)> {
    let left = packets.iter();
    run(&mut Packets { left }, workers)
}
