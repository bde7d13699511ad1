//! Fuzzing, on stable Rust: plain functions over bytes that check what must always hold.
//!
//! A [`Target`] reads bytes, whatever they are, and panics where something that must hold does not:
//! not only that nothing panics, but that counters add up, that calls come in their order, that the
//! same stream in other pieces gives the same. It answers with the [`Features`] that the bytes
//! reached, so that a run keeps what leads somewhere new ([`run`]), and a corpus needs one small input
//! for each ([`corpus`]). [`mutate`] makes new bytes of old ones; [`choices`] reads bytes as a sequence
//! of operations, for targets that are not fed one stream. libFuzzer drives the same functions
//! (`tests/fuzz`).
//!
//! A new target is a file in `targets/` and a line in [`TARGETS`].

pub mod choices;
pub mod corpus;
pub mod features;
pub mod mutate;
pub mod run;
mod shrink;
mod targets;

pub use features::Features;
pub use targets::TARGETS;

/// Something to feed bytes to.
#[derive(Debug)]
pub struct Target {
    /// Its name: that of its corpus's folder, too.
    pub name: &'static str,
    /// Takes the bytes, and panics where something that must hold does not.
    pub check: fn(&[u8]) -> Features,
    /// What its corpus grows from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that its bytes may hold.
    pub words: &'static [&'static str],
    /// Bytes of the longest input that mutations make.
    pub longest: usize,
    /// Mutations in `cargo xtask test`: as many as take about four seconds.
    pub mutations: u64,
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// Feeds bytes to the target of this name, for libFuzzer.
///
/// # Panics
/// Where there is no such target, or something that must hold does not.
pub fn check(name: &str, bytes: &[u8]) {
    let target = Target::named(name);
    assert!(target.is_some(), "there is no target {name}");
    if let Some(target) = target {
        (target.check)(bytes);
    }
}
