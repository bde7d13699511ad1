//! What an IP packet can be wrapped in on its way: other link layers, tags, labels, tunnels.

use super::{Link, ip};

/// One way to wrap an IP packet.
#[derive(Clone, Copy, Debug)]
pub struct Wrapping {
    /// Its name, fit for a file's.
    pub name: &'static str,
    /// The link type of its frames.
    pub link: Link,
    wrap: Wrap,
}

/// What it makes of a packet.
#[derive(Clone, Copy, Debug)]
enum Wrap {
    Frame(fn(&[u8]) -> Vec<u8>),
    Frames(fn(&[u8]) -> Vec<Vec<u8>>),
}

impl Wrapping {
    /// The frames of one IP packet: one, or as many as its fragments.
    pub fn frames(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        match self.wrap {
            Wrap::Frame(wrap) => vec![wrap(packet)],
            Wrap::Frames(wrap) => wrap(packet),
        }
    }
}

const ETHERNET: Link = Link::Numbered(1);
const PPP: Link = Link::Numbered(9);
const PPP_HDLC: Link = Link::Numbered(50);
const PPP_ETHER: Link = Link::Numbered(51);
const RAW: Link = Link::Numbered(101);
const C_HDLC: Link = Link::Numbered(104);
const WIRELESS: Link = Link::Numbered(105);
const COOKED: Link = Link::Numbered(113);
const RADIOTAP: Link = Link::Numbered(127);
const NFLOG: Link = Link::Numbered(239);

