//! A compiler with a way to a `core` for the BPF target, and the linker.
//!
//! Stable Rust ships no such `core`. Two ways lead to one: Debian's packages bring it ready-made, and
//! rustup's nightly builds it from its sources. Debian's compiler stands in /usr/bin beside the one
//! that builds llmtap; it is called by its full path, and by nothing else.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    setup::{self, Need},
    shell::{self, cargo, must, on_path, say},
};

pub(super) const TARGET: &str = "bpfel-unknown-none";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CLIPPY: &str = "/usr/bin/cargo-clippy";

const DEBIAN_COMPILER: [Need; 4] = [
    Need {
        package: "rustc-web",
        purpose: "a compiler for the BPF target",
        is_there: || installed("rustc-web"),
    },
    Need {
        package: "cargo-web",
        purpose: "its cargo",
        is_there: || installed("cargo-web"),
    },
    Need {
        package: "libstd-rust-web-dev-bpf",
        purpose: "its `core` for the BPF target",
        is_there: || installed("libstd-rust-web-dev-bpf"),
    },
    Need {
        package: "rust-web-clippy",
        purpose: "its clippy",
        is_there: || Path::new(DEBIAN_CLIPPY).exists(),
    },
];

/// What bpf-linker is built with. The LLVM is that of Debian's compiler.
const DEBIAN_LLVM: [Need; 5] = [
    Need {
        package: "llvm-22-dev",
        purpose: "to build bpf-linker",
        is_there: || installed("llvm-22-dev"),
    },
    Need {
        package: "libpolly-22-dev",
        purpose: "to build bpf-linker",
        is_there: || installed("libpolly-22-dev"),
    },
    Need {
        package: "zlib1g-dev",
        purpose: "to build bpf-linker",
        is_there: || installed("zlib1g-dev"),
    },
    Need {
        package: "libzstd-dev",
        purpose: "to build bpf-linker",
        is_there: || installed("libzstd-dev"),
    },
    Need {
        package: "libxml2-dev",
        purpose: "to build bpf-linker",
        is_there: || installed("libxml2-dev"),
    },
];

const LINKER_VERSION: &str = "0.13.0";
/// The LLVM that the linker is built with: it reads what compilers up to this version write.
const LINKER_LLVM: u32 = 22;
const LINKER_LLVM_FOLDER: &str = "/usr/lib/llvm-22";

const RUSTUP_WAY: &str = "rustup toolchain install nightly --component rust-src,clippy";

/// What there is to build with.
pub(super) enum Toolchain {
    /// Debian's packages.
    Debian,
    /// rustup's nightly, with its sources.
    Rustup { sysroot: PathBuf },
}

impl Toolchain {
    /// Looks for one; the error says how to get one.
    pub(super) fn find() -> Result<Self> {
        let arguments = ["--print", "target-libdir", "--target", TARGET];
        let libraries = output(Command::new(DEBIAN_RUSTC).args(arguments));
        if libraries.is_some_and(|folder| holds_core(Path::new(&folder)))
            && Path::new(DEBIAN_CARGO).exists()
        {
            return Ok(Self::Debian);
        }
        let sysroot = output(rustup_nightly("rustc").args(["--print", "sysroot"]));
        match sysroot.map(PathBuf::from) {
            Some(sysroot) if sysroot.join("lib/rustlib/src/rust/library/core").exists() => {
                Ok(Self::Rustup { sysroot })
            }
            found => {
                let missing = match found {
                    Some(_) => {
                        "rustup's nightly is there, but not its sources. Add them: rustup \
                         component add rust-src --toolchain nightly"
                    }
                    None => "there is no compiler for the BPF target. With rustup: ",
                };
                let way = if found.is_some() { "" } else { RUSTUP_WAY };
                bail!(
                    "{missing}{way}. Or, on Debian: sudo apt-get install {}. As root on Debian, \
                     `cargo xtask ebpf --install` does it",
                    names(DEBIAN_COMPILER.iter().chain(&DEBIAN_LLVM))
                )
            }
        }
    }

    /// Its compiler's own words.
    pub(super) fn name(&self) -> String {
        output(self.rustc().arg("--version")).unwrap_or_else(|| "rustc".into())
    }

    fn rustc(&self) -> Command {
        match self {
            Self::Debian => Command::new(DEBIAN_RUSTC),
            Self::Rustup { .. } => rustup_nightly("rustc"),
        }
    }

    /// Its cargo.
    pub(super) fn cargo(&self) -> Command {
        match self {
            Self::Debian => debian(DEBIAN_CARGO),
            Self::Rustup { .. } => rustup_nightly("cargo"),
        }
    }

    /// Its clippy, which takes what `cargo` takes.
    pub(super) fn clippy(&self) -> Result<Command> {
        let (mut command, way) = match self {
            Self::Debian => (
                debian(DEBIAN_CLIPPY),
                "sudo apt-get install rust-web-clippy",
            ),
            Self::Rustup { .. } => (
                rustup_nightly("cargo-clippy"),
                "rustup component add clippy --toolchain nightly",
            ),
        };
        ensure!(
            output(command.arg("--version")).is_some(),
            "{} has no clippy. Add it: {way}",
            self.name()
        );
        Ok(match self {
            Self::Debian => debian(DEBIAN_CLIPPY),
            Self::Rustup { .. } => rustup_nightly("cargo-clippy"),
        })
    }

