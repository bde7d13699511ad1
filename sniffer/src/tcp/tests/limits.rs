//! What traffic can grow, and where it stops.

use super::*;
use crate::tcp::SHARDS;
use Side::{Client, Server};

#[test]
fn a_hole_that_is_never_acknowledged_stays_in_the_budget() {
    let max_connection_bytes = 64 << 10;
    let mut bench = Bench::with(TcpSettings {
        max_connection_bytes,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2)]);
    let block = "x".repeat(1_000);
    for n in 0..200 {
        bench.take(&[send(Client, 10, 7 + n * 1_000, &block, 0)]);
        assert!(bench.table.buffered() <= max_connection_bytes);
    }
    let told = bench.told();
    assert_eq!(told.get(1), Some(&Told::Gap(Client, 7, 10)));
    assert_eq!(told.len(), 2 + 200, "all that came is handed on");
    assert_eq!(bench.counters().gaps_for_budget, 1);
}

#[test]
fn an_answer_held_too_long_gives_up_its_request() {
    let max_connection_bytes = 64 << 10;
    let mut bench = Bench::with(TcpSettings {
        max_connection_bytes,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2)]);
    let block = "x".repeat(10_000);
    for n in 0..7 {
        bench.take(&[send(Server, 10, n * 10_000, &block, 300)]);
    }
    let told = bench.told();
    assert_eq!(told.get(1), Some(&Told::Gap(Client, 300, 10)));
    assert_eq!(told.len(), 2 + 7);
}

#[test]
fn the_number_of_chunks_is_bounded() {
    let max_chunks = 100;
    let mut bench = Bench::with(TcpSettings {
        max_chunks,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2)]);
    for n in 0..1_000 {
        bench.take(&[send(Client, 10, 1 + n * 2, "x", 0)]);
        assert!(bench.table.buffered() <= max_chunks * (1 + 128));
    }
    bench.finish(20);
    assert_eq!(bench.counters().gap_bytes, 1_000);
}

#[test]
fn the_shards_budget_is_taken_from_the_heaviest() {
    let max_buffered_bytes = SHARDS * 20_000;
    let mut bench = Bench::with(TcpSettings {
        max_buffered_bytes,
        ..TcpSettings::default()
    });
    for (port, length) in [(1, 2_000), (2, 9_000), (3, 3_000), (4, 8_000)] {
        bench.client.set_port(port);
        let block = "x".repeat(length);
        bench.take(&[syn(1), syn_ack(2), send(Client, 10, 5, &block, 0)]);
    }
    let ids: Vec<u64> = bench
        .handler
        .told
        .iter()
        .map(|(id, _)| *id & 0xff)
        .collect();
    assert_eq!(ids, [1, 1, 1], "open, gap and data of the second");
    assert_eq!(bench.table.buffered(), 2_000 + 3_000 + 8_000 + 3 * 128);
}

#[test]
fn a_flood_of_syns_is_bounded_and_spares_the_open() {
    let max_connections = SHARDS * 100;
    let mut bench = Bench::with(TcpSettings {
        max_connections,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2), send(Client, 3, 0, "GET", 0)]);
    let client = bench.client;
    for n in 0..10_000u16 {
        bench.client = SocketAddr::new([10, 1, (n >> 8) as u8, n as u8].into(), 1_000);
        bench.take(&[syn(10 + i64::from(n))]);
        assert!(bench.table.len() <= 100);
    }
    assert_eq!(bench.counters().evicted, 10_000 - 99);
    bench.client = client;
    bench.take(&[send(Server, 20_000, 0, "HTTP", 3)]);
    assert_eq!(bench.told().last(), Some(&data(Server, "HTTP", 20_000)));
}

#[test]
fn the_idlest_is_evicted() {
    let max_connections = SHARDS * 2;
    let mut bench = Bench::with(TcpSettings {
        max_connections,
        ..TcpSettings::default()
    });
    for (port, time) in [(1, 10), (2, 20), (1, 30), (3, 40)] {
        bench.client.set_port(port);
        let first = [syn(time), syn_ack(time), send(Client, time, 0, "GET", 0)];
        bench.take(&first);
    }
    let evicted: Vec<u64> = bench
        .handler
        .told
        .iter()
        .filter(|(_, told)| *told == Told::Close(CloseReason::Evicted, 40))
        .map(|(id, _)| *id & 0xff)
        .collect();
    assert_eq!(evicted, [1]);
}

#[test]
fn closed_connections_are_forgotten_in_time_and_number() {
    let max_closed = SHARDS * 10;
    let mut bench = Bench::with(TcpSettings {
        max_closed,
        ..TcpSettings::default()
    });
    for port in 0..100 {
        bench.client.set_port(port);
        let time = i64::from(port);
        bench.take(&[
            syn(time),
            fin(Client, time, 0, "", 0),
            fin(Server, time, 0, "", 1),
        ]);
    }
    let late = send(Client, 1_000, 0, "GET", 1);
    bench.client.set_port(95);
    bench.take(std::slice::from_ref(&late));
    assert_eq!(bench.counters().connections, 100, "remembered");
    bench.client.set_port(5);
    bench.take(std::slice::from_ref(&late));
    assert_eq!(
        bench.counters().connections,
        101,
        "forgotten, one of too many"
    );
    bench.client.set_port(95);
    bench.take(&[send(Client, 60_000_095, 0, "GET", 1)]);
    assert_eq!(
        bench.counters().connections,
        102,
        "forgotten after a minute"
    );
}

