mod damage;
mod log;
mod migrations;
mod retention;

use std::{os::unix::fs::PermissionsExt as _, thread};

use super::{open::beside, *};
use crate::{
    call::{CallKey, StoredBody},
    fixtures,
    store::{Reader, TokenStat},
};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteSettings::default()).unwrap()
}

/// A record of any number.
fn record(number: u32) -> Record {
    let mut record = fixtures::record(0);
    let mut key = [0; 16];
    // Spread, as a hash is.
    key[..8].copy_from_slice(
        &u64::from(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    );
    key[8..12].copy_from_slice(&number.to_be_bytes());
    record.call.call_key = CallKey(key);
    record
}

fn number(store: &SqliteStore, sql: &str) -> i64 {
    store.db.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn ids(store: &SqliteStore, sql: &str) -> Vec<i64> {
    let mut select = store.db.prepare(sql).unwrap();
    let ids = select.query_map([], |row| row.get(0)).unwrap();
    ids.collect::<rusqlite::Result<_>>().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn folder_and_files_are_for_the_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/deeper/llmtap.db");
    let mut store = open(&path);
    store.write(&[fixtures::record(1)]).unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
    }
    let size = store.size().unwrap();
    assert!(size.database > 0 && size.log > 4096, "{size:?}");
    assert_eq!(size.rows, 1);
}

#[test]
fn the_mode_of_a_folder_that_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    open(&dir.path().join("llmtap.db"));
    assert_eq!(mode(dir.path()), 0o755);
}

#[test]
fn the_database_is_durable_and_named_as_ours() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("llmtap.db"));
    let text = |pragma| -> String {
        store
            .db
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    };
    let number = |pragma| -> i64 {
        store
            .db
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(number("synchronous"), 2);
    assert_eq!(number("application_id"), i64::from(schema::APPLICATION_ID));
    assert_eq!(number("user_version"), i64::from(schema::NEWEST));
}

#[test]
fn a_row_is_stored_once_whoever_sends_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open(&path);
    let batch = [
        fixtures::record(1),
        fixtures::record(2),
        fixtures::record(1),
    ];
    let first = store.write(&batch).unwrap();
    assert_eq!(first.new_rows(), 2);
    assert_eq!(first.ids[2], None);
    drop(store);
    let mut store = open(&path);
    assert_eq!(store.write(&batch).unwrap().ids, [None, None, None]);
    assert_eq!(Reader::open(&path).unwrap().calls().unwrap(), 2);
}

/// Every column of the table comes back from SQLite as it went in.
#[test]
fn every_column_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("llmtap.db"));
    let mut record = fixtures::record(3);
    record.call.user = Some("u".into());
    record.call.input_tokens = Some(u64::MAX);
    store.write(std::slice::from_ref(&record)).unwrap();
    for column in CALL_COLUMNS {
        let sql = format!("SELECT \"{}\" FROM calls", column.name);
        let stored: rusqlite::types::Value =
            store.db.query_row(&sql, [], |row| row.get(0)).unwrap();
        let cell = Cell((column.get)(&record.call));
        let sent = match cell.to_sql().unwrap() {
            ToSqlOutput::Borrowed(value) => value.try_into().unwrap(),
            ToSqlOutput::Owned(value) => value,
            other => panic!("{other:?}"),
        };
        assert_eq!(stored, sent, "{}", column.name);
    }
    let ttft: i64 = store
        .db
        .query_row("SELECT ttft FROM calls", [], |r| r.get(0))
        .unwrap();
    assert_eq!(ttft, 52_000);
}

#[test]
fn the_old_view_has_its_columns_and_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("llmtap.db"));
    let mut report = fixtures::record(2);
    report.call.reported_timestamp = Some("yesterday".into());
    report.call.client = None;
    report.call.input_tokens = None;
    report.call.elapsed = None;
    report.bodies = None;
    store.write(&[fixtures::record(1), report]).unwrap();
    let mut select = store
        .db
        .prepare("SELECT * FROM token_stats ORDER BY id")
        .unwrap();
    let expected = "id,input_tokens,output_tokens,total_tokens,elapsed_time,tokens_per_second,\
        timestamp,path,model,ip_address,request_body,response_body";
    assert_eq!(
        select.column_names().collect::<Vec<_>>().join(","),
        expected
    );
    let rows: Vec<String> = select
        .query_map([], |row| {
            let cells: Vec<String> = (0..12)
                .map(|i| Ok(format!("{:?}", row.get_ref(i)?)))
                .collect::<rusqlite::Result<_>>()?;
            Ok(cells.join(" "))
        })
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let text = |s: &str| format!("{:?}", ValueRef::Text(s.as_bytes()));
    assert!(
        rows[0].starts_with("Integer(1) Integer(10) Integer(20) Integer(30) Real(1.5) Real(20.0) ")
    );
    assert!(
        rows[0].contains(&text("2026-01-01T00:00:01.500000Z")),
        "{}",
        rows[0]
    );
    assert!(rows[0].ends_with(&format!(
        "{} {} {}",
        text("192.0.2.7"),
        text("{\"q\":1}"),
        text("data: [DONE]\n\n")
    )));
    assert!(
        rows[1].starts_with("Integer(2) Integer(0) Integer(20) Integer(30) Real(0.0) "),
        "{}",
        rows[1]
    );
    assert!(rows[1].contains(&text("yesterday")) && rows[1].contains(&text("10.0.0.1")));
    assert!(rows[1].ends_with("Null Null"), "{}", rows[1]);
}

