//! One TCP connection, written segment by segment, as no well-behaved end would send it.

use std::net::SocketAddr;

use super::{
    Packet,
    ip::{self, Tcp, flag},
};

/// LINKTYPE_RAW
const RAW: u32 = 101;

/// Which end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The one that opens the connection.
    Client,
    /// The other.
    Server,
}

/// The segments of one connection in the order of their capture, whatever their times and numbers.
///
/// Places (`at`, `ack`) count the octets of a direction's data from its first.
#[derive(Clone, Debug)]
pub struct Script {
    client: SocketAddr,
    server: SocketAddr,
    first: (u32, u32),
    packets: Vec<(Packet, usize)>,
}

impl Script {
    /// Nothing yet; the first octets of data have the numbers 1,001 and 500,001.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client,
            server,
            first: (1_001, 500_001),
            packets: Vec::new(),
        }
    }

    /// From here on the first octets of data have these numbers.
    pub fn numbered(&mut self, client: u32, server: u32) -> &mut Self {
        self.first = (client, server);
        self
    }

    /// SYN, SYN-ACK and ACK at one time.
    pub fn handshake(&mut self, micros: u64) -> &mut Self {
        self.syn(micros, "")
            .syn_ack(micros, 0, "")
            .client(micros, 0, 0, "")
    }

    /// The client's SYN, with data or without.
    pub fn syn(&mut self, micros: u64, text: &str) -> &mut Self {
        self.push(From::Client, micros, (u32::MAX, None), flag::SYN, text)
    }

    /// The server's SYN-ACK, with data or without, that acknowledges so much data of the SYN.
    pub fn syn_ack(&mut self, micros: u64, ack: u32, text: &str) -> &mut Self {
        self.push(From::Server, micros, (u32::MAX, Some(ack)), flag::SYN, text)
    }

    /// The server's SYN alone, as where both ends open at once.
    pub fn server_syn(&mut self, micros: u64) -> &mut Self {
        self.push(From::Server, micros, (u32::MAX, None), flag::SYN, "")
    }

    /// A segment of the client; without text, a bare ACK.
    pub fn client(&mut self, micros: u64, at: u32, ack: u32, text: &str) -> &mut Self {
        self.push(From::Client, micros, (at, Some(ack)), 0, text)
    }

    /// A segment of the server; without text, a bare ACK.
    pub fn server(&mut self, micros: u64, at: u32, ack: u32, text: &str) -> &mut Self {
        self.push(From::Server, micros, (at, Some(ack)), 0, text)
    }

    /// A FIN, with data or without.
    pub fn fin(&mut self, from: From, micros: u64, at: u32, ack: u32, text: &str) -> &mut Self {
        self.push(from, micros, (at, Some(ack)), flag::FIN, text)
    }

    /// An RST, with a text or without.
    pub fn rst(&mut self, from: From, micros: u64, at: u32, ack: u32, text: &str) -> &mut Self {
        self.push(from, micros, (at, Some(ack)), flag::RST, text)
    }

    /// Cuts the last octets off the last packet, as a capture with a snap length does.
    pub fn cut(&mut self, octets: usize) -> &mut Self {
        if let Some((packet, cut)) = self.packets.last_mut() {
            let keep = packet.bytes.len().saturating_sub(octets);
            *cut += packet.bytes.len() - keep;
            packet.bytes.truncate(keep);
        }
        self
    }

    /// The packets so far, in the order of their capture.
    pub fn packets(&self) -> Vec<Packet> {
        self.packets
            .iter()
            .map(|(packet, _)| packet.clone())
            .collect()
    }

    /// A pcap file of the packets in their order, whatever their times.
    pub fn to_pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for field in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, RAW] {
            file.extend(u32::to_le_bytes(field));
        }
        for (packet, cut) in &self.packets {
            let captured = packet.bytes.len() as u32;
            for field in [
                (packet.micros / 1_000_000) as u32,
                (packet.micros % 1_000_000) as u32,
                captured,
                captured + *cut as u32,
            ] {
                file.extend(field.to_le_bytes());
            }
            file.extend(&packet.bytes);
        }
        file
    }

    fn push(
        &mut self,
        from: From,
        micros: u64,
        (at, ack): (u32, Option<u32>),
        flags: u8,
        text: &str,
    ) -> &mut Self {
        let (source, destination, first, other) = match from {
            From::Client => (self.client, self.server, self.first.0, self.first.1),
            From::Server => (self.server, self.client, self.first.1, self.first.0),
        };
        let tcp = Tcp {
            seq: first.wrapping_add(at),
            ack: ack.map_or(0, |ack| other.wrapping_add(ack)),
            flags: flags | if ack.is_some() { flag::ACK } else { 0 },
        };
        let bytes = ip::packet(source, destination, tcp, text.as_bytes());
        self.packets.push((Packet { micros, bytes }, 0));
        self
    }
}
