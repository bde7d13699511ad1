//! One frame after the other.

use std::net::IpAddr;

use analyzer::time::Timestamp;

use super::{
    Limits, PacketCounters, Payload, Reason, Segment, Tunnels,
    defrag::{Defragmenter, Outcome},
    ip::{self, Datagram, Version},
    layer::{Inner, Layer, Place},
    link, tcp, tunnel, usual,
};
use crate::capture::Packet;

/// Headers taken off one frame before its TCP header, a stack of labels or of extension headers counted
/// as one. The deepest that networks build (tags, labels, an overlay in an underlay's tunnel, a
/// provider's frame in it) are a dozen; tunnels in tunnels without end are an attack.
const MAX_HEADERS: usize = 32;

/// Datagrams put together for one frame, each inside the one before: a tunnel's, and those in it.
const MAX_REASSEMBLIES: usize = 3;

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

/// What carries a TCP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    pub(super) time: Timestamp,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ip_id: Option<u16>,
    pub(super) place: Place,
}

/// Reads frames. It keeps fragments of datagrams and counters, and nothing else.
#[derive(Debug)]
pub struct Decoder {
    tunnels: Tunnels,
    defragmenter: Defragmenter,
    /// The datagrams that the fragment at hand completed.
    whole: [Vec<u8>; MAX_REASSEMBLIES],
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
    /// A decoder that keeps fragments within `limits`, and opens tunnels.
    pub fn new(limits: Limits) -> Self {
        Self {
            tunnels: Tunnels::Open,
            whole: Default::default(),
            defragmenter: Defragmenter::new(limits),
            counters: PacketCounters::default(),
            ports: vec![0; usize::from(u16::MAX) + 1],
        }
    }

    /// Opens tunnels or leaves them alone.
    #[must_use]
    pub fn with_tunnels(self, tunnels: Tunnels) -> Self {
        Self { tunnels, ..self }
    }

    /// Reads one frame. The segment's payload lies in the frame or, if fragments made it up, in the decoder.
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        self.counters.packets += 1;
        if let Some(segment) = usual::segment(packet) {
            count(&segment, &mut self.counters, &mut self.ports);
            return Decoded::Segment(segment);
        }
        self.decode_at_length(packet)
    }

    /// Reads a frame header by header.
    fn decode_at_length<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        let Self {
            tunnels,
            defragmenter,
            whole,
            counters,
            ports,
        } = self;
        let mut descent = Descent {
            tunnels: *tunnels,
            defragmenter,
            whole: whole.iter_mut(),
            counters,
            protocol: 0,
        };
        let came = descent.segment(packet);
        let protocol = descent.protocol;
        match came {
            Ok(Some(segment)) => {
                count(&segment, counters, ports);
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

/// Counts a segment, and its ports.
#[inline]
fn count(segment: &Segment<'_>, counters: &mut PacketCounters, ports: &mut [u32]) {
    counters.segments += 1;
    counters.segments_cut += u64::from(segment.payload.len() < segment.wire_len as usize);
    for end in [segment.source, segment.destination] {
        if let Some(count) = ports.get_mut(usize::from(end.port())) {
            *count = count.saturating_add(1);
        }
    }
}

/// The way through the headers of one frame.
struct Descent<'d, 'a> {
    tunnels: Tunnels,
    defragmenter: &'d mut Defragmenter,
    /// Room for datagrams that were in fragments.
    whole: std::slice::IterMut<'a, Vec<u8>>,
    counters: &'d mut PacketCounters,
    /// That of the innermost IP header.
    protocol: u8,
}

impl<'a> Descent<'_, 'a> {
    /// The segment of a frame; `None` for a fragment that is kept.
    fn segment(&mut self, packet: &Packet<'a>) -> Result<Option<Segment<'a>>, Reason> {
        let frame = Payload::new(packet.data, packet.wire_len as usize);
        let mut inner = link::outermost(packet.link, frame)?;
        let mut carrier = Carrier {
            time: packet.time,
            source: IpAddr::from([0; 4]),
            destination: IpAddr::from([0; 4]),
            ip_id: None,
            place: Place(packet.interface),
        };
        for _ in 0..MAX_HEADERS {
            carrier.place = carrier.place.inside(inner.via);
            inner = match inner.layer {
                Layer::Ip => match self.ip(inner.payload, &mut carrier)? {
                    Some(inner) => inner,
                    None => return Ok(None),
                },
                Layer::Protocol(ip::TCP) => return tcp::segment(carrier, inner.payload).map(Some),
                Layer::Protocol(kind) => self.tunnel(kind, inner.payload)?,
                layer => link::open(layer, inner.payload)?,
            };
        }
        Err(Reason::TooDeep)
    }

    /// Takes an IP header off; `None` for a fragment of what is not complete yet.
    #[inline]
    fn ip(
        &mut self,
        packet: Payload<'a>,
        carrier: &mut Carrier,
    ) -> Result<Option<Inner<'a>>, Reason> {
        let datagram = ip::datagram(packet)?;
        self.protocol = datagram.protocol;
        (carrier.source, carrier.destination) = (datagram.source, datagram.destination);
        carrier.ip_id = datagram.ip_id;
        let payload = match datagram.fragment {
            None => datagram.payload,
            Some(_) => match self.reassemble(&datagram, carrier)? {
                Some(payload) => payload,
                None => return Ok(None),
            },
        };
        Inner::after(payload, 0, Layer::Protocol(self.protocol)).map(Some)
    }

    /// Takes a fragment in; what its datagram carries once that is whole.
    #[cold]
    fn reassemble(
        &mut self,
        datagram: &Datagram<'a>,
        carrier: &mut Carrier,
    ) -> Result<Option<Payload<'a>>, Reason> {
        let version = Version::of(datagram.source);
        let kind = datagram.protocol;
        let tunnelled = self.tunnels == Tunnels::Open && tunnel::may_be(kind);
        let Some(fragment) = datagram
            .fragment
            .filter(|_| kind == ip::TCP || ip::is_extension(version, kind) || tunnelled)
        else {
            return Err(Reason::NotTcp);
        };
        let Some(whole) = self.whole.next() else {
            return Err(Reason::TooDeep);
        };
        self.counters.fragments += 1;
        let outcome = self.defragmenter.insert(
            carrier.time,
            carrier.place,
            (datagram, fragment),
            whole,
            self.counters,
        )?;
        let Outcome::Whole { protocol, time } = outcome else {
            return Ok(None);
        };
        carrier.time = time;
        let upper = ip::upper_layer(version, protocol, Payload::new(whole, 0))?;
        self.protocol = upper.protocol;
        match upper.fragment {
            None => Ok(Some(upper.payload)),
            Some(_) => Err(Reason::BadHeader),
        }
    }

    /// Opens a tunnel, or says why there is none.
    fn tunnel(&self, kind: u8, payload: Payload<'a>) -> Result<Inner<'a>, Reason> {
        match (tunnel::open(kind, payload)?, self.tunnels) {
            (None, _) => Err(Reason::NotTcp),
            (Some(inner), Tunnels::Open) => Ok(inner),
            (Some(_), Tunnels::Closed) => Err(Reason::Tunnelled),
        }
    }
}
