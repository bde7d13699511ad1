//! The namespace, the daemon in it, and what the kernel counts.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::traffic::{PORT, RUNNING};
use crate::shell::{self, release};

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// How long the daemon may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network namespace with its loopback up.
pub(super) struct Namespace {
    name: String,
    _guard: Guard,
}

impl Namespace {
    pub(super) fn new() -> Result<Self> {
        let name = format!("llmtap-bench-{}", std::process::id());
        let guard = Guard::new(
            &format!("ip netns add {name} && ip -n {name} link set lo up"),
            &format!("ip netns pids {name} | xargs -r kill; ip netns del {name}"),
        )
        .context("cannot make a network namespace (`ip netns add`): are you root?")?;
        Ok(Self {
            name,
            _guard: guard,
        })
    }

    /// A command that runs in it.
    fn command(&self, program: &Path) -> Command {
        let mut command = shell::command("ip");
        command
            .args(["netns", "exec", &self.name])
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Runs a part of the traffic to its end, and gives what it said.
    pub(super) fn run(&self, part: &[&str]) -> Result<String> {
        let output = self.part(part, None).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "{} failed", part.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Median and 99th percentile of round trips between these cores, in nanoseconds.
    pub(super) fn round_trips(&self, count: u32, cores: Cores) -> Result<(f64, f64)> {
        let _pong = self.begin("pong", Some(cores.1))?;
        let mut ping = self.part(&["ping", &count.to_string()], Some(cores.0));
        let output = ping.stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (p50, p99) = said.trim().split_once(' ').context("no round trips")?;
        Ok((p50.parse()?, p99.parse()?))
    }

    /// Starts the streams; they end when what is returned is dropped.
    pub(super) fn streams(&self) -> Result<Traffic> {
        self.begin("streams", None)
    }

    fn begin(&self, part: &str, core: Option<u32>) -> Result<Traffic> {
        let mut child = self
            .part(&[part], core)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("its output is a pipe")?;
        let traffic = Traffic { child, input };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == RUNNING, "{part} did not begin");
        Ok(traffic)
    }

    /// A part of the traffic, on one core if that is named.
    fn part(&self, part: &[&str], core: Option<u32>) -> Command {
        let xtask = release("xtask");
        let mut command = match core {
            None => self.command(&xtask),
            Some(core) => {
                let mut command = self.command(Path::new("taskset"));
                command.args(["-c", &core.to_string()]).arg(xtask);
                command
            }
        };
        command.args(["bench", "part"]).args(part);
        command
    }

    /// Starts the daemon with a backend, and waits until it taps.
    pub(super) fn daemon(&self, backend: &str, folder: &Path) -> Result<Daemon> {
        let store = folder.join("live.db");
        for file in ["live.db", "live.db-wal", "live.db-shm"] {
            // It need not be there.
            let _ = fs::remove_file(folder.join(file));
        }
        let log = folder.join("live.log");
        let port = PORT.to_string();
        let child = self
            .command(&release("llmtap"))
            .args(["run", "-i", "lo", "-p", &port, "--backend", backend])
            .args(["--listen", "127.0.0.1:0", "--format", "none", "--db"])
            .arg(store)
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut daemon = Daemon {
            child,
            address: String::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(&log)?;
            if let Some((_, after)) = text.split_once("metrics at http://") {
                let address = after.split('/').next().unwrap_or_default();
                address.clone_into(&mut daemon.address);
                return Ok(daemon);
            }
            let ended = daemon.child.try_wait()?.is_some();
            if ended || Instant::now() > deadline {
                bail!("llmtap did not begin to tap:\n{text}");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The cores of the two ends.
pub(super) type Cores = (u32, u32);

/// Traffic that goes on.
pub(super) struct Traffic {
    child: Child,
    input: Option<ChildStdin>,
}

impl Drop for Traffic {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A running `llmtap run`.
pub(super) struct Daemon {
    child: Child,
    /// Where its metrics are.
    pub(super) address: String,
}

impl Daemon {
    /// The CPU time that its threads have had.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = task?.path().join("schedstat");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let nanoseconds: u64 = text
                .split(' ')
                .next()
                .and_then(|figure| figure.parse().ok())
                .with_context(|| format!("no figures in {}", path.display()))?;
            sum += nanoseconds;
        }
        Ok(Duration::from_nanos(sum))
    }

    /// How long its eBPF programs ran, and how often, since the statistics were switched on.
    pub(super) fn programs(&self) -> Result<Runs> {
        let mut runs = Runs::default();
        for file in fs::read_dir(format!("/proc/{}/fdinfo", self.child.id()))? {
            // A descriptor may be closed between the list and the look.
            let text = fs::read_to_string(file?.path()).unwrap_or_default();
            let figure = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.trim().parse::<u64>().ok())
            };
            if let (Some(time), Some(count)) = (figure("run_time_ns:"), figure("run_cnt:")) {
                runs.nanoseconds += time;
                runs.count += count;
            }
        }
        Ok(runs)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What eBPF programs took.
#[derive(Clone, Copy, Default)]
pub(super) struct Runs {
    pub(super) nanoseconds: u64,
    pub(super) count: u64,
}

impl Runs {
    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_sub(before.nanoseconds),
            count: self.count.saturating_sub(before.count),
        }
    }
}

/// The kernel measures its eBPF programs while this lives. That costs some time a packet itself, so
/// nothing else is measured meanwhile.
pub(super) fn statistics() -> Result<Guard> {
    let before = fs::read_to_string(STATISTICS)
        .with_context(|| format!("this kernel cannot measure eBPF programs ({STATISTICS})"))?;
    Guard::new(
        &format!("echo 1 > {STATISTICS}"),
        &format!("echo {} > {STATISTICS}", before.trim()),
    )
}

/// Something that is done now, and undone when this is dropped, and also when this process ends in
/// any other way: a shell waits for the end of its input.
pub(super) struct Guard {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Guard {
    fn new(done: &str, undone: &str) -> Result<Self> {
        let script = format!(
            "trap '' INT TERM HUP; {done} || exit 1; echo done; read -r line; {undone} 2>/dev/null"
        );
        let mut shell = shell::command("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = shell.stdin.take();
        let mut output = shell.stdout.take().context("its output is a pipe")?;
        let mut answer = [0; 4];
        let guard = Self { shell, input };
        output
            .read_exact(&mut answer)
            .with_context(|| format!("`{done}` failed"))?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}
