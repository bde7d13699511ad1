//! `cargo xtask deny` and `cargo xtask advisories`: what may be among the dependencies.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{Usage, setup, shell};

pub(crate) const USAGE: &str = "\
usage: cargo xtask deny

Checks the licences, bans and sources of deny.toml with cargo-deny. Part of `cargo xtask test`.
";

pub(crate) const ADVISORIES_USAGE: &str = "\
usage: cargo xtask advisories

Checks the dependencies for known faults with cargo-deny. It fetches the RustSec advisory
database from GitHub, and is therefore not part of `cargo xtask test`.
";

/// What is checked.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    /// Licences, bans, sources: needs nothing but the registry.
    Policy,
    /// Known faults: needs the advisory database.
    Advisories,
}

/// The command.
pub(crate) fn run(check: Check, arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        return Err(Usage(format!("unknown argument {unknown}\n\n{USAGE}")).into());
    }
    shell::must(&mut command(check)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The cargo-deny call that makes a check.
pub(crate) fn command(check: Check) -> Result<Command> {
    let mut deny = shell::command(setup::cargo_deny()?);
    deny.args(["--workspace", "check", "--hide-inclusion-graph"]);
    match check {
        Check::Policy => deny.args(["licenses", "bans", "sources"]),
        Check::Advisories => deny.arg("advisories"),
    };
    Ok(deny)
}
