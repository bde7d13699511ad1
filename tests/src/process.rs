//! Running programs: to their end, or as a daemon whose lines are watched.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::{row::Row, tools};

/// How long anything may take that a test waits for. Far above what it takes, so that a slow machine
/// fails no test; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How long a failure waits for what the program says last.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a program that ran to its end left.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Done {
    /// The rows of `--format ndjson`.
    ///
    /// # Errors
    /// Where a line is no JSON object.
    pub fn rows(&self) -> Result<Vec<Row>> {
        Row::parse_lines(&self.stdout)
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Names another eBPF object than the one built in, such as one that was built for the tests.
const OBJECT: &str = "LLMTAP_BPF_OBJECT";

/// The `llmtap` under test with these arguments, and an environment that holds none of its settings,
/// but for the eBPF object to test.
///
/// # Errors
/// Where it was not built.
pub fn llmtap<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Command> {
    llmtap_under::<&str, S>(&[], arguments)
}

/// [`llmtap`], run by another command, such as `setpriv`, that ends in becoming it.
///
/// # Errors
/// Where it was not built.
pub fn llmtap_under<W: AsRef<OsStr>, S: AsRef<OsStr>>(
    wrapper: &[W],
    arguments: &[S],
) -> Result<Command> {
    let llmtap = tools::llmtap()?;
    let mut command = match wrapper.split_first() {
        None => Command::new(llmtap),
        Some((program, rest)) => {
            let mut command = Command::new(program);
            command.args(rest).arg(llmtap);
            command
        }
    };
    for (name, _) in std::env::vars_os() {
        if name != OBJECT && name.to_string_lossy().starts_with("LLMTAP_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .env("NO_COLOR", "1")
        // The settings file of this machine is none of the tests'.
        .env("LLMTAP_CONFIG", "/dev/null")
        // The sample that is audited goes by the calls' keys, and those are not the same in two runs that tests compare.
        .env("LLMTAP_AUDIT_RATE", "0")
        .stdin(Stdio::null());
    Ok(command)
}

/// `llmtap serve` on a store, once it is ready, and where it answers.
///
/// # Errors
/// Where it cannot be run, or never becomes ready.
pub fn serve(store: &Path) -> Result<(Daemon, SocketAddr)> {
    let mut command = llmtap(&["serve", "--listen", "127.0.0.1:0", "--db"])?;
    command.arg(store);
    let daemon = Daemon::start(command)?;
    let api = daemon.ready()?;
    Ok((daemon, api))
}

/// Runs `llmtap` to its end.
///
/// # Errors
/// Where it cannot be run.
pub fn run_llmtap<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Done> {
    run(&mut llmtap(arguments)?)
}

/// Runs a program to its end.
///
/// # Errors
/// Where it cannot be run.
pub fn run(command: &mut Command) -> Result<Done> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok(output.into())
}

/// Asks again and again until there is an answer; `None` after [`PATIENCE`].
pub fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A program that runs beside the test; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Daemon {
    /// Starts a program and reads all that it prints.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let stdout = Lines::read(child.stdout.take().context("stdout is a pipe")?);
        let stderr = Lines::read(child.stderr.take().context("stderr is a pipe")?);
        Ok(Self {
            child,
            stdout,
            stderr,
        })
    }

    /// Waits for a line of standard output that fits.
    ///
    /// # Errors
    /// Where the stream ended first, or after [`PATIENCE`]; the error shows what was printed.
    pub fn stdout_line(&self, fits: impl Fn(&str) -> bool) -> Result<String> {
        self.stdout.wait(fits).map_err(|why| self.failure(&why))
    }

    /// Waits for a line of standard error that fits.
    ///
    /// # Errors
    /// Where the stream ended first, or after [`PATIENCE`]; the error shows what was printed.
    pub fn stderr_line(&self, fits: impl Fn(&str) -> bool) -> Result<String> {
        self.stderr.wait(fits).map_err(|why| self.failure(&why))
    }

    /// Waits for the so many'th line of standard error that fits, from 1.
    ///
    /// # Errors
    /// Where the stream ended first, or after [`PATIENCE`]; the error shows what was printed.
    pub fn nth_stderr_line(&self, nth: usize, fits: impl Fn(&str) -> bool) -> Result<String> {
        let find = |lines: &[String]| {
            let mut fitting = lines.iter().filter(|line| fits(line));
            fitting.nth(nth.saturating_sub(1)).cloned()
        };
        self.stderr
            .until(PATIENCE, find)
            .map_err(|why| self.failure(&format!("{why} before line {nth} of its kind came")))
    }

    /// Waits until standard output has as many lines.
    ///
    /// # Errors
    /// Where the stream ended first, or after [`PATIENCE`]; the error shows what was printed.
    pub fn stdout_lines(&self, count: usize) -> Result<Vec<String>> {
        self.stdout
            .wait_for_count(count)
            .map_err(|why| self.failure(&why))
    }

    /// Waits for `llmtap`'s line `ready: … http(s)://ADDRESS/metrics`, and gives the address.
    ///
    /// # Errors
    /// Where it does not come.
    pub fn ready(&self) -> Result<SocketAddr> {
        let line = self.stderr_line(|line| line.contains("ready:") && line.contains("://"))?;
        let after = line.split("://").nth(1).unwrap_or_default();
        let address = after.split(['/', ' ']).next().unwrap_or_default();
        address
            .parse()
            .with_context(|| format!("no address in {line:?}"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `INT` or `TERM`.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        // The shell's own kill: std has no signals, and /bin/kill is not everywhere.
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status()?;
        ensure!(status.success(), "`{kill}` failed");
        Ok(())
    }

    /// Waits for the end and gives all that was printed.
    ///
    /// # Errors
    /// After [`PATIENCE`].
    pub fn wait(mut self) -> Result<Done> {
        let status = self.wait_for_exit()?;
        Ok(Done {
            code: status.code(),
            stdout: self.stdout.text_at_end(),
            stderr: self.stderr.text_at_end(),
        })
    }

    /// Sends a signal and waits for the end.
    ///
    /// # Errors
    /// As [`Daemon::signal`] and [`Daemon::wait`].
    pub fn stop(self, signal: &str) -> Result<Done> {
        self.signal(signal)?;
        self.wait()
    }

    fn wait_for_exit(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!(self.failure("it did not end"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// An error that shows what was printed.
    pub fn failure(&self, why: &str) -> anyhow::Error {
        // A program that failed may still have its reason in the other pipe.
        let _ = self.stderr.until(LAST_WORDS, |_| None::<()>);
        anyhow!(
            "{why}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout.text(),
            self.stderr.text()
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Gone already, or going now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a pipe, read by a thread as they come.
#[derive(Debug)]
struct Lines(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Debug, Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            let (state, changed) = &*for_thread;
            let mut reader = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while reader
                .read_until(b'\n', &mut bytes)
                .is_ok_and(|length| length > 0)
            {
                let line = String::from_utf8_lossy(&bytes)
                    .trim_end_matches('\n')
                    .to_owned();
                bytes.clear();
                state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .lines
                    .push(line);
                changed.notify_all();
            }
            state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            changed.notify_all();
        });
        Self(shared)
    }

    fn wait(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        self.until(PATIENCE, |lines| {
            lines.iter().find(|line| fits(line)).cloned()
        })
        .map_err(|why| format!("{why} before the awaited line came"))
    }

    fn wait_for_count(&self, count: usize) -> Result<Vec<String>, String> {
        self.until(PATIENCE, |lines| {
            (lines.len() >= count).then(|| lines.to_vec())
        })
        .map_err(|why| format!("{why} before {count} lines came"))
    }

    fn until<T>(
        &self,
        patience: Duration,
        find: impl Fn(&[String]) -> Option<T>,
    ) -> Result<T, String> {
        let (state, changed) = &*self.0;
        let deadline = Instant::now() + patience;
        let mut guard = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&guard.lines) {
                return Ok(found);
            }
            if guard.ended {
                return Err("the output ended".into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{} s passed", patience.as_secs()));
            }
            guard = changed
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn text(&self) -> String {
        let guard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// All of it, once the pipe is at its end (which a grandchild may hold open: then what there is).
    fn text_at_end(&self) -> String {
        let _ = self.until(PATIENCE, |_| None::<()>);
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Daemon {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Daemon::start(command).unwrap()
    }

    #[test]
    fn lines_are_seen_while_the_program_runs() {
        let daemon =
            shell("echo one; echo 'ready: http://127.0.0.1:81/metrics' >&2; read wait; exit 3");
        assert_eq!(daemon.stdout_line(|line| line == "one").unwrap(), "one");
        assert_eq!(daemon.ready().unwrap(), "127.0.0.1:81".parse().unwrap());
    }

    #[test]
    fn the_end_of_the_output_is_no_line() {
        let daemon = shell("echo one; echo why >&2; exit 3");
        let error = daemon.stdout_line(|line| line == "two").unwrap_err();
        assert!(error.to_string().contains("--- stderr\nwhy\n"), "{error}");
        assert_eq!(daemon.wait().unwrap().code, Some(3));
    }

    #[test]
    fn signals_arrive() {
        let daemon =
            shell("trap 'echo caught; exit 7' TERM; echo up; while :; do sleep 0.01; done");
        daemon.stdout_line(|line| line == "up").unwrap();
        let done = daemon.stop("TERM").unwrap();
        assert_eq!((done.code, done.stdout.as_str()), (Some(7), "up\ncaught\n"));
    }
}
