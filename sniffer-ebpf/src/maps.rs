//! The maps and settings of the program, and its counters.

/// The ring that records go into; user space sets its size when it loads the program.
pub const PACKETS: &str = "PACKETS";
/// The set of tapped ports, a bit each: see [`port_bit`].
pub const PORTS: &str = "PORTS";
/// The counters, one array of [`Counter::COUNT`] numbers a CPU, under key 0.
pub const COUNTERS: &str = "COUNTERS";
/// The read-only setting that says at which fill (in bytes) the program wakes the reader.
pub const WAKE_BYTES: &str = "WAKE_BYTES";

/// The number of 64-bit words that [`PORTS`] has: a bit for each of the 65,536 ports.
pub const PORT_WORDS: u32 = 1_024;

/// How long a CPU waits between two wake-ups of the reader, in nanoseconds.
///
/// A wake-up costs 5 µs and more, ten times the copy; the ring is sized for far more than what
/// arrives in a millisecond.
pub const WAKE_PAUSE_NS: u64 = 1_000_000;

/// The program's names for the four hooks: what the packets begin with, and their direction.
pub const PROGRAMS: [Program; 4] = [
    Program {
        name: "llmtap_eth_in",
        link: crate::record::LINK_ETHERNET,
        direction: crate::record::DIRECTION_INGRESS,
    },
    Program {
        name: "llmtap_eth_out",
        link: crate::record::LINK_ETHERNET,
        direction: crate::record::DIRECTION_EGRESS,
    },
    Program {
        name: "llmtap_ip_in",
        link: crate::record::LINK_RAW_IP,
        direction: crate::record::DIRECTION_INGRESS,
    },
    Program {
        name: "llmtap_ip_out",
        link: crate::record::LINK_RAW_IP,
        direction: crate::record::DIRECTION_EGRESS,
    },
];

/// One of the program's entries. The kernel does not tell a classifier what kind of device it runs
/// on, nor on which of its two hooks, so there is an entry for each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object, as programs and TC filters show it (15 bytes at most).
    pub name: &'static str,
    /// What its packets begin with.
    pub link: u8,
    /// The hook that it is for.
    pub direction: u8,
}

/// Where a port's bit is: the key in [`PORTS`], and the mask in the word under that key.
#[inline]
pub const fn port_bit(port: u16) -> (u32, u64) {
    ((port >> 6) as u32, 1 << (port & 63))
}

/// What the program counts, a number a CPU each.
///
/// [`Seen`](Self::Seen) = [`Captured`](Self::Captured) + [`ReserveFailed`](Self::ReserveFailed) +
/// [`LoadFailed`](Self::LoadFailed), exactly, whenever no packet is on its way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Packets that passed the hook, tapped or not.
    Examined = 0,
    /// Packets of a tapped port, and TCP fragments that carry no port.
    Seen = 1,
    /// Of those, the ones that lie whole in the ring (or by their headers, without payload).
    Captured = 2,
    /// Those lost because the ring had no room. Where a packet takes several records, the ones
    /// before the failure lie in the ring, and user space drops them.
    ReserveFailed = 3,
    /// Those that the kernel would not copy.
    LoadFailed = 4,
    /// Bytes of the captured packets.
    CapturedBytes = 5,
    /// Wake-ups of the reader.
    Wakeups = 6,
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_has_a_bit_of_its_own() {
        let mut words = vec![0_u64; PORT_WORDS as usize];
        for port in 0..=u16::MAX {
            let (key, mask) = port_bit(port);
            let word = &mut words[key as usize];
            assert_eq!(*word & mask, 0, "port {port}");
            *word |= mask;
        }
        assert!(words.iter().all(|word| *word == u64::MAX));
    }

    #[test]
    fn the_kernel_keeps_the_names_whole() {
        for program in PROGRAMS {
            assert!(program.name.len() < 16, "{}", program.name);
        }
    }
}
