use std::sync::mpsc::{self, Receiver, Sender};

use super::*;
use crate::{
    fixtures,
    store::{Size, Upkeep, Written},
};

/// A store whose every write is announced and waits for its verdict.
struct Scripted {
    announce: Sender<Vec<u8>>,
    verdicts: Receiver<bool>,
    next_id: i64,
}

/// The other end.
struct Script {
    batches: Receiver<Vec<u8>>,
    verdicts: Sender<bool>,
}

impl Script {
    /// The keys of the next batch that is tried; it goes the way of `verdict`.
    fn next(&self, verdict: bool) -> Vec<u8> {
        let keys = self.batches.recv().unwrap();
        self.verdicts.send(verdict).unwrap();
        keys
    }
}

impl Store for Scripted {
    fn write(&mut self, batch: &[Record]) -> Result<Written, StoreError> {
        let keys = batch
            .iter()
            .map(|record| record.call.call_key.0[0])
            .collect();
        let _ = self.announce.send(keys);
        if self.verdicts.recv().unwrap_or(true) {
            let ids = batch.iter().map(|_| {
                self.next_id += 1;
                Some(self.next_id)
            });
            Ok(Written {
                ids: ids.collect(),
                without_bodies: 0,
            })
        } else {
            Err(StoreError::Full {
                path: "test.db".into(),
            })
        }
    }

    fn upkeep(&mut self) -> Result<Upkeep, StoreError> {
        Ok(Upkeep::default())
    }

    /// Announced as a batch without rows.
    fn probe(&mut self) -> Result<(), StoreError> {
        self.write(&[]).map(drop)
    }

    fn is_over(&self) -> bool {
        false
    }

    fn size(&self) -> Option<Size> {
        None
    }
}

fn scripted(settings: WriterSettings) -> (WriterHandle, WriterThread, Script, Metrics) {
    let (announce, batches) = mpsc::channel();
    let (verdicts, heard) = mpsc::channel();
    let store = Scripted {
        announce,
        verdicts: heard,
        next_id: 0,
    };
    let metrics = Metrics::new();
    let (handle, thread) = start(Box::new(store), settings, &metrics).unwrap();
    (handle, thread, Script { batches, verdicts }, metrics)
}

/// Rows wait for each other for ever: only a full batch, a receipt or the end makes one due.
fn patient() -> WriterSettings {
    WriterSettings {
        batch_wait: Duration::from_hours(1),
        awaited_wait: Duration::ZERO,
        ..WriterSettings::default()
    }
}

fn count(metrics: &Metrics, reason: &str) -> u64 {
    let counts = metrics.store().shed.counts();
    counts
        .iter()
        .find(|(name, _)| *name == reason)
        .map_or(0, |(_, n)| *n)
}

#[test]
fn closing_writes_all_that_was_accepted() {
    let (handle, thread, script, metrics) = scripted(patient());
    for number in 1..=3 {
        handle.submit(fixtures::record(number)).unwrap();
    }
    let closing = thread::spawn(move || thread.close());
    assert_eq!(script.next(true), [1, 2, 3]);
    let summary = closing.join().unwrap();
    assert_eq!(
        summary,
        Summary {
            rows: 3,
            duplicates: 0,
            lost: 0
        }
    );
    assert_eq!(handle.submit(fixtures::record(4)), Err(Shed::Closed));
    assert_eq!(metrics.store().queue_rows.get(), 0);
    assert_eq!(metrics.store().queue_bytes.get(), 0);
}

#[test]
fn a_full_batch_is_due_at_once() {
    let (handle, _thread, script, _) = scripted(WriterSettings {
        batch_rows: 2,
        ..patient()
    });
    for number in 1..=5 {
        handle.submit(fixtures::record(number)).unwrap();
    }
    assert_eq!(script.next(true), [1, 2]);
    assert_eq!(script.next(true), [3, 4]);
    script.verdicts.send(true).unwrap();
}

#[test]
fn a_row_does_not_wait_longer_than_the_batch_may() {
    let (handle, _thread, script, _) = scripted(WriterSettings {
        batch_wait: Duration::from_millis(1),
        ..patient()
    });
    handle.submit(fixtures::record(1)).unwrap();
    assert_eq!(script.next(true), [1]);
}

