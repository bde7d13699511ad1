//! Times and spans as people write them.

use crate::time::Timestamp;

/// Microseconds in a unit, by its name.
const UNITS: &[(&str, f64)] = &[
    ("us", 1.0),
    ("ms", 1e3),
    ("s", 1e6),
    ("m", 60e6),
    ("h", 3_600e6),
    ("d", 86_400e6),
    ("w", 604_800e6),
];

/// The longest span and the farthest time that are taken, in microseconds: some 30,000 years.
const FARTHEST: f64 = 1e18;

/// A point in time: RFC 3339, a date (its first moment in UTC), seconds since the Unix epoch, `now`, or a span
/// before or after now such as `-1h30m`.
pub(super) fn time(text: &str, now: Timestamp) -> Option<i64> {
    let text = text.trim();
    if text == "now" {
        return Some(now.as_micros());
    }
    if let Some(seconds) = decimal(text) {
        let micros = (seconds * 1e6).round();
        return (micros.abs() <= FARTHEST).then_some(micros as i64);
    }
    if let Some(before) = text.strip_prefix('-') {
        return now.as_micros().checked_sub(span(before)?);
    }
    // A plus sign that was not escaped comes out of a query string as a space.
    if let Some(after) = text.strip_prefix('+') {
        return now.as_micros().checked_add(span(after)?);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        return Some(midnight.timestamp().as_microsecond());
    }
    let text = text.replace(' ', "+");
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_microsecond())
}

/// A span in microseconds: seconds, or numbers with units, such as `1h30m` or `250ms`.
pub(super) fn span(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Some(seconds) = decimal(text) {
        let micros = (seconds * 1e6).round();
        return (0.0..=FARTHEST).contains(&micros).then_some(micros as i64);
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number = decimal(number).filter(|number| *number >= 0.0)?;
        sum += number * size;
        rest = after;
    }
    (!text.is_empty() && sum <= FARTHEST).then_some(sum.round() as i64)
}

/// A figure to four digits: more would say what a percentile within 1 % does not know.
pub(super) fn digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A plain decimal number; none of the words and exponents that a float's parser takes.
fn decimal(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().any(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let now = Timestamp::from_micros(1_767_225_600_000_000);
        let read = |text| time(text, now);
        let start = Some(1_767_225_600_000_000);
        for same in [
            "now",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00+01:00",
            "2026-01-01T01:00:00 01:00",
            "1767225600",
            "1767225600.0",
            "-0s",
            "+0s",
        ] {
            assert_eq!(read(same), start, "{same}");
        }
        assert_eq!(read("-1h30m"), start.map(|t| t - 5_400_000_000));
        assert_eq!(read("-7d"), start.map(|t| t - 604_800_000_000));
        assert_eq!(read("0.5"), Some(500_000));
        for wrong in [
            "",
            "yesterday",
            "-",
            "-1x",
            "1e400",
            "inf",
            "nan",
            "2026-13-01",
            "-h",
            "9999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_have_units_or_are_seconds() {
        assert_eq!(span("250ms"), Some(250_000));
        assert_eq!(span("1.5s"), Some(1_500_000));
        assert_eq!(span("2"), Some(2_000_000));
        assert_eq!(span("1m30s"), Some(90_000_000));
        for wrong in ["", "ms", "-1", "-1s", "1 parsec", "1s2", "s1"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
