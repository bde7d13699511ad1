//! The classifier on hand-made frames, by the kernel's test-run: what it takes, how much of it, and
//! what it says about it. Nothing is attached.

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, PerCpuArray, RingBuf},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};
use sniffer_ebpf::{
    maps::{COUNTERS, Counter, PACKETS, PORTS, port_bit},
    record::{FLAG_HEADERS_ONLY, FLAG_LAST, RecordHeader, SIZE_CLASSES},
};

use crate::{
    frames::{
        ACK, PORT, SYN, authentication, ethernet, extension, fragment, ipv4, ipv6, tcp, to_port,
    },
    support::{object, privileged},
};

/// `TC_ACT_UNSPEC`: go on with the next program.
const UNSPEC: u32 = u32::MAX;

struct Program {
    ebpf: Ebpf,
}

impl Program {
    fn load(ring_bytes: u32) -> Self {
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/src/capture/ebpf/llmtap.bpf.o");
        let path = object().unwrap_or_else(|| committed.into());
        let object = std::fs::read(path).expect("the object");
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(PACKETS, ring_bytes)
            .load(&object)
            .expect("it loads");
        let mut ports: Array<_, u64> = ebpf
            .map_mut(PORTS)
            .expect("a port set")
            .try_into()
            .expect("an array");
        let (key, mask) = port_bit(PORT);
        ports.set(key, mask, 0).expect("a port");
        for (_, program) in ebpf.programs_mut() {
            let program: &mut SchedClassifier = program.try_into().expect("a classifier");
            program.load().expect("the verifier takes it");
        }
        Self { ebpf }
    }

