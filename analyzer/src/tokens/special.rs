//! Special tokens in a text that a chat template made.

use aho_corasick::{AhoCorasick, MatchKind};

/// A token that stands for its own text and is never merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Special {
    pub(super) text: String,
    /// Takes the white space before it along.
    pub(super) takes_before: bool,
    /// Takes the white space after it along.
    pub(super) takes_after: bool,
}

/// The special tokens of a vocabulary.
pub(super) struct Specials {
    finder: AhoCorasick,
    tokens: Vec<Special>,
}

impl Specials {
    /// `None` without any, or where they are too many for a finder.
    pub(super) fn new(tokens: Vec<Special>) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(tokens.iter().map(|token| &token.text))
            .ok()?;
        Some(Self { finder, tokens })
    }

    /// The tokens of a text, where `plain` counts what stands between the special ones.
    pub(super) fn count(&self, text: &str, plain: impl Fn(&str) -> u64) -> u64 {
        let mut sum = 0;
        let mut begin = 0;
        for found in self.finder.find_iter(text) {
            let token = &self.tokens[found.pattern().as_usize()];
            // White space that one token took is not there for the next.
            let mut before = &text[begin.min(found.start())..found.start()];
            if token.takes_before {
                before = before.trim_end();
            }
            sum += plain(before) + 1;
            begin = found.end();
            if token.takes_after {
                begin = text.len() - text[begin..].trim_start().len();
            }
        }
        sum + plain(&text[begin..])
    }
}
