//! Each rule of the matching, then its bounds.

mod random;

use std::collections::BTreeMap;

use super::*;
use crate::exchange::Ending;

const CLIENT: &str = "192.0.2.1:40000";
const PROXY: &str = "10.0.0.1:80";
const PROXY_OUT: &str = "10.0.0.1:50000";
const MODEL: &str = "10.0.0.2:8000";
const OTHER_MODEL: &str = "10.0.0.3:8000";
const BRIDGE: &str = "172.17.0.1:50001";
const CONTAINER: &str = "172.17.0.2:8000";

/// An answer whose first bytes tell it from others.
const ANSWER: &str =
    r#"{"id":"chatcmpl-0f3b5c1d9e7a4d2b8c6a0e1f2d3c4b5a","object":"chat.completion"}"#;
const REWRITTEN: &str =
    r#"{"id":"gw-9a8b7c6d","object":"chat.completion","model":"the-gateways-own-name"}"#;

fn t(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_754_000_000_000_000 + micros)
}

/// A leg from one address to another; its number is its key, connection and row.
fn leg(number: u8, peer: &str, server: &str, start: i64) -> Leg {
    Leg {
        id: ExchangeId {
            connection: u64::from(number),
            number: 0,
        },
        key: CallKey([number; 16]),
        body: BodyHash([9; 16]),
        peer: peer.parse().unwrap(),
        server: server.parse().unwrap(),
        start: t(start),
    }
}

fn close(end: i64, status: u16, answer: &str) -> Close {
    Close {
        time: t(end),
        ending: Ending::Complete,
        status: Some(status),
        answer: answer.as_bytes().to_vec(),
    }
}

fn ok(end: i64) -> Close {
    close(end, 200, ANSWER)
}

/// The client left, before any answer.
fn left(end: i64) -> Close {
    Close {
        time: t(end),
        ending: Ending::ClientReset,
        status: None,
        answer: Vec::new(),
    }
}

#[derive(Default)]
struct Bench {
    legs: Legs<u8>,
    rows: Vec<(u8, Option<u8>)>,
}

impl Bench {
    fn asked(mut self, leg: Leg) -> Self {
        self.legs.asked(leg);
        self
    }

    fn ended(mut self, leg: Leg, close: Close) -> Self {
        let close = Some(close);
        self.end(EndedLeg { leg, close });
        self
    }

    fn end(&mut self, ended: EndedLeg) {
        let row = ended.leg.key.0[0];
        let rows = &mut self.rows;
        self.legs
            .ended(ended, row, 1, &mut |matched| rows.push(numbers(matched)));
    }

    fn tick(mut self, now: i64) -> Self {
        let rows = &mut self.rows;
        self.legs
            .tick(t(now), &mut |matched| rows.push(numbers(matched)));
        self
    }

    fn finish(mut self) -> Vec<(u8, Option<u8>)> {
        let rows = &mut self.rows;
        self.legs.finish(&mut |matched| rows.push(numbers(matched)));
        self.rows
    }
}

fn numbers((row, key): Matched<u8>) -> (u8, Option<u8>) {
    (row, key.map(|key| key.0[0]))
}

/// Legs with their ends, all asked in the order of their starts and ended in the order of their ends.
fn replay(legs: &[(Leg, Close)]) -> Vec<(u8, Option<u8>)> {
    let mut steps: Vec<(Timestamp, usize, bool)> = Vec::new();
    for (place, (leg, close)) in legs.iter().enumerate() {
        steps.push((leg.start, place, false));
        steps.push((close.time, place, true));
    }
    steps.sort_unstable();
    let bench = steps
        .iter()
        .fold(Bench::default(), |bench, (_, place, ends)| {
            let (leg, close) = legs[*place].clone();
            if *ends {
                bench.ended(leg, close)
            } else {
                bench.asked(leg)
            }
        });
    bench.finish()
}

#[test]
fn a_proxys_outer_leg_is_that_of_its_inner_one() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let rows = replay(&[(outer, ok(90_000)), (inner, ok(89_000))]);
    assert_eq!(rows, [(2, None), (1, Some(2))]);
}

#[test]
fn dockers_proxy_and_a_translated_destination() {
    let outer = leg(1, CLIENT, "10.0.0.9:8000", 0);
    for inner in [leg(2, BRIDGE, CONTAINER, 40), leg(2, CLIENT, CONTAINER, 2)] {
        let rows = replay(&[(outer, ok(90_003)), (inner, ok(90_000))]);
        assert_eq!(rows, [(2, None), (1, Some(2))], "{inner:?}");
    }
}

