//! `cargo xtask run`: from a fresh machine to rows and metrics.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    Usage, setup,
    shell::{self, cargo, must, release, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask run [-- ARGS]

Installs what is missing (and says what), builds llmtap, and runs it.

Without ARGS there is something to see at once: a demonstration model server with a trickle of
clients on loopback, tapped live, by eBPF where this machine allows it, else by libpcap. Ctrl-C ends
all of it. Needs root, to capture packets.

With ARGS it runs `llmtap run ARGS`, and no demonstration:
  cargo xtask run -- -i eth0 -p 9997
";

/// The demonstration's program.
const DEMO: &str = "llmtap-demo";

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let own = match arguments.split_first() {
        None => None,
        Some((first, rest)) if first == "--" => Some(rest),
        Some((first, _)) => {
            let text =
                format!("unexpected {first}: llmtap's own arguments come after `--`\n\n{USAGE}");
            return Err(Usage(text).into());
        }
    };
    setup::for_run()?;
    if !setup::is_root() {
        say(
            "this is not root, and capturing needs it; if it is refused: \
             sudo --preserve-env=PATH,HOME cargo xtask run",
        );
    }
    let own = own.filter(|own| !own.is_empty());
    say("building llmtap");
    let mut llmtap = Command::new(release("llmtap"));
    llmtap.arg("run");
    if let Some(own) = own {
        must(cargo().args(["build", "--release", "-p", "sniffer"]))?;
        llmtap.args(own);
    } else {
        shell::build_with(DEMO)?;
        demonstration(&mut llmtap)?;
    }
    // In place of this process: signals, the terminal and the exit code are llmtap's own, and the
    // demonstration, which watches its parent, ends with it.
    let error = llmtap.exec();
    Err(error).with_context(|| format!("cannot run {}", shell::show(&llmtap)))
}

/// Starts the demonstration and points llmtap at it.
fn demonstration(llmtap: &mut Command) -> Result<()> {
    // Also a setting of llmtap's; the demonstration has to know where it serves.
    let address = std::env::var("LLMTAP_LISTEN").unwrap_or_else(|_| "127.0.0.1:9464".into());
    let port = start_demo(&release(DEMO), &address)?;
    let folder = shell::state().join("demo");
    fs::create_dir_all(&folder)?;
    let store = folder.join("llmtap.db");
    llmtap.args(["-i", "lo", "-p", &port, "--listen", &address, "--db"]);
    llmtap.arg(&store);
    say(&format!(
        "demo: a model server on port {port}, called about twice a second\n\
         rows: below, one a call, and in {}\n\
         metrics: http://{address}/metrics\n\
         Ctrl-C ends all of it",
        store.display()
    ));
    Ok(())
}

/// Starts the demonstration's server and gives its port.
fn start_demo(program: &Path, llmtap: &str) -> Result<String> {
    let mut demo = Command::new(program);
    demo.arg("--clients");
    if !llmtap.ends_with(":0") {
        demo.args(["--after", llmtap]);
    }
    let mut child = demo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let mut line = String::new();
    let output = child.stdout.take().context("its output is a pipe")?;
    BufReader::new(output).read_line(&mut line)?;
    let port = line
        .trim()
        .rsplit(':')
        .next()
        .filter(|port| !port.is_empty());
    let port = port.context("the demonstration's server did not start")?;
    Ok(port.to_owned())
}
