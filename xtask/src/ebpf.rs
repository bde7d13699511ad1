//! `cargo xtask ebpf`: builds the kernel side, and tells whether the committed object is stale.
//!
//! The program needs a `core` for the BPF target, which stable Rust does not ship. Two ways lead
//! to one: Debian's packages bring it ready-made, and rustup's nightly builds it from its sources.
//! Both need `bpf-linker`. An ordinary build needs none of it: the object is committed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

/// What `cargo xtask ebpf --help` prints.
pub(crate) const HELP: &str = "\
Build the kernel side (the eBPF program) with rustup's nightly or Debian's packages

Usage: cargo xtask ebpf [--check | --install] [--out FILE]

  --check     build nothing; say whether the committed object is that of the sources (exit 1: stale)
  --install   install what is missing first (Debian or Ubuntu, as root)
  --out FILE  write the object to FILE, and leave the committed one as it is
";

/// The committed object, and beside it the hashes of the sources that it was built from.
const OBJECT: &str = "sniffer/src/capture/ebpf/llmtap.bpf.o";
const SUMS: &str = "sniffer/src/capture/ebpf/llmtap.bpf.sha256";
/// What the object is built from; folders with all that is in them.
const SOURCES: [&str; 5] = [
    "sniffer-ebpf/Cargo.toml",
    "sniffer-ebpf/src",
    "sniffer-ebpf/program/Cargo.toml",
    "sniffer-ebpf/program/Cargo.lock",
    "sniffer-ebpf/program/src",
];

const TARGET: &str = "bpfel-unknown-none";
const BPF_LINKER_VERSION: &str = "0.13.0";
/// Debian's packages, and what each is for. The LLVM is that of Debian's rustc.
const DEBIAN_PACKAGES: [(&str, &str); 8] = [
    ("rustc-web", "the compiler"),
    ("cargo-web", "its cargo"),
    ("libstd-rust-web-dev-bpf", "`core` for the BPF target"),
    ("llvm-22-dev", "to build bpf-linker"),
    ("libpolly-22-dev", "to build bpf-linker"),
    ("zlib1g-dev", "to build bpf-linker"),
    ("libzstd-dev", "to build bpf-linker"),
    ("libxml2-dev", "to build bpf-linker"),
];
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// Runs the command with the arguments that follow its name.
///
/// # Errors
/// Where an argument is unknown, a tool is missing or fails, or (`--check`) the object is stale.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let mut mode = Mode::Build;
    let mut out = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => mode = Mode::Check,
            "--install" => mode = Mode::InstallAndBuild,
            "--out" => {
                let file = arguments.next().context("--out needs a FILE")?;
                out = Some(PathBuf::from(file));
            }
            "--help" | "-h" => {
                print_help();
                return Ok(());
            }
            other => bail!("unknown argument {other:?}\n\n{HELP}"),
        }
    }
    let root = &root.canonicalize().context("the repository's folder")?;
    match mode {
        Mode::Check => check(root),
        Mode::Build => build(root, out.as_deref()),
        Mode::InstallAndBuild => {
            install(root)?;
            build(root, out.as_deref())
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Build,
    InstallAndBuild,
    Check,
}

/// Says whether the committed object was built from the sources as they are.
///
/// # Errors
/// Where it was not, or where one of the files cannot be read.
pub(crate) fn check(root: &Path) -> Result<()> {
    let sums = fs::read_to_string(root.join(SUMS))
        .with_context(|| format!("cannot read {SUMS}; `cargo xtask ebpf` writes it"))?;
    let object = fs::read(root.join(OBJECT)).with_context(|| format!("cannot read {OBJECT}"))?;
    let sources = hash_sources(root)?;
    ensure!(
        sums == sums_text(&sources, &hash(&object)),
        "{OBJECT} is stale: it is not the object of {}. Run `cargo xtask ebpf` and commit it.",
        SOURCES.join(", ")
    );
    say(&format!(
        "{OBJECT} is that of its sources ({})\n",
        &sources[..12]
    ));
    Ok(())
}

fn build(root: &Path, out: Option<&Path>) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let linker = find_linker(root).with_context(|| {
        format!(
            "bpf-linker is missing. {}",
            toolchain.how_to_get_the_linker()
        )
    })?;
    say(&format!(
        "building with {} and {}\n",
        toolchain.name(),
        linker.display()
    ));

    let target_dir = root.join("target/xtask/ebpf");
    let mut command = toolchain.cargo();
    command
        .current_dir(root.join("sniffer-ebpf/program"))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target_dir)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            toolchain.flags(root, &linker)?.join("\x1f"),
        )
        .env_remove("RUSTFLAGS");
    if let Toolchain::Rustup { .. } = toolchain {
        command.args(["-Z", "build-std=core"]);
    }
    succeed(&mut command)?;

    let built = target_dir.join(TARGET).join("release/llmtap");
    let stripped = target_dir.join("llmtap.bpf.o");
    strip(&toolchain, &built, &stripped)?;
    let object = fs::read(&stripped)?;
    if let Some(out) = out {
        fs::write(out, &object).with_context(|| format!("cannot write {}", out.display()))?;
    } else {
        fs::write(root.join(OBJECT), &object)?;
        fs::write(
            root.join(SUMS),
            sums_text(&hash_sources(root)?, &hash(&object)),
        )?;
    }
    let written = out.map_or_else(|| OBJECT.into(), |out| out.display().to_string());
    say(&format!("wrote {written}: {} bytes\n", object.len()));
    Ok(())
}

