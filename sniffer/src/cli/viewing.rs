//! `llmtap replay FILE --serve`: the dashboard on a capture, with nothing left behind.
//!
//! What the API serves is a database, which is made in a folder of its own, in memory where the system has a
//! file system there, and removed at the end.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use analyzer::{exchange::Source, metrics::ExchangeKind, time::Timestamp};
use anyhow::{Context as _, bail};
use clap::Args;
use sniffer::{
    capture::file::FileSource,
    pipeline::{self, Output, Pace, Report, Snapshot},
};

use super::{
    args::{Command, ReplayArgs, ServeArgs},
    config::{self, LogHandle, Reloader},
    daemon::{Capturing, Daemon},
    human,
    run::Watch,
};

/// Where Linux keeps files in memory.
const IN_MEMORY: &str = "/dev/shm";

/// Whether what was read is to be looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Dashboard")]
pub(crate) struct ViewArgs {
    /// Serve the dashboard and the API on what was read, until Ctrl-C. Nothing is stored: the rows and texts are
    /// kept in a private folder in memory (/dev/shm, else the folder of temporary files) and removed at the end
    #[arg(long, conflicts_with_all = ["db", "format", "rows"])]
    pub(crate) serve: bool,

    /// Where (with --serve); port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:9464",
        env = "LLMTAP_LISTEN"
    )]
    listen: SocketAddr,
}

/// Reads the files and serves what they hold until a signal asks for the end.
pub(crate) fn main(
    args: &ReplayArgs,
    settings_file: Option<&Path>,
    log: LogHandle,
) -> anyhow::Result<ExitCode> {
    let mut source = FileSource::open(&args.files)?;
    let folder = Folder::new()?;
    let (serve, reloader) = serving(args, settings_file, &folder.0.join("llmtap.db"))?;
    let mut daemon = Daemon::start(
        &serve.serving,
        &args.analysis,
        &serve.storage,
        Capturing::Yes,
        (reloader, log),
    )?;
    let report = read(args, &mut source, &daemon);
    let served = report.and_then(|report| {
        let files: Vec<_> = args
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        daemon.replayed(&format!(
            "{} of {}",
            human::several(report.totals.calls, "call"),
            files.join(", ")
        ));
        tracing::info!(
            "the texts of calls are shown with the token in {}; all of it is removed at the end",
            folder.0.join("llmtap.token").display()
        );
        daemon.wait()
    });
    daemon.close()?;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// What `llmtap serve` would take for this store, from the environment and the settings file.
fn serving(
    args: &ReplayArgs,
    settings_file: Option<&Path>,
    db: &Path,
) -> anyhow::Result<(ServeArgs, Reloader)> {
    let mut arguments: Vec<OsString> = ["llmtap", "serve", "--db"].map(OsString::from).to_vec();
    arguments.push(db.into());
    arguments.push("--listen".into());
    arguments.push(args.view.listen.to_string().into());
    if let Some(file) = settings_file {
        arguments.push("--config".into());
        arguments.push(file.into());
    }
    let resolved = config::resolve(&arguments)?;
    let reloader = Reloader::new(arguments, &resolved);
    match resolved.cli.command {
        Command::Serve(serve) => Ok((serve, reloader)),
        _ => bail!("the settings of `llmtap serve` cannot be read"),
    }
}

/// Reads all of it into the daemon's store, which makes reading wait where it must.
fn read(args: &ReplayArgs, source: &mut FileSource, daemon: &Daemon) -> anyhow::Result<Report> {
    let (metrics, board) = (daemon.metrics().clone(), Arc::clone(daemon.board()));
    let writer = daemon.writer();
    let mut watch = Watch::new(daemon);
    let settings =
        daemon
            .setup()
            .pipeline(Source::File, Pace::Replay, args.ports.clone(), &args.limits);
    let mut latest = Timestamp::default();
    let report = pipeline::run(
        source,
        &settings,
        daemon.stop_flag(),
        |output| match output {
            Output::Protocol(..) => {}
            Output::Exchange(_, None) => metrics.observe_exchange(ExchangeKind::Other),
            Output::Exchange(_, Some(record)) => {
                metrics.observe_exchange(ExchangeKind::Call);
                metrics.observe_call(&record.call);
                board.observe(&record.call);
                // What cannot be written is said when the store is closed.
                let _ = writer.submit_blocking(*record);
            }
        },
        |snapshot| {
            latest = snapshot.now;
            watch.look(snapshot);
        },
    )?;
    watch.look(&Snapshot {
        now: latest,
        capture: report.capture.clone(),
        packets: &report.packets,
        totals: report.totals.clone(),
        other_ports: report.other_ports,
    });
    Ok(report)
}

/// A folder that nobody else can look into, and that goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let places = [PathBuf::from(IN_MEMORY), env::temp_dir()];
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let name = format!(
            "llmtap-{}-{}",
            process::id(),
            now.unwrap_or_default().as_nanos()
        );
        for place in places.iter().filter(|place| place.is_dir()) {
            let path = place.join(&name);
            // Fails where something is there already: it is not ours.
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => last = error,
            }
        }
        Err(last).context(
            "no private folder can be made in /dev/shm or for temporary files: set TMPDIR to one that can be \
             written to",
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{} cannot be removed: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_folder_is_private_and_goes() {
        let folder = Folder::new().unwrap();
        let path = folder.0.clone();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("llmtap.db"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
