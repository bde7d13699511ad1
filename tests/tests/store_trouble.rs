//! The store in trouble, end to end: a disk that is full and has room again, files that may not grow, locks,
//! long readers, damage. Capture and the API go on, what is lost is counted by its reason, and writing
//! resumes by itself. Needs root, to mount a small disk and to capture packets: without it, it fails.

use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::{
    http, metrics,
    model_server::{ModelServer, Pace},
    process::{self, Daemon},
    tap::Tap,
};
use rusqlite::Connection;

const CALL: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// A report with some text, for logs to grow by.
fn report() -> String {
    let text = "word ".repeat(2_000);
    format!(
        r#"{{"request_body":"{{\"model\":\"m\",\"prompt\":\"{text}\"}}","response_body":"{{}}","elapsed_time":1}}"#
    )
}

fn serve(wrapper: &[&str], store: &Path, more: &[&str]) -> Result<(Daemon, SocketAddr)> {
    let mut command = process::llmtap_under(wrapper, &["serve", "--listen", "127.0.0.1:0"])?;
    command.args(more).arg("--db").arg(store);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok((daemon, api))
}

/// The sum of a metric's samples, by the reason or kind.
fn metric(api: SocketAddr, name: &str, reason: &str) -> Result<f64> {
    let samples = metrics::parse(&http::get(api, "/metrics")?.text())?;
    Ok(metrics::sum(&samples, name, |sample| {
        reason.is_empty() || [sample.label("reason"), sample.label("kind")].contains(&Some(reason))
    }))
}

fn status_of_report(api: SocketAddr) -> Result<u16> {
    Ok(http::post(api, "/api/report", &report())?.status)
}

/// Sends reports until one has this status.
fn reports_until(api: SocketAddr, status: u16) -> Result<()> {
    process::eventually(|| (status_of_report(api).ok()? == status).then_some(()))
        .with_context(|| format!("no report was answered with {status}"))
}

/// Waits until the readiness has this status.
fn ready_with(api: SocketAddr, status: u16) -> Result<()> {
    process::eventually(|| (http::get(api, "/ready").ok()?.status == status).then_some(()))
        .with_context(|| format!("/ready was never answered with {status}"))
}

/// The calls of a database that is whole.
fn count(store: &Path) -> Result<i64> {
    let database = Connection::open(store)?;
    let check: String = database.query_one("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(check == "ok", "{check}");
    Ok(database.query_one("SELECT count(*) FROM calls", [], |row| row.get(0))?)
}

/// A command that makes a disk of its own, seen by no other process, at a folder, and then becomes another.
const WITH_DISK: &str = r#"mount -t tmpfs -o size=4m,mode=700 llmtap-tests "$0" && exec "$@""#;

/// A file that fills a daemon's disk.
struct Filler(PathBuf);

impl Filler {
    /// Takes all that is free.
    fn new(daemon: &Daemon, disk: &Path) -> Result<Self> {
        // Through the daemon's eyes: the disk is its own.
        let seen = format!("/proc/{}/root{}/filler", daemon.id(), disk.display());
        let mut file = File::create(&seen)?;
        for size in [64 * 1024, 4 * 1024] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Ok(Self(seen.into()))
    }

    fn remove(self) -> Result<()> {
        Ok(fs::remove_file(self.0)?)
    }
}

#[test]
fn a_full_disk_stops_no_capture_and_rows_are_written_again_when_it_has_room() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = folder.path().join("disk");
    fs::create_dir(&disk)?;
    let at_once = Pace {
        head: Duration::ZERO,
        think: Duration::ZERO,
        token: Duration::ZERO,
    };
    let server = ModelServer::start("127.0.0.1:0".parse()?, at_once)?;
    let store = disk.join("llmtap.db");
    let place = disk.display().to_string();
    let llmtap = Tap::new("pcap", "lo", &[server.address().port()], &store)
        .with(&["--max-queue-rows", "5", "--bodies", "none"])
        .under(&["unshare", "--mount", "sh", "-c", WITH_DISK, &place])
        .start()?;
    let api = llmtap.ready()?;
    ready_with(api, 200)?;
    let mut calls = 0;
    let mut make_calls = |more: usize| {
        for _ in 0..more {
            http::post(server.address(), "/v1/chat/completions", CALL)?;
        }
        calls += more;
        llmtap.stdout_lines(calls)
    };

    let filler = Filler::new(&llmtap, &disk)?;
    // Rows are printed, so capture goes on, and are shed where the queue is full.
    let shed = "llmtap_store_shed_total";
    while metric(api, shed, "queue_rows")? < 10.0 {
        ensure!(make_calls(20)?.len() < 2_000, "nothing was shed");
    }
    ready_with(api, 503)?;
    ensure!(metric(api, "llmtap_store_errors_total", "")? > 0.0);

    filler.remove()?;
    ready_with(api, 200)?;
    make_calls(5)?;
    let all = || {
        let rows = metric(api, "llmtap_store_rows_total", "").ok()?;
        let shed = metric(api, shed, "queue_rows").ok()?;
        (rows as usize + shed as usize == calls).then_some(rows as i64)
    };
    let rows = process::eventually(all).context("rows and shed ones are not all calls")?;
    // The file as the daemon sees it: its disk goes with it.
    let seen = PathBuf::from(format!("/proc/{}/root{}", llmtap.id(), store.display()));
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        fs::copy(
            format!("{}{suffix}", seen.display()),
            format!("{}{suffix}", copy.display()),
        )?;
    }
    assert_eq!(count(&copy)?, rows);
    let done = llmtap.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    ensure!(done.stderr.contains("rows are written again"), "{done:?}");
    Ok(())
}

