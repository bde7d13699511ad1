//! How connections end, and what comes after.

use super::*;
use Side::{Client, Server};

#[test]
fn a_half_closed_connection_goes_on() {
    let mut bench = Bench::connected();
    bench.take(&[
        fin(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 4),
        ack(Client, 30, 4, 4),
        fin(Server, 40, 4, "", 4),
        ack(Client, 50, 4, 5),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 10),
        Told::Fin(Client, 10),
        data(Server, "HTTP", 20),
        Told::Fin(Server, 40),
        Told::Close(CloseReason::Closed, 40),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!((bench.table.len(), bench.counters().after_end), (0, 1));
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut bench = Bench::connected();
    bench.take(&[fin(Client, 10, 3, "def", 0), send(Client, 20, 0, "abc", 0)]);
    let told = bench.told();
    assert_eq!(told.last(), Some(&Told::Fin(Client, 10)));
    bench.take(&[send(Client, 30, 6, "beyond", 0)]);
    assert_eq!(bench.told(), []);
}

#[test]
fn both_fins_give_up_what_was_never_acknowledged() {
    let mut bench = Bench::connected();
    bench.take(&[fin(Client, 10, 3, "def", 0), fin(Server, 20, 0, "", 0)]);
    bench.tick(10_000_019);
    assert_eq!(bench.told(), [], "it may be sent again");
    bench.tick(20_000_000);
    let told = bench.told();
    assert_eq!(told.get(2), Some(&Told::Gap(Client, 3, 10_000_020)));
    assert!(matches!(
        told.last(),
        Some(Told::Close(CloseReason::Closed, _))
    ));
}

#[test]
fn what_was_lost_before_a_fin_is_sent_again_after_both() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "abc", 0),
        fin(Client, 20, 6, "ghi", 0),
        fin(Server, 30, 0, "", 3),
        ack(Client, 40, 10, 1),
        send(Client, 400_000, 3, "def", 1),
        ack(Server, 400_100, 1, 10),
    ]);
    let told = [
        data(Client, "abc", 10),
        Told::Fin(Server, 30),
        data(Client, "def", 400_000),
        data(Client, "ghi", 20),
        Told::Fin(Client, 20),
        Told::Close(CloseReason::Closed, 400_000),
    ];
    assert_eq!(bench.told().get(1..), Some(&told[..]));
    // Once acknowledged it is a hole as any other.
    let mut bench = Bench::connected();
    bench.take(&[
        fin(Client, 20, 6, "ghi", 0),
        fin(Server, 30, 0, "", 3),
        ack(Server, 400_000, 1, 10),
    ]);
    bench.finish(1_000_000);
    let gaps: Vec<Told> = bench
        .told()
        .into_iter()
        .filter(|t| matches!(t, Told::Gap(..)))
        .collect();
    let expected = [Told::Gap(Client, 3, 250_030), Told::Gap(Client, 3, 650_000)];
    assert_eq!(gaps, expected);
}

#[test]
fn a_fin_that_was_not_captured_is_no_lost_octet() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        // The server's FIN is acknowledged, but was not seen.
        ack(Client, 30, 3, 5),
        fin(Client, 40, 3, "", 5),
    ]);
    bench.tick(1_000_000);
    let told = [
        Told::Fin(Client, 40),
        Told::Fin(Server, 30),
        Told::Close(CloseReason::Closed, 40),
    ];
    assert_eq!(bench.told().get(3..), Some(&told[..]));
    assert_eq!(bench.counters().gaps, 0);
}

#[test]
fn a_fin_that_was_not_captured_ends_its_direction_when_the_capture_ends() {
    let mut bench = Bench::connected();
    bench.take(&[send(Server, 20, 0, "HTTP", 0), ack(Client, 30, 0, 5)]);
    bench.finish(40);
    let told = [
        Told::Fin(Server, 30),
        Told::Close(CloseReason::CaptureEnd, 40),
    ];
    assert_eq!(bench.told().get(2..), Some(&told[..]));
}

#[test]
fn a_fin_before_the_data_is_false() {
    let mut bench = Bench::connected();
    bench.take(&[
        fin(Client, 10, u32::MAX, "", 0),
        send(Client, 20, 0, "GET", 0),
    ]);
    assert_eq!(bench.told(), [bench.opened(true), data(Client, "GET", 20)]);
}

#[test]
fn one_octet_that_was_lost_is_a_gap_when_more_follows() {
    let mut bench = Bench::connected();
    bench.take(&[send(Server, 20, 0, "HTTP", 0), ack(Client, 30, 0, 5)]);
    bench.tick(1_000_000);
    bench.take(&[
        send(Server, 1_000_010, 5, "more", 0),
        ack(Client, 1_000_020, 0, 9),
    ]);
    bench.tick(2_000_000);
    let told = [
        Told::Gap(Server, 1, 250_030),
        data(Server, "more", 1_000_010),
    ];
    assert_eq!(bench.told().get(2..), Some(&told[..]));
}

