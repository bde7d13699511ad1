//! `cargo xtask docs`: what is generated from the definitions in the code.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    Usage,
    shell::{self, cargo, command, must},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask docs

Builds llmtap, and writes what is generated from its definitions: the references of settings,
metrics, the API and columns (docs/settings.md, docs/metrics.md, docs/api.md, docs/columns.md),
the example file (deploy/llmtap.toml), the man pages (docs/man/) and the completions
(deploy/completions/).
tests/tests/settings.rs fails where they are not those of the program.
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
