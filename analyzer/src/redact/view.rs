//! A text read in another way than it is written, and the way back.

use std::ops::Range;

/// A text with what its bytes stand for in another one: escapes resolved, pieces joined.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) text: Vec<u8>,
    /// In the order of the text, each up to where the next begins.
    segments: Vec<Segment>,
}

/// Bytes of the view and what they stand for. Where both have one length, they are the same bytes; else it
/// is an escape, which has no parts.
#[derive(Clone, Copy, Debug)]
struct Segment {
    at: usize,
    source: usize,
    source_len: usize,
}

impl View {
    /// Adds a piece of the source, its JSON escapes resolved.
    pub(super) fn push_unescaped(&mut self, source: &[u8], range: Range<usize>) {
        let mut at = range.start;
        while let Some(rest) = source.get(at..range.end).filter(|rest| !rest.is_empty()) {
            let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
            let (plain, escape) = rest.split_at(plain);
            self.push(plain, at, plain.len());
            at += plain.len();
            if escape.is_empty() {
                break;
            }
            let (length, character) = resolve(escape);
            let mut buffer = [0; 4];
            match character {
                Some(c) => self.push(c.encode_utf8(&mut buffer).as_bytes(), at, length),
                None => self.push(escape.get(..length).unwrap_or_default(), at, length),
            }
            at += length.max(1);
        }
    }

    fn push(&mut self, text: &[u8], source: usize, source_len: usize) {
        if text.is_empty() {
            return;
        }
        self.segments.push(Segment {
            at: self.text.len(),
            source,
            source_len,
        });
        self.text.extend_from_slice(text);
    }

    /// What a part of the view stands for: ranges of the source in the order of the view, those that touch
    /// joined.
    pub(super) fn source(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let first = self.segments.partition_point(|s| s.at <= range.start);
        let first = first.saturating_sub(1);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (index, segment) in self.segments.iter().enumerate().skip(first) {
            if segment.at >= range.end {
                break;
            }
            let next = self.segments.get(index + 1);
            let end = next.map_or(self.text.len(), |next| next.at);
            let whole = segment.source..segment.source + segment.source_len;
            let part = if end - segment.at == segment.source_len {
                let from = range.start.saturating_sub(segment.at);
                let to = range.end.min(end) - segment.at;
                segment.source + from..segment.source + to
            } else {
                whole
            };
            match ranges.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => ranges.push(part),
            }
        }
        ranges
    }
}

/// What an escape stands for, and its length; `None` where it is none.
fn resolve(escape: &[u8]) -> (usize, Option<char>) {
    let character = match escape.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode(escape),
        _ => return (1, None),
    };
    (2, Some(character))
}

fn unicode(escape: &[u8]) -> (usize, Option<char>) {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(escape.get(at..at + 4)?).ok()?;
        let marked = escape.get(at - 2..at) == Some(b"\\u");
        marked.then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let Some(first) = unit(2) else {
        return (1, None);
    };
    match (first, unit(8)) {
        (0xD800..=0xDBFF, Some(second @ 0xDC00..=0xDFFF)) => {
            let code = 0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
            (12, char::from_u32(code))
        }
        _ => (6, Some(char::from_u32(first).unwrap_or('\u{fffd}'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(source: &str) -> View {
        let mut view = View::default();
        view.push_unescaped(source.as_bytes(), 0..source.len());
        view
    }

    #[test]
    fn escapes_are_resolved_and_found_again() {
        let source = r"a\nb\u0041\/\ud83d\ude00\u20acz\q\";
        let view = view(source);
        assert_eq!(String::from_utf8_lossy(&view.text), "a\nbA/😀€z\\q\\");
        let of = |part: &str| {
            let at = view
                .text
                .windows(part.len())
                .position(|w| w == part.as_bytes());
            let at = at.unwrap();
            view.source(&(at..at + part.len()))
                .into_iter()
                .map(|range| &source[range])
                .collect::<Vec<_>>()
        };
        assert_eq!(of("A"), [r"\u0041"]);
        assert_eq!(of("nbA".strip_prefix('n').unwrap()), [r"b\u0041"]);
        assert_eq!(of("😀"), [r"\ud83d\ude00"]);
        assert_eq!(of("/"), [r"\/"]);
        assert_eq!(of("\\q"), [r"\q"]);
        assert_eq!(of("a\nbA/😀€z\\q\\"), [source]);
        assert!(view.source(&(2..2)).iter().all(Range::is_empty));
    }

    #[test]
    fn joined_pieces_are_told_apart_on_the_way_back() {
        let source = "one|two|three";
        let mut view = View::default();
        for range in [0..3, 4..7, 8..13] {
            view.push_unescaped(source.as_bytes(), range);
        }
        assert_eq!(view.text, b"onetwothree");
        assert_eq!(view.source(&(1..8)), [1..3, 4..7, 8..10]);
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "\\",
            "\\u",
            "\\u12",
            "\\uzzzz",
            "\\x",
            "\\ud83d",
            "\\ud83d\\u0041",
        ] {
            let view = view(text);
            let whole = view.source(&(0..view.text.len()));
            assert_eq!(
                whole.as_slice(),
                std::slice::from_ref(&(0..text.len())),
                "{text}"
            );
        }
        assert_eq!(view("\\ud83d").text, "\u{fffd}".as_bytes());
    }
}
