//! Which connection, and which shard, a segment belongs to.

use std::net::{IpAddr, SocketAddr};

/// How many parts the connections are divided into, whatever the number of threads: so neither rows
/// nor budgets depend on the machine.
pub const SHARDS: usize = 16;

/// The shard of the connection between two ends, below [`SHARDS`]; the same for both directions and
/// in every run.
pub fn shard_of(a: SocketAddr, b: SocketAddr) -> usize {
    let (key, _) = Key::of(a, b);
    let (low, high) = (key.low, key.high);
    let mut hash = mix(u64::from(low.port) << 32 | u64::from(high.port));
    for word in [low.lower, low.upper, high.lower, high.upper] {
        hash = mix(hash ^ word);
    }
    (hash % SHARDS as u64) as usize
}

/// One of the two ends of a connection, named before it is known which is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The one whose address and port come first.
    Low,
    /// The other.
    High,
}

impl End {
    pub(super) const BOTH: [Self; 2] = [Self::Low, Self::High];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// A value for each end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair<T> {
    pub(super) low: T,
    pub(super) high: T,
}

impl<T> Pair<T> {
    pub(super) const fn get(&self, end: End) -> &T {
        match end {
            End::Low => &self.low,
            End::High => &self.high,
        }
    }

    pub(super) const fn get_mut(&mut self, end: End) -> &mut T {
        match end {
            End::Low => &mut self.low,
            End::High => &mut self.high,
        }
    }

    /// The value of `end`, then that of the other end.
    pub(super) const fn split(&self, end: End) -> (&T, &T) {
        match end {
            End::Low => (&self.low, &self.high),
            End::High => (&self.high, &self.low),
        }
    }

    /// The value of `end`, then that of the other end.
    pub(super) const fn split_mut(&mut self, end: End) -> (&mut T, &mut T) {
        match end {
            End::Low => (&mut self.low, &mut self.high),
            End::High => (&mut self.high, &mut self.low),
        }
    }
}

/// An address and port as numbers, smaller than a `SocketAddr`, and quick to hash. Scope and flow label
/// are left out, as they are of the host's view and the packet's, not of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    /// The address's upper half, and the lower: as one number it would be aligned to 16 octets.
    upper: u64,
    lower: u64,
    /// The family above bit 16, so that no IPv6 address is taken for an IPv4 one.
    port: u32,
}

impl Place {
    fn of(address: SocketAddr) -> Self {
        let (number, family) = match address.ip() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), 0),
            IpAddr::V6(ip) => (ip.to_bits(), 1 << 16),
        };
        Self {
            upper: (number >> 64) as u64,
            lower: number as u64,
            port: family | u32::from(address.port()),
        }
    }
}

/// Names a connection, whichever end sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    low: Place,
    high: Place,
}

impl Key {
    /// The key of a segment, and which end sent it. A connection of an end with itself has one
    /// sender for both directions; nothing useful can be made of it, and nothing breaks.
    pub(super) fn of(source: SocketAddr, destination: SocketAddr) -> (Self, End) {
        let (source, destination) = (Place::of(source), Place::of(destination));
        if source <= destination {
            let (low, high) = (source, destination);
            (Self { low, high }, End::Low)
        } else {
            let (low, high) = (destination, source);
            (Self { low, high }, End::High)
        }
    }
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn both_directions_share_a_shard_and_a_key() {
        let (a, b) = (address("10.0.0.1:40000"), address("[2001:db8::1]:8000"));
        assert_eq!(shard_of(a, b), shard_of(b, a));
        let ((forth, from_a), (back, from_b)) = (Key::of(a, b), Key::of(b, a));
        assert_eq!(forth, back);
        assert_eq!(from_a, from_b.other());
    }

    #[test]
    fn a_shard_is_the_same_in_every_run() {
        let server = address("10.0.0.2:8000");
        let shards =
            [1, 2, 3, 4].map(|n| shard_of(SocketAddr::new([10, 0, 0, 1].into(), n), server));
        assert_eq!(shards, [7, 1, 12, 6]);
    }

    #[test]
    fn shards_are_even() {
        let server = address("10.0.0.2:8000");
        let mut counts = [0; SHARDS];
        for port in 1..=16_000 {
            let client = SocketAddr::new([10, 0, 0, 1].into(), port);
            counts[shard_of(client, server)] += 1;
        }
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
    }

    #[test]
    fn families_are_apart() {
        let port = address("10.0.0.2:8000");
        let (four, _) = Key::of(address("1.2.3.4:80"), port);
        let (six, _) = Key::of(address("[::1.2.3.4]:80"), port);
        assert_ne!(four, six);
    }
}
