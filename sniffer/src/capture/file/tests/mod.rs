mod boundaries;

use std::io::{Cursor, Read, Write as _};

use proptest::prelude::*;

use super::{
    FileSource, MAX_RECORD,
    buffer::Order,
    write::{Magic, Writer},
};
use crate::capture::{CaptureError, CaptureStats, LinkType, Next, PacketSource};

/// Time in microseconds, link type, bytes, length on the wire.
type Seen = (i64, LinkType, Vec<u8>, u32);

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

#[test]
fn pcap_of_every_byte_order_and_unit() {
    for order in ORDERS {
        for (magic, ticks) in [(Magic::Micro, 999_999), (Magic::Nano, 999_999_999)] {
            let file = Writer::pcap(order, magic, 1)
                .record(1_754_000_000, ticks, 1500, b"one")
                .record(1_754_000_000, 0, 3, b"two");
            let (seen, stats) = read(file.bytes).unwrap();
            assert_eq!(
                seen,
                [
                    (
                        1_754_000_000_999_999,
                        LinkType::Ethernet,
                        b"one".to_vec(),
                        1500
                    ),
                    (
                        1_754_000_000_000_000,
                        LinkType::Ethernet,
                        b"two".to_vec(),
                        3
                    ),
                ]
            );
            assert_eq!((stats.packets, stats.bytes), (2, 6));
            assert!(stats.warnings.is_empty());
        }
        let file = Writer::pcap(order, Magic::Modified, 101)
            .modified_record(1, 2, b"x")
            .modified_record(1, 3, b"yz");
        let (seen, _) = read(file.bytes).unwrap();
        assert_eq!(
            seen,
            [
                (1_000_002, LinkType::RawIp, b"x".to_vec(), 1),
                (1_000_003, LinkType::RawIp, b"yz".to_vec(), 2)
            ]
        );
    }
}

#[test]
fn pcapng_sections_interfaces_and_blocks() {
    for (first, second) in [(Order::Little, Order::Big), (Order::Big, Order::Little)] {
        let file = Writer::new(first)
            .section(first)
            .interface(1, 0, &[(2, b"eth0")])
            .interface(113, 0, &[(9, &[9])])
            .block(0xbad, &[0; 400])
            .packet(0, 1_000_001, b"first")
            .packet(1, 2_000_000_999, b"second")
            .obsolete_packet(1, 3_000_000_000, b"third")
            .simple_packet(9, b"fourth123")
            .section(second)
            .interface(276, 4, &[(9, &[0x80 | 1])])
            .packet(0, 9, b"fifth")
            .simple_packet(9, b"cut!");
        let (seen, stats) = read(file.bytes).unwrap();
        assert_eq!(
            seen,
            [
                (1_000_001, LinkType::Ethernet, b"first".to_vec(), 6),
                (2_000_000, LinkType::LinuxSll, b"second".to_vec(), 7),
                (3_000_000, LinkType::LinuxSll, b"third".to_vec(), 5),
                (3_000_000, LinkType::Ethernet, b"fourth123".to_vec(), 9),
                (4_500_000, LinkType::LinuxSll2, b"fifth".to_vec(), 6),
                (4_500_000, LinkType::LinuxSll2, b"cut!".to_vec(), 9),
            ]
        );
        assert_eq!(stats.warnings.len(), 1, "{:?}", stats.warnings);
        assert!(stats.warnings[0].contains("without a time"));
    }
}

#[test]
fn pcapng_resolutions_are_cut_not_rounded() {
    let time = |options: &[(u16, &[u8])], ticks: u64| {
        let file = Writer::new(Order::Little)
            .section(Order::Little)
            .interface(1, 0, options)
            .packet(0, ticks, b"x");
        read(file.bytes).unwrap().0[0].0
    };
    let offset = (-2i64).to_le_bytes();
    for (options, ticks, micros) in [
        (&[][..], 5, 5),
        (&[(9, &[0][..])][..], 7, 7_000_000),
        (&[(9, &[3])], 7, 7_000),
        (&[(9, &[9])], 1_999, 1),
        (&[(9, &[12])], 1_999_999, 1),
        (&[(9, &[39])], u64::MAX, 0),
        (&[(9, &[127])], u64::MAX, 0),
        (&[(9, &[0x80])], 3, 3_000_000),
        (&[(9, &[0x80 | 0x14])], (1 << 20) + 1, 1_000_000),
        (&[(9, &[0xff])], u64::MAX, 0),
        (&[(9, &[0])], u64::MAX, i64::MAX),
        (&[(14, &offset)], 3_000_000, 1_000_000),
    ] {
        assert_eq!(time(options, ticks), micros, "{options:?} {ticks}");
    }
}

