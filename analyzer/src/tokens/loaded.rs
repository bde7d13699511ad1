//! A tokenizer in memory, ready to count.

use std::borrow::Cow;

use tiktoken_rs::CoreBPE;
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::{engine::Engine, special::Specials, window};

/// What counts.
pub(super) enum Loaded {
    /// The engine of our own.
    Own {
        engine: Box<Engine>,
        specials: Option<Specials>,
        /// Whether a text is brought into Unicode's normal form C first.
        composed: bool,
    },
    /// tiktoken-rs, for the two vocabularies that only models of the past have.
    Reference(&'static CoreBPE),
    /// Hugging Face's tokenizers, for files whose like our engine does not know.
    Foreign {
        tokenizer: Box<tokenizers::Tokenizer>,
        specials: Option<Specials>,
    },
}

impl Loaded {
    /// How many tokens this text has, special tokens read as plain text.
    pub(super) fn count(&self, text: &str) -> u64 {
        match self {
            _ if text.is_empty() => 0,
            Self::Own {
                engine, composed, ..
            } => {
                let text = if *composed {
                    composed_form(text)
                } else {
                    text.into()
                };
                engine.count(&text)
            }
            Self::Reference(engine) => window::windows(text)
                .map(|window| engine.encode_ordinary(window).len() as u64)
                .sum(),
            Self::Foreign { tokenizer, .. } => window::windows(text)
                .map(|window| foreign(tokenizer, window))
                .sum(),
        }
    }

    /// The same, each special token taken as the one token that it is.
    pub(super) fn count_with_special(&self, text: &str) -> u64 {
        self.count_around_special(text, |text| self.count(text))
    }

    /// The same, where `plain` counts what stands between the special tokens.
    pub(super) fn count_around_special(&self, text: &str, plain: impl Fn(&str) -> u64) -> u64 {
        match self {
            Self::Own {
                specials: Some(specials),
                ..
            }
            | Self::Foreign {
                specials: Some(specials),
                ..
            } => specials.count(text, plain),
            _ => plain(text),
        }
    }
}

/// The count of the library; of a text that it refuses, one a byte, which is what bytes without a vocabulary are.
fn foreign(tokenizer: &tokenizers::Tokenizer, text: &str) -> u64 {
    tokenizer
        .encode_fast(text, false)
        .map_or(text.len(), |encoding| encoding.len()) as u64
}

/// The text in Unicode's normal form C, which nearly every text is in.
fn composed_form(text: &str) -> Cow<'_, str> {
    // Below U+0300 nothing combines.
    if text.bytes().all(|byte| byte < 0xcc) || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return text.into();
    }
    text.nfc().collect::<String>().into()
}
