//! The attacks.

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};

use super::{
    Attack,
    wire::{Peer, Wire},
};

/// A segment as offload hands it over.
const LARGE: usize = 32 * 1024;

/// Connections of one attack that has many.
const MANY: u64 = 10_000;

/// What a bomb of under 100 KB comes to: more than is read of one body.
const BOMB: usize = 80 << 20;

/// A head just below what is read of one.
const LONG_HEAD: usize = 250 * 1024;

/// Every attack, in the order of the table.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "syn-flood",
        what: "{} SYNs, each from another address",
        size: 4_000_000,
        small: 400_000,
        shed: Some("evicted"),
        arguments: &[],
        send: |wire, size| (0..size).try_for_each(|number| Peer::new(number).syn(wire)),
    },
    Attack {
        name: "half-open",
        what: "{} SYNs, each answered, and no more",
        size: 1_000_000,
        small: 300_000,
        shed: Some("evicted"),
        arguments: &[],
        send: half_open,
    },
    Attack {
        name: "half-open, all held",
        what: "the same, with room for all",
        size: 1_000_000,
        small: 300_000,
        shed: None,
        arguments: &["--max-connections", "1200000"],
        send: half_open,
    },
    Attack {
        name: "hole",
        what: "a hole that never fills, {} segments of 32 KiB behind it",
        size: 65_536,
        small: 2_000,
        shed: Some("gaps_for_budget"),
        arguments: &[],
        send: hole,
    },
    Attack {
        name: "holes",
        what: "10,000 connections with a hole, in all {} segments of 32 KiB behind them",
        size: 6 * MANY,
        small: MANY,
        shed: Some("gaps_for_budget"),
        arguments: &[],
        send: holes,
    },
    Attack {
        name: "crumbs",
        what: "{} segments of one octet, a hole before each",
        size: 2_000_000,
        small: 100_000,
        shed: Some("gaps_for_budget"),
        arguments: &[],
        send: crumbs,
    },
    Attack {
        name: "octets",
        what: "a body in {} segments of one octet",
        size: 2_000_000,
        small: 100_000,
        shed: None,
        arguments: &[],
        send: octets,
    },
    Attack {
        name: "body",
        what: "a Content-Length without end, {} segments of 32 KiB",
        size: 65_536,
        small: 4_000,
        shed: Some("bodies_capped"),
        arguments: &[],
        send: body,
    },
    Attack {
        name: "chunked",
        what: "a streamed answer without end, {} chunks of 32 KiB",
        size: 65_536,
        small: 4_000,
        shed: Some("bodies_capped"),
        arguments: &[],
        send: chunked,
    },
    Attack {
        name: "head",
        what: "a head without end, {} segments of 32 KiB",
        size: 65_536,
        small: 4_000,
        shed: Some("heads_too_large"),
        arguments: &[],
        send: head,
    },
    Attack {
        name: "heads",
        what: "{} connections with 250 KiB of a head",
        size: MANY,
        small: 2_000,
        shed: Some("heads_shed"),
        arguments: &[],
        send: heads,
    },
    Attack {
        name: "gzip-bombs",
        what: "{} connections at once with an answer of 80 KB that comes to 80 MiB",
        size: 200,
        small: 4,
        shed: Some("bodies_capped"),
        arguments: &[],
        send: bombs,
    },
    Attack {
        name: "unanswered",
        what: "{} requests on one connection, none answered",
        size: 1_000_000,
        small: 20_000,
        shed: Some("exchanges_evicted"),
        arguments: &[],
        send: unanswered,
    },
];

/// The head of a request whose body is as long as it likes.
const ENDLESS: &str = "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n\
    {\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"";

const SHORT: &str = "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";

fn half_open(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    (0..size).try_for_each(|number| {
        let mut peer = Peer::new(number);
        peer.syn(wire)?;
        peer.syn_ack(wire)
    })
}

/// A connection whose request has begun.
fn begun(wire: &mut Wire<'_>, number: u64) -> io::Result<Peer> {
    let mut peer = Peer::new(number);
    peer.handshake(wire)?;
    peer.client(wire, ENDLESS.as_bytes())?;
    Ok(peer)
}

fn hole(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = begun(wire, 0)?;
    peer.lose(1);
    let piece = text();
    (0..size).try_for_each(|_| peer.client(wire, &piece))
}

fn holes(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peers = (0..MANY)
        .map(|number| begun(wire, number))
        .collect::<io::Result<Vec<_>>>()?;
    for peer in &mut peers {
        peer.lose(1);
    }
    let piece = text();
    for _ in 0..size.div_ceil(MANY) {
        for peer in &mut peers {
            peer.client(wire, &piece)?;
        }
    }
    Ok(())
}

fn crumbs(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = begun(wire, 0)?;
    (0..size).try_for_each(|_| {
        peer.lose(1);
        peer.client(wire, b"x")
    })
}

fn octets(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = begun(wire, 0)?;
    (0..size).try_for_each(|_| peer.client(wire, b"x"))
}

fn body(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = begun(wire, 0)?;
    let piece = text();
    (0..size).try_for_each(|_| peer.client(wire, &piece))
}

fn chunked(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = Peer::new(0);
    peer.handshake(wire)?;
    peer.client(wire, SHORT.as_bytes())?;
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    peer.server(wire, head.as_bytes())?;
    let event =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word word word\"}}]}\n\n";
    let events = event.repeat(LARGE / event.len());
    let chunk = format!("{:x}\r\n{events}\r\n", events.len());
    (0..size).try_for_each(|_| peer.server(wire, chunk.as_bytes()))
}

fn head(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = Peer::new(0);
    peer.handshake(wire)?;
    peer.client(wire, b"POST /v1/chat/completions HTTP/1.1\r\nX-Long: ")?;
    let piece = vec![b'x'; LARGE];
    (0..size).try_for_each(|_| peer.client(wire, &piece))
}

fn heads(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let head = [
        b"POST /v1/chat/completions HTTP/1.1\r\nX-Long: ".to_vec(),
        vec![b'x'; LONG_HEAD],
    ]
    .concat();
    (0..size).try_for_each(|number| {
        let mut peer = Peer::new(number);
        peer.handshake(wire)?;
        head.chunks(LARGE)
            .try_for_each(|piece| peer.client(wire, piece))
    })
}

fn bombs(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(b"{\"choices\":[{\"message\":{\"content\":\"")?;
    io::copy(
        &mut io::Read::take(io::repeat(b'x'), BOMB as u64),
        &mut gzip,
    )?;
    let bomb = gzip.finish()?;
    let mut peers: Vec<_> = (0..size).map(Peer::new).collect();
    for peer in &mut peers {
        peer.handshake(wire)?;
        peer.client(wire, SHORT.as_bytes())?;
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n";
        peer.server(wire, head.as_bytes())?;
    }
    // All are under way at once.
    for piece in bomb.chunks(4_096) {
        for peer in &mut peers {
            peer.server(wire, piece)?;
        }
    }
    Ok(())
}

fn unanswered(wire: &mut Wire<'_>, size: u64) -> io::Result<()> {
    let mut peer = Peer::new(0);
    peer.handshake(wire)?;
    (0..size).try_for_each(|_| peer.client(wire, SHORT.as_bytes()))
}

/// Words, as they stand in a question.
fn text() -> Vec<u8> {
    b"word ".iter().copied().cycle().take(LARGE).collect()
}
