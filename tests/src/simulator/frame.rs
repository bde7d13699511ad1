//! One frame as a tap can see it.

use std::{fmt, net::SocketAddr};

use crate::{
    pcap::ip::{self, Tcp, flag},
    traffic::From,
};

/// IP and TCP headers of a frame, without options.
const IPV4_HEADERS: usize = 40;
const IPV6_HEADERS: usize = 60;

/// One frame of a connection, and what is known of it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it was captured, in microseconds since the Unix epoch.
    pub micros: u64,
    /// The number of its connection in the scenario.
    pub connection: usize,
    /// Its sender.
    pub from: From,
    /// The place of its first octet of data in the sender's stream, from 0.
    pub at: u64,
    /// The data.
    pub payload: Vec<u8>,
    /// Whether the payload is no part of the stream: the octet of a keep-alive probe.
    pub junk: bool,
    /// The interface that it was captured on.
    pub interface: u32,
    /// Octets of the IP packet that were captured, where they are not all.
    pub cut: Option<usize>,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    /// The same as a place in the other end's stream.
    pub(super) acknowledged: Option<u64>,
    pub(super) signals: Signals,
    pub(super) id: u16,
}

/// The control flags of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals {
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

impl Frame {
    /// The IP packet, whole.
    pub fn packet(&self, ends: &Ends) -> Vec<u8> {
        let (source, destination) = match self.from {
            From::Client => (ends.client, ends.server),
            From::Server => (ends.server, ends.client),
        };
        let flags = [
            (self.signals.syn, flag::SYN),
            (self.signals.fin, flag::FIN),
            (self.signals.rst, flag::RST),
            (self.ack.is_some(), flag::ACK),
            (!self.payload.is_empty(), flag::PSH),
        ];
        let tcp = Tcp {
            seq: self.seq,
            ack: self.ack.unwrap_or(0),
            flags: flags
                .into_iter()
                .filter_map(|(set, bit)| set.then_some(bit))
                .sum(),
        };
        let mut bytes = ip::packet(source, destination, tcp, &self.payload);
        if source.is_ipv4() {
            // The identification was 0: the checksum changes by it alone (RFC 1624).
            let sum = !u16::from_be_bytes([bytes[10], bytes[11]]);
            let (sum, carry) = sum.overflowing_add(self.id);
            let sum = !(sum + u16::from(carry));
            bytes[4..6].copy_from_slice(&self.id.to_be_bytes());
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        bytes
    }

    /// Octets of its data that were captured.
    pub fn captured(&self, ends: &Ends) -> u64 {
        let headers = if ends.client.is_ipv4() {
            IPV4_HEADERS
        } else {
            IPV6_HEADERS
        };
        let whole = self.payload.len();
        let cut = self.cut.map_or(whole, |cut| cut.saturating_sub(headers));
        whole.min(cut) as u64
    }

    /// Whether it resets the connection.
    pub const fn is_reset(&self) -> bool {
        self.signals.rst
    }

    /// Whether it carries neither data nor a flag.
    pub fn is_bare_ack(&self) -> bool {
        self.payload.is_empty() && self.signals == Signals::default()
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.at + self.payload.len() as u64;
        write!(
            f,
            "{:>10} {} {:?} {}..{end}",
            self.micros % 1_000_000_000,
            self.connection,
            self.from,
            self.at
        )?;
        if let Some(ack) = self.acknowledged {
            write!(f, " ack {ack}")?;
        }
        for (is_set, name) in [
            (self.signals.syn, "SYN"),
            (self.signals.fin, "FIN"),
            (self.signals.rst, "RST"),
            (self.junk, "junk"),
        ] {
            if is_set {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

/// The addresses of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// The server.
    pub server: SocketAddr,
}
