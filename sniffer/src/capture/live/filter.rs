//! The kernel's filter: TCP of the tapped ports, however it is wrapped.

use std::fmt::Write as _;

use crate::capture::LinkType;

/// A filter expression (`man 7 pcap-filter`) for TCP to and from `ports`, or all TCP where there are
/// none, on frames of one link type.
///
/// `tcp port P` alone misses what shows no port where it looks for one, so these pass too: TCP
/// fragments but the first of IPv4, every IPv6 packet with an extension header (fragments among them,
/// and BIG TCP's jumbograms), and all of it inside one or two VLAN tags.
pub fn filter_expression(ports: &[u16], link: LinkType) -> String {
    let base = within_ip(ports);
    match link {
        // Each `vlan` moves the offsets of all that is written after it, hence the nesting and the order.
        LinkType::Ethernet => format!("{base} or (vlan and ({base} or (vlan and {base})))"),
        // There is no `vlan` for these. The kernel takes the outer tag off; what has another is rare
        // and passes whole.
        LinkType::LinuxSll | LinkType::LinuxSll2 => {
            format!("{base} or ether proto 0x8100 or ether proto 0x88a8 or ether proto 0x9100")
        }
        _ => base,
    }
}

fn within_ip(ports: &[u16]) -> String {
    let mut text = String::from("(");
    if ports.is_empty() {
        text.push_str("tcp or ");
    }
    for port in ports {
        // Writing to a string does not fail.
        let _ = write!(text, "tcp port {port} or ");
    }
    text.push_str("(ip proto 6 and ip[6:2] & 0x1fff != 0)");
    // Hop-by-hop, routing, fragment, authentication, destination options, mobility.
    for extension in [0, 43, 44, 51, 60, 135] {
        let _ = write!(text, " or ip6[6] = {extension}");
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use pcap::{BpfProgram, Capture, Linktype};

    use super::*;
    use crate::packet::frame::{TcpPacket, frame};

    /// Those that Linux gives; Null and Loop differ by host in the number of their IPv6.
    const LINKS: [(LinkType, i32); 4] = [
        (LinkType::Ethernet, 1),
        (LinkType::LinuxSll, 113),
        (LinkType::LinuxSll2, 276),
        (LinkType::RawIp, 12),
    ];

    #[test]
    fn the_ports_in_both_directions_on_every_link() {
        for (link, number) in LINKS {
            let program = compile(&[8000, 9997], link, number);
            let passes = |packet: &TcpPacket| program.filter(&frame(link, &[], &packet.ip()));
            for port in [8000, 9997] {
                for (there, back) in [v4(port), v6(port)] {
                    assert!(passes(&there) && passes(&back), "{link:?} {port}");
                }
            }
            for (there, back) in [v4(8001), v6(8001)] {
                assert!(!passes(&there) && !passes(&back), "{link:?}");
            }
        }
    }

    #[test]
    fn other_protocols_are_refused() {
        let program = compile(&[8000], LinkType::Ethernet, 1);
        let mut udp = v4(8000).0.ip();
        udp[9] = 17;
        assert!(!program.filter(&frame(LinkType::Ethernet, &[], &udp)));
        udp[6] = 0x20;
        udp[7] = 1;
        assert!(
            !program.filter(&frame(LinkType::Ethernet, &[], &udp)),
            "a UDP fragment"
        );
        let mut udp = v6(8000).0.ip();
        udp[6] = 17;
        assert!(!program.filter(&frame(LinkType::Ethernet, &[], &udp)));
        assert!(
            !program.filter(&[&[2; 12][..], &[8, 6], &[0; 46]].concat()),
            "ARP"
        );
    }

    #[test]
    fn all_tcp_without_ports() {
        let program = compile(&[], LinkType::Ethernet, 1);
        assert!(program.filter(&frame(LinkType::Ethernet, &[], &v4(1).0.ip())));
        assert!(program.filter(&frame(LinkType::Ethernet, &[0x8100], &v6(2).0.ip())));
    }

    #[test]
    fn inside_vlan_and_qinq() {
        let program = compile(&[8000, 9997], LinkType::Ethernet, 1);
        for tags in [
            &[0x8100][..],
            &[0x88a8, 0x8100],
            &[0x9100, 0x8100],
            &[0x8100, 0x8100],
        ] {
            let passes = |ip: &[u8]| program.filter(&frame(LinkType::Ethernet, tags, ip));
            for ((there, back), (other, _)) in [(v4(9997), v4(1)), (v6(9997), v6(1))] {
                assert!(passes(&there.ip()) && passes(&back.ip()), "{tags:x?}");
                assert!(!passes(&other.ip()), "{tags:x?}");
                for fragment in there.fragments(7, &[16, 32]) {
                    assert!(passes(&fragment), "{tags:x?}");
                }
            }
        }
        for (link, number) in [(LinkType::LinuxSll, 113), (LinkType::LinuxSll2, 276)] {
            let program = compile(&[8000], link, number);
            assert!(program.filter(&frame(link, &[0x8100], &v4(8000).0.ip())));
        }
    }

    #[test]
    fn fragments_and_extension_headers() {
        for (link, number) in LINKS {
            let program = compile(&[8000], link, number);
            for (packet, _) in [v4(8000), v6(8000)] {
                for fragment in packet.fragments(7, &[16, 32]) {
                    assert!(program.filter(&frame(link, &[], &fragment)), "{link:?}");
                }
            }
            let mut packet = v6(8000).0;
            for kind in [0, 43, 51, 60, 135] {
                packet.extensions = vec![(kind, vec![0; 7])];
                assert!(
                    program.filter(&frame(link, &[], &packet.ip())),
                    "{link:?} {kind}"
                );
            }
        }
    }

    #[test]
    fn the_kernel_takes_the_program_for_many_ports() {
        /// BPF_MAXINSNS of Linux; a longer program would run outside the kernel.
        const LIMIT: usize = 4096;
        let ports: Vec<u16> = (8000..8032).collect();
        let program = compile(&ports, LinkType::Ethernet, 1);
        assert!(program.get_instructions().len() < LIMIT);
        assert!(program.filter(&frame(LinkType::Ethernet, &[0x8100], &v6(8031).0.ip())));
    }

    fn compile(ports: &[u16], link: LinkType, number: i32) -> BpfProgram {
        let dead = Capture::dead(Linktype(number)).unwrap();
        dead.compile(&filter_expression(ports, link), true).unwrap()
    }

    /// To the port and from it.
    fn v4(port: u16) -> (TcpPacket, TcpPacket) {
        both("192.0.2.1:40000", &format!("192.0.2.2:{port}"))
    }

    fn v6(port: u16) -> (TcpPacket, TcpPacket) {
        both("[2001:db8::1]:40000", &format!("[2001:db8::2]:{port}"))
    }

    fn both(client: &str, server: &str) -> (TcpPacket, TcpPacket) {
        (
            TcpPacket::new(client, server, &[9; 40]),
            TcpPacket::new(server, client, &[9; 40]),
        )
    }
}
