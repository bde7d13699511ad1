//! Fragments of datagrams.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{at, raw, take, v4, v6};
use crate::{
    capture::{LinkType, Packet},
    packet::{Decoded, Decoder, Limits, Reason},
};

#[test]
fn fragments_in_every_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    let mut extended = v6(&[9; 100]);
    extended.extensions = vec![(60, vec![0; 7])];
    for packet in [v4(&[9; 100]), v6(&[9; 100]), extended] {
        for order in orders {
            let fragments = packet.fragments(77, &[8, 48]);
            let mut decoder = Decoder::default();
            for (n, index) in order.into_iter().enumerate() {
                let came = decoder.decode(&at(n as i64, LinkType::RawIp, &fragments[index]));
                match (n, came) {
                    (0 | 1, Decoded::Fragment) => {}
                    (2, Decoded::Segment(segment)) => {
                        assert_eq!(segment.time.as_micros(), 2);
                        assert_eq!(
                            (segment.source, segment.destination),
                            (packet.source, packet.destination)
                        );
                        assert_eq!((segment.payload, segment.wire_len), (&[9; 100][..], 100));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(decoder.counters().datagrams_reassembled, 1);
        }
    }
}

#[test]
fn duplicates_pass_and_overlaps_refuse_the_datagram() {
    let packet = v4(&[9; 100]);
    let fragments = packet.fragments(1, &[40, 80]);
    let mut decoder = Decoder::default();
    let given =
        [0, 0, 2, 2, 1].map(|i| take(decoder.decode(&at(0, LinkType::RawIp, &fragments[i]))));
    assert_eq!(given[..4], [Ok(None), Ok(None), Ok(None), Ok(None)]);
    assert_eq!(given[4], Ok(Some((vec![9; 100], 100))));
    assert_eq!(decoder.counters().fragments_duplicate, 2);

    let others = packet.fragments(1, &[32, 48]);
    let mut decoder = Decoder::default();
    let mut give = |bytes: &[u8]| take(decoder.decode(&at(0, LinkType::RawIp, bytes)));
    assert_eq!(give(&fragments[0]), Ok(None));
    assert_eq!(give(&others[1]), Err(Reason::FragmentOverlap));
    assert_eq!(give(&fragments[1]), Err(Reason::FragmentOverlap));
    assert_eq!(give(&fragments[2]), Err(Reason::FragmentOverlap));
    assert_eq!(decoder.counters().fragment_overlap, 3);
}

#[test]
fn two_ends_of_one_datagram_are_an_overlap() {
    let long = v4(&[9; 100]).fragments(1, &[40, 80]);
    let short = v4(&[9; 30]).fragments(1, &[40]);
    for order in [[&short[1], &long[2]], [&long[2], &short[1]]] {
        let mut decoder = Decoder::default();
        let given = order.map(|bytes| take(decoder.decode(&at(0, LinkType::RawIp, bytes))));
        assert_eq!(given, [Ok(None), Err(Reason::FragmentOverlap)]);
    }
}

#[test]
fn fragments_that_no_datagram_can_have() {
    let packet = v4(&[9; 100]);
    for (field, length) in [
        // In the middle, but not in units of 8; past the end; empty.
        (0x2001u16, 12),
        (0x1fff, 16),
        (0x0001, 0),
    ] {
        let mut bytes = packet.ip();
        bytes.truncate(20 + length);
        bytes[2..4].copy_from_slice(&(20 + length as u16).to_be_bytes());
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        assert_eq!(raw(&bytes), Err(Reason::FragmentBad), "{field:x}");
    }
    let cut = &packet.fragments(1, &[40])[1];
    let mut decoder = Decoder::default();
    let whole = at(0, LinkType::RawIp, cut);
    let came = decoder.decode(&Packet {
        data: &cut[..cut.len() - 1],
        ..whole
    });
    assert_eq!(came, Decoded::Ignored(Reason::Cut));
}

#[test]
fn datagrams_are_kept_within_bounds() {
    let packet = v4(&[9; 100]);
    let limits = Limits {
        datagrams: 2,
        bytes: 4096,
        wait_micros: 30_000_000,
    };
    let mut decoder = Decoder::new(limits);
    let mut give = |time, id, index: usize| {
        let bytes = &packet.fragments(id, &[40])[index];
        take(decoder.decode(&at(time, LinkType::RawIp, bytes)))
    };
    for id in [1, 2, 3] {
        assert_eq!(give(0, id, 0), Ok(None));
    }
    // The oldest was given up, the others wait for 30 s and no longer.
    assert_eq!(give(0, 1, 1), Ok(None));
    assert!(matches!(give(30_000_000, 3, 1), Ok(Some(_))));
    assert_eq!(give(30_000_001, 1, 0), Ok(None));
    assert_eq!(decoder.counters().datagrams_evicted, 2);
    assert_eq!(decoder.counters().datagrams_timed_out, 1);

    let mut decoder = Decoder::new(Limits {
        bytes: 300,
        ..limits
    });
    let mut give = |id, index: usize| {
        let bytes = &packet.fragments(id, &[80])[index];
        take(decoder.decode(&at(0, LinkType::RawIp, bytes)))
    };
    assert_eq!((give(1, 0), give(2, 0)), (Ok(None), Ok(None)));
    assert!(matches!(give(1, 1), Ok(Some(_))));
    assert_eq!(decoder.counters().datagrams_evicted, 0);
    let mut decoder = Decoder::new(Limits {
        bytes: 200,
        ..limits
    });
    let mut give = |id, index: usize| {
        let bytes = &packet.fragments(id, &[80])[index];
        take(decoder.decode(&at(0, LinkType::RawIp, bytes)))
    };
    assert_eq!(
        (give(1, 0), give(2, 0), give(1, 1)),
        (Ok(None), Ok(None), Ok(None))
    );
    assert_eq!(decoder.counters().datagrams_evicted, 2);
}

/// A frame of another interface than 0.
fn on(interface: u32, micros: i64, data: &[u8]) -> Packet<'_> {
    Packet {
        interface,
        ..at(micros, LinkType::RawIp, data)
    }
}

/// Nothing waits any more: all that was begun came to an end.
fn ended(decoder: &Decoder) -> bool {
    let counters = decoder.counters();
    let ends = [
        counters.datagrams_reassembled,
        counters.datagrams_duplicate,
        counters.datagrams_timed_out,
        counters.datagrams_evicted,
        counters.datagrams_refused,
    ];
    counters.datagrams_begun == ends.iter().sum::<u64>()
}

#[test]
fn copies_on_another_interface_are_told_from_new_datagrams() {
    for packet in [v4(&[9; 100]), v6(&[9; 100])] {
        let [first, last] = packet.fragments(7, &[40]).try_into().unwrap();
        for order in [
            [(1, &first), (2, &first), (1, &last), (2, &last)],
            [(1, &first), (1, &last), (2, &first), (2, &last)],
            [(1, &last), (2, &first), (2, &last), (1, &first)],
        ] {
            let mut decoder = Decoder::default();
            let came =
                order.map(|(interface, bytes)| take(decoder.decode(&on(interface, 0, bytes))));
            let whole = Ok(Some((vec![9; 100], 100)));
            assert_eq!(came.iter().filter(|came| **came == whole).count(), 1);
            assert_eq!(came.iter().filter(|came| **came == Ok(None)).count(), 3);
            assert_eq!(decoder.counters().fragments_duplicate, 2);
            assert!(ended(&decoder), "{:?}", decoder.counters());
        }
    }
}

#[test]
fn fragments_over_two_interfaces_are_one_datagram() {
    let fragments = v4(&[9; 100]).fragments(7, &[40, 80]);
    let mut decoder = Decoder::default();
    let came = [(1, 0), (2, 1), (1, 2)]
        .map(|(interface, index)| take(decoder.decode(&on(interface, 0, &fragments[index]))));
    assert_eq!(came, [Ok(None), Ok(None), Ok(Some((vec![9; 100], 100)))]);
    assert!(ended(&decoder));
}

#[test]
fn copies_that_were_cut_differently_are_no_overlap() {
    let payload: Vec<u8> = (0..200).collect();
    let whole = Ok(Some((payload.clone(), 200)));
    let packet = v4(&payload);
    let (wide, narrow) = (packet.fragments(7, &[160]), packet.fragments(7, &[80, 168]));
    for order in [
        [
            (1, &wide[0]),
            (2, &narrow[0]),
            (1, &wide[1]),
            (2, &narrow[1]),
            (2, &narrow[2]),
        ],
        [
            (1, &wide[0]),
            (2, &narrow[0]),
            (2, &narrow[1]),
            (2, &narrow[2]),
            (1, &wide[1]),
        ],
        [
            (2, &narrow[0]),
            (2, &narrow[1]),
            (1, &wide[0]),
            (1, &wide[1]),
            (2, &narrow[2]),
        ],
    ] {
        let mut decoder = Decoder::default();
        let came: Vec<_> = order
            .into_iter()
            .map(|(interface, bytes)| take(decoder.decode(&on(interface, 0, bytes))))
            .collect();
        assert_eq!(
            came.iter().filter(|came| **came == whole).count(),
            1,
            "{came:?}"
        );
        let counters = decoder.counters();
        assert_eq!(
            (counters.fragment_overlap, counters.datagrams_duplicate),
            (0, 1)
        );
        assert!(ended(&decoder), "{counters:?}");
    }
}

#[test]
fn an_identification_that_is_used_again() {
    let mut decoder = Decoder::default();
    for value in [1, 2, 1] {
        let [first, last] = v4(&[value; 100]).fragments(7, &[40]).try_into().unwrap();
        let mut give = |bytes: &[u8]| take(decoder.decode(&at(0, LinkType::RawIp, bytes)));
        // The first fragment of all three is the same but for its payload's first octets.
        let came = [give(&first), give(&last)];
        let whole = Ok(Some((vec![value; 100], 100)));
        if value == 1 && decoder.counters().datagrams_begun == 2 {
            // The same once more, 30 s not having passed: a copy.
            assert_eq!(came, [Ok(None), Ok(None)]);
        } else {
            assert_eq!(came, [Ok(None), whole]);
        }
    }
    assert_eq!(decoder.counters().datagrams_reassembled, 2);
    assert_eq!(decoder.counters().fragments_duplicate, 2);
}

#[test]
fn a_datagram_has_the_time_of_its_latest_fragment() {
    let fragments = v4(&[9; 100]).fragments(7, &[40, 80]);
    for times in [[1, 2, 3], [3, 2, 1], [1, 3, 2], [-3, -2, -1]] {
        let mut decoder = Decoder::default();
        for (index, time) in times.into_iter().enumerate() {
            let came = decoder.decode(&at(time, LinkType::RawIp, &fragments[index]));
            match came {
                Decoded::Segment(segment) => {
                    assert_eq!(Some(segment.time.as_micros()), times.into_iter().max());
                }
                came => assert_eq!((came, index < 2), (Decoded::Fragment, true)),
            }
        }
    }
}

#[test]
fn a_tcp_header_over_several_fragments() {
    for packet in [v4(b"0123456789"), v6(b"0123456789")] {
        let fragments = packet.fragments(7, &[8, 16, 24]);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut decoder = Decoder::default();
            let came = order.map(|i| take(decoder.decode(&at(0, LinkType::RawIp, &fragments[i]))));
            assert_eq!(came[..3], [Ok(None), Ok(None), Ok(None)]);
            assert_eq!(came[3], Ok(Some((b"0123456789".to_vec(), 10))));
        }
    }
}

