//! One frame after the other.

use std::net::SocketAddr;

use etherparse::{TcpHeaderSlice, err::tcp};

use super::{
    Flags, Limits, PacketCounters, Reason, Segment,
    defrag::{Defragmenter, Outcome},
    ip::{self, Payload},
    link,
};
use crate::{capture::Packet, tcp::SeqNumber};

/// What a frame came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment: of the frame itself, or of a datagram of which it was the last missing fragment.
    Segment(Segment<'a>),
    /// A fragment of a datagram that is not complete yet.
    Fragment,
    /// Nothing to use, and why.
    Ignored(Reason),
}

/// Reads frames. It keeps fragments of datagrams and counters, and nothing else.
#[derive(Debug)]
pub struct Decoder {
    defragmenter: Defragmenter,
    counters: PacketCounters,
    /// Segments from or to each port.
    ports: Vec<u32>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Decoder {
    /// A decoder that keeps fragments within `limits`.
    pub fn new(limits: Limits) -> Self {
        Self {
            defragmenter: Defragmenter::new(limits),
            counters: PacketCounters::default(),
            ports: vec![0; usize::from(u16::MAX) + 1],
        }
    }

    /// Reads one frame. The segment's payload lies in the frame or, if fragments made it up, in the decoder.
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        let Self {
            defragmenter,
            counters,
            ports,
        } = self;
        counters.packets += 1;
        let mut protocol = 0;
        match segment(defragmenter, counters, packet, &mut protocol) {
            Ok(Some(segment)) => {
                counters.segments += 1;
                counters.segments_cut +=
                    u64::from(segment.payload.len() < segment.wire_len as usize);
                for end in [segment.source, segment.destination] {
                    if let Some(count) = ports.get_mut(usize::from(end.port())) {
                        *count = count.saturating_add(1);
                    }
                }
                Decoded::Segment(segment)
            }
            Ok(None) => Decoded::Fragment,
            Err(reason) => {
                counters.ignore(reason, protocol);
                Decoded::Ignored(reason)
            }
        }
    }

    /// What was seen so far.
    pub const fn counters(&self) -> &PacketCounters {
        &self.counters
    }

    /// The `most` busiest TCP ports and the segments from or to them, busiest first. A server's port
    /// stands before its clients', for it is in all their segments; on ties the lower comes first.
    pub fn busiest_ports(&self, most: usize) -> Vec<(u16, u32)> {
        let counts = self.ports.iter().zip(0u16..=u16::MAX);
        let mut seen: Vec<_> = counts
            .filter(|(n, _)| **n > 0)
            .map(|(n, port)| (port, *n))
            .collect();
        seen.sort_unstable_by_key(|&(port, count)| (std::cmp::Reverse(count), port));
        seen.truncate(most);
        seen
    }
}

/// The segment of a frame; `None` for a fragment that is kept. Sets the protocol once it is known.
fn segment<'a>(
    defragmenter: &'a mut Defragmenter,
    counters: &mut PacketCounters,
    packet: &Packet<'a>,
    protocol: &mut u8,
) -> Result<Option<Segment<'a>>, Reason> {
    let bytes = link::network(packet.link, packet.data)?;
    let link_len = packet.data.len().saturating_sub(bytes.len());
    let wire_len = (packet.wire_len as usize).saturating_sub(link_len);
    let datagram = ip::datagram(bytes, wire_len)?;
    *protocol = datagram.protocol;
    let mut payload = datagram.payload;
    if let Some(fragment) = datagram.fragment {
        if datagram.protocol != ip::TCP && !ip::is_extension(datagram.protocol) {
            return Err(Reason::NotTcp);
        }
        counters.fragments += 1;
        match defragmenter.insert(packet.time, &datagram, fragment, counters)? {
            Outcome::Kept => return Ok(None),
            Outcome::Whole {
                protocol: first,
                bytes,
            } => {
                let whole = Payload {
                    bytes,
                    wire_len: bytes.len(),
                };
                let (kind, rest, nested) = ip::upper_layer(first, whole)?;
                if nested.is_some() {
                    return Err(Reason::BadHeader);
                }
                (*protocol, payload) = (kind, rest);
            }
        }
    }
    if *protocol != ip::TCP {
        return Err(Reason::NotTcp);
    }
    let header = TcpHeaderSlice::from_slice(payload.bytes).map_err(|error| match error {
        tcp::HeaderSliceError::Len(_) => payload.too_short(),
        tcp::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    let data = payload.after(header.slice().len())?;
    Ok(Some(Segment {
        time: packet.time,
        source: SocketAddr::new(datagram.source, header.source_port()),
        destination: SocketAddr::new(datagram.destination, header.destination_port()),
        seq: SeqNumber(header.sequence_number()),
        ack: header
            .ack()
            .then(|| SeqNumber(header.acknowledgment_number())),
        flags: Flags {
            syn: header.syn(),
            fin: header.fin(),
            rst: header.rst(),
        },
        payload: data.bytes,
        wire_len: u32::try_from(data.wire_len).unwrap_or(u32::MAX),
        interface: packet.interface,
        ip_id: datagram.ip_id,
    }))
}
