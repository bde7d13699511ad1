//! The fragments of one datagram.

use std::collections::BTreeMap;

use analyzer::time::Timestamp;

/// What the bookkeeping of a fragment costs, so that many small ones spend the budget too.
pub(super) const FRAGMENT_OVERHEAD: usize = 64;

/// What there is of a datagram.
///
/// Invariant: the parts are not empty, do not overlap, and only the furthest can be the last. So the
/// datagram is whole when the last is there and the sum of the lengths is where that ends.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// By offset.
    kept: BTreeMap<u32, Part>,
    /// Sum of their lengths.
    length: u32,
    /// What the first fragment carries.
    pub(super) protocol: u8,
    /// When the latest part was captured.
    pub(super) time: Timestamp,
}

#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    last: bool,
    origin: Origin,
}

/// Where a part was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Where the datagram was.
    Same,
    /// Elsewhere.
    Other,
}

/// A fragment's octets and where they belong.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) offset: u32,
    pub(super) end: u32,
    pub(super) last: bool,
    pub(super) bytes: &'a [u8],
    pub(super) protocol: u8,
    pub(super) time: Timestamp,
}

/// How a fragment fits into what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    New,
    Duplicate,
    Overlap,
}

impl Part {
    fn end(&self, offset: u32) -> u32 {
        offset + self.bytes.len() as u32
    }
}

impl Parts {
    /// What they spend of the budget.
    pub(super) fn cost(&self) -> usize {
        self.length as usize + self.kept.len() * FRAGMENT_OVERHEAD
    }

    /// Whether nothing is missing.
    pub(super) fn are_whole(&self) -> bool {
        let furthest = self.kept.last_key_value();
        furthest.is_some_and(|(offset, part)| part.last && part.end(*offset) == self.length)
    }

    /// Takes a fragment in, where it fits: one captured where the datagram was takes the place of others.
    pub(super) fn add(&mut self, piece: Piece<'_>, origin: Origin) -> Fit {
        // RFC 8200 §4.5: exact duplicates may be passed over; a capture of two interfaces has many.
        if let Some(part) = self.kept.get_mut(&piece.offset)
            && part.bytes == piece.bytes
            && part.last == piece.last
        {
            if origin == Origin::Same {
                part.origin = Origin::Same;
            }
            return Fit::Duplicate;
        }
        let stays = match origin {
            Origin::Same => self
                .conflicts(piece)
                .any(|(_, part)| part.origin == Origin::Same),
            Origin::Other => self.conflicts(piece).next().is_some(),
        };
        if stays {
            return Fit::Overlap;
        }
        let of_others: Vec<_> = self.conflicts(piece).map(|(offset, _)| *offset).collect();
        for offset in of_others {
            let lost = self.kept.remove(&offset);
            self.length -= lost.map_or(0, |part| part.bytes.len() as u32);
        }
        if piece.offset == 0 {
            self.protocol = piece.protocol;
        }
        self.time = if self.kept.is_empty() {
            piece.time
        } else {
            self.time.max(piece.time)
        };
        self.length += piece.bytes.len() as u32;
        let part = Part {
            bytes: piece.bytes.to_vec(),
            last: piece.last,
            origin,
        };
        self.kept.insert(piece.offset, part);
        Fit::New
    }

    /// The parts that a fragment overlaps, or that are beyond it if it is the last, or that are the last
    /// but not beyond it; some twice.
    fn conflicts(&self, piece: Piece<'_>) -> impl Iterator<Item = (&u32, &Part)> {
        let last = self.kept.last_key_value();
        let ended = last.filter(|(offset, part)| part.last && part.end(**offset) < piece.end);
        // Parts do not overlap, so of those that begin before it only the nearest can reach into it.
        let before = self.kept.range(..piece.offset).next_back();
        let before = before.filter(|(offset, part)| part.end(**offset) > piece.offset);
        let until = if piece.last { u32::MAX } else { piece.end };
        let within = self.kept.range(piece.offset..until);
        ended.into_iter().chain(before).chain(within)
    }

    /// Writes them one after the other.
    pub(super) fn write_to(&self, whole: &mut Vec<u8>) {
        whole.clear();
        for part in self.kept.values() {
            whole.extend_from_slice(&part.bytes);
        }
    }

    /// Whether a whole datagram has all these octets.
    pub(super) fn are_in(&self, whole: &[u8]) -> bool {
        self.kept.iter().all(|(offset, part)| {
            let start = *offset as usize;
            whole.get(start..start + part.bytes.len()) == Some(part.bytes.as_slice())
        })
    }
}
