//! How connections begin: handshakes in every order, with data, repeated, refused, and port reuse.

use super::*;
use Side::{Client, Server};

/// A whole exchange behind a handshake.
fn exchange() -> Vec<Draft> {
    vec![
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        fin(Client, 30, 3, "", 4),
        fin(Server, 40, 4, "", 4),
    ]
}

fn told_of_exchange(bench: &Bench, from_start: bool) -> Vec<Told> {
    vec![
        bench.opened(from_start),
        data(Client, "GET", 10),
        data(Server, "HTTP", 20),
        Told::Fin(Client, 30),
        Told::Fin(Server, 40),
        Told::Close(CloseReason::Closed, 40),
    ]
}

#[test]
fn a_handshake_in_any_order_or_part_or_twice() {
    let parts = [syn(1), syn_ack(2), ack(Client, 3, 0, 0)];
    for order in [
        &[0, 1, 2][..],
        &[0, 2, 1],
        &[1, 0, 2],
        &[1, 2, 0],
        &[2, 0, 1],
        &[2, 1, 0],
        // Without the SYN, without the SYN-ACK, without the ACK, with one alone.
        &[1, 2],
        &[0, 2],
        &[0, 1],
        &[0],
        &[1],
        // Repeated, in whole and in part.
        &[0, 0, 1, 1, 2, 2],
        &[0, 1, 2, 0, 1, 2],
        &[1, 1, 0, 2, 1],
    ] {
        let mut bench = Bench::new();
        for (time, part) in (1..).zip(order) {
            let mut draft = parts.get(*part).unwrap().clone();
            draft.time = time;
            bench.take(&[draft]);
        }
        bench.take(&exchange());
        bench.finish(300_000);
        assert_eq!(bench.told(), told_of_exchange(&bench, true), "{order:?}");
        assert_eq!(bench.counters().connections, 1, "{order:?}");
    }
    // With the ACK alone, or with nothing, it is joined late: the beginning is not known for one.
    for drafts in [&parts[2..], &[]] {
        let mut bench = Bench::new();
        bench.take(drafts);
        bench.take(&exchange());
        bench.finish(300_000);
        let told = bench.told();
        assert_eq!(told, told_of_exchange(&bench, false));
    }
}

#[test]
fn the_syn_is_captured_among_the_data() {
    for place in 0..=3 {
        let mut bench = Bench::new();
        let mut drafts = exchange();
        drafts.insert(place, syn(9));
        bench.take(&drafts);
        bench.finish(300_000);
        let bytes = bench.counters().handed_on_bytes;
        assert_eq!((bytes, bench.counters().connections), (7, 1), "at {place}");
    }
}

#[test]
fn a_syn_sent_again_with_another_number_begins_anew() {
    // The first one got no answer; the client tries again from the same port.
    let mut bench = Bench::new();
    let mut first = syn(1);
    first.seq = 77_777_777;
    bench.take(&[first, syn(2), syn_ack(3)]);
    bench.take(&exchange());
    bench.finish(100);
    assert_eq!(bench.told(), told_of_exchange(&bench, true));
    assert_eq!(bench.counters().replaced, 1);
}

#[test]
fn both_ends_open_at_once() {
    // Both SYNs cross, and both are answered (RFC 9293 §3.5, figure 7).
    for client_first in [true, false] {
        let mut bench = Bench::new();
        let mut other_syn = syn_ack(1);
        other_syn.ack = None;
        let mut other_answer = syn(4);
        other_answer.ack = Some(SERVER_ISN + 1);
        let mut drafts = vec![syn(1), other_syn, syn_ack(3), other_answer];
        if !client_first {
            drafts.swap(0, 1);
            drafts.swap(2, 3);
        }
        bench.take(&drafts);
        bench.take(&exchange());
        bench.finish(100);
        // Whoever was first: the bytes tell who asks.
        assert_eq!(bench.told(), told_of_exchange(&bench, true));
        assert_eq!(bench.counters().connections, 1);
    }
}

#[test]
fn both_ends_close_at_once() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        // Neither FIN acknowledges the other.
        fin(Client, 30, 3, "", 4),
        fin(Server, 40, 4, "", 3),
        ack(Client, 50, 4, 5),
        ack(Server, 60, 5, 4),
    ]);
    assert_eq!(bench.told(), told_of_exchange(&bench, true));
    assert_eq!(bench.counters().after_end, 2);
}

#[test]
fn data_in_the_syn_that_is_accepted() {
    let mut bench = Bench::new();
    let mut first = syn(1);
    first.payload = b"GET".to_vec();
    let mut answer = syn_ack(2);
    answer.ack = Some(CLIENT_ISN + 1 + 3);
    bench.take(&[first, answer, send(Server, 20, 0, "HTTP", 3)]);
    bench.finish(30);
    let told = [
        bench.opened(true),
        data(Client, "GET", 1),
        data(Server, "HTTP", 20),
    ];
    assert_eq!(bench.told().get(..3), Some(&told[..]));
}

