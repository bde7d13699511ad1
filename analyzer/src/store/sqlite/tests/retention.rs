use super::*;
use crate::store::Removed;

const WEEK: i64 = 7 * 86_400 * 1_000_000;

fn settings(rows: Keep, bodies: Keep, clock: fn() -> Timestamp) -> SqliteSettings {
    SqliteSettings {
        retention: Retention { rows, bodies },
        clock,
        ..SqliteSettings::default()
    }
}

const fn age(days: u64) -> Keep {
    Keep {
        max_age: Some(Duration::from_hours(days * 24)),
        max_bytes: None,
    }
}

const fn size(bytes: u64) -> Keep {
    Keep {
        max_age: None,
        max_bytes: Some(bytes),
    }
}

/// All steps that there are to do.
fn clean(store: &mut SqliteStore) -> Upkeep {
    let mut sum = Upkeep::default();
    loop {
        let step = store.upkeep().unwrap();
        if step.is_done() {
            return sum;
        }
        sum.rows.by_age += step.rows.by_age;
        sum.rows.by_size += step.rows.by_size;
        sum.bodies.by_age += step.bodies.by_age;
        sum.bodies.by_size += step.bodies.by_size;
        sum.freed += step.freed;
    }
}

/// What the tallies say is what the tables hold.
fn check_tallies(store: &SqliteStore) {
    assert_eq!(
        number(store, "SELECT rows FROM tallies"),
        number(store, "SELECT count(*) FROM calls")
    );
    let bytes: i64 = ids(store, "SELECT bytes FROM bodies")
        .into_iter()
        .map(body_disk_bytes)
        .sum();
    assert_eq!(number(store, "SELECT body_bytes FROM tallies"), bytes);
}

#[test]
fn old_bodies_go_and_rows_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let open = |clock| SqliteStore::open(&path, settings(Keep::ALL, age(7), clock)).unwrap();
    let mut store = open(|| Timestamp::from_micros(0));
    let batch: Vec<_> = (0..150).map(record).collect();
    store.write(&batch).unwrap();
    drop(store);
    let mut store = open(|| Timestamp::from_micros(WEEK));
    store.write(&[record(200)]).unwrap();
    assert!(store.upkeep().unwrap().is_done());
    drop(store);
    let mut store = open(|| Timestamp::from_micros(WEEK + 1));
    let expected = Removed {
        by_age: 150,
        by_size: 0,
    };
    assert_eq!(clean(&mut store).bodies, expected);
    assert_eq!(ids(&store, "SELECT call_id FROM bodies"), [151]);
    assert_eq!(store.size().unwrap().rows, 151);
    check_tallies(&store);
}

#[test]
fn old_rows_go_with_their_bodies_by_when_they_were_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let open = |clock| SqliteStore::open(&path, settings(age(7), Keep::ALL, clock)).unwrap();
    let mut store = open(|| Timestamp::from_micros(0));
    let batch: Vec<_> = (0..150).map(record).collect();
    store.write(&batch).unwrap();
    drop(store);
    let mut store = open(|| Timestamp::from_micros(WEEK + 1));
    store.write(&[record(200)]).unwrap();
    let expected = Removed {
        by_age: 150,
        by_size: 0,
    };
    assert_eq!(clean(&mut store).rows, expected);
    assert_eq!(ids(&store, "SELECT id FROM calls"), [151]);
    assert_eq!(ids(&store, "SELECT call_id FROM bodies"), [151]);
    check_tallies(&store);
    // Ids are never given twice.
    store.write(&[record(201)]).unwrap();
    assert_eq!(ids(&store, "SELECT id FROM calls ORDER BY id"), [151, 152]);
}

#[test]
fn the_oldest_bodies_go_when_all_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    // A record's two bodies have 21 bytes, and take 85.
    let settings = settings(Keep::ALL, size(4 * 85 + 20), || Timestamp::from_micros(5));
    let mut store = SqliteStore::open(&path, settings).unwrap();
    store
        .write(&(1..=9).map(record).collect::<Vec<_>>())
        .unwrap();
    assert!(store.is_over());
    let expected = Removed {
        by_age: 0,
        by_size: 5,
    };
    assert_eq!(clean(&mut store).bodies, expected);
    assert!(!store.is_over());
    let left = "SELECT call_id FROM bodies ORDER BY call_id";
    assert_eq!(ids(&store, left), [6, 7, 8, 9]);
    drop(store);
    let mut store = SqliteStore::open(&path, settings).unwrap();
    store.write(&[record(10)]).unwrap();
    assert_eq!(clean(&mut store).bodies.by_size, 1);
    assert_eq!(ids(&store, left), [7, 8, 9, 10]);
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 10);
    check_tallies(&store);
}

