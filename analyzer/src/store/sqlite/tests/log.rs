use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const BOUND: u64 = 1 << 20;

fn open_bounded(path: &Path) -> SqliteStore {
    let settings = SqliteSettings {
        max_log_bytes: Some(BOUND),
        ..SqliteSettings::default()
    };
    SqliteStore::open(path, settings).unwrap()
}

/// A reader that holds a snapshot, as a backup or an open shell does.
fn hold(path: &Path) -> Connection {
    let reader = Connection::open(path).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader
        .query_row("SELECT count(*) FROM calls", [], |_| Ok(()))
        .unwrap();
    reader
}

#[test]
fn the_log_stays_bounded_under_a_long_reader_and_writing_resumes_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open_bounded(&path);
    store.write(&[record(0)]).unwrap();
    let reader = hold(&path);
    let mut numbers = 1_u32..;
    let mut without_bodies = 0;
    let mut rows = 1;
    let refused = loop {
        let batch: Vec<_> = numbers.by_ref().take(50).map(record).collect();
        match store.write(&batch) {
            Ok(written) => {
                rows += 50;
                without_bodies += written.without_bodies;
                // Bodies go first, rows later.
                assert!(written.without_bodies == 0 || store.log.bytes() >= BOUND / 2);
            }
            Err(error) => break error,
        }
        assert!(rows < 10_000, "nothing bounds the log");
    };
    assert!(matches!(refused, StoreError::LogFull { .. }), "{refused}");
    assert!(refused.to_string().contains("--max-log-size"), "{refused}");
    assert!(without_bodies > 0);
    // A batch more than the bound, at most; and nothing is added by trying, nor by upkeep.
    let full = store.log.bytes();
    assert!((BOUND..BOUND + (1 << 20)).contains(&full), "{full}");
    assert!(store.write(&[record(0)]).is_err());
    assert!(store.probe().is_err());
    assert!(store.upkeep().unwrap().is_done());
    assert_eq!(store.log.bytes(), full);
    let seen: i64 = reader
        .query_row("SELECT count(*) FROM calls", [], |row| row.get(0))
        .unwrap();
    assert_eq!(seen, 1, "the reader's snapshot stands");

    drop(reader);
    store.log.tried = None;
    let written = store.write(&[record(u32::MAX)]).unwrap();
    assert_eq!((written.new_rows(), written.without_bodies), (1, 0));
    assert!(store.log.bytes() < BOUND / 2, "{}", store.log.bytes());
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), rows + 1);
}

/// Short readers, one after the other and never none, keep SQLite from starting the log anew by itself.
#[test]
fn short_readers_do_not_keep_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open_bounded(&path);
    store.write(&[record(0)]).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut before = hold(&path);
                while !done.load(Ordering::Relaxed) {
                    // The next begins before the last ends.
                    let next = hold(&path);
                    drop(std::mem::replace(&mut before, next));
                }
            });
        }
        let mut written = 0;
        for start in 0..100_u32 {
            store.log.tried = None;
            let batch: Vec<_> = (start * 20..start * 20 + 20).map(record).collect();
            written += store.write(&batch).map_or(0, |written| written.new_rows());
        }
        done.store(true, Ordering::Relaxed);
        // All but the first row, which was there.
        assert_eq!(written, 1_999);
    });
    assert!(store.log.bytes() < BOUND, "{}", store.log.bytes());
}
