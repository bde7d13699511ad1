//! Both ends of one TCP connection.

use std::net::SocketAddr;

use super::{
    Packet,
    ip::{self, Tcp, flag},
};

/// The payload of one segment on Ethernet with TCP time stamps: the usual one.
const USUAL_MSS: usize = 1448;

/// Both ends of one TCP connection, whose packets are written one by one.
///
/// Every method takes the time of its packet in microseconds since the Unix epoch. What is sent is
/// acknowledged by the next packet of the other end, as if every byte had arrived.
#[derive(Clone, Debug)]
pub struct Conversation {
    client: End,
    server: End,
    mss: usize,
    packets: Vec<Packet>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    address: SocketAddr,
    next: u32,
}

/// A piece of a stream that has its place in the sequence but was not captured (yet).
#[derive(Clone, Debug)]
#[must_use = "a piece that is never sent is a loss of the capture"]
pub struct Reserved {
    from: Direction,
    tcp: Tcp,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Tcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seq {} ack {}", self.seq, self.ack)
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    FromClient,
    FromServer,
}

impl Conversation {
    /// A connection between two addresses of one family, with nothing sent yet.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client: End {
                address: client,
                next: 1_000,
            },
            server: End {
                address: server,
                next: 500_000,
            },
            mss: USUAL_MSS,
            packets: Vec::new(),
        }
    }

    /// Begins at these initial sequence numbers; must come before the first packet.
    #[must_use]
    pub fn with_initial_sequence(mut self, client: u32, server: u32) -> Self {
        self.client.next = client;
        self.server.next = server;
        self
    }

    /// Splits what is sent into segments of at most this many bytes (at least 1).
    #[must_use]
    pub fn with_mss(mut self, mss: usize) -> Self {
        self.mss = mss.max(1);
        self
    }

    /// SYN, SYN-ACK, ACK, all at one time.
    pub fn handshake(&mut self, micros: u64) -> &mut Self {
        let syn = Tcp {
            seq: self.client.next,
            ack: 0,
            flags: flag::SYN,
        };
        self.push(Direction::FromClient, micros, syn, &[]);
        self.client.next = self.client.next.wrapping_add(1);
        self.control(Direction::FromServer, micros, flag::SYN | flag::ACK, 1);
        self.client_ack(micros)
    }

    /// Data of the client, in as many segments as it needs, all at one time.
    pub fn client(&mut self, micros: u64, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Direction::FromClient, micros, 0, bytes.as_ref())
    }

    /// Data of the server, in as many segments as it needs, all at one time.
    pub fn server(&mut self, micros: u64, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(Direction::FromServer, micros, 0, bytes.as_ref())
    }

    /// Data of the client, its segments `spacing` microseconds apart.
    pub fn client_spaced(
        &mut self,
        micros: u64,
        spacing: u64,
        bytes: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.data(Direction::FromClient, micros, spacing, bytes.as_ref())
    }

    /// Data of the server, its segments `spacing` microseconds apart.
    pub fn server_spaced(
        &mut self,
        micros: u64,
        spacing: u64,
        bytes: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.data(Direction::FromServer, micros, spacing, bytes.as_ref())
    }

    /// A bare ACK of the client.
    pub fn client_ack(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromClient, micros, flag::ACK, 0)
    }

    /// A bare ACK of the server.
    pub fn server_ack(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromServer, micros, flag::ACK, 0)
    }

    /// The client sends no more.
    pub fn client_fin(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromClient, micros, flag::FIN | flag::ACK, 1)
    }

    /// The server sends no more.
    pub fn server_fin(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromServer, micros, flag::FIN | flag::ACK, 1)
    }

    /// The client resets the connection.
    pub fn client_rst(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromClient, micros, flag::RST | flag::ACK, 0)
    }

    /// The server resets the connection.
    pub fn server_rst(&mut self, micros: u64) -> &mut Self {
        self.control(Direction::FromServer, micros, flag::RST | flag::ACK, 0)
    }

    /// FIN, FIN and the last ACK, all at one time.
    pub fn close(&mut self, micros: u64) -> &mut Self {
        self.client_fin(micros)
            .server_fin(micros)
            .client_ack(micros)
    }

    /// One segment of the client that keeps its place in the stream: send it later, twice or never.
    pub fn reserve_client(&mut self, bytes: impl AsRef<[u8]>) -> Reserved {
        self.reserve(Direction::FromClient, bytes.as_ref())
    }

    /// One segment of the server that keeps its place in the stream: send it later, twice or never.
    pub fn reserve_server(&mut self, bytes: impl AsRef<[u8]>) -> Reserved {
        self.reserve(Direction::FromServer, bytes.as_ref())
    }

    /// Sends a reserved segment; once more for a retransmission.
    pub fn send(&mut self, micros: u64, segment: &Reserved) -> &mut Self {
        self.push(segment.from, micros, segment.tcp, &segment.bytes);
        self
    }

    /// The last packet once more, as a tap sees it on a second interface.
    pub fn repeat_last(&mut self, micros: u64) -> &mut Self {
        if let Some(last) = self.packets.last().cloned() {
            self.packets.push(Packet { micros, ..last });
        }
        self
    }

    /// The packets so far, in the order of their sending.
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    fn data(&mut self, from: Direction, micros: u64, spacing: u64, bytes: &[u8]) -> &mut Self {
        for (index, piece) in bytes.chunks(self.mss).enumerate() {
            let segment = self.reserve(from, piece);
            self.send(micros + index as u64 * spacing, &segment);
        }
        self
    }

    fn reserve(&mut self, from: Direction, bytes: &[u8]) -> Reserved {
        let tcp = self.header(from, flag::PSH | flag::ACK);
        self.advance(from, bytes.len() as u32);
        Reserved {
            from,
            tcp,
            bytes: bytes.to_vec(),
        }
    }

    fn control(&mut self, from: Direction, micros: u64, flags: u8, octets: u32) -> &mut Self {
        let tcp = self.header(from, flags);
        self.push(from, micros, tcp, &[]);
        self.advance(from, octets);
        self
    }

    fn header(&self, from: Direction, flags: u8) -> Tcp {
        let (sender, receiver) = match from {
            Direction::FromClient => (self.client, self.server),
            Direction::FromServer => (self.server, self.client),
        };
        Tcp {
            seq: sender.next,
            ack: receiver.next,
            flags,
        }
    }

    fn advance(&mut self, from: Direction, octets: u32) {
        let end = match from {
            Direction::FromClient => &mut self.client,
            Direction::FromServer => &mut self.server,
        };
        end.next = end.next.wrapping_add(octets);
    }

    fn push(&mut self, from: Direction, micros: u64, tcp: Tcp, payload: &[u8]) {
        let (source, destination) = match from {
            Direction::FromClient => (self.client.address, self.server.address),
            Direction::FromServer => (self.server.address, self.client.address),
        };
        self.packets.push(Packet {
            micros,
            bytes: ip::packet(source, destination, tcp, payload),
        });
    }
}
