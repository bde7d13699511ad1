//! Random traffic: whatever comes, claims are sound.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Legs among few addresses, bodies, answers and times, so that all kinds of matches and near misses
/// occur.
fn random_legs() -> impl Strategy<Value = Vec<(Leg, Close)>> {
    let address = (1_u8..5, 1_u16..4);
    let close = (0_i64..40, 0_u8..6, 0_u8..3);
    let one = (address.clone(), address, 0_u8..2, 0_i64..40, close);
    prop::collection::vec(one, 0..24).prop_map(|all| {
        let make = |(n, (peer, server, body, start, (length, kind, answer)))| {
            let (peer, server): ((u8, u16), (u8, u16)) = (peer, server);
            let text = |(host, port)| format!("10.0.0.{host}:{port}");
            let mut leg = leg(
                n,
                &text(peer),
                &text(server),
                i64::from(start as i32) * 2_500,
            );
            leg.body = BodyHash([body; 16]);
            let end = (start + length) * 2_500;
            let answer = [ANSWER, REWRITTEN, ""][usize::from(answer)];
            let (ending, status) = [
                (Ending::Complete, Some(200)),
                (Ending::Complete, Some(500)),
                (Ending::ClientReset, None),
                (Ending::ClientFin, Some(200)),
                (Ending::TimedOut, None),
                (Ending::ServerFin, Some(200)),
            ][usize::from(kind)];
            let close = Close {
                time: t(end),
                ending,
                status,
                answer: answer.as_bytes().to_vec(),
            };
            (leg, close)
        };
        (0_u8..).zip(all).map(make).collect()
    })
}

proptest! {
    /// Every row comes out once; claims are one to one, between legs with one body that may be one
    /// call, and form no ring; the same traffic gives the same marks.
    #[test]
    fn claims_are_sound(legs in random_legs()) {
        let rows = replay(&legs);
        prop_assert_eq!(&rows, &replay(&legs));
        let marks: BTreeMap<u8, Option<u8>> = rows.iter().copied().collect();
        prop_assert_eq!(rows.len(), legs.len());
        prop_assert_eq!(marks.len(), legs.len());
        let mut claimed = BTreeSet::new();
        for (outer, inner) in &marks {
            let Some(inner) = inner else { continue };
            prop_assert!(claimed.insert(*inner), "{inner} is claimed twice");
            let ((outer, close), (inner, _)) = (&legs[usize::from(*outer)], &legs[usize::from(*inner)]);
            prop_assert_eq!(outer.body, inner.body);
            prop_assert_ne!(outer.id, inner.id);
            prop_assert_ne!(outer.server, inner.server);
            prop_assert!(inner.start.micros_since(outer.start) >= -TOLERANCE);
            prop_assert!(inner.start.micros_since(close.time) <= TOLERANCE);
        }
        for first in marks.keys() {
            let mut next = *first;
            for _ in 0..marks.len() {
                match marks[&next] {
                    Some(inner) => next = inner,
                    None => break,
                }
            }
            prop_assert_eq!(marks[&next], None, "a ring from {}", first);
        }
    }

    /// Well-behaved relays, whatever else is asked with the same words: every outer leg finds its own.
    #[test]
    fn relayed_calls_are_paired(starts in prop::collection::vec((0_i64..50_000, 1_i64..50_000), 1..40)) {
        let mut legs = Vec::new();
        for (n, (start, length)) in (0_u8..).zip(starts) {
            let answer = format!("{{\"id\":\"chatcmpl-{n:032}\",\"object\":\"chat.completion\"}} and more");
            let (client, upstream) = (format!("192.0.2.1:{}", 40_000 + u16::from(n)), format!("10.0.0.1:{}", 50_000 + u16::from(n)));
            let model = if n % 2 == 0 { MODEL } else { OTHER_MODEL };
            let end = start + length;
            legs.push((leg(2 * n, &client, PROXY, start), close(end + 200, 200, &answer)));
            legs.push((leg(2 * n + 1, &upstream, model, start + 100), close(end + 100, 200, &answer)));
        }
        for (row, key) in replay(&legs) {
            prop_assert_eq!(key, (row % 2 == 0).then_some(row + 1));
        }
    }
}
