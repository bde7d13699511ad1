//! Eight bytes of a text at a time, in one register.
//!
//! How long a word is a processor cannot foresee, and each time that it guesses wrong costs it some dozen
//! additions. So the ends of runs in ASCII are found by sums over eight bytes at once, without a branch.

/// The top bit of each byte: where the answers of [`Eight`] stand. ASCII has none of them set.
const TOP: u64 = 0x8080_8080_8080_8080;

const ONES: u64 = 0x0101_0101_0101_0101;

/// Eight bytes of a text, the first the lowest; zeros past its end.
#[derive(Clone, Copy)]
pub(super) struct Eight(u64);

/// For each of eight bytes whether it is what was asked for: [`TOP`] or nothing of it.
#[derive(Clone, Copy)]
pub(super) struct Mask(u64);

impl Eight {
    #[inline]
    pub(super) fn at(text: &[u8], at: usize) -> Self {
        if let Some(Ok(eight)) = text.get(at..at + 8).map(<[u8; 8]>::try_from) {
            return Self(u64::from_le_bytes(eight));
        }
        let mut eight = [0; 8];
        for (slot, byte) in eight.iter_mut().zip(text.get(at..).unwrap_or_default()) {
            *slot = *byte;
        }
        Self(u64::from_le_bytes(eight))
    }

    /// Bytes from `first` to `last`, both of ASCII and not 0.
    #[inline]
    const fn within(self, first: u8, last: u8) -> u64 {
        let low = self.0 & !TOP;
        let from_first = low + ONES * (0x80 - first) as u64;
        let past_last = low + ONES * (0x7f - last) as u64;
        from_first & !past_last & !self.0 & TOP
    }

    /// The same eight with capitals and some signs made the letters and signs 32 places after them.
    const fn folded(self) -> Self {
        Self(self.0 | (0x20 * ONES))
    }

    /// `A-Z`.
    #[inline]
    pub(super) const fn upper(self) -> Mask {
        Mask(self.within(b'A', b'Z'))
    }

    /// `a-z`.
    #[inline]
    pub(super) const fn lower(self) -> Mask {
        Mask(self.within(b'a', b'z'))
    }

    /// `a-z`, and as the first of all `A-Z` as well.
    #[inline]
    pub(super) const fn lower_but_first(self) -> Mask {
        let capital = (self.0 as u8).is_ascii_uppercase();
        Mask(self.lower().0 | (capital as u64) << 7)
    }

    /// `A-Za-z`.
    #[inline]
    pub(super) const fn letters(self) -> Mask {
        Mask(self.folded().within(b'a', b'z'))
    }

    /// White space of ASCII, line ends included.
    #[inline]
    pub(super) const fn spaces(self) -> Mask {
        Mask(self.within(b'\t', b'\r') | self.within(b' ', b' '))
    }

    /// `\r` and `\n`.
    #[inline]
    pub(super) const fn line_ends(self) -> Mask {
        Mask(self.within(b'\n', b'\n') | self.within(b'\r', b'\r'))
    }

    /// What of ASCII is neither white space nor letter nor number.
    #[inline]
    pub(super) const fn signs(self) -> Mask {
        let others = self.letters().0 | self.spaces().0 | self.within(b'0', b'9');
        Mask(!others & !self.0 & TOP)
    }

    /// All but numbers and what is not of ASCII.
    #[inline]
    pub(super) const fn plain(self) -> Mask {
        Mask(!self.within(b'0', b'9') & !self.0 & TOP)
    }
}

impl Mask {
    /// How many bytes there are at the beginning: 0 to 8.
    #[inline]
    pub(super) const fn run(self) -> usize {
        (!self.0 & TOP).trailing_zeros() as usize / 8
    }

    /// How many bytes of these there are at the beginning, and then of those.
    #[inline]
    pub(super) const fn run_then(self, then: Self) -> usize {
        let not = !self.0 & TOP;
        // Below the first that is not of these.
        let these = (not & not.wrapping_neg()).wrapping_sub(1);
        (!then.0 & TOP & !these).trailing_zeros() as usize / 8
    }

    /// Where the last of them within the first `run` bytes ends; `None` where there is none.
    #[inline]
    pub(super) const fn last(self, run: usize) -> Option<usize> {
        let within = if run < 8 {
            self.0 & ((1 << (8 * run)) - 1)
        } else {
            self.0
        };
        if within == 0 {
            None
        } else {
            Some(8 - within.leading_zeros() as usize / 8)
        }
    }

    /// Whether the eighth byte is of them.
    #[inline]
    pub(super) const fn has_eighth(self) -> bool {
        self.0 >> 63 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte at every place, beside all kinds of neighbours.
    #[test]
    fn masks_are_what_they_say() {
        for byte in 0..=255u8 {
            for neighbour in [0, b' ', b'a', b'Z', b'5', b'~', 0x7f, 0x80, 0xff] {
                for place in 0..8 {
                    let mut text = [neighbour; 8];
                    text[place] = byte;
                    let eight = Eight::at(&text, 0);
                    let space = |b: u8| matches!(b, 9..=13 | 32);
                    let sign = |b: u8| b.is_ascii() && !b.is_ascii_alphanumeric() && !space(b);
                    let kinds: [(Mask, &dyn Fn(u8) -> bool); 7] = [
                        (eight.upper(), &|b| b.is_ascii_uppercase()),
                        (eight.lower(), &|b| b.is_ascii_lowercase()),
                        (eight.letters(), &|b| b.is_ascii_alphabetic()),
                        (eight.spaces(), &space),
                        (eight.line_ends(), &|b| matches!(b, b'\r' | b'\n')),
                        (eight.signs(), &sign),
                        (eight.plain(), &|b| b.is_ascii() && !b.is_ascii_digit()),
                    ];
                    for (mask, of) in kinds {
                        let run = text.iter().take_while(|b| of(**b)).count();
                        assert_eq!(mask.run(), run, "{text:?}");
                        assert_eq!(mask.has_eighth(), of(text[7]));
                        for run in 0..=8 {
                            let last = text[..run].iter().rposition(|b| of(*b));
                            assert_eq!(mask.last(run), last.map(|at| at + 1), "{text:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn one_run_after_another() {
        for (text, run) in [
            ("ABcd efg", 4),
            ("abCd efg", 2),
            ("ABCDEFGH", 8),
            ("ABCDEFGh", 8),
            ("abcdefgh", 8),
            ("abcdefgH", 7),
            (" abcdefg", 0),
            ("AB", 2),
            ("", 0),
            ("Aé", 1),
        ] {
            let eight = Eight::at(text.as_bytes(), 0);
            assert_eq!(eight.upper().run_then(eight.lower()), run, "{text}");
            let one_capital = eight.upper().run() <= 1;
            assert_eq!(eight.lower_but_first().run() == run, one_capital, "{text}");
        }
    }

    #[test]
    fn past_the_end_are_zeros() {
        let text = b"abcdefghi";
        assert_eq!(Eight::at(text, 1).letters().run(), 8);
        assert_eq!(Eight::at(text, 2).letters().run(), 7);
        assert_eq!(Eight::at(text, 9).letters().run(), 0);
        assert_eq!(Eight::at(text, 9).plain().run(), 8);
    }
}
