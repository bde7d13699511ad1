//! Captures with bits turned over, cut, spliced and shuffled. There is nothing to compare: the library
//! must come to its end, and must not make more exchanges than there are packets.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    pcap::Packet,
    tools,
    traffic::{Random, Traffic},
};
use sniffer::capture::file::FileSource;

use super::{run, run_packets};

/// Enough for a few seconds.
const PACKET_ROUNDS: u64 = 250;
const FILE_ROUNDS: u64 = 20;

#[test]
fn mutated_packets() -> Result<()> {
    let traffic = Traffic::new(31, 8, 6).packets();
    for seed in 0..PACKET_ROUNDS {
        let mut random = Random::new(seed);
        let mut packets = traffic.clone();
        // From hardly any damage to nothing but damage.
        let rate = 1_000 << random.below(9);
        for packet in 0..packets.len() {
            if random.happens(rate) {
                mutate_packet(&mut packets, packet, &mut random);
            }
        }
        let (outputs, report) = run_packets(&packets, 1)?;
        let most = packets.len() * 2;
        ensure!(
            outputs.len() < most,
            "seed {seed}: {} outputs",
            outputs.len()
        );
        ensure!(report.totals.in_flight == 0, "seed {seed}: {report:?}");
    }
    Ok(())
}

fn mutate_packet(packets: &mut [Packet], index: usize, random: &mut Random) {
    let count = packets.len() as u64;
    let other = random.below(count) as usize;
    let donor = packets.get(other).cloned();
    let Some(packet) = packets.get_mut(index) else {
        return;
    };
    match random.below(7) {
        0 | 1 => flip(&mut packet.bytes, random),
        // The headers, where most of the meaning is.
        2 => {
            let place = random.below(40) as usize;
            if let Some(byte) = packet.bytes.get_mut(place) {
                *byte = random.any() as u8;
            }
        }
        3 => {
            let length = random.below(packet.bytes.len() as u64 + 1) as usize;
            packet.bytes.truncate(length);
        }
        4 => {
            let from = random.below(packet.bytes.len() as u64 + 1) as usize;
            if let Some(tail) = donor.as_ref().and_then(|donor| donor.bytes.get(from..)) {
                packet.bytes.truncate(from);
                packet.bytes.extend_from_slice(tail);
            }
        }
        5 => packet.micros = random.any() >> random.below(64),
        _ => packets.swap(index, other),
    }
}

#[test]
fn mutated_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("mutated.pcap");
    let mut files: Vec<_> = fs::read_dir(tools::file("data/zeek"))?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::path);
    let mut traces = 0;
    for file in files {
        if file.path().extension().is_none_or(|kind| kind != "pcap") {
            continue;
        }
        traces += 1;
        let whole = fs::read(file.path())?;
        for seed in 0..FILE_ROUNDS {
            let mut random = Random::new(seed);
            let mut bytes = whole.clone();
            for _ in 0..=random.below(20) {
                flip(&mut bytes, &mut random);
            }
            if random.happens(300_000) {
                let length = random.below(bytes.len() as u64 + 1) as usize;
                bytes.truncate(length);
            }
            fs::write(&path, &bytes)?;
            // A file whose beginning tells no kind of capture is refused.
            let Ok(mut source) = FileSource::open(std::slice::from_ref(&path)) else {
                continue;
            };
            let (outputs, _) =
                run(&mut source, 1).with_context(|| format!("{file:?}, seed {seed}"))?;
            ensure!(outputs.len() < whole.len() / 8, "{file:?}, seed {seed}");
        }
    }
    ensure!(traces >= 22, "only {traces} traces are there");
    Ok(())
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let place = random.below(bytes.len() as u64) as usize;
    if let Some(byte) = bytes.get_mut(place) {
        *byte ^= 1 << random.below(8);
    }
}
