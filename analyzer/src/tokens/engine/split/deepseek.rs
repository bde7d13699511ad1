//! DeepSeek's splitter: three expressions, each applied to what the one before it made.

use super::{
    classes::{LETTER, MARK, NUMBER, PlainWord, SIGN, SPACE, Text},
    eight::Eight,
};

/// Hands over where each piece begins and ends.
#[inline]
pub(super) fn each(text: &str, mut piece: impl FnMut(usize, usize)) {
    let text = Text::new(text);
    let mut at = 0;
    while at < text.bytes.len() {
        let (class, length) = text.at(at);
        if class & NUMBER != 0 {
            let end = text.numbers(3, at);
            piece(at, end);
            at = end;
            continue;
        }
        // A part without numbers, all of it Chinese and Japanese or none of it; nothing looks past it.
        let east_asian = is_east_asian(text, at);
        let mut end = at + length;
        loop {
            if !east_asian {
                let run = Eight::at(text.bytes, end).plain().run();
                end = (end + run).min(text.bytes.len());
                if run == 8 && end < text.bytes.len() {
                    continue;
                }
            }
            let (class, length) = text.at(end);
            if length == 0 || class & NUMBER != 0 || is_east_asian(text, end) != east_asian {
                break;
            }
            end += length;
        }
        let part = text.until(end);
        while at < end {
            let next = part_end(part, at);
            piece(at, next);
            at = next;
        }
    }
}

/// `[一-龥぀-ゟ゠-ヿ]`.
fn is_east_asian(text: Text<'_>, at: usize) -> bool {
    (0xe3..=0xe9).contains(&text.byte(at))
        && matches!(text.wide(at).0, 0x4e00..=0x9fa5 | 0x3040..=0x30ff)
}

/// Where the piece that begins here ends, by the third expression.
fn part_end(text: Text<'_>, at: usize) -> usize {
    const WORD: u8 = LETTER | MARK;
    if let Some(from) = text.plain_word_begin(at)
        && let PlainWord::Ends(end) = text.plain_word(from)
    {
        return end;
    }
    let (class, length) = text.at(at);
    let next = at + length;
    let byte = text.byte(at);
    if byte.is_ascii_punctuation() && text.byte(next).is_ascii_alphabetic() {
        let letters = text.bytes[next..]
            .iter()
            .take_while(|b| b.is_ascii_alphabetic());
        return next + letters.count();
    }
    let line_end = matches!(byte, b'\r' | b'\n');
    if class & WORD != 0 {
        return text.run(WORD, 0, next);
    }
    let (following, _) = text.at(next);
    if class & SIGN == 0 && !line_end && following & WORD != 0 {
        return text.run(WORD, 0, next);
    }
    if class & SIGN != 0 {
        return text.line_ends(false, text.run(SIGN, 0, next));
    }
    if byte == b' ' && following & SIGN != 0 {
        return text.line_ends(false, text.run(SIGN, 0, next));
    }
    if class & SPACE != 0 {
        return text.white_space(at, false);
    }
    // What no expression takes stays together.
    let mut end = next;
    loop {
        let (class, length) = text.at(end);
        let (following, _) = text.at(end + length);
        if length == 0 || class & (WORD | SIGN | SPACE) != 0 || following & WORD != 0 {
            return end;
        }
        end += length;
    }
}