#[test]
fn data_in_the_syn_that_is_refused_comes_again() {
    let mut bench = Bench::new();
    let mut first = syn(1);
    first.payload = b"GET".to_vec();
    // The SYN-ACK acknowledges the SYN alone.
    bench.take(&[
        first,
        syn_ack(2),
        ack(Client, 3, 0, 0),
        send(Client, 4, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
    ]);
    bench.finish(30);
    let told = [
        bench.opened(true),
        data(Client, "GET", 1),
        data(Server, "HTTP", 20),
    ];
    assert_eq!(bench.told().get(..3), Some(&told[..]));
    let counters = bench.counters();
    assert_eq!((counters.retransmitted_bytes, counters.conflicts), (3, 0));
}

#[test]
fn data_in_the_syn_ack() {
    let mut first = syn(1);
    first.payload = b"GET".to_vec();
    let mut answer = syn_ack(2);
    answer.ack = Some(CLIENT_ISN + 1 + 3);
    answer.payload = b"HTTP".to_vec();
    for syn_is_late in [false, true] {
        let mut drafts = [first.clone(), answer.clone()];
        let mut parts = [data(Client, "GET", 1), data(Server, "HTTP", 2)];
        if syn_is_late {
            // Then nothing tells that the SYN carries what the SYN-ACK acknowledges.
            drafts.reverse();
            parts.reverse();
        }
        let mut bench = Bench::new();
        bench.take(&drafts);
        bench.take(&[fin(Server, 20, 4, "/1.1", 3)]);
        bench.finish(30);
        let told = bench.told();
        assert_eq!(told.get(1..3), Some(&parts[..]));
        assert_eq!(told.get(3), Some(&data(Server, "/1.1", 20)));
        let counters = bench.counters();
        assert_eq!((counters.connections, counters.gaps), (1, 0));
    }
}

#[test]
fn a_port_is_used_again_in_time_wait() {
    // The successor begins above its old numbers or below, near or far.
    for (up, is_far) in [
        (5_000, false),
        (1 << 29, true),
        (0u32.wrapping_sub(5_000), false),
    ] {
        for syn_is_lost in [false, true] {
            let mut bench = Bench::connected();
            bench.take(&exchange());
            bench.told();
            bench.shift = (up, up);
            let mut next = vec![syn(40), syn_ack(40)];
            if syn_is_lost {
                next.clear();
            }
            next.extend(exchange());
            bench.take(&next);
            bench.finish(300_000);
            let told = bench.told();
            // Below and near, its payload looks like a straggler: without a SYN there is no telling.
            let is_seen = !syn_is_lost || is_far || up < 1 << 31;
            let from_start = !syn_is_lost;
            let expected = if is_seen {
                told_of_exchange(&bench, from_start)
            } else {
                Vec::new()
            };
            assert_eq!(told, expected, "{up} {syn_is_lost}");
            let bytes = bench.counters().after_end_bytes;
            assert_eq!(bytes, if is_seen { 0 } else { 7 }, "{up} {syn_is_lost}");
        }
    }
}

#[test]
fn data_behind_a_fin_is_ignored_before_and_after_the_end() {
    let mut bench = Bench::connected();
    bench.take(&[
        fin(Client, 10, 0, "GET", 0),
        send(Client, 20, 4, "more", 0),
        fin(Client, 30, 0, "GET", 0),
        fin(Client, 35, 3, "", 0),
        fin(Server, 40, 0, "HTTP", 4),
        send(Client, 50, 4, "more", 5),
        fin(Server, 60, 0, "HTTP", 4),
    ]);
    bench.finish(70);
    let counters = bench.counters();
    assert_eq!(counters.handed_on_bytes, 7);
    assert_eq!(counters.retransmitted_bytes, 3);
    assert_eq!(counters.after_end_bytes, 4 + 4 + 4);
    assert_eq!((counters.connections, counters.gaps), (1, 0));
}

#[test]
fn a_half_closed_connection_carries_a_long_answer() {
    const SECOND: i64 = 1_000_000;
    let mut bench = Bench::connected();
    bench.handler.is_waiting = true;
    bench.take(&[fin(Client, 10, 0, "GET", 0), ack(Server, 20, 0, 4)]);
    for n in 0..200 {
        let time = i64::from(n + 1) * 10 * SECOND;
        bench.take(&[
            send(Server, time, n * 4, "HTTP", 4),
            ack(Client, time + 9, 4, n * 4 + 4),
        ]);
    }
    bench.take(&[fin(Server, 2_001 * SECOND, 800, "", 4)]);
    let told = bench.told();
    assert_eq!(told.get(2), Some(&Told::Fin(Client, 10)));
    assert_eq!(bench.counters().handed_on_bytes, 803);
    assert!(matches!(
        told.last(),
        Some(Told::Close(CloseReason::Closed, _))
    ));
}

#[test]
fn a_handshakes_parts_captured_after_the_end_are_stragglers() {
    // What each of them tells was not seen, or was a guess.
    let parts = [syn(50), syn_ack(51), ack(Client, 52, 0, 0)];
    for seen in 0..8 {
        let mut bench = Bench::new();
        let is_seen = |n: &usize| seen & (1 << n) != 0;
        for n in (0..3).filter(is_seen) {
            bench.take(parts.get(n..=n).unwrap());
        }
        bench.take(&exchange());
        bench.tick(300_000);
        for n in (0..3).filter(|n| !is_seen(n)) {
            bench.take(parts.get(n..=n).unwrap());
        }
        bench.finish(600_000);
        let counters = bench.counters();
        assert_eq!((counters.connections, counters.gaps), (1, 0), "{seen}");
        assert_eq!(counters.handed_on_bytes, 7, "{seen}");
    }
}

#[test]
fn a_syn_ack_to_another_syn_begins_another_connection() {
    // Payload of an old connection, then the answer to a SYN that was not captured.
    let mut bench = Bench::new();
    bench.take(&[send(Client, 1, 1 << 29, "GET old", 9), syn_ack(10)]);
    bench.take(&exchange());
    bench.finish(300_000);
    let told = bench.told();
    assert_eq!(told.first(), Some(&bench.opened(false)), "{told:?}");
    let successor = told_of_exchange(&bench, true);
    assert!(told.ends_with(&successor), "{told:?}");
    assert_eq!(bench.counters().replaced, 1);
}
