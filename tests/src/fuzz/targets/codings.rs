//! Content codings, one and several on top of each other.
//!
//! The first two bytes choose the codings and how the rest is taken: as the coded body, whatever it is
//! (what comes out is capped), or as a text that is coded here and must come out again.

use std::io::Write as _;

use flate2::{Compression, write};
use sniffer::{http::HttpLimits, tcp::Side};

use super::{
    chunked::body_of,
    http::{Op, compare},
    words,
};
use crate::fuzz::{
    Features, Target,
    choices::{Choices, cutting},
};

pub(super) const TARGET: Target = Target {
    name: "codings",
    check,
    seeds,
    words: words::BODIES,
    longest: 2_048,
    mutations: 8_000,
};

/// Decoded bytes of one body that are handed on here.
const CAP: u64 = 64 * 1024;

const NAMES: [&str; 8] = [
    "gzip", "deflate", "br", "zstd", "identity", "x-gzip", "raw", "compress",
];

fn check(bytes: &[u8]) -> Features {
    let mut choices = Choices::new(bytes);
    let (form, which) = (choices.byte(), choices.byte());
    let count = usize::from(form & 3);
    let codings: Vec<usize> = [which & 7, which >> 3 & 7, which >> 6]
        .into_iter()
        .take(count)
        .map(usize::from)
        .collect();
    let rest = choices.rest();
    let coded = (form & 4 > 0).then(|| encode(rest, &codings)).flatten();
    // By custom, bare deflate goes by the name of the other.
    let name = |coding: &usize| match NAMES[*coding] {
        "raw" => "deflate",
        name => name,
    };
    let names: Vec<&str> = codings.iter().map(name).collect();

    let body = coded.as_deref().unwrap_or(rest);
    let field = if names.is_empty() {
        String::new()
    } else {
        format!("Content-Encoding: {}\r\n", names.join(", "))
    };
    // By length, in chunks (one is enough here), or until the end of the connection.
    let framing = match form >> 3 & 3 {
        0 | 1 => format!("Content-Length: {}\r\n", body.len()),
        2 => "Transfer-Encoding: chunked\r\n".to_owned(),
        _ => String::new(),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{field}{framing}\r\n");
    let framed = match form >> 3 & 3 {
        2 if body.is_empty() => b"0\r\n\r\n".to_vec(),
        2 => [
            format!("{:x}\r\n", body.len()).as_bytes(),
            body,
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
        _ => body.to_vec(),
    };
    let ops = [
        (0, Op::Data(Side::Client, &b"GET / HTTP/1.1\r\n\r\n"[..])),
        (10, Op::Data(Side::Server, head.as_bytes())),
        (10, Op::Data(Side::Server, &framed)),
        (10, Op::Fin(Side::Server)),
    ];
    let limits = HttpLimits {
        body_read: CAP,
        ..HttpLimits::default()
    };
    let played = compare(limits, &ops, true, cutting(bytes));
    let read = body_of(&played);
    assert!(read.len() as u64 <= CAP, "{} bytes came out", read.len());
    let mut features = played.grammar.features;
    features.counters(played.counters.iter());
    if coded.is_some() && rest.len() as u64 <= CAP {
        assert!(
            read == rest,
            "{names:?}: what was coded did not come out again"
        );
        assert_eq!(played.counters.bodies_undecoded, 0, "{names:?}");
        assert_eq!(played.counters.unread_bytes, 0, "{names:?}");
        features.seen("round trip");
    }
    for name in &names {
        let result = if played.counters.bodies_undecoded > 0 {
            "no"
        } else {
            "yes"
        };
        features.followed(name, result);
    }
    features
}

/// The text with these codings on it, the first innermost; `None` where one has no encoder here.
fn encode(text: &[u8], codings: &[usize]) -> Option<Vec<u8>> {
    let mut body = text.to_vec();
    for coding in codings {
        body = match NAMES.get(*coding)? {
            &"gzip" | &"x-gzip" => gzip(&body),
            &"deflate" => zlib(&body),
            &"raw" => deflate(&body),
            &"zstd" => zstd(&body),
            &"identity" => body,
            _ => return None,
        };
    }
    Some(body)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::DeflateEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap_or_default()
}

/// "data: {…}" in br at quality 11.
const BROTLI: &[u8] = &[
    0x1b, 0x7a, 0x00, 0xf8, 0x1d, 0x09, 0x76, 0xec, 0x84, 0x1b, 0xc7, 0xe0, 0x4e, 0x29, 0x22, 0xb6,
    0x57, 0x61, 0x78, 0xc9, 0xa2, 0xd3, 0x07, 0x1b, 0x70, 0xc0, 0x1c, 0x68, 0x91, 0x4d, 0x44, 0x77,
    0x00, 0x0c, 0xb8, 0x30, 0x84, 0xf6, 0x4a, 0x04, 0xe7, 0x52, 0x03,
];

fn seeds() -> Vec<Vec<u8>> {
    let text = b"data: {\"choices\":[{\"delta\":{\"content\":\"hello\"}}]}\n\n".repeat(3);
    let mut seeds = Vec::new();
    for coding in 0..8_u8 {
        // As a text.
        seeds.push([&[5, coding][..], &text].concat());
        // As it stands.
        let coded = match coding {
            2 => Some(BROTLI.to_vec()),
            _ => encode(&text, &[usize::from(coding)]),
        };
        seeds.extend(coded.map(|coded| [&[1 | coding << 3 & 0x18, coding][..], &coded].concat()));
    }
    // Two codings; a bomb; two members of one file.
    seeds.push([&[6, 3 << 3][..], &text].concat());
    seeds.push([&[7, 0xc8][..], &text].concat());
    seeds.push([&[1, 0][..], &gzip(&b"a".repeat(100_000))].concat());
    seeds.push([&[1, 3][..], &zstd(&b"a".repeat(100_000))].concat());
    seeds.push([&[1, 0][..], &gzip(b"one"), &gzip(b"two")].concat());
    seeds
}
