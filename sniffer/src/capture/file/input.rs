//! One capture file: what it is, its next packet, and what is wrong with it.

use std::{
    collections::HashSet,
    io::{ErrorKind, Read},
};

use analyzer::time::Timestamp;
use flate2::bufread::MultiGzDecoder;

use super::{
    Damage, Head, MAX_RECORD, Step,
    buffer::ReadBuffer,
    pcap::Pcap,
    pcapng::{Lost, Pcapng},
};
use crate::capture::{CaptureError, CaptureStats, LinkType, Packet};

/// What to read and how to get it, for messages.
const READABLE: &str = "llmtap reads pcap and pcapng, also gzip- or zstd-compressed (write one with: tcpdump -i any -w FILE tcp port PORT)";

/// A capture file that is being read.
pub(super) struct Input {
    name: String,
    buffer: ReadBuffer,
    packing: Packing,
    format: Format,
    head: Option<(Head, LinkType)>,
    /// Packets found so far.
    packets: u64,
    /// Link types that were warned of.
    unsupported: HashSet<u16>,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
    /// Read to its end, or to its damage.
    Done(Lost),
}

/// How the bytes of a file are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Input {
    /// Finds out what a file is and reads its header. `None`, and a warning, for a capture that is cut
    /// off inside its header.
    pub(super) fn open(
        name: String,
        reader: Box<dyn Read + Send>,
        capacity: usize,
        stats: &mut CaptureStats,
    ) -> Result<Option<Self>, CaptureError> {
        let (mut buffer, packing) = unpack(&name, ReadBuffer::new(reader, capacity), capacity)?;
        buffer.fill(4);
        let magic = buffer.at_hand().first_chunk::<4>().copied();
        let format = match magic {
            Some(magic) if Pcap::recognises(magic) => Pcap::open(&mut buffer).map(Format::Pcap),
            Some(magic) if Pcapng::recognises(magic) => {
                Pcapng::open(&mut buffer).map(Format::Pcapng)
            }
            _ => return Err(refuse(&name, packing, &mut buffer)),
        };
        match format {
            Ok(format) => Ok(Some(Self {
                name,
                buffer,
                packing,
                format,
                head: None,
                packets: 0,
                unsupported: HashSet::new(),
            })),
            Err(Damage::Cut) => {
                stats.warn(format!(
                    "{name} is cut off inside its header, at byte {}: no packet is left in it",
                    buffer.at_hand().len()
                ));
                Ok(None)
            }
            Err(damage) => Err(CaptureError(format!(
                "{name} begins like a capture file, but {}: it is damaged or of a kind that llmtap does not know; {READABLE}",
                describe(damage)
            ))),
        }
    }

    /// Leaves the packet behind and finds the next one of a link type that is read. Its time.
    pub(super) fn advance(&mut self, stats: &mut CaptureStats) -> Option<Timestamp> {
        if let Some((head, _)) = self.head.take() {
            self.buffer.consume_bytes(head.total);
        }
        loop {
            let step = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.buffer),
                Format::Pcapng(pcapng) => pcapng.next(&mut self.buffer),
                Format::Done(_) => return None,
            };
            match step {
                Step::Packet(head) => {
                    self.packets += 1;
                    if let Some(link) = head.link.and_then(LinkType::from_number) {
                        self.head = Some((head, link));
                        return Some(head.time);
                    }
                    self.pass_over(head, stats);
                }
                Step::Note(sentence) => stats.warn(format!("{} {sentence}", self.name)),
                Step::End if self.buffer.error().is_none() => self.finish(),
                Step::End => self.break_off(Damage::Cut, stats),
                Step::Broken(damage) => self.break_off(damage, stats),
            }
        }
    }

    /// The packet found last, of the file with this number among all that are read.
    pub(super) fn packet(&self, file: usize) -> Option<Packet<'_>> {
        let (head, link) = self.head?;
        let data = self
            .buffer
            .at_hand()
            .get(head.skip..head.skip + head.captured)?;
        Some(Packet {
            time: head.time,
            link,
            data,
            wire_len: head.wire_len,
            interface: (file as u32) << 16 | u32::from(head.interface),
        })
    }

    /// What the capturing program says that it lost.
    pub(super) fn lost(&self) -> Lost {
        match &self.format {
            Format::Pcap(_) => Lost::default(),
            Format::Pcapng(pcapng) => pcapng.lost(),
            Format::Done(lost) => *lost,
        }
    }

    fn pass_over(&mut self, head: Head, stats: &mut CaptureStats) {
        stats.unsupported_link += 1;
        if let Some(link) = head.link
            && self.unsupported.insert(link)
        {
            stats.warn(format!(
                "{} has frames of link type {link}, which llmtap does not read: they are counted and left out (the types are listed at https://www.tcpdump.org/linktypes.html)",
                self.name
            ));
        }
        self.buffer.consume_bytes(head.total);
    }

    fn finish(&mut self) {
        self.format = Format::Done(self.lost());
        // A merge of many files holds no memory for those that are done.
        self.buffer = ReadBuffer::new(Box::new(std::io::empty()), 0);
    }

    fn break_off(&mut self, damage: Damage, stats: &mut CaptureStats) {
        let (name, at, packets) = (&self.name, self.buffer.offset(), self.packets);
        let place = match self.packing {
            Packing::Plain => format!("byte {at}"),
            Packing::Gzip | Packing::Zstd => format!("byte {at} of its decompressed data"),
        };
        let what = match (damage, self.buffer.error()) {
            (Damage::Cut, Some(error)) => {
                let why = self.packing.explain(error);
                format!(
                    "could not be read to its end ({why}); the record at {place}, after packet {packets}, is incomplete or missing"
                )
            }
            (Damage::Cut, None) => {
                format!("is cut off: the record at {place}, after packet {packets}, is incomplete")
            }
            _ => format!(
                "is damaged at {place}, after packet {packets}: {}",
                describe(damage)
            ),
        };
        stats.warn(format!(
            "{name} {what}; what comes before it was read, what follows is missing"
        ));
        self.finish();
    }
}

