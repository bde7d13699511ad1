//! Order, cause and effect, and what never comes.

use super::*;
use Side::{Client, Server};

#[test]
fn what_a_sender_had_received_counts_what_was_lost() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "ask", 0),
        send(Server, 20, 4, "wer", 3),
        send(Client, 30, 3, "next", 7),
    ]);
    bench.finish(40);
    let gap = Told::Gap(Server, 4, 40);
    assert!(bench.told().contains(&gap));
    assert_eq!(bench.handler.received, [Some(0), Some(3), Some(7)]);

    // Numbers that cannot be, and segments that say none.
    let mut bench = Bench::connected();
    let silent = Draft {
        ack: None,
        ..send(Client, 10, 0, "ask", 0)
    };
    bench.take(&[silent, send(Server, 20, 0, "answer", 1 << 30)]);
    bench.finish(30);
    assert_eq!(bench.handler.received, [None, None]);
}

#[test]
fn disorder_is_put_right_and_times_are_kept() {
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 3, "def", 0), send(Client, 20, 0, "abc", 0)]);
    let told = [
        bench.opened(true),
        data(Client, "abc", 20),
        data(Client, "def", 10),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().out_of_order, 1);
}

#[test]
fn of_bytes_that_come_twice_the_first_stand() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "abc", 0),
        send(Client, 20, 0, "abcdef", 0),
        send(Client, 30, 0, "abc", 0),
        send(Client, 40, 8, "ij", 0),
        send(Client, 50, 6, "gh!!kl", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "abc", 10),
        data(Client, "def", 20),
        data(Client, "gh", 50),
        data(Client, "ij", 40),
        data(Client, "kl", 50),
    ];
    assert_eq!(bench.told(), told);
    let counters = bench.counters();
    assert_eq!(counters.retransmitted_bytes, 3 + 3 + 2);
    assert_eq!(counters.retransmitted_segments, 1);
    assert_eq!(counters.conflicts, 1);
}

#[test]
fn keep_alive_probes_bring_nothing() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Client, 20, 2, "\0", 0),
        ack(Client, 30, 2, 0),
        send(Client, 40, 3, "!", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 10),
        data(Client, "!", 40),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().keep_alives, 2);
}

#[test]
fn an_answer_waits_for_its_request() {
    let mut bench = Bench::connected();
    bench.take(&[ack(Server, 9, 0, 3), send(Server, 10, 0, "HTTP", 3)]);
    assert_eq!(bench.told(), []);
    bench.take(&[send(Client, 20, 0, "GET", 0)]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 20),
        data(Server, "HTTP", 10),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!((bench.counters().held, bench.counters().gaps), (1, 0));
}

#[test]
fn a_hole_becomes_a_gap_250_ms_after_it_was_acknowledged() {
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 5, "late", 0)]);
    bench.tick(10_000_000);
    assert_eq!(bench.told(), [], "not acknowledged");
    bench.take(&[ack(Server, 10_000_100, 0, 9)]);
    bench.tick(10_250_099);
    assert_eq!(bench.told(), []);
    bench.tick(20_000_000);
    let told = [
        bench.opened(true),
        Told::Gap(Client, 5, 10_250_100),
        data(Client, "late", 10),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn a_hole_becomes_a_gap_64_packets_after_it_was_acknowledged() {
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 5, "late", 0), ack(Server, 20, 0, 9)]);
    for n in 0..63 {
        bench.take(&[ack(Server, 30 + n, 0, 9)]);
    }
    assert_eq!(bench.told(), []);
    bench.take(&[ack(Server, 100, 0, 9)]);
    let told = [
        bench.opened(true),
        Told::Gap(Client, 5, 100),
        data(Client, "late", 10),
    ];
    assert_eq!(bench.told(), told);
    // What comes after all is old.
    bench.take(&[send(Client, 110, 0, "never", 0)]);
    assert_eq!(bench.told(), []);
}

#[test]
fn a_retransmission_fills_a_hole_in_time() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 5, "late", 0),
        ack(Server, 20, 0, 0),
        send(Client, 300_000, 0, "first", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "first", 300_000),
        data(Client, "late", 10),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn a_loss_at_the_end_of_a_direction_is_found_by_its_acknowledgement() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 9),
    ]);
    bench.tick(1_000_000);
    let told = [
        bench.opened(true),
        data(Client, "GET", 10),
        Told::Gap(Client, 6, 250_020),
        data(Server, "HTTP", 20),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn what_is_acknowledged_later_waits_anew() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 2, "c", 0),
        ack(Server, 20, 0, 3),
        // Just before the hole is due, an ACK is captured ahead of its data.
        ack(Server, 250_010, 0, 6),
    ]);
    bench.tick(250_025);
    bench.take(&[send(Client, 250_030, 3, "def", 0)]);
    bench.finish(300_000);
    let told = bench.told();
    assert_eq!(told.get(1), Some(&Told::Gap(Client, 2, 250_020)));
    assert_eq!(told.get(3), Some(&data(Client, "def", 250_030)));
}