/// `LimitFSIZE=` of systemd, `ulimit -f`: the kernel would end a program that does not expect it.
#[test]
fn a_file_that_may_not_grow_is_a_full_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    // The soft limit alone, so that it can be raised again.
    let (daemon, api) = serve(&["prlimit", "--fsize=500000:unlimited"], &store, &[])?;
    reports_until(api, 200)?;
    reports_until(api, 503)?;
    ensure!(metric(api, "llmtap_store_errors_total", "")? > 0.0);
    let raise = ["--pid", &daemon.id().to_string(), "--fsize=unlimited"].map(str::to_owned);
    let raised = process::run(Command::new("prlimit").args(raise))?;
    ensure!(raised.code == Some(0), "{raised:?}");
    reports_until(api, 200)?;
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    assert!(count(&store)? >= 2);
    Ok(())
}

#[test]
fn a_lock_of_another_process_holds_rows_up_and_loses_none_that_were_accepted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&[], &store, &[])?;
    ensure!(status_of_report(api)? == 200);
    let other = Connection::open(&store)?;
    other.execute_batch("BEGIN IMMEDIATE")?;
    reports_until(api, 503)?;
    ensure!(metric(api, "llmtap_store_errors_total", "locked")? > 0.0);
    ready_with(api, 503)?;
    other.execute_batch("COMMIT")?;
    reports_until(api, 200)?;
    let stored = metric(api, "llmtap_store_rows_total", "")?;
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    assert_eq!(count(&store)?, stored as i64);
    Ok(())
}

#[test]
fn a_long_reader_does_not_grow_the_log_without_bound() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&[], &store, &["--max-log-size", "1MiB"])?;
    ensure!(status_of_report(api)? == 200);
    let reader = Connection::open(&store)?;
    reader.execute_batch("BEGIN; SELECT count(*) FROM calls")?;
    reports_until(api, 503)?;
    ensure!(metric(api, "llmtap_store_errors_total", "log_full")? > 0.0);
    let without = metric(api, "llmtap_store_shed_total", "log_bodies")?;
    ensure!(without > 0.0, "bodies go first");
    let log = metric(api, "llmtap_store_log_bytes", "")?;
    let length = fs::metadata(folder.path().join("llmtap.db-wal"))?.len();
    ensure!((log - length as f64).abs() < 1.0, "{log}, not {length}");
    ensure!(length < 2 << 20, "{length}");
    drop(reader);
    reports_until(api, 200)?;
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    ensure!(
        done.stderr.contains("another program has been reading"),
        "{done:?}"
    );
    let rows = count(&store)?;
    let bodies: i64 =
        Connection::open(&store)?.query_one("SELECT count(*) FROM bodies", [], |row| row.get(0))?;
    assert_eq!(rows - bodies, without as i64);
    Ok(())
}

