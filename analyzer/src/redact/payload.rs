//! Data in the midst of text: base64 and vectors, replaced as the body comes.
//!
//! An image of megabytes would fill all that is stored of a body, and says nothing there. What is put in its
//! place says what it was, how long (decoded), and its SHA-256, so that two calls with one image can be told
//! to be that, and the image be found where it came from:
//!
//! `[base64 image/png 18342 bytes sha256:ab12…]` · `[vector of 1536 numbers]`
//!
//! It is known by its own bytes, not by a dialect's fields: a long run of base64 that a `data:` URL or a known
//! field introduces, or that begins as images (sounds, documents) do, or is far too long and too mixed for
//! a word. Line breaks of MIME and JSON's escapes are part of a run.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

use super::media::media;

/// Characters of a run that a `data:` URL, a field or its first bytes make data.
pub(super) const SHORT: usize = 32;

/// Characters of a run that makes itself data by being such a long one. Longer than any key or token;
/// private keys are longer, and are secrets anyway.
pub(super) const LONG: usize = 512;

/// Bytes of an array of numbers that may be a vector; a shorter one is left as it is.
const VECTOR: usize = 256;

/// Numbers that such an array has at least.
const VECTOR_NUMBERS: u64 = 16;

/// Lengths of the lines of base64 that is broken into such; MIME breaks at 76, PEM at 64.
const LINES: std::ops::RangeInclusive<usize> = 60..=80;

/// Bytes before a run that are looked at for what introduces it.
const BEFORE: usize = 128;

/// Characters that are decoded at a time; a multiple of four.
const BLOCK: usize = 4_096;

/// What is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Images and vectors.
    #[default]
    Images,
    /// All data.
    All,
}

/// Replaces the data of one body.
#[derive(Debug)]
pub(crate) struct Payloads {
    leave: Leave,
    /// The last bytes that were handed on.
    before: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Text,
    /// In a run of which it is not known what it is: its bytes so far.
    Run(Run),
    /// In a run that is none.
    Word,
    /// In data.
    Data(Box<Data>),
    /// Behind a `[`, in numbers: the bytes so far.
    Numbers {
        held: Vec<u8>,
        seen: Numbers,
    },
}

#[derive(Debug, Default)]
struct Run {
    /// As they came.
    held: Vec<u8>,
    /// The base64 in them.
    characters: Vec<u8>,
    lines: Lines,
    escape: Escape,
}

#[derive(Debug)]
struct Data {
    media: String,
    characters: Vec<u8>,
    hash: Sha256,
    length: u64,
    lines: Lines,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    commas: u64,
    fractions: u64,
}

/// Line breaks of one run: all lines but the last have one length.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    current: usize,
    length: Option<usize>,
    /// The line's end after the last character, as it came: `\r\n` in escapes has four bytes.
    ending: [u8; 4],
    ending_len: usize,
}

/// An escape that has begun; at most six bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Escape {
    bytes: [u8; 6],
    length: usize,
}

/// What one byte of a run is.
enum Next {
    Character(u8),
    /// Nothing yet, or a line's end.
    Part,
    /// It is no part of the run.
    End,
}

impl Payloads {
    pub(crate) fn new(leave: Leave) -> Self {
        Self {
            leave,
            before: Vec::new(),
            state: State::Text,
        }
    }