#[test]
fn many_holes_are_given_up_together() {
    let mut bench = Bench::connected();
    for n in 0..1_000 {
        let at = n * 10;
        bench.take(&[
            send(Client, 10, at, "five!", 0),
            ack(Server, 10, 0, at + 10),
        ]);
    }
    let waiting = bench.table.buffered() / (5 + 128);
    assert!(waiting <= 128, "{waiting} chunks wait");
    bench.finish(20);
    assert_eq!(bench.counters().gap_bytes, 5_000);
}

#[test]
fn a_packet_cut_by_the_capture_leaves_a_hole_that_can_be_filled() {
    let mut bench = Bench::connected();
    let mut cut = send(Client, 10, 0, "abc", 0);
    cut.cut = 3;
    bench.take(&[
        cut.clone(),
        send(Client, 20, 6, "ghi", 0),
        send(Client, 30, 0, "abcdef", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "abc", 10),
        data(Client, "def", 30),
        data(Client, "ghi", 20),
    ];
    assert_eq!(bench.told(), told);

    let mut bench = Bench::connected();
    cut.flags.fin = true;
    bench.take(&[cut, ack(Server, 20, 0, 7)]);
    bench.tick(1_000_000);
    let told = [
        bench.opened(true),
        data(Client, "abc", 10),
        Told::Gap(Client, 3, 20),
        Told::Fin(Client, 10),
    ];
    assert_eq!(bench.told(), told, "the FIN takes no part in the gap");
}

#[test]
fn heads_that_wait_for_each_other_do_not_wait_for_ever() {
    let mut bench = Bench::connected();
    // The request was captured only when it was sent again, after its answer had come.
    bench.take(&[
        send(Server, 10, 0, "HTTP", 3),
        send(Client, 20, 0, "GET", 4),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 20),
        data(Server, "HTTP", 10),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn times_may_go_back() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 1_000, 0, "GET", 0),
        send(Server, -500, 0, "HTTP", 3),
        send(Server, i64::MIN, 4, "/1.1", 3),
        send(Server, 900, 12, "late", 3),
        ack(Client, i64::MIN, 3, 16),
    ]);
    bench.tick(251_000);
    let told = [
        data(Server, "HTTP", -500),
        data(Server, "/1.1", i64::MIN),
        Told::Gap(Server, 4, 251_000),
        data(Server, "late", 900),
    ];
    assert_eq!(bench.told().get(2..), Some(&told[..]));
    bench.take(&[
        send(Client, i64::MAX, 3, "!", 16),
        send(Client, i64::MIN, 3, "!", 16),
    ]);
    bench.finish(i64::MIN);
}

#[test]
fn absurd_numbers_are_not_believed() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Client, 20, (1 << 30) + 1_000, "x", 0),
        ack(Server, 30, 0, (1 << 30) + 1_000),
        send(Server, 40, 0, "HTTP", 3),
    ]);
    assert_eq!(bench.told().last(), Some(&data(Server, "HTTP", 40)));
    let counters = bench.counters();
    assert_eq!((counters.absurd_seq, counters.absurd_ack), (1, 1));
    bench.finish(50);
    assert_eq!(bench.counters().gaps, 0);
}

#[test]
fn ticks_change_nothing_but_the_moment() {
    let drafts: Vec<Draft> = (0..40)
        .flat_map(|n| {
            let (at, time) = (n as u32 * 10, n * 30_000);
            [
                send(Client, time, at, "five!", 0),
                ack(Server, time + 9, 0, at + 10),
            ]
        })
        .collect();
    let mut rare = Bench::connected();
    rare.take(&drafts);
    rare.finish(9_000_000);
    let mut often = Bench::connected();
    for draft in &drafts {
        for step in 0..30 {
            often.tick(draft.time - 30_000 + step * 1_000);
        }
        often.take(std::slice::from_ref(draft));
    }
    often.finish(9_000_000);
    assert_eq!(rare.told(), often.told());
}

#[test]
fn a_hole_is_parted_where_the_other_end_spoke() {
    // Of the first answer the end was lost, of the second one the head; between them stands a request.
    for end in [60, 600_000] {
        let mut bench = Bench::connected();
        bench.take(&[
            send(Client, 10, 0, "GET", 0),
            send(Server, 20, 0, "HTTP", 3),
            send(Client, 30, 3, "GET", 7),
            send(Server, 40, 9, "x", 6),
            ack(Client, 50, 6, 10),
        ]);
        bench.finish(end);
        let gaps_and_data: Vec<_> = bench
            .told()
            .into_iter()
            .filter_map(|told| match told {
                Told::Data(side, bytes, _) => Some((side, bytes.len() as u64)),
                Told::Gap(side, length, _) => Some((side, length)),
                _ => None,
            })
            .collect();
        let parts = [
            (Client, 3),
            (Server, 4),
            (Server, 3),
            (Client, 3),
            (Server, 2),
            (Server, 1),
        ];
        assert_eq!(gaps_and_data, parts);
    }
}
