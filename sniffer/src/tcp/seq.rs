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
