//! Order, repetition and the circle of sequence numbers.

use super::*;
use Side::{Client, Server};

/// An exchange with all that a network does to it: disorder, a retransmission, overlaps, one with other
/// bytes, a hole, a keep-alive probe, a FIN with data.
fn damaged() -> Vec<Draft> {
    vec![
        syn(1),
        syn_ack(2),
        ack(Client, 3, 0, 0),
        send(Client, 10, 4, "/ HTTP", 0),
        send(Client, 20, 0, "GET ", 0),
        send(Client, 30, 0, "GET / ", 0),
        send(Server, 40, 0, "HTTP", 10),
        send(Server, 50, 8, "beta", 10),
        send(Server, 60, 6, "XXXXgamma", 10),
        ack(Client, 70, 10, 15),
        send(Server, 80, 4, "alfa", 10),
        send(Server, 90, 14, "\0", 10),
        // Lost: [15, 20).
        send(Server, 100, 20, "delta", 10),
        ack(Client, 110, 10, 25),
        fin(Server, 400_000, 25, "end", 10),
        fin(Client, 400_010, 10, "", 29),
        ack(Server, 400_020, 29, 11),
    ]
}

#[test]
fn sequence_numbers_wrap_at_any_octet() {
    let mut plain = Bench::new();
    plain.take(&damaged());
    plain.finish(500_000);
    let (told, counters) = (plain.told(), plain.counters());
    assert!(told.contains(&Told::Gap(Server, 5, 250_110)), "{told:?}");
    assert_eq!((counters.conflicts, counters.gap_bytes), (2, 5));
    assert!(matches!(
        told.last(),
        Some(Told::Close(CloseReason::Closed, _))
    ));
    // The circle closes at the SYN, in a head, in a body, in a hole, in an overlap, at the FIN.
    for before in 0..40u32 {
        for (client, server) in [(before, 7), (7, before), (before, before)] {
            let mut bench = Bench::numbered(0u32.wrapping_sub(client), 0u32.wrapping_sub(server));
            bench.take(&damaged());
            bench.finish(500_000);
            assert_eq!(bench.told(), told, "{client} and {server} before 0");
            assert_eq!(bench.counters(), counters, "{client} and {server} before 0");
        }
    }
}

#[test]
fn joined_late_sequence_numbers_wrap_at_any_octet() {
    let mut plain = Bench::new();
    plain.take(damaged().get(3..).unwrap_or_default());
    plain.finish(500_000);
    let told = plain.told();
    for before in 0..40u32 {
        let first = 0u32.wrapping_sub(before);
        let mut bench = Bench::numbered(first, first);
        bench.take(damaged().get(3..).unwrap_or_default());
        bench.finish(500_000);
        assert_eq!(bench.told(), told, "{before} before 0");
    }
}

#[test]
fn out_of_order_within_a_window() {
    // Every order of five segments gives the same stream.
    let parts = ["GET ", "/ HT", "TP/1", ".1\r\n", "\r\n"];
    let mut order = vec![0usize, 1, 2, 3, 4];
    let mut orders = 0;
    permute(&mut order, 0, &mut |order| {
        orders += 1;
        let mut bench = Bench::connected();
        for (time, part) in (10..).zip(order) {
            let text = parts.get(*part).unwrap();
            bench.take(&[send(Client, time, *part as u32 * 4, text, 0)]);
        }
        bench.finish(100);
        let bytes: Vec<u8> = bench
            .told()
            .into_iter()
            .filter_map(|told| match told {
                Told::Data(Client, bytes, _) => Some(bytes),
                Told::Gap(..) => panic!("a gap in {order:?}"),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(bytes, parts.concat().as_bytes());
        let disorder = order.windows(2).any(|pair| pair.first() > pair.last());
        assert_eq!(bench.counters().out_of_order > 0, disorder, "{order:?}");
    });
    assert_eq!(orders, 120);
}

fn permute(items: &mut Vec<usize>, from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == items.len() {
        visit(items);
        return;
    }
    for to in from..items.len() {
        items.swap(from, to);
        permute(items, from + 1, visit);
        items.swap(from, to);
    }
}

#[test]
fn out_of_order_across_windows() {
    // The first segment is captured only after windows that were sent and acknowledged behind it.
    let mut bench = Bench::connected();
    let block = "x".repeat(1_000);
    for n in 1..=40 {
        bench.take(&[send(Server, n.into(), n * 1_000, &block, 0)]);
        if n % 10 == 0 {
            bench.take(&[ack(Client, n.into(), 0, (n + 1) * 1_000)]);
        }
    }
    bench.take(&[send(Server, 100, 0, &block, 0)]);
    bench.finish(200);
    let counters = bench.counters();
    assert_eq!(counters.handed_on_bytes, 41_000);
    assert_eq!((counters.gaps, counters.out_of_order), (0, 40));
}

#[test]
fn a_retransmission_is_counted_and_not_handed_on() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Client, 20, 0, "GET", 0),
        ack(Server, 30, 0, 3),
    ]);
    bench.finish(40);
    let counters = bench.counters();
    let seen = (
        counters.retransmitted_segments,
        counters.retransmitted_bytes,
    );
    assert_eq!(seen, (1, 3));
    assert_eq!((counters.conflicts, counters.duplicate_segments), (0, 0));
}

#[test]
fn an_overlap_brings_what_is_new_in_it() {
    for (first, then, at, text) in [
        // Exact, longer, shorter, over the end, over the beginning.
        (0, "abcd", 0, "abcd"),
        (0, "abcd", 0, "abcdef"),
        (0, "abcdef", 1, "bcd"),
        (0, "abcd", 2, "cdef"),
        (2, "cdef", 0, "abcd"),
        (2, "cd", 0, "abcdef"),
    ] {
        let mut bench = Bench::connected();
        bench.take(&[
            send(Client, 10, first, then, 0),
            send(Client, 20, at, text, 0),
        ]);
        bench.finish(30);
        let end = (first as usize + then.len()).max(at as usize + text.len());
        let counters = bench.counters();
        assert_eq!(counters.handed_on_bytes, end as u64, "{then} and {text}");
        assert_eq!(
            counters.retransmitted_bytes,
            (then.len() + text.len() - end) as u64
        );
        assert_eq!((counters.conflicts, counters.gaps), (0, 0));
    }
}

#[test]
fn of_an_overlap_with_other_bytes_the_first_stand() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 4, "true", 0),
        send(Client, 20, 2, "isFAKEof", 0),
        send(Client, 30, 0, "it", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "it", 30),
        data(Client, "is", 20),
        data(Client, "true", 10),
        data(Client, "of", 20),
    ];
    assert_eq!(bench.told(), told);
    bench.finish(40);
    let counters = bench.counters();
    assert_eq!((counters.conflicts, counters.conflict_bytes), (1, 4));
}
