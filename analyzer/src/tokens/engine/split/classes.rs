//! What the splitters ask about a character, from the same Unicode tables that regular expressions have.

use std::sync::LazyLock;

use regex_syntax::{
    Parser,
    hir::{Class as HirClass, Hir, HirKind},
};

use super::eight::Eight;

/// Upper- and title-case letters.
pub(super) const UPPER: u8 = 1;
/// Lower-case letters.
pub(super) const LOWER: u8 = 2;
/// Letters without case: modifiers and all others.
pub(super) const OTHER: u8 = 4;
/// Marks that combine with what is before them.
pub(super) const MARK: u8 = 8;
/// Numbers of any kind.
pub(super) const NUMBER: u8 = 16;
/// White space, line ends included.
pub(super) const SPACE: u8 = 32;
/// Punctuation and symbols.
pub(super) const SIGN: u8 = 64;
/// Han characters; they are letters or numbers or signs, too.
pub(super) const HAN: u8 = 128;
/// All letters.
pub(super) const LETTER: u8 = UPPER | LOWER | OTHER;

const BLOCK: usize = 256;

/// Classes of characters: a table of blocks, equal ones stored once.
pub(super) struct Classes {
    blocks: Vec<u16>,
    of_blocks: Vec<u8>,
    ascii: [u8; 128],
}

/// The table; made by the first use, in about a millisecond.
pub(super) static CLASSES: LazyLock<Classes> = LazyLock::new(Classes::new);

impl Classes {
    fn new() -> Self {
        let mut flat = vec![0u8; 0x11_0000];
        for (expression, class) in [
            (r"[\p{Lu}\p{Lt}]", UPPER),
            (r"\p{Ll}", LOWER),
            (r"[\p{Lm}\p{Lo}]", OTHER),
            (r"\p{M}", MARK),
            (r"\p{N}", NUMBER),
            (r"\s", SPACE),
            (r"[\p{P}\p{S}]", SIGN),
            (r"\p{Han}", HAN),
        ] {
            for (first, last) in ranges(expression) {
                for slot in &mut flat[first as usize..=last as usize] {
                    *slot |= class;
                }
            }
        }
        let mut classes: Vec<u8> = Vec::new();
        let blocks = flat
            .chunks_exact(BLOCK)
            .map(|block| {
                let known = classes.chunks_exact(BLOCK).position(|other| other == block);
                known.unwrap_or_else(|| {
                    classes.extend_from_slice(block);
                    classes.len() / BLOCK - 1
                }) as u16
            })
            .collect();
        let mut ascii = [0; 128];
        ascii.copy_from_slice(&flat[..128]);
        Self {
            blocks,
            of_blocks: classes,
            ascii,
        }
    }

    fn of(&self, character: u32) -> u8 {
        let block = usize::from(self.blocks[character as usize / BLOCK]);
        self.of_blocks[block * BLOCK + character as usize % BLOCK]
    }
}

/// The ranges of characters that a class of a regular expression stands for.
fn ranges(expression: &str) -> Vec<(char, char)> {
    let parsed = Parser::new().parse(expression).map(Hir::into_kind);
    match parsed {
        Ok(HirKind::Class(HirClass::Unicode(class))) => class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect(),
        _ => unreachable!("{expression} is a class of characters"),
    }
}

/// The character of several bytes at this place, and its length.
#[inline]
pub(in crate::tokens::engine) fn wide(text: &[u8], at: usize) -> (u32, usize) {
    let byte = |n: usize| u32::from(text.get(at + n).copied().unwrap_or(0));
    let low = |n: usize| byte(n) & 0x3f;
    match byte(0) {
        0xf0.. => (
            ((byte(0) & 7) << 18 | low(1) << 12 | low(2) << 6 | low(3)).min(0x10_ffff),
            4,
        ),
        0xe0.. => ((byte(0) & 15) << 12 | low(1) << 6 | low(2), 3),
        _ => ((byte(0) & 31) << 6 | low(1), 2),
    }
}

/// Whether a byte of ASCII may stand before a word and be part of the piece: it is then this far to the word. Letters
/// are 0 away from themselves; numbers, line ends and what is not of ASCII stand before none.
const BEFORE_WORD: [u8; 256] = {
    let mut table = [NOT_BEFORE; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'\r' | b'\n' | b'0'..=b'9' => NOT_BEFORE,
            b'A'..=b'Z' | b'a'..=b'z' => 0,
            _ => 1,
        };
        byte += 1;
    }
    table
};
const NOT_BEFORE: u8 = 2;

/// What there is of a word of ASCII.
pub(super) enum PlainWord {
    /// It ends here, before something else of ASCII, or where the text ends.
    Ends(usize),
    /// No letter is here, but something else of ASCII, or the text's end.
    None,
    /// It may go on, or begin, with what is not of ASCII.
    Open,
}

/// A text, and the place of its characters.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    classes: &'a Classes,
}

