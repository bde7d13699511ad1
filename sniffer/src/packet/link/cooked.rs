//! Linux's cooked captures, as of the device `any`.

use super::{ether, wireless};
use crate::packet::{Payload, Reason, layer::Inner};

const VERSION_1: usize = 16;
const VERSION_2: usize = 20;

/// The packet type of what this host sent.
const OUTGOING: u16 = 4;

/// LINKTYPE_LINUX_SLL. It names no interface, but says whether the packet came or went: the two copies
/// of a packet that passes through this host differ in that.
pub(super) fn version_1(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let outgoing = frame.u16(0)? == OUTGOING;
    let (device, kind) = (frame.u16(2)?, frame.u16(14)?);
    Ok(inner(frame.after(VERSION_1)?, device, kind)?.via(ether::via(113, u32::from(outgoing))))
}

/// LINKTYPE_LINUX_SLL2
pub(super) fn version_2(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let (kind, interface, device) = (frame.u16(0)?, frame.u32(4)?, frame.u16(8)?);
    let outgoing = u16::from(frame.u8(10)?) == OUTGOING;
    let via = ether::via(276, interface << 1 | u32::from(outgoing));
    Ok(inner(frame.after(VERSION_2)?, device, kind)?.via(via))
}

/// What a device of this ARPHRD type puts below the header.
fn inner(payload: Payload<'_>, device: u16, kind: u16) -> Result<Inner<'_>, Reason> {
    /// Frame relay: the field does not hold what follows.
    const FRAD: u16 = 770;
    const RADIOTAP: u16 = 803;
    const NETLINK: u16 = 824;
    match device {
        NETLINK | FRAD => Err(Reason::NotIp),
        RADIOTAP => wireless::radiotap(payload),
        // GRE's devices put its protocol type there, which is an EtherType too.
        _ => ether::kind(kind, payload),
    }
}
