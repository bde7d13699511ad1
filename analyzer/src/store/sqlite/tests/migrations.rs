//! From every earlier schema to the newest. `tests/data/schema/` has a file of each, with rows, written by the
//! llmtap of its time.

use super::*;

const EARLIER: [(u32, &str); 2] = [
    (1, include_str!("../../../../../tests/data/schema/v1.sql")),
    (2, include_str!("../../../../../tests/data/schema/v2.sql")),
];

/// A database as it was, with its rows.
fn make(path: &Path, sql: &str) {
    let db = Connection::open(path).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    // The tables of a dump stand in the order of their names.
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(sql).unwrap();
}

/// Tables, their columns in order with type and constraints, indexes, views and triggers. Columns' comments
/// are the only thing that may differ.
fn shape(db: &Connection) -> Vec<String> {
    let sql = "SELECT s.type || ' ' || s.name || ' ' || s.tbl_name || ' '
            || ifnull(c.cid || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk || ' ' || c.hidden, '')
            || CASE s.type WHEN 'view' THEN s.sql ELSE '' END
        FROM sqlite_schema AS s LEFT JOIN pragma_table_xinfo(s.name) AS c ORDER BY s.name, c.cid";
    let mut select = db.prepare(sql).unwrap();
    let lines = select.query_map([], |row| row.get(0)).unwrap();
    lines.collect::<rusqlite::Result<_>>().unwrap()
}

/// Every row of a table, in order, by the names of the columns that it had.
fn rows(db: &Connection, columns: &[String], table: &str) -> Vec<String> {
    let sql = format!("SELECT {} FROM {table} ORDER BY 1", columns.join(", "));
    let mut select = db.prepare(&sql).unwrap();
    let lines = select
        .query_map([], |row| {
            let cells = (0..columns.len()).map(|place| Ok(format!("{:?}", row.get_ref(place)?)));
            Ok(cells.collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
        })
        .unwrap();
    lines.collect::<rusqlite::Result<_>>().unwrap()
}

fn columns(db: &Connection, table: &str) -> Vec<String> {
    let mut select = db
        .prepare("SELECT '\"' || name || '\"' FROM pragma_table_info(?1)")
        .unwrap();
    let names = select.query_map([table], |row| row.get(0)).unwrap();
    names.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn there_is_a_file_of_every_earlier_schema() {
    let versions: Vec<_> = EARLIER.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, (1..schema::NEWEST).collect::<Vec<_>>());
}

#[test]
fn every_earlier_schema_becomes_the_newest_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = open(&dir.path().join("fresh.db"));
    for (version, sql) in EARLIER {
        let path = dir.path().join(format!("v{version}.db"));
        make(&path, sql);
        let db = Connection::open(&path).unwrap();
        let found: u32 = db
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(found, version);
        let tables = ["calls", "bodies", "token_stats"].map(|table| {
            let columns = columns(&db, table);
            let rows = rows(&db, &columns, table);
            (table, columns, rows)
        });
        assert_eq!(tables[0].2.len(), 5, "rows of version {version}");
        assert_eq!(tables[1].2.len(), 4, "bodies of version {version}");
        drop(db);

        let mut store = open(&path);
        assert_eq!(shape(&store.db), shape(&fresh.db), "version {version}");
        for (table, columns, before) in &tables {
            assert_eq!(
                &rows(&store.db, columns, table),
                before,
                "{table} of version {version}"
            );
        }
        assert_eq!(
            number(&store, "PRAGMA user_version"),
            i64::from(schema::NEWEST)
        );
        assert_eq!(number(&store, "SELECT rows FROM tallies"), 5);
        let reckoned: i64 = ids(&store, "SELECT bytes FROM bodies")
            .into_iter()
            .map(body_disk_bytes)
            .sum();
        assert_eq!(number(&store, "SELECT body_bytes FROM tallies"), reckoned);
        // Small: rewritten, so that it can give room back.
        assert_eq!(number(&store, "PRAGMA auto_vacuum"), open::INCREMENTAL);
        // Its rows are as old as the migration, not as the calls: nothing goes at once.
        assert!(store.upkeep().unwrap().is_done());
        assert_eq!(store.write(&[record(1)]).unwrap().ids, [Some(6)]);
        assert_eq!(
            number(&store, "SELECT count(*) FROM calls WHERE stored_at IS NULL"),
            5
        );
    }
}

const DAYS_90: i64 = 90 * 86_400 * 1_000_000;

/// Rows of before schema 3 go when the time since the migration is over.
#[test]
fn rows_without_an_age_have_that_of_the_migration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    make(&path, EARLIER[1].1);
    open(&path)
        .db
        .execute("UPDATE tallies SET since = 1000", [])
        .unwrap();
    let keep = |clock| SqliteSettings {
        clock,
        ..SqliteSettings::default()
    };
    let mut store =
        SqliteStore::open(&path, keep(|| Timestamp::from_micros(1_000 + DAYS_90))).unwrap();
    while !store.upkeep().unwrap().is_done() {}
    assert_eq!(number(&store, "SELECT count(*) FROM calls"), 5);
    drop(store);
    let mut store =
        SqliteStore::open(&path, keep(|| Timestamp::from_micros(1_001 + DAYS_90))).unwrap();
    assert_eq!(store.upkeep().unwrap().rows.by_age, 5);
}

#[test]
fn a_large_file_of_an_older_schema_is_not_rewritten_and_works_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    make(&path, EARLIER[1].1);
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 170)
         INSERT INTO calls (id, call_key, path) SELECT i, randomblob(16), hex(zeroblob(500000)) FROM n",
    )
    .unwrap();
    drop(db);
    let settings = SqliteSettings {
        retention: Retention {
            rows: Keep {
                max_age: None,
                max_bytes: Some(8 << 20),
            },
            ..Retention::NONE
        },
        ..SqliteSettings::default()
    };
    let mut store = SqliteStore::open(&path, settings).unwrap();
    assert_eq!(number(&store, "PRAGMA auto_vacuum"), 0);
    let mut removed = 0;
    loop {
        let step = store.upkeep().unwrap();
        if step.is_done() {
            break;
        }
        removed += step.rows.by_size;
        assert_eq!(step.freed, 0);
    }
    assert!(removed > 60, "{removed}");
    // The free pages are used again.
    let pages = number(&store, "PRAGMA page_count");
    store
        .write(&(0..500).map(record).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(number(&store, "PRAGMA page_count"), pages);
}
