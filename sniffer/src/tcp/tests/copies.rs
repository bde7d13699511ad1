//! One packet on two interfaces.

use super::*;
use Side::{Client, Server};

/// The draft as it comes by on another interface.
fn copy(draft: &Draft, interface: u32, time: i64) -> Draft {
    Draft {
        time,
        interface,
        ..draft.clone()
    }
}

fn numbered(mut draft: Draft, ip_id: u16) -> Draft {
    draft.ip_id = Some(ip_id);
    draft
}

#[test]
fn a_copy_on_another_interface_is_a_duplicate_and_no_retransmission() {
    let drafts = [
        syn(1),
        syn_ack(2),
        ack(Client, 3, 0, 0),
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        fin(Client, 30, 3, "", 4),
        fin(Server, 40, 4, "", 4),
        ack(Client, 50, 4, 5),
    ];
    let mut once = Bench::new();
    once.take(&drafts);
    once.finish(100);
    let told = once.told();
    for ip_ids in [false, true] {
        let mut twice = Bench::new();
        for (n, draft) in (0..).zip(&drafts) {
            let mut draft = draft.clone();
            draft.ip_id = ip_ids.then_some(n);
            twice.take(&[draft.clone(), copy(&draft, 1, draft.time + 1)]);
        }
        twice.finish(100);
        assert_eq!(twice.told(), told);
        let counters = twice.counters();
        assert_eq!(counters.duplicate_segments, 8);
        assert_eq!(counters.duplicate_bytes, 7);
        assert_eq!(counters.retransmitted_segments, 0);
        assert_eq!(counters.after_end, once.counters().after_end);
    }
}

#[test]
fn the_copy_captured_first_gives_the_time() {
    let mut bench = Bench::connected();
    let first = send(Client, 50, 0, "GET", 0);
    // Two files' clocks may differ: the copy that comes later may bear an earlier time.
    bench.take(&[first.clone(), copy(&first, 7, 20)]);
    assert_eq!(bench.told().last(), Some(&data(Client, "GET", 50)));
    assert_eq!(bench.counters().duplicate_segments, 1);
}

#[test]
fn what_is_acknowledged_on_one_interface_may_be_copied_later_on_another() {
    let mut bench = Bench::connected();
    let request = send(Client, 10, 0, "GET", 0);
    let seen = ack(Server, 11, 0, 3);
    bench.take(&[
        request.clone(),
        copy(&seen, 2, 11),
        copy(&request, 2, 12),
        copy(&seen, 0, 13),
        copy(&request, 5, 14),
    ]);
    bench.finish(20);
    let counters = bench.counters();
    assert_eq!(counters.duplicate_segments, 3);
    assert_eq!((counters.retransmitted_bytes, counters.gaps), (0, 0));
}

#[test]
fn the_same_packet_on_the_same_interface_is_a_retransmission() {
    let mut bench = Bench::connected();
    let first = send(Client, 10, 0, "GET", 0);
    bench.take(&[first.clone(), copy(&first, 0, 20)]);
    // Seen on two interfaces, and sent again, with its copy.
    let again = [
        copy(&first, 1, 21),
        copy(&first, 0, 30),
        copy(&first, 1, 31),
    ];
    bench.take(&again);
    let counters = bench.counters();
    assert_eq!(counters.duplicate_segments, 2);
    assert_eq!(counters.retransmitted_segments, 2);
}

#[test]
fn another_ip_identification_or_100_ms_make_it_a_retransmission() {
    for (id, later) in [(8, 20), (7, 100_011)] {
        let mut bench = Bench::connected();
        let first = numbered(send(Client, 10, 0, "GET", 0), 7);
        bench.take(&[first.clone(), copy(&numbered(first, id), 1, later)]);
        let counters = bench.counters();
        assert_eq!(counters.duplicate_segments, 0);
        assert_eq!(counters.retransmitted_segments, 1);
    }
    let mut bench = Bench::connected();
    let first = numbered(send(Client, 10, 0, "GET", 0), 7);
    bench.take(&[first.clone(), copy(&first, 1, 100_010)]);
    assert_eq!(bench.counters().duplicate_segments, 1);
}

#[test]
fn a_copy_that_the_capture_cut_less_fills_up_the_other() {
    let mut bench = Bench::connected();
    let mut cut = send(Client, 10, 0, "GE", 0);
    cut.cut = 1;
    let whole = copy(&send(Client, 11, 0, "GET", 0), 1, 11);
    bench.take(&[cut, whole, ack(Server, 20, 0, 3)]);
    bench.finish(30);
    let counters = bench.counters();
    assert_eq!((counters.handed_on_bytes, counters.gaps), (3, 0));
    assert_eq!(counters.duplicate_segments, 0);
}

#[test]
fn copies_do_not_hasten_the_rule_for_holes() {
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 5, "late", 0), ack(Server, 20, 0, 9)]);
    for n in 0..40 {
        let mut draft = numbered(ack(Server, 30 + i64::from(n), 0, 9), n);
        bench.take(&[draft.clone()]);
        for interface in 1..5 {
            draft.interface = interface;
            bench.take(&[draft.clone()]);
        }
    }
    assert_eq!(bench.told(), [], "41 packets since, not 201");
    assert_eq!(bench.counters().duplicate_segments, 160);
}

#[test]
fn what_passes_on_under_other_addresses_is_no_copy() {
    let mut bench = Bench::new();
    let first = [syn(1), send(Client, 2, 0, "GET", 0)];
    bench.take(&first);
    bench.server = "172.17.0.2:8000".parse().unwrap();
    bench.take(&first.map(|draft| copy(&draft, 1, draft.time)));
    let counters = bench.counters();
    assert_eq!((counters.connections, counters.duplicate_segments), (2, 0));
    assert_eq!(counters.handed_on_bytes, 6);
}

#[test]
fn what_is_remembered_for_copies_is_bounded_and_right_where_it_is_full() {
    let mut bench = Bench::connected();
    for n in 0..50_000u32 {
        let draft = send(Client, 10 + i64::from(n), n, "x", 0);
        bench.take(&[draft.clone(), copy(&draft, 1 + n % 3, draft.time)]);
    }
    bench.finish(60_000);
    let counters = bench.counters();
    assert_eq!(counters.handed_on_bytes, 50_000);
    assert_eq!(
        counters.duplicate_bytes, 50_000,
        "each right behind its own"
    );
}
