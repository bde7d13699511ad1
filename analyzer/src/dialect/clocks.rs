//! The clocks of a stream: when its events came.

use super::answer::{Carried, OutputKind};
use crate::{
    time::Timestamp,
    timeline::{EventKind, Timeline},
};

/// Gaps of one stream that are kept for its percentiles: 256 KiB a call. A longer stream keeps an
/// even sample of at least half as many, so its percentiles are those of the sample; the largest
/// gap and the stalls stay exact.
pub const MAX_GAPS: usize = 65_536;

/// Microseconds of silence between two events above which the stream is said to stall, unless set.
pub const STALL_THRESHOLD: i64 = 1_000_000;

/// When the events of one stream came.
#[derive(Clone, Debug, Default)]
pub struct StreamClocks {
    /// The first event with a choice.
    pub first_event: Option<Timestamp>,
    /// The first event with output.
    pub first_token: Option<Timestamp>,
    /// The last event with output.
    pub last_token: Option<Timestamp>,
    /// Gaps between events with output.
    pub gaps: Gaps,
    /// Every event.
    pub timeline: Timeline,
    /// The last event with output, unless bytes are missing since.
    previous: Option<Timestamp>,
}

impl StreamClocks {
    /// An event that carried this, in so many bytes, was complete at this time.
    pub fn event(&mut self, carried: Carried, kind: OutputKind, bytes: u64, time: Timestamp) {
        let kind = match (carried, kind) {
            (Carried::Nothing, _) => EventKind::Other,
            (Carried::Choice, _) => EventKind::Empty,
            (Carried::Output, OutputKind::Content) => EventKind::Content,
            (Carried::Output, OutputKind::Reasoning) => EventKind::Reasoning,
            (Carried::Output, OutputKind::Tool) => EventKind::Tool,
            (Carried::Output, OutputKind::Media) => EventKind::Media,
        };
        self.timeline.push(kind, bytes, time);
        if carried >= Carried::Choice {
            self.first_event.get_or_insert(time);
        }
        if carried == Carried::Output {
            self.first_token.get_or_insert(time);
            self.last_token = Some(time);
            if let Some(previous) = self.previous.replace(time) {
                self.gaps.push(time.micros_since(previous));
            }
        }
    }

    /// Events may be missing here: the silence across is no gap of the stream's.
    pub fn hole(&mut self) {
        self.previous = None;
    }
}

/// Gaps between events, in microseconds, compactly.
#[derive(Clone, Debug)]
pub struct Gaps {
    kept: Vec<u32>,
    /// Of how many gaps one is kept.
    stride: u64,
    seen: u64,
    largest: Option<i64>,
    stalls: u64,
    threshold: i64,
}

impl Default for Gaps {
    fn default() -> Self {
        Self::new(STALL_THRESHOLD)
    }
}

impl Gaps {
    /// No gaps; those longer than `threshold` microseconds will be stalls.
    pub const fn new(threshold: i64) -> Self {
        Self {
            kept: Vec::new(),
            stride: 1,
            seen: 0,
            largest: None,
            stalls: 0,
            threshold,
        }
    }

    /// Adds a gap. Those past 71 minutes are kept as that for the percentiles.
    pub fn push(&mut self, micros: i64) {
        if self.seen.is_multiple_of(self.stride) {
            if self.kept.len() >= MAX_GAPS {
                self.thin();
            }
            if self.seen.is_multiple_of(self.stride) {
                self.kept
                    .push(u32::try_from(micros.max(0)).unwrap_or(u32::MAX));
            }
        }
        self.seen = self.seen.saturating_add(1);
        self.largest = self.largest.max(Some(micros));
        if micros > self.threshold {
            self.stalls = self.stalls.saturating_add(1);
        }
    }

    /// Drops every second gap kept, and from now on keeps half as many.
    fn thin(&mut self) {
        let mut keep = false;
        self.kept.retain(|_| {
            keep = !keep;
            keep
        });
        self.stride = self.stride.saturating_mul(2);
    }

    /// The largest gap; exact.
    pub const fn largest(&self) -> Option<i64> {
        self.largest
    }

    /// How many gaps passed the threshold; exact.
    pub const fn stalls(&self) -> u64 {
        self.stalls
    }

    /// The gaps at these percentiles (1 to 100), by nearest rank.
    pub fn percentiles<const N: usize>(mut self, percentiles: [usize; N]) -> [Option<i64>; N] {
        self.kept.sort_unstable();
        percentiles.map(|percentile| {
            let rank = self.kept.len().saturating_mul(percentile).div_ceil(100);
            let micros = self.kept.get(rank.checked_sub(1)?)?;
            Some(i64::from(*micros))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        for (gaps, p50, p95) in [
            (vec![], None, None),
            (vec![7], Some(7), Some(7)),
            (vec![2, 1], Some(1), Some(2)),
            (vec![5, 3, 4], Some(4), Some(5)),
            ((1..=20).collect(), Some(10), Some(19)),
            ((1..=100).rev().collect(), Some(50), Some(95)),
        ] {
            let mut all = Gaps::default();
            for gap in &gaps {
                all.push(*gap);
            }
            assert_eq!(all.largest(), gaps.iter().max().copied());
            assert_eq!(all.percentiles([50, 95]), [p50, p95], "{gaps:?}");
        }
    }

    #[test]
    fn stalls_are_above_the_threshold() {
        let mut gaps = Gaps::new(1_000_000);
        for gap in [999_999, 1_000_000, 1_000_001, i64::MAX] {
            gaps.push(gap);
        }
        assert_eq!(gaps.stalls(), 2);
        assert_eq!(gaps.largest(), Some(i64::MAX));
    }

    #[test]
    fn a_long_stream_keeps_an_even_sample() {
        let mut gaps = Gaps::default();
        for gap in 0..1_000_000 {
            gaps.push(gap);
        }
        assert!(gaps.kept.len() <= MAX_GAPS && gaps.kept.len() >= MAX_GAPS / 2 - 1);
        assert_eq!(gaps.largest(), Some(999_999));
        let [p50, p95] = gaps.percentiles([50, 95]);
        assert!(p50.unwrap().abs_diff(500_000) < 100);
        assert!(p95.unwrap().abs_diff(950_000) < 100);
    }

    #[test]
    fn marks_follow_what_events_carry() {
        let mut clocks = StreamClocks::default();
        clocks.event(Carried::Nothing, OutputKind::Content, 1, at(1));
        clocks.event(Carried::Choice, OutputKind::Content, 1, at(2));
        clocks.event(Carried::Output, OutputKind::Content, 1, at(5));
        clocks.event(Carried::Output, OutputKind::Content, 1, at(9));
        clocks.event(Carried::Choice, OutputKind::Content, 1, at(20));
        assert_eq!(clocks.first_event, Some(at(2)));
        assert_eq!(clocks.first_token, Some(at(5)));
        assert_eq!(clocks.last_token, Some(at(9)));
        assert_eq!(clocks.gaps.largest(), Some(4));
        clocks.hole();
        clocks.event(Carried::Output, OutputKind::Content, 1, at(1_000));
        clocks.event(Carried::Output, OutputKind::Content, 1, at(1_001));
        assert_eq!(clocks.gaps.largest(), Some(4));
        assert_eq!(clocks.last_token, Some(at(1_001)));
    }
}
