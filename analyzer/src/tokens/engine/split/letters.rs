//! The splitters that take words by the case of their letters: o200k_base and its kin.

use super::classes::{HAN, LETTER, LOWER, MARK, NUMBER, OTHER, PlainWord, SPACE, Text, UPPER};

/// o200k_base.
pub(super) const O200K: u8 = 0;
/// Mistral's tekken.
pub(super) const TEKKEN: u8 = 1;
/// Kimi K2.
pub(super) const KIMI: u8 = 2;

/// What a word may begin with.
const HEAD: u8 = UPPER | OTHER | MARK;
/// What it may go on with.
const TAIL: u8 = LOWER | OTHER | MARK;

/// Where the piece that begins here ends.
#[inline]
pub(super) fn end<const KIND: u8>(text: Text<'_>, at: usize) -> usize {
    if let Some(from) = text.plain_word_begin(at) {
        match text.plain_word_by_case(from) {
            PlainWord::Ends(end) => return end + contraction::<KIND>(text, end),
            PlainWord::None => return signs_or_space::<KIND>(text, at),
            PlainWord::Open => {}
        }
    }
    // Han characters are no letters of words to Kimi.
    let none = if KIND == KIMI { HAN } else { 0 };
    let (class, length) = text.at(at);
    let next = at + length;
    if KIND == KIMI && class & HAN != 0 {
        return text.run(HAN, 0, next);
    }
    if class & NUMBER != 0 {
        return text.numbers(if KIND == TEKKEN { 1 } else { 3 }, at);
    }
    let byte = text.byte(at);
    // A word, with at most one character before it that is neither letter, number nor line end.
    let prefix = class & (LETTER | NUMBER) == 0 && !matches!(byte, b'\r' | b'\n');
    let word = prefix
        .then(|| lower_word(text, next, none))
        .flatten()
        .or_else(|| lower_word(text, at, none))
        .or_else(|| prefix.then(|| upper_word(text, next, none)).flatten())
        .or_else(|| upper_word(text, at, none));
    if let Some(end) = word {
        return end + contraction::<KIND>(text, end);
    }
    signs_or_space::<KIND>(text, at)
}

/// Signs with at most one space before them, or white space.
#[inline]
fn signs_or_space<const KIND: u8>(text: Text<'_>, at: usize) -> usize {
    let from = at + usize::from(text.byte(at) == b' ');
    let end = text.run_without(SPACE | LETTER | NUMBER, from);
    if end > from {
        return text.line_ends(KIND != KIMI, end);
    }
    text.white_space(at, false)
}

/// The length of a contraction that a word has at its end.
#[inline]
fn contraction<const KIND: u8>(text: Text<'_>, end: usize) -> usize {
    if KIND == TEKKEN {
        0
    } else {
        text.contraction(end)
    }
}

/// `HEAD*TAIL+`: what begins a word gives back until something goes on.
#[inline]
fn lower_word(text: Text<'_>, from: usize, none: u8) -> Option<usize> {
    let mut at = from;
    let mut both = None;
    loop {
        let (class, length) = text.at(at);
        if length == 0 || class & none != 0 || class & HEAD == 0 {
            let end = text.run(TAIL, none, at);
            // Without one that goes on, the last that may do both is the word's end.
            return if end > at { Some(end) } else { both };
        }
        at += length;
        if class & TAIL != 0 {
            both = Some(at);
        }
    }
}

/// `HEAD+TAIL*`, where `HEAD*TAIL+` did not match.
#[inline]
fn upper_word(text: Text<'_>, from: usize, none: u8) -> Option<usize> {
    let end = text.run(HEAD, none, from);
    (end > from).then_some(end)
}
