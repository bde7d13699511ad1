//! The store and its writer, opened and closed as one; how long what is kept.

use std::{path::Path, time::Duration};

use analyzer::{
    live::Live,
    metrics::Metrics,
    record::Record,
    store::{
        BodiesMode, Keep, Retention, SqliteSettings, SqliteStore, WriterHandle, WriterSettings,
        WriterThread,
    },
};
use anyhow::bail;
use bytesize::ByteSize;
use clap::Args;
use jiff::{Span, SpanRelativeTo};

use super::{
    args::Bodies,
    human,
    limits::{at_least, size},
};

/// The least that rows may be given: below, the tables and their indexes alone take it.
const LEAST_ROWS_SIZE: u64 = 4 * 1024 * 1024;

/// The least that the log may be given: below, every other batch would come to its end.
const LEAST_LOG_SIZE: u64 = 1024 * 1024;

/// The longest time taken, a century.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

/// How long and how much is kept, and what may wait to be stored.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageArgs {
    /// Remove rows, with their bodies, that were stored longer ago; `none` keeps them
    #[arg(long, value_name = "TIME", default_value = "90d")]
    #[arg(env = "LLMTAP_KEEP_ROWS", value_parser = age)]
    keep_rows: UpTo<Duration>,

    /// Remove request and response bodies that were stored longer ago; `none` keeps them as long as
    /// their rows
    #[arg(long, value_name = "TIME", default_value = "7d")]
    #[arg(env = "LLMTAP_KEEP_BODIES", value_parser = age)]
    keep_bodies: UpTo<Duration>,

    /// Remove the oldest rows where all of them, with their indexes, take more of the disk; `none`
    /// sets no bound
    #[arg(long, value_name = "SIZE", default_value = "5GiB")]
    #[arg(env = "LLMTAP_MAX_ROWS_SIZE", value_parser = rows_size)]
    max_rows_size: UpTo<u64>,

    /// Remove the oldest bodies where all of them take more of the disk; `none` sets no bound
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    #[arg(env = "LLMTAP_MAX_BODIES_SIZE", value_parser = bodies_size)]
    max_bodies_size: UpTo<u64>,

    /// Write no bodies from half of this on, and nothing at it, where another program reads the store for
    /// so long that its log cannot be emptied; `none` sets no bound
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    #[arg(env = "LLMTAP_MAX_LOG_SIZE", value_parser = log_size)]
    max_log_size: UpTo<u64>,

    /// Rows that may wait in memory to be written, as where the disk is slow or full. Further ones are
    /// shed
    #[arg(long, value_name = "N", default_value = "20000")]
    #[arg(env = "LLMTAP_MAX_QUEUE_ROWS", value_parser = at_least(1))]
    max_queue_rows: usize,

    /// The same in bytes. Past it, bodies are shed, then rows
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    #[arg(env = "LLMTAP_MAX_QUEUE_SIZE", value_parser = size)]
    max_queue_size: usize,
}

/// A bound, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UpTo<T>(Option<T>);

impl StorageArgs {
    /// The store of a daemon: what is too old or too much is removed.
    pub(crate) fn open(
        &self,
        db: &Path,
        bodies: Bodies,
        metrics: &Metrics,
    ) -> anyhow::Result<Storage> {
        let settings = SqliteSettings {
            retention: self.retention(),
            max_log_bytes: self.max_log_size.0,
            ..SqliteSettings::default()
        };
        Storage::open(db, bodies, settings, self.writer(), metrics)
    }

    /// How long rows are kept, for people.
    pub(crate) fn rows_kept(&self) -> String {
        kept(self.retention().rows)
    }

    /// How long bodies are kept, for people.
    pub(crate) fn bodies_kept(&self) -> String {
        kept(self.retention().bodies)
    }

    /// How long what is kept.
    pub(crate) fn retention(&self) -> Retention {
        Retention {
            rows: Keep {
                max_age: self.keep_rows.0,
                max_bytes: self.max_rows_size.0,
            },
            bodies: Keep {
                max_age: self.keep_bodies.0,
                max_bytes: self.max_bodies_size.0,
            },
        }
    }