/// All of them, for a packet of either family, but for the two that carry IPv6 only.
pub const WRAPPINGS: &[Wrapping] = &[
    one("vlan", ETHERNET, |p| ethernet(0x8100, &tag(&typed(p)))),
    one("q-in-q", ETHERNET, |p| ethernet(0x88a8, &tag(&vlan(p)))),
    one("q-in-q-9100", ETHERNET, |p| {
        ethernet(0x9100, &tag(&vlan(p)))
    }),
    one("q-in-q-9200", ETHERNET, |p| {
        ethernet(0x9200, &tag(&vlan(p)))
    }),
    one("llc-snap", ETHERNET, |p| {
        let snap = [&SNAP[..], &typed(p)].concat();
        ethernet(snap.len() as u16, &snap)
    }),
    one("mpls", ETHERNET, |p| {
        ethernet(0x8847, &[&LABELS[..], p].concat())
    }),
    one("mpls-in-vlan", ETHERNET, |p| {
        ethernet(0x8100, &tag(&[&[0x88, 0x47][..], &LABELS, p].concat()))
    }),
    one("eompls", ETHERNET, |p| {
        ethernet(0x8847, &[&LABELS[..], &frame(p)].concat())
    }),
    one("eompls-control-word", ETHERNET, |p| {
        ethernet(0x8847, &[&LABELS[..], &[0, 0, 0, 9], &frame(p)].concat())
    }),
    one("pppoe", ETHERNET, |p| ethernet(0x8864, &session(p))),
    one("pppoe-in-vlan", ETHERNET, |p| {
        ethernet(0x8100, &tag(&[&[0x88, 0x64][..], &session(p)].concat()))
    }),
    one("pbb", ETHERNET, |p| {
        ethernet(
            0x88a8,
            &tag(&[&[0x88, 0xe7, 0, 0, 1, 2][..], &frame(p)].concat()),
        )
    }),
    one("vn-tag", ETHERNET, |p| {
        ethernet(0x8926, &[&[0, 1, 0, 2][..], &typed(p)].concat())
    }),
    one("e-tag", ETHERNET, |p| {
        ethernet(0x893f, &[&[0, 0, 0, 2, 0, 0][..], &typed(p)].concat())
    }),
    one("ppp", PPP, ppp),
    one("ppp-hdlc", PPP_HDLC, |p| [&[0xff, 3][..], &ppp(p)].concat()),
    one("ppp-ether", PPP_ETHER, session),
    one("cisco-hdlc", C_HDLC, |p| {
        [&[0x0f, 0][..], &typed(p)].concat()
    }),
    one("wireless", WIRELESS, wireless),
    one("radiotap", RADIOTAP, |p| {
        // Eight octets, and of the fields the flags: a check sequence follows.
        let header = [0, 0, 9, 0, 2, 0, 0, 0, 0x10];
        [&header[..], &wireless(p), &[0xee; 4]].concat()
    }),
    one("cooked-gre", COOKED, |p| {
        // To us, ARPHRD_IPGRE, no address, then GRE's own type.
        [&[0, 0, 3, 0x0a][..], &[0; 10], &typed(p)].concat()
    }),
    one("nflog", NFLOG, |p| {
        let family = if ip::is_v4(p) { 2 } else { 10 };
        // A prefix, padded to words, then the packet.
        let length = (4 + p.len()) as u16;
        let attributes = [
            &[5, 0, 10, 0, 0, 0, 0, 0][..],
            &length.to_le_bytes(),
            &[9, 0],
        ]
        .concat();
        [&[family, 0, 0, 1][..], &attributes, p].concat()
    }),
    one("vxlan", ETHERNET, |p| {
        over_v4(UDP, &udp(4789, &vxlan(&frame(p))))
    }),
    one("vxlan-with-vlan", ETHERNET, |p| {
        let tagged = ethernet(0x8100, &tag(&typed(p)));
        over_v4(UDP, &udp(4789, &vxlan(&tagged)))
    }),
    one("vxlan-over-v6", ETHERNET, |p| {
        over_v6(UDP, &udp(4789, &vxlan(&frame(p))))
    }),
    one("vxlan-flannel", ETHERNET, |p| {
        over_v4(UDP, &udp(8472, &vxlan(&frame(p))))
    }),
    one("vxlan-gpe", ETHERNET, |p| {
        let next = if ip::is_v4(p) { 1 } else { 2 };
        let header = [0x0c, 0, 0, next, 0, 0, 42, 0];
        over_v4(UDP, &udp(4790, &[&header[..], p].concat()))
    }),
    one("geneve", ETHERNET, |p| {
        let header = [0, 0, 0x65, 0x58, 0, 0, 42, 0];
        over_v4(UDP, &udp(6081, &[&header[..], &frame(p)].concat()))
    }),
    one("geneve-options-over-v6", ETHERNET, |p| {
        // One option of 4 octets of data, then IP itself.
        let [a, b] = ether_type(p).to_be_bytes();
        let header = [2, 0, a, b, 0, 0, 42, 0, 1, 8, 1, 1, 0, 0, 0, 7];
        over_v6(UDP, &udp(6081, &[&header[..], p].concat()))
    }),
    one("gre", ETHERNET, |p| {
        over_v4(GRE, &gre(0, ether_type(p), &[], p))
    }),
    one("gre-over-v6", ETHERNET, |p| {
        over_v6(GRE, &gre(0, ether_type(p), &[], p))
    }),
    one("gre-key-sequence", ETHERNET, |p| {
        over_v4(
            GRE,
            &gre(0x3000, ether_type(p), &[0, 0, 0, 7, 0, 0, 0, 1], p),
        )
    }),
    one("gre-ethernet", ETHERNET, |p| {
        over_v4(GRE, &gre(0x2000, 0x6558, &[0, 0, 0, 7], &frame(p)))
    }),
    one("gre-mpls", ETHERNET, |p| {
        over_v4(GRE, &gre(0, 0x8847, &[], &[&LABELS[..], p].concat()))
    }),
    one("gre-in-gre", ETHERNET, |p| {
        let inner = ip::carrying(4, GRE, &gre(0, ether_type(p), &[], p));
        over_v4(GRE, &gre(0, 0x0800, &[], &inner))
    }),
    one("pptp", ETHERNET, |p| {
        let packet = [&[0xff, 3][..], &ppp(p)].concat();
        let [a, b] = (packet.len() as u16).to_be_bytes();
        over_v4(
            GRE,
            &gre(0x3001, 0x880b, &[a, b, 0, 7, 0, 0, 0, 1], &packet),
        )
    }),
    one("erspan-1", ETHERNET, |p| {
        over_v4(GRE, &gre(0, 0x88be, &[], &frame(p)))
    }),
    one("erspan-2", ETHERNET, |p| {
        let header = [0x10, 1, 0, 2, 0, 0, 0, 3];
        let frame = [&header[..], &frame(p)].concat();
        over_v4(GRE, &gre(0x1000, 0x88be, &[0, 0, 0, 1], &frame))
    }),
    one("erspan-3", ETHERNET, |p| {
        // Version 2, an Ethernet frame, and a platform's subheader.
        let mut header = vec![0x20, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1];
        header.extend([0; 8]);
        let frame = [&header[..], &frame(p)].concat();
        over_v4(GRE, &gre(0x1000, 0x22eb, &[0, 0, 0, 1], &frame))
    }),
    one("ip-in-v4", ETHERNET, |p| over_v4(in_ip(p), p)),
    one("ip-in-v6", ETHERNET, |p| over_v6(in_ip(p), p)),
    one("ip-in-v6-in-v4", RAW, |p| {
        ip::carrying(4, 41, &ip::carrying(6, in_ip(p), p))
    }),
    one("gtp", ETHERNET, |p| {
        let [a, b] = ((4 + p.len()) as u16).to_be_bytes();
        let header = [0x32, 255, a, b, 0, 0, 0, 9, 0, 1, 0, 0];
        over_v4(UDP, &udp(2152, &[&header[..], p].concat()))
    }),
    one("ayiya", ETHERNET, |p| {
        // An identity of 16 octets, a signature of 20; forward.
        let header = [&[0x42, 0x52, 0x11, in_ip(p)][..], &[0; 4 + 16 + 20]].concat();
        over_v4(UDP, &udp(5072, &[&header[..], p].concat()))
    }),
    several("fragments", ETHERNET, |p| each(&fragments(p), frame)),
    several("vxlan-in-fragments", ETHERNET, |p| {
        let packet = ip::carrying(4, UDP, &udp(4789, &vxlan(&frame(p))));
        let mut frames = each(&fragments(&packet), frame);
        frames.reverse();
        frames
    }),
    several("fragments-in-vxlan", ETHERNET, |p| {
        each(&fragments(p), |piece| {
            over_v4(UDP, &udp(4789, &vxlan(&frame(piece))))
        })
    }),
];

