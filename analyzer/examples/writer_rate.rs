//! Rows a second of the store's writer, beside a bare loop over the same table with the same batches
//! and the same `synchronous`, and what a row takes on disk. `cargo xtask bench store` runs it, or
//! `cargo run --release -p analyzer --example writer_rate`.
//!
//! The bare loop knows nothing of queues, columns, duplicates or receipts: it is the ceiling. The third figure
//! is the writer's with a store that is full: as much goes as comes.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use analyzer::{
    call::{Bodies, Call, CallKey, Confidence, Marks, Outcome, StoredBody, TokenSource, Whose},
    columns::{CALL_COLUMNS, Value},
    exchange::Source,
    metrics::Metrics,
    record::Record,
    store::{BodiesMode, Keep, Retention, SqliteSettings, SqliteStore, WriterSettings, start},
    time::Timestamp,
};
use rusqlite::{Connection, params, types};

const ROWS: u64 = 50_000;
const ROUNDS: usize = 5;

/// The bounds of the full store: of rows and of bodies.
const BOUND: u64 = 16 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(".")?;
    let file = |name: &str| dir.path().join(name);
    let mut out = io::stdout().lock();
    let (mut alone, mut full) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // In turn, each in a new file.
        let bare = bare(&file("bare.db"))?;
        let ours = ours(&file("ours.db"), SqliteSettings::default())?;
        let keep = Keep {
            max_age: None,
            max_bytes: Some(BOUND),
        };
        let bounded = SqliteSettings {
            retention: Retention {
                rows: keep,
                bodies: keep,
            },
            ..SqliteSettings::default()
        };
        let at_bound = self::ours(&file("full.db"), bounded)?;
        writeln!(
            out,
            "bare loop {:.0} rows/s; writer {:.0} rows/s, {:.2} of it; full store {:.0} rows/s, {:.2} of it, \
             {:.1} MiB at the end",
            bare.rate,
            ours.rate,
            ours.rate / bare.rate,
            at_bound.rate,
            at_bound.rate / bare.rate,
            at_bound.bytes as f64 / f64::from(1 << 20),
        )?;
        alone.push(ours.rate / bare.rate);
        full.push(at_bound.rate / bare.rate);
    }
    let without = SqliteSettings {
        bodies: BodiesMode::None,
        ..SqliteSettings::default()
    };
    let rows = ours(&file("rows.db"), without)?.bytes / ROWS;
    let both = ours(&file("both.db"), SqliteSettings::default())?.bytes / ROWS;
    writeln!(
        out,
        "medians: writer {:.2} of the bare loop, full store {:.2}; a row takes {rows} bytes on disk, its \
         bodies of {} bytes take {}",
        median(&mut alone),
        median(&mut full),
        REQUEST.len() + RESPONSE.len(),
        both.saturating_sub(rows),
    )?;
    Ok(())
}

/// What a run gave.
struct Taken {
    /// Rows a second.
    rate: f64,
    /// Bytes of the file at the end.
    bytes: u64,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The rows through the writer, from the first submission to the last commit.
fn ours(path: &Path, settings: SqliteSettings) -> Result<Taken, Box<dyn Error>> {
    let store = SqliteStore::open(path, settings)?;
    let records: Vec<_> = (0..ROWS).map(record).collect();
    let metrics = Metrics::new();
    let (handle, writer) = start(Box::new(store), WriterSettings::default(), &metrics)?;
    let started = Instant::now();
    for record in records {
        handle.submit_blocking(record)?;
    }
    // Nothing is removed any more once the writer is closed.
    while metrics.store().queue_rows.get() > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let written = writer.close();
    let rate = ROWS as f64 / started.elapsed().as_secs_f64();
    if written.rows != ROWS {
        return Err(format!("{written:?}").into());
    }
    let bytes = fs::metadata(path)?.len();
    fs::remove_file(path)?;
    Ok(Taken { rate, bytes })
}

/// Rows a second of plain rusqlite: values ready beforehand, 1,000 rows a transaction.
fn bare(path: &Path) -> Result<Taken, Box<dyn Error>> {
    // The same schema, made by the store itself.
    drop(SqliteStore::open(path, SqliteSettings::default())?);
    let mut db = Connection::open(path)?;
    db.pragma_update(None, "synchronous", "full")?;
    let places = vec!["?"; CALL_COLUMNS.len()].join(",");
    let names: Vec<_> = CALL_COLUMNS
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let insert = format!("INSERT INTO calls ({}) VALUES ({places})", names.join(","));
    let rows: Vec<Vec<types::Value>> = (0..ROWS)
        .map(|number| {
            let record = record(number);
            CALL_COLUMNS
                .iter()
                .map(|column| plain(&(column.get)(&record.call)))
                .collect()
        })
        .collect();
    let started = Instant::now();
    for batch in rows.chunks(1_000) {
        let transaction = db.transaction()?;
        {
            let mut calls = transaction.prepare_cached(&insert)?;
            let mut bodies = transaction
                .prepare_cached("INSERT INTO bodies VALUES (?, 0, 600, ?, '', 0, ?, '', 0)")?;
            for row in batch {
                let id = calls.insert(rusqlite::params_from_iter(row))?;
                bodies.execute(params![id, REQUEST, RESPONSE])?;
            }
        }
        transaction.commit()?;
    }
    db.close().map_err(|(_, error)| error)?;
    let rate = ROWS as f64 / started.elapsed().as_secs_f64();
    let bytes = fs::metadata(path)?.len();
    fs::remove_file(path)?;
    Ok(Taken { rate, bytes })
}

fn plain(value: &Value<'_>) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Bool(b) => types::Value::Integer((*b).into()),
        Value::Integer(n) | Value::Duration(n) | Value::Money(n) => types::Value::Integer(*n),
        Value::Real(x) | Value::FineDuration(x) => types::Value::Real(*x),
        Value::Text(text) => types::Value::Text(text.to_string()),
        Value::Json(text) => types::Value::Text(text.clone()),
        Value::Time(time) => types::Value::Integer(time.as_micros()),
        Value::Key(key) => types::Value::Blob(key.0.to_vec()),
        list @ Value::List(_) => types::Value::Text(list.to_json().to_string()),
    }
}