#[test]
fn three_legs_make_a_chain() {
    let legs = [
        (leg(1, CLIENT, "10.0.0.9:80", 0), ok(90_000)),
        (leg(2, BRIDGE, "172.17.0.2:80", 50), ok(89_900)),
        (
            leg(3, "172.17.0.2:50000", "172.17.0.3:8000", 400),
            ok(89_000),
        ),
    ];
    assert_eq!(replay(&legs), [(3, None), (2, Some(3)), (1, Some(2))]);
}

/// The client and the model server are on one machine, two proxies between them on others. The last
/// leg looks as if the first might follow from it, and waits.
#[test]
fn a_chain_that_comes_back_to_where_it_began_has_an_inner_end() {
    let legs = [
        (leg(1, "10.0.0.1:40000", "10.0.0.2:80", 0), ok(3_900)),
        (leg(2, "10.0.0.2:50000", "10.0.0.3:80", 10), ok(3_700)),
        (leg(3, "10.0.0.3:50000", "10.0.0.1:8000", 20), ok(3_500)),
    ];
    assert_eq!(replay(&legs), [(2, Some(3)), (1, Some(2)), (3, None)]);
}

#[test]
fn what_is_not_nested_is_not_one_call() {
    let outer = leg(1, CLIENT, PROXY, 0);
    for (start, end) in [
        (-TOLERANCE - 1, 50_000),
        (300, 90_000 + TOLERANCE + 1),
        (90_000 + TOLERANCE + 1, 99_000),
    ] {
        let inner = leg(2, PROXY_OUT, MODEL, start);
        let rows = replay(&[(outer, ok(90_000)), (inner, ok(end))]);
        assert!(rows.iter().all(|(_, key)| key.is_none()), "{start} {end}");
    }
}

#[test]
fn taps_may_be_out_of_step_by_the_tolerance() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, -TOLERANCE);
    let rows = replay(&[(outer, ok(90_000)), (inner, ok(90_000 + TOLERANCE))]);
    // The outer row waited for the inner one.
    assert_eq!(rows, [(2, None), (1, Some(2))]);
}

#[test]
fn different_bodies_are_different_calls() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let mut inner = leg(2, PROXY_OUT, MODEL, 300);
    inner.body = BodyHash([8; 16]);
    let rows = replay(&[(outer, ok(90_000)), (inner, ok(89_000))]);
    assert_eq!(rows, [(2, None), (1, None)]);
}

#[test]
fn one_clients_calls_to_two_replicas_are_two() {
    // Even with one answer, byte for byte, as servers without identifiers give at temperature 0.
    let legs = [
        (leg(1, "192.0.2.1:40000", MODEL, 0), ok(90_000)),
        (leg(2, "192.0.2.1:40001", OTHER_MODEL, 300), ok(80_000)),
    ];
    assert_eq!(replay(&legs), [(2, None), (1, None)]);
}

#[test]
fn calls_to_one_server_are_two() {
    let legs = [
        (leg(1, "192.0.2.1:40000", MODEL, 0), ok(90_000)),
        (leg(2, "192.0.2.2:40000", MODEL, 300), ok(80_000)),
    ];
    assert_eq!(replay(&legs), [(2, None), (1, None)]);
}

#[test]
fn exchanges_of_one_connection_are_never_legs() {
    let mut second = leg(2, PROXY_OUT, MODEL, 300);
    second.id = ExchangeId {
        connection: 1,
        number: 1,
    };
    let legs = [(leg(1, CLIENT, PROXY, 0), ok(90_000)), (second, ok(80_000))];
    assert_eq!(replay(&legs), [(2, None), (1, None)]);
}

#[test]
fn two_clients_calls_to_two_replicas_with_two_answers_are_two() {
    for answer in [close(80_000, 200, REWRITTEN), close(80_000, 503, ANSWER)] {
        let legs = [
            (leg(1, "192.0.2.1:40000", MODEL, 0), ok(90_000)),
            (leg(2, "192.0.2.2:40000", OTHER_MODEL, 300), answer),
        ];
        assert_eq!(replay(&legs), [(2, None), (1, None)]);
    }
}