impl Packing {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// An error of the decompressor or of the file, in words.
    fn explain(self, error: &std::io::Error) -> String {
        let name = self.name();
        match self {
            Self::Plain => error.to_string(),
            _ if error.kind() == ErrorKind::UnexpectedEof => {
                format!("its {name} stream is cut off")
            }
            _ => format!("its {name} stream is damaged: {error}"),
        }
    }
}

/// Puts a decompressor before a compressed file. One layer: nobody compresses twice.
fn unpack(
    name: &str,
    mut raw: ReadBuffer,
    capacity: usize,
) -> Result<(ReadBuffer, Packing), CaptureError> {
    raw.fill(4);
    let (reader, packing): (Box<dyn Read + Send>, _) = match raw.at_hand() {
        [0x1f, 0x8b, ..] => (Box::new(MultiGzDecoder::new(raw)), Packing::Gzip),
        // A frame, or one of the 16 kinds of skippable frame that some programs put first (RFC 8878 §3.1).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(|error| {
                CaptureError(format!("{name}: no zstd decoder could be made: {error}"))
            })?;
            (Box::new(decoder), Packing::Zstd)
        }
        _ => return Ok((raw, Packing::Plain)),
    };
    Ok((ReadBuffer::new(reader, capacity), packing))
}

/// Why a file that begins like none of the known kinds is not read.
fn refuse(name: &str, packing: Packing, buffer: &mut ReadBuffer) -> CaptureError {
    buffer.fill(8);
    let start = buffer.at_hand();
    let start = start.get(..8).unwrap_or(start);
    if let Some(error) = buffer.error() {
        return CaptureError(format!(
            "{name} could not be read: {}; check the file and its disk, or make the capture anew",
            packing.explain(error)
        ));
    }
    if start.is_empty() {
        let nothing = match packing {
            Packing::Plain => "is empty (0 bytes)".to_owned(),
            _ => format!("has nothing in its {} stream (0 bytes)", packing.name()),
        };
        return CaptureError(format!(
            "{name} {nothing}, so there is no capture in it: {READABLE}"
        ));
    }
    if let Some((kind, command)) = other_packing(start) {
        return CaptureError(format!(
            "{name} is compressed with {kind}, which llmtap does not read: unpack it first ({command} {name} | llmtap replay -)"
        ));
    }
    let text = str::from_utf8(start)
        .ok()
        .filter(|t| t.chars().all(|c| (' '..='~').contains(&c)));
    let shown = text.map_or_else(
        || {
            start
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" ")
        },
        |text| format!("\"{text}\""),
    );
    let place = match packing {
        Packing::Plain => "it",
        Packing::Gzip => "its gzip-compressed data",
        Packing::Zstd => "its zstd-compressed data",
    };
    CaptureError(format!(
        "{name} is not a capture file: {place} begins with {shown}; {READABLE}"
    ))
}

/// Compressions that are recognised, to name them, but not read.
fn other_packing(start: &[u8]) -> Option<(&'static str, &'static str)> {
    match start {
        [b'B', b'Z', b'h', ..] => Some(("bzip2", "bzip2 -dc")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(("xz", "xz -dc")),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(("lz4", "lz4 -dc")),
        [b'P', b'K', 3, 4, ..] => Some(("zip", "unzip -p")),
        _ => None,
    }
}

fn describe(damage: Damage) -> String {
    match damage {
        Damage::Cut => "it ends too early".into(),
        Damage::Length(length) => format!(
            "a length field says {length} bytes, which no record has (a packet has at most {MAX_RECORD})"
        ),
        Damage::Trailer => "the two lengths of a block differ".into(),
        Damage::Block => "a block is too short for its fields".into(),
        Damage::ByteOrder => "its mark of the byte order is none".into(),
        Damage::Version(version) => format!("it says to be of version {version}"),
    }
}
