//! The two streams of a connection in, exchange events out. Sans-io.
//!
//! [`HttpHandler`] takes what `tcp` hands on and keeps one [`HttpStream`] a connection. Each direction
//! of it is a small machine: it waits for a `head`, reads the `body` by its `framing` (`chunked` is the
//! hard one), takes the content `coding` off as the bytes come, and waits again. `pairing` keeps the
//! exchanges that are open and tells which response answers which request; `messages` opens them. `damage` tells what a
//! hole costs, `resync` finds the way back after it, `order` which request a response can then still be
//! for, and `endings` how each exchange came to its end. A connection that does
//! not speak HTTP/1 is named ([`Protocol`]), counted, and left alone.
//!
//! Every [`EventKind::Begin`](analyzer::exchange::EventKind::Begin) is followed by exactly one
//! [`EventKind::End`](analyzer::exchange::EventKind::End), whatever the bytes were.

mod body;
mod chunked;
mod codec;
mod coding;
mod counters;
mod damage;
mod endings;
mod framing;
mod half;
mod handler;
mod head;
mod inflate;
mod memory;
mod messages;
mod order;
mod pairing;
mod protocol;
mod resync;
mod settings;
mod stream;
#[cfg(test)]
mod tests;

use analyzer::exchange::Event;

pub use counters::HttpCounters;
pub use handler::HttpHandler;
pub use protocol::Protocol;
pub use settings::{
    HttpLimits, HttpSettings, MAX_BODY_READ, MAX_CHUNK_LINE, MAX_CODINGS, MAX_DECODER_MEMORY,
    MAX_HEAD_BYTES, MAX_HEAD_FIELDS, MAX_OPEN_EXCHANGES, MAX_PROBE, MAX_TRAILER_BYTES,
    UNKNOWN_AFTER,
};
pub use stream::HttpStream;

use crate::tcp::ConnectionInfo;

/// Takes the events of exchanges as they are read.
pub trait EventSink {
    /// One event. Pieces of bodies are borrowed: keep what you need.
    fn event(&mut self, event: Event<'_>);

    /// A connection was found to speak `protocol`. Told at most once a connection and kind; a
    /// connection that changes (a WebSocket after its HTTP/1 handshake) is told of twice.
    fn protocol(&mut self, info: &ConnectionInfo, protocol: Protocol) {
        let _ = (info, protocol);
    }
}