/// On loopback every address is that of the relay, and shows none.
#[test]
fn on_loopback_the_answers_decide() {
    let outer = leg(1, "127.0.0.1:40000", "127.0.0.1:80", 0);
    let inner = leg(2, "127.0.0.1:40001", "127.0.0.1:8000", 300);
    let rows = replay(&[(outer, ok(90_000)), (inner, ok(80_000))]);
    assert_eq!(rows, [(2, None), (1, Some(2))]);
    let rows = replay(&[(outer, ok(90_000)), (inner, close(80_000, 200, REWRITTEN))]);
    assert_eq!(rows, [(2, None), (1, None)]);
}

#[test]
fn answers_that_only_begin_alike_say_nothing() {
    let cut = |end, answer: &str| Close {
        ending: Ending::ServerFin,
        ..close(end, 200, answer)
    };
    let outer = leg(1, "192.0.2.1:40000", MODEL, 0);
    let inner = leg(2, "192.0.2.2:40000", OTHER_MODEL, 300);
    let legs = [
        (outer, ok(90_000)),
        (inner, cut(80_000, r#"{"id":"chatcmpl-"#)),
    ];
    assert_eq!(replay(&legs), [(2, None), (1, None)]);
}

#[test]
fn a_gateway_may_rewrite_the_answer() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let rows = replay(&[(outer, close(90_000, 200, REWRITTEN)), (inner, ok(80_000))]);
    assert_eq!(rows, [(2, None), (1, Some(2))]);
}

#[test]
fn a_call_that_was_tried_again_goes_with_the_try_that_answered() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let silent = Close {
        time: t(40_000),
        ending: Ending::ServerFin,
        status: None,
        answer: Vec::new(),
    };
    for first in [silent, close(40_000, 500, "no"), close(80_000, 500, "no")] {
        let legs = [
            (outer, ok(90_000)),
            (leg(2, PROXY_OUT, MODEL, 300), first),
            (leg(3, "10.0.0.1:50001", OTHER_MODEL, 41_000), ok(85_000)),
        ];
        assert_eq!(replay(&legs), [(2, None), (3, None), (1, Some(3))]);
    }
}

#[test]
fn a_proxys_own_error_goes_with_the_only_try() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let refused = close(80_000, 500, "Internal Server Error");
    let rows = replay(&[(outer, close(90_000, 502, "Bad Gateway")), (inner, refused)]);
    assert_eq!(rows, [(2, None), (1, Some(2))]);
}

#[test]
fn a_proxys_own_error_takes_nobodys_inner_leg() {
    let answered = close(80_000, 200, ANSWER);
    let legs = [
        (
            leg(1, "192.0.2.1:40000", PROXY, 0),
            close(81_000, 503, "Service Unavailable"),
        ),
        (leg(2, "192.0.2.2:40000", PROXY, 100), ok(90_000)),
        (leg(3, PROXY_OUT, MODEL, 300), answered),
    ];
    assert_eq!(replay(&legs), [(3, None), (1, None), (2, Some(3))]);
}

#[test]
fn equal_calls_through_a_proxy_are_paired_by_their_answers() {
    let answer =
        |n: u8| format!("{{\"id\":\"chatcmpl-{n:032}\",\"object\":\"chat.completion\"}} and more");
    let mut legs = Vec::new();
    for n in 0..8_u8 {
        let at = i64::from(n);
        let client = format!("192.0.2.1:{}", 40_000 + u16::from(n));
        let upstream = format!("10.0.0.1:{}", 50_000 + u16::from(n));
        let model = if n % 2 == 0 { MODEL } else { OTHER_MODEL };
        // The calls are answered in another order than they were asked.
        let end = 80_000 + at * 3 % 8 * 1_000;
        legs.push((
            leg(n, &client, PROXY, at * 10),
            close(end + 500, 200, &answer(n)),
        ));
        legs.push((
            leg(100 + n, &upstream, model, at * 10 + 300),
            close(end, 200, &answer(n)),
        ));
    }
    let rows = replay(&legs);
    assert_eq!(rows.len(), 16);
    for (row, key) in rows {
        assert_eq!(key, (row < 100).then_some(100 + row));
    }
}

