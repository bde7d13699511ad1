//! The splitters that take words whatever their case: cl100k_base and its kin.

use super::classes::{LETTER, MARK, NUMBER, PlainWord, SPACE, Text};

/// cl100k_base.
pub(super) const CL100K: u8 = 0;
/// Llama 3 and others.
pub(super) const LLAMA3: u8 = 3;
/// Qwen 2 and 3.
pub(super) const QWEN: u8 = 1;
/// Qwen 3.5.
pub(super) const QWEN35: u8 = 2;

/// Where the piece that begins here ends.
#[inline]
pub(super) fn end<const KIND: u8>(text: Text<'_>, at: usize) -> usize {
    let byte = text.byte(at);
    // What an apostrophe stands before may be a contraction.
    if byte != b'\''
        && let Some(from) = text.plain_word_begin(at)
    {
        match text.plain_word(from) {
            PlainWord::Ends(end) => return end,
            PlainWord::None => return signs_or_space::<KIND>(text, at),
            PlainWord::Open => {}
        }
    }
    let word = word::<KIND>();
    let digits = if KIND == CL100K || KIND == LLAMA3 {
        3
    } else {
        1
    };
    let (class, length) = text.at(at);
    let next = at + length;
    if class & word != 0 {
        return text.run(word, 0, next);
    }
    if class & NUMBER != 0 {
        return text.numbers(digits, at);
    }
    let contraction = text.contraction(at);
    if contraction > 0 {
        return at + contraction;
    }
    let (following, _) = text.at(next);
    if following & word != 0 && !matches!(byte, b'\r' | b'\n') {
        return text.run(word, 0, next);
    }
    signs_or_space::<KIND>(text, at)
}

/// Signs with at most one space before them, or white space.
#[inline]
fn signs_or_space<const KIND: u8>(text: Text<'_>, at: usize) -> usize {
    let from = at + usize::from(text.byte(at) == b' ');
    let end = text.run_without(SPACE | NUMBER | word::<KIND>(), from);
    if end > from {
        return text.line_ends(false, end);
    }
    text.white_space(at, KIND == CL100K)
}

/// What words are made of.
const fn word<const KIND: u8>() -> u8 {
    if KIND == QWEN35 {
        LETTER | MARK
    } else {
        LETTER
    }
}
