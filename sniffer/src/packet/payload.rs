//! Bytes of a packet, with their length on the wire.

use super::Reason;

/// What is left of a packet after the headers before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    /// The bytes that were captured; at most `wire_len`.
    pub(super) bytes: &'a [u8],
    /// Its length on the wire.
    pub(super) wire_len: usize,
}

impl<'a> Payload<'a> {
    /// Captured bytes, of which `wire_len` were on the wire (never fewer than there are).
    #[inline]
    pub(super) fn new(bytes: &'a [u8], wire_len: usize) -> Self {
        Self {
            bytes,
            wire_len: wire_len.max(bytes.len()),
        }
    }

    /// The first `wire_len` bytes, as a header's length field says; the rest is padding or a trailer.
    #[inline]
    pub(super) fn cut_to(self, wire_len: usize) -> Self {
        Self {
            bytes: self.bytes.get(..wire_len).unwrap_or(self.bytes),
            wire_len,
        }
    }

    /// What follows `length` bytes of header.
    #[inline]
    pub(super) fn after(self, length: usize) -> Result<Self, Reason> {
        match (self.bytes.get(length..), self.wire_len.checked_sub(length)) {
            (Some(bytes), Some(wire_len)) => Ok(Self { bytes, wire_len }),
            _ => Err(self.too_short()),
        }
    }

    /// Why a header is not all there: the capture cut it, or it never was.
    #[cold]
    pub(super) fn too_short(self) -> Reason {
        if self.bytes.len() < self.wire_len {
            Reason::Cut
        } else {
            Reason::BadHeader
        }
    }

    /// The octets from `at` on.
    #[inline]
    pub(super) fn octets<const N: usize>(self, at: usize) -> Result<[u8; N], Reason> {
        self.bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .copied()
            .ok_or_else(|| self.too_short())
    }

    /// The octet at `at`.
    #[inline]
    pub(super) fn u8(self, at: usize) -> Result<u8, Reason> {
        self.octets::<1>(at).map(|[octet]| octet)
    }

    /// The 16-bit number at `at`, in network order.
    #[inline]
    pub(super) fn u16(self, at: usize) -> Result<u16, Reason> {
        self.octets(at).map(u16::from_be_bytes)
    }

    /// The 32-bit number at `at`, in network order.
    #[inline]
    pub(super) fn u32(self, at: usize) -> Result<u32, Reason> {
        self.octets(at).map(u32::from_be_bytes)
    }
}
