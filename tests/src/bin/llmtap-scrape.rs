//! How long a scrape takes, beside a store of a million rows and beside an empty one, as a table in Markdown.
#![forbid(unsafe_code)]

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{http, metrics, process};
use rusqlite::Connection;
use serde_json::json;

/// Time series of a scrape: there are at least as many.
const SERIES: usize = 2_000;

/// Rows of the full store.
const ROWS: i64 = 1_000_000;

/// Scrapes of each kind and store in a round, in turn; the median of the rounds' percentiles is shown, since a
/// pause of the machine moves that of one.
const SCRAPES: usize = 1_000;
const ROUNDS: usize = 7;

/// What may be: the 99th percentile, and how much of it the rows may add.
const MOST: Duration = Duration::from_millis(5);
const MOST_RATIO: f64 = 1.1;

/// As curl asks, and as Prometheus asks.
const KINDS: [(&str, &str); 2] = [
    ("Prometheus text", ""),
    (
        "OpenMetrics, gzip",
        "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\
         Accept-Encoding: gzip\r\n",
    ),
];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(io::stderr(), "llmtap-scrape: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool> {
    let folder = env::temp_dir().join(format!("llmtap-scrape-{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let good = measure(&folder);
    fs::remove_dir_all(&folder)?;
    good
}

fn measure(folder: &Path) -> Result<bool> {
    let stores = [folder.join("full.db"), folder.join("empty.db")];
    for store in &stores {
        let (daemon, api) = process::serve(store)?;
        fill(api)?;
        daemon.stop("TERM")?;
    }
    copy_rows(&stores[0])?;
    Connection::open(&stores[1])?.execute_batch("DELETE FROM bodies; DELETE FROM calls")?;
    let (full, empty) = (process::serve(&stores[0])?, process::serve(&stores[1])?);
    let mut scrapers = [Scraper::to(full.1)?, Scraper::to(empty.1)?];
    let series = metrics::parse(&http::get(full.1, "/metrics")?.text())?.len();
    let mut out = io::stdout();
    writeln!(
        out,
        "{series} time series, {ROUNDS} rounds of {SCRAPES} scrapes of each, in turn; milliseconds\n\n\
         | format | bytes | store | p50 | p99 | p99 / empty |\n|---|--:|---|--:|--:|--:|"
    )?;
    let mut good = true;
    for (name, headers) in KINDS {
        let mut bytes = 0;
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..SCRAPES {
                for (scraper, times) in scrapers.iter_mut().zip(&mut times) {
                    let started = Instant::now();
                    bytes = scraper.scrape(headers)?;
                    times.push(started.elapsed());
                }
            }
            for (round, times) in rounds.iter_mut().zip(times) {
                round.push([percentile(times.clone(), 50), percentile(times, 99)]);
            }
        }
        let [full, empty] = rounds.map(|rounds| {
            [0, 1].map(|place| percentile(rounds.iter().map(|round| round[place]).collect(), 50))
        });
        let ratio = full[1].as_secs_f64() / empty[1].as_secs_f64();
        for (store, [p50, p99], ratio) in [
            (format!("{ROWS} rows"), full, format!("{ratio:.2}")),
            ("empty".to_owned(), empty, "1".to_owned()),
        ] {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            writeln!(
                out,
                "| {name} | {bytes} | {store} | {:.2} | {:.2} | {ratio} |",
                millis(p50),
                millis(p99)
            )?;
        }
        good &= full[1] <= MOST && ratio <= MOST_RATIO;
    }
    writeln!(
        out,
        "\nat most {} ms and {MOST_RATIO}: {}",
        MOST.as_millis(),
        if good { "kept" } else { "not kept" }
    )?;
    Ok(good)
}

fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort();
    let place = times.len() * percent / 100;
    times.get(place).copied().unwrap_or_default()
}

/// Reports of one model after the other, until there are enough series.
fn fill(api: SocketAddr) -> Result<()> {
    for number in 0..SERIES {
        let samples = metrics::parse(&http::get(api, "/metrics")?.text())?;
        if samples.len() >= SERIES {
            return Ok(());
        }
        let model = format!("org/model-{number}-instruct");
        let request = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let response = json!({
            "object": "chat.completion", "model": model,
            "choices": [{"message": {"role": "assistant", "content": "hello"}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20 + number},
        });
        let report = json!({
            "request_body": request.to_string(), "response_body": response.to_string(),
            "elapsed_time": 1.5,
        });
        let answer = http::post(api, "/api/report", &report.to_string())?;
        ensure!(answer.status == 200, "{}", answer.text());
    }
    anyhow::bail!("the series do not grow")
}

/// Copies of the rows that are there, each with a key of its own.
fn copy_rows(store: &Path) -> Result<()> {
    let database = Connection::open(store)?;
    let mut columns = database.prepare("SELECT name FROM pragma_table_info('calls')")?;
    let columns = columns.query_map([], |row| row.get::<_, String>(0))?;
    let columns: Vec<String> = columns.collect::<Result<_, _>>()?;
    let own = columns.iter().filter(|name| *name != "id");
    let names: Vec<String> = own.clone().map(|name| format!("\"{name}\"")).collect();
    let values = own.map(|name| match name.as_str() {
        "call_key" => "randomblob(16)".to_owned(),
        other => format!("calls.\"{other}\""),
    });
    let values: Vec<String> = values.collect();
    let rows: i64 = database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    database.execute_batch(&format!(
        "WITH RECURSIVE copy(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM copy WHERE n < {copies})
         INSERT INTO calls ({}) SELECT {} FROM copy, calls;
         PRAGMA wal_checkpoint(TRUNCATE)",
        names.join(","),
        values.join(","),
        copies = ROWS / rows + 1,
    ))?;
    let rows: i64 = database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?;
    ensure!(rows >= ROWS, "{rows} rows");
    Ok(())
}

/// Scrapes over one connection, as Prometheus does.
struct Scraper(BufReader<TcpStream>);

impl Scraper {
    fn to(api: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(api)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 20, stream)))
    }

    /// The bytes of the body.
    fn scrape(&mut self, headers: &str) -> Result<usize> {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length) = (String::new(), None);
        self.0.read_line(&mut line)?;
        ensure!(line.contains(" 200 "), "{line}");
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.context("no Content-Length")?];
        self.0.read_exact(&mut body)?;
        Ok(body.len())
    }
}
