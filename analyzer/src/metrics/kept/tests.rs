use std::os::unix::fs::MetadataExt as _;

use super::{
    super::{Format, Metrics, names},
    *,
};
use crate::fixtures;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("llmtap.db.metrics")
    }

    /// A new run that goes on from this folder.
    fn run(&self) -> (Metrics, Kept, Found) {
        let metrics = Metrics::new();
        let (kept, found) = metrics.keep(&self.path()).unwrap();
        (metrics, kept, found)
    }
}

/// What a reading shows of counters and histograms, as text.
fn totals(families: &[FamilySample]) -> Vec<String> {
    let series = families.iter().flat_map(|family| {
        let of_family = family.series.iter();
        let kept = of_family.filter(|s| !matches!(s.sample, Sample::Gauge(_)));
        kept.map(|s| {
            let sample = match &s.sample {
                Sample::Histogram(h) => format!("{:?} {:?}", h.counts, h.sum),
                other => format!("{other:?}"),
            };
            let (name, labels) = (family.row.name, &s.labels);
            format!("{name}{labels:?} {} {sample}", s.created.as_micros())
        })
    });
    series.filter(|s| !s.starts_with("process_")).collect()
}

fn observe(metrics: &Metrics) {
    let mut call = fixtures::call(1);
    call.wasted = 2_500_001;
    call.ttft = Some(123_457);
    metrics.observe_call(&call);
    metrics.capture().dropped.inc_by("ring", 3);
    metrics.in_flight().set(7);
}

#[test]
fn totals_go_on_exactly_and_gauges_do_not() {
    let folder = Folder::new();
    let (first, kept, found) = folder.run();
    assert_eq!(found, Found::Nothing);
    observe(&first);
    kept.close();
    let before = totals(&first.families());

    let (second, kept, found) = folder.run();
    assert!(
        matches!(found, Found::Totals { series, left_out: 0 } if series > 10),
        "{found:?}"
    );
    assert_eq!(totals(&second.families()), before);
    assert_eq!(second.in_flight().get(), 0);
    // The run's own figures begin at zero.
    assert_eq!(second.losses(), []);
    observe(&second);
    kept.close();
    let text = second.render(Format::Prometheus);
    assert!(
        text.contains("llmtap_capture_dropped_packets_total{reason=\"ring\"} 6\n"),
        "{text}"
    );
    assert!(
        text.contains("llmtap_wasted_seconds_total{model=\"qwen3\"} 5.000002\n"),
        "{text}"
    );
}

/// What was handed out is in the file, so an end without any warning takes nothing back.
#[test]
fn what_was_shown_was_kept_first() {
    let folder = Folder::new();
    let (metrics, kept, _) = folder.run();
    for _ in 0..20 {
        observe(&metrics);
        let shown = totals(&metrics.families());
        let other = Metrics::new();
        let boot = fs::read_to_string(BOOT_ID).unwrap();
        go_on(&folder.path(), &other.0.registry, boot.trim()).unwrap();
        assert_eq!(totals(&other.families()), shown);
    }
    kept.close();
}

#[test]
fn a_damaged_file_is_set_aside_and_what_is_left_begins_anew() {
    let folder = Folder::new();
    let (metrics, kept, _) = folder.run();
    observe(&metrics);
    kept.close();
    let whole = fs::read(folder.path()).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let newer = String::from_utf8(whole.clone())
        .unwrap()
        .replace("metrics 1", "metrics 2");
    for damaged in [
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        &flipped,
        b"",
        b"\xff\n",
        newer.as_bytes(),
    ] {
        fs::write(folder.path(), damaged).unwrap();
        let (metrics, kept, found) = folder.run();
        let Found::Damaged(aside) = found else {
            panic!("{found:?}");
        };
        assert_eq!(fs::read(aside).unwrap(), damaged);
        assert_eq!(metrics.capture().dropped.counts(), []);
        let shown = metrics.render(Format::Prometheus);
        assert!(!shown.contains("ring"), "{shown}");
        kept.close();
    }
}

#[test]
fn totals_from_before_the_machine_went_down_go_on_only_after_an_orderly_end() {
    let folder = Folder::new();
    let (metrics, kept, _) = folder.run();
    observe(&metrics);
    kept.close();
    for (clean, goes_on) in [(true, true), (false, false)] {
        let text = written(&metrics.families(), "another boot", clean).unwrap();
        fs::write(folder.path(), text).unwrap();
        let (_, kept, found) = folder.run();
        assert_eq!(matches!(found, Found::Totals { .. }), goes_on, "{found:?}");
        assert_eq!(found == Found::Outdated, !goes_on);
        kept.close();
    }
}

#[test]
fn one_process_alone_keeps_totals_in_a_file() {
    let folder = Folder::new();
    let (_, kept, _) = folder.run();
    let refused = Metrics::new().keep(&folder.path()).unwrap_err();
    assert!(matches!(refused, KeepError::Taken(_)), "{refused}");
    kept.close();
    folder.run().1.close();
}

#[test]
fn the_files_are_their_owners_alone() {
    let folder = Folder::new();
    folder.run().1.close();
    let files: Vec<_> = fs::read_dir(folder.0.path())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{file:?}");
    }
}

/// Totals that cannot be brought up to date must not come back.
#[test]
fn where_the_file_cannot_be_written_none_is_left() {
    let folder = Folder::new();
    let (metrics, kept, _) = folder.run();
    observe(&metrics);
    metrics.families();
    assert!(folder.path().exists());
    let draft = beside(&folder.path(), ".new");
    fs::create_dir(&draft).unwrap();
    observe(&metrics);
    metrics.families();
    assert!(!folder.path().exists());
    assert_eq!(metrics.0.keep_errors.counts(), [("failed", 1)]);
    fs::remove_dir(&draft).unwrap();
    metrics.families();
    assert!(folder.path().exists());
    kept.close();
}

/// Models that are gone do not take up room for ever; what the code names stays.
#[test]
fn what_nobody_added_to_for_a_month_is_left_behind() {
    let folder = Folder::new();
    let (metrics, kept, _) = folder.run();
    observe(&metrics);
    kept.close();
    let mut families = metrics.families();
    for series in families.iter_mut().flat_map(|family| &mut family.series) {
        series.added = series.added.plus_micros(-STALE - 1);
    }
    let text = written(&families, "", true).unwrap();
    fs::write(folder.path(), text).unwrap();
    let (later, kept, found) = folder.run();
    assert!(
        matches!(found, Found::Totals { left_out, .. } if left_out > 5),
        "{found:?}"
    );
    let rows: Vec<_> = later
        .families()
        .iter()
        .map(|family| family.row.name)
        .collect();
    assert!(!rows.contains(&names::CALLS.name), "{rows:?}");
    assert!(rows.contains(&names::CAPTURE_DROPPED.name), "{rows:?}");
    kept.close();
}
