//! Numbers too good to be true, and times too.

use super::*;
use Side::{Client, Server};

/// Further than any window, nearer than what TCP can express.
const FAR: u32 = 100 << 20;

fn asked() -> Bench {
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 0, "GET", 0)]);
    bench.told();
    bench
}

#[test]
fn one_damaged_acknowledgement_invents_no_gap() {
    let mut bench = asked();
    bench.take(&[
        send(Server, 20, 0, "HTTP", FAR),
        send(Server, 30, 4, "/1.1", 3),
        ack(Client, 40, 3, FAR),
    ]);
    bench.tick(9_000_000);
    assert_eq!(
        bench.told(),
        [data(Server, "HTTP", 20), data(Server, "/1.1", 30)]
    );
    bench.finish(9_000_001);
    let counters = bench.counters();
    assert_eq!((counters.absurd_ack, counters.gaps), (2, 0));
}

#[test]
fn one_damaged_sequence_number_invents_no_gap() {
    for is_last in [false, true] {
        let mut bench = asked();
        let mut wrong = send(Server, 20, FAR, "HTTP", 3);
        wrong.flags.fin = is_last;
        bench.take(&[
            wrong,
            send(Server, 30, 0, "HTTP", 3),
            fin(Server, 40, 4, "", 3),
            fin(Client, 50, 3, "", 5),
        ]);
        let told = [
            data(Server, "HTTP", 30),
            Told::Fin(Server, 40),
            Told::Fin(Client, 50),
            Told::Close(CloseReason::Closed, 50),
        ];
        assert_eq!(bench.told(), told);
        let counters = bench.counters();
        assert_eq!((counters.absurd_seq, counters.absurd_bytes), (1, 4));
        bench.finish(60);
    }
}

#[test]
fn a_loss_of_more_than_any_window_is_believed_when_a_second_packet_says_so() {
    // Both of the data, or data and its acknowledgement, in either order.
    let first = send(Server, 20, FAR, "HTTP/1.1 200", 3);
    let next = send(Server, 30, FAR + 12, " OK", 3);
    for (drafts, received) in [
        (vec![first.clone(), next.clone()], 15),
        (vec![next.clone(), first.clone()], 15),
        (vec![first.clone(), ack(Client, 25, 3, FAR + 12)], 12),
        (vec![ack(Client, 25, 3, FAR + 12), first.clone()], 12),
    ] {
        let mut bench = asked();
        bench.take(&drafts);
        bench.take(&[ack(Client, 40, 3, FAR + received)]);
        bench.tick(1_000_000);
        let told = bench.told();
        let gap = told.first();
        assert!(
            matches!(gap, Some(Told::Gap(Server, length, _)) if *length == u64::from(FAR)),
            "{told:?}"
        );
        bench.finish(1_000_001);
        let counters = bench.counters();
        assert_eq!(counters.handed_on_bytes, 3 + u64::from(received));
        assert_eq!((counters.absurd_seq, counters.absurd_ack), (0, 0));
    }
}

#[test]
fn a_loss_of_more_than_any_window_is_believed_with_one_direction_alone() {
    let mut bench = Bench::new();
    bench.take(&[
        send(Server, 10, 0, "HTTP", 0),
        send(Server, 20, FAR, "more", 0),
        send(Server, 30, FAR + 4, "!", 0),
    ]);
    bench.finish(40);
    let counters = bench.counters();
    assert_eq!(
        (counters.gap_bytes, counters.handed_on_bytes),
        (u64::from(FAR) - 4, 9)
    );
}

#[test]
fn what_waits_for_a_second_packet_is_in_the_budget() {
    let mut bench = Bench::with(TcpSettings {
        max_connection_bytes: 1_000,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2), send(Client, 10, FAR, "far away", 0)]);
    assert_eq!(bench.table.buffered(), 8 + 128);
    bench.take(&[send(Client, 20, FAR * 3, &"x".repeat(2_000), 0)]);
    assert_eq!(bench.table.buffered(), 0);
    bench.finish(30);
    assert_eq!(bench.counters().absurd_bytes, 2_008);
}

#[test]
fn old_numbers_beyond_any_window_are_no_retransmission() {
    let mut bench = asked();
    bench.take(&[send(Client, 20, 0u32.wrapping_sub(FAR), "GET", 0)]);
    bench.finish(30);
    let counters = bench.counters();
    assert_eq!((counters.absurd_seq, counters.absurd_bytes), (1, 3));
    assert_eq!(counters.retransmitted_bytes, 0);
}

#[test]
fn what_comes_after_it_was_given_up_is_late() {
    let mut bench = asked();
    bench.take(&[
        send(Server, 20, 6, "tail", 3),
        ack(Client, 30, 3, 10),
        // 250 ms and more later: all of the hole and some of what was there; then again.
        send(Server, 300_030, 2, "MEMEta", 3),
        send(Server, 300_040, 0, "MEMEME", 3),
        send(Server, 300_050, 0, "MEMEME", 3),
    ]);
    bench.finish(400_000);
    assert_eq!(bench.told().first(), Some(&Told::Gap(Server, 6, 250_030)));
    let counters = bench.counters();
    assert_eq!(counters.late_bytes, 4 + 2);
    assert_eq!(counters.retransmitted_bytes, 2 + 4 + 6);
    assert_eq!(counters.retransmitted_segments, 1);
}

#[test]
fn packets_cut_by_the_capture_leave_their_gaps_when_they_are_acknowledged() {
    let mut bench = asked();
    let cut = |time, at, text: &str| {
        let mut draft = send(Server, time, at, text, 3);
        draft.cut = 96;
        draft
    };
    bench.take(&[
        cut(20, 0, "HTTP"),
        cut(30, 100, "body"),
        cut(40, 200, "more"),
        ack(Client, 50, 3, 200),
    ]);
    let told = [
        data(Server, "HTTP", 20),
        Told::Gap(Server, 96, 50),
        data(Server, "body", 30),
        Told::Gap(Server, 96, 50),
        data(Server, "more", 40),
    ];
    assert_eq!(bench.told(), told);
    bench.take(&[ack(Client, 60, 3, 300)]);
    assert_eq!(bench.told(), [Told::Gap(Server, 96, 60)]);
    bench.finish(70);
    let counters = bench.counters();
    assert_eq!((counters.cut_bytes, counters.gap_bytes), (288, 288));
    assert_eq!(bench.table.buffered(), 0);
}

#[test]
fn packets_cut_by_the_capture_leave_their_gaps_with_one_direction_alone() {
    let mut bench = Bench::new();
    for n in 0..20 {
        let mut draft = send(Server, 10 + i64::from(n), n * 100, "HTTP", 0);
        draft.cut = 96;
        bench.take(&[draft]);
    }
    assert!(
        bench.table.buffered() <= 4 + 128,
        "{}",
        bench.table.buffered()
    );
    bench.finish(40);
    assert_eq!(bench.counters().handed_on_bytes, 80);
}

#[test]
fn a_cut_of_one_octet_is_no_lost_fin() {
    let mut bench = asked();
    let mut cut = send(Server, 20, 0, "HTTP", 3);
    cut.cut = 1;
    bench.take(&[cut, ack(Client, 30, 3, 5)]);
    let told = [data(Server, "HTTP", 20), Told::Gap(Server, 1, 30)];
    assert_eq!(bench.told(), told);
}
