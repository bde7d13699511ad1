//! Totals that go on after a restart.
//!
//! They are kept in a small file, never made from rows: retention would shrink them. To Prometheus a
//! counter that fell began anew, so that `increase()` adds all of what it then shows; a total that comes back
//! a little lower is therefore worse than one that comes back as zero. Hence the rule: what is handed out is
//! kept first ([`super::Metrics::families`]), so that an end at any moment (`kill -9`) loses at most what nobody was shown,
//! and nothing that is older than [`INTERVAL`]. The file is not flushed to the disk each time, so after
//! an end of the whole machine without an orderly one of llmtap the totals begin anew; so they do where the file
//! could not be written, since it is removed then. Gauges are of the moment and not kept.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    FamilySample, ReasonCounters, SeriesSample,
    family::Earlier,
    registry::Registry,
    value::{HistogramSample, Sample},
};
use crate::{store::system_clock, time::Timestamp};

/// How often the totals are kept where nobody reads them.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long a reading waits for its totals to be kept; a disk that takes longer does not stop a scrape.
/// The tests wait as long as it takes.
const PATIENCE: Duration = if cfg!(test) {
    Duration::from_mins(1)
} else {
    Duration::from_millis(250)
};

/// Readings that wait to be kept at a time; further ones are not kept first.
const WAITING: usize = 16;

/// Series that traffic named and that were not added to for so long (30 days, in microseconds) do not go
/// on, so that models and users that are gone do not take the places of others for ever.
const STALE: i64 = 30 * 24 * 3600 * 1_000_000;

/// The first words of the file, with the format's number.
const MAGIC: &str = "llmtap metrics 1";

/// Why totals were not kept: the file could not be written; that took longer than [`PATIENCE`].
pub(super) const REASONS: [&str; 2] = ["failed", "slow"];

/// Changes with each start of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why no totals are kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// Another process keeps its totals there.
    #[error(
        "another llmtap keeps its totals in {0}: those of this one begin at zero and are not kept. Give \
         it a store of its own with --db"
    )]
    Taken(PathBuf),
    /// The file or its lock cannot be used.
    #[error(
        "the totals of the metrics cannot be kept in {path}: {cause}; they begin at zero at each start"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// What was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No earlier totals.
    Nothing,
    /// Earlier totals, which go on.
    Totals {
        /// Series that go on.
        series: usize,
        /// Series that do not: nobody added to them for long, or this version has no such.
        left_out: usize,
    },
    /// Earlier totals, from before the machine went down without an orderly end of llmtap: what was shown last
    /// may have been more, so the totals begin anew.
    Outdated,
    /// A file that cannot be read; it was set aside there.
    Damaged(PathBuf),
}

/// Keeps the totals, on a thread of its own.
#[derive(Debug)]
pub struct Kept {
    requests: Sender<Request>,
    thread: JoinHandle<()>,
}

enum Request {
    Reading(Sender<Vec<FamilySample>>),
    Close,
}

/// The way to the thread that keeps.
#[derive(Debug)]
pub(super) struct Readings {
    requests: Sender<Request>,
    errors: ReasonCounters,
}

impl Readings {
    /// A reading that was kept; `None` where that took too long, or where nothing is kept any longer.
    pub(super) fn reading(&self) -> Option<Vec<FamilySample>> {
        let (answer, reading) = bounded(1);
        let asked = self.requests.try_send(Request::Reading(answer));
        if matches!(asked, Err(TrySendError::Disconnected(_))) {
            return None;
        }
        let reading = asked.ok().map(|()| reading.recv_timeout(PATIENCE));
        match reading {
            Some(Ok(reading)) => Some(reading),
            Some(Err(RecvTimeoutError::Disconnected)) => None,
            Some(Err(RecvTimeoutError::Timeout)) | None => {
                self.errors.inc("slow");
                None
            }
        }
    }
}

impl Kept {
    /// Goes on from the totals in the file, and keeps them there from now on.
    pub(super) fn start(
        path: &Path,
        registry: &Arc<Registry>,
        errors: &ReasonCounters,
    ) -> Result<(Self, Readings, Found), KeepError> {
        let io = |cause| KeepError::Io {
            path: path.to_owned(),
            cause,
        };
        let lock = private().open(beside(path, ".lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeepError::Taken(path.to_owned())),
            Err(TryLockError::Error(cause)) => return Err(io(cause)),
        }
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let boot = boot.trim().to_owned();
        let found = go_on(path, registry, &boot).map_err(io)?;
        let (requests, asked) = bounded(WAITING);
        let keeper = Keeper {
            path: path.to_owned(),
            boot,
            registry: Arc::clone(registry),
            errors: errors.clone(),
            last: String::new(),
            failing: false,
            _lock: lock,
        };
        let thread = std::thread::Builder::new().name("totals".to_owned());
        let thread = thread.spawn(move || keeper.run(&asked)).map_err(io)?;
        let readings = Readings {
            requests: requests.clone(),
            errors: errors.clone(),
        };
        Ok((Self { requests, thread }, readings, found))
    }

    /// Keeps the last totals, and says in the file that they are the last.
    pub fn close(self) {
        let _ = self.requests.send(Request::Close);
        let _ = self.thread.join();
    }
}

struct Keeper {
    path: PathBuf,
    boot: String,
    registry: Arc<Registry>,
    errors: ReasonCounters,
    /// What is in the file.
    last: String,
    failing: bool,
    /// Held as long as this lives.
    _lock: File,
}

/// Whether more will be counted after this.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Yes,
}