    /// Takes the next bytes and hands on what is left of them.
    pub(crate) fn push(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match &mut self.state {
                State::Text => self.text(rest, &mut out),
                State::Word => {
                    let end = rest.iter().position(|b| !is_base64(*b));
                    if end.is_some() {
                        self.state = State::Text;
                    }
                    let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
                    self.emit(word, &mut out);
                    rest
                }
                State::Run(_) => self.run(rest, &mut out),
                State::Data(data) => {
                    let (used, ended) = data.push(rest);
                    if ended {
                        self.end(&mut out);
                    }
                    rest.get(used..).unwrap_or_default()
                }
                State::Numbers { .. } => self.numbers(rest, &mut out),
            };
        }
    }

    /// The body ends here, or bytes of it are missing.
    pub(crate) fn end(&mut self, mut out: impl FnMut(&[u8])) {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text | State::Word => {}
            State::Run(run) => self.emit(&run.held, &mut out),
            State::Numbers { held, .. } => self.emit(&held, &mut out),
            State::Data(data) => {
                let (marker, left) = data.finish();
                self.emit(marker.as_bytes(), &mut out);
                self.emit(&left, &mut out);
            }
        }
    }

    /// Bytes held back.
    pub(crate) fn held(&self) -> usize {
        match &self.state {
            State::Text | State::Word => 0,
            State::Run(run) => run.held.len() + run.characters.len(),
            State::Numbers { held, .. } => held.len(),
            State::Data(data) => data.characters.len(),
        }
    }

    /// Hands on text up to where a run begins that is long, or that may go on in the next piece.
    fn text<'b>(&mut self, bytes: &'b [u8], out: &mut impl FnMut(&[u8])) -> &'b [u8] {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let begins = if byte == b'[' {
                at += 1;
                Some(State::Numbers {
                    held: Vec::new(),
                    seen: Numbers::default(),
                })
            } else if is_base64(byte) {
                let run = bytes.get(at..).unwrap_or_default();
                let length = run.iter().position(|b| !is_base64(*b));
                if length.is_some_and(|length| length < SHORT && !goes_on(run.get(length..))) {
                    at += length.unwrap_or(0);
                    continue;
                }
                Some(State::Run(Run::default()))
            } else {
                None
            };
            if let Some(state) = begins {
                let (text, rest) = bytes.split_at(at);
                self.emit(text, out);
                self.state = state;
                return rest;
            }
            at += 1;
        }
        self.emit(bytes, out);
        &[]
    }

    fn run<'b>(&mut self, bytes: &'b [u8], out: &mut impl FnMut(&[u8])) -> &'b [u8] {
        let State::Run(run) = &mut self.state else {
            return bytes;
        };
        for (at, &byte) in bytes.iter().enumerate() {
            match next(byte, &mut run.lines, &mut run.escape) {
                Next::End => {
                    let held = std::mem::take(&mut run.held);
                    self.state = State::Text;
                    self.emit(&held, out);
                    return bytes.get(at..).unwrap_or_default();
                }
                Next::Character(character) => run.characters.push(character),
                Next::Part => {}
            }
            run.held.push(byte);
            let length = run.characters.len();
            if length != SHORT && length != LONG {
                continue;
            }
            let rest = bytes.get(at + 1..).unwrap_or_default();
            if let Some(media) = media(&self.before, &run.characters, self.leave) {
                let run = std::mem::take(run);
                self.state = State::Data(Box::new(Data {
                    media,
                    characters: run.characters,
                    hash: Sha256::new(),
                    length: 0,
                    lines: run.lines,
                    escape: run.escape,
                }));
                return rest;
            }
            if length == LONG {
                let held = std::mem::take(&mut run.held);
                self.state = State::Word;
                self.emit(&held, out);
                return rest;
            }
        }
        &[]
    }

    fn numbers<'b>(&mut self, bytes: &'b [u8], out: &mut impl FnMut(&[u8])) -> &'b [u8] {
        let State::Numbers { held, seen } = &mut self.state else {
            return bytes;
        };
        let of_number = |b: &u8| {
            b.is_ascii_digit()
                || matches!(b, b',' | b'.' | b'-' | b'+' | b'e' | b'E')
                || b.is_ascii_whitespace()
        };
        let end = bytes.iter().position(|b| !of_number(b));
        let (numbers, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let count = |what: u8| memchr::memchr_iter(what, numbers).count() as u64;
        seen.commas += count(b',');
        seen.fractions += count(b'.') + count(b'e');
        if held.len() <= VECTOR {
            held.extend_from_slice(numbers);
        }
        let long = held.len() > VECTOR;
        let vector = long && seen.is_vector();
        if vector && end.is_none() {
            // Its beginning has done its service; only its length goes on.
            held.truncate(VECTOR + 1);
        } else if long || end.is_some() {
            let text = if vector {
                format!("\"[vector of {} numbers]\"", seen.commas + 1).into_bytes()
            } else {
                std::mem::take(held)
            };
            self.state = State::Text;
            self.emit(&text, out);
        }
        rest
    }

    fn emit(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        if bytes.is_empty() {
            return;
        }
        out(bytes);
        let kept = bytes
            .get(bytes.len().saturating_sub(BEFORE)..)
            .unwrap_or_default();
        let over = (self.before.len() + kept.len()).saturating_sub(BEFORE);
        self.before.drain(..over.min(self.before.len()));
        self.before.extend_from_slice(kept);
    }
}