#[test]
fn the_capturing_programs_losses_are_told() {
    let file = Writer::new(Order::Big)
        .section(Order::Big)
        .interface(1, 0, &[])
        .statistics(0, 1, 2)
        .statistics(0, 3, 5)
        .section(Order::Big)
        .interface(1, 0, &[])
        .statistics(0, 10, 20)
        .statistics(99, 1000, 1000);
    let (_, stats) = read(file.bytes).unwrap();
    assert_eq!((stats.dropped_interface, stats.dropped_ring), (13, 25));
}

#[test]
fn gzip_with_several_members_and_zstd() {
    let plain = two_packets();
    let want = read(plain.clone()).unwrap();
    let (head, tail) = plain.split_at(30);
    assert_eq!(read([gzip(head), gzip(tail)].concat()).unwrap(), want);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"meta"].concat();
    let frames = [skippable, zstd(head), zstd(tail)].concat();
    assert_eq!(read(frames).unwrap(), want);
}

#[test]
fn cut_and_damaged_compressed_streams() {
    let mut file = Writer::pcap(Order::Little, Magic::Micro, 1);
    let mut noise = 1u32;
    for second in 0..4000 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        file = file.record(second, 0, 200, &noise.to_le_bytes().repeat(50));
    }
    for packed in [gzip(&file.bytes), zstd(&file.bytes)] {
        let (seen, stats) = read(packed[..packed.len() - 20].to_vec()).unwrap();
        assert!(seen.len() > 1000, "{}", seen.len());
        assert_eq!(stats.warnings.len(), 1);
        assert!(
            stats.warnings[0].contains("stream is cut off"),
            "{}",
            stats.warnings[0]
        );
    }
    let mut packed = gzip(&file.bytes);
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    let (seen, stats) = read(packed).unwrap();
    assert_eq!((seen.len(), stats.warnings.len()), (4000, 1));
    assert!(
        stats.warnings[0].contains("gzip stream is damaged"),
        "{}",
        stats.warnings[0]
    );
}

#[test]
fn a_bad_length_ends_the_file_with_a_warning() {
    let mut file = Writer::pcap(Order::Little, Magic::Micro, 1).record(1, 0, 3, b"one");
    file.u32(2).u32(0).u32(MAX_RECORD + 1).u32(MAX_RECORD + 1);
    file.bytes.resize(200, 0);
    let (seen, stats) = read(file.bytes).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        stats.warnings,
        [
            "x.pcap is damaged at byte 43, after packet 1: a length field says 16777217 bytes, which no record has (a packet has at most 16777216); what comes before it was read, what follows is missing"
        ]
    );

    let start = Writer::new(Order::Little)
        .section(Order::Little)
        .interface(1, 0, &[]);
    let good = start.clone().packet(0, 1, b"one").packet(0, 2, b"two");
    let mut trailer = good.clone();
    let last = trailer.bytes.len() - 4;
    trailer.bytes[last] ^= 4;
    let mut captured = Writer::new(Order::Little);
    captured.u32(0).u32(0).u32(2).u32(400).u32(400).u32(0);
    let captured = start.clone().packet(0, 1, b"one").block(6, &captured.bytes);
    let short = start.clone().packet(0, 1, b"one").block(6, &[0; 4]);
    let mut odd = start.packet(0, 1, b"one");
    odd.u32(6).u32(33);
    for broken in [trailer, captured, short, odd] {
        let (seen, stats) = read(broken.bytes).unwrap();
        assert_eq!((seen.len(), stats.warnings.len()), (1, 1));
        assert!(
            stats.warnings[0].contains("damaged"),
            "{}",
            stats.warnings[0]
        );
    }
}

#[test]
fn hostile_lengths_allocate_nothing_up_front() {
    let mut file = Writer::pcap(Order::Little, Magic::Micro, 1);
    file.u32(2).u32(0).u32(MAX_RECORD).u32(MAX_RECORD);
    let mut buffer = super::buffer::ReadBuffer::new(Box::new(Cursor::new(file.bytes)), 64);
    assert_eq!(buffer.fill(MAX_RECORD as usize), super::buffer::Fill::Short);
    assert!(buffer.capacity() <= 128);
}

#[test]
fn unsupported_link_types_are_counted_and_named_once() {
    let file = Writer::new(Order::Little)
        .section(Order::Little)
        .interface(147, 0, &[])
        .interface(1, 0, &[])
        .packet(0, 1, b"air")
        .packet(1, 2, b"wire")
        .packet(0, 3, b"air")
        .packet(9, 4, b"nowhere")
        .packet(9, 5, b"nowhere");
    let (seen, stats) = read(file.bytes).unwrap();
    assert_eq!(seen, [(2, LinkType::Ethernet, b"wire".to_vec(), 5)]);
    assert_eq!(stats.unsupported_link, 4);
    assert_eq!(stats.warnings.len(), 2, "{:?}", stats.warnings);
    assert!(stats.warnings[0].contains("link type 147"));
    assert!(stats.warnings[1].contains("interface 9"));
}