    /// What rustc is told: the linker, BTF, and names that do not depend on where the sources lie.
    pub(super) fn flags(&self, linker: &Path) -> Result<Vec<String>> {
        let mut flags = vec![
            format!("-Clinker={}", linker.display()),
            "-Clink-arg=--btf".into(),
            "-Cdebuginfo=2".into(),
            // The third version of the instruction set: Linux 5.1; the ring buffer needs 5.8.
            "-Ctarget-cpu=v3".into(),
            format!("--remap-path-prefix={}=llmtap", shell::root().display()),
        ];
        if let Ok(registries) = fs::read_dir(cargo_home()?.join("registry/src")) {
            for registry in registries {
                flags.push(format!(
                    "--remap-path-prefix={}=crates",
                    registry?.path().display()
                ));
            }
        }
        if let Self::Rustup { sysroot } = self {
            flags.push(format!("--remap-path-prefix={}=rust", sysroot.display()));
        }
        Ok(flags)
    }

    /// Programs that may be there to take debug sections off, the likeliest first.
    pub(super) fn objcopies(&self) -> Vec<PathBuf> {
        let mut candidates = vec![Path::new(LINKER_LLVM_FOLDER).join("bin/llvm-objcopy")];
        let sysroot = match self {
            Self::Rustup { sysroot } => Some(sysroot.clone()),
            Self::Debian => {
                output(shell::command("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
            }
        };
        let hosts = sysroot.and_then(|sysroot| fs::read_dir(sysroot.join("lib/rustlib")).ok());
        let hosts = hosts.into_iter().flatten().flatten();
        candidates.extend(hosts.map(|host| host.path().join("bin/rust-objcopy")));
        candidates.push("llvm-objcopy".into());
        candidates
    }

    /// The linker that was built for us, else the first on the PATH; the error says how to get one.
    pub(super) fn linker(&self) -> Result<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let own = linker_folder()?.join("bin");
        let installed = cargo_home()?.join("bin");
        std::iter::once(own)
            .chain(env::split_paths(&path))
            .chain([installed])
            .map(|folder| folder.join("bpf-linker"))
            // One whose LLVM is gone does not start.
            .find(|linker| linker.is_file() && shell::answers(linker, &["--version"]))
            .with_context(|| {
                format!(
                    "bpf-linker is missing. `cargo xtask ebpf --install` builds it as root on \
                     Debian. Elsewhere: cargo binstall bpf-linker, or a release's file from \
                     https://github.com/aya-rs/bpf-linker, on the PATH; its LLVM must be that of \
                     {} or newer",
                    self.name()
                )
            })
    }

    /// The major version of the compiler's LLVM.
    fn llvm(&self) -> Option<u32> {
        let version = output(self.rustc().arg("-vV"))?;
        let line = version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))?;
        line.split('.').next()?.parse().ok()
    }
}

/// Installs what is missing, and says what.
pub(super) fn install() -> Result<()> {
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(why) => {
            if setup::can_install(&DEBIAN_COMPILER)? {
                setup::packages(DEBIAN_COMPILER.iter())?;
            } else if on_path("rustup") {
                say(
                    "installing: rustup's nightly with its sources (a compiler for the BPF target)",
                );
                let mut words = RUSTUP_WAY.split(' ');
                let mut rustup = Command::new(words.next().unwrap_or_default());
                must(rustup.args(words).args(["--profile", "minimal"])).context(why)?;
            }
            Toolchain::find()?
        }
    };
    if matches!(toolchain, Toolchain::Debian) && setup::can_install(&DEBIAN_COMPILER)? {
        // All but its clippy may have been there.
        setup::packages(DEBIAN_COMPILER.iter())?;
    }
    match toolchain.linker() {
        Ok(_) => Ok(()),
        Err(why) => {
            let fits = toolchain.llvm().is_some_and(|llvm| llvm <= LINKER_LLVM);
            if fits && setup::can_install(&DEBIAN_LLVM)? {
                setup::packages(DEBIAN_LLVM.iter())?;
                install_linker().context(why)
            } else {
                Err(why)
            }
        }
    }
}

/// Builds the linker, outside the checkout: a fresh one need not build it again.
fn install_linker() -> Result<()> {
    let folder = linker_folder()?;
    say(&format!(
        "installing: bpf-linker {LINKER_VERSION} (links the eBPF program; about two minutes), into {}",
        folder.display()
    ));
    must(
        cargo()
            .args(["install", "bpf-linker", "--locked", "--force", "--quiet"])
            .args(["--version", LINKER_VERSION, "--no-default-features"])
            .args(["--features", &format!("llvm-{LINKER_LLVM}"), "--root"])
            .arg(&folder)
            .env("LLVM_PREFIX", LINKER_LLVM_FOLDER)
            .env("LLVM_SYS_221_PREFIX", LINKER_LLVM_FOLDER),
    )
}

fn linker_folder() -> Result<PathBuf> {
    let name = format!("bpf-linker-{LINKER_VERSION}-llvm-{LINKER_LLVM}");
    Ok(cargo_home()?.join("llmtap-xtask").join(name))
}

fn cargo_home() -> Result<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")
}

fn debian(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("CARGO", DEBIAN_CARGO)
        .env("RUSTC", DEBIAN_RUSTC)
        // The program's dependencies ask for a few unstable features of the compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn rustup_nightly(tool: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", tool]);
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
        command.env_remove(variable);
    }
    command
}

fn holds_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

/// Whether Debian's package is installed.
fn installed(package: &str) -> bool {
    let format = "-f=${db:Status-Status}";
    output(Command::new("dpkg-query").args(["-W", format, package])).as_deref() == Some("installed")
}

fn names<'a>(needs: impl Iterator<Item = &'a Need>) -> String {
    needs.map(|need| need.package).collect::<Vec<_>>().join(" ")
}

/// What a command prints, where it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
