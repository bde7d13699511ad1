//! Running other programs, saying things, and where things are.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    folder.pop();
    folder
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(folder)
}

/// Where xtask keeps what it fetches.
pub(crate) fn state() -> PathBuf {
    target().join("xtask")
}

/// A program of the release build.
pub(crate) fn release(name: &str) -> PathBuf {
    target().join("release").join(name)
}

/// A command that runs in the workspace's folder, and finds the Rust toolchain that runs us before
/// any other: another one may stand in /usr/bin.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    let cargo = std::env::var_os("CARGO").map(PathBuf::from);
    if let Some(tools) = cargo.as_deref().and_then(Path::parent) {
        command.env("PATH", path_with(tools));
    }
    command
}

/// The PATH, with a folder before all others.
fn path_with(folder: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    // A folder whose name holds a colon cannot stand on a PATH.
    std::env::join_paths(folders).unwrap_or(path)
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut cargo = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo told xtask's own package would be taken for the package being built.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command; an exit code other than 0 is an error.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", show(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", show(command));
    }
    Ok(())
}

/// Builds llmtap and a program of the tests' package for release. In one go: alone, either is built with other
/// features of the same packages, all of them again.
pub(crate) fn build_with(program: &str) -> Result<()> {
    must(
        cargo()
            .args(["build", "--release", "-p", "sniffer", "--bin", "llmtap"])
            .args(["-p", "llmtap-tests", "--bin", program]),
    )
}

/// What measures llmtap: such a program, which is told where it is.
pub(crate) fn beside_llmtap(program: &str) -> Result<Command> {
    build_with(program)?;
    let mut command = command(release(program));
    command.env("LLMTAP_BIN", release("llmtap"));
    Ok(command)
}

/// Whether a program answers to these arguments with exit code 0.
pub(crate) fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let mut command = command(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a program stands on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Not every account has the system's folders on its PATH, and tcpdump may live there.
    let more = [Path::new("/usr/sbin"), Path::new("/sbin")];
    std::env::split_paths(&path)
        .chain(more.into_iter().map(Path::to_owned))
        .any(|folder| folder.join(program).is_file())
}

/// Prints a text on standard output.
pub(crate) fn print(text: &str) -> Result<ExitCode> {
    write!(io::stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

/// Says a line on standard output.
pub(crate) fn say(line: &str) {
    // A reader that has gone is no reason to stop the work.
    let _ = writeln!(io::stdout(), "{line}");
}

/// The command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