/// Teredo, plain and behind both of its own headers: these carry IPv6 only.
pub const WRAPPINGS_OF_V6: &[Wrapping] = &[
    one("teredo", ETHERNET, |p| over_v4(UDP, &udp(3544, p))),
    one("teredo-origin", ETHERNET, |p| {
        let secret = [&[0, 1, 0, 0][..], &[0; 9]].concat();
        let origin = [0, 0, 0x63, 0xbf, 0x34, 0xff, 0x8e, 0xf6];
        over_v4(UDP, &udp(3544, &[&secret[..], &origin, p].concat()))
    }),
];

const UDP: u8 = 17;
const GRE: u8 = 47;

const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

/// Two labels, the second the last.
const LABELS: [u8; 8] = [0, 1, 0x00, 64, 0, 2, 0x01, 64];

const fn one(name: &'static str, link: Link, wrap: fn(&[u8]) -> Vec<u8>) -> Wrapping {
    Wrapping {
        name,
        link,
        wrap: Wrap::Frame(wrap),
    }
}

const fn several(name: &'static str, link: Link, wrap: fn(&[u8]) -> Vec<Vec<u8>>) -> Wrapping {
    Wrapping {
        name,
        link,
        wrap: Wrap::Frames(wrap),
    }
}

fn each(packets: &[Vec<u8>], wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| wrap(packet)).collect()
}

fn ether_type(packet: &[u8]) -> u16 {
    if ip::is_v4(packet) { 0x0800 } else { 0x86dd }
}

/// The protocol number that says that an IP packet follows.
fn in_ip(packet: &[u8]) -> u8 {
    if ip::is_v4(packet) { 4 } else { 41 }
}

/// A packet after its EtherType.
fn typed(packet: &[u8]) -> Vec<u8> {
    [&ether_type(packet).to_be_bytes(), packet].concat()
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    [&addresses[..], &kind.to_be_bytes(), body].concat()
}

fn frame(packet: &[u8]) -> Vec<u8> {
    ethernet(ether_type(packet), packet)
}

/// Control information of VLAN 42, then what follows it.
fn tag(rest: &[u8]) -> Vec<u8> {
    [&[0, 42], rest].concat()
}

/// An 802.1Q tag within another one.
fn vlan(packet: &[u8]) -> Vec<u8> {
    [&[0x81, 0][..], &tag(&typed(packet))].concat()
}

fn ppp(packet: &[u8]) -> Vec<u8> {
    let protocol = if ip::is_v4(packet) { 0x21 } else { 0x57 };
    [&[0, protocol], packet].concat()
}

fn session(packet: &[u8]) -> Vec<u8> {
    let packet = ppp(packet);
    let [a, b] = (packet.len() as u16).to_be_bytes();
    [&[0x11, 0, 0, 9, a, b], &packet[..]].concat()
}

/// A data frame from the access point with the field of QoS.
fn wireless(packet: &[u8]) -> Vec<u8> {
    let mut header = vec![0x88, 0x02];
    header.resize(26, 0);
    [&header[..], &SNAP, &typed(packet)].concat()
}

fn over_v4(protocol: u8, body: &[u8]) -> Vec<u8> {
    frame(&ip::carrying(4, protocol, body))
}

fn over_v6(protocol: u8, body: &[u8]) -> Vec<u8> {
    frame(&ip::carrying(6, protocol, body))
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let length = 8 + body.len() as u16;
    let header = [[0xc0, 1], port.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    [&header[..], body].concat()
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat()
}

fn gre(flags: u16, kind: u16, fields: &[u8], body: &[u8]) -> Vec<u8> {
    [&flags.to_be_bytes()[..], &kind.to_be_bytes(), fields, body].concat()
}

/// A packet in fragments of at most 160 octets of payload.
fn fragments(packet: &[u8]) -> Vec<Vec<u8>> {
    ip::fragments(packet, 160)
}
