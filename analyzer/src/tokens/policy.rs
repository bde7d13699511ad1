//! What is counted: what nobody reported, and a steady sample of what was.

use std::{fmt, num::ParseFloatError, str::FromStr};

/// Which calls are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What is not reported is counted, and of what is, a sample is audited.
    #[default]
    Auto,
    /// All is counted: every reported figure is audited.
    Always,
    /// Nothing is counted: a figure is reported, or there is none.
    Never,
}

/// The rule by which a call is counted. It depends on the call alone, so that a replay counts what the
/// live run counted, whatever came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which calls are counted.
    pub mode: Mode,
    /// The part of the calls with reported figures that [`Mode::Auto`] audits.
    pub audit: AuditRate,
}

/// Which figures the server surely gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// That of the prompt.
    pub input: bool,
    /// That of the output, and no output came after it.
    pub output: bool,
}

/// What is to be counted of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Its prompt.
    pub input: bool,
    /// Its output.
    pub output: bool,
    /// A reported figure is among them.
    pub audit: bool,
}

impl Policy {
    /// All is counted.
    pub const ALWAYS: Self = Self {
        mode: Mode::Always,
        audit: AuditRate::ALL,
    };

    /// Nothing is counted.
    pub const NEVER: Self = Self {
        mode: Mode::Never,
        audit: AuditRate::NONE,
    };

    /// What is to be counted of the call with this key.
    pub fn due(&self, key: [u8; 16], known: Known) -> Due {
        let audited = match self.mode {
            Mode::Never => return Due::default(),
            Mode::Always => true,
            Mode::Auto => self.audit.takes(key),
        };
        Due {
            input: audited || !known.input,
            output: audited || !known.output,
            audit: audited && (known.input || known.output),
        }
    }
}

/// A part of all calls, from none (0) to all (1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditRate {
    /// Of 2³² calls.
    of: u64,
}

impl AuditRate {
    /// No call.
    pub const NONE: Self = Self { of: 0 };

    /// Every call.
    pub const ALL: Self = Self { of: 1 << 32 };

    /// Whether the call with this key is taken. A key is a cryptographic hash, so that any of its bits
    /// are as good as drawn at random; a higher rate takes all that a lower one takes.
    fn takes(self, key: [u8; 16]) -> bool {
        let [a, b, c, d, ..] = key;
        u64::from(u32::from_be_bytes([a, b, c, d])) < self.of
    }
}

impl Default for AuditRate {
    /// One call in a hundred: of ten thousand calls a day the drift of a model is known to a fraction
    /// of a percent, at a hundredth of the cost.
    fn default() -> Self {
        Self {
            of: ((1 << 32) + 50) / 100,
        }
    }
}

impl fmt::Display for AuditRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nine places tell any two rates apart; nobody reads more than four.
        let rate = (self.of as f64 / Self::ALL.of as f64 * 1e9).round() / 1e9;
        write!(f, "{rate}")
    }
}

impl fmt::Debug for AuditRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditRate({self})")
    }
}

/// An audit rate that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditRateError {
    /// No number.
    #[error("it must be a number from 0 (none) to 1 (all), such as 0.01")]
    Number(#[from] ParseFloatError),
    /// Not a part of all.
    #[error("{0} is not between 0 (none) and 1 (all)")]
    Range(String),
}

impl FromStr for AuditRate {
    type Err = AuditRateError;

    fn from_str(text: &str) -> Result<Self, AuditRateError> {
        let rate: f64 = text.trim().parse()?;
        if (0.0..=1.0).contains(&rate) {
            let of = (rate * Self::ALL.of as f64).round() as u64;
            Ok(Self { of })
        } else {
            Err(AuditRateError::Range(text.trim().to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> AuditRate {
        text.parse().unwrap()
    }

    fn key(first: u32) -> [u8; 16] {
        let mut key = [7; 16];
        key[..4].copy_from_slice(&first.to_be_bytes());
        key
    }

    #[test]
    fn the_table_of_what_is_counted() {
        let auto = |text| Policy {
            mode: Mode::Auto,
            audit: rate(text),
        };
        let [none, input, output, both] =
            [(false, false), (true, false), (false, true), (true, true)]
                .map(|(input, output)| Known { input, output });
        for (policy, known, expected) in [
            // What is reported, each on its own, is not counted.
            (auto("0"), none, (true, true, false)),
            (auto("0"), input, (false, true, false)),
            (auto("0"), output, (true, false, false)),
            (auto("0"), both, (false, false, false)),
            // In the sample all is; where nothing is reported, it is no audit.
            (auto("1"), none, (true, true, false)),
            (auto("1"), input, (true, true, true)),
            (auto("1"), output, (true, true, true)),
            (auto("1"), both, (true, true, true)),
            (Policy::ALWAYS, none, (true, true, false)),
            (Policy::ALWAYS, input, (true, true, true)),
            (Policy::ALWAYS, both, (true, true, true)),
            (Policy::NEVER, none, (false, false, false)),
            (Policy::NEVER, both, (false, false, false)),
        ] {
            let due = policy.due(key(u32::MAX), known);
            let (input, output, audit) = expected;
            let expected = Due {
                input,
                output,
                audit,
            };
            assert_eq!(due, expected, "{policy:?} {known:?}");
        }
    }

    #[test]
    fn the_sample_is_steady_and_of_the_size_asked_for() {
        let [small, large] = [rate("0.01"), rate("0.25")];
        assert_eq!(small, AuditRate::default());
        let spread = (0..100_000_u32).map(|i| key(i.wrapping_mul(0x9E37_79B9)));
        let (mut few, mut many) = (0, 0);
        for key in spread {
            assert_eq!(small.takes(key), small.takes(key));
            // Who is in the small sample is in the large one.
            assert!(large.takes(key) || !small.takes(key));
            few += u32::from(small.takes(key));
            many += u32::from(large.takes(key));
        }
        assert!((990..=1_010).contains(&few), "{few}");
        assert!((24_900..=25_100).contains(&many), "{many}");
        for first in [0, 1, u32::MAX] {
            assert!(!AuditRate::NONE.takes(key(first)));
            assert!(AuditRate::ALL.takes(key(first)));
        }
    }

    #[test]
    fn rates_are_read_and_shown() {
        for (text, shown) in [
            ("0", "0"),
            ("1", "1"),
            (" 0.01 ", "0.01"),
            ("0.5", "0.5"),
            ("1e-3", "0.001"),
        ] {
            assert_eq!(rate(text).to_string(), shown, "{text}");
        }
        for text in ["-0.1", "1.01", "NaN", "inf"] {
            let error = text.parse::<AuditRate>().unwrap_err();
            assert!(error.to_string().contains("between 0"), "{text}");
        }
        let error = "1%".parse::<AuditRate>().unwrap_err();
        assert!(error.to_string().contains("such as 0.01"));
    }
}
