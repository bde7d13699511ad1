//! An attack on a replay, and what it took.

use std::{
    fs,
    io::{self, BufWriter},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow};

use super::{Attack, Traffic};
use crate::{process, process::Done, tools};

/// What a replay of an attack left.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its output and exit code.
    pub done: Done,
    /// The packets that it was given.
    pub packets: u64,
    /// The peak of its resident memory, in KiB.
    pub peak: u64,
}

impl Measured {
    /// What its summary says of limits, such as `84 evicted (--max-connections)`.
    pub fn limits(&self) -> Option<&str> {
        let mut lines = self.done.stdout.lines().chain(self.done.stderr.lines());
        lines.find_map(|line| line.strip_prefix("limits reached: "))
    }
}

/// Pipes an attack of this size into `llmtap replay -`; `folder` holds a small file in the meantime.
///
/// # Errors
/// Where a program cannot be run, or the replay fails.
pub fn run(
    attack: &Attack,
    size: u64,
    traffic: Traffic,
    arguments: &[&str],
    folder: &Path,
) -> Result<Measured> {
    let report = folder.join("usage");
    let replay = process::llmtap(&["replay", "-"])?;
    let mut command = Command::new("python3");
    command
        .arg(tools::file("tools/measure.py"))
        .arg(&report)
        .arg(replay.get_program())
        .args(replay.get_args())
        .args(attack.arguments)
        .args(arguments);
    for (name, value) in replay.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let mut stdin = child.stdin.take().context("stdin is a pipe")?;
    let (written, output) = thread::scope(|scope| {
        let writer = scope.spawn(move || {
            attack.write(
                size,
                traffic,
                &mut BufWriter::with_capacity(1 << 20, &mut stdin),
            )
        });
        let output = child.wait_with_output();
        (writer.join(), output)
    });
    let done = Done::from(output?);
    let written: io::Result<u64> = written.map_err(|_| anyhow!("the writer panicked"))?;
    let packets = written.with_context(|| format!("{}: {done:?}", attack.name))?;
    let text = fs::read_to_string(report)?;
    let peak = text.split_whitespace().nth(2);
    Ok(Measured {
        done,
        packets,
        peak: peak.context("measure.py's third figure")?.parse()?,
    })
}
