//! `cargo xtask docs`: what is generated from the definition of the command line.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    Usage,
    shell::{self, cargo, command, must},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask docs

Builds llmtap, and writes what is generated from its command line's definition: the reference
of the settings (docs/settings.md), the example file (deploy/llmtap.toml), the man pages
(docs/man/) and the completions (deploy/completions/). tests/tests/settings.rs fails where
they are not those of the program.
";

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(argument) = arguments.first() {
        return Err(Usage(format!("unknown argument {argument}\n\n{USAGE}")).into());
    }
    must(cargo().args(["build", "-p", "sniffer"]))?;
    must(
        command(shell::target().join("debug/llmtap"))
            .arg("docs")
            .arg(shell::root()),
    )?;
    Ok(ExitCode::SUCCESS)
}