    fn writer(&self) -> WriterSettings {
        WriterSettings {
            queue_rows: self.max_queue_rows,
            queue_bytes: self.max_queue_size,
            ..WriterSettings::default()
        }
    }
}

/// An open store with its writer's thread.
pub(crate) struct Storage {
    handle: WriterHandle,
    thread: WriterThread,
    retention: Live<Retention>,
}

impl Storage {
    /// The store of a replay, which only adds: its flags say nothing of what may be removed, and what a daemon
    /// keeps in the same file is the daemon's.
    pub(crate) fn open_to_add(
        db: &Path,
        bodies: Bodies,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let settings = SqliteSettings {
            retention: Retention::NONE,
            ..SqliteSettings::default()
        };
        Self::open(db, bodies, settings, WriterSettings::default(), metrics)
    }

    /// Opens or makes the store.
    fn open(
        db: &Path,
        bodies: Bodies,
        settings: SqliteSettings,
        writer: WriterSettings,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let settings = SqliteSettings {
            bodies: match bodies {
                Bodies::Full | Bodies::Text => BodiesMode::Full,
                Bodies::None => BodiesMode::None,
            },
            ..settings
        };
        let store = SqliteStore::open(db, settings)?;
        let retention = store.retention();
        let (handle, thread) = analyzer::store::start(Box::new(store), writer, metrics)?;
        Ok(Self {
            handle,
            thread,
            retention,
        })
    }

    /// How long what is kept: replaced, it holds from the next upkeep on.
    pub(crate) fn retention(&self) -> Live<Retention> {
        self.retention.clone()
    }

    /// The way in for others.
    pub(crate) fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Stores a row as soon as there is room: for files, which can wait.
    pub(crate) fn store(&self, record: Record) {
        // A closed or failing writer says so when it is closed, with the number of rows lost.
        let _ = self.handle.submit_blocking(record);
    }

    /// Writes all that was accepted.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let summary = self.thread.close();
        tracing::info!(
            "stored {}, {} were there already",
            human::several(summary.rows, "call"),
            human::count(summary.duplicates)
        );
        if summary.lost > 0 {
            bail!(
                "{} could not be written: see the errors above; is the disk full?",
                human::several(summary.lost, "call")
            );
        }
        Ok(())
    }
}

fn age(text: &str) -> Result<UpTo<Duration>, String> {
    up_to(text, |text| {
        let why =
            || "a time has a unit: d, h, m or s, such as 90d or 12h; or it is none".to_owned();
        let span: Span = text.parse().map_err(|_| why())?;
        let time = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| why())?;
        let time = Duration::try_from(time).map_err(|_| why())?;
        match time {
            Duration::ZERO => Err("it must be more than nothing; none is for ever".to_owned()),
            time if time > LONGEST => {
                Err("it must be at most a century; none is for ever".to_owned())
            }
            time => Ok(time),
        }
    })
}

fn rows_size(text: &str) -> Result<UpTo<u64>, String> {
    size_from(text, LEAST_ROWS_SIZE)
}

fn bodies_size(text: &str) -> Result<UpTo<u64>, String> {
    // What stores no bodies at all is another flag, and 0 would be taken for it.
    size_from(text, 1).map_err(|why| format!("{why}; --bodies none stores no bodies"))
}

fn log_size(text: &str) -> Result<UpTo<u64>, String> {
    size_from(text, LEAST_LOG_SIZE)
}

fn size_from(text: &str, least: u64) -> Result<UpTo<u64>, String> {
    up_to(text, |text| match size(text)? as u64 {
        bytes if bytes >= least => Ok(bytes),
        _ => Err(format!("it must be at least {}, or none", ByteSize(least))),
    })
}

fn up_to<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<UpTo<T>, String> {
    match text.trim() {
        "none" => Ok(UpTo(None)),
        text => read(text).map(|value| UpTo(Some(value))),
    }
}

