//! Cutting a text into windows without changing its token count.
//!
//! Every encoding first splits a text into pieces by a regular expression, then merges bytes within
//! each piece. A text may therefore be cut wherever a piece surely ends, whatever stands around.
//! The rules here hold for the expressions of all encodings in use; they look at two characters.

/// Bytes without a sure boundary after which the text is cut all the same. One piece of a megabyte
/// costs seconds, and a run of white space makes the expression's look-ahead backtrack until its
/// engine gives up. Words, numbers and paragraphs of any script are far shorter, so that only freaks
/// are cut, at the price of about one token in a thousand.
pub const MAX_RUN: usize = 4_096;

/// Bytes encoded at a time: bounds the memory that the token list takes.
const WINDOW: usize = 65_536;

/// The windows of a text, in order, none of them empty.
pub(super) fn windows(text: &str) -> impl Iterator<Item = &str> {
    windows_of(text, WINDOW, MAX_RUN)
}

/// Windows of about `size` bytes, runs of at most `run` bytes.
pub(super) fn windows_of(text: &str, size: usize, run: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (window, after) = rest.split_at(cut(rest, size, run));
        rest = after;
        Some(window)
    })
}

/// Where the first window ends: at the first sure boundary from `size` on, or where a run gets too long.
fn cut(text: &str, size: usize, run: usize) -> usize {
    let mut previous = None;
    let mut boundary = 0;
    for (at, character) in text.char_indices() {
        let class = Class::of(character);
        if previous.is_some_and(|previous: Class| previous.surely_ends_before(class)) {
            boundary = at;
            if at >= size {
                return at;
            }
        }
        if at > 0 && at - boundary + character.len_utf8() > run {
            // What was read before the run need not be read again with it.
            return if boundary > 0 { boundary } else { at };
        }
        previous = Some(class);
    }
    text.len()
}

/// What a character surely is in every expression; `Unsure` never makes a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// No letter, digit or white space, and not the apostrophe that contractions begin with.
    Mark,
    LineEnd,
    /// White space that is no line end.
    Space,
    Unsure,
}

impl Class {
    fn of(character: char) -> Self {
        match character {
            // ASCII, ideographs, kana and Hangul syllables, without the marks between those.
            'a'..='z'
            | 'A'..='Z'
            | '\u{3041}'..='\u{3096}'
            | '\u{30A1}'..='\u{30FA}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{AC00}'..='\u{D7A3}' => Self::Letter,
            '0'..='9' => Self::Digit,
            ' ' => Self::Space,
            '\n' | '\r' => Self::LineEnd,
            '\'' => Self::Unsure,
            // ASCII, the ideographic comma, full stop and brackets, and full-width ! ( ) , . : ; ?
            '!'..='~'
            | '\u{3001}'
            | '\u{3002}'
            | '\u{3008}'..='\u{3011}'
            | '\u{FF01}'
            | '\u{FF08}'
            | '\u{FF09}'
            | '\u{FF0C}'
            | '\u{FF0E}'
            | '\u{FF1A}'
            | '\u{FF1B}'
            | '\u{FF1F}' => Self::Mark,
            _ if character.is_whitespace() => Self::Space,
            _ => Self::Unsure,
        }
    }

    /// Whether a piece always ends between these two. Marks take the letters and line ends after
    /// them into their piece, white space looks at what follows it; neither ends one surely.
    fn surely_ends_before(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::Letter,
                Self::Digit | Self::Mark | Self::Space | Self::LineEnd
            ) | (
                Self::Digit,
                Self::Letter | Self::Mark | Self::Space | Self::LineEnd
            ) | (Self::Mark | Self::Unsure, Self::Space)
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tokens::Vocabulary;

    #[test]
    fn windows_cover_the_text_and_runs_are_bounded() {
        let text = format!("{} x {}y", "a".repeat(10_000), "!".repeat(10_000));
        for size in [1, 100, 65_536] {
            let windows: Vec<&str> = windows_of(&text, size, 100).collect();
            assert_eq!(windows.concat(), text);
            assert!(
                windows
                    .iter()
                    .all(|w| !w.is_empty() && w.len() <= 2 * size.max(100))
            );
        }
    }

    #[test]
    fn cuts_fall_on_the_boundaries() {
        let windows: Vec<&str> = windows_of("one two3four, five", 1, 100).collect();
        assert_eq!(windows, ["one", " two", "3", "four", ",", " five"]);
    }

    fn plain(text: &str) -> u64 {
        tiktoken_rs::r50k_base_singleton()
            .encode_ordinary(text)
            .len() as u64
    }

    #[test]
    fn windows_change_no_count_of_ordinary_text() {
        let long = "The tap isn't in the path; it's beside it (see §3): 1,234.5 ms — naïve café.\n\n\tfn main() {}\r\n \
            你好，世界！これは。 12345678  \n"
            .repeat(2_000);
        assert_eq!(Vocabulary::R50kBase.tokenizer().count(&long), plain(&long));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn small_windows_change_no_count(
            words in proptest::collection::vec(
                prop_oneof![
                    "[a-zA-Z]{1,8}", "[0-9]{1,5}", "[ \n\r\t]{1,4}", "[!-/:-@'’“”]{1,3}",
                    "[你好世界。，！ーのァ]{1,6}", "[éüßа-я]{1,6}", "'(s|t|ll|ve|S|D)", "\\PC{1,3}",
                ],
                0..60,
            ),
            size in 8usize..64,
        ) {
            let text = words.concat();
            for engine in [tiktoken_rs::cl100k_base_singleton(), tiktoken_rs::o200k_base_singleton(), tiktoken_rs::r50k_base_singleton()] {
                let count = |text: &str| engine.encode_ordinary(text).len();
                let counted: usize = windows_of(&text, size, 4_096).map(count).sum();
                prop_assert_eq!(counted, count(&text));
            }
        }
    }
}