#[test]
fn a_datagram_too_short_for_its_header() {
    let mut packet = v4(b"");
    packet.payload = vec![0; 16];
    let fragments = packet.fragments_of(6, 7, &[8]);
    let mut decoder = Decoder::default();
    let came = [0, 1].map(|i| take(decoder.decode(&at(0, LinkType::RawIp, &fragments[i]))));
    assert_eq!(came, [Ok(None), Err(Reason::BadHeader)]);
}

proptest! {
    /// Any split of a datagram, in any order, with duplicates in between, gives the payload back.
    #[test]
    fn any_fragmentation_gives_the_datagram(
        payload in vec(any::<u8>(), 1..300),
        cuts in vec(1usize..36, 1..8),
        shuffle in vec(any::<u32>(), 20),
        version in select(vec![4, 6]),
    ) {
        let packet = if version == 4 { v4(&payload) } else { v6(&payload) };
        let length = packet.tcp().len();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut * 8).filter(|cut| *cut < length).collect();
        cuts.sort_unstable();
        cuts.dedup();
        if cuts.is_empty() {
            cuts.push(8);
        }
        let fragments = packet.fragments(5, &cuts);
        // Each twice; the last one completes the datagram, and its twin is known for a copy.
        let mut order: Vec<_> = (0..fragments.len()).collect();
        order.sort_by_key(|index| shuffle[*index]);
        let last = order.pop().unwrap();
        let mut twice: Vec<_> = order.iter().chain(&order).copied().collect();
        twice.sort_by_key(|index| shuffle[*index + 8]);
        let mut decoder = Decoder::default();
        for index in twice {
            let came = take(decoder.decode(&at(0, LinkType::RawIp, &fragments[index])));
            prop_assert_eq!(came, Ok(None));
        }
        let came = take(decoder.decode(&at(0, LinkType::RawIp, &fragments[last])));
        prop_assert_eq!(came, Ok(Some((payload.clone(), payload.len() as u32))));
        let came = take(decoder.decode(&at(0, LinkType::RawIp, &fragments[last])));
        prop_assert_eq!(came, Ok(None));
        let counters = decoder.counters();
        prop_assert_eq!((counters.datagrams_begun, counters.datagrams_reassembled), (1, 1));
        prop_assert_eq!(counters.fragments_duplicate as usize, fragments.len());
    }

    /// A datagram captured in two places, cut in any way in each and in any order: it comes out once,
    /// and nothing is left over.
    #[test]
    fn any_two_copies_give_the_datagram_once(
        payload in vec(any::<u8>(), 60..300),
        cuts in vec(vec(1usize..36, 0..6), 2),
        shuffle in vec(any::<u32>(), 20),
        version in select(vec![4, 6]),
    ) {
        let packet = if version == 4 { v4(&payload) } else { v6(&payload) };
        let length = packet.tcp().len();
        let mut all = Vec::new();
        for (place, cuts) in (1..).zip(cuts) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut * 8).filter(|cut| *cut < length).collect();
            cuts.push(8);
            cuts.sort_unstable();
            cuts.dedup();
            all.extend(packet.fragments(5, &cuts).into_iter().map(|bytes| (place, bytes)));
        }
        let mut order: Vec<_> = (0..all.len()).collect();
        order.sort_by_key(|index| shuffle[*index]);
        let mut decoder = Decoder::default();
        let mut wholes = 0;
        for index in order {
            let (place, bytes) = &all[index];
            match take(decoder.decode(&on(*place, 0, bytes))) {
                Ok(None) => {}
                Ok(Some(whole)) => {
                    wholes += 1;
                    prop_assert_eq!(whole, (payload.clone(), payload.len() as u32));
                }
                Err(reason) => prop_assert!(false, "{reason:?}"),
            }
        }
        prop_assert_eq!(wholes, 1);
        prop_assert!(ended(&decoder), "{:?}", decoder.counters());
    }

    /// Any fragments of any content, in two places: nothing is lost track of.
    #[test]
    fn any_fragments_are_accounted_for(
        pieces in vec((0u16..12, 1usize..6, any::<bool>(), 0u8..2, 1u32..3, 0u16..2), 1..60),
        bytes in 0usize..2000,
    ) {
        let limits = Limits { datagrams: 3, bytes, wait_micros: 20 };
        let mut decoder = Decoder::new(limits);
        let payloads = [[7; 60], [8; 60]];
        for (time, (offset, length, more, content, place, id)) in pieces.into_iter().enumerate() {
            let mut ip = v4(&payloads[usize::from(content)]).ip();
            ip.truncate(20 + length * 8);
            ip[2..4].copy_from_slice(&(20 + length as u16 * 8).to_be_bytes());
            ip[4..6].copy_from_slice(&id.to_be_bytes());
            ip[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
            let _ = decoder.decode(&on(place, time as i64, &ip));
        }
        // Far later, one whole datagram of fragments ends all that waited.
        for ip in v4(&[9; 100]).fragments(99, &[40]) {
            let _ = decoder.decode(&on(1, 1000, &ip));
        }
        let counters = decoder.counters();
        prop_assert!(ended(&decoder), "{counters:?}");
    }
}
