//! One TCP packet's meaning.

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use crate::tcp::SeqNumber;

/// One TCP packet's meaning, its payload borrowed from the capture's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// When the packet was captured; of one that came in fragments, when the latest of them was, for none
    /// of its bytes can be read before.
    pub time: Timestamp,
    /// The sender, of the innermost IP header.
    pub source: SocketAddr,
    /// The receiver.
    pub destination: SocketAddr,
    /// The sequence number of the first octet (of the SYN, where that is set).
    pub seq: SeqNumber,
    /// The acknowledgement number, where the ACK flag is set.
    pub ack: Option<SeqNumber>,
    /// The control flags that matter here.
    pub flags: Flags,
    /// The payload that was captured.
    pub payload: &'a [u8],
    /// The payload's length on the wire; more than `payload.len()` where the capture cut the packet.
    pub wire_len: u32,
    /// Where it was captured: the interface, as
    /// [`Packet::interface`](crate::capture::Packet::interface), and the tags and tunnels that it was in
    /// there. Copies of one packet differ in it where they can.
    pub interface: u32,
    /// IPv4's identification, of the innermost IP header; `None` over IPv6, which has none.
    pub ip_id: Option<u16>,
}

/// TCP control flags (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// No more data from the sender.
    pub fin: bool,
    /// Reset the connection.
    pub rst: bool,
}
