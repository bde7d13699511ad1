//! Counting tokens: the engines, and the choice of one by model.
//!
//! A model's name tells its vocabulary and whose chat template it speaks (`models.rs`); those whose licence
//! allows it are built in (`vocabulary.rs`), others are given as files (`given.rs`). Most are counted by an
//! engine of our own (`engine/`), which the tests hold against the reference implementations.
//!
//! Texts off the wire are hostile: nothing in the engine takes more than n log n time. What the libraries
//! count goes to them in windows, and a run without any sure boundary is cut (`window.rs`).

pub mod cache;
mod choose;
mod counter;
mod engine;
mod family;
mod format;
pub mod generated;
mod given;
mod loaded;
mod models;
pub mod policy;
pub mod prompt;
mod special;
mod tokenizer;
mod vocabulary;
mod window;

pub use choose::{Choice, Fit, Tokenizers, UnknownTokenizer};
pub use counter::Counter;
pub use family::Family;
pub use given::GivenError;
pub use prompt::PromptRule;
pub use tokenizer::Tokenizer;
pub use vocabulary::Vocabulary;
pub use window::MAX_RUN;

#[cfg(test)]
mod tests;
