//! Link layers around an IP packet.

use super::ip;

/// A link type, with what its header needs. Numbers are those of
/// <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// LINKTYPE_ETHERNET, 1
    Ethernet,
    /// Ethernet with one 802.1Q tag of this VLAN
    Vlan(u16),
    /// Ethernet with an 802.1ad tag and an 802.1Q tag inside it
    QinQ(u16, u16),
    /// LINKTYPE_LINUX_SLL, 113
    LinuxSll,
    /// LINKTYPE_LINUX_SLL2, 276
    LinuxSll2,
    /// LINKTYPE_RAW, 101
    RawIp,
    /// LINKTYPE_NULL, 0, written by a little-endian host
    Null,
    /// LINKTYPE_LOOP, 108
    Loop,
    /// Any other number: what is added are whole frames already
    Numbered(u16),
}

impl Link {
    /// Every link type whose frames are made here, one of each.
    pub const ALL: [Self; 8] = [
        Self::Ethernet,
        Self::Vlan(42),
        Self::QinQ(7, 42),
        Self::LinuxSll,
        Self::LinuxSll2,
        Self::RawIp,
        Self::Null,
        Self::Loop,
    ];

    /// The number in a capture file's header.
    pub const fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Vlan(_) | Self::QinQ(..) => 1,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::RawIp => 101,
            Self::Null => 0,
            Self::Loop => 108,
            Self::Numbered(number) => number,
        }
    }

    /// The frame around an IP packet.
    pub fn frame(self, packet: &[u8]) -> Vec<u8> {
        let ether_type: u16 = if ip::is_v4(packet) { 0x0800 } else { 0x86dd };
        let mut bytes = match self {
            Self::Ethernet => ethernet(&[ether_type]),
            Self::Vlan(id) => ethernet(&[0x8100, id, ether_type]),
            Self::QinQ(outer, inner) => ethernet(&[0x88a8, outer, 0x8100, inner, ether_type]),
            Self::LinuxSll => {
                // To us, ARPHRD_LOOPBACK, an address of 6 octets in a field of 8.
                let mut header = vec![0, 0, 0x03, 0x04, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
                header.extend(ether_type.to_be_bytes());
                header
            }
            Self::LinuxSll2 => {
                let mut header = ether_type.to_be_bytes().to_vec();
                // Reserved, interface 1, ARPHRD_LOOPBACK, to us, an address of 6 octets in 8.
                header.extend([0, 0, 0, 0, 0, 1, 0x03, 0x04, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
                header
            }
            Self::RawIp | Self::Numbered(_) => Vec::new(),
            // AF_INET is 2 everywhere; AF_INET6 is 30 on the systems that write these link types.
            Self::Null => family(packet).to_le_bytes().to_vec(),
            Self::Loop => family(packet).to_be_bytes().to_vec(),
        };
        bytes.extend(packet);
        bytes
    }
}

fn ethernet(types_and_tags: &[u16]) -> Vec<u8> {
    let mut header = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for field in types_and_tags {
        header.extend(field.to_be_bytes());
    }
    header
}

fn family(packet: &[u8]) -> u32 {
    if ip::is_v4(packet) { 2 } else { 30 }
}