#[test]
fn retention_keeps_a_busy_store_within_its_bounds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&[], &store, &["--max-bodies-size", "200KiB"])?;
    for _ in 0..60 {
        ensure!(status_of_report(api)? == 200);
    }
    let removed = || {
        let removed = metric(api, "llmtap_store_bodies_removed_total", "size").ok()?;
        // A body is of 10 KiB, and takes 12 at most.
        (removed >= 40.0).then_some(())
    };
    process::eventually(removed).context("bodies were not removed")?;
    assert_eq!(metric(api, "llmtap_store_stored_rows", "")? as i64, 60);
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    let database = Connection::open(&store)?;
    let (bodies, bytes): (i64, i64) =
        database.query_one("SELECT count(*), sum(bytes) FROM bodies", [], |row| {
            row.try_into()
        })?;
    assert!(
        (10..=20).contains(&bodies) && bytes <= 200 * 1024,
        "{bodies}, {bytes}"
    );
    assert_eq!(count(&store)?, 60);
    drop(database);

    // Days later, in the eyes of the rows.
    let database = Connection::open(&store)?;
    database.execute(
        "UPDATE calls SET stored_at = stored_at - 86400000000 WHERE id <= 50",
        [],
    )?;
    drop(database);
    let (daemon, api) = serve(&[], &store, &["--keep-rows", "12h"])?;
    let removed = || {
        let removed = metric(api, "llmtap_store_rows_removed_total", "age").ok()?;
        (removed >= 50.0).then_some(())
    };
    process::eventually(removed).context("rows were not removed")?;
    // The old tracker's record 50 is what it was; those before it are gone.
    assert_eq!(http::get(api, "/api/metrics?offset=49")?.status, 404);
    assert_eq!(http::get(api, "/api/metrics?offset=50")?.status, 200);
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    assert_eq!(count(&store)?, 10);
    Ok(())
}

#[test]
fn a_replay_only_adds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&[], &store, &[])?;
    ensure!(status_of_report(api)? == 200);
    ensure!(daemon.stop("TERM")?.code == Some(0));
    Connection::open(&store)?
        .execute_batch("UPDATE calls SET stored_at = 0; UPDATE bodies SET stored_at = 0")?;
    let mut command = process::llmtap(&["replay", "--format", "ndjson", "--db"])?;
    let demo = llmtap_tests::tools::file("data/demo.pcap.gz");
    let done = process::run(command.arg(&store).arg(demo))?;
    ensure!(done.code == Some(0), "{done:?}");
    assert_eq!(count(&store)? as usize, done.rows()?.len() + 1);
    Ok(())
}