/// A compiler with a way to a `core` for the BPF target.
enum Toolchain {
    Debian,
    Rustup { sysroot: PathBuf },
}

impl Toolchain {
    fn find() -> Result<Self> {
        let debian = Path::new(DEBIAN_CARGO).exists()
            && output(Command::new(DEBIAN_RUSTC).args([
                "--print",
                "target-libdir",
                "--target",
                TARGET,
            ]))
            .is_some_and(|folder| holds_core(Path::new(&folder)));
        if debian {
            return Ok(Self::Debian);
        }
        let sysroot =
            output(rustup_nightly("rustc").args(["--print", "sysroot"])).map(PathBuf::from);
        match sysroot {
            Some(sysroot) if sysroot.join("lib/rustlib/src/rust/library/core").exists() => {
                Ok(Self::Rustup { sysroot })
            }
            Some(_) => bail!(
                "rustup's nightly is there, but not its sources: `rustup component add rust-src \
                 --toolchain nightly`. Or, on Debian as root: `cargo xtask ebpf --install`."
            ),
            None => bail!(
                "there is no compiler for the BPF target. With rustup: `rustup toolchain install \
                 nightly --component rust-src`. On Debian: `apt-get install {}`, or \
                 `cargo xtask ebpf --install` as root.",
                debian_packages().join(" ")
            ),
        }
    }

    fn name(&self) -> String {
        let version = match self {
            Self::Debian => output(Command::new(DEBIAN_RUSTC).arg("--version")),
            Self::Rustup { .. } => output(rustup_nightly("rustc").arg("--version")),
        };
        version.unwrap_or_else(|| "rustc".into())
    }

    fn cargo(&self) -> Command {
        match self {
            Self::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                // The program's dependencies ask for a few unstable features of the compiler.
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTC_BOOTSTRAP", "1");
                command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
                command
            }
            Self::Rustup { .. } => rustup_nightly("cargo"),
        }
    }

    fn flags(&self, root: &Path, linker: &Path) -> Result<Vec<String>> {
        let mut flags = vec![
            format!("-Clinker={}", linker.display()),
            "-Clink-arg=--btf".into(),
            "-Cdebuginfo=2".into(),
            // The third version of the instruction set: Linux 5.1; the ring buffer needs 5.8.
            "-Ctarget-cpu=v3".into(),
        ];
        // The object names its source files; it must not depend on where they lay.
        flags.push(format!("--remap-path-prefix={}=llmtap", root.display()));
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))
            .context("neither CARGO_HOME nor HOME is set")?;
        if let Ok(registries) = fs::read_dir(cargo_home.join("registry/src")) {
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

    fn how_to_get_the_linker(&self) -> String {
        match self {
            Self::Debian => format!(
                "`cargo xtask ebpf --install` builds it, or: LLVM_PREFIX={DEBIAN_LLVM} \
                 LLVM_SYS_221_PREFIX={DEBIAN_LLVM} cargo install bpf-linker --version \
                 {BPF_LINKER_VERSION} --no-default-features --features llvm-22"
            ),
            Self::Rustup { .. } => "Install it with: cargo install bpf-linker".into(),
        }
    }
}

