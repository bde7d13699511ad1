//! One TCP packet's meaning.

use std::net::SocketAddr;

use analyzer::time::Timestamp;

use crate::tcp::SeqNumber;

/// One TCP packet's meaning, its payload borrowed from the capture's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// When the packet was captured.
    pub time: Timestamp,
    /// The sender.
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
    /// The interface that it was captured on, as [`Packet::interface`](crate::capture::Packet::interface).
    pub interface: u32,
    /// IPv4's identification; `None` over IPv6, which has none.
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
