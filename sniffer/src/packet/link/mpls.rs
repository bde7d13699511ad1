//! MPLS label stacks (RFC 3032) and what lies below them.

use super::ether::{self, Likeness};
use crate::packet::{
    Payload, Reason, ip,
    layer::{Inner, Layer},
};

/// The bit of the last label.
const BOTTOM: u32 = 0x100;

/// The first word of a pseudo-wire that has one (RFC 4385 §3).
const CONTROL_WORD: usize = 4;

/// Takes all labels off. Nothing says what follows: it is told by its first bits.
pub(crate) fn stack(payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let mut rest = payload;
    // A label is 4 octets of the packet, so this ends with it.
    loop {
        let label = rest.u32(0)?;
        rest = rest.after(4)?;
        if label & BOTTOM != 0 {
            let via = ether::via(0x8847, label >> 12);
            return Ok(below(rest)?.via(via));
        }
    }
}

/// IP, or the Ethernet of a pseudo-wire with or without a control word (RFC 4448 §4.6, RFC 8469).
fn below(rest: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let first = rest.u8(0)? >> 4;
    let bare = ether::likeness(rest)?;
    // An address of Ethernet may begin with a 4 or a 6 as well.
    if matches!(first, 4 | 6) && (bare != Likeness::Type || ip::plausible(rest)?) {
        return Inner::after(rest, 0, Layer::Ip);
    }
    let controlled = if first == 0 && rest.wire_len > CONTROL_WORD {
        ether::likeness(rest.after(CONTROL_WORD)?)?
    } else {
        Likeness::None
    };
    match bare.max(controlled) {
        Likeness::None => Err(Reason::NotIp),
        most if most == controlled => Inner::after(rest, CONTROL_WORD, Layer::Ethernet),
        _ => Inner::after(rest, 0, Layer::Ethernet),
    }
}