#[test]
fn a_client_that_leaves_has_its_row_wait_for_the_proxy_to_notice() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let rows = replay(&[(outer, left(50_000)), (inner, left(50_000 + ABORT_GRACE))]);
    assert_eq!(rows, [(1, Some(2)), (2, None)]);
    let rows = replay(&[(outer, left(50_000)), (inner, left(50_001 + ABORT_GRACE))]);
    assert_eq!(rows, [(1, None), (2, None)]);
}

#[test]
fn a_client_that_leaves_at_once_has_its_row_wait_for_the_proxys_request() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 900);
    let bench = Bench::default()
        .asked(outer)
        .ended(outer, left(500))
        .tick(2_000);
    assert_eq!(bench.rows, []);
    let bench = bench.asked(inner).ended(inner, left(1_200));
    assert_eq!(bench.tick(10_000).rows, [(1, Some(2)), (2, None)]);

    let alone = Bench::default()
        .asked(outer)
        .ended(outer, left(500))
        .tick(500 + TOLERANCE);
    assert_eq!(alone.rows, [(1, None)]);
}

#[test]
fn the_proxy_that_never_notices_is_known_by_its_address() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let bench = Bench::default()
        .asked(outer)
        .asked(inner)
        .ended(outer, left(500));
    let bench = bench.tick(499 + ABORT_GRACE);
    assert_eq!(bench.rows, []);
    assert_eq!(bench.tick(500 + ABORT_GRACE).rows, [(1, Some(2))]);
}

#[test]
fn a_retry_after_leaving_is_a_call_of_its_own() {
    // From another machine's point of view it might be a relay; it ends well, and the first did not.
    let first = leg(1, "192.0.2.1:40000", MODEL, 0);
    let again = leg(2, "192.0.2.2:40000", OTHER_MODEL, 50_300);
    let rows = replay(&[(first, left(50_000)), (again, ok(90_000))]);
    assert_eq!(rows, [(2, None), (1, None)]);
}

#[test]
fn three_legs_of_a_client_that_left_make_a_chain() {
    let legs = [
        (leg(1, CLIENT, "10.0.0.9:80", 0), left(50_000)),
        (leg(2, BRIDGE, "172.17.0.2:80", 50), left(50_100)),
        (
            leg(3, "172.17.0.2:50000", "172.17.0.3:8000", 400),
            left(50_900),
        ),
    ];
    let rows = replay(&legs);
    assert_eq!(
        BTreeMap::from_iter(rows),
        BTreeMap::from([(1, Some(2)), (2, Some(3)), (3, None)])
    );
}

#[test]
fn an_inner_leg_whose_end_was_lost_is_known_by_its_address() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let bench = Bench::default()
        .asked(outer)
        .asked(inner)
        .ended(outer, ok(90_000));
    assert_eq!(bench.rows, []);
    let bench = bench.tick(90_000 + TOLERANCE);
    assert_eq!(bench.rows, [(1, Some(2))]);
    let timed_out = Close {
        ending: Ending::TimedOut,
        ..ok(300_000_000)
    };
    assert_eq!(
        bench.ended(inner, timed_out).rows,
        [(1, Some(2)), (2, None)]
    );
}

#[test]
fn what_the_capture_cut_off_is_matched_by_what_was_seen() {
    let cut = |end| Close {
        ending: Ending::CaptureEnd,
        ..ok(end)
    };
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let bench = Bench::default().asked(outer).asked(inner);
    let rows = bench
        .ended(outer, cut(90_000))
        .ended(inner, cut(90_000))
        .finish();
    assert_eq!(rows, [(2, None), (1, Some(2))]);
}

/// Nor is it an end in common that the capture stopped.
#[test]
fn unanswered_calls_at_the_end_of_the_capture_are_two() {
    let cut = Close {
        ending: Ending::CaptureEnd,
        ..left(90_000)
    };
    let one = leg(1, "192.0.2.1:40000", MODEL, 0);
    let other = leg(2, "192.0.2.2:40000", OTHER_MODEL, 300);
    let rows = replay(&[(one, cut.clone()), (other, cut)]);
    assert!(rows.iter().all(|(_, key)| key.is_none()), "{rows:?}");
}

#[test]
fn what_turns_out_to_be_no_call_is_no_leg() {
    let outer = leg(1, CLIENT, PROXY, 0);
    let inner = leg(2, PROXY_OUT, MODEL, 300);
    let mut bench = Bench::default().asked(outer).asked(inner);
    bench.end(EndedLeg {
        leg: inner,
        close: None,
    });
    assert_eq!(bench.ended(outer, ok(90_000)).rows, [(2, None), (1, None)]);
}