#[test]
fn a_receipt_comes_after_the_commit() {
    let (handle, _thread, script, _) = scripted(patient());
    handle.submit(fixtures::record(1)).unwrap();
    let mut receipt = handle.submit_acked(fixtures::record(2)).unwrap();
    assert_eq!(script.batches.recv().unwrap(), [1, 2]);
    assert!(receipt.try_recv().is_err());
    script.verdicts.send(true).unwrap();
    assert_eq!(
        receipt.blocking_recv().unwrap(),
        Ok(Receipt { id: Some(2) })
    );
}

#[test]
fn a_full_queue_sheds_and_never_blocks() {
    let (handle, _thread, script, metrics) = scripted(WriterSettings {
        queue_rows: 2,
        batch_rows: 1,
        ..patient()
    });
    handle.submit(fixtures::record(1)).unwrap();
    // The first row is in the writer's hands from here on, and still counts.
    assert_eq!(script.batches.recv().unwrap(), [1]);
    handle.submit(fixtures::record(2)).unwrap();
    assert_eq!(handle.submit(fixtures::record(3)), Err(Shed::Rows));
    assert_eq!(count(&metrics, "queue_rows"), 1);
    script.verdicts.send(true).unwrap();
    assert_eq!(script.next(true), [2]);
    handle.submit_blocking(fixtures::record(4)).unwrap();
    assert_eq!(script.next(true), [4]);
}

#[test]
fn bodies_go_before_rows() {
    let size = |record| Entry::new(record, None).bytes;
    let bare = Record {
        bodies: None,
        ..fixtures::record(1)
    };
    let (handle, thread, script, metrics) = scripted(WriterSettings {
        queue_bytes: size(fixtures::record(1)) + size(bare),
        ..patient()
    });
    handle.submit(fixtures::record(1)).unwrap();
    handle.submit(fixtures::record(2)).unwrap();
    assert_eq!(count(&metrics, "bodies"), 1);
    assert_eq!(handle.submit(fixtures::record(3)), Err(Shed::Bytes));
    let closing = thread::spawn(move || thread.close());
    assert_eq!(script.next(true), [1, 2]);
    assert_eq!(closing.join().unwrap().rows, 2);
}

#[test]
fn an_empty_queue_takes_a_row_of_any_size() {
    let (handle, _thread, script, _) = scripted(WriterSettings {
        queue_bytes: 1,
        batch_bytes: 1,
        ..patient()
    });
    handle.submit_blocking(fixtures::record(1)).unwrap();
    assert_eq!(script.next(true), [1]);
}

#[test]
fn a_blocked_submitter_goes_on_when_there_is_room() {
    let (handle, _thread, script, metrics) = scripted(WriterSettings {
        queue_rows: 1,
        batch_rows: 1,
        ..patient()
    });
    let submitter = thread::spawn(move || {
        for number in 1..=20 {
            handle.submit_blocking(fixtures::record(number)).unwrap();
        }
    });
    for number in 1..=20 {
        assert_eq!(script.next(true), [number]);
    }
    submitter.join().unwrap();
    assert_eq!(count(&metrics, "queue_rows"), 0);
}

#[test]
fn a_failing_store_is_tried_again_until_it_works() {
    let (handle, _thread, script, metrics) = scripted(WriterSettings {
        batch_rows: 1,
        ..patient()
    });
    handle.submit(fixtures::record(1)).unwrap();
    assert_eq!(script.next(false), [1]);
    // The second try comes after the first was noted.
    assert_eq!(script.batches.recv().unwrap(), [1]);
    assert!(
        matches!(handle.health(), Health::Failing(why) if why.contains("disk") && why.contains("full"))
    );
    script.verdicts.send(true).unwrap();
    handle.submit(fixtures::record(2)).unwrap();
    assert_eq!(script.batches.recv().unwrap(), [2]);
    assert_eq!(handle.health(), Health::Storing);
    script.verdicts.send(true).unwrap();
    assert_eq!(metrics.store().errors.counts(), [("full", 1)]);
}

#[test]
fn a_store_that_failed_with_nothing_left_to_write_is_probed_until_it_works() {
    let (handle, _thread, script, metrics) = scripted(patient());
    let refused = handle.submit_acked(fixtures::record(1)).unwrap();
    assert_eq!(script.next(false), [1]);
    assert!(refused.blocking_recv().unwrap().is_err());
    assert!(script.next(false).is_empty());
    // The second probe comes after the first was noted.
    assert!(script.batches.recv().unwrap().is_empty());
    assert!(matches!(handle.health(), Health::Failing(_)));
    script.verdicts.send(true).unwrap();
    // No more probes: the next that comes is a row.
    let stored = handle.submit_acked(fixtures::record(2)).unwrap();
    assert_eq!(script.batches.recv().unwrap(), [2]);
    assert_eq!(handle.health(), Health::Storing);
    script.verdicts.send(true).unwrap();
    assert!(stored.blocking_recv().unwrap().is_ok());
    assert_eq!(metrics.store().errors.counts(), [("full", 2)]);
}

