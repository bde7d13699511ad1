//! Calls on several connections give the same marks whatever the number of threads.

use anyhow::Result;
use llmtap_tests::{
    pcap::Packet,
    relay::{Call, Ends, Leg},
    traffic::Random,
};

use super::run_packets;

/// Many calls with few prompts through two relays to two servers. Some are left by their clients, and of
/// some a leg was not tapped.
fn traffic(seed: u64, calls: u64) -> Result<Vec<Packet>> {
    let mut random = Random::new(seed);
    let mut packets = Vec::new();
    for number in 0..calls {
        let port = 10_000 + number;
        let server = 3 + random.below(2);
        let depth = 50 + random.below(400);
        let legs = [
            Leg::new(&format!("192.0.2.1:{port}"), "10.0.0.9:80", 0)?,
            Leg::new(&format!("172.17.0.1:{port}"), "172.17.0.2:80", depth)?,
            Leg::new(
                &format!("172.17.0.2:{port}"),
                &format!("172.17.0.{server}:8000"),
                2 * depth,
            )?,
        ];
        let call = Call {
            at: 1_754_000_000_000_000 + random.below(2_000_000),
            model: format!("m-{}", random.below(3)),
            id: format!("chatcmpl-{number:032}"),
            tokens: random.below(20),
            ends: if random.happens(200_000) {
                Ends::ClientLeaves
            } else {
                Ends::Whole
            },
        };
        for leg in &legs {
            if random.happens(900_000) {
                packets.extend(call.over(leg).packets().iter().cloned());
            }
        }
    }
    packets.sort_by_key(|packet| packet.micros);
    Ok(packets)
}

#[test]
fn marks_do_not_depend_on_the_number_of_threads() -> Result<()> {
    for seed in 0..4 {
        let packets = traffic(seed, 200)?;
        let (expected, _) = run_packets(&packets, 1)?;
        let marked = expected
            .iter()
            .filter(|row| row.contains("outer_of: Some"))
            .count();
        assert!(marked > 300, "{marked} of {}", expected.len());
        for workers in [1, 2, 5, 16] {
            let (outputs, _) = run_packets(&packets, workers)?;
            let first = outputs
                .iter()
                .zip(&expected)
                .find(|(now, then)| now != then);
            assert_eq!(first, None, "{workers} workers");
            assert_eq!(outputs.len(), expected.len(), "{workers} workers");
        }
    }
    Ok(())
}