#[test]
fn rows_without_company_pass_at_once_and_leave_nothing() {
    let call = leg(1, CLIENT, MODEL, 0);
    let bench = Bench::default().asked(call).ended(call, ok(90_000));
    assert_eq!(bench.rows, [(1, None)]);
    let bench = bench.tick(90_001 + TOLERANCE);
    assert_eq!(bench.legs.known(), 0);
    assert!(bench.legs.alike.is_empty());
}

/// Calls that are always in flight, one prompt, for hours: what ended is forgotten.
#[test]
fn a_load_test_with_one_prompt_keeps_no_more_than_is_in_flight() {
    let numbered = |n: u64| {
        let mut call = leg(0, CLIENT, MODEL, n as i64 * 1_000);
        call.id.connection = n;
        call.peer.set_port(n as u16);
        call
    };
    let mut bench = Bench::default();
    for n in 0..10_000 {
        bench = bench.asked(numbered(n));
        if let Some(first) = n.checked_sub(50) {
            let end = n as i64 * 1_000;
            bench = bench.ended(numbered(first), ok(end));
        }
        if n % 100 == 0 {
            bench = bench.tick(n as i64 * 1_000);
        }
        assert!(bench.legs.known() <= 51 + 200, "{}", bench.legs.known());
    }
    assert_eq!(bench.legs.counters(), LegCounters::default());
}

/// All clients leave at once: each row is looked at a few times, not at every other's end.
#[test]
fn a_storm_of_clients_that_leave_is_paired() {
    let calls = (0..400_u16).map(|n| {
        let start = i64::from(n) * 10;
        let mut outer = leg(1, &format!("192.0.2.1:{}", 10_000 + n), PROXY, start);
        let mut inner = leg(2, &format!("10.0.0.1:{}", 10_000 + n), MODEL, start + 300);
        (outer.id.connection, inner.id.connection) = (u64::from(n), 1_000 + u64::from(n));
        [(outer, left(60_000 + start)), (inner, left(60_300 + start))]
    });
    let rows = replay(&calls.flatten().collect::<Vec<_>>());
    assert_eq!(rows.len(), 800);
    for (row, key) in rows {
        assert_eq!(key, (row == 1).then_some(2));
    }
}

#[test]
fn past_the_bounds_legs_are_shed_and_counted_and_their_rows_pass() {
    let numbered = |n: usize, body: u64| {
        let mut call = leg(7, CLIENT, MODEL, 0);
        call.id.connection = n as u64;
        call.body.0[..8].copy_from_slice(&body.to_be_bytes());
        call
    };
    let mut alike = Bench::default();
    for n in 0..=MAX_ALIKE {
        alike = alike.asked(numbered(n, 0));
    }
    assert_eq!(
        (alike.legs.known(), alike.legs.counters().legs_shed),
        (MAX_ALIKE, 1)
    );
    let shed = numbered(MAX_ALIKE, 0);
    assert_eq!(alike.ended(shed, ok(1)).rows, [(7, None)]);

    let mut all = Bench::default();
    for n in 0..=MAX_LEGS {
        all = all.asked(numbered(n, n as u64));
    }
    assert_eq!(
        (all.legs.known(), all.legs.counters().legs_shed),
        (MAX_LEGS, 1)
    );
}

#[test]
fn past_the_bounds_rows_do_not_wait() {
    let numbered = |n: usize| {
        let mut call = leg(7, CLIENT, MODEL, 0);
        call.id.connection = n as u64;
        call.body.0[..8].copy_from_slice(&n.to_be_bytes());
        call
    };
    let mut bench = Bench::default();
    for n in 0..=MAX_WAITING {
        bench = bench.asked(numbered(n)).ended(numbered(n), left(1));
    }
    assert_eq!((bench.rows.len(), bench.legs.counters().waits_cut), (1, 1));

    let (call, mut rows) = (numbered(0), Vec::new());
    let mut legs = Legs::default();
    legs.asked(call);
    let close = Some(left(1));
    legs.ended(
        EndedLeg { leg: call, close },
        7,
        MAX_WAITING_BYTES + 1,
        &mut |matched| {
            rows.push(numbers(matched));
        },
    );
    assert_eq!((rows, legs.counters().waits_cut), (vec![(7, None)], 1));
}
