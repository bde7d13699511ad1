//! Splitting a text into the pieces within which bytes are merged.
//!
//! Each tokenizer has a regular expression for it. Those that are in wide use are written out here as
//! functions that look at each character about once, since an engine that has look-ahead and Unicode
//! classes takes most of the time of counting; `tests.rs` holds each against its expression.

mod classes;
mod deepseek;
mod eight;
mod letters;
mod words;

use classes::Text;
pub(super) use classes::wide;

/// A known splitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Splitter {
    /// cl100k_base: words, up to three digits; white space at the text's end is one piece.
    Cl100k,
    /// Llama 3, GLM, Phi-4: the same, the end of the text being nothing special.
    Llama3,
    /// Qwen up to 3: the same with single digits.
    Qwen,
    /// Qwen 3.5: the same with marks as part of words.
    Qwen35,
    /// o200k_base: words by their case. Also gpt-oss, MiniMax M2.
    O200k,
    /// Mistral's tekken: the same without contractions and with single digits.
    Tekken,
    /// Kimi K2: the same with Han characters apart.
    Kimi,
    /// DeepSeek V3: numbers, then Chinese and Japanese, then the rest.
    DeepSeek,
}

/// The regular expressions that the splitters stand for, as tokenizer files write them.
const EXPRESSIONS: &[(Splitter, &str)] = &[
    (Splitter::Cl100k, CL100K),
    (Splitter::Llama3, LLAMA3),
    (
        Splitter::Qwen,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Splitter::Qwen35,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Splitter::O200k,
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
    (
        Splitter::Tekken,
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
            r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
    (
        Splitter::Kimi,
        concat!(
            r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
    ),
];

/// As OpenAI writes it by now.
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// DeepSeek's expressions, one after another.
pub(super) const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    concat!(
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^"##,
        "\r\n",
        r"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[",
        "\r\n",
        r"]*|\s*[",
        "\r\n",
        r"]+|\s+(?!\S)|\s+",
    ),
];

impl Splitter {
    /// The splitter that stands for this regular expression.
    pub(crate) fn of_expression(expression: &str) -> Option<Self> {
        EXPRESSIONS
            .iter()
            .find(|(_, known)| *known == expression)
            .map(|(splitter, _)| *splitter)
    }

    /// The splitter that stands for these regular expressions, one applied after another.
    pub(crate) fn of_expressions(expressions: &[&str]) -> Option<Self> {
        match expressions {
            [one] => Self::of_expression(one),
            three if *three == DEEPSEEK => Some(Self::DeepSeek),
            _ => None,
        }
    }

    /// Hands over where each piece of the text begins and ends, in order: none is empty, and together they
    /// are the text.
    #[inline]
    pub(in crate::tokens) fn split(self, text: &str, piece: impl FnMut(usize, usize)) {
        use letters::{KIMI, O200K, TEKKEN};
        use words::{CL100K, LLAMA3, QWEN, QWEN35};
        match self {
            Self::Cl100k => each(text, words::end::<CL100K>, piece),
            Self::Llama3 => each(text, words::end::<LLAMA3>, piece),
            Self::Qwen => each(text, words::end::<QWEN>, piece),
            Self::Qwen35 => each(text, words::end::<QWEN35>, piece),
            Self::O200k => each(text, letters::end::<O200K>, piece),
            Self::Tekken => each(text, letters::end::<TEKKEN>, piece),
            Self::Kimi => each(text, letters::end::<KIMI>, piece),
            Self::DeepSeek => deepseek::each(text, piece),
        }
    }
}

#[inline]
fn each(text: &str, end: impl Fn(Text<'_>, usize) -> usize, mut piece: impl FnMut(usize, usize)) {
    let text = Text::new(text);
    let mut at = 0;
    while at < text.bytes.len() {
        let next = end(text, at);
        debug_assert!(next > at, "a piece has a length");
        piece(at, next);
        at = next;
    }
}

/// The expressions that a splitter stands for.
#[cfg(test)]
pub(in crate::tokens) fn expressions(splitter: Splitter) -> Vec<&'static str> {
    match EXPRESSIONS.iter().find(|(known, _)| *known == splitter) {
        Some((_, expression)) => vec![expression],
        None => DEEPSEEK.to_vec(),
    }
}

#[cfg(test)]
mod tests;