#[test]
fn a_damaged_store_is_set_aside_with_a_sentence_and_served_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("llmtap.db");
    let (daemon, api) = serve(&[], &store, &[])?;
    ensure!(status_of_report(api)? == 200);
    ensure!(daemon.stop("TERM")?.code == Some(0));
    let mut bytes = fs::read(&store)?;
    bytes[..4096].fill(0);
    fs::write(&store, &bytes)?;

    let (daemon, api) = serve(&[], &store, &[])?;
    let line = daemon.stderr_line(|line| line.contains("set aside as"))?;
    let after = line.split("set aside as ").nth(1).unwrap_or_default();
    let aside = Path::new(after.split(',').next().unwrap_or_default());
    assert_eq!(fs::read(aside)?, bytes, "{line}");
    ensure!(status_of_report(api)? == 200);

    // Damage while it runs: the pages on the disk, and no other copy of them.
    let reader = Connection::open(&store)?;
    let pages: i64 = reader.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let _: i64 = reader.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    drop(reader);
    let file = fs::OpenOptions::new().write(true).open(&store)?;
    for page in 1..pages {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], page as u64 * 4096)?;
    }
    // Another's write makes the daemon read its pages anew.
    let other = Connection::open(&store)?;
    let version: i64 = other.pragma_query_value(None, "user_version", |row| row.get(0))?;
    other.pragma_update(None, "user_version", version)?;
    drop(other);
    reports_until(api, 503)?;
    reports_until(api, 200)?;
    ensure!(metric(api, "llmtap_store_errors_total", "damaged")? > 0.0);
    assert_eq!(http::get(api, "/api/metrics?offset=0")?.status, 200);
    let done = daemon.stop("TERM")?;
    ensure!(done.code == Some(0), "{done:?}");
    assert!(count(&store)? >= 1);
    Ok(())
}

#[test]
fn what_is_not_ours_is_refused_with_a_sentence_and_exit_code_2() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let passwd = folder.path().join("passwd");
    fs::write(&passwd, "root:x:0:0:root:/root:/bin/bash\n".repeat(200))?;
    let newer = folder.path().join("newer.db");
    let (daemon, _) = serve(&[], &newer, &[])?;
    ensure!(daemon.stop("TERM")?.code == Some(0));
    Connection::open(&newer)?.pragma_update(None, "user_version", 1_000)?;
    for (file, what) in [
        (&passwd, "not a database of llmtap's"),
        (&newer, "schema 1000, and this llmtap knows schemas up to"),
    ] {
        let before = fs::read(file)?;
        let mut command = process::llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
        let done = process::run(command.arg(file))?;
        ensure!(done.code == Some(2), "{done:?}");
        ensure!(done.stderr.contains(what), "{done:?}");
        assert_eq!(fs::read(file)?, before);
    }
    Ok(())
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// Whatever the umask: nothing that llmtap makes is ever open to others, not even for a moment.
#[test]
fn files_are_the_owners_alone_from_the_first_moment() -> Result<()> {
    for umask in ["000", "022", "077"] {
        let folder = tempfile::tempdir()?;
        let home = folder.path().join("new/llmtap");
        let store = home.join("llmtap.db");
        let running = AtomicBool::new(true);
        std::thread::scope(|scope| -> Result<()> {
            let watcher = scope.spawn(|| -> Result<usize> {
                let mut seen = 0;
                while running.load(Ordering::Relaxed) {
                    for path in ["new", "new/llmtap"].map(|name| folder.path().join(name)) {
                        if let Ok(mode) = mode(&path) {
                            ensure!(mode == 0o700, "{}: {mode:o}", path.display());
                        }
                    }
                    for entry in fs::read_dir(&home).into_iter().flatten() {
                        let path = entry?.path();
                        if let Ok(mode) = mode(&path) {
                            ensure!(mode == 0o600, "{}: {mode:o}", path.display());
                            seen += 1;
                        }
                    }
                }
                Ok(seen)
            });
            let script = format!("umask {umask}; exec \"$0\" \"$@\"");
            let run = || -> Result<()> {
                let (daemon, api) = serve(&["sh", "-c", &script], &store, &[])?;
                ensure!(status_of_report(api)? == 200);
                for name in ["llmtap.db", "llmtap.db-wal", "llmtap.db-shm", "llmtap.key"] {
                    ensure!(mode(&home.join(name))? == 0o600, "{name}");
                }
                ensure!(daemon.stop("TERM")?.code == Some(0));
                Ok(())
            };
            let ran = run();
            running.store(false, Ordering::Relaxed);
            let seen = watcher.join().expect("the watcher does not panic")?;
            ran?;
            ensure!(seen > 4, "nothing was seen");
            Ok(())
        })?;
    }
    Ok(())
}
