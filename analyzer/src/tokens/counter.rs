//! What counts: tokenizers, what is to be counted, and the counts that are known already.

use std::sync::Arc;

use super::{
    Tokenizer, Tokenizers,
    cache::{As, Cache},
    policy::Policy,
};

/// Counts the tokens of calls. Clones share the cache, in which a tokenizer is told by its name alone: where
/// other tokenizers may come under the names of these, the cache must be a new one.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    tokenizers: Arc<Tokenizers>,
    policy: Policy,
    cache: Arc<Cache>,
}

impl Counter {
    /// Counts by these tokenizers what this policy asks for.
    pub fn new(tokenizers: Arc<Tokenizers>, policy: Policy, cache: Arc<Cache>) -> Self {
        Self {
            tokenizers,
            policy,
            cache,
        }
    }

    /// Counts all there is, by the model's name, and keeps nothing.
    pub fn always() -> Self {
        Self::always_by(Tokenizers::by_model())
    }

    /// Counts all there is by these tokenizers, and keeps nothing.
    pub fn always_by(tokenizers: Tokenizers) -> Self {
        let (tokenizers, cache) = (Arc::new(tokenizers), Arc::new(Cache::new(0)));
        Self::new(tokenizers, Policy::ALWAYS, cache)
    }

    /// The tokenizers, one of which is chosen for each call.
    pub fn tokenizers(&self) -> &Tokenizers {
        &self.tokenizers
    }

    /// What is to be counted.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The counts that are known already.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How many tokens this text has, special tokens read as plain text.
    pub fn count(&self, tokenizer: &Tokenizer, text: &str) -> u64 {
        self.cache.get(tokenizer.name(), text, As::Plain, |text| {
            tokenizer.count(text)
        })
    }

    /// The same, each special token of the vocabulary taken as the one token that it is: for texts that
    /// a chat template made, or that a model generated with them.
    pub fn count_with_special(&self, tokenizer: &Tokenizer, text: &str) -> u64 {
        self.cache
            .get(tokenizer.name(), text, As::Template, |text| {
                tokenizer.count_with_special(text)
            })
    }
}
