//! What was meant: the exchanges of a connection.

use std::ops::Range;

/// One exchange as it was meant.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its name, unique in a scenario.
    pub name: String,
    /// The method.
    pub method: &'static str,
    /// The request's target.
    pub target: String,
    /// The status of the final answer.
    pub status: u16,
    /// Where the request stands in the client's stream.
    pub request: Message,
    /// Where the final answer stands in the server's stream.
    pub response: Message,
    /// How it was to come to its end.
    pub plan: Plan,
    /// Whether it was asked for before the answer to the one before it was over, or the next was.
    pub pipelined: bool,
}

/// One message: its places in the stream, and its body.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The head.
    pub head: Range<u64>,
    /// The body with its framing, as far as it is written.
    pub body: Range<u64>,
    /// The body with framing taken off, as far as it is written.
    pub framed: Vec<u8>,
    /// The same with content coding taken off.
    pub decoded: Vec<u8>,
    /// Whether there is a content coding.
    pub is_coded: bool,
    /// Pieces of the framed body: where each begins in it, and where that is in the stream.
    pub pieces: Vec<(u64, u64)>,
}

impl Message {
    /// The place in the stream of an octet of the framed body.
    pub fn place(&self, octet: u64) -> u64 {
        let piece = self.pieces.iter().rev().find(|(begin, _)| *begin <= octet);
        piece.map_or(self.body.start, |(begin, place)| place + octet - begin)
    }

    /// All of it.
    pub const fn range(&self) -> Range<u64> {
        self.head.start..self.body.end
    }
}

/// How an exchange was to come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// With its whole answer.
    Complete,
    /// The client says in the middle that it sends no more.
    ClientFin,
    /// The client resets in the middle.
    ClientReset,
    /// The server closes in the middle.
    ServerFin,
    /// The server resets in the middle.
    ServerReset,
    /// The capture ends in the middle.
    Open,
}

/// Text in bodies that looks like what it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bait {
    /// As text has it, inside JSON: its line ends are escaped.
    Escaped,
    /// As it would stand on the wire. Fair only where nothing is lost: framing alone can tell.
    Raw,
}