    /// Runs an entry on a frame; gives the records that it wrote.
    fn run(&mut self, entry: &str, frame: &[u8]) -> Vec<(RecordHeader, Vec<u8>)> {
        let program: &SchedClassifier = self
            .ebpf
            .program(entry)
            .expect("an entry")
            .try_into()
            .expect("a classifier");
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::new()
        };
        let result = program.test_run(options);
        let length = frame.len();
        let result =
            result.unwrap_or_else(|error| panic!("a test-run of {length} bytes: {error:?}"));
        assert_eq!(result.return_value, UNSPEC, "the packet goes on");
        let mut ring =
            RingBuf::try_from(self.ebpf.map_mut(PACKETS).expect("a ring")).expect("a ring");
        let mut records = Vec::new();
        while let Some(record) = ring.next() {
            let (header, bytes) = RecordHeader::split(&record).expect("a whole record");
            records.push((header, bytes.to_vec()));
        }
        records
    }

    fn counters(&self) -> [u64; Counter::COUNT] {
        let map = self.ebpf.map(COUNTERS).expect("counters");
        let map = PerCpuArray::<_, [u64; Counter::COUNT]>::try_from(map).expect("an array");
        let mut sum = [0; Counter::COUNT];
        for cpu in map.get(&0, 0).expect("key 0").iter() {
            for (total, of_cpu) in sum.iter_mut().zip(cpu) {
                *total += of_cpu;
            }
        }
        sum
    }
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug)]
enum Want {
    Nothing,
    /// All of it; TCP begins here.
    Whole(u16),
    /// Its headers, so many bytes; TCP begins here.
    Headers(u32, u16),
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<u8>, Want)> {
    use Want::{Headers, Nothing, Whole};
    let data = to_port(b"GET / HTTP/1.1\r\n");
    let odd = to_port(b"x");
    let bare = to_port(b"");
    let other = tcp(40_000, 8_001, ACK, &[], b"data");
    let v4 = |segment: &[u8]| ipv4(6, &[], 0x4000, segment);
    let v6 = |segment: &[u8]| ipv6(6, segment);
    // Hop-by-hop, destination options, routing, authentication, destination options, TCP.
    let chain = authentication(60, &extension(6, 0, &data));
    let chain = extension(60, 0, &extension(43, 0, &extension(51, 1, &chain)));
    vec![
        ("IPv4, data", ethernet(&[], &v4(&data)), Whole(34)),
        ("IPv4, one odd byte", ethernet(&[], &v4(&odd)), Whole(34)),
        (
            "IPv4, from the port",
            ethernet(&[], &v4(&tcp(PORT, 9, ACK, &[], b"data"))),
            Whole(34),
        ),
        (
            "IPv4, a pure ACK",
            ethernet(&[], &v4(&bare)),
            Headers(66, 34),
        ),
        (
            "IPv4, an ACK with padding",
            ethernet(&[], &v4(&tcp(1, PORT, ACK, &[], b""))),
            Headers(54, 34),
        ),
        (
            "IPv4, a SYN",
            ethernet(&[], &v4(&tcp(1, PORT, SYN, &[2, 4, 5, 0xb4], b""))),
            Headers(58, 34),
        ),
        (
            "IPv4, options",
            ethernet(&[], &ipv4(6, &[1; 12], 0, &data)),
            Whole(46),
        ),
        (
            "IPv4, all options",
            ethernet(&[], &ipv4(6, &[1; 40], 0, &bare)),
            Headers(106, 74),
        ),
        ("IPv4, another port", ethernet(&[], &v4(&other)), Nothing),
        (
            "IPv4, UDP to the port",
            ethernet(&[], &ipv4(17, &[], 0, &data)),
            Nothing,
        ),
        (
            "IPv4, first fragment",
            ethernet(&[], &ipv4(6, &[], 0x2000, &data)),
            Whole(34),
        ),
        (
            "IPv4, first fragment elsewhere",
            ethernet(&[], &ipv4(6, &[], 0x2000, &other)),
            Nothing,
        ),
        (
            "IPv4, later fragment",
            ethernet(&[], &ipv4(6, &[], 0x2003, &[7; 64])),
            Whole(0),
        ),
        (
            "IPv4, last fragment",
            ethernet(&[], &ipv4(6, &[], 0x0003, &[7; 9])),
            Whole(0),
        ),
        (
            "IPv4, fragment of UDP",
            ethernet(&[], &ipv4(17, &[], 0x0003, &[7; 64])),
            Nothing,
        ),
        (
            "IPv4, no version 4",
            ethernet(&[], &{
                let mut packet = v4(&data);
                packet[0] = 0x55;
                let mut frame = packet.clone();
                frame[0] = 0x45;
                frame
            }),
            Whole(34),
        ),
        ("IPv6, data", ethernet(&[], &v6(&data)), Whole(54)),
        (
            "IPv6, a pure ACK",
            ethernet(&[], &v6(&bare)),
            Headers(86, 54),
        ),
        ("IPv6, another port", ethernet(&[], &v6(&other)), Nothing),
        ("IPv6, UDP", ethernet(&[], &ipv6(17, &data)), Nothing),
        (
            "IPv6, hop-by-hop",
            ethernet(&[], &ipv6(0, &extension(6, 0, &data))),
            Whole(62),
        ),
        (
            "IPv6, hop-by-hop, a pure ACK",
            ethernet(&[], &ipv6(0, &extension(6, 0, &bare))),
            Headers(94, 62),
        ),
        (
            "IPv6, a long routing header",
            ethernet(&[], &ipv6(43, &extension(6, 4, &data))),
            Whole(94),
        ),
        (
            "IPv6, a chain of headers",
            ethernet(&[], &ipv6(0, &chain)),
            Whole(54 + 8 + 8 + 16 + 24 + 8),
        ),
        (
            "IPv6, a chain without end",
            ethernet(
                &[],
                &ipv6(
                    60,
                    &(0..20).fold(data.clone(), |rest, _| extension(60, 0, &rest)),
                ),
            ),
            Nothing,
        ),
        (
            "IPv6, first fragment",
            ethernet(&[], &ipv6(44, &fragment(6, 0, true, &data))),
            Whole(62),
        ),
        (
            "IPv6, first fragment elsewhere",
            ethernet(&[], &ipv6(44, &fragment(6, 0, true, &other))),
            Nothing,
        ),
        (
            "IPv6, later fragment",
            ethernet(&[], &ipv6(44, &fragment(6, 3, true, &[7; 64]))),
            Whole(0),
        ),
        (
            "IPv6, later fragment of UDP",
            ethernet(&[], &ipv6(44, &fragment(17, 3, true, &[7; 64]))),
            Nothing,
        ),
        (
            "IPv6, a fragment behind a header",
            ethernet(
                &[],
                &ipv6(0, &extension(44, 0, &fragment(6, 3, false, &[7; 64]))),
            ),
            Whole(0),
        ),
        ("VLAN", ethernet(&[0x8100], &v4(&data)), Whole(38)),
        (
            "VLAN, a pure ACK",
            ethernet(&[0x8100], &v4(&bare)),
            Headers(70, 38),
        ),
        ("QinQ", ethernet(&[0x88a8, 0x8100], &v6(&data)), Whole(62)),
        (
            "QinQ, the older number",
            ethernet(&[0x9100, 0x8100], &v4(&data)),
            Whole(42),
        ),
        (
            "VLAN, another port",
            ethernet(&[0x8100], &v4(&other)),
            Nothing,
        ),
        (
            "three tags",
            ethernet(&[0x88a8, 0x8100, 0x8100], &v4(&data)),
            Nothing,
        ),
        (
            "BIG TCP: a length of 0",
            ethernet(&[], &{
                let mut packet = v4(&data);
                packet[2..4].fill(0);
                packet
            }),
            Whole(34),
        ),
        (
            "BIG TCP, IPv6",
            ethernet(&[], &{
                let mut packet = v6(&data);
                packet[4..6].fill(0);
                packet
            }),
            Whole(54),
        ),
        (
            "a TCP header too short to be one",
            ethernet(
                &[],
                &v4(&{
                    let mut segment = data.clone();
                    segment[12] = 0x10;
                    segment
                }),
            ),
            Whole(34),
        ),
        (
            "ARP",
            [&[0xff_u8; 12][..], &[8, 6], &[0; 46]].concat(),
            Nothing,
        ),
    ]
}

