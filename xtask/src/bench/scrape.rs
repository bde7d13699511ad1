//! `cargo xtask bench scrape`: how long a scrape takes, and that rows do not matter to it.

use anyhow::Result;

use crate::{
    setup,
    shell::{cargo, must, release},
};

/// Runs the release build on two stores.
pub(super) fn run() -> Result<()> {
    setup::for_run()?;
    must(cargo().args(["build", "--release", "-p", "sniffer"]))?;
    must(
        cargo()
            .args(["run", "--release", "--quiet", "-p", "llmtap-tests"])
            .args(["--bin", "llmtap-scrape"])
            .env("LLMTAP_BIN", release("llmtap")),
    )
}
