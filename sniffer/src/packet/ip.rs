//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200).

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    err::{ipv4, ipv6},
};

use super::{Payload, Reason};

/// Extension headers that are passed over in one packet. RFC 8200 §4.1 has each occur once, seven in
/// all; a longer chain is refused.
const MAX_EXTENSIONS: usize = 8;

/// A frame of at most this much IP may end in padding, for Ethernet's payload is never shorter. No
/// segment that the kernel joined is as short, so a length of 0 means nothing good in it.
const MAY_BE_PADDED: usize = 46;

/// The number of TCP.
pub(super) const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;

/// The option that holds a length beyond 16 bits (RFC 2675 §2).
const JUMBO: u8 = 0xc2;

/// One IP packet's meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    pub(super) source: IpAddr,
    /// Where it goes in the end: a routing header may lead it over others.
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) payload: Payload<'a>,
    pub(super) fragment: Option<Fragment>,
    /// IPv4's identification.
    pub(super) ip_id: Option<u16>,
}

/// What follows the extension headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper<'a> {
    pub(super) protocol: u8,
    pub(super) payload: Payload<'a>,
    pub(super) fragment: Option<Fragment>,
    destination: Option<Ipv6Addr>,
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

/// The version, which says what the protocol numbers of extension headers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    /// That of an address.
    pub(super) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Reads an IP packet, with the padding after it.
#[inline]
pub(super) fn datagram(whole: Payload<'_>) -> Result<Datagram<'_>, Reason> {
    match whole.bytes.first().map(|first| first >> 4) {
        Some(4) => version_4(whole),
        Some(6) => version_6(whole),
        Some(_) => Err(Reason::BadHeader),
        None => Err(whole.too_short()),
    }
}

/// Whether an IP packet begins here that ends within the bytes of the wire: for wrappings that a port
/// number alone does not prove.
pub(super) fn plausible(whole: Payload<'_>) -> Result<bool, Reason> {
    if whole.wire_len == 0 {
        return Ok(false);
    }
    let first = whole.u8(0)?;
    match first >> 4 {
        4 if whole.wire_len >= 20 => {
            let header = usize::from(first & 15) * 4;
            let total = usize::from(whole.u16(2)?);
            Ok(header >= 20 && (total == 0 || (header..=whole.wire_len).contains(&total)))
        }
        6 if whole.wire_len >= 40 => Ok(usize::from(whole.u16(4)?) + 40 <= whole.wire_len),
        _ => Ok(false),
    }
}

fn version_4(whole: Payload<'_>) -> Result<Datagram<'_>, Reason> {
    let header = Ipv4HeaderSlice::from_slice(whole.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => whole.too_short(),
        ipv4::HeaderSliceError::Content(_) => Reason::BadHeader,
    })?;
    // Zero where the kernel hands on more than the field can say (TSO, BIG TCP): then the frame tells.
    let total = match usize::from(header.total_len()) {
        0 if whole.wire_len > MAY_BE_PADDED => whole.wire_len,
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
    let payload = whole.cut_to(total).after(length)?;
    let protocol = header.protocol().0;
    let (protocol, payload) = if fragment.is_none() && protocol == AUTHENTICATION {
        let upper = upper_layer(Version::V4, protocol, payload)?;
        (upper.protocol, upper.payload)
    } else {
        (protocol, payload)
    };
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        protocol,
        payload,
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
    let first = header.next_header().0;
    let total = match usize::from(header.payload_length()) {
        0 => length + long_payload(whole, length, first)?,
        payload => length + payload,
    };
    let payload = whole.cut_to(total).after(length)?;
    let upper = upper_layer(Version::V6, first, payload)?;
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: upper
            .destination
            .unwrap_or_else(|| header.destination_addr())
            .into(),
        protocol: upper.protocol,
        payload: upper.payload,
        fragment: upper.fragment,
        ip_id: None,
    })
}

/// The payload's length where the header says 0: that of a jumbogram's option, or what the frame holds,
/// for kernels and cards leave it 0 in what they joined; nothing in a frame too short for that.
fn long_payload(whole: Payload<'_>, header: usize, first: u8) -> Result<usize, Reason> {
    if whole.wire_len <= MAY_BE_PADDED {
        return Ok(0);
    }
    let rest = whole.after(header)?;
    if first == HOP_BY_HOP
        && let Some(jumbo) = jumbo(rest)?
    {
        return Ok(jumbo);
    }
    Ok(rest.wire_len)
}

/// The jumbo payload option of a hop-by-hop header. One below 65,536 is none (RFC 2675 §3).
fn jumbo(header: Payload<'_>) -> Result<Option<usize>, Reason> {
    let end = (usize::from(header.u8(1)?) + 1) * 8;
    let mut at = 2;
    while at < end {
        match header.u8(at)? {
            // Pad1 is one octet; all others have a length.
            0 => at += 1,
            JUMBO => {
                let length = header.u32(at + 2)?;
                return Ok((length > 0xffff).then_some(length as usize));
            }
            _ => at += 2 + usize::from(header.u8(at + 1)?),
        }
    }
    Ok(None)
}

/// Passes over extension headers, up to a fragment header that splits its datagram or to what no
/// extension header is.
pub(super) fn upper_layer(
    version: Version,
    mut kind: u8,
    mut payload: Payload<'_>,
) -> Result<Upper<'_>, Reason> {
    let mut destination = None;
    for _ in 0..MAX_EXTENSIONS {
        if version == Version::V6 && kind == FRAGMENT {
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
                let fragment = Fragment {
                    id: header.identification(),
                    offset: u32::from(header.fragment_offset().value()) * 8,
                    place,
                };
                return Ok(Upper {
                    protocol: kind,
                    payload,
                    fragment: Some(fragment),
                    destination,
                });
            }
            continue;
        }
        if !is_extension(version, kind) {
            return Ok(Upper {
                protocol: kind,
                payload,
                fragment: None,
                destination,
            });
        }
        let [next, units] = payload.octets(0)?;
        let length = match kind {
            AUTHENTICATION => (usize::from(units) + 2) * 4,
            _ => (usize::from(units) + 1) * 8,
        };
        if kind == ROUTING {
            destination = routed_to(payload, length)?.or(destination);
        }
        payload = payload.after(length)?;
        kind = next;
    }
    if is_extension(version, kind) || kind == FRAGMENT {
        return Err(Reason::BadHeader);
    }
    Ok(Upper {
        protocol: kind,
        payload,
        fragment: None,
        destination,
    })
}

/// Where a routing header that was not followed to its end leads; the answers come from there.
fn routed_to(header: Payload<'_>, length: usize) -> Result<Option<Ipv6Addr>, Reason> {
    let [_, _, kind, left] = header.octets(0)?;
    let at = match kind {
        _ if left == 0 || length < 24 => return Ok(None),
        // The last of a list (RFC 2460 §4.4), or the home address (RFC 6275 §6.4).
        0 | 2 => length - 16,
        // Segment routing has its list the other way round (RFC 8754 §2).
        4 => 8,
        _ => return Ok(None),
    };
    header.octets::<16>(at).map(|octets| Some(octets.into()))
}

/// Whether an extension header other than the fragment header has this number. IPv4 has none but the
/// authentication header.
pub(super) const fn is_extension(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => kind == AUTHENTICATION,
        Version::V6 => matches!(
            kind,
            HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY
        ),
    }
}
