//! What happens to the view from outside: keys, the terminal's size, signals.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use crossbeam_channel::Sender;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::picture::Picture;

/// How often the reader of keys looks whether it is still needed.
const LOOK: u16 = 100;

/// How often it is looked at for the end of its work, and how many times.
const PATIENCE: (Duration, usize) = (Duration::from_millis(10), 50);

/// The number of SIGTSTP on Linux.
const STOP_FROM_TERMINAL: i32 = 20;

/// What the view is told.
pub(super) enum Message {
    Key(KeyEvent),
    Resized,
    /// SIGTSTP.
    Suspend,
    /// SIGINT, SIGTERM or SIGHUP; or the terminal is gone.
    End,
    Picture(Box<Picture>),
    /// Why there is no newer picture.
    Trouble(String),
}

/// The threads that tell; they end with this.
pub(super) struct Sources {
    over: Arc<AtomicBool>,
    keys: Option<thread::JoinHandle<()>>,
}

impl Sources {
    /// Begins to tell of keys and signals.
    pub(super) fn start(tell: &Sender<Message>) -> anyhow::Result<Self> {
        signals(tell.clone())?;
        let over = Arc::new(AtomicBool::new(false));
        let keys = {
            let (over, tell) = (Arc::clone(&over), tell.clone());
            thread::Builder::new()
                .name("keys".to_owned())
                .spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let told = match next_event() {
                            Ok(None) => continue,
                            Ok(Some(message)) => tell.send(message).is_ok(),
                            // The terminal is gone.
                            Err(_) => {
                                let _ = tell.send(Message::End);
                                false
                            }
                        };
                        if !told {
                            return;
                        }
                    }
                })
                .context("cannot start a thread for the keyboard")?
        };
        Ok(Self {
            over,
            keys: Some(keys),
        })
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(keys) = self.keys.take() {
            // Keys that are typed from now on are the shell's. A reader that does not end does not hold the rest.
            let (pause, times) = PATIENCE;
            for _ in 0..times {
                if keys.is_finished() {
                    let _ = keys.join();
                    return;
                }
                thread::sleep(pause);
            }
        }
    }
}

fn next_event() -> io::Result<Option<Message>> {
    // Keys that came together are all there after the first of them: only then is waited.
    wait_for_terminal(0)?;
    if !event::poll(Duration::ZERO)? {
        wait_for_terminal(LOOK)?;
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(key)),
        Event::Resize(..) => Some(Message::Resized),
        _ => None,
    })
}

/// Waits for input, so many milliseconds at most. A terminal that is gone is an error here: crossterm would read
/// its end again and again, and come to no event.
fn wait_for_terminal(millis: u16) -> io::Result<()> {
    let stdin = io::stdin();
    let mut waits = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut waits, PollTimeout::from(millis)) {
        // A signal, of a new size it may be.
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    if waits
        .iter()
        .any(|wait| wait.revents().is_some_and(|seen| seen.intersects(gone)))
    {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Signals end the view, or suspend it, in order: the terminal is given back first.
fn signals(tell: Sender<Message>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for signals")?;
    let listen = || -> io::Result<_> {
        Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
            signal(SignalKind::from_raw(STOP_FROM_TERMINAL))?,
        ))
    };
    let entered = runtime.enter();
    let (mut interrupt, mut terminate, mut hangup, mut stop) =
        listen().context("cannot listen for signals")?;
    drop(entered);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                loop {
                    let message = tokio::select! {
                        _ = interrupt.recv() => Message::End,
                        _ = terminate.recv() => Message::End,
                        _ = hangup.recv() => Message::End,
                        _ = stop.recv() => Message::Suspend,
                    };
                    if tell.send(message).is_err() {
                        return;
                    }
                }
            });
        })
        .context("cannot start a thread for signals")?;
    Ok(())
}
