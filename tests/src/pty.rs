//! A program on a terminal: keys go in, and the screen is read.

use std::{
    fs::{File, OpenOptions},
    io::{PipeReader, PipeWriter, Read as _, Write as _},
    num::NonZero,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt as _},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, anyhow};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::OFlags,
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::process;

/// What runs a program with the terminal of its standard input as its own, so that it is told of a new size.
pub const OWN_TERMINAL: [&str; 2] = ["setsid", "--ctty"];

/// A program on a terminal of its own; dropping it kills it.
pub struct Terminal {
    child: Child,
    /// None once it is gone.
    keys: Option<File>,
    seen: Arc<Mutex<Seen>>,
    /// Reads what is written to it, until the pipe's end that this holds is closed.
    reader: Option<(JoinHandle<()>, PipeWriter)>,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// Which of its streams are on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// All three.
    All,
    /// Standard error; the others are as the command has them.
    Error,
}

impl Terminal {
    /// Starts a program on a terminal of so many lines and columns.
    ///
    /// # Errors
    /// Where there is no terminal, or the program cannot be run.
    pub fn start(
        mut command: Command,
        streams: Streams,
        (lines, columns): (u16, u16),
    ) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        tcsetwinsize(&master, size(lines, columns))?;
        let name = ptsname(&master, Vec::new())?;
        let slave: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(name.to_str()?)?
            .into();
        if streams == Streams::All {
            command.stdin(slave.try_clone()?).stdout(slave.try_clone()?);
        }
        command.stderr(slave);
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        // It holds the terminal's other end, and the end of the output would never come.
        drop(command);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(cells(lines)?, cells(columns)?, 0),
            bytes: Vec::new(),
        }));
        let keys = File::from(master);
        let mut output = keys.try_clone()?;
        let into = Arc::clone(&seen);
        let (over, until) = std::io::pipe()?;
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // At the end of the last program on it, the terminal gives an error.
            while is_still_there(&output, &over)
                && let Ok(length @ 1..) = output.read(&mut buffer)
            {
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                seen.bytes.extend_from_slice(&buffer[..length]);
                seen.parser.process(&buffer[..length]);
            }
        });
        Ok(Self {
            child,
            keys: Some(keys),
            seen,
            reader: Some((reader, until)),
        })
    }

    /// Waits until the screen's text fits, and gives it, a line of the screen a line.
    ///
    /// # Errors
    /// After [`process::PATIENCE`]; the error shows the screen.
    pub fn wait(&self, what: &str, fits: impl Fn(&str) -> bool) -> Result<String> {
        let found = process::eventually(|| Some(self.text()).filter(|text| fits(text)));
        found.ok_or_else(|| anyhow!("no {what} on the screen:\n{}", self.text()))
    }

    /// The same until it has this text somewhere.
    ///
    /// # Errors
    /// As [`Terminal::wait`].
    pub fn wait_for(&self, text: &str) -> Result<String> {
        self.wait(text, |screen| screen.contains(text))
    }

    /// The screen's text.
    pub fn text(&self) -> String {
        self.seen().parser.screen().contents()
    }

    /// The column at which a text begins on its line, in cells.
    pub fn column(&self, line: &str, text: &str) -> Option<u16> {
        let seen = self.seen();
        let screen = seen.parser.screen();
        let (lines, columns) = screen.size();
        let (lines, columns) = (lines.get(), columns.get());
        let at = (0..lines).find(|at| row(screen, *at, 0, columns).contains(line))?;
        (0..columns)
            .rev()
            .find(|column| row(screen, at, *column, columns).starts_with(text))
    }

    /// Whether the other screen is shown, which full-screen programs use.
    pub fn is_full_screen(&self) -> bool {
        self.seen().parser.screen().alternate_screen()
    }

    /// Whether it is as a shell needs it: what is typed is shown and comes in lines, the cursor is shown, and the
    /// other screen is not.
    ///
    /// # Errors
    /// Where the terminal cannot be asked.
    pub fn is_given_back(&self) -> Result<bool> {
        let modes = tcgetattr(self.master()?)?.local_modes;
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        let hidden = self.seen().parser.screen().hide_cursor();
        Ok(modes.contains(usual) && !hidden && !self.is_full_screen())
    }

    /// All that was written to it, escape sequences and all.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Types.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn type_keys(&mut self, keys: &str) -> Result<()> {
        let mut master = self.master()?;
        Ok(master.write_all(keys.as_bytes())?)
    }

    /// Gives it another size.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn resize(&self, lines: u16, columns: u16) -> Result<()> {
        self.seen()
            .parser
            .screen_mut()
            .set_size(cells(lines)?, cells(columns)?);
        Ok(tcsetwinsize(self.master()?, size(lines, columns))?)
    }

    /// Takes it away from the program, as a terminal's window does that is closed.
    ///
    /// # Errors
    /// Where it was gone before.
    pub fn hang_up(&mut self) -> Result<()> {
        self.keys.take().context("the terminal is gone")?;
        let (reader, until) = self.reader.take().context("the terminal is gone")?;
        drop(until);
        reader.join().map_err(|_| anyhow!("its reader panicked"))
    }

    fn master(&self) -> Result<&File> {
        self.keys.as_ref().context("the terminal is gone")
    }

    /// The program, such as for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends the program a signal, such as `TERM`.
    ///
    /// # Errors
    /// Where it is gone.
    pub fn signal(&self, name: &str) -> Result<()> {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status()?;
        anyhow::ensure!(status.success(), "`{kill}` failed");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// After [`process::PATIENCE`]; the error shows the screen.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let child = &mut self.child;
        let ended = process::eventually(|| child.try_wait().transpose());
        ended
            .with_context(|| format!("it did not end:\n{}", self.text()))?
            .map_err(Into::into)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Gone already, or going now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is something to read, or the end of the pipe.
fn is_still_there(output: &File, over: &PipeReader) -> bool {
    let mut waits = [
        PollFd::new(output, PollFlags::IN),
        PollFd::new(over, PollFlags::IN),
    ];
    while matches!(poll(&mut waits, None), Err(Errno::INTR)) {}
    waits[1].revents().is_empty()
}

fn row(screen: &vt100::Screen, line: u16, from: u16, to: u16) -> String {
    (from..to)
        .filter_map(|column| screen.cell(line, column))
        .filter(|cell| !cell.is_wide_continuation())
        .map(|cell| {
            if cell.has_contents() {
                cell.contents()
            } else {
                " "
            }
        })
        .collect()
}

fn cells(count: u16) -> Result<NonZero<u16>> {
    NonZero::new(count).context("a terminal has lines and columns")
}

const fn size(lines: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
