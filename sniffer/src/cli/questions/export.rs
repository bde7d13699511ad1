//! `llmtap export`: all calls, of any number, into a file or a pipe.

use std::{
    fs::File,
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use analyzer::{
    columns::StoredRow,
    query::{
        Filter, Parameter,
        output::Lines,
        parameter::Takes,
        select::{ORDERING, Selection},
    },
    store::{Session, system_clock},
};
use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::{
    PATIENCE, Place, exit_code,
    flags::{Given, Others},
    wrong_flag,
};
use crate::cli::human;

/// Rows that are read at a time, each time in a snapshot of its own: a long export holds no log up.
const ROWS_AT_ONCE: usize = 2_000;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write into this file, which must not be there yet. Default: standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// How calls are written
    #[arg(long, value_enum, default_value = "csv")]
    format: ExportFormat,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    given: Given<Whole>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ExportFormat {
    /// Comma-separated values with a header line
    Csv,
    /// A JSON object a line
    Ndjson,
    /// Apache Parquet, compressed with Zstandard
    #[cfg(feature = "parquet")]
    Parquet,
}

#[derive(Clone, Debug)]
struct Whole;

/// The most calls that are exported.
const LIMIT: Parameter = Parameter::once(
    "limit",
    "N",
    Takes::Number(1, i64::MAX as u64),
    "Calls at most (default: all)",
);

impl Others for Whole {
    fn others() -> Vec<Parameter> {
        let ordering = ORDERING.iter().copied();
        ordering.chain([LIMIT]).collect()
    }
}

/// Runs the command.
pub(crate) fn main(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let pairs = &args.given.pairs;
    let filter = Filter::parse(pairs, &Whole::others(), system_clock());
    let filter = filter.map_err(|bad| wrong_flag(&bad))?;
    let all = (1, i64::MAX as u64);
    let limit = analyzer::query::parameter::number(pairs, "limit", all, all.1);
    let limit = limit.map_err(|bad| wrong_flag(&bad))?;
    let ordered = pairs.iter().filter(|(name, _)| name != "limit");
    let ordered: Vec<_> = ordered.cloned().collect();
    let selection = Selection::parse(&ordered, filter).map_err(|bad| wrong_flag(&bad))?;
    let mut session = args.place.open()?;
    let rows = Rows::new(&mut session, selection, limit);
    let out: Box<dyn Write + Send> = match &args.output {
        Some(path) => Box::new(create(path)?),
        None => Box::new(io::stdout()),
    };
    let written = match args.format {
        ExportFormat::Csv => lines(rows, Lines::Csv, out),
        ExportFormat::Ndjson => lines(rows, Lines::Ndjson, out),
        #[cfg(feature = "parquet")]
        ExportFormat::Parquet => super::parquet::write(rows, out),
    };
    let written = match written {
        Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
        Err(error) if error.is::<io::Error>() => {
            return Err(error.context(match &args.output {
                Some(path) => format!(
                    "cannot write {} to its end: what it holds is not all, remove it",
                    path.display()
                ),
                None => "cannot write to standard output".to_owned(),
            }));
        }
        other => other?,
    };
    if let Some(path) = &args.output {
        let calls = human::several(written, "call");
        tracing::info!("{calls} written to {}", path.display());
    }
    Ok(exit_code(written > 0))
}

/// Calls, some at a time.
pub(super) struct Rows<'s> {
    session: &'s mut Session,
    next: Option<Selection>,
    left: u64,
}

impl<'s> Rows<'s> {
    /// As many as a selection holds, and `limit` at most.
    pub(super) const fn new(session: &'s mut Session, selection: Selection, limit: u64) -> Self {
        Self {
            session,
            next: Some(selection),
            left: limit,
        }
    }

    /// The next ones; `None` after the last.
    pub(super) fn more(&mut self) -> anyhow::Result<Option<Vec<StoredRow>>> {
        let Some(selection) = self.next.take().filter(|_| self.left > 0) else {
            return Ok(None);
        };
        let rows = usize::try_from(self.left).map_or(ROWS_AT_ONCE, |left| left.min(ROWS_AT_ONCE));
        let snapshot = self.session.snapshot(PATIENCE)?;
        let (rows, next) = selection.with_limit(rows).advance(&snapshot)?;
        self.left = self.left.saturating_sub(rows.len() as u64);
        self.next = next;
        Ok(Some(rows))
    }
}

fn lines(mut rows: Rows<'_>, lines: Lines, out: impl Write) -> anyhow::Result<u64> {
    let mut out = BufWriter::new(out);
    let mut text = Vec::new();
    lines.begin_calls(&mut text);
    let mut written = 0;
    while let Some(rows) = rows.more()? {
        for row in &rows {
            lines.call(&mut text, row);
        }
        out.write_all(&text)?;
        text.clear();
        written += rows.len() as u64;
    }
    out.flush()?;
    Ok(written)
}

/// Makes the file for its owner alone: it tells who called what.
fn create(path: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.map_err(|error| {
        anyhow!(
            "cannot make the file {} ({error}): name one that this user may write, and that is not there yet",
            path.display()
        )
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
