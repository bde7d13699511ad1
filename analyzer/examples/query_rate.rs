//! How long questions take over many rows: `cargo xtask bench query` runs it.
//!
//! `query_rate ROWS [FILE]` makes a database of so many rows, the same at each run, over the 30 days before a
//! fixed moment, or takes the one that FILE already is, and prints for each question the median and the
//! longest of its runs, and what of the processor they took on the average, beside its limit.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement for people"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use analyzer::{
    analysis::{self, HashKey},
    call::{Call, CallKey, Outcome},
    query::{Filter, select, select::Selection, series::Series, summary::Summary},
    record::Record,
    report::Report,
    store::{BodiesMode, Session, SqliteSettings, SqliteStore, Store as _},
    time::Timestamp,
    tokens::Counter,
};

/// The moment after the last row: 2026-01-31, midnight UTC.
const NOW: i64 = 1_769_817_600_000_000;

/// Over how much time the rows are spread.
const SPAN: i64 = 30 * 86_400_000_000;

/// Runs of each question.
const RUNS: usize = 9;

/// Longer, and a question is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A question: its name, its limit in milliseconds, and its parameters.
type Question = (&'static str, f64, &'static [(&'static str, &'static str)]);

const LISTS: &[Question] = &[
    ("newest 100", 10.0, &[]),
    (
        "newest 100 with their rows, next page",
        10.0,
        &[("page", "2")],
    ),
    (
        "newest 100 of a rare user",
        3_000.0,
        &[("user", "user-399")],
    ),
    ("slowest 100 of all", 3_000.0, &[("sort", "elapsed")]),
];

const SUMMARIES: &[Question] = &[
    ("by model, all", 500.0, &[("group_by", "model")]),
    ("by operation, all", 500.0, &[("group_by", "operation")]),
    ("by client, all", 500.0, &[("group_by", "client")]),
    ("by user, all", 500.0, &[("group_by", "user")]),
    ("by key, all", 500.0, &[("group_by", "key")]),
    ("by outcome, all", 500.0, &[("group_by", "outcome")]),
    (
        "by model, last 17 days",
        500.0,
        &[("group_by", "model"), ("from", "-17d")],
    ),
    (
        "by model, last hour",
        50.0,
        &[("group_by", "model"), ("from", "-1h")],
    ),
    (
        "by user, last hour",
        50.0,
        &[("group_by", "user"), ("from", "-1h")],
    ),
    (
        "by model, outcome and stream, all",
        3_000.0,
        &[("group_by", "model,outcome,stream")],
    ),
    (
        "by user and model, all",
        3_000.0,
        &[("group_by", "user,model")],
    ),
    (
        "by model, of errors of three clients",
        3_000.0,
        &[
            ("group_by", "model"),
            ("status", "5xx"),
            ("status", "4xx"),
            ("client", "10.1.0.1*"),
        ],
    ),
    (
        "by a label, slow first tokens",
        3_000.0,
        &[("group_by", "label.team"), ("min_ttft", "100ms")],
    ),
];

