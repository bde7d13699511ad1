//! RSTs that count, and RSTs that do not.

use super::*;
use Side::{Client, Server};

fn exchange() -> Bench {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
        ack(Client, 30, 3, 4),
    ]);
    bench.told();
    bench
}

#[test]
fn an_rst_of_either_side_ends_the_connection() {
    for (side, at) in [(Client, 3), (Server, 4)] {
        let mut bench = exchange();
        bench.take(&[rst(side, 40, at)]);
        bench.tick(1_000_040);
        let told = [
            Told::Rst(side, 40),
            Told::Close(CloseReason::Closed, 1_000_040),
        ];
        assert_eq!(bench.told(), told);
    }
}

#[test]
fn an_rst_out_of_the_window_is_ignored_and_counted() {
    // Before what the receiver has acknowledged, and far behind what was sent.
    for (side, at) in [
        (Client, u32::MAX),
        (Client, 1),
        (Client, 3 + (17 << 20)),
        (Server, 1),
        (Server, 4 + (17 << 20)),
        (Server, 1 << 31),
    ] {
        let mut bench = exchange();
        bench.take(&[rst(side, 40, at), send(Server, 50, 4, "!", 3)]);
        assert_eq!(bench.told(), [data(Server, "!", 50)], "{side:?} {at}");
        assert_eq!(bench.counters().rst_ignored, 1);
    }
}

#[test]
fn an_rst_where_the_other_ends_acknowledgement_stands_counts() {
    // The answer to a segment that the client's closed socket got: its FIN is not acknowledged yet.
    let mut bench = exchange();
    bench.take(&[
        fin(Client, 40, 3, "", 4),
        send(Server, 50, 4, "more", 3),
        rst(Client, 60, 3),
    ]);
    assert_eq!(bench.told().last(), Some(&Told::Rst(Client, 60)));
    // And once it is.
    let mut bench = exchange();
    bench.take(&[
        fin(Client, 40, 3, "", 4),
        send(Server, 50, 4, "more", 4),
        rst(Client, 60, 4),
    ]);
    assert_eq!(bench.told().last(), Some(&Told::Rst(Client, 60)));
}

#[test]
fn what_an_rst_carries_is_no_data() {
    let mut bench = exchange();
    let mut with_text = rst(Server, 40, 4);
    with_text.payload = b"go away".to_vec();
    bench.take(&[with_text]);
    assert_eq!(bench.told(), [Told::Rst(Server, 40)]);
    bench.finish(50);
    assert_eq!(bench.counters().rst_bytes, 7);
}

#[test]
fn after_an_rst_its_sender_says_nothing_more() {
    let mut bench = exchange();
    bench.take(&[
        rst(Server, 40, 4),
        send(Server, 50, 4, "more", 3),
        rst(Server, 60, 4),
    ]);
    bench.finish(70);
    let counters = bench.counters();
    assert_eq!((counters.after_end, counters.after_end_bytes), (2, 4));
    assert_eq!(counters.handed_on_bytes, 7);
}

#[test]
fn an_rst_after_both_fins_is_a_straggler() {
    let mut bench = exchange();
    bench.take(&[
        fin(Server, 40, 4, "", 3),
        fin(Client, 50, 3, "", 5),
        rst(Client, 60, 4),
        rst(Server, 70, 5),
    ]);
    let told = [
        Told::Fin(Server, 40),
        Told::Fin(Client, 50),
        Told::Close(CloseReason::Closed, 50),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().after_end, 2);
}