#[test]
fn what_is_no_capture_is_refused_in_words() {
    let refused = |bytes: &[u8]| read(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(
        refused(b"hello, world"),
        "x.pcap is not a capture file: it begins with \"hello, w\"; llmtap reads pcap and pcapng, also gzip- or zstd-compressed (write one with: tcpdump -i any -w FILE tcp port PORT)"
    );
    assert!(refused(&[0x7f, b'E', b'L', b'F', 2]).contains("begins with 7f 45 4c 46 02;"));
    assert!(refused(b"").contains("is empty (0 bytes)"));
    assert!(refused(b"ab").contains("begins with \"ab\""));
    assert!(refused(&gzip(b"")).contains("nothing in its gzip stream"));
    assert!(refused(&gzip(b"text")).contains("its gzip-compressed data begins with \"text\""));
    assert!(refused(&gzip(b"text")[..12]).contains("gzip stream is cut off"));
    assert!(refused(b"BZh91AY").contains("bzip2 -dc x.pcap | llmtap replay -"));
    let mut order = Writer::new(Order::Little).section(Order::Little).bytes;
    order[8] = 0;
    assert!(refused(&order).contains("byte order"));
    let mut version = Writer::new(Order::Little).section(Order::Little).bytes;
    version[12] = 9;
    assert!(refused(&version).contains("version 9"));
}

#[test]
fn a_header_without_packets_is_fine() {
    let (seen, stats) = read(Writer::pcap(Order::Big, Magic::Nano, 1).bytes).unwrap();
    assert!(seen.is_empty());
    assert_eq!(stats, CaptureStats::default());
    let (seen, _) = read(Writer::new(Order::Big).section(Order::Big).bytes).unwrap();
    assert!(seen.is_empty());
}

#[test]
fn paths_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: std::path::PathBuf| FileSource::open(&[path]).err().unwrap().to_string();
    assert!(text(folder.path().join("none.pcap")).contains("none.pcap does not exist"));
    assert!(text(folder.path().to_path_buf()).contains("is a directory"));
    let path = folder.path().join("good.pcap");
    std::fs::write(&path, two_packets()).unwrap();
    let mut source = FileSource::open(&[path]).unwrap();
    assert_eq!(drain(&mut source).len(), 2);
    let length = two_packets().len() as u64;
    let position = source.position();
    assert_eq!((position.read(), position.total()), (length, Some(length)));
}

#[test]
fn files_merge_by_time_and_keep_their_own_order() {
    let file = |seconds: &[(u32, &[u8])]| {
        let start = Writer::pcap(Order::Little, Magic::Micro, 1);
        seconds
            .iter()
            .fold(start, |file, (s, data)| file.record(*s, 0, 0, data))
            .bytes
    };
    let files = vec![
        file(&[(1, b"a1"), (5, b"a5"), (2, b"a2")]),
        file(&[]),
        file(&[(1, b"c1"), (3, b"c3"), (5, b"c5"), (9, b"c9")]),
    ];
    let mut source = FileSource::from_readers(named(files)).unwrap();
    let names: Vec<_> = drain(&mut source).into_iter().map(|seen| seen.2).collect();
    assert_eq!(names, [b"a1", b"c1", b"c3", b"a5", b"a2", b"c5", b"c9"]);
    assert!(matches!(source.next(), Ok(Next::End)));
}

#[test]
fn check_sequences_are_no_part_of_the_packet() {
    for order in ORDERS {
        // Four bytes, in pairs; without the bit that says so the number means nothing.
        for (link, fcs) in [(0x2400_0001, 4), (0x2000_0001, 0)] {
            let file = Writer::pcap_of_link(order, Magic::Micro, link)
                .record(1, 0, 10, b"packet-fcs")
                .record(2, 0, 10, b"packet-f")
                .record(3, 0, 10, b"pac")
                .record(4, 0, 2, b"xx");
            let (seen, _) = read(file.bytes).unwrap();
            let seen: Vec<_> = seen.into_iter().map(|seen| (seen.2, seen.3)).collect();
            let want: [(&[u8], u32); 4] = match fcs {
                4 => [(b"packet", 6), (b"packet", 6), (b"pac", 6), (b"", 0)],
                _ => [
                    (b"packet-fcs", 10),
                    (b"packet-f", 10),
                    (b"pac", 10),
                    (b"xx", 2),
                ],
            };
            assert_eq!(
                seen,
                want.map(|(bytes, wire_len)| (bytes.to_vec(), wire_len))
            );
        }
        for length in [4, 32] {
            let file = Writer::new(order)
                .section(order)
                .interface(1, 0, &[(13, &[length])])
                .packet(0, 1, b"packet-fcs");
            let (seen, _) = read(file.bytes).unwrap();
            // The writer says one byte more on the wire.
            assert_eq!((&seen[0].2[..], seen[0].3), (&b"packet-"[..], 7));
        }
    }
}