#[test]
fn a_connection_with_itself_breaks_nothing() {
    let mut bench = Bench::new();
    bench.server = bench.client;
    bench.take(&[
        syn(1),
        syn_ack(2),
        send(Client, 3, 0, "GET", 0),
        send(Server, 4, 0, "HTTP", 3),
        fin(Client, 5, 3, "", 4),
        rst(Server, 6, 4),
    ]);
    bench.finish(10);
}

#[test]
fn a_million_half_open_connections_stay_in_the_limit() {
    // As an attacker would aim them: all at one shard, each with its own address, some sent again.
    let max_connections = SHARDS * 500;
    let mut bench = Bench::with(TcpSettings {
        max_connections,
        ..TcpSettings::default()
    });
    for n in 0..1_000_000u32 {
        bench.client = SocketAddr::new((0x0b00_0000 + n).to_be_bytes().into(), 1_000);
        bench.take(&[syn(i64::from(n))]);
        if n % 8 == 0 {
            bench.take(&[syn(i64::from(n) + 5)]);
        }
        assert!(bench.table.len() <= 500);
    }
    let counters = bench.counters();
    assert_eq!(
        (counters.connections, counters.evicted),
        (1_000_000, 999_500)
    );
    assert_eq!((bench.told(), bench.table.buffered()), (vec![], 0));
    bench.finish(2_000_000);
    assert_eq!(bench.counters().capture_end, 500);
}

#[test]
fn a_repeated_syn_keeps_its_connection_half_open() {
    let mut bench = Bench::new();
    bench.take(&[syn(0), syn(30_000_000)]);
    bench.tick(60_000_000);
    assert_eq!(bench.table.len(), 1);
    bench.tick(90_000_000);
    assert_eq!((bench.table.len(), bench.counters().timed_out), (0, 1));
    // It may be answered after all; then it is joined late.
    bench.take(&[syn_ack(91_000_000), send(Client, 91_000_001, 0, "GET", 0)]);
    assert_eq!(bench.counters().connections, 2);
    assert_eq!(bench.told().first(), Some(&bench.opened(true)));
}

#[test]
fn connections_that_carried_nothing_are_evicted_before_those_that_did() {
    let max_connections = SHARDS * 3;
    let mut bench = Bench::with(TcpSettings {
        max_connections,
        ..TcpSettings::default()
    });
    let client = bench.client;
    bench.take(&[syn(1), syn_ack(2), send(Client, 3, 0, "GET", 0)]);
    for n in 0..100 {
        bench.client.set_port(n);
        let time = 10 + i64::from(n);
        bench.take(&[syn(time), syn_ack(time), ack(Client, time, 0, 0)]);
    }
    bench.client = client;
    bench.take(&[send(Server, 200, 0, "HTTP", 3)]);
    assert_eq!(bench.told().last(), Some(&data(Server, "HTTP", 200)));
    assert_eq!(bench.counters().evicted, 98);
}

#[test]
fn those_that_wait_for_an_answer_are_evicted_last() {
    let max_connections = SHARDS * 2;
    let mut bench = Bench::with(TcpSettings {
        max_connections,
        ..TcpSettings::default()
    });
    bench.handler.is_waiting = true;
    for (port, time) in [(1, 10), (2, 20), (3, 30)] {
        bench.client.set_port(port);
        bench.take(&[syn(time), syn_ack(time), send(Client, time, 0, "GET", 0)]);
    }
    // There is no other: then the one that waits longest.
    let evicted = (SHARD_ID, Told::Close(CloseReason::Evicted, 30));
    assert!(bench.handler.told.contains(&evicted));
    assert_eq!(bench.counters().evicted, 1);
}

/// The id of the first connection of a bench.
const SHARD_ID: u64 = 3 << 48;

#[test]
fn tiny_segments_that_overlap_stay_in_the_budget() {
    let max_buffered_bytes = SHARDS * 100_000;
    let mut bench = Bench::with(TcpSettings {
        max_buffered_bytes,
        ..TcpSettings::default()
    });
    bench.take(&[syn(1), syn_ack(2)]);
    // One octet in every second place, then longer ones over them, again and again, never the first.
    for round in 0..20u32 {
        for n in 0..500 {
            let text = "x".repeat(1 + (round % 3) as usize);
            bench.take(&[send(Client, 10, 2 + round * 700 + n * 2, &text, 0)]);
            assert!(bench.table.buffered() <= 100_000);
        }
    }
    bench.finish(20);
    assert!(bench.counters().gaps_for_budget > 0);
}

#[test]
fn holes_in_many_connections_of_one_shard_take_no_more_than_its_part() {
    let max_buffered_bytes = SHARDS * 50_000;
    let mut bench = Bench::with(TcpSettings {
        max_buffered_bytes,
        ..TcpSettings::default()
    });
    let block = "x".repeat(1_400);
    for n in 0..2_000u32 {
        bench.client.set_port(1 + (n % 200) as u16);
        if n < 200 {
            bench.take(&[syn(1), syn_ack(2)]);
        }
        bench.take(&[send(Client, 10, 5 + n / 200 * 2_000, &block, 0)]);
        assert!(bench.table.buffered() <= 50_000);
    }
    bench.finish(20);
    let counters = bench.counters();
    assert_eq!(counters.handed_on_bytes, 2_000 * 1_400);
    assert!(counters.gaps_for_budget > 100, "{counters:?}");
}

#[test]
fn what_is_forgotten_early_is_counted() {
    let max_closed = SHARDS * 10;
    let mut bench = Bench::with(TcpSettings {
        max_closed,
        ..TcpSettings::default()
    });
    for port in 0..100 {
        bench.client.set_port(port);
        bench.take(&[syn(1), fin(Client, 2, 0, "", 0), fin(Server, 3, 0, "", 1)]);
    }
    assert_eq!(bench.counters().forgotten, 90);
}