#[test]
fn each_kind_of_frame_is_taken_as_it_should_be() {
    if !privileged("each_kind_of_frame_is_taken_as_it_should_be") {
        return;
    }
    let mut program = Program::load(1 << 20);
    for (name, frame, want) in cases() {
        for (entry, direction) in [("llmtap_eth_in", 0), ("llmtap_eth_out", 1)] {
            let records = program.run(entry, &frame);
            let (length, transport, flags) = match want {
                Want::Nothing => {
                    assert!(records.is_empty(), "{name}: {records:?}");
                    continue;
                }
                Want::Whole(transport) => (frame.len(), transport, FLAG_LAST),
                Want::Headers(length, transport) => {
                    (length as usize, transport, FLAG_LAST | FLAG_HEADERS_ONLY)
                }
            };
            let [(header, bytes)] = &records[..] else {
                panic!("{name}: {} records", records.len())
            };
            assert_eq!(bytes, &frame[..length], "{name}");
            assert_eq!(header.total_len as usize, frame.len(), "{name}");
            assert_eq!(
                (header.transport, header.flags),
                (transport, flags),
                "{name}"
            );
            assert_eq!(
                (header.offset, header.direction, header.link),
                (0, direction, 0),
                "{name}"
            );
            assert!(header.time > 0 && header.ifindex > 0, "{name}");
        }
    }
    let [examined, seen, captured, no_room, not_loaded, ..] = program.counters();
    assert_eq!(examined, 2 * cases().len() as u64);
    assert_eq!((captured, no_room, not_loaded), (seen, 0, 0));
}

/// Devices without a link header: the same packets, from the IP header on.
#[test]
fn raw_ip_is_taken_from_its_first_byte() {
    if !privileged("raw_ip_is_taken_from_its_first_byte") {
        return;
    }
    let mut program = Program::load(1 << 20);
    for (packet, transport) in [
        (ipv4(6, &[], 0, &to_port(b"data")), Some(20)),
        (ipv6(6, &to_port(b"data")), Some(40)),
        (ipv4(17, &[], 0, &to_port(b"data")), None),
        (vec![0; 60], None),
    ] {
        for (entry, direction) in [("llmtap_ip_in", 0), ("llmtap_ip_out", 1)] {
            let records = program.run(entry, &packet);
            let got = records.first().map(|(header, bytes)| {
                assert_eq!(bytes, &packet);
                assert_eq!(
                    (header.link, header.network, header.direction),
                    (1, 0, direction)
                );
                header.transport
            });
            assert_eq!(got, transport);
        }
    }
}

