//! One tokenizer: what counts.

use std::{fmt, path::Path, sync::Arc};

use super::{vocabulary::Vocabulary, window};

/// One tokenizer; a clone is the same one. Its vocabulary is loaded by the first count, which takes some
/// tenths of a second on the thread that counts; all threads share it.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    vocabulary: Vocabulary,
}

impl Tokenizer {
    /// That of a built-in vocabulary; once a vocabulary, by [`Vocabulary::tokenizer`].
    pub(super) fn embedded(vocabulary: Vocabulary) -> Self {
        Self(Arc::new(Inner {
            name: vocabulary.arc_name(),
            vocabulary,
        }))
    }

    /// Its name in rows and settings. No two tokenizers of a process have the same.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The folder that it was given by, in which a tokenizer_config.json may stand beside it; `None` for
    /// those that are built in.
    pub fn folder(&self) -> Option<&Path> {
        None
    }

    /// How many tokens this text has, special tokens read as plain text.
    pub fn count(&self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let engine = self.0.vocabulary.engine();
        window::windows(text)
            .map(|window| engine.encode_ordinary(window).len() as u64)
            .sum()
    }

    /// The same, each special token of the vocabulary taken as the one token that it is: for texts that a
    /// chat template made.
    pub fn count_with_special(&self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        self.0
            .vocabulary
            .engine()
            .encode_with_special_tokens(text)
            .len() as u64
    }
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Tokenizer {}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tokenizer").field(&self.0.name).finish()
    }
}
