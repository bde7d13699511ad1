//! What was seen, and why frames were not used.

/// Why a frame gives no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It carries no IP: ARP, LLDP, a link layer's own frames.
    NotIp,
    /// It carries IP, but no TCP.
    NotTcp,
    /// The capture cut it inside its headers.
    Cut,
    /// Its headers contradict themselves.
    BadHeader,
    /// A fragment that overlaps another one: its whole datagram is refused (RFC 5722 §3).
    FragmentOverlap,
    /// A fragment that no datagram can have (RFC 8200 §4.5): empty, past the largest datagram, or in the
    /// middle with a length that is no multiple of 8.
    FragmentBad,
    /// More headers around its TCP than are taken off.
    TooDeep,
    /// It goes through a tunnel that is not opened.
    Tunnelled,
    /// What it carries cannot be told: encrypted by the link, or one of several packets or a part of one
    /// in a wireless frame.
    Opaque,
}

impl Reason {
    /// The name for reports and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::Cut => "cut",
            Self::BadHeader => "bad_header",
            Self::FragmentOverlap => "fragment_overlap",
            Self::FragmentBad => "fragment_bad",
            Self::TooDeep => "too_deep",
            Self::Tunnelled => "tunnelled",
            Self::Opaque => "opaque",
        }
    }
}

/// Frames by what they were. Every frame that gives no segment is in `fragments` or one of the reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketCounters {
    /// Frames given to the decoder.
    pub packets: u64,
    /// Segments that it gave.
    pub segments: u64,
    /// Segments whose payload the capture cut.
    pub segments_cut: u64,
    /// Frames without IP.
    pub not_ip: u64,
    /// UDP datagrams (fragments apart from the first not told from others: each counts).
    pub udp: u64,
    /// ICMP and ICMPv6 messages.
    pub icmp: u64,
    /// Datagrams of other protocols than TCP, UDP and ICMP.
    pub other_ip: u64,
    /// Frames cut inside their headers.
    pub cut: u64,
    /// Frames whose headers contradict themselves.
    pub bad_header: u64,
    /// Frames with more headers around their TCP than are taken off.
    pub too_deep: u64,
    /// Frames that go through a tunnel that is not opened.
    pub tunnelled: u64,
    /// Frames of which cannot be told what they carry: encrypted by the link, wireless aggregates.
    pub opaque: u64,
    /// Fragments that may carry TCP, in a tunnel too.
    pub fragments: u64,
    /// Fragments that were there already.
    pub fragments_duplicate: u64,
    /// Fragments refused for overlapping others, or because one of their datagram did.
    pub fragment_overlap: u64,
    /// Fragments that no datagram can have.
    pub fragment_bad: u64,
    /// Datagrams of which a fragment was kept. Each ends in one of the five counters below, unless the
    /// capture ends before.
    pub datagrams_begun: u64,
    /// Datagrams put together from fragments.
    pub datagrams_reassembled: u64,
    /// Copies of a datagram in other places, not whole when that was.
    pub datagrams_duplicate: u64,
    /// Datagrams given up because a fragment was missing for too long.
    pub datagrams_timed_out: u64,
    /// Datagrams given up to stay within the budget.
    pub datagrams_evicted: u64,
    /// Datagrams refused because fragments of them overlapped.
    pub datagrams_refused: u64,
}

impl PacketCounters {
    /// All counters by name, for reports and metrics.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("packets", self.packets),
            ("segments", self.segments),
            ("segments_cut", self.segments_cut),
            ("not_ip", self.not_ip),
            ("udp", self.udp),
            ("icmp", self.icmp),
            ("other_ip", self.other_ip),
            ("cut", self.cut),
            ("bad_header", self.bad_header),
            ("too_deep", self.too_deep),
            ("tunnelled", self.tunnelled),
            ("opaque", self.opaque),
            ("fragments", self.fragments),
            ("fragments_duplicate", self.fragments_duplicate),
            ("fragment_overlap", self.fragment_overlap),
            ("fragment_bad", self.fragment_bad),
            ("datagrams_begun", self.datagrams_begun),
            ("datagrams_reassembled", self.datagrams_reassembled),
            ("datagrams_duplicate", self.datagrams_duplicate),
            ("datagrams_timed_out", self.datagrams_timed_out),
            ("datagrams_evicted", self.datagrams_evicted),
            ("datagrams_refused", self.datagrams_refused),
        ]
        .into_iter()
    }

    /// Frames ignored for a reason.
    pub const fn ignored(&self, reason: Reason) -> u64 {
        match reason {
            Reason::NotIp => self.not_ip,
            Reason::NotTcp => self.udp + self.icmp + self.other_ip,
            Reason::Cut => self.cut,
            Reason::BadHeader => self.bad_header,
            Reason::FragmentOverlap => self.fragment_overlap,
            Reason::FragmentBad => self.fragment_bad,
            Reason::TooDeep => self.too_deep,
            Reason::Tunnelled => self.tunnelled,
            Reason::Opaque => self.opaque,
        }
    }

    /// Counts a frame of which nothing is used; `protocol` is that of its IP datagram.
    pub(super) fn ignore(&mut self, reason: Reason, protocol: u8) {
        let counter = match reason {
            Reason::NotIp => &mut self.not_ip,
            Reason::NotTcp => match protocol {
                17 => &mut self.udp,
                1 | 58 => &mut self.icmp,
                _ => &mut self.other_ip,
            },
            Reason::Cut => &mut self.cut,
            Reason::BadHeader => &mut self.bad_header,
            Reason::FragmentOverlap => &mut self.fragment_overlap,
            Reason::FragmentBad => &mut self.fragment_bad,
            Reason::TooDeep => &mut self.too_deep,
            Reason::Tunnelled => &mut self.tunnelled,
            Reason::Opaque => &mut self.opaque,
        };
        *counter += 1;
    }
}
