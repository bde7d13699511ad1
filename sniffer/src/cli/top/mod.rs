//! `llmtap top`: what happens now, on a terminal. It shows a daemon, by its API, or a replay in this process.

mod address;
mod columns;
mod daemon;
mod draw;
mod events;
mod local;
mod picture;
mod rates;
mod screen;
#[cfg(feature = "tls")]
mod tls;
mod view;

use std::{
    env,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use self::{
    address::Address,
    daemon::Daemon,
    draw::Look,
    events::{Message, Sources},
    screen::Screen,
    view::{Ask, View},
};
#[cfg(feature = "tls")]
use self::{address::Scheme, tls::Tls};
use super::places;

pub(crate) use self::local::Local;

/// Messages that may wait; whoever tells then waits, too.
const MESSAGES: usize = 64;

/// How often a replay's picture is taken anew.
const LOCAL_INTERVAL: Duration = Duration::from_millis(250);

/// Bytes of a token's file: it is one line.
const TOKEN_FILE: usize = 64 * 1024;

#[derive(Debug, Args)]
#[command(next_help_heading = "Watching")]
pub(crate) struct TopArgs {
    /// The daemon to watch: `llmtap run` or `llmtap serve`, by where it listens
    #[arg(
        value_name = "http://ADDR:PORT",
        default_value = "http://127.0.0.1:9464"
    )]
    address: Address,

    /// Believe the authorities in this file of PEM certificates in place of the system's, where the daemon is named
    /// by https://; the daemon's own certificate (its --tls-cert) will do
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE", env = "LLMTAP_CA_CERT")]
    ca_cert: Option<PathBuf>,

    /// Send the first token of this file, if the daemon wants one. Default: llmtap.token beside the store
    #[arg(long, value_name = "FILE", env = "LLMTAP_API_TOKEN_FILE")]
    api_token_file: Option<PathBuf>,

    /// The daemon's SQLite file, beside which its token lies. Default: /var/lib/llmtap/llmtap.db as root, else
    /// llmtap/llmtap.db in the XDG state folder
    #[arg(long, value_name = "FILE", env = "LLMTAP_DB")]
    db: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn main(args: &TopArgs) -> anyhow::Result<ExitCode> {
    if !is_possible() {
        bail!(
            "top draws on a terminal, and standard output is none: use `llmtap stats` or `llmtap calls`, or ask the \
             API ({}/api/status)",
            args.address
        );
    }
    let token = args.token()?;
    let daemon = Daemon::new(
        args.address.clone(),
        token.as_deref(),
        #[cfg(feature = "tls")]
        args.tls()?,
    )?;
    // Before the screen is taken: what is wrong with the address or the token is told as of any command.
    daemon.picture(Instant::now())?;
    let title = daemon.address().to_string();
    let (tell, told) = bounded(MESSAGES);
    daemon.watch(tell.clone())?;
    show(title, &tell, &told, None)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is a terminal to draw on.
pub(crate) fn is_possible() -> bool {
    io::stdout().is_terminal()
}

/// Shows a replay until the person has seen enough.
pub(crate) fn watch(title: String, local: &Local) -> anyhow::Result<()> {
    let (tell, told) = bounded(MESSAGES);
    show(title, &tell, &told, Some(local))
}

impl TopArgs {
    /// What is believed, where the daemon speaks TLS.
    #[cfg(feature = "tls")]
    fn tls(&self) -> anyhow::Result<Option<Tls>> {
        match (self.address.scheme, &self.ca_cert) {
            (Scheme::Https, ca_cert) => Tls::new(ca_cert.as_deref()).map(Some),
            (Scheme::Http, _) => Ok(None),
        }
    }

    /// The token, where there is one.
    fn token(&self) -> anyhow::Result<Option<String>> {
        if let Some(path) = &self.api_token_file {
            let token = first_token(path)?;
            let none = || {
                format!(
                    "{} has no token: it must stand on a line of its own",
                    path.display()
                )
            };
            return token.with_context(none).map(Some);
        }
        let db = self.db.clone().map_or_else(places::default_db, Ok)?;
        let own = places::token_of(&db);
        // Another user's may not be read; the daemon says whether one is needed.
        Ok(first_token(&own).ok().flatten())
    }
}

/// The first line of a file that is neither empty nor a comment.
fn first_token(path: &Path) -> anyhow::Result<Option<String>> {
    let text = places::read_text(path).map_err(|error| {
        anyhow!(
            "cannot read the token file {} ({error}): run as its owner, or name another with --api-token-file",
            path.display()
        )
    })?;
    if text.len() > TOKEN_FILE {
        bail!("{} is no token file: it is too large", path.display());
    }
    let mut lines = text.lines().map(str::trim);
    let token = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(token.map(str::to_owned))
}

/// Draws what is told, and does what the keys say.
fn show(
    title: String,
    tell: &Sender<Message>,
    told: &Receiver<Message>,
    local: Option<&Local>,
) -> anyhow::Result<()> {
    let look = Look {
        title,
        coloured: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let mut screen = Screen::take().context("the terminal cannot be drawn on")?;
    let sources = Sources::start(tell)?;
    let mut view = View::default();
    let ended = run(&mut screen, &mut view, told, local, &look);
    drop(sources);
    drop(screen);
    ended.context("the terminal cannot be drawn on")
}

fn run(
    screen: &mut Screen,
    view: &mut View,
    told: &Receiver<Message>,
    local: Option<&Local>,
    look: &Look,
) -> io::Result<()> {
    let mut taken = None::<Instant>;
    loop {
        if let Some(local) = local
            && taken.is_none_or(|taken| taken.elapsed() >= LOCAL_INTERVAL)
        {
            view.take(local.picture());
            taken = Some(Instant::now());
        }
        if !screen.is_taken() {
            // A thread panicked, which was told where it can be read.
            return Ok(());
        }
        screen.draw(|frame| {
            view.room = draw::room(frame.area());
            draw::draw(frame, view, look);
        })?;
        let asked = match told.recv_timeout(LOCAL_INTERVAL) {
            Err(RecvTimeoutError::Timeout) | Ok(Message::Resized) => Ask::Nothing,
            Err(RecvTimeoutError::Disconnected) | Ok(Message::End) => Ask::Quit,
            Ok(Message::Suspend) => Ask::Suspend,
            Ok(Message::Key(key)) => view.key(key),
            Ok(Message::Picture(picture)) => {
                view.take(*picture);
                Ask::Nothing
            }
            Ok(Message::Trouble(why)) => {
                view.trouble = Some(why);
                Ask::Nothing
            }
        };
        match asked {
            Ask::Nothing => {}
            Ask::Quit => return Ok(()),
            Ask::Suspend => screen.suspend()?,
        }
    }
}