const REQUEST: &str = r#"{"model":"qwen3","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name three rivers of Europe, and say how long each of them is."}]}"#;
const RESPONSE: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"qwen3","choices":[{"index":0,"message":{"role":"assistant","content":"The Volga is about 3,530 km long, the Danube about 2,850 km, and the Rhine about 1,230 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":38,"total_tokens":69}}"#;

#[expect(clippy::too_many_lines, reason = "a column of the row a line")]
fn record(number: u64) -> Record {
    // A key as a hash gives it: spread over the whole range.
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let start = 1_767_225_600_000_000 + number as i64 * 1_000;
    let at = |micros: i64| Some(Timestamp::from_micros(start + micros));
    let body = |text: &str| StoredBody {
        head: text.as_bytes().to_vec(),
        ..StoredBody::default()
    };
    let call = Call {
        call_key: CallKey(spread.to_be_bytes()),
        source: Source::Pcap,
        dialect: Some("openai_chat"),
        operation: Some("chat"),
        provider: Some("openai"),
        stream: Some(true),
        method: Some("POST".into()),
        path: Some("/v1/chat/completions".into()),
        status: Some(200),
        outcome: Outcome::Ok,
        error_type: None,
        error_code: None,
        request_model: Some("qwen3".into()),
        response_model: Some("qwen3".into()),
        input_tokens: Some(31),
        output_tokens: Some(38),
        total_tokens: Some(69),
        input_source: TokenSource::Reported,
        output_source: TokenSource::Reported,
        output_partial: false,
        reported_input_tokens: Some(31),
        reported_output_tokens: Some(38),
        counted_input_tokens: Some(30),
        counted_output_tokens: Some(38),
        tokenizer: Some("cl100k_base"),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        audio_tokens: None,
        marks: Marks {
            request_start: at(0),
            request_end: at(100),
            response_head: at(1_000),
            first_event: at(50_000),
            first_token: at(52_000),
            last_token: at(1_400_000),
            response_end: at(1_500_000),
            ended: at(1_500_000),
        },
        elapsed: Some(1_500_000),
        upload: Some(100),
        ttft: Some(52_000),
        tpot: Some(36_432.432_4),
        tokens_per_second: Some(46.0),
        gap_p50: Some(35_000),
        gap_p95: Some(60_000),
        gap_max: Some(95_000),
        stalls: Some(0),
        wasted: 0,
        finish_reasons: vec!["stop".into()],
        peer: Some("10.0.0.1".into()),
        client: Some("192.0.2.7".into()),
        user: None,
        key: None,
        server: Some("10.0.0.2:8000".into()),
        missing_request_bytes: 0,
        missing_response_bytes: 0,
        truncated: false,
        confidence: Confidence::Complete,
        reported_timestamp: None,
        outer_of: None,
        response_dialect: None,
        response_id: Some("chatcmpl-1".to_owned()),
        max_tokens: None,
        temperature: None,
        n: None,
        message_count: Some(2),
        tool_count: None,
        tool_choice: None,
        response_format: None,
        file_bytes: None,
        file_type: None,
        tool_calls: Vec::new(),
        content_chars: Some(89),
        reasoning_chars: Some(0),
        tool_chars: Some(0),
        server_queue: None,
        server_prefill: None,
        server_decode: None,
        server_load: None,
        server_total: None,
        retry_after: None,
        timeline: None,
        whose: Whose::default(),
        cost: analyzer::cost::Cost::default(),
        redactions: 0,
    };
    Record {
        call,
        bodies: Some(Bodies {
            request: body(REQUEST),
            response: body(RESPONSE),
        }),
    }
}
