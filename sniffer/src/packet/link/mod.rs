//! Link layers: from the frame's first octet down to IP.

mod cooked;
mod ether;
mod mpls;
mod nflog;
mod nsh;
mod ppp;
mod wireless;

pub(super) use ether::{Likeness, likeness};
pub(super) use mpls::stack as labels;
pub(super) use nsh::service;

use super::{
    Payload, Reason,
    layer::{Inner, Layer},
};
use crate::capture::LinkType;

/// Takes the outermost header off a frame, or finds out what it is.
#[inline]
pub(super) fn outermost(link: LinkType, frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    match link {
        LinkType::Ethernet => ether::frame(frame),
        LinkType::LinuxSll => cooked::version_1(frame),
        LinkType::LinuxSll2 => cooked::version_2(frame),
        LinkType::RawIp => Inner::after(frame, 0, Layer::Ip),
        LinkType::Null | LinkType::Loop => family(frame),
        LinkType::Ppp => Inner::after(frame, 0, Layer::Ppp),
        LinkType::PppEther => ppp::session(frame),
        LinkType::CiscoHdlc => Inner::after(frame, 4, Layer::EtherType(frame.u16(2)?)),
        LinkType::Wireless => Inner::after(frame, 0, Layer::Wireless),
        LinkType::Radiotap => wireless::radiotap(frame),
        LinkType::Nflog => nflog::message(frame),
    }
}

/// Takes one header off that is not IP's, nor in IP.
pub(super) fn open(layer: Layer, payload: Payload<'_>) -> Result<Inner<'_>, Reason> {
    match layer {
        Layer::Ethernet => ether::frame(payload),
        Layer::EtherType(kind) => ether::kind(kind, payload),
        Layer::Llc => ether::llc(payload),
        Layer::Ppp => ppp::frame(payload),
        Layer::Wireless => wireless::frame(payload, wireless::Padding::None),
        Layer::Ip | Layer::Protocol(_) => Ok(Inner {
            layer,
            payload,
            via: 0,
        }),
    }
}

/// The BSD loopback header: an address family.
fn family(frame: Payload<'_>) -> Result<Inner<'_>, Reason> {
    let family = frame.u32(0)?;
    // The capturing host's byte order is not known; families are small numbers.
    let family = if family > 0xffff {
        family.swap_bytes()
    } else {
        family
    };
    // AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 24 to 30 on the BSDs and Darwin.
    if matches!(family, 2 | 10 | 24 | 28 | 30) {
        Inner::after(frame, 4, Layer::Ip)
    } else {
        Err(Reason::NotIp)
    }
}
