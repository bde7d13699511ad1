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