#[test]
fn who_waits_is_told_and_that_row_is_not_stored_later() {
    let (handle, thread, script, metrics) = scripted(patient());
    handle.submit(fixtures::record(1)).unwrap();
    let refused = handle.submit_acked(fixtures::record(2)).unwrap();
    assert_eq!(script.batches.recv().unwrap(), [1, 2]);
    // One more that waits in the queue while the batch fails.
    let also_refused = handle.submit_acked(fixtures::record(3)).unwrap();
    script.verdicts.send(false).unwrap();
    let told = refused.blocking_recv().unwrap().unwrap_err();
    assert!(told.to_string().contains("full"), "{told}");
    assert!(also_refused.blocking_recv().unwrap().is_err());
    let closing = thread::spawn(move || thread.close());
    assert_eq!(script.next(true), [1]);
    assert_eq!(
        closing.join().unwrap(),
        Summary {
            rows: 1,
            duplicates: 0,
            lost: 0
        }
    );
    assert_eq!(count(&metrics, "refused"), 2);
}

#[test]
fn a_store_that_fails_to_the_end_does_not_hold_the_end_up() {
    let (handle, thread, script, metrics) = scripted(patient());
    handle.submit(fixtures::record(1)).unwrap();
    let closing = thread::spawn(move || thread.close());
    for _ in 0..TRIES_AT_CLOSE {
        assert_eq!(script.next(false), [1]);
    }
    assert_eq!(
        closing.join().unwrap(),
        Summary {
            rows: 0,
            duplicates: 0,
            lost: 1
        }
    );
    assert_eq!(count(&metrics, "lost_at_close"), 1);
}

/// Many threads, a real file, a small queue: every accepted row is there, every other one is counted.
#[test]
fn nothing_accepted_is_lost_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let store =
        crate::store::SqliteStore::open(&path, crate::store::SqliteSettings::default()).unwrap();
    let metrics = Metrics::new();
    let settings = WriterSettings {
        queue_rows: 64,
        batch_rows: 16,
        ..WriterSettings::default()
    };
    let (handle, thread) = start(Box::new(store), settings, &metrics).unwrap();
    let accepted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u8)
            .map(|thread| {
                let handle = handle.clone();
                scope.spawn(move || {
                    (0..500_u16)
                        .filter(|number| {
                            let mut record = fixtures::record(thread);
                            record.call.call_key.0[1..3].copy_from_slice(&number.to_be_bytes());
                            handle.submit(record).is_ok()
                        })
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    let summary = thread.close();
    assert_eq!(summary.rows as usize, accepted);
    assert_eq!(count(&metrics, "queue_rows") as usize, 2_000 - accepted);
    let reader = crate::store::Reader::open(&path).unwrap();
    assert_eq!(reader.calls().unwrap() as usize, accepted);
}

/// A store that takes rows, but cannot condense them.
struct Uncondensable;

impl Store for Uncondensable {
    fn write(&mut self, batch: &[Record]) -> Result<Written, StoreError> {
        Ok(Written {
            ids: vec![Some(1); batch.len()],
            without_bodies: 0,
        })
    }

    fn upkeep(&mut self) -> Result<Upkeep, StoreError> {
        Ok(Upkeep::default())
    }

    fn condense(&mut self) -> Result<bool, StoreError> {
        Err(StoreError::Full {
            path: "test.db".into(),
        })
    }

    fn is_condensable(&self) -> bool {
        true
    }

    fn is_over(&self) -> bool {
        false
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn size(&self) -> Option<Size> {
        None
    }
}

#[test]
fn condensing_that_fails_waits_for_its_time() {
    let metrics = Metrics::new();
    let settings = WriterSettings::default();
    let (handle, thread) = start(Box::new(Uncondensable), settings, &metrics).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < 4 * UPKEEP_STEP {
        let receipt = handle.submit_acked(fixtures::record(1)).unwrap();
        receipt.blocking_recv().unwrap().unwrap();
    }
    thread.close();
    let errors = metrics.store().errors.counts();
    let full = errors.iter().find(|(kind, _)| *kind == "full");
    assert_eq!(full.map(|(_, count)| *count), Some(1), "{errors:?}");
}
