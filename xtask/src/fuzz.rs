//! `cargo xtask fuzz`: the fuzz targets for longer than in `cargo xtask test`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{
    setup,
    shell::{self, cargo},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask fuzz [TARGET] [--seconds N] [--seed S]
       cargo xtask fuzz TARGET FILE...
       cargo xtask fuzz --renew [TARGET] [--mutations N] [--from FOLDER]

Runs the fuzz targets on stable Rust, optimised and with the checks of a debug build: each of them
in turn, or one, for N seconds (default 60). The first fault ends its target: its input, made small, lies
under target/fuzz-faults, and the command that feeds it again is printed. With files: feeds these.

--renew makes the committed corpora (tests/data/fuzz) anew from their seeds, from what is there, and from
what N mutations find; --from takes in what longer runs kept (target/fuzz-found, or cargo-fuzz's corpus).

Under libFuzzer, with coverage, on nightly: cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . TARGET
";

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    setup::for_run()?;
    let mut command = cargo();
    command
        .args(["run", "--quiet", "--profile", "fuzz", "-p", "llmtap-tests"])
        .args(["--bin", "llmtap-fuzz", "--"])
        .args(arguments);
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shell::show(&command)))?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(2) => ExitCode::from(2),
        // A fault, or one that ended the process.
        _ => ExitCode::FAILURE,
    })
}
