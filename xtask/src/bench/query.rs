//! `cargo xtask bench query`: how long questions to the store take.

use anyhow::Result;

use crate::{
    setup,
    shell::{cargo, must},
};

/// The number of rows that the limits are for.
pub(super) const DEFAULT_ROWS: u64 = 1_000_000;

/// Makes a database of so many rows, and asks.
pub(super) fn run(rows: u64) -> Result<()> {
    setup::for_run()?;
    must(
        cargo()
            .args(["run", "--release", "--quiet", "-p", "analyzer"])
            .args(["--example", "query_rate", "--"])
            .arg(rows.to_string()),
    )
}
