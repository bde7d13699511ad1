//! What the system says of this process, under the names that all exporters use.

use std::{fs, sync::Arc};

use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{
    FamilySample, Labels, SeriesSample,
    names::{self, Metric},
    value::Sample,
};
use crate::{store::system_clock, time::Timestamp};

/// Reads it. Three system calls and two looks into /proc, which is Linux's: elsewhere there is less of it.
pub(super) struct Process {
    started: Timestamp,
    no_labels: Arc<Labels>,
}

impl Process {
    /// The process is taken to have started now.
    pub(super) fn new() -> Self {
        Self {
            started: system_clock(),
            no_labels: Arc::new(Labels::new(&Arc::default(), &[])),
        }
    }

    /// The families that the system has figures for.
    pub(super) fn read(&self) -> Vec<FamilySample> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let stat = Stat::parse(&stat).unwrap_or_default();
        // One of them is the folder's own, while it is read.
        let files = fs::read_dir("/proc/self/fd").map(|folder| folder.count().saturating_sub(1));
        let gauge = |value: Option<u64>| value.map(|value| Sample::Gauge(value as f64));
        let figures = [
            (&names::PROCESS_CPU, Some(Sample::Counter(cpu))),
            (
                &names::PROCESS_RESIDENT,
                gauge(stat.resident.map(|pages| pages * page_size() as u64)),
            ),
            (&names::PROCESS_VIRTUAL, gauge(stat.virtual_bytes)),
            (
                &names::PROCESS_OPEN_FDS,
                gauge(files.ok().map(|files| files as u64)),
            ),
            (
                &names::PROCESS_MAX_FDS,
                gauge(getrlimit(Resource::Nofile).current),
            ),
            (&names::PROCESS_THREADS, gauge(stat.threads)),
            (
                &names::PROCESS_START_TIME,
                Some(Sample::Gauge(self.started.as_seconds())),
            ),
        ];
        let family = |(row, sample): (&'static Metric, Option<Sample>)| {
            let series = SeriesSample {
                labels: Arc::clone(&self.no_labels),
                created: self.started,
                sample: sample?,
            };
            Some(FamilySample {
                row,
                series: vec![series],
            })
        };
        figures.into_iter().filter_map(family).collect()
    }
}

/// What is wanted of /proc/PID/stat (proc_pid_stat(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct Stat {
    threads: Option<u64>,
    virtual_bytes: Option<u64>,
    /// In pages.
    resident: Option<u64>,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field, the program's name, may hold spaces and brackets.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // The page counts the fields from 1; the rest begins with the third.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            threads: field(20),
            virtual_bytes: field(23),
            resident: field(24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 12 0 987 4096000 300 18446744073709551615 1";
        assert_eq!(
            Stat::parse(stat),
            Some(Stat {
                threads: Some(12),
                virtual_bytes: Some(4_096_000),
                resident: Some(300),
            })
        );
        assert_eq!(Stat::parse("7 (a"), None);
    }

    #[test]
    fn the_system_has_all_of_it() {
        let families = Process::new().read();
        let value = |row: &Metric| {
            let family = families.iter().find(|family| family.row == row);
            match family.map(|family| &family.series[0].sample) {
                Some(Sample::Counter(value) | Sample::Gauge(value)) => *value,
                other => panic!("{}: {other:?}", row.name),
            }
        };
        assert_eq!(families.len(), 7);
        assert!(value(&names::PROCESS_CPU) > 0.0);
        assert!(value(&names::PROCESS_RESIDENT) > 1e5);
        assert!(value(&names::PROCESS_VIRTUAL) >= value(&names::PROCESS_RESIDENT));
        assert!(value(&names::PROCESS_OPEN_FDS) >= 3.0);
        assert!(value(&names::PROCESS_MAX_FDS) >= value(&names::PROCESS_OPEN_FDS));
        assert!(value(&names::PROCESS_THREADS) >= 1.0);
    }
}