impl Keeper {
    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            match requests.recv_timeout(INTERVAL) {
                Ok(Request::Reading(answer)) => {
                    let reading = self.registry.read();
                    self.keep(&reading, Last::No);
                    // Who waits no longer needs none.
                    let _ = answer.send(reading);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let reading = self.registry.read();
                    self.keep(&reading, Last::No);
                }
                Ok(Request::Close) | Err(RecvTimeoutError::Disconnected) => {
                    let reading = self.registry.read();
                    self.keep(&reading, Last::Yes);
                    return;
                }
            }
        }
    }

    fn keep(&mut self, reading: &[FamilySample], last: Last) {
        let kept = written(reading, &self.boot, last == Last::Yes).and_then(|text| {
            // An idle process writes nothing.
            if text != self.last {
                self.last.clear();
                replace(&self.path, text.as_bytes(), last)?;
                self.last = text;
            }
            Ok(())
        });
        match kept {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("the totals of the metrics are kept again");
            }
            Ok(()) => {}
            Err(error) => {
                self.errors.inc("failed");
                // Older totals than those that are shown from now on must not go on.
                let _ = fs::remove_file(&self.path);
                if !self.failing {
                    tracing::warn!(
                        "the totals of the metrics cannot be kept in {}: {error}; after the next start \
                         they begin at zero",
                        self.path.display()
                    );
                }
                self.failing = true;
            }
        }
    }
}

/// The whole file, after its first line.
#[derive(Serialize)]
struct Written<'a> {
    boot: &'a str,
    clean: bool,
    families: Vec<(&'a str, Vec<SeriesWritten<'a>>)>,
}

/// Numbers are texts where JSON's readers may round them: a total that comes back lower fell.
#[derive(Serialize)]
struct SeriesWritten<'a> {
    labels: Vec<(&'a str, &'a str)>,
    created: i64,
    added: i64,
    total: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets: Option<(&'a [f64], &'a [u64])>,
}

#[derive(Deserialize)]
struct Read {
    boot: String,
    clean: bool,
    families: Vec<(String, Vec<SeriesRead>)>,
}

#[derive(Deserialize)]
struct SeriesRead {
    labels: Vec<(String, String)>,
    created: i64,
    added: i64,
    total: String,
    buckets: Option<(Vec<f64>, Vec<u64>)>,
}

fn written(reading: &[FamilySample], boot: &str, clean: bool) -> io::Result<String> {
    let own = reading.iter().filter(|family| !family.row.is_systems());
    let families = own.map(|family| {
        let series = family.series.iter().filter_map(kept);
        (family.row.name, series.collect())
    });
    let whole = Written {
        boot,
        clean,
        families: families.collect(),
    };
    let json = serde_json::to_string(&whole)?;
    Ok(format!("{MAGIC} {:08x}\n{json}\n", checksum(&json)))
}

fn kept(series: &SeriesSample) -> Option<SeriesWritten<'_>> {
    let (total, buckets) = match &series.sample {
        Sample::Gauge(_) => return None,
        Sample::Counter(total) => (total, None),
        Sample::Histogram(histogram) => {
            let buckets = (&*histogram.bounds, &*histogram.counts);
            (&histogram.sum, Some(buckets))
        }
    };
    Some(SeriesWritten {
        labels: series.labels.iter().collect(),
        created: series.created.as_micros(),
        added: series.added.as_micros(),
        total: total.to_string(),
        buckets,
    })
}

/// The file's content, if it is one that this version wrote whole.
fn read(text: &str) -> Option<Read> {
    let (first, json) = text.split_once('\n')?;
    let sum = first.strip_prefix(MAGIC)?.trim();
    let json = json.strip_suffix('\n')?;
    if u32::from_str_radix(sum, 16).ok()? != checksum(json) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn checksum(text: &str) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(text.as_bytes());
    sum.sum()
}

/// Goes on from what is in the file.
fn go_on(path: &Path, registry: &Registry, boot: &str) -> io::Result<Found> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let Some(content) = std::str::from_utf8(&bytes).ok().and_then(read) else {
        let aside = beside(path, ".damaged");
        fs::rename(path, &aside)?;
        return Ok(Found::Damaged(aside));
    };
    if !content.clean && content.boot != boot {
        return Ok(Found::Outdated);
    }
    let now = system_clock();
    let (mut series, mut left_out) = (0, 0);
    for (name, list) in content.families {
        for kept in list {
            let added = Timestamp::from_micros(kept.added);
            let of_traffic = registry.is_of_traffic(&name);
            let stale = of_traffic && now.micros_since(added) > STALE;
            let goes_on = !stale
                && sample(&kept).is_some_and(|sample| {
                    let earlier = Earlier {
                        created: Timestamp::from_micros(kept.created),
                        added,
                        sample,
                    };
                    registry.go_on(&name, &kept.labels, &earlier)
                });
            *(if goes_on { &mut series } else { &mut left_out }) += 1;
        }
    }
    Ok(Found::Totals { series, left_out })
}

fn sample(kept: &SeriesRead) -> Option<Sample> {
    let total: f64 = kept.total.parse().ok()?;
    Some(match &kept.buckets {
        None => Sample::Counter(total),
        Some((bounds, counts)) => Sample::Histogram(HistogramSample {
            bounds: bounds.as_slice().into(),
            counts: counts.as_slice().into(),
            sum: total,
            exemplars: Vec::new(),
        }),
    })
}

/// Puts a new file in the place of the old one: whoever reads finds the one or the other, whole.
fn replace(path: &Path, bytes: &[u8], last: Last) -> io::Result<()> {
    let draft = beside(path, ".new");
    let mut file = private().truncate(true).open(&draft)?;
    file.write_all(bytes)?;
    if last == Last::Yes {
        file.sync_all()?;
    }
    fs::rename(&draft, path)
}

/// For files that are their owner's alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests;
