//! Segments that ask whether the other end is still there, or has room.

use super::*;
use Side::{Client, Server};

#[test]
fn a_keep_alive_probe_with_a_garbage_byte_is_no_data_and_no_conflict() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Server, 10, 0, "HTTP", 0),
        // A hole, and what waits behind it: the probe's byte differs from the last one waiting.
        send(Server, 20, 6, "body", 0),
        send(Server, 30, 9, "\0", 0),
        send(Server, 40, 4, "!!", 0),
        send(Server, 50, 9, "\0", 0),
    ]);
    bench.finish(60);
    let told = [
        data(Server, "HTTP", 10),
        data(Server, "!!", 40),
        data(Server, "body", 20),
    ];
    assert_eq!(bench.told().get(1..4), Some(&told[..]));
    let counters = bench.counters();
    assert_eq!((counters.keep_alives, counters.keep_alive_bytes), (2, 2));
    assert_eq!((counters.conflicts, counters.retransmitted_bytes), (0, 0));
}

#[test]
fn a_keep_alive_probe_does_not_fill_a_loss_at_the_end() {
    let mut bench = Bench::connected();
    // The last octet was lost, or was a FIN; then comes a probe for it.
    bench.take(&[send(Server, 10, 0, "HTTP", 0), ack(Client, 20, 0, 5)]);
    bench.tick(1_000_000);
    bench.take(&[send(Server, 60_000_000, 4, "\0", 0)]);
    bench.finish(60_000_010);
    assert_eq!(bench.counters().keep_alives, 1);
    assert_eq!(bench.counters().handed_on_bytes, 4);
}

#[test]
fn one_octet_out_of_order_is_data() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Server, 10, 0, "HTTP", 0),
        ack(Server, 20, 6, 0),
        ack(Client, 30, 0, 6),
        send(Server, 40, 5, "b", 0),
        send(Server, 50, 4, "a", 0),
    ]);
    let told = [
        data(Server, "HTTP", 10),
        data(Server, "a", 50),
        data(Server, "b", 40),
    ];
    assert_eq!(bench.told().get(1..), Some(&told[..]));
}

#[test]
fn a_zero_window_probes_octet_is_data_that_may_come_again() {
    for accepted in [0, 1] {
        let mut bench = Bench::connected();
        bench.take(&[
            send(Server, 10, 0, "HTTP", 0),
            ack(Client, 20, 0, 4),
            // The window is shut: the probe carries the next octet, twice, and is answered each time.
            send(Server, 30, 4, "b", 0),
            ack(Client, 40, 0, 4),
            send(Server, 50, 4, "b", 0),
            ack(Client, 60, 0, 4 + accepted),
            // The window opens: from the first octet that was not acknowledged.
            send(
                Server,
                70,
                4 + accepted,
                "body".get(accepted as usize..).unwrap(),
                0,
            ),
            ack(Client, 80, 0, 8),
        ]);
        bench.finish(90);
        let bytes: Vec<u8> = bench
            .told()
            .into_iter()
            .filter_map(|told| match told {
                Told::Data(Server, bytes, _) => Some(bytes),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(bytes, b"HTTPbody");
        assert_eq!((bench.counters().gaps, bench.counters().conflicts), (0, 0));
    }
}

#[test]
fn a_zero_window_probe_without_an_octet_changes_nothing() {
    let mut bench = Bench::connected();
    bench.take(&[
        send(Server, 10, 0, "HTTP", 0),
        ack(Client, 20, 0, 4),
        ack(Server, 30, 3, 0),
        ack(Client, 40, 0, 4),
        send(Server, 50, 4, "body", 0),
    ]);
    bench.finish(60);
    assert_eq!(bench.counters().handed_on_bytes, 8);
    assert_eq!(bench.counters().keep_alives, 1);
}