/// Every length around the bounds of the size classes. The kernel's test-run takes packets of a
/// page at most; the larger ones are sent for real, in `namespaces`.
#[test]
fn no_byte_is_lost_at_the_bounds_of_the_size_classes() {
    if !privileged("no_byte_is_lost_at_the_bounds_of_the_size_classes") {
        return;
    }
    let mut program = Program::load(1 << 20);
    for class in SIZE_CLASSES.into_iter().filter(|class| *class < 3_000) {
        for length in class - 2..=class + 2 {
            let payload: Vec<u8> = (0..length - 66).map(|at| (at % 251) as u8).collect();
            let frame = ethernet(&[], &ipv4(6, &[], 0, &to_port(&payload)));
            assert_eq!(frame.len(), length);
            let records = program.run("llmtap_eth_in", &frame);
            let [(header, bytes)] = &records[..] else {
                panic!("{length}: {} records", records.len())
            };
            assert!(header.is_last() && *bytes == frame, "{length}");
        }
    }
}

/// A frame that ends too early is passed over or taken as it is, never read past its end.
#[test]
fn every_truncation_is_harmless() {
    if !privileged("every_truncation_is_harmless") {
        return;
    }
    let mut program = Program::load(1 << 20);
    for (name, frame, _) in cases() {
        // The kernel's test-run refuses an IP header that is cut. Behind a VLAN tag it does not
        // look, nor where there is no link header: 12 bytes into an IP packet is no EtherType.
        let shortest = match frame[12..14] {
            [0x08, 0x00] => 14 + 20,
            [0x86, 0xdd] => 14 + 40,
            _ => 15,
        };
        for (entry, whole, shortest) in [
            ("llmtap_eth_in", &frame[..], shortest),
            ("llmtap_ip_in", &frame[14..], 15),
        ] {
            for cut in shortest..whole.len() {
                for (header, bytes) in program.run(entry, &whole[..cut]) {
                    assert_eq!(header.total_len as usize, cut, "{name}");
                    assert!(bytes == whole[..bytes.len()], "{name} at {cut}");
                }
            }
        }
    }
    let [_, seen, captured, no_room, not_loaded, ..] = program.counters();
    assert_eq!((captured, no_room, not_loaded), (seen, 0, 0));
}

#[test]
fn what_finds_no_room_is_counted_exactly() {
    if !privileged("what_finds_no_room_is_counted_exactly") {
        return;
    }
    let mut program = Program::load(128 << 10);
    let frame = ethernet(&[], &ipv4(6, &[], 0, &to_port(&[7; 400])));
    let entry: &SchedClassifier = program
        .ebpf
        .program("llmtap_eth_in")
        .expect("an entry")
        .try_into()
        .expect("a classifier");
    for _ in 0..1_000 {
        let options = TestRunOptions {
            data_in: Some(&frame),
            ..TestRunOptions::new()
        };
        entry.test_run(options).expect("a test-run");
    }
    let [examined, seen, captured, no_room, not_loaded, bytes, _] = program.counters();
    // A record takes 8 + 48 + 512 bytes, and the ring keeps one byte free.
    let fits = (128 << 10) / (8 + 48 + 512);
    assert_eq!((examined, seen), (1_000, 1_000));
    assert_eq!((captured, no_room, not_loaded), (fits, 1_000 - fits, 0));
    assert_eq!(bytes, fits * frame.len() as u64);

    let records = program.run("llmtap_eth_in", &frame);
    assert_eq!(records.len() as u64, fits, "the ring was still full");
    assert_eq!(
        program.run("llmtap_eth_in", &frame).len(),
        1,
        "and then there was room again"
    );
}