const SERIES: &[Question] = &[
    ("series by model, all", 3_000.0, &[("group_by", "model")]),
    (
        "series by model, last hour",
        3_000.0,
        &[("group_by", "model"), ("from", "-1h"), ("step", "1m")],
    ),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rows: u64 = arguments
        .next()
        .map_or(1_000_000, |n| n.parse().expect("ROWS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let path = arguments
        .next()
        .map_or_else(|| folder.path().join("bench.db"), Into::into);
    if path.exists() {
        println!("rows of {}", path.display());
    } else {
        make(&path, rows);
        rebuild(&path, rows);
    }
    println!(
        "{:<44}{:>10}{:>10}{:>10}{:>10}",
        "question", "median ms", "most ms", "CPU ms", "limit ms"
    );
    let mut session = Session::open(&path).unwrap();
    for question in LISTS {
        measure(question, || list(&mut session, question.2));
    }
    for question in SUMMARIES {
        let pairs = pairs(question.2);
        measure(question, || {
            let filter =
                Filter::parse(&pairs, analyzer::query::summary::PARAMETERS, now()).unwrap();
            let snapshot = session.snapshot(PATIENCE).unwrap();
            let answer = Summary::parse(&pairs, filter)
                .unwrap()
                .answer(&snapshot)
                .unwrap();
            assert!(answer["total"]["calls"].as_u64() > Some(0), "{pairs:?}");
        });
    }
    for question in SERIES {
        let pairs = pairs(question.2);
        measure(question, || {
            let filter = Filter::parse(&pairs, analyzer::query::series::PARAMETERS, now()).unwrap();
            let snapshot = session.snapshot(PATIENCE).unwrap();
            let series = Series::parse(&pairs, filter).unwrap();
            series.answer(&snapshot, now()).unwrap().unwrap();
        });
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter().filter(|(name, _)| *name != "page");
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Reads a page with its rows as JSON: the first, or the one after it.
fn list(session: &mut Session, question: &[(&str, &str)]) {
    let second = question.contains(&("page", "2"));
    let mut pairs = pairs(question);
    let snapshot = session.snapshot(PATIENCE).unwrap();
    for page in 0..=usize::from(second) {
        let others: Vec<_> = select::ORDERING
            .iter()
            .chain(select::PAGING)
            .copied()
            .collect();
        let filter = Filter::parse(&pairs, &others, now()).unwrap();
        let selection = Selection::parse(&pairs, filter).unwrap();
        let rows = selection.rows(&snapshot).unwrap();
        if page == usize::from(second) {
            assert_eq!(
                serde_json::to_value(&rows.calls)
                    .unwrap()
                    .as_array()
                    .unwrap()
                    .len(),
                100
            );
        }
        pairs.extend(rows.next.map(|next| ("cursor".to_owned(), next)));
    }
}

fn measure((name, limit, _): &Question, mut ask: impl FnMut()) {
    let mut times = Vec::new();
    let before = processor_ms();
    for _ in 0..RUNS {
        let begin = Instant::now();
        ask();
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let processor = (processor_ms() - before) / RUNS as f64;
    times.sort_by(f64::total_cmp);
    let (median, most) = (times[RUNS / 2], times[RUNS - 1]);
    let verdict = if median <= *limit { "" } else { "  TOO SLOW" };
    println!("{name:<44}{median:>10.1}{most:>10.1}{processor:>10.1}{limit:>10.0}{verdict}");
}

/// What this thread took of a processor: on a machine that others use too, the time that a question takes where
/// nobody is in its way.
fn processor_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos: f64 = text
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    nanos / 1e6
}

fn make(path: &Path, rows: u64) {
    let settings = SqliteSettings {
        bodies: BodiesMode::None,
        ..SqliteSettings::default()
    };
    let mut store = SqliteStore::open(path, settings).unwrap();
    let first = template();
    let begin = Instant::now();
    let mut random = Random(42);
    let numbers: Vec<u64> = (0..rows).collect();
    for batch in numbers.chunks(1_000) {
        let batch: Vec<Record> = batch
            .iter()
            .map(|number| Record {
                call: call(&first, *number, rows, &mut random),
                bodies: None,
            })
            .collect();
        store.write(&batch).unwrap();
    }
    let seconds = begin.elapsed().as_secs_f64();
    let bytes = store.size().map_or(0, |size| size.database + size.log);
    println!(
        "{rows} rows written in {seconds:.1} s ({:.0} rows/s, column blocks included), {:.0} MB",
        rows as f64 / seconds,
        bytes as f64 / 1e6
    );
}

/// What the blocks cost: they are built once more.
fn rebuild(path: &Path, rows: u64) {
    let db = rusqlite::Connection::open(path).unwrap();
    let bytes: i64 = db
        .query_row("SELECT sum(length(columns)) FROM call_blocks", [], |row| {
            row.get(0)
        })
        .unwrap();
    db.execute("DELETE FROM call_blocks", []).unwrap();
    drop(db);
    let mut store = SqliteStore::open(path, SqliteSettings::default()).unwrap();
    let (begin, before) = (Instant::now(), processor_ms());
    while store.condense().unwrap() {}
    let per_row = |micros: f64| micros / rows as f64;
    println!(
        "column blocks built: {:.2} us a row ({:.2} us of the processor), {:.1} bytes a row",
        per_row(begin.elapsed().as_secs_f64() * 1e6),
        per_row((processor_ms() - before) * 1e3),
        bytes as f64 / rows as f64
    );
}

/// A row with everything in it, made as all rows are.
fn template() -> Call {
    let report = Report {
        request_body:
            r#"{"model":"qwen3","messages":[{"role":"user","content":"Name three rivers."}]}"#
                .into(),
        response_body:
            r#"{"object":"chat.completion","choices":[{"message":{"content":"Volga."}}]}"#.into(),
        elapsed_time: 1.0,
        ..Report::default()
    };
    let settings = analysis::Settings {
        hash_key: Some(HashKey::new(&[7; 32])),
        ..analysis::Settings::default()
    };
    analysis::analyze_report(report, now(), &settings, &Counter::always(), 0).call
}

/// Twenty models, three hundred clients, four hundred users, with the weights that such have.
fn call(first: &Call, number: u64, rows: u64, random: &mut Random) -> Call {
    let start = NOW - SPAN + (i128::from(SPAN) * i128::from(number) / i128::from(rows)) as i64;
    let at = |micros: i64| Some(Timestamp::from_micros(start + micros));
    let model = format!("model-{}", random.skewed(20));
    let failed = random.below(100) < 4;
    let stream = random.below(10) < 7;
    let ttft = stream.then(|| (20_000.0 * 1.8_f64.powf(random.normal() + 2.0)) as i64);
    let output = random.skewed(2_000) + 1;
    let tpot = stream.then(|| 15_000.0 * 1.3_f64.powf(random.normal()));
    let elapsed = ttft.unwrap_or(400_000) + (tpot.unwrap_or(15_000.0) * output as f64) as i64;
    let input = random.skewed(8_000);
    let mut call = first.clone();
    let spread = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    call.call_key = CallKey(spread.to_be_bytes());
    call.request_model = Some(model.clone());
    call.response_model = Some(model);
    call.operation = Some(["chat", "chat", "chat", "embeddings"][random.below(4) as usize]);
    call.stream = Some(stream);
    call.status = Some(if failed {
        [429, 500, 503][random.below(3) as usize]
    } else {
        200
    });
    call.outcome = if failed {
        Outcome::ServerError
    } else {
        Outcome::Ok
    };
    call.client = Some(format!("10.1.0.{}", random.skewed(300)));
    call.user = Some(format!("user-{}", random.skewed(400)));
    call.key = Some(format!("{:016x}", random.skewed(200)));
    call.whose.labels = vec![analyzer::call::Label {
        name: "team".into(),
        value: format!("team-{}", random.skewed(12)),
    }];
    call.input_tokens = Some(input);
    call.output_tokens = Some(output);
    call.total_tokens = Some(input + output);
    call.marks.request_start = at(0);
    call.marks.request_end = at(100);
    call.marks.response_head = at(1_000);
    call.marks.first_token = ttft.and_then(at);
    call.marks.last_token = stream.then(|| at(elapsed)).flatten();
    call.marks.response_end = at(elapsed);
    call.marks.ended = at(elapsed);
    call.elapsed = Some(elapsed);
    call.ttft = ttft;
    call.tpot = tpot;
    call
}

/// The same numbers at each run: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small ones far oftener than large ones, and all of them.
    fn skewed(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((unit * unit * unit) * end as f64) as u64
    }

    /// About the normal distribution.
    fn normal(&mut self) -> f64 {
        let unit = |random: &mut Self| (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (0..12).map(|_| unit(self)).sum::<f64>() - 6.0
    }
}
