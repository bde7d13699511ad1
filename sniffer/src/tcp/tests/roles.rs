//! Which end is the client, and where the streams begin.

use super::*;
use Side::{Client, Server};

#[test]
fn a_handshake_opens_nothing_until_there_is_something_to_hand_on() {
    let mut bench = Bench::connected();
    assert_eq!(bench.told(), []);
    bench.take(&[
        send(Client, 10, 0, "GET", 0),
        send(Server, 20, 0, "HTTP", 3),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 10),
        data(Server, "HTTP", 20),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn ids_come_from_the_shard_and_the_order_of_connections() {
    let mut bench = Bench::new();
    for port in [5, 6] {
        bench.client.set_port(port);
        bench.take(&[syn(1), send(Client, 2, 0, "x", 0)]);
    }
    let ids: Vec<u64> = bench.handler.told.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [3 << 48, 3 << 48, (3 << 48) + 1, (3 << 48) + 1]);
}

#[test]
fn sequence_numbers_wrap() {
    let mut bench = Bench::new();
    let shift = |mut draft: Draft| {
        draft.seq = draft.seq.wrapping_sub(CLIENT_ISN + 3);
        draft
    };
    bench.take(&[
        shift(syn(1)),
        shift(send(Client, 2, 0, "ab", 0)),
        shift(send(Client, 3, 4, "ef", 0)),
        shift(send(Client, 4, 2, "cd", 0)),
    ]);
    let parts = [
        data(Client, "ab", 2),
        data(Client, "cd", 4),
        data(Client, "ef", 3),
    ];
    assert_eq!(bench.told().get(1..), Some(&parts[..]));
}

#[test]
fn a_stream_of_more_than_4_gib_goes_on() {
    let mut bench = Bench::connected();
    let cut = 1 << 20;
    let segments = (5u64 << 30) / u64::from(cut);
    for n in 0..segments {
        let at = (n * u64::from(cut)) as u32;
        let mut draft = send(Server, 10 + n as i64, at, "x", 0);
        draft.cut = cut - 1;
        bench.take(&[draft, ack(Client, 10 + n as i64, 0, at.wrapping_add(cut))]);
    }
    bench.finish(10_000);
    let told = bench.told();
    let sum: u64 = told
        .iter()
        .map(|told| match told {
            Told::Data(_, bytes, _) => bytes.len() as u64,
            Told::Gap(_, length, _) => *length,
            _ => 0,
        })
        .sum();
    assert_eq!(sum, 5 << 30);
    assert_eq!(bench.counters().absurd_seq, 0);
}

#[test]
fn fast_open_has_its_data_behind_the_syn() {
    let mut bench = Bench::new();
    let mut first = syn(1);
    first.payload = b"GET".to_vec();
    bench.take(&[first, syn_ack(2), send(Client, 3, 3, " /", 0)]);
    let told = [
        bench.opened(true),
        data(Client, "GET", 1),
        data(Client, " /", 3),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn joined_late_the_bytes_tell_the_roles() {
    let mut bench = Bench::new();
    bench.take(&[
        send(Server, 5, 700, "HTTP/1.1", 300),
        send(Client, 6, 300, "more", 708),
    ]);
    bench.tick(250_005);
    let told = [
        bench.opened(false),
        data(Server, "HTTP/1.1", 5),
        data(Client, "more", 6),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().joined_late, 1);
}

#[test]
fn what_was_handed_on_keeps_its_roles() {
    let mut bench = Bench::new();
    // Both ends opened, and the first bytes do not tell which is the client; what follows would.
    let both = Draft {
        ack: None,
        ..syn_ack(2)
    };
    bench.take(&[
        syn(1),
        both,
        send(Client, 5, 0, "more", 0),
        send(Server, 6, 0, "GET /", 4),
        send(Client, 7, 4, "last", 5),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "more", 5),
        data(Server, "GET /", 6),
        data(Client, "last", 7),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn joined_late_the_servers_ports_tell_the_roles() {
    let server_ports = vec![40_000];
    let mut bench = Bench::with(TcpSettings {
        server_ports,
        ..TcpSettings::default()
    });
    bench.take(&[send(Client, 5, 0, "body", 0)]);
    bench.tick(250_005);
    let client = bench.server;
    let told = [
        Told::Open {
            from_start: false,
            client,
        },
        data(Server, "body", 5),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().roles_guessed, 0);
}

#[test]
fn joined_late_payload_waits_a_little_for_a_sign_of_the_roles() {
    let mut bench = Bench::new();
    bench.take(&[send(Server, 5, 0, "body", 0)]);
    bench.take(&[send(Client, 6, 0, "GET", 4)]);
    assert_eq!(bench.told(), []);
    bench.tick(250_005);
    let told = [
        bench.opened(false),
        data(Server, "body", 5),
        data(Client, "GET", 6),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().roles_guessed, 0);
}

#[test]
fn joined_late_without_a_sign_the_lower_port_is_the_server() {
    let told = |bench: &Bench| [bench.opened(false), data(Server, "body", 5)];
    let mut by_time = Bench::new();
    by_time.take(&[send(Server, 5, 0, "body", 0)]);
    by_time.tick(250_004);
    assert_eq!(by_time.told(), []);
    by_time.tick(250_005);
    assert_eq!(by_time.told(), told(&by_time));

    let mut by_number = Bench::new();
    by_number.take(&[send(Server, 5, 0, "body", 0)]);
    for n in 0..7 {
        assert_eq!(by_number.told(), []);
        by_number.take(&[send(Server, 6, 4 + n, "+", 0)]);
    }
    assert_eq!(by_number.told().get(..2), Some(&told(&by_number)[..]));
    assert_eq!(by_number.counters().roles_guessed, 1);
}

#[test]
fn a_lost_syn_leaves_the_beginning_known_from_the_syn_ack() {
    let mut bench = Bench::new();
    // The request's first half is lost.
    bench.take(&[
        syn_ack(2),
        send(Client, 3, 2, "T /", 0),
        send(Server, 4, 0, "HTTP", 5),
    ]);
    bench.tick(1_000_000);
    let told = [
        bench.opened(true),
        Told::Gap(Client, 2, 250_004),
        data(Client, "T /", 3),
        data(Server, "HTTP", 4),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn a_lost_syn_ack_leaves_the_beginning_known_from_the_first_ack() {
    let mut bench = Bench::new();
    bench.take(&[
        syn(1),
        send(Client, 3, 0, "GET", 0),
        send(Server, 4, 2, "TP", 3),
    ]);
    bench.take(&[ack(Client, 5, 3, 4)]);
    bench.tick(1_000_000);
    let told = bench.told();
    assert_eq!(told.get(2), Some(&Told::Gap(Server, 2, 250_005)));
}

#[test]
fn joined_late_the_beginning_may_turn_up_late() {
    let mut bench = Bench::new();
    // The answer was captured before the end of the request that it acknowledges.
    bench.take(&[
        ack(Server, 4, 0, 3),
        send(Client, 5, 0, "GET", 0),
        send(Server, 6, 0, "HTTP", 3),
    ]);
    bench.tick(250_005);
    let told = [
        bench.opened(false),
        data(Client, "GET", 5),
        data(Server, "HTTP", 6),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn joined_late_a_keep_alive_probe_is_no_beginning() {
    let mut bench = Bench::new();
    bench.take(&[ack(Client, 1, 99, 500), ack(Server, 2, 500, 100)]);
    bench.take(&[send(Client, 3, 100, "GET", 500)]);
    bench.tick(250_003);
    assert_eq!(bench.told(), [bench.opened(false), data(Client, "GET", 3)]);
    bench.finish(300_000);
    assert_eq!(bench.counters().gaps, 0);
}

#[test]
fn a_syn_captured_late_still_tells_the_beginning() {
    let mut bench = Bench::new();
    bench.take(&[
        send(Client, 2, 0, "x", 0),
        syn(1),
        send(Client, 3, 1, "y", 0),
    ]);
    let told = [
        bench.opened(true),
        data(Client, "x", 2),
        data(Client, "y", 3),
    ];
    assert_eq!(bench.told(), told);
    assert_eq!(bench.counters().connections, 1);
}

#[test]
fn one_direction_alone_is_read() {
    let mut bench = Bench::new();
    bench.take(&[
        send(Server, 10, 0, "HTTP", 10),
        send(Server, 20, 4, " 200", 10),
        // The client's next request is acknowledged, but never seen.
        send(Server, 30, 8, "HTTP", 25),
        fin(Server, 40, 12, "", 25),
    ]);
    bench.finish(50);
    let told = [
        bench.opened(false),
        data(Server, "HTTP", 10),
        data(Server, " 200", 20),
        Told::Gap(Client, 15, 50),
        data(Server, "HTTP", 30),
        Told::Fin(Server, 40),
        Told::Close(CloseReason::CaptureEnd, 50),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn a_handshake_out_of_order_is_a_handshake() {
    let mut bench = Bench::new();
    bench.take(&[syn_ack(1), syn(2), send(Client, 3, 0, "GET", 0)]);
    assert_eq!(bench.told(), [bench.opened(true), data(Client, "GET", 3)]);
    let counters = bench.counters();
    assert_eq!((counters.connections, counters.replaced), (1, 0));
}

#[test]
fn a_server_may_answer_the_same_syn_with_another_number() {
    let mut bench = Bench::new();
    let mut stale = syn_ack(2);
    stale.seq = 777;
    bench.take(&[syn(1), stale, syn_ack(3), send(Server, 4, 0, "220", 0)]);
    assert_eq!(bench.told(), [bench.opened(true), data(Server, "220", 4)]);
    assert_eq!(bench.counters().connections, 1);
}

#[test]
fn a_syn_ack_tells_that_something_before_the_first_segment_was_lost() {
    let mut bench = Bench::new();
    bench.take(&[
        send(Client, 1, 3, "late", 0),
        ack(Client, 2, 0, 0),
        syn_ack(3),
        syn(4),
        send(Client, 5, 7, "x", 0),
        send(Server, 6, 0, "HTTP", 8),
    ]);
    bench.finish(300_000);
    let told = [
        bench.opened(true),
        Told::Gap(Client, 3, 250_003),
        data(Client, "late", 1),
        data(Client, "x", 5),
        data(Server, "HTTP", 6),
        Told::Close(CloseReason::CaptureEnd, 300_000),
    ];
    assert_eq!(bench.told(), told);
}

#[test]
fn joined_late_what_was_sent_first_may_be_captured_later() {
    // Whoever is first, and though the ports tell the roles: the first request is whole, and first.
    let mut bench = Bench::with(TcpSettings {
        server_ports: vec![8_000],
        ..TcpSettings::default()
    });
    bench.take(&[
        send(Server, 1, 700, "HTTP", 310),
        send(Client, 2, 303, " /body.", 700),
        send(Client, 3, 300, "GET", 700),
    ]);
    bench.finish(10);
    let told = [
        bench.opened(false),
        data(Client, "GET", 3),
        data(Client, " /body.", 2),
        data(Server, "HTTP", 1),
        Told::Close(CloseReason::CaptureEnd, 10),
    ];
    assert_eq!(bench.told(), told);
}
