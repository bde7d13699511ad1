//! Where the programs are that the tests run.
//!
//! `cargo xtask test` builds and fetches them into the target folder. A missing one is an error that
//! says so: a test that cannot run has not passed.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// The binary under test: `LLMTAP_BIN`, else the release build.
///
/// # Errors
/// Where it was not built.
pub fn llmtap() -> Result<PathBuf> {
    let path = env::var_os("LLMTAP_BIN")
        .map_or_else(|| target_folder().join("release/llmtap"), PathBuf::from);
    ensure!(
        path.is_file(),
        "{} is not there: `cargo xtask test` builds it, or: cargo build --release -p sniffer",
        path.display()
    );
    Ok(path)
}

/// A Python that has the packages of `tests/requirements.txt`.
///
/// # Errors
/// Where it was not set up.
pub fn python() -> Result<PathBuf> {
    let path = target_folder().join("xtask/venv/bin/python");
    ensure!(
        path.exists(),
        "{} is not there: `cargo xtask test` makes it",
        path.display()
    );
    Ok(path)
}

/// Traefik, which is among them.
///
/// # Errors
/// Where it was not set up.
pub fn traefik() -> Result<PathBuf> {
    let path = target_folder().join("xtask/venv/bin/traefik");
    ensure!(
        path.exists(),
        "{} is not there: `cargo xtask test` installs it",
        path.display()
    );
    Ok(path)
}

/// The folder of a tokenizer and its template, as a hub publishes them, by the name of its package.
///
/// # Errors
/// Where it was not fetched.
pub fn tokenizer(name: &str) -> Result<PathBuf> {
    let path = target_folder().join("xtask/tokenizers").join(name);
    ensure!(
        path.join("tokenizer_config.json").is_file(),
        "{} is not there: `cargo xtask test` fetches it",
        path.display()
    );
    Ok(path)
}

/// Chromium: the first of its names that is on the PATH.
///
/// # Errors
/// Where it was not installed.
pub fn chromium() -> Result<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let names = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let found = env::split_paths(&folders)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    found.context("chromium is not there: `cargo xtask test` installs it")
}

/// Where pictures of pages are kept.
pub fn screenshots() -> PathBuf {
    target_folder().join("screenshots")
}

/// Prometheus's checker of metrics.
pub fn promtool() -> PathBuf {
    of_prometheus("promtool")
}

/// Prometheus itself.
pub fn prometheus() -> PathBuf {
    of_prometheus("prometheus")
}

/// A program of its package, unpacked by `cargo xtask test`, or else installed.
fn of_prometheus(name: &str) -> PathBuf {
    let unpacked = target_folder().join("xtask/tools/usr/bin").join(name);
    if unpacked.is_file() {
        unpacked
    } else {
        name.into()
    }
}

/// A file of this crate's folder, such as `tools/gen_llm_pcap.py`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Cargo's target folder.
fn target_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace.join(folder),
        None => workspace.join("target"),
    }
}