/// Takes the debug sections off, which the kernel does not read (BTF stays): five sixths of the
/// object.
fn strip(toolchain: &Toolchain, from: &Path, to: &Path) -> Result<()> {
    let mut candidates = vec![PathBuf::from(DEBIAN_LLVM).join("bin/llvm-objcopy")];
    let sysroot = match toolchain {
        Toolchain::Rustup { sysroot } => Some(sysroot.clone()),
        Toolchain::Debian => {
            output(Command::new("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
        }
    };
    if let Some(folders) =
        sysroot.and_then(|sysroot| fs::read_dir(sysroot.join("lib/rustlib")).ok())
    {
        candidates.extend(
            folders
                .flatten()
                .map(|host| host.path().join("bin/rust-objcopy")),
        );
    }
    candidates.push(PathBuf::from("llvm-objcopy"));
    for objcopy in candidates {
        let done = Command::new(&objcopy)
            .arg("--strip-debug")
            .arg(from)
            .arg(to)
            .status();
        if done.is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    say("no llvm-objcopy: the object keeps its debug sections, which do no harm\n");
    fs::copy(from, to).context("cannot copy the object")?;
    Ok(())
}

fn install(root: &Path) -> Result<()> {
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "--install works on Debian and Ubuntu alone (there is no apt-get). With rustup: `rustup \
         toolchain install nightly --component rust-src`, then `cargo install bpf-linker`."
    );
    let root_user = output(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
    ensure!(
        root_user,
        "--install needs root: `apt-get install {}`",
        debian_packages().join(" ")
    );
    let missing: Vec<_> = DEBIAN_PACKAGES
        .into_iter()
        .filter(|(package, _)| {
            let status = output(Command::new("dpkg-query").args([
                "-W",
                "-f",
                "${db:Status-Status}",
                package,
            ]));
            status.as_deref() != Some("installed")
        })
        .collect();
    if !missing.is_empty() {
        let named: Vec<_> = missing
            .iter()
            .map(|(name, what)| format!("{name} ({what})"))
            .collect();
        say(&format!("installing: {}\n", named.join(", ")));
        succeed(Command::new("apt-get").arg("update"))?;
        succeed(
            Command::new("apt-get")
                .args(["install", "-y", "--no-install-recommends"])
                .args(missing.iter().map(|(name, _)| *name))
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
    }
    if find_linker(root).is_none() {
        say(&format!(
            "installing: bpf-linker {BPF_LINKER_VERSION} (to link the program), into target/xtask/tools\n"
        ));
        succeed(
            Command::new("cargo")
                .args([
                    "install",
                    "bpf-linker",
                    "--version",
                    BPF_LINKER_VERSION,
                    "--locked",
                ])
                .args(["--no-default-features", "--features", "llvm-22", "--root"])
                .arg(root.join("target/xtask/tools"))
                .env("LLVM_PREFIX", DEBIAN_LLVM)
                .env("LLVM_SYS_221_PREFIX", DEBIAN_LLVM),
        )?;
    }
    Ok(())
}

fn debian_packages() -> Vec<&'static str> {
    DEBIAN_PACKAGES.iter().map(|(name, _)| *name).collect()
}

/// The linker that `--install` built, or the first on the PATH.
fn find_linker(root: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin"));
    [root.join("target/xtask/tools/bin")]
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(home)
        .map(|folder| folder.join("bpf-linker"))
        .find(|linker| linker.is_file())
}

fn holds_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn rustup_nightly(tool: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", tool]);
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO"] {
        command.env_remove(variable);
    }
    command
}

/// The hash of all sources: their names, lengths and bytes, in the order of names.
fn hash_sources(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        collect(root, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = fs::read(root.join(&file)).with_context(|| format!("cannot read {file}"))?;
        hasher.update(format!("{file}\0{}\0", bytes.len()));
        hasher.update(&bytes);
    }
    Ok(hex(&hasher.finalize()))
}

fn collect(root: &Path, path: &Path, files: &mut Vec<String>) -> Result<()> {
    let full = root.join(path);
    if !full.is_dir() {
        files.push(path.to_string_lossy().into_owned());
        return Ok(());
    }
    for entry in fs::read_dir(&full).with_context(|| format!("cannot read {}", full.display()))? {
        collect(root, &path.join(entry?.file_name()), files)?;
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sums_text(sources: &str, object: &str) -> String {
    format!("{sources}  sources\n{object}  llmtap.bpf.o\n")
}

/// What a command prints, where it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} failed ({status})");
    Ok(())
}

#[expect(
    clippy::print_stderr,
    reason = "a command of the developer's, which talks to a person"
)]
fn say(text: &str) {
    eprint!("{text}");
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print_help() {
    print!("{HELP}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace")
            .to_path_buf()
    }

    #[test]
    fn the_committed_object_is_that_of_its_sources() {
        check(&root()).expect("a fresh object");
    }

    #[test]
    fn any_change_of_a_source_changes_the_hash() {
        let folder = env::temp_dir().join(format!("llmtap-xtask-ebpf-{}", std::process::id()));
        for source in SOURCES {
            let mut files = Vec::new();
            collect(&root(), Path::new(source), &mut files).expect("sources");
            for file in files {
                let copy = folder.join(&file);
                fs::create_dir_all(copy.parent().expect("a folder")).expect("a copy");
                fs::copy(root().join(&file), copy).expect("a copy");
            }
        }
        let before = hash_sources(&folder).expect("a hash");
        assert_eq!(
            before,
            hash_sources(&root()).expect("a hash"),
            "the place does not count"
        );
        let main = folder.join("sniffer-ebpf/program/src/main.rs");
        fs::write(&main, fs::read_to_string(&main).expect("a source") + "\n").expect("a change");
        assert_ne!(before, hash_sources(&folder).expect("a hash"));
        fs::remove_dir_all(&folder).expect("clean");
    }
}
