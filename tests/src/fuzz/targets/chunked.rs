//! Chunked framing.
//!
//! The input is taken twice: as the coded body, which must read as a plain, slow reader of RFC 9112 §7.1
//! reads it where that finds no fault; and as a body to be put into chunks, which must come out as it was.

use sniffer::{http::HttpLimits, tcp::Side};

use super::{
    grammar::{Body, Line},
    http::{Op, Played, compare},
    words,
};
use crate::{
    fuzz::{Features, Target, choices::cutting},
    traffic::Random,
};

pub(super) const TARGET: Target = Target {
    name: "chunked",
    check,
    seeds,
    words: words::HTTP,
    longest: 1_024,
    mutations: 8_000,
};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn check(bytes: &[u8]) -> Features {
    let read = answer(bytes, cutting(bytes));
    if let Some((body, length)) = slowly(bytes) {
        assert_eq!(body_of(&read), body, "not the body that is in the chunks");
        // What follows is a message of its own, or none.
        assert!(complete(&read), "not complete: {:?}", read.grammar.log);
        assert!(length < bytes.len() || read.counters.chunks_invalid == 0);
    }
    let coded = in_chunks(bytes);
    let back = answer(&coded, cutting(bytes));
    assert_eq!(
        body_of(&back),
        bytes,
        "not the body that was put into chunks"
    );
    assert!(complete(&back));

    let mut features = read.grammar.features;
    features.counters(read.counters.iter());
    features
}

/// The answer with this coded body.
fn answer(coded: &[u8], cut: (u64, u64)) -> Played {
    let ops = [
        (0, Op::Data(Side::Client, &b"GET / HTTP/1.1\r\n\r\n"[..])),
        (10, Op::Data(Side::Server, HEAD)),
        (10, Op::Data(Side::Server, coded)),
    ];
    compare(HttpLimits::default(), &ops, true, cut)
}

fn complete(played: &Played) -> bool {
    played.grammar.log.iter().any(|line| match line {
        Line::Other(id, text) => id.number == 0 && text.contains("ending: Complete"),
        _ => false,
    })
}

/// The body of the first answer.
pub(super) fn body_of(played: &Played) -> Vec<u8> {
    let pieces = played.grammar.log.iter().filter_map(|line| match line {
        Line::Body(id, Body::Response, bytes, _) if id.number == 0 => Some(bytes.as_slice()),
        _ => None,
    });
    pieces.collect::<Vec<_>>().concat()
}

/// The body, and how long it was with its framing, where all is as the RFC says: no more than 16 digits,
/// CRLF everywhere, extensions and trailers of visible characters and spaces.
fn slowly(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut rest = bytes;
    let visible = |text: &[u8]| text.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let line = |rest: &mut &[u8]| {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = rest[..end].to_vec();
        *rest = &rest[end + 2..];
        Some(line)
    };
    loop {
        let size = line(&mut rest)?;
        let digits = size
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let (digits, extension) = size.split_at(digits);
        let fair = extension.is_empty() || extension.starts_with(b";");
        if digits.len() > 16 || !fair || !visible(extension) {
            return None;
        }
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let trailer = line(&mut rest)?;
        if trailer.is_empty() {
            return Some((body, bytes.len() - rest.len()));
        }
        if !visible(&trailer) || !trailer.contains(&b':') {
            return None;
        }
    }
}

/// Puts a body into chunks, with what the RFC allows beside them.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut random = Random::new(body.len() as u64);
    let mut coded = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let size = random.below(60) as usize + 1;
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        let size = match random.below(4) {
            0 => format!("{:X};name=\"value\"\r\n", chunk.len()),
            1 => format!("000{:x}\r\n", chunk.len()),
            _ => format!("{:x}\r\n", chunk.len()),
        };
        coded.extend_from_slice(size.as_bytes());
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
        rest = after;
    }
    coded.extend_from_slice(b"0\r\nTrailer: value\r\n\r\n");
    coded
}

fn seeds() -> Vec<Vec<u8>> {
    [
        "0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
        "a;b=c\r\n0123456789\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
        "3\nabc\n0\n\n",
        "5 \r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "g\r\n",
        "ffffffffffffffff\r\nhello",
        "10000000000000000\r\nhello",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
