//! A capture that is written as it is made.

use std::{
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use crate::pcap::{
    Packet,
    ip::{self, Tcp, flag},
};

/// LINKTYPE_RAW
const RAW: u32 = 101;

/// Microseconds since the Unix epoch of the first packet.
const BEGIN: u64 = 1_754_000_000_000_000;

/// The server that is attacked.
pub(super) const SERVER: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 8000));

/// What of an attack is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// All of it.
    Attacked,
    /// Nothing; time passes as if it were.
    HonestAlone,
}

/// A capture in the writing: a packet each microsecond.
pub struct Wire<'w> {
    out: &'w mut dyn Write,
    micros: u64,
    packets: u64,
    traffic: Traffic,
}

/// A connection of an attacker, from one end to the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    client: SocketAddr,
    /// The next number of either side.
    client_next: u32,
    server_next: u32,
}

impl<'w> Wire<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> io::Result<Self> {
        for field in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, RAW] {
            out.write_all(&u32::to_le_bytes(field))?;
        }
        Ok(Self {
            out,
            micros: BEGIN,
            packets: 0,
            traffic: Traffic::Attacked,
        })
    }

    pub(super) const fn now(&self) -> u64 {
        self.micros
    }

    pub(super) fn mute(&mut self, traffic: Traffic) {
        self.traffic = traffic;
    }

    pub(super) fn packets(&mut self, packets: &[Packet]) -> io::Result<()> {
        for packet in packets {
            self.record(packet.micros, &packet.bytes)?;
        }
        self.micros += 1;
        Ok(())
    }

    /// The packets written.
    pub(super) fn finish(self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.packets)
    }

    fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        tcp: Tcp,
        payload: &[u8],
    ) -> io::Result<()> {
        self.micros += 1;
        if self.traffic == Traffic::HonestAlone {
            return Ok(());
        }
        self.record(self.micros, &ip::packet(from, to, tcp, payload))
    }

    fn record(&mut self, micros: u64, bytes: &[u8]) -> io::Result<()> {
        let length = bytes.len() as u32;
        let time = [(micros / 1_000_000) as u32, (micros % 1_000_000) as u32];
        for field in time.into_iter().chain([length, length]) {
            self.out.write_all(&field.to_le_bytes())?;
        }
        self.packets += 1;
        self.out.write_all(bytes)
    }
}

impl std::fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets until {}", self.packets, self.micros)
    }
}

impl Peer {
    /// The attacker of this number: each has an address and a port of its own, as if at random.
    pub(super) fn new(number: u64) -> Self {
        // Multiplying by an odd number gives each its own; its upper bits are the address.
        let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let address = Ipv4Addr::from_bits(0x2000_0000 | (place >> 16) as u32 & 0x1fff_ffff);
        let port = place as u16 | 0x8000;
        Self {
            client: SocketAddr::from((address, port)),
            client_next: number as u32,
            server_next: 500_000,
        }
    }

    pub(super) fn syn(&mut self, wire: &mut Wire<'_>) -> io::Result<()> {
        let tcp = Tcp {
            seq: self.client_next,
            ack: 0,
            flags: flag::SYN,
        };
        self.client_next = self.client_next.wrapping_add(1);
        wire.send(self.client, SERVER, tcp, &[])
    }

    pub(super) fn syn_ack(&mut self, wire: &mut Wire<'_>) -> io::Result<()> {
        let tcp = Tcp {
            seq: self.server_next,
            ack: self.client_next,
            flags: flag::SYN | flag::ACK,
        };
        self.server_next = self.server_next.wrapping_add(1);
        wire.send(SERVER, self.client, tcp, &[])
    }

    pub(super) fn handshake(&mut self, wire: &mut Wire<'_>) -> io::Result<()> {
        self.syn(wire)?;
        self.syn_ack(wire)?;
        self.client(wire, &[])
    }

    pub(super) fn client(&mut self, wire: &mut Wire<'_>, payload: &[u8]) -> io::Result<()> {
        let tcp = Tcp {
            seq: self.client_next,
            ack: self.server_next,
            flags: flag::ACK,
        };
        self.client_next = self.client_next.wrapping_add(payload.len() as u32);
        wire.send(self.client, SERVER, tcp, payload)
    }

    pub(super) fn server(&mut self, wire: &mut Wire<'_>, payload: &[u8]) -> io::Result<()> {
        let tcp = Tcp {
            seq: self.server_next,
            ack: self.client_next,
            flags: flag::ACK,
        };
        self.server_next = self.server_next.wrapping_add(payload.len() as u32);
        wire.send(SERVER, self.client, tcp, payload)
    }

    /// Octets of the client that are never captured.
    pub(super) fn lose(&mut self, octets: u32) {
        self.client_next = self.client_next.wrapping_add(octets);
    }
}
