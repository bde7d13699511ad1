//! Ten slow readers of `/api/live` and a whole export while 5,000 calls a second arrive: nothing is shed by the
//! writer, and memory stays within bounds. A process of its own, since its memory is measured.

use std::{
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use analyzer::{
    analysis::{Settings, analyze_report},
    api::{self, ApiState, Board, CaptureState, CaptureStatus},
    feed::Feed,
    metrics::Metrics,
    record::Record,
    report::Report,
    store::{self, Reader, SqliteSettings, SqliteStore, WriterSettings},
    time::Timestamp,
    tokens::Counter,
};
use tokio::sync::oneshot;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Calls that arrive, and how many a second.
const CALLS: u32 = 20_000;
const A_SECOND: u32 = 5_000;

/// What all may take beside what was taken at the start, in KiB: the writer's batches, the feed's queue and ring,
/// what waits for ten readers, SQLite's cache. What the readers did not take is more than that: ten times 60 MB.
const MEMORY: u64 = 128 * 1024;

/// A call, of which there is one like it under each number.
fn record(number: u32) -> Record {
    let report = Report {
        request_body: format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"question {number}"}}]}}"#
        ),
        response_body: r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#.to_owned(),
        elapsed_time: 1.0,
        path: Some("/v1/chat/completions".to_owned()),
        timestamp: None,
        model: None,
        reporter: None,
    };
    let now = Timestamp::from_micros(1_767_225_600_000_000 + i64::from(number));
    let counter = Counter::always();
    analyze_report(
        report,
        now,
        &Settings::default(),
        &counter,
        u64::from(number),
    )
}

/// Memory that this process takes, in KiB.
fn resident() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// Asks, and reads the first bytes of the answer, so that it is under way.
fn ask(address: SocketAddr, path: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut head = [0; 15];
    stream.read_exact(&mut head)?;
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    Ok(stream)
}

#[test]
fn slow_readers_and_an_export_hold_nothing_up() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let db = folder.path().join("llmtap.db");
    let metrics = Metrics::new();
    let opened = SqliteStore::open(&db, SqliteSettings::default())?;
    let (writer, closing) = store::start(Box::new(opened), WriterSettings::default(), &metrics)?;
    let feed = Feed::start(&metrics, 1)?;
    let state = ApiState::new(
        metrics.clone(),
        Arc::new(Board::new(metrics.clone())),
        Arc::new(CaptureStatus::new(CaptureState::None)),
        writer.clone(),
        Reader::open(&db)?,
        Arc::new(|_| record(u32::MAX)),
    );
    let state = Arc::new(state.feeding(feed.clone()));
    let listener = api::bind("127.0.0.1:0".parse()?)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(api::serve(listener, state, async {
        let _ = stopped.await;
    }));

    let like: Vec<_> = (0..100).map(record).collect();
    let readers: Vec<_> = (0..10)
        .map(|_| ask(address, "/api/live"))
        .collect::<Outcome<_>>()?;
    let before = resident()?;
    let (begun, mut most) = (Instant::now(), before);
    let mut export = None;
    for number in 0..CALLS {
        let due = Duration::from_secs(1) * number / A_SECOND;
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let mut record = like[number as usize % like.len()].clone();
        record.call.call_key.0[..4].copy_from_slice(&number.to_be_bytes());
        feed.ended(&record.call);
        let _ = writer.submit(record);
        if number == CALLS / 4 {
            let mut stream = ask(address, "/api/calls.ndjson")?;
            let reading = move || io::copy(&mut stream, &mut io::sink()).unwrap_or_default();
            export = Some(thread::spawn(reading));
        }
        if number % 500 == 0 {
            most = most.max(resident()?);
        }
    }
    let exported = export.map(thread::JoinHandle::join);
    let exported = exported.and_then(Result::ok).ok_or("no export")?;
    most = most.max(resident()?);
    // All that was accepted is written before the writer ends.
    drop(stop);
    runtime.block_on(serving)??;
    drop(readers);
    drop(writer);
    closing.close();

    let shed: u64 = metrics.store().shed.counts().iter().map(|(_, n)| n).sum();
    assert_eq!(shed, 0, "{:?}", metrics.store().shed.counts());
    assert_eq!(Reader::open(&db)?.calls()?, u64::from(CALLS));
    assert!(exported > 1_000_000, "the export had {exported} bytes");
    let took = most.saturating_sub(before);
    assert!(
        took < MEMORY,
        "{took} KiB more than the {before} KiB at the start"
    );
    Ok(())
}
