//! `llmtap serve`: the analyzer alone.

use std::process::ExitCode;

use super::{
    args::ServeArgs,
    daemon::{Capturing, Daemon},
};

/// Runs the command.
pub(crate) fn main(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let mut daemon = Daemon::start(&args.serving, &args.analysis, &args.storage, Capturing::No)?;
    daemon.ready(None);
    let served = daemon.wait();
    daemon.close()?;
    served?;
    Ok(ExitCode::SUCCESS)
}
