//! `cargo xtask bench store`: the store's writer beside a bare loop of inserts.

use anyhow::Result;

use crate::{
    setup,
    shell::{cargo, command, must, release, state},
};

/// Runs the measurement, on the disk of the target folder.
pub(super) fn run() -> Result<()> {
    setup::for_run()?;
    must(cargo().args([
        "build",
        "--release",
        "-p",
        "analyzer",
        "--example",
        "writer_rate",
    ]))?;
    let folder = state().join("bench");
    std::fs::create_dir_all(&folder)?;
    let example = release("examples").join("writer_rate");
    must(command(example).current_dir(folder))
}
