//! `cargo xtask bench bounds`: the peak memory of a replay under attacks on it.

use anyhow::Result;

use crate::{
    setup,
    shell::{cargo, must, release},
};

/// Runs the attacks, each at its full size, on the release build.
pub(super) fn run(names: &[&str]) -> Result<()> {
    setup::for_test()?;
    must(cargo().args(["build", "--release", "-p", "sniffer"]))?;
    must(
        cargo()
            .args(["run", "--release", "--quiet", "-p", "llmtap-tests"])
            .args(["--bin", "llmtap-bounds", "--"])
            .args(names)
            .env("LLMTAP_BIN", release("llmtap")),
    )
}