impl Data {
    /// Takes what belongs to it; gives how much that was, and whether it is over.
    fn push(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let plain = if self.escape.length == 0 {
                let rest = bytes.get(at..).unwrap_or_default();
                rest.iter()
                    .position(|b| !is_base64(*b))
                    .unwrap_or(rest.len())
            } else {
                0
            };
            if plain > 0 {
                let run = bytes.get(at..at + plain).unwrap_or_default();
                self.characters.extend(run.iter().map(|b| standard(*b)));
                self.lines.current += plain;
                self.lines.ending_len = 0;
                at += plain;
            } else {
                match next(byte, &mut self.lines, &mut self.escape) {
                    Next::End => return (at, true),
                    Next::Character(character) => self.characters.push(character),
                    Next::Part => {}
                }
                at += 1;
            }
            if self.characters.len() >= BLOCK {
                self.decode();
            }
        }
        (at, false)
    }

    /// Decodes all whole groups of four.
    fn decode(&mut self) {
        let whole = self.characters.len() / 4 * 4;
        let mut decoded = [0; BLOCK / 4 * 3];
        for block in self
            .characters
            .get(..whole)
            .unwrap_or_default()
            .chunks(BLOCK)
        {
            self.length += hash_block(block, &mut decoded, &mut self.hash);
        }
        self.characters.drain(..whole);
    }

    /// What stands in its place, and what of the wire follows it: a line's end, an escape that is none.
    fn finish(mut self) -> (String, Vec<u8>) {
        self.decode();
        let last = std::mem::take(&mut self.characters);
        self.length += hash_block(&last, &mut [0; 3], &mut self.hash);
        let space = if self.media.is_empty() { "" } else { " " };
        let hash = super::hexadecimal(&self.hash.finalize());
        let marker = format!(
            "[base64{space}{} {} bytes sha256:{hash}]",
            self.media, self.length
        );
        let ending = self.lines.ending.get(..self.lines.ending_len);
        let escape = self.escape.bytes.get(..self.escape.length);
        let left = [ending.unwrap_or_default(), escape.unwrap_or_default()].concat();
        (marker, left)
    }
}

/// Hashes what some characters stand for; of characters that no encoder writes, themselves.
fn hash_block(block: &[u8], decoded: &mut [u8], hash: &mut Sha256) -> u64 {
    let block = block.trim_ascii_end();
    let padded = block
        .iter()
        .rposition(|b| *b != b'=')
        .map_or(0, |last| last + 1);
    let unpadded = block.get(..padded).unwrap_or_default();
    let length = STANDARD_NO_PAD.decode_slice(unpadded, decoded);
    let bytes = match length {
        Ok(length) => decoded.get(..length).unwrap_or_default(),
        Err(_) => unpadded,
    };
    hash.update(bytes);
    bytes.len() as u64
}

/// Reads one byte of a run.
fn next(byte: u8, lines: &mut Lines, escape: &mut Escape) -> Next {
    if escape.length == 0 {
        return match byte {
            b'\\' => escape.push(byte),
            b'\r' => lines.carriage_return(&[byte]),
            b'\n' => lines.end(&[byte]),
            _ if is_base64(byte) => lines.character(standard(byte)),
            _ => Next::End,
        };
    }
    escape.push(byte);
    let read = match escape.bytes.get(..escape.length).unwrap_or_default() {
        br"\u" | br"\u0" | br"\u00" | br"\u002" | br"\u003" => return Next::Part,
        br"\/" | br"\u002f" | br"\u002F" => lines.character(b'/'),
        br"\u002b" | br"\u002B" => lines.character(b'+'),
        br"\u003d" | br"\u003D" => lines.character(b'='),
        escaped @ br"\n" => lines.end(escaped),
        escaped @ br"\r" => lines.carriage_return(escaped),
        _ => Next::End,
    };
    escape.length = match read {
        // The byte is not taken.
        Next::End => escape.length - 1,
        Next::Part | Next::Character(_) => 0,
    };
    read
}

impl Escape {
    fn push(&mut self, byte: u8) -> Next {
        if let Some(slot) = self.bytes.get_mut(self.length) {
            *slot = byte;
            self.length += 1;
        }
        Next::Part
    }
}

impl Numbers {
    /// Ids of tokens are a prompt in other words, and have no fractions.
    const fn is_vector(&self) -> bool {
        self.commas >= VECTOR_NUMBERS && self.fractions * 2 > self.commas
    }
}

impl Lines {
    const fn character(&mut self, character: u8) -> Next {
        self.current += 1;
        self.ending_len = 0;
        Next::Character(character)
    }

    /// A line ends; where it is too short, too long or unlike the first one, so does the run.
    fn end(&mut self, ending: &[u8]) -> Next {
        let fits = LINES.contains(&self.current)
            && self.length.is_none_or(|length| length == self.current);
        if !fits {
            return Next::End;
        }
        self.length = Some(self.current);
        self.current = 0;
        self.ended_by(ending);
        Next::Part
    }

    /// One may stand before a line's end.
    fn carriage_return(&mut self, ending: &[u8]) -> Next {
        if self.ending_len > 0 {
            return Next::End;
        }
        self.ended_by(ending);
        Next::Part
    }

    fn ended_by(&mut self, ending: &[u8]) {
        let room = self.ending.get_mut(self.ending_len..).unwrap_or_default();
        let taken = room.len().min(ending.len());
        for (to, from) in room.iter_mut().zip(ending) {
            *to = *from;
        }
        self.ending_len += taken;
    }
}

/// Whether an escape begins here that may be a character of base64. A line's end is none: the line before it
/// is too short.
fn goes_on(rest: Option<&[u8]>) -> bool {
    matches!(rest, Some([b'\\'] | [b'\\', b'/' | b'u', ..]))
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=')
}

/// The URL-safe alphabet in the standard one.
const fn standard(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    }
}

#[cfg(test)]
mod tests;
