//! The vocabularies that are built in.

use std::sync::{Arc, LazyLock};

use tiktoken_rs::CoreBPE;

use super::{Tokenizer, UnknownTokenizer};

/// A vocabulary that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// GPT-4, GPT-3.5 and the embedding models; also the stand-in where the model is unknown.
    Cl100kBase,
    /// GPT-4o, 4.1, 5 and the o series.
    O200kBase,
    /// gpt-oss: o200k_base with more special tokens, which plain text never becomes.
    O200kHarmony,
    /// Codex and text-davinci-002 and -003.
    P50kBase,
    /// GPT-3 and GPT-2.
    R50kBase,
}

impl Vocabulary {
    /// Every vocabulary.
    pub const ALL: [Self; 5] = [
        Self::Cl100kBase,
        Self::O200kBase,
        Self::O200kHarmony,
        Self::P50kBase,
        Self::R50kBase,
    ];

    /// Its name in rows and settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100kBase => "cl100k_base",
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::P50kBase => "p50k_base",
            Self::R50kBase => "r50k_base",
        }
    }

    /// The vocabulary of this name.
    ///
    /// # Errors
    /// There is none; the error names those that there are.
    pub fn by_name(name: &str) -> Result<Self, UnknownTokenizer> {
        Self::ALL
            .into_iter()
            .find(|vocabulary| vocabulary.name() == name)
            .ok_or_else(|| UnknownTokenizer {
                name: name.to_owned(),
            })
    }

    /// The one tokenizer of this vocabulary.
    pub fn tokenizer(self) -> Tokenizer {
        static ALL: LazyLock<[Tokenizer; Vocabulary::ALL.len()]> =
            LazyLock::new(|| Vocabulary::ALL.map(Tokenizer::embedded));
        ALL[self as usize].clone()
    }

    pub(super) fn engine(self) -> &'static CoreBPE {
        match self {
            Self::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Self::O200kBase => tiktoken_rs::o200k_base_singleton(),
            Self::O200kHarmony => tiktoken_rs::o200k_harmony_singleton(),
            Self::P50kBase => tiktoken_rs::p50k_base_singleton(),
            Self::R50kBase => tiktoken_rs::r50k_base_singleton(),
        }
    }

    pub(super) fn arc_name(self) -> Arc<str> {
        self.name().into()
    }
}
