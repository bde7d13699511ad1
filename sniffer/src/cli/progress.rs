//! How far a replay has come: one line on standard error, where that is a terminal.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use sniffer::capture::file::Position;

use super::{human, table};

/// Nothing is shown of a replay that is over before.
const FIRST: Duration = Duration::from_millis(300);

/// How often the line is drawn.
const INTERVAL: Duration = Duration::from_millis(200);

/// Cells of the bar itself.
const BAR: usize = 20;

/// Takes the line away: to its beginning, and clear to its end.
const CLEAR: &[u8] = b"\r\x1b[K";

/// Where the line is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// On standard error, where that is a terminal.
    OnTerminal,
    /// Nowhere: the terminal shows something else.
    Never,
}

/// The line, drawn by a thread until it is dropped.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    ended: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the thread draws from.
struct Shared {
    position: Position,
    calls: AtomicU64,
    started: Instant,
    /// Whether the line stands on the terminal now. Who writes there holds it.
    shown: Mutex<bool>,
}

impl Progress {
    /// Shows the line, or does not.
    pub(crate) fn start(position: Position, where_shown: Shown) -> Self {
        let shared = Arc::new(Shared {
            position,
            calls: AtomicU64::new(0),
            started: Instant::now(),
            shown: Mutex::new(false),
        });
        let (ended, end) = bounded::<()>(0);
        let shown = where_shown == Shown::OnTerminal && io::stderr().is_terminal();
        let thread = shown.then(|| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut wait = FIRST;
                while end.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                    shared.draw();
                    wait = INTERVAL;
                }
                shared.clear();
            })
        });
        Self {
            shared,
            ended: Some(ended),
            thread,
        }
    }

    /// One call more.
    pub(crate) fn call(&self) {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Standard output, written to so that rows and this line do not run into each other where both stand on one
    /// terminal.
    pub(crate) fn stdout(&self) -> Box<dyn Write + Send> {
        /// Rows are many and small.
        const BUFFER: usize = 64 * 1024;
        let stdout = io::stdout();
        if stdout.is_terminal() {
            // It is buffered by the line, so that what is on the screen ends with one.
            Box::new(Around {
                out: io::LineWriter::new(stdout),
                shared: Arc::clone(&self.shared),
            })
        } else {
            Box::new(io::BufWriter::with_capacity(BUFFER, stdout))
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was told already, and there is nothing to clear up.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn draw(&self) {
        let line = line(
            (self.position.read(), self.position.total()),
            self.calls.load(Ordering::Relaxed),
            self.started.elapsed(),
        );
        // A full line would wrap.
        let line = human::cell(&line, table::width().saturating_sub(1));
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let text = [CLEAR, line.as_bytes()].concat();
        // A terminal that is gone shows nothing.
        let _ = io::stderr().write_all(&text);
        *shown = true;
    }

    fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown {
            let _ = io::stderr().write_all(CLEAR);
            *shown = false;
        }
    }
}

/// Takes the line away before it writes.
struct Around<W: Write> {
    out: W,
    shared: Arc<Shared>,
}

impl<W: Write> Write for Around<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = self
            .shared
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *shown {
            io::stderr().write_all(CLEAR)?;
            *shown = false;
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The line's text: `reading 1.2 GiB of 3.0 GiB  [████▌               ]  40 %, 9.1 s left; 1,204 calls`.
fn line((read, total): (u64, Option<u64>), calls: u64, elapsed: Duration) -> String {
    let tail = human::several(calls, "call");
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("reading {}; {tail}", human::bytes(read));
    };
    let share = (read as f64 / total as f64).min(1.0);
    let left = elapsed.as_secs_f64() * (1.0 - share) / share.max(1e-9);
    let left = if share > 0.01 && share < 1.0 {
        format!(", {} left", human::duration((left * 1e6) as i64))
    } else {
        String::new()
    };
    format!(
        "reading {} of {}  [{}] {:3.0} %{left}; {tail}",
        human::bytes(read),
        human::bytes(total),
        bar(share),
        share * 100.0,
    )
}

/// A bar in eighths of a cell.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (BAR * 8) as f64) as usize;
    let full = "█".repeat(eighths / 8);
    human::left(&format!("{full}{}", EIGHTHS[eighths % 8]), BAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let shown = line((512, Some(1_024)), 1_204, Duration::from_secs(3));
        let bar = format!("{}{}", "█".repeat(10), " ".repeat(10));
        assert_eq!(
            shown,
            format!("reading 512 B of 1.0 KiB  [{bar}]  50 %, 3.00 s left; 1,204 calls")
        );
    }

    #[test]
    fn a_pipe_has_no_end_that_is_known() {
        assert_eq!(
            line((2_048, None), 0, Duration::ZERO),
            "reading 2.0 KiB; 0 calls"
        );
        assert_eq!(
            line((0, Some(0)), 0, Duration::ZERO),
            "reading 0 B; 0 calls"
        );
    }

    #[test]
    fn the_bar_is_always_as_wide() {
        for percent in 0..=100 {
            assert_eq!(human::width(&bar(f64::from(percent) / 100.0)), BAR);
        }
    }
}
