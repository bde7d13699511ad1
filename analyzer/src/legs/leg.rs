//! What is known of one side of a relayed call.

use std::net::{IpAddr, SocketAddr};

use crate::{
    call::CallKey,
    exchange::{Ending, ExchangeId},
    time::Timestamp,
};

/// Bytes of an answer's beginning that are compared. The identifiers and times by which one answer
/// differs from another to the same question stand in the first hundred.
pub const ANSWER_HEAD: usize = 256;

/// Answers that are both longer must agree over so many bytes before that says anything: many
/// begin alike up to the identifier.
const TELLING: usize = 64;

/// What tells one request body from another: the first 16 bytes of its SHA-256. The bodies are
/// strangers' words, so nothing weaker will do: who could make two collide could hide calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyHash(pub [u8; 16]);

/// A call whose request was seen whole, its body not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The exchange.
    pub id: ExchangeId,
    /// The key that its row will have.
    pub key: CallKey,
    /// Its decoded request body.
    pub body: BodyHash,
    /// The TCP client.
    pub peer: SocketAddr,
    /// The TCP server.
    pub server: SocketAddr,
    /// The first byte of the request, packet time.
    pub start: Timestamp,
}

/// A leg that has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedLeg {
    /// The leg.
    pub leg: Leg,
    /// How it ended; `None` where it is no call after all, or its request was not read to its end.
    pub close: Option<Close>,
}

/// The end of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// When, packet time.
    pub time: Timestamp,
    /// How.
    pub ending: Ending,
    /// The status of its answer.
    pub status: Option<u16>,
    /// The first bytes of its decoded answer, at most [`ANSWER_HEAD`], none after a hole.
    pub answer: Vec<u8>,
}

/// What the addresses say of two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tie {
    /// They cannot be one call.
    None,
    /// They look like the inner and the outer one.
    Backward,
    /// Nothing against it.
    Possible,
    /// One client's socket, two servers: its destination was translated on the way.
    Translated,
    /// The inner one's client is where the outer one's server is, and another than its client.
    Proxied,
}

/// What the answers say of two legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// They are one answer.
    Same,
    /// Nothing.
    Silent,
    /// They begin differently.
    Rewritten,
    /// They have different statuses.
    Opposed,
}

impl Leg {
    fn client_ip(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    fn server_ip(&self) -> IpAddr {
        self.server.ip().to_canonical()
    }

    /// What the addresses say of `self` as the outer and `inner` as the inner leg of one call.
    pub(super) fn tie(&self, inner: &Self) -> Tie {
        let relayed = inner.client_ip() == self.server_ip();
        let one_client = self.client_ip() == inner.client_ip();
        let one_server =
            self.server_ip() == inner.server_ip() && self.server.port() == inner.server.port();
        if self.id.connection == inner.id.connection || one_server {
            Tie::None
        } else if one_client && self.peer.port() == inner.peer.port() {
            Tie::Translated
        } else if relayed && !one_client {
            Tie::Proxied
        } else if one_client && !relayed {
            // One machine that asks two servers: a load test, or a try at the next replica.
            Tie::None
        } else if !relayed && self.client_ip() == inner.server_ip() {
            Tie::Backward
        } else {
            Tie::Possible
        }
    }

    /// Whether `self` is the outer of the two by their beginnings: it begins first, and where
    /// `tolerance` leaves that open, the addresses decide if they can. Of two legs at most one is
    /// outside the other.
    pub(super) fn is_outside(&self, inner: &Self, tolerance: i64) -> bool {
        let lead = inner.start.micros_since(self.start);
        let forward = inner.client_ip() == self.server_ip();
        let backward = self.client_ip() == inner.server_ip();
        match (forward, backward) {
            (true, false) => lead >= -tolerance,
            (false, true) => lead > tolerance,
            _ => (self.start, self.id) < (inner.start, inner.id),
        }
    }
}

impl Close {
    /// Whether the client left before the answer's end.
    pub(super) const fn left(&self) -> bool {
        matches!(self.ending, Ending::ClientFin | Ending::ClientReset)
    }

    /// Whether two legs were seen to end in one way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.ending == other.ending && self.ending.observed() || self.left() && other.left()
    }

    pub(super) fn answers(&self, other: &Self) -> Answers {
        if let (Some(a), Some(b)) = (self.status, other.status)
            && a != b
        {
            return Answers::Opposed;
        }
        let common = self.answer.len().min(other.answer.len());
        let (a, b) = (self.answer.iter(), other.answer.iter());
        if !a.zip(b).all(|(a, b)| a == b) {
            Answers::Rewritten
        } else if common >= TELLING || common > 0 && self.answer.len() == other.answer.len() {
            Answers::Same
        } else {
            Answers::Silent
        }
    }
}
