//! The only rooms with I/O: where packets come from.
//!
//! [`mod@file`] reads captures that were written before, `live` taps interfaces through libpcap, and
//! [`discover`] finds out which interfaces and ports are worth tapping.

pub mod discover;
pub mod file;
#[cfg(feature = "pcap")]
pub mod live;
mod paced;
mod steady;

#[cfg(feature = "ebpf")]
pub mod ebpf;

use analyzer::time::Timestamp;

pub use self::{paced::Paced, steady::Steady};

/// Sentences that one source keeps for a person. A damaged capture can give one for each of its
/// interfaces; what comes after these is left out, and the last sentence says so.
const MAX_WARNINGS: usize = 100;

/// Bytes of the kernel's ring (of libpcap: of the rings of all interfaces together) unless told otherwise:
/// 25 ms of 10 Gbit/s, which is what arrives while the reader is kept from its work. What does not fit is lost
/// and counted. With it llmtap at rest takes less than 60 MB of memory; eBPF's ring is mapped twice, one copy
/// after the other, so that the resident size (RSS) has it twice.
pub const DEFAULT_RING_BYTES: u32 = 32 << 20;

/// The least ring: one record of eBPF's largest class has to fit.
pub const MIN_RING_BYTES: u32 = 128 << 10;

/// The largest ring: the kernel takes it from memory that cannot be swapped.
pub const MAX_RING_BYTES: u32 = 1 << 30;

/// One captured frame, borrowed from the source's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, cut to microseconds.
    pub time: Timestamp,
    /// The kind of its outermost header.
    pub link: LinkType,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// Its length on the wire; more than `data.len()` where the capture cut it.
    pub wire_len: u32,
    /// The interface that it was captured on: a number that tells interfaces of one source apart, and
    /// says no more.
    pub interface: u32,
}

/// The outermost header of a frame. Numbers are those of <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// LINKTYPE_ETHERNET, 1
    Ethernet,
    /// LINKTYPE_LINUX_SLL, 113
    LinuxSll,
    /// LINKTYPE_LINUX_SLL2, 276
    LinuxSll2,
    /// LINKTYPE_RAW 101 (also 12 and 14), LINKTYPE_IPV4 228, LINKTYPE_IPV6 229
    RawIp,
    /// LINKTYPE_NULL, 0: address family in the byte order of the capturing host
    Null,
    /// LINKTYPE_LOOP, 108: address family in network byte order
    Loop,
    /// LINKTYPE_PPP 9, LINKTYPE_PPP_HDLC 50
    Ppp,
    /// LINKTYPE_PPP_ETHER, 51: the header of a PPPoE session
    PppEther,
    /// LINKTYPE_C_HDLC, 104
    CiscoHdlc,
    /// LINKTYPE_IEEE802_11, 105
    Wireless,
    /// LINKTYPE_IEEE802_11_RADIOTAP, 127
    Radiotap,
    /// LINKTYPE_NFLOG, 239
    Nflog,
}

impl LinkType {
    /// Every kind that is read.
    pub const ALL: [Self; 12] = [
        Self::Ethernet,
        Self::LinuxSll,
        Self::LinuxSll2,
        Self::RawIp,
        Self::Null,
        Self::Loop,
        Self::Ppp,
        Self::PppEther,
        Self::CiscoHdlc,
        Self::Wireless,
        Self::Radiotap,
        Self::Nflog,
    ];

    /// The link type of a number in a capture file (LINKTYPE_…) or from libpcap (DLT_…): for the kinds
    /// read here the two sets do not contradict each other. `None` for those that are not read.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Null),
            1 => Some(Self::Ethernet),
            9 | 50 => Some(Self::Ppp),
            12 | 14 | 101 | 228 | 229 => Some(Self::RawIp),
            51 => Some(Self::PppEther),
            104 => Some(Self::CiscoHdlc),
            105 => Some(Self::Wireless),
            108 => Some(Self::Loop),
            113 => Some(Self::LinuxSll),
            127 => Some(Self::Radiotap),
            239 => Some(Self::Nflog),
            276 => Some(Self::LinuxSll2),
            _ => None,
        }
    }
}

/// What a source has to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A frame.
    Packet(Packet<'a>),
    /// Nothing at the moment (live sources only): the caller may do other work and asks again.
    Idle,
    /// Nothing will come any more.
    End,
}

/// Where packets come from. A source owns its buffer; a packet lives until the next call.
pub trait PacketSource {
    /// The next frame, in the order of time.
    ///
    /// # Errors
    /// Where the source cannot go on. Damage inside a capture file is no error: the source ends, and
    /// [`PacketSource::stats`] says what was lost.
    fn next(&mut self) -> Result<Next<'_>, CaptureError>;

    /// What was delivered and lost so far.
    fn stats(&mut self) -> CaptureStats;

    /// Microseconds to add to the times of an exchange that begins now: what the system's clock was set
    /// by since the capture began, for sources whose packet times do not follow it.
    fn utc_correction(&self) -> i64 {
        0
    }
}

/// What a source delivered and lost, cumulative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Frames of the tapped ports that the kernel saw, those dropped included (live sources only). For
    /// eBPF it is exact: captured + `dropped_ring` + `dropped_copy`, whenever no packet is on its way.
    pub seen: u64,
    /// Frames handed on.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Frames that the kernel dropped because the ring was full.
    pub dropped_ring: u64,
    /// Frames that the interface or its driver dropped.
    pub dropped_interface: u64,
    /// Frames that the kernel would not copy (eBPF only).
    pub dropped_copy: u64,
    /// Frames seen on another interface before, and not handed on again (eBPF only).
    pub duplicates: u64,
    /// Frames of link types that llmtap does not read.
    pub unsupported_link: u64,
    /// Interfaces that went away while they were tapped.
    pub lost_interfaces: u64,
    /// What a person should know, a sentence each: a file cut off, a damaged block.
    pub warnings: Vec<String>,
}

impl CaptureStats {
    /// Keeps a sentence for a person, up to a bound.
    fn warn(&mut self, sentence: String) {
        match self.warnings.len() {
            MAX_WARNINGS => self.warnings.push("Further warnings were left out.".into()),
            n if n < MAX_WARNINGS => self.warnings.push(sentence),
            _ => {}
        }
    }
}

/// Why packets cannot be had. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CaptureError(pub String);
