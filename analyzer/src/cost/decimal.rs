//! Decimal numbers as whole ones: no price and no sum passes through a binary fraction.

use super::NANOS;

/// Decimals of a price: 0.000001 a million tokens is the least, one trillionth a token.
pub(super) const DECIMALS: usize = 6;

/// The highest price, in whole units a million tokens: three orders above any that is asked, and far from overflow.
pub(super) const MAX_PRICE: u64 = 1_000_000;

/// What is wrong with the text of a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecimalError {
    /// It is no decimal number.
    #[error("it must be a decimal number such as 0.15")]
    NoNumber,
    /// It is below 0.
    #[error("a price cannot be negative")]
    Negative,
    /// It has more decimals than count.
    #[error("it has more than {DECIMALS} decimals")]
    TooFine,
    /// It is above what is taken.
    #[error("it is above {MAX_PRICE}: is it meant for a million tokens?")]
    TooHigh,
}

/// A price as a whole number of millionths of its unit, exactly.
pub(super) fn millionths(text: &str) -> Result<u64, DecimalError> {
    let text = text.trim();
    let (negative, text) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(DecimalError::NoNumber);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > DECIMALS {
        return Err(DecimalError::TooFine);
    }
    let scale = 10_u64.pow(DECIMALS as u32);
    let whole: u64 = whole.parse().map_err(|_| DecimalError::TooHigh)?;
    // At most six digits, padded to six.
    let fraction: u64 = format!("{fraction:0<DECIMALS$}").parse().unwrap_or(0);
    let sum = whole
        .checked_mul(scale)
        .and_then(|sum| sum.checked_add(fraction));
    match sum {
        Some(1..) if negative => Err(DecimalError::Negative),
        Some(sum) if sum <= MAX_PRICE * scale => Ok(sum),
        _ => Err(DecimalError::TooHigh),
    }
}

/// An amount of billionths as people write it: `0.00123`, at least two decimals.
pub fn amount(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (nanos, unit) = (nanos.unsigned_abs(), NANOS.unsigned_abs());
    let fraction = format!("{:09}", nanos % unit);
    let mut shown = fraction.trim_end_matches('0').len();
    shown = shown.max(2);
    let fraction = fraction.get(..shown).unwrap_or_default();
    format!("{sign}{}.{fraction}", nanos / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (text, millionths_of_it) in [
            ("0", 0),
            ("0.15", 150_000),
            ("2", 2_000_000),
            ("2.50", 2_500_000),
            ("0.000001", 1),
            ("0.0000010000", 1),
            ("1000000", 1_000_000_000_000),
            ("-0.0", 0),
            (" 3.75 ", 3_750_000),
        ] {
            assert_eq!(millionths(text), Ok(millionths_of_it), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_is_told() {
        for (text, error) in [
            ("", DecimalError::NoNumber),
            (".5", DecimalError::NoNumber),
            ("5.", DecimalError::NoNumber),
            ("1,5", DecimalError::NoNumber),
            ("1e3", DecimalError::NoNumber),
            ("inf", DecimalError::NoNumber),
            ("NaN", DecimalError::NoNumber),
            ("--1", DecimalError::NoNumber),
            ("-1", DecimalError::Negative),
            ("0.0000001", DecimalError::TooFine),
            ("1000000.000001", DecimalError::TooHigh),
            ("99999999999999999999999", DecimalError::TooHigh),
        ] {
            assert_eq!(millionths(text), Err(error), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_exactly() {
        assert_eq!(amount(0), "0.00");
        assert_eq!(amount(1), "0.000000001");
        assert_eq!(amount(1_230_000), "0.00123");
        assert_eq!(amount(2_500_000_000), "2.50");
        assert_eq!(amount(-NANOS), "-1.00");
        assert_eq!(amount(i64::MAX), "9223372036.854775807");
    }
}
