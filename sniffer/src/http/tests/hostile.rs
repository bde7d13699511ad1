//! Any bytes, in any order, with any damage: nothing panics, nothing loops, and every exchange that
//! begins ends once (the log checks that).

use proptest::prelude::*;

use super::*;

/// Pieces that are likely to lead somewhere.
const WORDS: [&str; 30] = [
    "GET / HTTP/1.1\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n",
    "HEAD /h HTTP/1.0\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "GET /old\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Content-Encoding: gzip\r\n",
    "Content-Encoding: br, zstd, deflate\r\n",
    "\r\n",
    "\n",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "hello",
    "\x1f\u{8}\0\0",
    "\x16\x03\x01\0\x05\x01",
    "PRI * HTTP/2.0\r\n\r\n",
    " ",
    ":",
    "H",
    "G",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..20),
    ];
    prop::collection::vec(word, 1..8).prop_map(|words| words.concat())
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::Client), Just(Side::Server)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (side(), bytes()).prop_map(|(side, bytes)| Op::Data(side, bytes)),
        2 => (side(), prop_oneof![1..60_u64, Just(u64::MAX)]).prop_map(|(side, length)| Op::Gap(side, length)),
        1 => side().prop_map(Op::Fin),
        1 => side().prop_map(Op::Rst),
    ]
}

/// Exchanges with bodies in pieces, as a peer that is in order sends them.
fn exchange() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let body = prop::collection::vec("[a-z]{1,9}", 0..4);
    (any::<bool>(), body).prop_map(|(chunked, pieces)| {
        let mut message = String::new();
        if chunked {
            message.push_str("Transfer-Encoding: chunked\r\n\r\n");
            for piece in &pieces {
                write!(message, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
            }
            message.push_str("0\r\n\r\n");
        } else {
            let body = pieces.concat();
            write!(message, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        (
            format!("POST / HTTP/1.1\r\n{message}").into_bytes(),
            format!("HTTP/1.1 200 OK\r\n{message}").into_bytes(),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_beginning_has_one_end(
        ops in prop::collection::vec(op(), 0..24),
        from_start in any::<bool>(),
        open_exchanges in 1..5_usize,
        head_bytes in prop_oneof![Just(40_usize), Just(4_000)],
    ) {
        let limits = HttpLimits { open_exchanges, head_bytes, body_read: 20, ..HttpLimits::default() };
        let setup = Setup { from_start, limits, show: Show::Times };
        setup.run(&ops);
    }

    /// The same bytes in any pieces give the same events.
    #[test]
    fn cuts_change_nothing(
        exchanges in prop::collection::vec(exchange(), 1..4),
        cuts in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let whole: Vec<Op> = exchanges.iter().flat_map(|(up, down)| [c(up), s(down)]).collect();
        let mut cuts = cuts.into_iter().cycle();
        let mut pieces = Vec::new();
        for op in &whole {
            let Op::Data(side, bytes) = op else { continue };
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let take = cuts.next().unwrap_or(1).min(rest.len());
                let (piece, later) = rest.split_at(take);
                pieces.push(Op::Data(*side, piece.to_vec()));
                rest = later;
            }
        }
        let seen = Setup::new().run(&pieces);
        prop_assert_eq!(&seen.lines, &Setup::new().run(&whole).lines);
        prop_assert_eq!(seen.counters.skipped_bytes, 0);
        let complete = seen.lines.iter().filter(|line| line.contains(" complete")).count();
        prop_assert_eq!(complete, exchanges.len());
    }

    /// After one hole anywhere on the server's side the last exchanges are whole.
    #[test]
    fn one_hole_costs_one_exchange(at in 0..7_usize, from in 0..200_usize, length in 1..200_usize) {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n".to_owned() + &"x".repeat(60);
        let mut ops = Vec::new();
        let mut hole = None;
        for number in 0..9 {
            ops.push(c(format!("GET /{number} HTTP/1.1\r\n\r\n")));
            if number == at {
                let from = from % answer.len();
                let to = (from + length).min(answer.len());
                ops.push(s(&answer[..from]));
                ops.push(gap_s((to - from) as u64));
                ops.push(s(&answer[to..]));
                hole = Some(to - from);
            } else {
                ops.push(s(&answer));
            }
        }
        let lines = Setup::new().run(&ops).lines;
        for number in (0..9).filter(|&number| number != at) {
            let line = format!("{number} complete down 60");
            prop_assert!(lines.contains(&line), "{number} of {lines:?}");
        }
        let missing = hole.unwrap_or_default();
        let of_damaged = format!("{at} gap Response");
        let told: usize = lines
            .iter()
            .filter(|line| line.starts_with(&of_damaged))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum();
        prop_assert_eq!(told, missing);
    }
}