#[test]
fn what_the_server_sends_after_the_clients_rst_is_handed_on() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        rst(Client, 30, 3),
        send(Server, 40, 4, "wasted", 3),
        rst(Client, 50, 3),
    ]);
    bench.tick(1_000_029);
    assert_eq!(bench.table.len(), 1);
    bench.tick(1_000_030);
    let told = [
        Told::Rst(Client, 30),
        data(Server, "wasted", 40),
        Told::Close(CloseReason::Closed, 1_000_030),
    ];
    assert_eq!(bench.told().get(3..), Some(&told[..]));
    assert_eq!(bench.table.len(), 0);
}

#[test]
fn after_the_clients_fin_and_rst_the_servers_end_closes() {
    let mut bench = Bench::connected();
    bench.take(&[
        fin(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 4),
        rst(Client, 30, 4),
        fin(Server, 40, 4, "x", 4),
    ]);
    let told = [
        Told::Fin(Client, 10),
        data(Server, "HTTP", 20),
        Told::Rst(Client, 30),
        data(Server, "x", 40),
        Told::Fin(Server, 40),
        Told::Close(CloseReason::Closed, 40),
    ];
    assert_eq!(bench.told().get(2..), Some(&told[..]));
}

#[test]
fn an_rst_waits_a_little_for_the_bytes_before_it() {
    let mut bench = Bench::connected();
    bench.take(&[rst(Server, 20, 4), send(Server, 10, 0, "HTTP", 0)]);
    let told = [
        bench.opened(true),
        data(Server, "HTTP", 10),
        Told::Rst(Server, 20),
    ];
    assert_eq!(bench.told(), told);

    let mut bench = Bench::connected();
    bench.take(&[send(Server, 10, 0, "HTTP", 0), rst(Server, 20, 9)]);
    assert_eq!(bench.told().len(), 2);
    bench.tick(250_020);
    assert_eq!(
        bench.told(),
        [Told::Rst(Server, 20)],
        "no proof of lost octets"
    );
}

#[test]
fn an_rst_from_nowhere_is_ignored() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        rst(Server, 20, 1 << 29),
        rst(Client, 30, (1 << 29) + 77),
        send(Server, 40, 0, "HTTP", 3),
    ]);
    assert_eq!(bench.told().last(), Some(&data(Server, "HTTP", 40)));
    assert_eq!(bench.counters().rst_ignored, 2);
}

#[test]
fn a_refused_connection_is_counted_and_not_opened() {
    let mut bench = Bench::new();
    let mut refusal = rst(Server, 2, 0);
    refusal.seq = 0;
    refusal.ack = Some(CLIENT_ISN + 1);
    let mut forged = refusal.clone();
    forged.ack = Some(CLIENT_ISN + 9);
    bench.take(&[syn(1), forged]);
    assert_eq!((bench.table.len(), bench.counters().rst_ignored), (1, 1));
    bench.take(&[refusal]);
    assert_eq!(bench.told(), []);
    assert_eq!((bench.table.len(), bench.counters().closed), (0, 1));
}

#[test]
fn stragglers_make_no_new_connection() {
    let mut bench = Bench::connected();
    let conversation = [
        send(Client, 10, 0, "GET", 0),
        fin(Server, 20, 0, "HTTP", 3),
        fin(Client, 30, 3, "", 5),
    ];
    bench.take(&conversation);
    bench.told();
    bench.take(&conversation);
    bench.take(&[
        syn(40),
        syn_ack(50),
        ack(Client, 60, 4, 5),
        rst(Client, 70, 4),
    ]);
    assert_eq!(bench.told(), []);
    assert_eq!(
        (bench.counters().connections, bench.counters().after_end),
        (1, 7)
    );
}

#[test]
fn ports_are_used_again() {
    let again = |mut draft: Draft| {
        match draft.from {
            Client => draft.seq = draft.seq.wrapping_add(5_000),
            Server => draft.ack = draft.ack.map(|ack| ack.wrapping_add(5_000)),
        }
        draft
    };
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 0, "GET", 0)]);
    bench.take(&[again(syn(20)), again(send(Client, 30, 0, "GET", 0))]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 10),
        Told::Close(CloseReason::Replaced, 20),
        bench.opened(true),
        data(Client, "GET", 30),
    ];
    assert_eq!(bench.told(), told);

    let mut bench = Bench::connected();
    bench.take(&[fin(Client, 10, 0, "GET", 0), fin(Server, 20, 0, "", 4)]);
    bench.take(&[again(syn(30)), again(send(Client, 40, 0, "GET", 0))]);
    let told = [
        Told::Close(CloseReason::Closed, 20),
        bench.opened(true),
        data(Client, "GET", 40),
    ];
    assert_eq!(bench.told().get(4..), Some(&told[..]));
}

