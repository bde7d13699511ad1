//! Capture files: pcap and pcapng, plain, gzip, zstd.
//!
//! Reading ends, gives no more packets than there are bytes for, and gives the same packets however the
//! bytes arrive. A compressed file gives the packets of what it unpacks to.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use sniffer::capture::{CaptureStats, Next, PacketSource as _, file::FileSource};

use super::words;
use crate::{
    fuzz::{Features, Target, choices::cutting, features::hash},
    pcap::{self, ByteOrder, Capture, Link, Resolution},
    traffic::{Random, Traffic},
};

pub(super) const TARGET: Target = Target {
    name: "captures",
    check,
    seeds,
    words: words::CAPTURES,
    longest: 8_192,
    mutations: 20_000,
};

/// Bytes of the shortest record that holds a packet: the header of a classic one, or a simple packet block.
const SHORTEST_RECORD: usize = 16;

/// Bytes up to which a compressed file is unpacked to compare.
const UNPACKED: u64 = 1 << 20;

/// What reading gave.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    packets: Vec<u64>,
    bytes: usize,
    stats: CaptureStats,
}

fn check(bytes: &[u8]) -> Features {
    let mut features = Features::default();
    let whole = read(bytes.to_vec(), None);
    let dribbled = read(bytes.to_vec(), Some(cutting(bytes)));
    let unpacked = unpack(bytes);
    match (&whole, &dribbled) {
        (Ok(whole), Ok(dribbled)) if unpacked.as_ref().is_none_or(|(_, ok)| *ok) => {
            assert_eq!(whole, dribbled, "the bytes arrived in other pieces");
        }
        // A decompressor may give up at another byte of damaged data, depending on what was asked of it.
        (Ok(whole), Ok(dribbled)) => is_beginning(&whole.packets, &dribbled.packets),
        (Err(_), Err(_)) => {}
        _ => assert!(
            unpacked.as_ref().is_some_and(|(_, ok)| !ok),
            "refused in one form only: {whole:?} {dribbled:?}"
        ),
    }
    let seen = match whole {
        Ok(seen) => seen,
        Err(refusal) => {
            features.seen(&kind_of(&refusal));
            return features;
        }
    };
    match unpacked {
        Some((plain, ok)) => {
            if let Ok(other) = read(plain, None) {
                is_beginning(&seen.packets, &other.packets);
                assert!(
                    !ok || seen.packets == other.packets,
                    "unpacked it has others"
                );
            }
            features.seen("compressed");
        }
        None if !is_compressed(bytes) => {
            let least = seen.packets.len() * SHORTEST_RECORD + seen.bytes;
            assert!(least <= bytes.len(), "{least} of {} bytes", bytes.len());
        }
        None => {}
    }
    let stats = &seen.stats;
    features.count("packets", stats.packets);
    features.count("unsupported", stats.unsupported_link);
    features.count("dropped", stats.dropped_ring);
    for warning in &stats.warnings {
        features.seen(&kind_of(warning));
    }
    features
}

/// What a sentence says, without what it says of these bytes.
fn kind_of(sentence: &str) -> String {
    let general = sentence.split(':').next().unwrap_or_default();
    general.chars().filter(char::is_ascii_lowercase).collect()
}

fn is_beginning(one: &[u64], other: &[u64]) {
    let length = one.len().min(other.len());
    assert_eq!(one[..length], other[..length], "other packets");
}

fn read(bytes: Vec<u8>, cutting: Option<(u64, u64)>) -> Result<Seen, String> {
    let reader = Dribble {
        bytes: io::Cursor::new(bytes),
        cutting: cutting.map(|(seed, most)| (Random::new(seed), most)),
    };
    let source = FileSource::from_readers(vec![("it".to_owned(), Box::new(reader))]);
    let mut source = source.map_err(|error| error.to_string())?;
    let (mut packets, mut bytes) = (Vec::new(), 0);
    loop {
        match source.next() {
            Ok(Next::Packet(packet)) => {
                assert!(packet.data.len() <= packet.wire_len as usize, "{packet:?}");
                bytes += packet.data.len();
                let fields = format!(
                    "{:?} {:?} {} {}",
                    packet.time, packet.link, packet.wire_len, packet.interface
                );
                packets.push(hash(&[fields.as_bytes(), packet.data]));
            }
            Ok(Next::End) => break,
            Ok(Next::Idle) => panic!("a file is never idle"),
            Err(error) => panic!("damage is no error: {error}"),
        }
    }
    assert!(matches!(source.next(), Ok(Next::End)), "it ended before");
    let stats = source.stats();
    assert_eq!(stats.packets, packets.len() as u64);
    assert_eq!(stats.bytes, bytes as u64);
    Ok(Seen {
        packets,
        bytes,
        stats,
    })
}

/// Gives its bytes in small pieces.
struct Dribble {
    bytes: io::Cursor<Vec<u8>>,
    cutting: Option<(Random, u64)>,
}

impl Read for Dribble {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = match &mut self.cutting {
            Some((random, most)) => random.below(*most) as usize + 1,
            None => into.len(),
        };
        let most = most.min(into.len());
        self.bytes.read(&mut into[..most])
    }
}

fn is_compressed(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
    )
}

/// What a compressed file unpacks to, up to its damage, and whether it had none; `None` for others, and
/// where it is too much.
fn unpack(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    if !is_compressed(bytes) {
        return None;
    }
    let mut plain = Vec::new();
    let result = if bytes.starts_with(&[0x1f]) {
        MultiGzDecoder::new(bytes)
            .take(UNPACKED)
            .read_to_end(&mut plain)
    } else {
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes).ok()?;
        decoder.take(UNPACKED).read_to_end(&mut plain)
    };
    ((plain.len() as u64) < UNPACKED).then_some((plain, result.is_ok()))
}

fn seeds() -> Vec<Vec<u8>> {
    let packets = Traffic::new(3, 1, 2).packets();
    let packets = &packets[..packets.len().min(8)];
    let capture = |link| {
        let mut capture = Capture::new(link);
        capture.add_packets(packets);
        capture
    };
    let mut seeds = Vec::new();
    for (order, resolution) in [
        (ByteOrder::Little, Resolution::Micro),
        (ByteOrder::Big, Resolution::Nano),
    ] {
        seeds.push(capture(Link::Ethernet).to_pcap(order, resolution));
        let both = [capture(Link::LinuxSll2), capture(Link::RawIp)];
        seeds.push(pcap::to_pcapng(&both, order, resolution));
    }
    let compressed: Vec<Vec<u8>> = seeds
        .iter()
        .flat_map(|plain| [super::codings::gzip(plain), super::codings::zstd(plain)])
        .collect();
    seeds.extend(compressed);
    seeds
}
