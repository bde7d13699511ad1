//! What a header can be followed by.

use super::{Payload, Reason};

/// What the bytes at hand begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// Ethernet's addresses.
    Ethernet,
    /// What this EtherType names (RFC 9542 §3).
    EtherType(u16),
    /// Logical link control (IEEE 802.2).
    Llc,
    /// PPP, with or without its address and control octets (RFC 1662 §3.1).
    Ppp,
    /// An 802.11 header.
    Wireless,
    /// An IP header, of the version that it says.
    Ip,
    /// What this IP protocol number names.
    Protocol(u8),
}

/// What is left when a header has been taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner<'a> {
    /// What the rest begins with.
    pub(super) layer: Layer,
    /// The rest.
    pub(super) payload: Payload<'a>,
    /// What the header says of the way that the packet took; 0 where it says nothing.
    pub(super) via: u32,
}

impl<'a> Inner<'a> {
    /// What follows `length` bytes of a header that says nothing of the way.
    #[inline]
    pub(super) fn after(payload: Payload<'a>, length: usize, layer: Layer) -> Result<Self, Reason> {
        Ok(Self {
            layer,
            payload: payload.after(length)?,
            via: 0,
        })
    }

    /// The same, having come this way.
    #[must_use]
    pub(super) fn via(self, via: u32) -> Self {
        Self { via, ..self }
    }
}

/// Where a packet was captured: the interface, and the wrappings that it was in there.
///
/// One packet is often captured twice: with and without its VLAN tag or its tunnel, coming in and going
/// out. The two copies then differ in their place, as those of two interfaces do, while a segment that
/// was sent twice takes the same way twice. A packet without wrapping has the place of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(pub(super) u32);

impl Place {
    /// The place inside a wrapping; 0 is none.
    #[inline]
    pub(super) fn inside(self, via: u32) -> Self {
        if via == 0 {
            return self;
        }
        // Odd, so that different wrappings of one interface stay different.
        Self((self.0 ^ via).wrapping_mul(0x9e37_79b1).rotate_left(15))
    }
}
