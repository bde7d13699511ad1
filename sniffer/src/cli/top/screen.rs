//! The terminal: taken, and given back however this ends.

use std::{
    io::{self, Stdout, Write as _},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::sys::signal::{Signal, raise};
use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        cursor, execute,
        terminal::{
            self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
            enable_raw_mode,
        },
    },
    layout::Rect,
};

/// Whether the terminal is taken now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, in raw mode and on its other screen until this is dropped.
///
/// A viewport of a fixed size, made anew where the size is another: one that follows the size by itself asks the
/// terminal where its cursor is, and that answer would come in among the keys.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    size: (u16, u16),
}

impl Screen {
    pub(super) fn take() -> io::Result<Self> {
        /// A panic would otherwise be told on the other screen, and go with it.
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = panic::take_hook();
            panic::set_hook(Box::new(move |why| {
                give_back();
                told(why);
            }));
        });
        enter()?;
        let size = terminal::size()?;
        Ok(Self {
            terminal: blank(size)?,
            size,
        })
    }

    /// Whether it still is; a panic, in whatever thread, gives it back.
    #[expect(clippy::unused_self, reason = "there is one terminal, and this is it")]
    pub(super) fn is_taken(&self) -> bool {
        TAKEN.load(Ordering::Relaxed)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let size = terminal::size()?;
        if size != self.size {
            self.terminal = blank(size)?;
            self.size = size;
        }
        self.terminal.draw(draw).map(drop)
    }

    /// Stops the process, as Ctrl-Z does, with the terminal as it was before; takes it again when it goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Its own signal is caught; this one cannot be. It returns when the process goes on.
        raise(Signal::SIGSTOP)?;
        enter()?;
        self.terminal = blank(self.size)?;
        Ok(())
    }
}

/// An empty screen of this size.
fn blank((width, height): (u16, u16)) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    execute!(io::stdout(), Clear(ClearType::All))?;
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    Terminal::with_options(
        CrosstermBackend::new(io::stdout()),
        TerminalOptions { viewport },
    )
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::Relaxed);
    let taken =
        enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, cursor::Hide));
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Each step by itself: a terminal that is half gone gets what it still takes.
fn give_back() {
    if TAKEN.swap(false, Ordering::Relaxed) {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
        let _ = io::stdout().flush();
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        fs::File,
        io::Read as _,
        os::fd::OwnedFd,
        process::{Command, Stdio},
        thread,
    };

    use nix::{
        pty::{Winsize, openpty},
        sys::termios::{LocalFlags, tcgetattr},
    };
    use ratatui::crossterm::terminal::is_raw_mode_enabled;

    use super::*;

    /// Set in the process that panics.
    const INNER: &str = "LLMTAP_TEST_ON_TERMINAL";

    /// Takes the terminal, and panics in another thread.
    fn panic_on_it() {
        let screen = Screen::take().unwrap();
        assert!(screen.is_taken() && is_raw_mode_enabled().unwrap());
        let panicked = thread::spawn(|| panic!("something is wrong")).join();
        assert!(panicked.is_err());
        assert!(!screen.is_taken() && !is_raw_mode_enabled().unwrap());
        // As `abort` would end it: nothing is left for `drop` to do.
        std::mem::forget(screen);
    }

    /// This test is run again by itself, in a process on a terminal.
    #[test]
    fn a_panic_is_told_on_a_terminal_that_was_given_back() {
        if env::var_os(INNER).is_some() {
            panic_on_it();
            return;
        }
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let before = tcgetattr(&pty.master).unwrap().local_flags;
        assert!(before.contains(LocalFlags::ICANON | LocalFlags::ECHO));
        let end = |slave: &OwnedFd| Stdio::from(slave.try_clone().unwrap());
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::a_panic_is_told_on_a_terminal_that_was_given_back");
        let mut child = Command::new(env::current_exe().unwrap())
            .args([name.as_str(), "--exact", "--nocapture"])
            .env(INNER, "1")
            .stdin(end(&pty.slave))
            .stdout(end(&pty.slave))
            .stderr(end(&pty.slave))
            .spawn()
            .unwrap();
        let mut master = File::from(pty.master);
        let output = {
            let mut master = master.try_clone().unwrap();
            thread::spawn(move || {
                let mut said = Vec::new();
                // At the end of the last process on it, a terminal gives an error.
                let _ = master.read_to_end(&mut said);
                String::from_utf8_lossy(&said).into_owned()
            })
        };
        let ended = child.wait().unwrap();
        let after = tcgetattr(&mut master).unwrap().local_flags;
        drop(pty.slave);
        let said = output.join().unwrap();
        assert!(ended.success(), "{said}");
        assert_eq!(after, before);
        let at = |text: &str| {
            said.find(text)
                .unwrap_or_else(|| panic!("{text:?}: {said:?}"))
        };
        let (taken, given_back) = (at("\u{1b}[?1049h"), at("\u{1b}[?1049l"));
        assert!(taken < given_back && given_back < at("\u{1b}[?25h"));
        assert!(at("\u{1b}[?25h") < at("something is wrong"), "{said:?}");
    }
}
