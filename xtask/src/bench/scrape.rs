//! `cargo xtask bench scrape`: how long a scrape takes, and that rows do not matter to it.

use anyhow::Result;

use crate::{
    setup,
    shell::{beside_llmtap, must},
};

/// Runs the release build on two stores.
pub(super) fn run() -> Result<()> {
    setup::for_run()?;
    must(&mut beside_llmtap("llmtap-scrape")?)
}
