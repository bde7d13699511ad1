//! `cargo xtask bench tokens`: engines that count tokens, side by side.
//!
//! The program is in `xtask/tokens`, a package of its own: the other engines are built for it alone.

use anyhow::Result;

use crate::shell::{cargo, must, target};

/// Builds and runs it.
pub(super) fn run() -> Result<()> {
    must(
        cargo()
            .args(["run", "--release", "--quiet", "--manifest-path"])
            .arg("xtask/tokens/Cargo.toml")
            .env("CARGO_TARGET_DIR", target().join("bench-tokens")),
    )
}
