use std::io::{Seek as _, SeekFrom, Write as _};

use super::*;
use crate::store::Session;

/// Files beside a database that were set aside.
fn aside(path: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(path.parent().unwrap()).unwrap();
    let paths = names.map(|entry| entry.unwrap().path());
    let mut aside: Vec<_> = paths
        .filter(|path| path.to_str().unwrap().contains(".damaged-"))
        .collect();
    aside.sort();
    aside
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// A closed database with some rows.
fn filled(path: &Path) {
    let mut store = open(path);
    store
        .write(&(0..300).map(record).collect::<Vec<_>>())
        .unwrap();
}

type Damage = fn(&Path);

/// What can become of a file of ours, and is known for ours still.
const KINDS: [(&str, Damage); 6] = [
    ("the magic is gone", |path| {
        overwrite(path, 0, b"not a database at all");
    }),
    ("the first page is zeros", |path| {
        overwrite(path, 0, &[0; 4_096]);
    }),
    ("pages are torn", |path| {
        for page in 4..60 {
            overwrite(path, page * 4_096, &[0xa5; 512]);
        }
    }),
    ("the end is missing", |path| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(20 * 4_096).unwrap();
    }),
    ("all is zeros", |path| {
        let length = fs::metadata(path).unwrap().len();
        fs::write(path, vec![0; length as usize]).unwrap();
    }),
    ("the schema is torn", |path| {
        overwrite(path, 100, &[0xff; 40]);
    }),
];

#[test]
fn a_damaged_database_is_set_aside_and_a_new_one_begun() {
    for (what, damage) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("llmtap.db");
        filled(&path);
        damage(&path);
        let before = fs::read(&path).unwrap();
        let mut store = open(&path);
        assert_eq!(number(&store, "SELECT count(*) FROM calls"), 0, "{what}");
        assert_eq!(store.write(&[record(1)]).unwrap().new_rows(), 1, "{what}");
        let aside = aside(&path);
        assert_eq!(aside.len(), 1, "{what}: {aside:?}");
        assert_eq!(fs::read(&aside[0]).unwrap(), before, "{what}");
        assert_eq!(mode(&path), 0o600, "{what}");
        assert_eq!(mode(&aside[0]), 0o600, "{what}");
    }
}

/// Whatever a wrong --db names, it stays where it is.
#[test]
fn what_is_not_known_for_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours.db");
    filled(&ours);
    let dump = format!("CREATE TABLE calls (\n id INTEGER);\n{}", "x".repeat(5_000));
    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE other (id INTEGER); INSERT INTO other VALUES (1)")
        .unwrap();
    let mut torn = fs::read(&foreign).unwrap();
    torn[4_096..].fill(0xa5);
    torn[100..200].fill(0xff);
    for (name, bytes) in [
        ("passwd", b"root:x:0:0:root:/root:/bin/bash\n".repeat(40)),
        ("noise", vec![0xa5; 8_192]),
        ("dump.sql", dump.into_bytes()),
        ("torn-foreign.db", torn),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let error = SqliteStore::open(&path, SqliteSettings::default()).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::NotADatabase { .. } | StoreError::Foreign { .. }
            ),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("--db PATH"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
        assert!(aside(&path).is_empty(), "{name}");
    }
}

/// Damage that is met while rows are written: the batch that met it comes into the new file.
#[test]
fn damage_that_is_met_later_is_set_aside_at_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    filled(&path);
    let mut store = open(&path);
    let mut reader = Reader::open(&path).unwrap();
    // The pages of the index of keys, which every row touches; past what is in memory.
    let pages = number(&store, "PRAGMA page_count") as u64;
    store.db.execute_batch("PRAGMA shrink_memory").unwrap();
    for page in 2..pages {
        overwrite(&path, page * 4_096, &[0xa5; 4_096]);
    }
    let batch: Vec<_> = (1_000..1_300).map(record).collect();
    let error = store.write(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(error.kind(), "damaged");
    assert!(store.upkeep().unwrap().is_done());
    assert_eq!(store.write(&batch).unwrap().new_rows(), 300);
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 300);
    assert_eq!(
        number(
            &store,
            "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"
        ),
        1
    );
    assert_eq!(
        aside(&path)
            .iter()
            .filter(|path| !path.to_str().unwrap().ends_with("-wal"))
            .count(),
        1
    );
    // Who reads finds the new file.
    reader.follow().unwrap();
    assert_eq!(reader.calls().unwrap(), 300);
}

#[test]
fn a_disk_that_damages_everything_is_not_filled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    for _ in 0..5 {
        filled(&path);
        overwrite(&path, 0, &[0xa5; 100]);
        open(&path);
    }
    overwrite(&path, 0, &[0xa5; 100]);
    let error = SqliteStore::open(&path, SqliteSettings::default()).unwrap_err();
    assert!(matches!(error, StoreError::SetAside { .. }), "{error}");
    assert!(error.to_string().contains("move them away"), "{error}");
    assert_eq!(aside(&path).len(), 5);
}

#[test]
fn a_file_that_is_removed_or_replaced_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open(&path);
    let mut reader = Reader::open(&path).unwrap();
    store.write(&[record(1)]).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    assert_eq!(store.write(&[record(2), record(3)]).unwrap().new_rows(), 2);
    reader.follow().unwrap();
    assert_eq!(reader.calls().unwrap(), 2);
    let old = dir.path().join("old.db");
    for suffix in ["", "-wal", "-shm"] {
        fs::rename(beside(&path, suffix), beside(&old, suffix)).unwrap();
    }
    open(&path).write(&[record(7)]).unwrap();
    assert_eq!(store.write(&[record(8)]).unwrap().new_rows(), 1);
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 2);
    assert_eq!(Reader::open(&old).unwrap().calls().unwrap(), 2);
}

#[test]
fn a_file_that_is_moved_takes_its_rows_along_and_the_new_one_knows_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let moved = dir.path().join("moved.db");
    let mut store = open(&path);
    for number in 0..50 {
        store.write(&[record(number)]).unwrap();
    }
    // Somebody reads on, as a shell that is open or the API does.
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.calls().unwrap(), 50);
    let session = Session::open(&path).unwrap();
    assert!(session.is_current());
    // The file alone: what stood in its log alone comes along.
    fs::rename(&path, &moved).unwrap();
    assert!(!session.is_current());
    store.write(&[record(100)]).unwrap();
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 1);
    assert_eq!(reader.calls().unwrap(), 50);
    drop((reader, session));
    store.write(&[record(101)]).unwrap();
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 2);
    drop(store);
    for (path, rows) in [(&path, 2), (&moved, 50)] {
        let db = Connection::open(path).unwrap();
        let text = |sql| {
            db.query_row(sql, [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!(text("PRAGMA integrity_check"), "ok");
        assert_eq!(
            text("SELECT CAST(count(*) AS TEXT) FROM calls"),
            rows.to_string()
        );
    }
}
