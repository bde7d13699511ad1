//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

use std::net::IpAddr;

use etherparse::{
    Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    err::{ipv4, ipv6},
};

use super::Reason;

/// Extension headers that are passed over in one packet. RFC 8200 §4.1 has each occur once, seven in
/// all; a longer chain is refused.
const MAX_EXTENSIONS: usize = 8;

/// The number of TCP.
pub(super) const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

/// One IP packet's meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) payload: Payload<'a>,
    pub(super) fragment: Option<Fragment>,
    /// IPv4's identification.
    pub(super) ip_id: Option<u16>,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    /// The bytes that were captured; at most `wire_len`.
    pub(super) bytes: &'a [u8],
    /// Its length on the wire.
    pub(super) wire_len: usize,
}

/// Where in a datagram a fragment belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// In octets; a multiple of 8.
    pub(super) offset: u32,
    pub(super) place: Place,
}

/// Whether more fragments follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Last,
}

impl<'a> Payload<'a> {
    /// The first `wire_len` of these bytes; the rest is the link layer's padding.
    fn cut_to(bytes: &'a [u8], wire_len: usize) -> Self {
        Self {
            bytes: bytes.get(..wire_len).unwrap_or(bytes),
            wire_len,
        }
    }

    /// What follows `length` bytes of header.
    pub(super) fn after(self, length: usize) -> Result<Self, Reason> {
        match (self.bytes.get(length..), self.wire_len.checked_sub(length)) {
            (Some(bytes), Some(wire_len)) => Ok(Self { bytes, wire_len }),
            _ => Err(self.too_short()),
        }
    }

    /// Why a header is not all there: the capture cut it, or it never was.
    pub(super) fn too_short(self) -> Reason {
        if self.bytes.len() < self.wire_len {
            Reason::Cut
        } else {
            Reason::BadHeader
        }
    }
}

/// Reads an IP packet, of which `wire_len` bytes were on the wire (padding included).
pub(super) fn datagram(bytes: &[u8], wire_len: usize) -> Result<Datagram<'_>, Reason> {
    let whole = Payload {
        bytes,
        wire_len: wire_len.max(bytes.len()),
    };
    match bytes.first().map(|first| first >> 4) {
        Some(4) => version_4(whole),
        Some(6) => version_6(whole),
        Some(_) => Err(Reason::BadHeader),
        None => Err(whole.too_short()),
    }
}

fn version_4(whole: Payload<'_>) -> Result<Datagram<'_>, Reason> {
    let header = Ipv4HeaderSlice::from_slice(whole.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => whole.too_short(),
        ipv4::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    // Zero where the kernel hands on more than the field can say (TSO, BIG TCP): then the frame tells.
    let total = match usize::from(header.total_len()) {
        0 => whole.wire_len,
        total => total,
    };
    let length = header.slice().len();
    if total < length {
        return Err(Reason::BadHeader);
    }
    let offset = u32::from(header.fragments_offset().value()) * 8;
    let place = if header.more_fragments() {
        Place::Before
    } else {
        Place::Last
    };
    let fragment = (offset > 0 || place == Place::Before).then(|| Fragment {
        id: u32::from(header.identification()),
        offset,
        place,
    });
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol: header.protocol().0,
        payload: Payload::cut_to(whole.bytes, total).after(length)?,
        fragment,
        ip_id: Some(header.identification()),
    })
}

fn version_6(whole: Payload<'_>) -> Result<Datagram<'_>, Reason> {
    let header = Ipv6HeaderSlice::from_slice(whole.bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => whole.too_short(),
        ipv6::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    let length = header.slice().len();
    // Zero for jumbograms (RFC 2675), and as above.
    let total = match usize::from(header.payload_length()) {
        0 => whole.wire_len,
        payload => length + payload,
    };
    let payload = Payload::cut_to(whole.bytes, total).after(length)?;
    let (protocol, payload, fragment) = upper_layer(header.next_header().0, payload)?;
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol,
        payload,
        fragment,
        ip_id: None,
    })
}

/// Passes over extension headers, up to a fragment header that splits its datagram or to what no
/// extension header is: its number, and what it says.
pub(super) fn upper_layer(
    mut kind: u8,
    mut payload: Payload<'_>,
) -> Result<(u8, Payload<'_>, Option<Fragment>), Reason> {
    for _ in 0..MAX_EXTENSIONS {
        if kind == FRAGMENT {
            let header = Ipv6FragmentHeaderSlice::from_slice(payload.bytes)
                .map_err(|_| payload.too_short())?;
            payload = payload.after(header.slice().len())?;
            kind = header.next_header().0;
            // An atomic fragment is a whole datagram (RFC 6946).
            if header.is_fragmenting_payload() {
                let place = if header.more_fragments() {
                    Place::Before
                } else {
                    Place::Last
                };
                let offset = u32::from(header.fragment_offset().value()) * 8;
                let fragment = Fragment {
                    id: header.identification(),
                    offset,
                    place,
                };
                return Ok((kind, payload, Some(fragment)));
            }
            continue;
        }
        if !is_extension(kind) {
            return Ok((kind, payload, None));
        }
        let &[next, units, ..] = payload.bytes else {
            return Err(payload.too_short());
        };
        let length = match kind {
            AUTHENTICATION => (usize::from(units) + 2) * 4,
            _ => (usize::from(units) + 1) * 8,
        };
        payload = payload.after(length)?;
        kind = next;
    }
    if is_extension(kind) || kind == FRAGMENT {
        return Err(Reason::BadHeader);
    }
    Ok((kind, payload, None))
}

/// Whether an IPv6 extension header other than the fragment header has this number.
pub(super) const fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY
    )
}
