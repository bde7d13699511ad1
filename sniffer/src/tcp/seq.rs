//! Sequence numbers and stream offsets. Wrapping arithmetic lives here alone.

/// A TCP sequence number (RFC 9293 §3.4): a point on a circle of 2³² octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Octets from `earlier` to `self` along the shorter way: −2³¹ ..= 2³¹−1.
    pub const fn offset_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    /// The number `octets` further on.
    #[must_use]
    pub const fn plus(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

/// A place in one direction of a connection that never wraps.
///
/// The first octet known of a direction stands at [`StreamOffset::ORIGIN`], not at 0, so that what
/// lies up to 4 GiB before it has a place too. A FIN takes one octet after the last of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamOffset(u64);

impl StreamOffset {
    /// Where a direction begins.
    pub const ORIGIN: Self = Self(1 << 32);

    /// Before everything: the acknowledgement of a segment that acknowledges nothing.
    pub const NOTHING: Self = Self(0);

    /// After everything.
    pub const END: Self = Self(u64::MAX);

    /// The place `octets` further on, held at the end of the range.
    #[must_use]
    pub const fn plus(self, octets: u64) -> Self {
        Self(self.0.saturating_add(octets))
    }

    /// The place `octets` further back, held at [`StreamOffset::NOTHING`].
    #[must_use]
    pub const fn minus(self, octets: u64) -> Self {
        Self(self.0.saturating_sub(octets))
    }

    /// Octets from `earlier` to `self`; 0 where `self` is before it.
    pub const fn octets_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How the sequence numbers of one direction map to its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqSpace {
    origin: SeqNumber,
}

impl SeqSpace {
    /// The space in which `first` stands at [`StreamOffset::ORIGIN`].
    pub const fn starting_at(first: SeqNumber) -> Self {
        Self { origin: first }
    }

    /// The offset of `seq`, of all that it could mean the one nearest to `near`.
    pub const fn offset(self, seq: SeqNumber, near: StreamOffset) -> StreamOffset {
        let distance = seq.offset_from(self.seq(near));
        StreamOffset(near.0.saturating_add_signed(distance as i64))
    }

    /// The sequence number at `offset`.
    pub const fn seq(self, offset: StreamOffset) -> SeqNumber {
        SeqNumber(
            self.origin
                .0
                .wrapping_add(offset.0.wrapping_sub(StreamOffset::ORIGIN.0) as u32),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distances_go_the_shorter_way_round() {
        assert_eq!(SeqNumber(5).offset_from(SeqNumber(u32::MAX - 4)), 10);
        assert_eq!(SeqNumber(u32::MAX - 4).offset_from(SeqNumber(5)), -10);
        assert_eq!(SeqNumber(u32::MAX).plus(2), SeqNumber(1));
    }

    #[test]
    fn what_lies_before_the_origin_has_a_place() {
        let space = SeqSpace::starting_at(SeqNumber(10));
        let before = space.offset(SeqNumber(u32::MAX), StreamOffset::ORIGIN);
        assert_eq!(StreamOffset::ORIGIN.octets_since(before), 11);
    }

    proptest! {
        #[test]
        fn an_offset_survives_the_circle(origin: u32, far in 0u64..1 << 40, step in -(1i64 << 31)..1 << 31) {
            let space = SeqSpace::starting_at(SeqNumber(origin));
            let near = StreamOffset::ORIGIN.plus(far);
            let there = StreamOffset(near.0.saturating_add_signed(step));
            prop_assert_eq!(space.offset(space.seq(there), near), there);
        }
    }
}
