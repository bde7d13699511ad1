//! `llmtap replay`: capture files in, rows out.

use std::{
    io::{self, ErrorKind, IsTerminal as _, Write},
    panic::resume_unwind,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use analyzer::{exchange::Source, metrics::Metrics};
use anyhow::Context as _;
use sniffer::{
    capture::{CaptureError, Paced, PacketSource, file::FileSource},
    pipeline::{self, Output, Pace, Report},
};

use super::{
    EXIT_NOTHING, analysis_setup,
    args::{Format, ReplayArgs, Rows},
    places,
    print::Printer,
    progress::{Progress, Shown},
    storage::Storage,
    summary::{Summary, wrapped},
    table, top,
};

/// Runs the command.
pub(crate) fn main(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let storage = args
        .db
        .as_ref()
        .map(|db| Storage::open_to_add(db, args.bodies, &Metrics::new()))
        .transpose()?;
    let key = match (&args.analysis.key_file, &args.db) {
        (Some(path), _) => Some(places::read_key(path)?),
        (None, Some(db)) => Some(places::key_beside(db)?),
        (None, None) => None,
    };
    let keep_bodies = if args.db.is_some() {
        args.bodies
    } else {
        super::args::Bodies::None
    };
    let setup = analysis_setup(&args.analysis, key.as_deref(), keep_bodies)?;
    let file = FileSource::open(&args.files)?;
    let rows_on_terminal = args.rows == Rows::Calls && args.format == Format::Table;
    let view = (args.realtime && rows_on_terminal && top::is_possible())
        .then(|| top::Local::new(args.speed))
        .transpose()
        .context("cannot start a thread for the view")?;
    let shown = if view.is_some() {
        Shown::Never
    } else {
        Shown::OnTerminal
    };
    let progress = Progress::start(file.position(), shown);
    let mut source: Box<dyn PacketSource + Send> = if args.realtime {
        Box::new(Paced::new(file, args.speed))
    } else {
        Box::new(file)
    };

    let stop = AtomicBool::new(false);
    let mut sink = Sink {
        printer: Printer::new(progress.stdout(), args.format, args.rows),
        progress: &progress,
        view: view.as_ref(),
        rows: args.rows,
        at_once: args.realtime,
        storage: storage.as_ref(),
        summary: Summary::default(),
        stop: &stop,
        failed: None,
    };
    if view.is_none() {
        sink.attempt(Printer::begin);
    }
    let ports = args.ports.clone();
    let mut settings = setup.pipeline(Source::File, Pace::Replay, ports, &args.limits);
    settings.feed = view.as_ref().map(|view| view.feed().clone());
    let mut run = || {
        pipeline::run(
            &mut *source,
            &settings,
            &stop,
            |output| sink.take(output),
            |sums| {
                if let Some(view) = &view {
                    view.progress(sums);
                }
            },
        )
    };
    let result = match &view {
        None => run(),
        Some(view) => watch(args, view, &stop, run)?,
    };
    let Sink {
        mut printer,
        summary,
        failed,
        ..
    } = sink;
    drop(progress);
    // What was accepted is written, whatever happened to the file or to standard output.
    if let Some(storage) = storage {
        storage.close()?;
    }
    let report = result?;
    for warning in &report.capture.warnings {
        tracing::warn!("{warning}");
    }
    let found = match args.rows {
        Rows::Calls => summary.calls(),
        Rows::Exchanges => summary.exchanges(),
    };
    let written = match failed {
        Some(error) => Err(error),
        None => conclude(&mut printer, args, summary, &report),
    };
    match written {
        // The reader has had enough: `llmtap replay F | head` is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).context("cannot write to standard output"),
        Ok(()) if found == 0 => Ok(ExitCode::from(EXIT_NOTHING)),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Runs while a person watches; ends when that person has seen enough.
fn watch(
    args: &ReplayArgs,
    view: &top::Local,
    stop: &AtomicBool,
    mut run: impl FnMut() -> Result<Report, CaptureError> + Send,
) -> anyhow::Result<Result<Report, CaptureError>> {
    let names = args.files.iter().map(|file| {
        let name = file.file_name().unwrap_or(file.as_os_str());
        name.to_string_lossy().into_owned()
    });
    let title = names.collect::<Vec<_>>().join(" ");
    thread::scope(|scope| {
        let runs = scope.spawn(move || {
            let result = run();
            match &result {
                Ok(report) => {
                    let note = "the capture has ended: q leaves for the report";
                    view.ended(Some(report), note.to_owned());
                }
                Err(why) => view.ended(None, why.to_string()),
            }
            result
        });
        let seen = top::watch(title, view);
        stop.store(true, Ordering::Relaxed);
        let result = runs.join().unwrap_or_else(|panic| resume_unwind(panic));
        seen.map(|()| result)
    })
}

/// Ends the rows, and says what was found.
fn conclude<W: Write>(
    printer: &mut Printer<W>,
    args: &ReplayArgs,
    summary: Summary,
    report: &Report,
) -> io::Result<()> {
    let (found, wanted) = match args.rows {
        Rows::Calls => (summary.calls(), "LLM calls"),
        Rows::Exchanges => (summary.exchanges(), "HTTP exchanges"),
    };
    if found > 0 && args.format == Format::Table {
        let text = match args.rows {
            Rows::Calls => summary.of_calls(report, table::width()),
            Rows::Exchanges => summary.of_exchanges(report, table::width()),
        };
        if args.realtime && top::is_possible() {
            // What was watched is gone from the screen.
            printer.text(&text)?;
        } else {
            printer.text("\n")?;
            printer.text(&text)?;
        }
    } else if found == 0 {
        let mut text = summary.nothing_found(report, wanted);
        if io::stderr().is_terminal() {
            text = wrapped(&text, table::width());
        }
        io::stderr().write_all(text.as_bytes())?;
    }
    printer.end()
}

/// Takes the outputs: prints, sums up, stores.
struct Sink<'a, W: Write> {
    printer: Printer<W>,
    progress: &'a Progress,
    /// Rows are watched there, and not printed.
    view: Option<&'a top::Local>,
    rows: Rows,
    /// Each row goes out as soon as there is one.
    at_once: bool,
    storage: Option<&'a Storage>,
    summary: Summary,
    stop: &'a AtomicBool,
    failed: Option<io::Error>,
}

impl<W: Write> Sink<'_, W> {
    fn take(&mut self, output: Output) {
        match output {
            Output::Protocol(_, protocol) => self.summary.protocol(protocol),
            Output::Exchange(row, record) => {
                self.summary.exchange(&row);
                if self.rows == Rows::Exchanges && self.view.is_none() {
                    self.attempt(|printer| printer.exchange(&row));
                }
                if let Some(record) = record {
                    self.progress.call();
                    self.summary.call(&record.call);
                    if let Some(view) = self.view {
                        view.call(&record.call);
                    } else if self.rows == Rows::Calls {
                        self.attempt(|printer| printer.call(&record.call));
                    }
                    if let Some(storage) = self.storage {
                        storage.store(*record);
                    }
                }
            }
        }
    }

    fn print(&mut self, print: impl FnOnce(&mut Printer<W>) -> io::Result<()>) -> io::Result<()> {
        print(&mut self.printer)?;
        if self.at_once {
            self.printer.flush()?;
        }
        Ok(())
    }

    /// Prints, until printing fails: then the run ends.
    fn attempt(&mut self, print: impl FnOnce(&mut Printer<W>) -> io::Result<()>) {
        if self.failed.is_none()
            && let Err(error) = self.print(print)
        {
            self.failed = Some(error);
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