#[test]
fn a_successor_whose_syn_was_lost_is_known_by_its_numbers() {
    let mut bench = Bench::connected();
    bench.take(&[fin(Client, 10, 0, "GET", 0), fin(Server, 20, 0, "", 4)]);
    bench.take(&[send(Client, 30, 1 << 29, "GET", 0)]);
    bench.tick(250_030);
    let told = [bench.opened(false), data(Client, "GET", 30)];
    assert_eq!(bench.told().get(5..), Some(&told[..]));
}

#[test]
fn what_came_before_the_stream_was_opened_is_told_then() {
    let mut bench = Bench::connected();
    bench.take(&[fin(Client, 10, 0, "", 0), send(Server, 20, 0, "HTTP", 1)]);
    let told = [
        bench.opened(true),
        Told::Fin(Client, 10),
        data(Server, "HTTP", 20),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn silence_ends_a_connection() {
    const MINUTE: i64 = 60_000_000;
    let mut bench = Bench::connected();
    bench.take(&[send(Client, 10, 0, "GET", 0)]);
    bench.tick(5 * MINUTE + 9);
    assert_eq!(bench.table.len(), 1);
    bench.tick(7 * MINUTE);
    let end = Told::Close(CloseReason::TimedOut, 5 * MINUTE + 10);
    assert_eq!(bench.told().last(), Some(&end));
    // It may speak again, for a keep-alive connection in a pool is silent for long.
    bench.take(&[send(Client, 8 * MINUTE, 3, "GET", 0)]);
    bench.tick(9 * MINUTE);
    assert_eq!(bench.told().first(), Some(&bench.opened(false)));
}

#[test]
fn a_connection_that_waits_for_an_answer_is_kept_longer() {
    const MINUTE: i64 = 60_000_000;
    let mut bench = Bench::connected();
    bench.handler.is_waiting = true;
    bench.take(&[send(Client, 10, 0, "GET", 0)]);
    bench.tick(29 * MINUTE);
    bench.take(&[send(Server, 29 * MINUTE, 0, "HTTP", 3)]);
    bench.tick(58 * MINUTE);
    assert_eq!(bench.table.len(), 1);
    // The answer is whole, and patience ends sooner.
    bench.handler.is_waiting = false;
    bench.take(&[send(Server, 58 * MINUTE, 4, "!", 3)]);
    bench.tick(63 * MINUTE);
    let end = Told::Close(CloseReason::TimedOut, 63 * MINUTE);
    assert_eq!(bench.told().last(), Some(&end));
}

#[test]
fn half_open_connections_end_sooner() {
    let mut bench = Bench::new();
    bench.take(&[syn(0)]);
    bench.tick(59_999_999);
    assert_eq!(bench.table.len(), 1);
    bench.tick(60_000_000);
    assert_eq!((bench.table.len(), bench.counters().timed_out), (0, 1));
}

#[test]
fn the_end_of_the_capture_hands_on_all_that_waits() {
    let mut bench = Bench::new();
    for port in [9, 8, 7] {
        bench.client.set_port(port);
        bench.take(&[
            syn(1),
            send(Client, 10, 2, "late", 0),
            fin(Client, 20, 6, "", 0),
        ]);
    }
    bench.finish(30);
    let ids: Vec<u64> = bench
        .handler
        .told
        .iter()
        .map(|(id, _)| *id & 0xff)
        .collect();
    assert_eq!(ids, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
    let told = [
        Told::Gap(Client, 2, 30),
        data(Client, "late", 10),
        Told::Fin(Client, 20),
        Told::Close(CloseReason::CaptureEnd, 30),
    ];
    assert_eq!(bench.told().get(1..5), Some(&told[..]));
}

#[test]
fn a_successor_without_a_syn_is_told_by_both_its_numbers() {
    let far = 1 << 29;
    let after = |draft| {
        let mut bench = Bench::connected();
        bench.take(&[
            send(Client, 10, 0, "GET", 0),
            send(Server, 20, 0, "HTTP", 3),
            draft,
        ]);
        bench
    };
    // One number alone may be damage.
    for draft in [
        send(Client, 30, far, "GET", 4),
        send(Client, 30, 3, "GET", far),
    ] {
        assert_eq!(after(draft).counters().connections, 1);
    }
    let mut bench = after(send(Client, 30, far, "GET", far + 9));
    assert_eq!(bench.counters().connections, 2);
    assert_eq!(bench.counters().replaced, 1);
    bench.finish(60);
    let last = [
        data(Client, "GET", 30),
        Told::Close(CloseReason::CaptureEnd, 60),
    ];
    assert!(bench.told().ends_with(&last));
}
