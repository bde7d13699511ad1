//! `cargo xtask bench turns`: what a chat's history costs to count.

use anyhow::Result;

use crate::shell::{cargo, must};

/// Runs the analyzer's example at full speed; it prints the table.
pub(super) fn run(model: &[&str]) -> Result<()> {
    must(
        cargo()
            .args(["run", "--release", "--quiet", "-p", "analyzer"])
            .args(["--example", "turns", "--"])
            .args(model),
    )
}
