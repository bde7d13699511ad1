//! `llmtap check`: what this machine allows.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use anyhow::Context as _;
use sniffer::{
    capture::discover::{self, WELL_KNOWN_PORTS},
    check::CheckReport,
};

use super::{
    EXIT_NOTHING,
    args::{CheckArgs, CheckFormat},
};

/// Runs the command.
pub(crate) fn main(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let listeners = discover::listening_ports()
        .context("cannot find out what listens here: is /proc mounted?")?
        .into_iter()
        .filter(|listener| {
            if args.ports.is_empty() {
                WELL_KNOWN_PORTS
                    .iter()
                    .any(|(port, _)| *port == listener.port)
            } else {
                args.ports.contains(&listener.port)
            }
        })
        .map(|listener| SocketAddr::new(listener.addr, listener.port))
        .collect();
    let report = CheckReport::of_this_machine(listeners);
    let text = match args.format {
        CheckFormat::Text => report.to_string(),
        CheckFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")?;
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_NOTHING)
    })
}
