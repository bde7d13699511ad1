//! Figures as people read them. For tables alone; data formats print them exactly.

use analyzer::time::Timestamp;

/// `12`, `1,204`, `1.24 M`: whole to a million, three digits and a unit beyond.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{},{:03}", n / 1_000, n % 1_000),
        1_000_000..1_000_000_000 => format!("{:.2} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

/// `512 B`, `64.0 KiB`, `1.5 GiB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{n} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A duration in microseconds: `420 µs`, `5.2 ms`, `340 ms`, `3.41 s`, `2m05s`, `1h02m`.
pub(crate) fn duration(micros: i64) -> String {
    let ms = micros as f64 / 1e3;
    let seconds = micros / 1_000_000;
    match micros {
        ..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{ms:.1} ms"),
        10_000..999_500 => format!("{ms:.0} ms"),
        999_500..99_995_000 => format!("{:.2} s", ms / 1e3),
        99_995_000..3_600_000_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// The time of day in UTC, `HH:MM:SS.mmm`.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    format(time, "%H:%M:%S%.3f")
}

/// Date and time in UTC, `YYYY-MM-DD HH:MM:SS`.
pub(crate) fn date_time(time: Timestamp) -> String {
    format(time, "%Y-%m-%d %H:%M:%S")
}

fn format(time: Timestamp, format: &str) -> String {
    jiff::Timestamp::from_microsecond(time.as_micros())
        .map_or_else(|_| "-".to_owned(), |t| t.strftime(format).to_string())
}

/// Whether a character does something to a terminal other than to stand in it: controls (C1 begins sequences too),
/// what turns the direction of the text around it (UAX #9), and what breaks its lines.
pub(crate) fn drives_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text off the wire, fit for a terminal: what would drive it replaced, cut to `width` characters.
pub(crate) fn cell(text: &str, width: usize) -> String {
    let clean = |c: char| if drives_terminal(c) { '\u{fffd}' } else { c };
    if text.chars().nth(width).is_none() {
        return text.chars().map(clean).collect();
    }
    text.chars()
        .map(clean)
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_their_size_in_view() {
        let counts = [0, 999, 1_000, 999_999, 1_240_000, 5_000_000_000].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "999,999", "1.24 M", "5.00 G"]);
        let sizes = [512, 65_536, 1_610_612_736].map(bytes);
        assert_eq!(sizes, ["512 B", "64.0 KiB", "1.5 GiB"]);
        let spans = [
            420,
            5_200,
            340_000,
            999_600,
            3_410_000,
            125_000_000,
            3_720_000_000,
        ];
        let spans = spans.map(duration);
        assert_eq!(
            spans,
            [
                "420 µs", "5.2 ms", "340 ms", "1.00 s", "3.41 s", "2m05s", "1h02m"
            ]
        );
    }

    #[test]
    fn times_are_shown_in_utc() {
        let time = Timestamp::from_micros(1_754_000_000_123_456);
        assert_eq!(time_of_day(time), "22:13:20.123");
        assert_eq!(date_time(time), "2025-07-31 22:13:20");
    }

    #[test]
    fn text_off_the_wire_cannot_drive_the_terminal() {
        assert_eq!(cell("a\u{1b}[31mb\n", 20), "a\u{fffd}[31mb\u{fffd}");
        assert_eq!(cell("gp\u{202e}4-t", 20), "gp\u{fffd}4-t");
        assert_eq!(cell("\u{9b}2J", 20), "\u{fffd}2J");
        assert_eq!(cell("abcdef", 4), "abc…");
        assert_eq!(cell("abcd", 4), "abcd");
    }
}
