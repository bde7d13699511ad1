//! `cargo xtask bench replay`: reading a capture, beside tcpdump.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::table::{Style, Table};
use crate::{
    setup,
    shell::{self, cargo, must, release, say},
};

pub(super) const DEFAULT_MEGABYTES: u32 = 100;
const RUNS: usize = 5;

/// Measures, and prints the table.
pub(super) fn run(megabytes: u32, style: Style) -> Result<()> {
    setup::for_test()?;
    must(cargo().args(["build", "--release", "-p", "sniffer"]))?;
    let folder = shell::state().join("bench");
    fs::create_dir_all(&folder)?;
    let capture = folder.join(format!("{megabytes}.pcap"));
    if !capture.is_file() {
        let unfinished = capture.with_extension("unfinished");
        must(
            shell::command("python3")
                .arg("tests/tools/gen_llm_pcap.py")
                .arg(&unfinished)
                .arg(megabytes.to_string()),
        )?;
        fs::rename(unfinished, &capture)?;
    }
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.arg("-r").arg(&capture).args(["-w", "/dev/null"]);
    let mut llmtap = Command::new(release("llmtap"));
    llmtap
        .arg("replay")
        .arg(&capture)
        .args(["--format", "ndjson"]);
    let (mut theirs, mut ours) = (Taken::WORST, Taken::WORST);
    for _ in 0..RUNS {
        theirs = theirs.best(measure(&tcpdump, &folder)?);
        ours = ours.best(measure(&llmtap, &folder)?);
    }
    let size = fs::metadata(&capture)?.len() as f64 / 1e6;
    let mut table = Table::new(
        format!("A generated capture of {size:.0} MB; the best of {RUNS} runs each, taken in turn"),
        &["", "CPU s", "wall s", "MB/s (wall)", "peak MiB"],
    );
    for (name, usage) in [("tcpdump -r -w /dev/null", theirs), ("llmtap replay", ours)] {
        table.row([
            name.to_owned(),
            format!("{:.3}", usage.cpu),
            format!("{:.3}", usage.wall),
            format!("{:.0}", size / usage.wall),
            format!("{:.1}", usage.peak_mib),
        ]);
    }
    table.row([
        "llmtap / tcpdump".to_owned(),
        format!("{:.2}", ours.cpu / theirs.cpu),
        format!("{:.2}", ours.wall / theirs.wall),
        format!("{:.2}", theirs.wall / ours.wall),
        format!("{:.2}", ours.peak_mib / theirs.peak_mib),
    ]);
    say(&table.render(style));
    Ok(())
}

/// What one run took.
#[derive(Clone, Copy)]
struct Taken {
    cpu: f64,
    wall: f64,
    peak_mib: f64,
}

impl Taken {
    const WORST: Self = Self {
        cpu: f64::INFINITY,
        wall: f64::INFINITY,
        peak_mib: f64::INFINITY,
    };

    fn best(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            wall: self.wall.min(other.wall),
            peak_mib: self.peak_mib.min(other.peak_mib),
        }
    }
}

/// Runs a command under tests/tools/measure.py, its output thrown away.
fn measure(command: &Command, folder: &Path) -> Result<Taken> {
    let report: PathBuf = folder.join("usage.txt");
    let output = fs::File::create("/dev/null")?;
    let mut measured = shell::command("python3");
    measured
        .arg("tests/tools/measure.py")
        .arg(&report)
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(output.try_clone()?)
        .stderr(output);
    must(&mut measured)?;
    let text = fs::read_to_string(report)?;
    let figures: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    ensure!(figures.len() == 3, "measure.py wrote {text:?}");
    let figure = |index: usize| figures.get(index).copied().context("three figures");
    Ok(Taken {
        cpu: figure(0)?,
        wall: figure(1)?,
        peak_mib: figure(2)? / 1024.0,
    })
}