/// `for 90 days, 5 GiB in all`.
fn kept(keep: Keep) -> String {
    const DAY: u64 = 86_400;
    let age = keep.max_age.map(|age| match age.as_secs() {
        DAY => "for a day".to_owned(),
        seconds if seconds.is_multiple_of(DAY) => format!("for {} days", seconds / DAY),
        _ => {
            let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
            format!("for {}", human::duration(micros))
        }
    });
    let size = keep
        .max_bytes
        .map(|bytes| format!("{} in all", human::bytes(bytes)));
    let both: Vec<_> = age.into_iter().chain(size).collect();
    if both.is_empty() {
        "for ever".to_owned()
    } else {
        both.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        storage: StorageArgs,
    }

    /// Parsed without the environment of the test.
    fn parse(arguments: &[&str]) -> Result<StorageArgs, clap::Error> {
        let command = All::command().mut_args(|argument| argument.env(None::<&str>));
        let matches = command.try_get_matches_from([&["llmtap"], arguments].concat())?;
        All::from_arg_matches(&matches).map(|all| all.storage)
    }

    #[test]
    fn the_defaults_are_those_of_the_store() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.retention(), Retention::default());
        assert_eq!(args.max_log_size.0, SqliteSettings::default().max_log_bytes);
        let (writer, default) = (args.writer(), WriterSettings::default());
        assert_eq!(
            (writer.queue_rows, writer.queue_bytes),
            (default.queue_rows, default.queue_bytes)
        );
        assert_eq!(args.rows_kept(), "for 90 days, 5.0 GiB in all");
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let args = parse(&[
            "--keep-rows=2w",
            "--keep-bodies=36h",
            "--max-rows-size=100MiB",
            "--max-bodies-size=1",
            "--max-log-size=2MiB",
            "--max-queue-rows=7",
            "--max-queue-size=8KiB",
        ])
        .unwrap();
        let keep = |hours, bytes| Keep {
            max_age: Some(Duration::from_hours(hours)),
            max_bytes: Some(bytes),
        };
        let retention = args.retention();
        assert_eq!(retention.rows, keep(14 * 24, 100 << 20));
        assert_eq!(retention.bodies, keep(36, 1));
        assert_eq!(args.max_log_size.0, Some(2 << 20));
        let writer = args.writer();
        assert_eq!((writer.queue_rows, writer.queue_bytes), (7, 8 << 10));
        assert_eq!(args.bodies_kept(), "for 36h00m, 1 B in all");
    }

    #[test]
    fn none_is_no_bound() {
        let args = parse(&[
            "--keep-rows=none",
            "--keep-bodies=none",
            "--max-rows-size=none",
            "--max-bodies-size=none",
            "--max-log-size=none",
        ])
        .unwrap();
        assert_eq!(args.retention(), Retention::NONE);
        assert_eq!(args.max_log_size.0, None);
        assert_eq!(args.rows_kept(), "for ever");
        let args = parse(&["--keep-rows=1d", "--max-rows-size=none"]).unwrap();
        assert_eq!(args.rows_kept(), "for a day");
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for (argument, why) in [
            ("--keep-rows=5", "such as 90d"),
            ("--keep-rows=3mo", "such as 90d"),
            ("--keep-rows=0d", "none is for ever"),
            ("--keep-rows=-1d", "such as 90d"),
            ("--keep-rows=1000000000h", "such as 90d"),
            ("--keep-rows=2000000h", "at most a century"),
            ("--max-rows-size=1MiB", "at least 4.0 MiB, or none"),
            ("--max-bodies-size=0", "--bodies none"),
            ("--max-log-size=1KiB", "at least 1.0 MiB"),
            ("--max-queue-rows=0", "0 is not in 1..="),
            ("--max-queue-size=lots", "such as 64MiB"),
        ] {
            let error = parse(&[argument]).unwrap_err().to_string();
            assert!(error.contains(why), "{argument}: {error}");
        }
    }

    #[test]
    fn every_flag_has_its_variable() {
        for argument in All::command().get_arguments() {
            let Some(long) = argument.get_long().filter(|long| *long != "help") else {
                continue;
            };
            let variable = format!("LLMTAP_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                argument.get_env().unwrap().to_str(),
                Some(variable.as_str())
            );
        }
    }
}
