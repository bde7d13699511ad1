//! What happens to the view from outside: keys, the terminal's size, signals.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use crossbeam_channel::Sender;
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::picture::Picture;

/// How often the reader of keys looks whether it is still needed.
const LOOK: Duration = Duration::from_millis(100);

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
            // Keys that are typed from now on are the shell's.
            let _ = keys.join();
        }
    }
}

fn next_event() -> io::Result<Option<Message>> {
    if !event::poll(LOOK)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(key)),
        Event::Resize(..) => Some(Message::Resized),
        _ => None,
    })
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
