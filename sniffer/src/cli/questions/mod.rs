//! `llmtap calls`, `stats` and `export`: the API's questions, asked of a database that is live or closed.

mod calls;
mod export;
mod flags;
#[cfg(feature = "parquet")]
mod parquet;
mod stats;

use std::{
    io::{self, ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use analyzer::{query::BadParameter, store::Session};
use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::places;

pub(crate) use self::{calls::CallsArgs, export::ExportArgs, stats::StatsArgs};
pub(super) use self::{calls::main as calls, export::main as export, stats::main as stats};

/// How long a question may take: who asks here can end it.
const PATIENCE: Duration = Duration::from_hours(1);

/// Where the rows are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Read this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in
    /// the XDG state folder
    #[arg(long, value_name = "FILE", env = "LLMTAP_DB")]
    db: Option<PathBuf>,
}

impl Place {
    fn open(&self) -> anyhow::Result<Session> {
        let path = self.db.clone().map_or_else(places::default_db, Ok)?;
        Ok(Session::open_any(&path)?)
    }
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// For people, as wide as the terminal
    Table,
    /// One JSON document, as the API gives it
    Json,
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
}

/// A parameter as the command line names it.
fn wrong_flag(bad: &BadParameter) -> anyhow::Error {
    let name = match bad.name.strip_prefix("label.") {
        Some(_) => "label".to_owned(),
        None => bad.name.replace('_', "-"),
    };
    anyhow::anyhow!(
        "{}",
        bad.reason.replacen(&bad.name, &format!("--{name}"), 1)
    )
}

/// Prints an answer. A reader that has seen enough, such as `head`, is no error.
fn print(answer: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match answer(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}

/// 0 where there was something, else 1.
fn exit_code(found: bool) -> ExitCode {
    if found {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::EXIT_NOTHING)
    }
}
