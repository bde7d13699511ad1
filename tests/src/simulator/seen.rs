//! Which octets of a connection's streams some frames hold, and since when.

use std::ops::Range;

use super::{Connection, Frame};
use crate::traffic::From;

/// When each octet of both streams was first seen (`u64::MAX`: never), and how far each end was seen to
/// have come.
pub(super) struct Seen {
    times: [Vec<u64>; 2],
    ends: [u64; 2],
}

impl Seen {
    pub(super) fn of(connection: &Connection, number: usize, frames: &[Frame]) -> Self {
        let mut seen = Self {
            times: connection
                .streams
                .each_ref()
                .map(|stream| vec![u64::MAX; stream.len()]),
            ends: [0; 2],
        };
        for frame in frames {
            if frame.connection != number || frame.junk {
                continue;
            }
            let side = match frame.from {
                From::Client => 0,
                From::Server => 1,
            };
            let at = frame.at as usize;
            let end = at + frame.captured(&connection.ends) as usize;
            if !frame.is_reset() {
                let length = seen.times[side].len() as u64;
                seen.ends[side] = seen.ends[side]
                    .max(frame.at + frame.payload.len() as u64)
                    .min(length);
            }
            for time in seen.times[side].get_mut(at..end).unwrap_or_default() {
                if *time == u64::MAX {
                    *time = frame.micros;
                }
            }
        }
        seen
    }

    pub(super) fn times(&self, from: From) -> &[u64] {
        match from {
            From::Client => &self.times[0],
            From::Server => &self.times[1],
        }
    }

    /// The latest time over a range that was seen whole.
    pub(super) fn latest(&self, from: From, range: Range<u64>) -> Option<u64> {
        let range = range.start as usize..range.end as usize;
        let times = self.times(from).get(range)?;
        times.iter().max().copied().filter(|time| *time != u64::MAX)
    }

    /// Whether all of a range was seen.
    pub(super) fn is_whole(&self, from: From, range: Range<u64>) -> bool {
        range.is_empty() || self.latest(from, range).is_some()
    }

    /// How much was seen from the beginning on without a hole.
    pub(super) fn prefix(&self, from: From) -> u64 {
        let times = self.times(from);
        let hole = times.iter().position(|time| *time == u64::MAX);
        hole.unwrap_or(times.len()) as u64
    }

    pub(super) fn count(&self, from: From) -> u64 {
        self.times(from)
            .iter()
            .filter(|time| **time != u64::MAX)
            .count() as u64
    }

    /// How far an end was seen to have sent, by its data or by its place in the sequence.
    pub(super) fn end(&self, from: From) -> u64 {
        let [client, server] = self.ends;
        match from {
            From::Client => client,
            From::Server => server,
        }
    }

    pub(super) fn is_touched(&self, from: From, range: Range<u64>) -> bool {
        let times = self.times(from);
        let range = range.start as usize..(range.end as usize).min(times.len());
        let times = times.get(range).unwrap_or_default();
        times.iter().any(|time| *time != u64::MAX)
    }
}
