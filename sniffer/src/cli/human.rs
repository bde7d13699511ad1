//! Figures as people read them. For tables alone; data formats print them exactly.

use std::iter::repeat_n;

use analyzer::time::Timestamp;
use unicode_width::UnicodeWidthChar as _;

/// Marks that one letter may carry: more than any script's, and few enough that a line stays a line.
const MARKS: usize = 4;

/// `12`, `1,204`, `1.24 M`: whole to a million, three digits and a unit beyond.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{},{:03}", n / 1_000, n % 1_000),
        1_000_000..1_000_000_000 => format!("{:.2} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

/// `1 call`, `1,204 calls`, by the word for one of them.
pub(crate) fn several(n: u64, one: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {one}{s}", count(n))
}

/// `44.1`, `1204.5`, `382,465`, `1.20 M`: a tenth where there is room for it.
pub(crate) fn rate(rate: f64) -> String {
    if rate < 10_000.0 {
        format!("{rate:.1}")
    } else {
        count(rate as u64)
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

/// Text off the wire, fit for a terminal: cleaned by [`clean`], and cut to so many cells of it.
pub(crate) fn cell(text: &str, width: usize) -> String {
    let mut cells = 0;
    let mut room_for_ellipsis = 0;
    let mut out = String::new();
    for c in clean(text) {
        let wide = c.width().unwrap_or(0);
        if cells + wide > width {
            out.truncate(room_for_ellipsis);
            if width > 0 {
                out.push('…');
            }
            return out;
        }
        out.push(c);
        cells += wide;
        if cells < width {
            room_for_ellipsis = out.len();
        }
    }
    out
}

/// The same, filled up with blanks on the right.
pub(crate) fn left(text: &str, width: usize) -> String {
    let mut out = cell(text, width);
    let blanks = width.saturating_sub(self::width(&out));
    out.extend(repeat_n(' ', blanks));
    out
}

/// The same, filled up with blanks on the left.
pub(crate) fn right(text: &str, width: usize) -> String {
    let out = cell(text, width);
    let blanks = width.saturating_sub(self::width(&out));
    repeat_n(' ', blanks).chain(out.chars()).collect()
}

/// How many cells of a terminal a text takes, cleaned.
pub(crate) fn width(text: &str) -> usize {
    clean(text).map(|c| c.width().unwrap_or(0)).sum()
}

/// A text's characters without what drives a terminal or turns its line around: those are replaced. What joins
/// emoji, or chooses their look or their skin, is left out, since terminals do not agree on how wide the whole
/// then is; and of marks on one letter [`MARKS`] are kept.
fn clean(text: &str) -> impl Iterator<Item = char> {
    let mut marks = 0;
    text.chars().filter_map(move |c| {
        let c = match c {
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => {
                return None;
            }
            '\u{1f3fb}'..='\u{1f3ff}' | '\u{200e}' | '\u{200f}' | '\u{061c}' => return None,
            c if drives_terminal(c) => '\u{fffd}',
            c => c,
        };
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        (marks <= MARKS).then_some(c)
    })
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
    fn rates_fit_their_column() {
        let rates = [0.04, 44.14, 9_999.9, 382_465.2, 1_200_000.0].map(rate);
        assert_eq!(rates, ["0.0", "44.1", "9999.9", "382,465", "1.20 M"]);
    }

    #[test]
    fn one_is_not_several() {
        let calls = [0, 1, 1_204].map(|n| several(n, "call"));
        assert_eq!(calls, ["0 calls", "1 call", "1,204 calls"]);
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
        assert_eq!(cell("a\u{9b}2Jb\u{202e}c", 20), "a\u{fffd}2Jb\u{fffd}c");
        assert_eq!(cell("abcdef", 4), "abc…");
        assert_eq!(cell("abcd", 4), "abcd");
        let piled = format!("a{}b", "\u{301}".repeat(1_000));
        assert_eq!(cell(&piled, 9).chars().count(), 2 + MARKS);
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(cell("通义千问", 8), "通义千问");
        assert_eq!(cell("通义千问", 7), "通义千…");
        assert_eq!(cell("通义千问", 6), "通义…");
        assert_eq!(left("通义", 6), "通义  ");
        assert_eq!(right("🦙x", 5), "  🦙x");
        // A family joined of three is shown as three, wherever it is shown.
        assert_eq!(width("👩\u{200d}👩\u{200d}👧"), 6);
        for room in 0..12 {
            assert!(width(&cell("a通b🦙c千d", room)) <= room);
            assert_eq!(width(&left("a通b🦙c千d", room)), room);
        }
    }
}
