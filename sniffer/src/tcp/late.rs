//! What was given up, so that bytes which come after all are known for late and not for repeated.

use super::seq::StreamOffset;

/// Holes remembered of one direction, the newest: what comes later than so many holes is counted as
/// a retransmission.
const MAX_HOLES: usize = 32;

/// The holes of one direction that were given up and have not turned up since. In order, apart.
#[derive(Debug, Default)]
pub(super) struct Lost {
    holes: Vec<(StreamOffset, StreamOffset)>,
}

impl Lost {
    /// Notes a hole behind all others.
    pub(super) fn add(&mut self, from: StreamOffset, to: StreamOffset) {
        match self.holes.last_mut() {
            Some((_, end)) if *end == from => *end = to,
            _ => self.push(from, to),
        }
    }

    /// How many octets of a stretch were given up; a second time they are known.
    pub(super) fn find(&mut self, from: StreamOffset, to: StreamOffset) -> u64 {
        let mut found = 0;
        let before = std::mem::take(&mut self.holes);
        for (start, end) in before {
            let (inner_start, inner_end) = (start.max(from), end.min(to));
            if inner_start >= inner_end {
                self.push(start, end);
                continue;
            }
            found += inner_end.octets_since(inner_start);
            for (start, end) in [(start, inner_start), (inner_end, end)] {
                if start < end {
                    self.push(start, end);
                }
            }
        }
        found
    }

    fn push(&mut self, from: StreamOffset, to: StreamOffset) {
        if self.holes.len() == MAX_HOLES {
            self.holes.remove(0);
        }
        self.holes.push((from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: u64) -> StreamOffset {
        StreamOffset::ORIGIN.plus(at)
    }

    #[test]
    fn an_octet_is_late_once() {
        let mut lost = Lost::default();
        lost.add(place(10), place(20));
        lost.add(place(20), place(30));
        lost.add(place(40), place(50));
        assert_eq!(lost.find(place(0), place(10)), 0);
        assert_eq!(lost.find(place(15), place(45)), 15 + 5);
        assert_eq!(lost.find(place(0), place(60)), 5 + 5);
        assert_eq!(lost.find(place(0), place(60)), 0);
    }

    #[test]
    fn the_oldest_holes_are_forgotten() {
        let mut lost = Lost::default();
        for n in 0..1_000 {
            lost.add(place(n * 10), place(n * 10 + 5));
        }
        assert_eq!(lost.find(place(0), place(10_000)), 5 * MAX_HOLES as u64);
    }
}
