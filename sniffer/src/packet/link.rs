//! Link layers: down to the IP header.

use super::Reason;
use crate::capture::LinkType;

/// VLAN tags that are taken off a frame. Two are QinQ; more appear in no ordinary network.
const MAX_TAGS: usize = 4;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The bytes of a frame from its IP header on.
pub(super) fn network(link: LinkType, frame: &[u8]) -> Result<&[u8], Reason> {
    match link {
        LinkType::Ethernet => tagged(ether_type(frame, 12)?, frame, 14),
        LinkType::LinuxSll => tagged(ether_type(frame, 14)?, frame, 16),
        LinkType::LinuxSll2 => tagged(ether_type(frame, 0)?, frame, 20),
        LinkType::RawIp => Ok(frame),
        LinkType::Null | LinkType::Loop => {
            let (family, rest) = frame.split_first_chunk::<4>().ok_or(Reason::Cut)?;
            let family = u32::from_be_bytes(*family);
            // The capturing host's byte order is not known; families are small numbers.
            let family = if family > 0xffff {
                family.swap_bytes()
            } else {
                family
            };
            // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 to 30 on the BSDs and Darwin.
            if matches!(family, 2 | 10 | 24 | 28 | 30) {
                Ok(rest)
            } else {
                Err(Reason::NotIp)
            }
        }
    }
}

/// Takes 802.1Q and 802.1ad tags off: each is two bytes of control and the next type.
fn tagged(mut kind: u16, frame: &[u8], mut at: usize) -> Result<&[u8], Reason> {
    for _ in 0..=MAX_TAGS {
        match kind {
            IPV4 | IPV6 => return frame.get(at..).ok_or(Reason::Cut),
            0x8100 | 0x88a8 | 0x9100 => {
                kind = ether_type(frame, at + 2)?;
                at += 4;
            }
            _ => return Err(Reason::NotIp),
        }
    }
    Err(Reason::NotIp)
}

fn ether_type(frame: &[u8], at: usize) -> Result<u16, Reason> {
    let raw = frame
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or(Reason::Cut)?;
    Ok(u16::from_be_bytes(*raw))
}
