//! tcpdump beside the tap, and the replay of what it recorded.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    process::{self, Daemon, Done},
    row::Row,
};

/// A running tcpdump; dropping it ends it.
#[derive(Debug)]
pub struct Recording {
    tcpdump: Daemon,
    file: PathBuf,
}

impl Recording {
    /// tcpdump on loopback, once it records these ports.
    ///
    /// # Errors
    /// Where it cannot be run, or may not capture.
    pub fn start(ports: &[u16], file: PathBuf) -> Result<Self> {
        let mut command = Command::new("tcpdump");
        // -Z root: it would otherwise write as a user who cannot enter the folder.
        command
            .args(["-i", "lo", "-U", "-B", "16384", "-Z", "root", "-w"])
            .arg(&file);
        let ports: Vec<_> = ports
            .iter()
            .map(|port| format!("tcp port {port}"))
            .collect();
        command.arg(ports.join(" or "));
        let tcpdump = Daemon::start(command)?;
        tcpdump.stderr_line(|line| line.contains("listening on"))?;
        Ok(Self { tcpdump, file })
    }

    /// Stops it when all the calls are in the file with their ends: tcpdump leaves what its ring
    /// still holds.
    ///
    /// # Errors
    /// Where they never come to be.
    pub fn stop(self, calls: usize) -> Result<PathBuf> {
        let whole = process::eventually(|| {
            let rows = replay(&self.file, &[]).ok()?.rows().ok()?;
            let ended = |row: &&Row| row.text("outcome") != Some("incomplete");
            (rows.iter().filter(ended).count() == calls).then_some(())
        });
        whole.context("the recording never held all calls")?;
        self.tcpdump.stop("INT")?;
        Ok(self.file)
    }
}

/// Replays a capture file, with more arguments.
///
/// # Errors
/// Where `llmtap` cannot be run or does not end well.
pub fn replay(file: &Path, arguments: &[&str]) -> Result<Done> {
    let file = file.to_str().context("a path in UTF-8")?;
    let arguments = [&["replay", file, "--format", "ndjson"], arguments].concat();
    let done = process::run_llmtap(&arguments)?;
    ensure!(done.code == Some(0), "replay: {done:?}");
    Ok(done)
}