/// Rows of about a page each.
fn large(numbers: std::ops::Range<u32>) -> Vec<Record> {
    let large = |number| {
        let mut record = record(number);
        record.call.request_model = Some("m".repeat(3_500));
        record
    };
    numbers.map(large).collect()
}

#[test]
fn the_oldest_rows_go_when_all_are_too_large_and_the_file_gives_the_room_back() {
    const BOUND: u64 = 4 << 20;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let all = SqliteSettings {
        retention: Retention::NONE,
        ..SqliteSettings::default()
    };
    let mut store = SqliteStore::open(&path, all).unwrap();
    for start in (0..4_000).step_by(500) {
        store.write(&large(start..start + 500)).unwrap();
        assert!(!store.is_over());
    }
    assert!(store.upkeep().unwrap().is_done());
    drop(store);
    let full = fs::metadata(&path).unwrap().len();
    assert!(full > 16 << 20, "{full}");

    let bounded = settings(size(BOUND), Keep::ALL, system_clock);
    let mut store = SqliteStore::open(&path, bounded).unwrap();
    let done = clean(&mut store);
    let left = number(&store, "SELECT count(*) FROM calls");
    assert_eq!(done.rows.by_size as i64 + left, 4_000);
    assert_eq!(done.rows.by_age, 0);
    assert_eq!(number(&store, "SELECT min(id) FROM calls"), 4_001 - left);
    check_tallies(&store);
    // What is left fills the bound nearly, and the free pages that are kept are few.
    let used = number(
        &store,
        "SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)",
    ) as u64
        * 4_096;
    assert!(
        (BOUND * 7 / 8..=BOUND + (256 << 10)).contains(&used),
        "{used}"
    );
    assert!(done.freed > 4 << 20, "{done:?}");
    let after = fs::metadata(&path).unwrap().len();
    assert!(after <= BOUND + (5 << 20), "{after}");
    let check: String = store
        .db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");

    // Under load it stays there: a step between batches is enough.
    for start in (4_000..8_000).step_by(100) {
        store.write(&large(start..start + 100)).unwrap();
        if store.is_over() {
            store.upkeep().unwrap();
        }
    }
    clean(&mut store);
    let end = fs::metadata(&path).unwrap().len();
    assert!(end <= BOUND + (5 << 20), "{end}");
}

/// The old tracker's offsets count what was there once: who asks for the next record gets it.
#[test]
fn offsets_stay_when_rows_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let open = |clock| SqliteStore::open(&path, settings(age(7), Keep::ALL, clock)).unwrap();
    let mut store = open(|| Timestamp::from_micros(0));
    let mut batch: Vec<_> = (1..=3).map(record).collect();
    batch[1].call.outer_of = Some(batch[0].call.call_key);
    store.write(&batch).unwrap();
    drop(store);
    let mut store = open(|| Timestamp::from_micros(WEEK + 1));
    let mut later = record(4);
    later.call.request_model = Some("later".into());
    store.write(&[later]).unwrap();
    let model = |offset| {
        let reader = Reader::open(&path).unwrap();
        let record = reader.record_at_offset(offset).unwrap();
        record.and_then(|record| record.model)
    };
    assert_eq!(model(2).as_deref(), Some("later"));
    assert_eq!(clean(&mut store).rows.by_age, 3);
    assert_eq!(model(2).as_deref(), Some("later"));
    assert_eq!([0, 1, 3].map(model), [None, None, None]);
}

#[test]
fn what_somebody_else_removed_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = SqliteStore::open(&path, settings(Keep::ALL, size(100), system_clock)).unwrap();
    store
        .write(&(1..=3).map(record).collect::<Vec<_>>())
        .unwrap();
    store.db.execute("DELETE FROM bodies", []).unwrap();
    assert!(store.is_over());
    assert_eq!(clean(&mut store), Upkeep::default());
    assert!(!store.is_over());
    check_tallies(&store);
}

/// No step reads or sorts more than what it removes.
#[test]
fn removal_goes_by_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("llmtap.db"));
    for sql in [
        crate::store::sqlite::retention::OLDEST_BODIES,
        crate::store::sqlite::retention::OLDEST_ROWS,
        "DELETE FROM bodies WHERE call_id = ?1",
        "DELETE FROM calls WHERE id = ?1",
    ] {
        let plan = format!("EXPLAIN QUERY PLAN {}", sql.replace("?1", "1"));
        let mut select = store.db.prepare(&plan).unwrap();
        let steps: Vec<String> = select
            .query_map([], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let by_id = sql == crate::store::sqlite::retention::OLDEST_ROWS;
        let steps = steps.join("; ");
        assert!(!steps.contains("TEMP B-TREE"), "{sql}: {steps}");
        assert!(by_id || steps.contains("USING"), "{sql}: {steps}");
    }
}
