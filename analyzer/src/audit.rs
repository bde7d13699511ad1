//! Drift: what servers report beside what llmtap counts of the same calls.

use serde::Serialize;

use crate::call::{Call, TokenSource};

/// One figure, by the server and by llmtap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The server's.
    pub reported: u64,
    /// llmtap's.
    pub counted: u64,
}

/// What an audited call says of the drift; what cannot be compared is left out.
///
/// Rows keep the wire's own figures; here both are of the same thing. A count can be of what crossed
/// the wire alone: thoughts that the server keeps to itself are taken off its figure of the output,
/// a prompt with pictures or files that no rule counts is not compared, nor is a call with sound in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Of the prompt.
    pub input: Option<Pair>,
    /// Of the output.
    pub output: Option<Pair>,
}

/// Sums over audited calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditTotals {
    /// Calls.
    pub calls: u64,
    /// Of their prompts.
    pub input: Pair,
    /// Of their outputs.
    pub output: Pair,
}

impl AuditTotals {
    /// Adds a call.
    pub fn add(&mut self, audit: Audit) {
        self.calls = self.calls.saturating_add(1);
        self.input.add(audit.input.unwrap_or_default());
        self.output.add(audit.output.unwrap_or_default());
    }
}

impl Pair {
    /// Adds the figures of another call.
    pub const fn add(&mut self, other: Self) {
        self.reported = self.reported.saturating_add(other.reported);
        self.counted = self.counted.saturating_add(other.counted);
    }

    /// How far the count is from what is reported, as a part of that: 0.02 is two percent too high.
    /// `None` where nothing is reported.
    pub fn drift(&self) -> Option<f64> {
        let (reported, counted) = (self.reported as f64, self.counted as f64);
        (self.reported > 0).then(|| (counted - reported) / reported)
    }
}

impl Audit {
    /// That of a call; `None` where it was not audited, or nothing of it can be compared.
    pub fn of(call: &Call) -> Option<Self> {
        if !call.audited || call.audio_tokens.is_some_and(|tokens| tokens > 0) {
            return None;
        }
        let reported =
            |figure: Option<u64>, source| figure.filter(|_| source == TokenSource::Reported);
        let pair = |(reported, counted)| Pair { reported, counted };
        let hidden = call
            .reasoning_tokens
            .filter(|_| call.reasoning_chars.unwrap_or(0) == 0)
            .unwrap_or(0);
        let input = reported(call.input_tokens, call.input_source)
            .filter(|_| call.uncounted_parts.unwrap_or(0) == 0);
        let output = reported(call.output_tokens, call.output_source);
        let output = output.map(|tokens| tokens.saturating_sub(hidden));
        let audit = Self {
            input: input.zip(call.counted_input_tokens).map(pair),
            output: output.zip(call.counted_output_tokens).map(pair),
        };
        (audit != Self::default()).then_some(audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn audited() -> Call {
        Call {
            audited: true,
            output_tokens: Some(25),
            output_source: TokenSource::Reported,
            counted_input_tokens: Some(11),
            ..fixtures::call(1)
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "an audit's figures are optional")]
    const fn pair(reported: u64, counted: u64) -> Option<Pair> {
        Some(Pair { reported, counted })
    }

    #[test]
    fn what_is_of_the_same_thing_is_compared() {
        let audit = Audit::of(&audited()).unwrap();
        assert_eq!((audit.input, audit.output), (pair(10, 11), pair(25, 20)));
        let drift = |pair: Option<Pair>| pair.unwrap().drift();
        assert_eq!(drift(audit.input), Some(0.1));
        assert_eq!(drift(audit.output), Some(-0.2));

        let unchosen = Call {
            audited: false,
            ..audited()
        };
        assert_eq!(Audit::of(&unchosen), None);
        let counted = Call {
            output_source: TokenSource::Counted,
            ..audited()
        };
        assert_eq!(Audit::of(&counted).unwrap().output, None);
        let pictures = Call {
            uncounted_parts: Some(1),
            ..audited()
        };
        let audit = Audit::of(&pictures).unwrap();
        assert_eq!((audit.input, audit.output), (None, pair(25, 20)));
        let sound = Call {
            audio_tokens: Some(3),
            ..audited()
        };
        assert_eq!(Audit::of(&sound), None);
    }

    #[test]
    fn thoughts_that_were_not_sent_are_taken_off() {
        let thought = |chars| Call {
            reasoning_tokens: Some(5),
            reasoning_chars: chars,
            ..audited()
        };
        for (chars, expected) in [(None, 20), (Some(0), 20), (Some(9), 25)] {
            let audit = Audit::of(&thought(chars)).unwrap();
            assert_eq!(audit.output, pair(expected, 20), "{chars:?}");
        }
    }

    #[test]
    fn totals_add_what_can_be_compared() {
        let mut totals = AuditTotals::default();
        totals.add(Audit::of(&audited()).unwrap());
        totals.add(Audit {
            input: pair(1, 2),
            output: None,
        });
        assert_eq!(totals.calls, 2);
        assert_eq!(
            (Some(totals.input), Some(totals.output)),
            (pair(11, 13), pair(25, 20))
        );
    }

    #[test]
    fn sums_have_a_drift_and_nothing_has_none() {
        let mut sum = Pair::default();
        assert_eq!(sum.drift(), None);
        for _ in 0..2 {
            sum.add(Pair {
                reported: 50,
                counted: 51,
            });
        }
        assert_eq!(sum.drift(), Some(0.02));
        sum.add(Pair {
            reported: u64::MAX,
            counted: 0,
        });
        assert_eq!(sum.reported, u64::MAX);
    }
}
