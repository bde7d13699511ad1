//! One tokenizer: what counts.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{given::Packed, loaded::Loaded, prompt::Template, vocabulary::Vocabulary};

/// One tokenizer; a clone is the same one. It is loaded by the first count, which takes 20 to 80 ms for a
/// built-in vocabulary, and up to some seconds for a file, on the thread that counts; all threads share it, and only
/// those that want the same one wait.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    name: Arc<str>,
    source: Source,
    folder: Option<PathBuf>,
    template: Option<Template>,
    loaded: OnceLock<Loaded>,
}

/// What it is loaded from.
enum Source {
    BuiltIn(Vocabulary),
    /// Until it is loaded.
    Given(Mutex<Option<Packed>>),
}

impl Tokenizer {
    /// That of a built-in vocabulary; once a vocabulary, by [`Vocabulary::tokenizer`].
    pub(super) fn built_in(vocabulary: Vocabulary) -> Self {
        Self(Arc::new(Inner {
            name: vocabulary.name().into(),
            source: Source::BuiltIn(vocabulary),
            folder: None,
            template: None,
            loaded: OnceLock::new(),
        }))
    }

    /// That of a file that was given, with the chat template that stood beside it.
    pub(super) fn given(
        name: &str,
        folder: PathBuf,
        template: Option<Template>,
        packed: Packed,
    ) -> Self {
        Self(Arc::new(Inner {
            name: name.into(),
            source: Source::Given(Mutex::new(Some(packed))),
            folder: Some(folder),
            template,
            loaded: OnceLock::new(),
        }))
    }

    /// Its name in rows and settings. No two tokenizers of a process have the same.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The folder that it was given by, in which a tokenizer_config.json may stand beside it; `None` for
    /// those that are built in.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.as_deref()
    }

    /// The model's own chat template, where the folder has one.
    pub fn template(&self) -> Option<&Template> {
        self.0.template.as_ref()
    }

    /// How many tokens this text has, special tokens read as plain text.
    pub fn count(&self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        self.loaded().count(text)
    }

    /// The same, each special token of the vocabulary taken as the one token that it is: for texts that a
    /// chat template made.
    pub fn count_with_special(&self, text: &str) -> u64 {
        if text.is_empty() {
            return 0;
        }
        self.loaded().count_with_special(text)
    }

    /// The same, where `plain` counts what stands between the special tokens.
    pub fn count_around_special(&self, text: &str, plain: impl Fn(&str) -> u64) -> u64 {
        if text.is_empty() {
            return 0;
        }
        self.loaded().count_around_special(text, plain)
    }

    fn loaded(&self) -> &Loaded {
        self.0.loaded.get_or_init(|| {
            let packed = match &self.0.source {
                Source::BuiltIn(vocabulary) => return vocabulary.load(),
                Source::Given(packed) => {
                    packed.lock().unwrap_or_else(PoisonError::into_inner).take()
                }
            };
            match packed.map(|packed| packed.load()) {
                Some(Ok(loaded)) => loaded,
                // The same bytes made one before, so that this is never seen; a count is no reason to stop.
                failed => {
                    let error = failed.and_then(Result::err).map(|error| error.to_string());
                    tracing::error!(
                        "the tokenizer {} cannot be loaded: {}; cl100k_base counts for it",
                        self.0.name,
                        error.unwrap_or_default(),
                    );
                    Vocabulary::Cl100kBase.load()
                }
            }
        })
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