#[test]
fn outer_rows_are_no_records_of_the_old_tracker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open(&path);
    let mut batch = [1, 2, 3].map(fixtures::record);
    batch[1].call.outer_of = Some(batch[0].call.call_key);
    batch[2].call.request_model = Some("the-third".into());
    store.write(&batch).unwrap();
    let reader = Reader::open(&path).unwrap();
    let second = reader.record_at_offset(1).unwrap().unwrap();
    assert_eq!(second.model.as_deref(), Some("the-third"));
    assert_eq!(reader.record_at_offset(2).unwrap(), None);
    assert_eq!(reader.calls().unwrap(), 3);
}

#[test]
fn a_cut_body_says_so_in_the_view() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("llmtap.db"));
    let mut record = fixtures::record(1);
    record.bodies.as_mut().unwrap().response = StoredBody {
        head: b"begin".to_vec(),
        tail: b"end".to_vec(),
        omitted: 9,
    };
    store.write(&[record]).unwrap();
    let body: String = store
        .db
        .query_row("SELECT response_body FROM token_stats", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(body, "begin[... 9 bytes left out ...]end");
}

#[test]
fn bodies_are_left_out_where_they_are_not_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let settings = SqliteSettings {
        bodies: BodiesMode::None,
        ..SqliteSettings::default()
    };
    let mut store = SqliteStore::open(&dir.path().join("llmtap.db"), settings).unwrap();
    store.write(&[fixtures::record(1)]).unwrap();
    let bodies: i64 = store
        .db
        .query_row("SELECT count(*) FROM bodies", [], |r| r.get(0))
        .unwrap();
    assert_eq!(bodies, 0);
}

#[test]
fn records_are_read_by_their_offset() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open(&path);
    let mut second = fixtures::record(2);
    second.call.path = None;
    second.call.total_tokens = Some(7);
    store.write(&[fixtures::record(1), second]).unwrap();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(
        reader.record_at_offset(0).unwrap().unwrap(),
        TokenStat {
            input_tokens: 10,
            output_tokens: 20,
            total_tokens: 30,
            elapsed_time: 1.5,
            tokens_per_second: 20.0,
            path: Some("/v1/chat/completions".into()),
            model: Some("qwen3".into()),
            ip_address: Some("192.0.2.7".into()),
        }
    );
    let second = reader.record_at_offset(1).unwrap().unwrap();
    assert_eq!((second.total_tokens, second.path), (7, None));
    for past in [2, 1_000_000, u64::MAX] {
        assert_eq!(reader.record_at_offset(past).unwrap(), None);
    }
}

#[test]
fn the_reader_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    open(&path);
    let reader = Reader::open(&path).unwrap();
    let error = reader
        .db_for_tests()
        .execute("DELETE FROM calls", [])
        .unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
}

#[test]
fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let noise = dir.path().join("noise");
    fs::write(&noise, vec![b'x'; 8192]).unwrap();
    let error = SqliteStore::open(&noise, SqliteSettings::default()).unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    assert!(error.to_string().contains("--db PATH"), "{error}");
    assert_eq!(fs::read(&noise).unwrap(), vec![b'x'; 8192]);

    let foreign = dir.path().join("foreign.db");
    let db = Connection::open(&foreign).unwrap();
    db.execute_batch("CREATE TABLE token_stats (id INTEGER)")
        .unwrap();
    drop(db);
    let before = fs::read(&foreign).unwrap();
    let error = SqliteStore::open(&foreign, SqliteSettings::default()).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!(fs::read(&foreign).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    open(&path)
        .db
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = SqliteStore::open(&path, SqliteSettings::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{text}"
    );
    assert!(
        text.contains("schema 99") && text.contains("Run the newer llmtap"),
        "{text}"
    );
    assert!(matches!(Reader::open(&path), Err(StoreError::Newer { .. })));
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error =
        SqliteStore::open(&file.join("sub/llmtap.db"), SqliteSettings::default()).unwrap_err();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("file/sub"), "{error}");
    let error = SqliteStore::open(dir.path(), SqliteSettings::default()).unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(error.to_string().contains("--db PATH"), "{error}");
}

#[test]
fn a_full_disk_takes_nothing_and_later_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(&dir.path().join("llmtap.db"));
    let pages: i64 = store
        .db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    let limit = |store: &SqliteStore, pages: i64| {
        store
            .db
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    };
    limit(&store, pages);
    let batch: Vec<_> = (0..200).map(fixtures::record).collect();
    let error = store.write(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    limit(&store, 1_000_000);
    assert_eq!(store.write(&batch).unwrap().new_rows(), 200);
}

#[test]
fn a_lock_of_another_process_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    let mut store = open(&path);
    store.db.busy_timeout(Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.write(&[fixtures::record(1)]).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(matches!(store.probe(), Err(StoreError::Locked { .. })));
    other.execute_batch("COMMIT").unwrap();
    store.probe().unwrap();
    assert_eq!(store.write(&[fixtures::record(1)]).unwrap().new_rows(), 1);
}

#[test]
fn many_open_a_new_database_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("llmtap.db");
    thread::scope(|scope| {
        for number in 0..4 {
            let path = &path;
            scope.spawn(move || open(path).write(&[fixtures::record(number)]).unwrap());
        }
    });
    assert_eq!(Reader::open(&path).unwrap().calls().unwrap(), 4);
}
