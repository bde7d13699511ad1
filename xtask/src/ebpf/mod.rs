//! `cargo xtask ebpf`: builds the kernel side, and tells whether the committed object is stale.
//!
//! An ordinary build of llmtap needs none of it: the object is committed, with the hash of the
//! sources that it was built from.

mod freshness;
mod toolchain;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};

use self::{
    freshness::{Freshness, OBJECT},
    toolchain::{TARGET, Toolchain},
};
use crate::{
    Usage,
    shell::{self, cargo, must, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask ebpf [--check | --install] [--out FILE]

Builds the kernel side (the eBPF program) with Debian's packages or rustup's nightly, whichever is
there, and writes the object that is committed. Needs bpf-linker.

  --check     build nothing; say whether the committed object is that of its sources (exit 1: stale)
  --install   install what is missing first, and say what
  --out FILE  write the object to FILE, and leave the committed one as it is
";

/// The program's folder. It is a workspace of its own.
const PROGRAM: &str = "sniffer-ebpf/program";

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (mode, out) = parse(arguments)?;
    match mode {
        Mode::Check => {
            let freshness = freshness::of(&shell::root())?;
            say(&freshness.to_string());
            return Ok(match freshness {
                Freshness::Fresh { .. } => ExitCode::SUCCESS,
                Freshness::Stale => ExitCode::FAILURE,
            });
        }
        Mode::Build => {}
        Mode::InstallAndBuild => toolchain::install()?,
    }
    if let Some(out) = out {
        let out = env::current_dir()?.join(out);
        build(&out)?;
    } else {
        build(&shell::root().join(OBJECT))?;
        freshness::stamp(&shell::root())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One thing that CI asks of the kernel side.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Result<()>,
}

/// All of them, in order. The last leaves the object at [`rebuilt`].
pub(crate) const CHECKS: [Check; 4] = [
    Check {
        name: "the committed object is fresh",
        run: || match freshness::of(&shell::root())? {
            Freshness::Stale => bail!(Freshness::Stale.to_string()),
            fresh @ Freshness::Fresh { .. } => {
                say(&fresh.to_string());
                Ok(())
            }
        },
    },
    Check {
        name: "fmt",
        run: || must(in_program(cargo()).args(["fmt", "--check"])),
    },
    Check {
        name: "build",
        run: || {
            toolchain::install()?;
            build(&rebuilt())?;
            let same = fs::read(rebuilt())? == fs::read(shell::root().join(OBJECT))?;
            say(if same {
                "it is the committed one, byte for byte"
            } else {
                "it differs from the committed one, as objects of two compilers do; the tests run on it"
            });
            Ok(())
        },
    },
    Check {
        name: "clippy",
        run: clippy,
    },
];

/// Where the tests find the object that was built for them.
pub(crate) fn rebuilt() -> PathBuf {
    folder().join("rebuilt.bpf.o")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Build,
    InstallAndBuild,
    Check,
}

fn parse(arguments: &[String]) -> Result<(Mode, Option<PathBuf>)> {
    let mut mode = Mode::Build;
    let mut out = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), mode) {
            ("--check", Mode::Build) => mode = Mode::Check,
            ("--install", Mode::Build) => mode = Mode::InstallAndBuild,
            ("--out", _) => {
                let file = words.next();
                let file = file.ok_or_else(|| Usage(format!("--out needs a FILE\n\n{USAGE}")))?;
                out = Some(PathBuf::from(file));
            }
            _ => return Err(Usage(format!("unexpected {word}\n\n{USAGE}")).into()),
        }
    }
    if mode == Mode::Check && out.is_some() {
        return Err(Usage(format!("--check builds nothing to write\n\n{USAGE}")).into());
    }
    Ok((mode, out))
}

/// Cargo's target folder of the program.
fn folder() -> PathBuf {
    shell::state().join("ebpf")
}

fn in_program(mut command: Command) -> Command {
    command.current_dir(shell::root().join(PROGRAM));
    command
}

/// Builds the object and writes it to `to`.
fn build(to: &Path) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let linker = toolchain.linker()?;
    say(&format!(
        "building the eBPF program with {} and {}",
        toolchain.name(),
        linker.display()
    ));
    let mut command = in_program(toolchain.cargo());
    arguments(&mut command, "build", &toolchain, &linker)?;
    must(&mut command)?;
    let built = folder().join(TARGET).join("release/llmtap");
    strip(&toolchain, &built, to)?;
    let size = fs::metadata(to)?.len();
    say(&format!("wrote {}: {size} bytes", to.display()));
    Ok(())
}

fn clippy() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let mut command = in_program(toolchain.clippy()?);
    arguments(&mut command, "clippy", &toolchain, &toolchain.linker()?)?;
    must(command.args(["--", "-D", "warnings"]))
}

fn arguments(
    command: &mut Command,
    subcommand: &str,
    toolchain: &Toolchain,
    linker: &Path,
) -> Result<()> {
    command
        .arg(subcommand)
        .args(["--release", "--locked", "--target", TARGET, "--target-dir"])
        .arg(folder())
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            toolchain.flags(linker)?.join("\x1f"),
        )
        .env_remove("RUSTFLAGS");
    if let Toolchain::Rustup { .. } = toolchain {
        command.args(["-Z", "build-std=core"]);
    }
    Ok(())
}

/// Takes the debug sections off, which the kernel does not read (BTF stays): five sixths of the
/// object.
fn strip(toolchain: &Toolchain, from: &Path, to: &Path) -> Result<()> {
    for objcopy in toolchain.objcopies() {
        let mut command = Command::new(objcopy);
        command.arg("--strip-debug").arg(from).arg(to);
        if command.status().is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    say("no llvm-objcopy: the object keeps its debug sections, which do no harm");
    fs::copy(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_contradictions_refused() {
        let read = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            parse(&words)
        };
        assert_eq!(read(&[]).unwrap(), (Mode::Build, None));
        let (mode, out) = read(&["--install", "--out", "a.o"]).unwrap();
        assert_eq!((mode, out), (Mode::InstallAndBuild, Some("a.o".into())));
        for wrong in [
            &["--out"][..],
            &["--check", "--install"],
            &["--check", "--out", "a.o"],
            &["a.o"],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
