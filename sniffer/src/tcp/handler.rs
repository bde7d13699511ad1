//! The seam between TCP and what reads its streams.

use std::net::SocketAddr;

use analyzer::time::Timestamp;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opened the connection.
    Client,
    /// The end that accepted it.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What is known of a connection when its first bytes are handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Unique within one run; the same for the same packets, whatever the number of threads.
    pub id: u64,
    /// The client's end.
    pub client: SocketAddr,
    /// The server's end.
    pub server: SocketAddr,
    /// Whether the connection was seen from its SYN on, so that the streams begin at their beginning.
    pub from_start: bool,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Both FINs, or an RST.
    Closed,
    /// Nothing was seen for longer than the time-out.
    TimedOut,
    /// The capture ended.
    CaptureEnd,
    /// It was given up to stay within a budget.
    Evicted,
    /// A new connection took its addresses and ports.
    Replaced,
}

/// How a piece of a stream was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When the first packet that carried it was captured; it can be earlier than that of bytes before.
    pub time: Timestamp,
    /// How much of the other side's stream its sender had received by then (RFC 9293 §3.4), in bytes
    /// from where that stream is handed on, with what was lost of it; one more where that has ended.
    /// `None` where the packet did not say, or what it said cannot be believed. A piece that was sent
    /// again may say more than when it was sent first, but never more than had been sent before the
    /// other side received it.
    pub received: Option<u64>,
}

/// Reads the streams of connections. Calls for one connection come in the order of its streams:
/// `open`, then `data`, `gap`, `fin` and `rst`, then `close`. Data of one side is handed on only when
/// the other side's data that it acknowledges was (or was given up as a gap), so that a request comes
/// before its answer even where the capture had them the other way round.
pub trait StreamHandler {
    /// The state kept for one connection.
    type Stream;

    /// Which end sends bytes that begin like these (the start of one segment), if that can be told:
    /// used for connections whose handshake was not seen.
    fn sender_of(&self, payload: &[u8]) -> Option<Side>;

    /// A connection with something to hand on.
    fn open(&mut self, info: ConnectionInfo) -> Self::Stream;

    /// The next bytes of one direction.
    fn data(&mut self, stream: &mut Self::Stream, from: Side, bytes: &[u8], sent: Sent);

    /// `length` bytes of one direction will never come. `time` is when they were given up.
    fn gap(&mut self, stream: &mut Self::Stream, from: Side, length: u64, time: Timestamp);

    /// One direction reached its end.
    fn fin(&mut self, stream: &mut Self::Stream, from: Side, time: Timestamp);

    /// One side reset the connection.
    fn rst(&mut self, stream: &mut Self::Stream, from: Side, time: Timestamp);

    /// The connection is over. `time` is the packet time at which that was found.
    fn close(&mut self, stream: Self::Stream, reason: CloseReason, time: Timestamp);

    /// Whether a request is open without its whole answer: such a connection is kept longer when silent.
    fn is_waiting(&self, stream: &Self::Stream) -> bool;

    /// The bytes that are kept for what is not whole yet. They count as what waits in the connection, and
    /// [`StreamHandler::shed`] frees them.
    fn held(&self, _stream: &Self::Stream) -> usize {
        0
    }

    /// What waits in all connections is at its limit, and most of it here: gives up what is kept, and goes on.
    fn shed(&mut self, _stream: &mut Self::Stream) {}
}
