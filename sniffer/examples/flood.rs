use analyzer::time::Timestamp;
use sniffer::{
    packet::{Flags, Segment},
    tcp::*,
};
use std::net::SocketAddr;
struct No;
impl StreamHandler for No {
    type Stream = u64;
    fn sender_of(&self, _: &[u8]) -> Option<Side> {
        None
    }
    fn open(&mut self, i: ConnectionInfo) -> u64 {
        i.id
    }
    fn data(&mut self, _: &mut u64, _: Side, _: &[u8], _: Timestamp) {}
    fn gap(&mut self, _: &mut u64, _: Side, _: u64, _: Timestamp) {}
    fn fin(&mut self, _: &mut u64, _: Side, _: Timestamp) {}
    fn rst(&mut self, _: &mut u64, _: Side, _: Timestamp) {}
    fn close(&mut self, _: u64, _: CloseReason, _: Timestamp) {}
    fn is_waiting(&self, _: &u64) -> bool {
        false
    }
}
fn hwm() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
fn main() {
    let limit: usize = std::env::args()
        .nth(1)
        .map_or(MAX_CONNECTIONS, |a| a.parse().unwrap());
    let one_shard = std::env::args().nth(2).is_some();
    let mut tables: Vec<_> = (0..SHARDS)
        .map(|n| {
            ConnectionTable::<No>::new(
                TcpSettings {
                    max_connections: limit,
                    ..TcpSettings::default()
                },
                n,
            )
        })
        .collect();
    let server: SocketAddr = "10.0.0.2:8000".parse().unwrap();
    let before = hwm();
    let start = std::time::Instant::now();
    let mut n = 0u64;
    let mut sent = 0u64;
    while sent < 1_000_000 {
        let client = SocketAddr::new(
            std::net::Ipv4Addr::from(0x0b00_0000u32 + (n / 60000) as u32).into(),
            1024 + (n % 60000) as u16,
        );
        n += 1;
        let shard = shard_of(client, server);
        if one_shard && shard != 3 {
            continue;
        }
        sent += 1;
        let s = Segment {
            time: Timestamp::from_micros(1_000_000_000 + sent as i64),
            source: client,
            destination: server,
            seq: SeqNumber((n * 7919) as u32),
            ack: None,
            flags: Flags {
                syn: true,
                ..Flags::default()
            },
            payload: &[],
            wire_len: 0,
            interface: 0,
            ip_id: Some(0),
        };
        tables[shard].segment(&s, &mut No);
    }
    let open: usize = tables.iter().map(ConnectionTable::len).sum();
    println!(
        "{sent} SYNs, limit {limit}, one shard {one_shard}: {open} open, {} evicted, +{} KiB ({} B each), {:.0} ns a SYN",
        tables.iter().map(|t| t.counters().evicted).sum::<u64>(),
        hwm() - before,
        (hwm() - before) * 1024 / open as u64,
        start.elapsed().as_nanos() as f64 / sent as f64
    );
    let late = Timestamp::from_micros(1_000_000_000 + 100_000_000);
    let start = std::time::Instant::now();
    for t in &mut tables {
        t.tick(late, &mut No);
    }
    println!("expiry of all: {:?}", start.elapsed());
}
