//! `cargo xtask bench damage`: what each kind of damage to a capture costs.

use anyhow::Result;

use crate::shell::{cargo, must};

pub(super) const DEFAULT_SEEDS: u32 = 50_000;

/// Runs the simulator's tests at full speed over many scenarios; they print the tables.
pub(super) fn run(seeds: u32) -> Result<()> {
    must(
        cargo()
            .args(["test", "--release", "--quiet", "-p", "llmtap-tests"])
            .args(["--test", "library", "simulator::", "--", "--nocapture"])
            .env("LLMTAP_SEEDS", seeds.to_string())
            // What fails says what there is to say.
            .env("RUST_BACKTRACE", "0"),
    )
}