impl<'a> Text<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            classes: &CLASSES,
        }
    }

    /// The same text, ending earlier, at a character's end.
    pub(super) fn until(self, end: usize) -> Self {
        Self {
            bytes: &self.bytes[..end],
            ..self
        }
    }

    /// The byte at this place; 0 at the end.
    #[inline]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The class of the character at this place, and its length; nothing and 0 at the end.
    #[inline]
    pub(super) fn at(self, at: usize) -> (u8, usize) {
        match self.bytes.get(at) {
            None => (0, 0),
            Some(byte) if *byte < 128 => (self.classes.ascii[usize::from(*byte)], 1),
            Some(_) => self.wide_at(at),
        }
    }

    /// The same of a character of several bytes.
    fn wide_at(self, at: usize) -> (u8, usize) {
        let (character, length) = self.wide(at);
        (self.classes.of(character), length)
    }

    /// The character of several bytes at this place, and its length.
    #[inline]
    pub(super) fn wide(self, at: usize) -> (u32, usize) {
        wide(self.bytes, at)
    }

    /// Where a run of characters of these classes, and of none of those, ends.
    #[inline]
    pub(super) fn run(self, any: u8, none: u8, mut at: usize) -> usize {
        loop {
            let (class, length) = self.at(at);
            if length == 0 || class & any == 0 || class & none != 0 {
                return at;
            }
            at += length;
        }
    }

    /// Where a word of ASCII begins that this byte is part of, or stands before.
    #[inline]
    pub(super) fn plain_word_begin(self, at: usize) -> Option<usize> {
        let before = BEFORE_WORD[usize::from(self.byte(at))];
        (before != NOT_BEFORE).then_some(at + usize::from(before))
    }

    /// The word of ASCII that begins here.
    #[inline]
    pub(super) fn plain_word(self, from: usize) -> PlainWord {
        let mut at = from;
        loop {
            let run = Eight::at(self.bytes, at).letters().run();
            at += run;
            if run < 8 {
                return self.plain_word_end(from, at);
            }
        }
    }

    #[inline]
    fn plain_word_end(self, from: usize, end: usize) -> PlainWord {
        if !self.byte(end).is_ascii() {
            PlainWord::Open
        } else if end > from {
            PlainWord::Ends(end)
        } else {
            PlainWord::None
        }
    }

    /// The same of a word that goes from capitals to small letters and not back.
    #[inline]
    pub(super) fn plain_word_by_case(self, from: usize) -> PlainWord {
        let first = Eight::at(self.bytes, from);
        let run = first.lower_but_first().run();
        if run == 1 && first.upper().run() > 1 {
            return self.plain_word_of_capitals(from);
        }
        let mut at = from + run;
        if run == 8 {
            loop {
                let run = Eight::at(self.bytes, at).lower().run();
                at += run;
                if run < 8 {
                    break;
                }
            }
        }
        self.plain_word_end(from, at)
    }

    /// The same of a word that has more than one capital.
    fn plain_word_of_capitals(self, from: usize) -> PlainWord {
        let mut at = from;
        let mut small = false;
        loop {
            let eight = Eight::at(self.bytes, at);
            let lower = eight.lower();
            let run = if small {
                lower.run()
            } else {
                eight.upper().run_then(lower)
            };
            at += run;
            if run < 8 {
                return self.plain_word_end(from, at);
            }
            small = lower.has_eighth();
        }
    }

    /// Where a run of characters of none of these classes ends; white space, letters and numbers are among them.
    #[inline]
    pub(super) fn run_without(self, none: u8, mut at: usize) -> usize {
        debug_assert_eq!(none & (SPACE | LETTER | NUMBER), SPACE | LETTER | NUMBER);
        at = (at + Eight::at(self.bytes, at).signs().run()).min(self.bytes.len());
        loop {
            let (class, length) = self.at(at);
            if length == 0 || class & none != 0 {
                return at;
            }
            at += length;
        }
    }

    /// Where a run of line ends, and of slashes if they count, ends.
    #[inline]
    pub(super) fn line_ends(self, slashes: bool, mut at: usize) -> usize {
        while matches!(self.byte(at), b'\r' | b'\n') || (slashes && self.byte(at) == b'/') {
            at += 1;
        }
        at
    }

    /// Where at most `most` numbers end.
    #[inline]
    pub(super) fn numbers(self, most: usize, mut at: usize) -> usize {
        for _ in 0..most {
            let (class, length) = self.at(at);
            if class & NUMBER == 0 {
                break;
            }
            at += length;
        }
        at
    }

    /// The length of a contraction such as `'ll` at this place, in either case; 0 where there is none. To
    /// regular expressions that ignore case, the long s is an s.
    #[inline]
    pub(super) fn contraction(self, at: usize) -> usize {
        if self.byte(at) != b'\'' {
            return 0;
        }
        match (self.byte(at + 1) | 0x20, self.byte(at + 2) | 0x20) {
            (b's' | b't' | b'm' | b'd', _) => 2,
            (b'r' | b'v', b'e') | (b'l', b'l') => 3,
            _ if self.bytes[at + 1..].starts_with("ſ".as_bytes()) => 3,
            _ => 0,
        }
    }

    /// `\s*[\r\n]+|\s+(?!\S)|\s+` at a white space: through the last line end of the run, or all but its last
    /// character, since that goes with what follows. `whole_end`: at the text's end, `\s+$` comes first.
    #[inline]
    pub(super) fn white_space(self, from: usize, whole_end: bool) -> usize {
        let (mut at, mut last, mut line_end) = (from, from, None);
        loop {
            let eight = Eight::at(self.bytes, at);
            let run = eight.spaces().run();
            if run > 0 {
                line_end = eight.line_ends().last(run).map(|end| at + end).or(line_end);
                at += run;
                last = at - 1;
                if run == 8 {
                    continue;
                }
            }
            let (class, length) = self.at(at);
            if length == 0 {
                return line_end.filter(|_| !whole_end).unwrap_or(at);
            }
            if class & SPACE == 0 {
                break;
            }
            last = at;
            at += length;
        }
        match line_end {
            Some(end) => end,
            None if last > from => last,
            None => at,
        }
    }
}
