//! Rates: what the totals grew by in the last seconds.

use std::collections::VecDeque;

use super::picture::{Picture, Totals};

/// Over so many seconds.
const WINDOW: f64 = 10.0;

/// Points kept, whatever times they say.
const POINTS: usize = 256;

/// Totals of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rates(VecDeque<(f64, Totals)>);

/// A second each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Now {
    pub(super) calls: f64,
    pub(super) input: f64,
    pub(super) output: f64,
}

impl Rates {
    pub(super) fn take(&mut self, picture: &Picture) {
        let total = picture.status.calls.total;
        let last = self.0.back();
        if last.is_some_and(|(at, last)| *at > picture.at || last.calls > total.calls) {
            // Another daemon answers there, or the same began anew.
            self.0.clear();
        }
        self.0.push_back((picture.at, total));
        while self.0.len() > POINTS
            || self
                .0
                .get(1)
                .is_some_and(|(at, _)| picture.at - at >= WINDOW)
        {
            self.0.pop_front();
        }
    }

    /// Nothing before there are two points in time.
    pub(super) fn now(&self) -> Option<Now> {
        let ((from, before), (to, after)) = (self.0.front()?, self.0.back()?);
        let seconds = to - from;
        if seconds <= 0.0 {
            return None;
        }
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Some(Now {
            calls: rate(before.calls, after.calls),
            input: rate(before.input_tokens, after.input_tokens),
            output: rate(before.output_tokens, after.output_tokens),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(at: f64, calls: u64) -> Picture {
        let mut picture = Picture {
            at,
            ..Picture::default()
        };
        picture.status.calls.total.calls = calls;
        picture
    }

    #[test]
    fn a_rate_is_of_the_last_seconds() {
        let mut rates = Rates::default();
        rates.take(&picture(0.0, 1_000));
        assert_eq!(rates.now(), None);
        for second in 1..=30_u32 {
            rates.take(&picture(f64::from(second), 1_000 + u64::from(second) * 5));
        }
        assert_eq!(rates.now().map(|now| now.calls), Some(5.0));
        for second in 31..=41_u32 {
            rates.take(&picture(f64::from(second), 1_150));
        }
        assert_eq!(rates.now().map(|now| now.calls), Some(0.0));
    }

    #[test]
    fn a_daemon_that_began_anew_has_no_negative_rate() {
        let mut rates = Rates::default();
        rates.take(&picture(0.0, 1_000));
        rates.take(&picture(1.0, 3));
        assert_eq!(rates.now(), None);
        rates.take(&picture(2.0, 4));
        assert_eq!(rates.now().map(|now| now.calls), Some(1.0));
    }
}
