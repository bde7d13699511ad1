//! Files that end, and reads that end, at every byte.

use std::io::{Cursor, Read};

use super::{drain, gzip, read, zstd};
use crate::capture::{
    PacketSource,
    file::{
        FileSource, NamedReader,
        buffer::Order,
        write::{Magic, Writer},
    },
};

#[test]
fn every_cut_gives_what_came_before_and_one_warning() {
    for (name, whole, records) in captures() {
        let all = read(whole.clone()).unwrap().0;
        let (mut most, mut between) = (0, 0);
        for cut in 4..whole.len() {
            let (seen, stats) = read(whole[..cut].to_vec()).unwrap();
            assert_eq!(seen, all[..seen.len()], "{name} {cut}");
            // A packet more with each record that is whole, and never one less.
            assert!((most..=most + 1).contains(&seen.len()), "{name} {cut}");
            most = seen.len();
            let told: Vec<_> = stats
                .warnings
                .iter()
                .filter(|warning| warning.contains("x.pcap is cut off"))
                .collect();
            match told[..] {
                [] => between += 1,
                [warning] => {
                    let place = format!("after packet {most},");
                    assert!(
                        warning.contains(&place) || warning.contains("inside its header"),
                        "{name} {cut}: {warning}"
                    );
                }
                _ => panic!("{name} {cut}: {told:?}"),
            }
        }
        assert_eq!(most + 1, all.len(), "{name}");
        // A cut between two records leaves no trace in the file.
        assert_eq!(between, records, "{name}");
    }
}

#[test]
fn every_cut_of_a_compressed_file_is_told() {
    for (name, plain, _) in captures() {
        let all = read(plain.clone()).unwrap().0;
        for (packing, whole) in [("gzip", gzip(&plain)), ("zstd", zstd(&plain))] {
            let mut most = 0;
            for cut in 4..whole.len() {
                match read(whole[..cut].to_vec()) {
                    Ok((seen, stats)) => {
                        assert_eq!(seen, all[..seen.len()], "{name} {packing} {cut}");
                        assert!(seen.len() >= most, "{name} {packing} {cut}");
                        most = seen.len();
                        let told = stats.warnings.iter().any(|told| told.contains("cut off"));
                        assert!(told, "{name} {packing} {cut}: {:?}", stats.warnings);
                    }
                    // Nothing came out of the stream yet.
                    Err(error) => {
                        assert!(error.to_string().contains("stream is cut off"), "{error}");
                        assert_eq!(most, 0);
                    }
                }
            }
        }
    }
}

/// Gives the first so many bytes in one read, and of the rest so many a read.
struct InPieces {
    bytes: Cursor<Vec<u8>>,
    first: usize,
    then: usize,
}

impl Read for InPieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let at = self.bytes.position() as usize;
        let most = self.first.checked_sub(at).filter(|rest| *rest > 0);
        let end = into.len().min(most.unwrap_or(self.then));
        self.bytes.read(&mut into[..end])
    }
}

#[test]
fn every_byte_boundary_gives_the_same() {
    for (name, plain, _) in captures() {
        let want = read(plain.clone()).unwrap();
        for whole in [plain.clone(), gzip(&plain), zstd(&plain)] {
            let splits = (1..whole.len()).map(|first| (first, usize::MAX));
            for (first, then) in splits.chain([(1, 1), (1, 2), (1, 3), (1, 7)]) {
                let pieces = InPieces {
                    bytes: Cursor::new(whole.clone()),
                    first,
                    then,
                };
                let readers: Vec<NamedReader> = vec![("x.pcap".into(), Box::new(pieces))];
                let mut source = FileSource::from_readers(readers).unwrap();
                let seen = drain(&mut source);
                assert_eq!((seen, source.stats()), want, "{name} {first} {then}");
            }
        }
    }
}

/// Small captures of every format: the name, the bytes, and the records before the last, which is a
/// packet; the file's header counts as one.
fn captures() -> Vec<(&'static str, Vec<u8>, usize)> {
    let pcap = |order, magic| {
        Writer::pcap(order, magic, 1)
            .record(1, 5, 3, b"one")
            .record(2, 6, 30, b"two, and more")
            .bytes
    };
    let modified = Writer::pcap(Order::Big, Magic::Modified, 101)
        .modified_record(1, 5, b"one")
        .modified_record(2, 6, b"two, and more");
    let blocks = |first, second| {
        Writer::new(first)
            .section(first)
            .interface(1, 0, &[(2, b"eth0"), (9, &[9])])
            .packet(0, 1_000_000_000, b"one")
            .statistics(0, 1, 2)
            .block(0xbad, &[0; 40])
            .obsolete_packet(0, 2_000_000_000, b"two, and more")
            .section(second)
            .interface(276, 0, &[(14, &[0; 8])])
            .simple_packet(5, b"three")
            .packet(0, 4_000_000, b"four")
            .bytes
    };
    vec![
        ("little", pcap(Order::Little, Magic::Micro), 2),
        ("big", pcap(Order::Big, Magic::Nano), 2),
        ("modified", modified.bytes, 2),
        ("blocks", blocks(Order::Little, Order::Big), 9),
        ("blocks, big", blocks(Order::Big, Order::Little), 9),
    ]
}
