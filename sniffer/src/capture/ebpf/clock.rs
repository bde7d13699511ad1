//! The kernel's monotonic time -> UTC.

use analyzer::time::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// How often the two clocks are compared, in nanoseconds of packet time.
const COMPARE_EVERY: u64 = 1_000_000_000;

/// From how many nanoseconds on a difference is a step of the clock. Slewing (NTP) moves both
/// clocks alike, so what is left is the error of reading one after the other.
const STEP: i64 = 1_000_000;

/// How often both clocks are read; the pair with the least time between is taken.
const READINGS: usize = 5;

/// Nanoseconds in a second, and in a microsecond.
const SECOND: i64 = 1_000_000_000;
const MICROSECOND: i64 = 1_000;

/// Turns the program's timestamps into UTC with one offset, taken when the capture began.
///
/// The times that it gives never jump, whatever is done to the clock; what a step changed is told
/// apart, as a correction for what begins from then on.
#[derive(Debug)]
pub(super) struct Clock {
    offset: i64,
    correction: i64,
    next_comparison: u64,
}

impl Clock {
    /// A clock with the offset of this moment.
    pub(super) fn start() -> Self {
        Self {
            offset: measure(),
            correction: 0,
            next_comparison: 0,
        }
    }

    /// The packet's time in UTC, cut to microseconds.
    pub(super) fn timestamp(&self, monotonic: u64) -> Timestamp {
        let nanoseconds = (monotonic as i64).saturating_add(self.offset);
        Timestamp::from_micros(nanoseconds.div_euclid(MICROSECOND))
    }

    /// Microseconds to add to the times of what begins from now on, since the clock was set.
    pub(super) const fn correction(&self) -> i64 {
        self.correction / MICROSECOND
    }

    /// Compares the clocks where it is time to; true where UTC was set in between.
    pub(super) fn compare(&mut self, monotonic: u64) -> bool {
        if monotonic < self.next_comparison {
            return false;
        }
        self.next_comparison = monotonic.saturating_add(COMPARE_EVERY);
        self.compare_with(measure())
    }

    fn compare_with(&mut self, offset: i64) -> bool {
        let correction = offset.saturating_sub(self.offset);
        let stepped = correction.saturating_sub(self.correction).saturating_abs() >= STEP;
        if stepped {
            self.correction = correction;
        }
        stepped
    }
}

/// UTC less monotonic time, in nanoseconds.
fn measure() -> i64 {
    (0..READINGS)
        .map(|_| {
            let before = nanoseconds(clock_gettime(ClockId::Monotonic));
            let utc = nanoseconds(clock_gettime(ClockId::Realtime));
            let after = nanoseconds(clock_gettime(ClockId::Monotonic));
            let between = after.saturating_sub(before);
            (
                between,
                utc.saturating_sub(before.saturating_add(between / 2)),
            )
        })
        .min()
        .map_or(0, |(_, offset)| offset)
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec
        .saturating_mul(SECOND)
        .saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_microseconds_and_never_rounded_up() {
        let clock = Clock {
            offset: 5_000,
            correction: 0,
            next_comparison: 0,
        };
        assert_eq!(clock.timestamp(1_999), Timestamp::from_micros(6));
        let before_1970 = Clock {
            offset: -5_000,
            correction: 0,
            next_comparison: 0,
        };
        assert_eq!(before_1970.timestamp(1_999), Timestamp::from_micros(-4));
    }

    #[test]
    fn a_step_leaves_the_times_alone_and_shows_as_a_correction_once() {
        let mut clock = Clock {
            offset: 1_000_000,
            correction: 0,
            next_comparison: 0,
        };
        assert!(
            !clock.compare_with(1_000_000 + STEP - 1),
            "an error of reading"
        );
        assert!(clock.compare_with(1_000_000 + 3 * SECOND));
        assert!(!clock.compare_with(1_000_000 + 3 * SECOND));
        assert_eq!(clock.correction(), 3_000_000);
        assert_eq!(clock.timestamp(0), Timestamp::from_micros(1_000));
        assert!(clock.compare_with(1_000_000), "set back again");
        assert_eq!(clock.correction(), 0);
    }

    #[test]
    fn the_offset_is_that_of_the_clocks() {
        let clock = Clock::start();
        let now = nanoseconds(clock_gettime(ClockId::Monotonic));
        let utc = nanoseconds(clock_gettime(ClockId::Realtime)) / MICROSECOND;
        let difference = utc - clock.timestamp(now as u64).as_micros();
        assert!(difference.abs() < 1_000_000, "{difference} µs");
    }
}
