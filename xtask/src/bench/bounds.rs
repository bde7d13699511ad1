//! `cargo xtask bench bounds`: the peak memory of a replay under attacks on it.

use anyhow::Result;

use crate::{
    setup,
    shell::{beside_llmtap, must},
};

/// Runs the attacks, each at its full size, on the release build.
pub(super) fn run(names: &[&str]) -> Result<()> {
    setup::for_test()?;
    must(beside_llmtap("llmtap-bounds")?.args(names))
}
