//! When a message that was not taken is tried again.

use std::time::Duration;

use jiff::fmt::rfc2822;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait that llmtap chooses by itself.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait that a receiver may ask for: a larger one is a mistake, and spans that wait so long are shed.
const LONGEST_ASKED: Duration = Duration::from_mins(5);

/// How long a message is tried before it is given up.
pub(super) const RETRY_FOR: Duration = Duration::from_mins(5);

/// Waits that double, each cut by chance so that many senders do not come at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// How long to wait: what the receiver asked for, and else between half of the next wait and all of it.
    /// `chance` is 0 to 1.
    pub(super) fn wait(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let own = self.next;
        self.next = (own * 2).min(LONGEST);
        match asked {
            Some(asked) => asked.min(LONGEST_ASKED),
            None => own.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)),
        }
    }
}

/// A number from 0 to 1, by chance; the middle where the system gives none.
pub(super) fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

/// The wait of a `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). One that is over is none.
pub(super) fn retry_after(text: &str, now_seconds: i64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    // The date of RFC 9110 ends in "GMT", which RFC 2822 §4.3 reads as +0000.
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let seconds = date.as_second().saturating_sub(now_seconds);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_chance_cuts_them_to_half_at_most() {
        let waits = |chance| {
            let mut backoff = Backoff::new();
            [(); 7].map(|()| backoff.wait(None, chance).as_millis())
        };
        assert_eq!(
            waits(1.0),
            [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
        );
        assert_eq!(
            waits(0.0),
            [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]
        );
        for _ in 0..100 {
            assert!((0.0..=1.0).contains(&chance()));
        }
    }

    #[test]
    fn what_the_receiver_asks_for_is_taken_within_bounds() {
        let mut backoff = Backoff::new();
        let seconds = Duration::from_secs;
        assert_eq!(backoff.wait(Some(seconds(7)), 0.0), seconds(7));
        assert_eq!(backoff.wait(Some(seconds(0)), 0.0), seconds(0));
        assert_eq!(backoff.wait(Some(Duration::MAX), 0.0), LONGEST_ASKED);
        assert_eq!(backoff.wait(None, 1.0), seconds(8));
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let at = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after(" 120 ", at), Some(Duration::from_mins(2)));
        assert_eq!(retry_after(date, at - 30), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(date, at + 30), Some(Duration::ZERO));
        for bad in ["", "-1", "soon", "1.5", "99999999999999999999999"] {
            assert_eq!(retry_after(bad, at), None, "{bad}");
        }
    }
}