#[test]
fn a_record_longer_than_the_snapshot_length_is_read() {
    let long = vec![7; 300_000];
    let file = Writer::pcap(Order::Little, Magic::Micro, 1).record(1, 0, 300_000, &long);
    let (seen, stats) = read(file.bytes).unwrap();
    assert!(seen == [(1_000_000, LinkType::Ethernet, long, 300_000)]);
    assert!(stats.warnings.is_empty());
}

#[test]
fn interfaces_are_told_apart() {
    let interfaces = |bytes: Vec<Vec<u8>>| {
        let mut source = FileSource::from_readers(named(bytes)).unwrap();
        let mut seen = Vec::new();
        while let Next::Packet(packet) = source.next().unwrap() {
            seen.push(packet.interface);
        }
        seen
    };
    let patched = |index| {
        Writer::pcap(Order::Big, Magic::Modified, 1)
            .modified_record_of(index, 1, 0, b"x")
            .bytes
    };
    let blocks = Writer::new(Order::Little)
        .section(Order::Little)
        .interface(1, 0, &[])
        .interface(1, 0, &[])
        .packet(0, 1, b"x")
        .packet(1, 2, b"x");
    assert_eq!(interfaces(vec![patched(3), patched(4)]), [3, 0x1_0004]);
    assert_eq!(
        interfaces(vec![blocks.bytes.clone(), blocks.bytes]),
        [0, 0x1_0000, 1, 0x1_0001]
    );
}

proptest! {
    /// The merge against its twin: each file's packets keyed by the largest time before them, then sorted.
    #[test]
    fn merge_model(files in prop::collection::vec(prop::collection::vec(0u32..20, 0..12), 1..6)) {
        let bytes = files.iter().enumerate().map(|(i, times)| {
            times.iter().fold(Writer::pcap(Order::Little, Magic::Micro, 1), |file, time| {
                file.record(*time, 0, 0, &[i as u8])
            }).bytes
        });
        let mut source = FileSource::from_readers(named(bytes.collect())).unwrap();
        let seen: Vec<_> =
            drain(&mut source).into_iter().map(|s| ((s.0 / 1_000_000) as u32, s.2[0])).collect();

        let mut model = Vec::new();
        for (i, times) in files.iter().enumerate() {
            let mut latest = 0;
            for (n, time) in times.iter().enumerate() {
                latest = latest.max(*time);
                model.push((latest, i, n, *time));
            }
        }
        model.sort_unstable();
        let model: Vec<_> = model.into_iter().map(|(_, i, _, time)| (time, i as u8)).collect();
        prop_assert_eq!(seen, model);
    }

    #[test]
    fn random_bytes_after_a_magic_never_panic(
        magic in prop::sample::select(vec![
            0xa1b2_c3d4u32, 0xa1b2_3c4d, 0xa1b2_cd34, 0xd4c3_b2a1, 0x0a0d_0d0a,
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let _ = read([&magic.to_le_bytes()[..], &bytes].concat());
    }

    #[test]
    fn damaged_captures_never_panic(flips in prop::collection::vec((0usize..400, any::<u8>()), 1..8)) {
        let mut bytes = Writer::new(Order::Little)
            .section(Order::Little)
            .interface(1, 0, &[(9, &[9]), (14, &[0; 8])])
            .packet(0, 1, &[7; 40])
            .statistics(0, 1, 1)
            .obsolete_packet(0, 2, &[8; 30])
            .simple_packet(20, &[9; 20])
            .bytes;
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        if let Ok((seen, _)) = read(bytes) {
            prop_assert!(seen.len() <= 3);
        }
    }
}

fn two_packets() -> Vec<u8> {
    Writer::pcap(Order::Little, Magic::Micro, 1)
        .record(1, 0, 3, b"one")
        .record(2, 0, 30, b"two, and more")
        .bytes
}

fn named(files: Vec<Vec<u8>>) -> Vec<super::NamedReader> {
    let reader = |bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>;
    files
        .into_iter()
        .map(|bytes| ("x.pcap".into(), reader(bytes)))
        .collect()
}

fn read(bytes: Vec<u8>) -> Result<(Vec<Seen>, CaptureStats), CaptureError> {
    let mut source = FileSource::from_readers(named(vec![bytes]))?;
    let seen = drain(&mut source);
    let stats = source.stats();
    assert_eq!(stats.packets, seen.len() as u64);
    Ok((seen, stats))
}

fn drain(source: &mut FileSource) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Next::Packet(p) = source.next().unwrap() {
        seen.push((p.time.as_micros(), p.link, p.data.to_vec(), p.wire_len));
    }
    seen
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}
