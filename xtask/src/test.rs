//! `cargo xtask test`: all that CI runs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Usage, deny, ebpf, setup,
    shell::{self, cargo, say},
};

pub(crate) const USAGE: &str = "\
usage: cargo xtask test [--only STEP]...

Installs what is missing (and says what), then runs all that CI runs. A failing step does not stop
the others. The last line is `N passed, N failed`; the exit code is 1 if anything failed. The live
tests need root, to capture packets: without it they fail.

The step `ebpf` says whether the committed eBPF object is that of its sources, and builds it anew;
the tests after it run on the new one (without it: on the committed one).

  --only STEP   run this step alone (and `build`, where tests need the binary): fmt, clippy,
                features, docs, deny, ebpf, build, tests
";

/// One step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Fmt,
    Clippy,
    Features,
    Docs,
    Deny,
    Ebpf,
    Build,
    Tests,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Fmt,
        Self::Clippy,
        Self::Features,
        Self::Docs,
        Self::Deny,
        Self::Ebpf,
        Self::Build,
        Self::Tests,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Features => "features",
            Self::Docs => "docs",
            Self::Deny => "deny",
            Self::Ebpf => "ebpf",
            Self::Build => "build",
            Self::Tests => "tests",
        }
    }

    fn command(self, object: Option<&Path>) -> Result<Command> {
        let mut cargo = cargo();
        match self {
            Self::Fmt => cargo.args(["fmt", "--all", "--check"]),
            Self::Clippy => cargo.args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                "sniffer/parquet",
                "--",
                "-D",
                "warnings",
            ]),
            // Replay, serve and queries must build where there is no libpcap.
            Self::Features => cargo.args([
                "clippy",
                "-p",
                "sniffer",
                "--no-default-features",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Self::Docs => cargo
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
            Self::Deny => return deny::command(deny::Check::Policy),
            Self::Ebpf => bail!("it is more than one command"),
            // The tests of large captures need the speed of a release.
            Self::Build => cargo.args(["build", "--release", "-p", "sniffer"]),
            Self::Tests => {
                if let Some(object) = object {
                    cargo.env("LLMTAP_BPF_OBJECT", object);
                }
                cargo
                    .args(["test", "--workspace", "--no-fail-fast"])
                    .args(["--features", "sniffer/parquet"])
                    .env("LLMTAP_BIN", shell::release("llmtap"))
                    // A missing privilege fails here, whoever runs it; it never skips.
                    .env("CI", "true")
            }
        };
        Ok(cargo)
    }
}

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let steps = chosen(arguments)?;
    setup::for_test()?;
    let mut all = Tally::default();
    let mut object = None;
    for step in steps {
        if step == Step::Ebpf {
            // What an earlier run built proves nothing about this one.
            let _ = fs::remove_file(ebpf::rebuilt());
        }
        let tally = take(step, object.as_deref());
        all.add(tally);
        if step == Step::Ebpf {
            object = Some(ebpf::rebuilt()).filter(|object| object.is_file());
        }
    }
    if !all.failures.is_empty() {
        say("\nfailed:");
        all.failures
            .iter()
            .for_each(|name| say(&format!("  {name}")));
    }
    say(&format!("\n{} passed, {} failed", all.passed, all.failed));
    Ok(if all.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn chosen(arguments: &[String]) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let name = match (word.as_str(), word.strip_prefix("--only=")) {
            ("--only", _) => words.next().map(String::as_str).unwrap_or_default(),
            (_, Some(name)) => name,
            _ => return Err(Usage(format!("unknown argument {word}\n\n{USAGE}")).into()),
        };
        let step = Step::ALL.into_iter().find(|step| step.name() == name);
        let step = step.ok_or_else(|| Usage(format!("there is no step {name:?}\n\n{USAGE}")))?;
        if step == Step::Tests {
            steps.push(Step::Build);
        }
        steps.push(step);
    }
    if steps.is_empty() {
        steps.extend(Step::ALL);
    }
    steps.dedup_by(|a, b| a == b);
    Ok(steps)
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    fn fail(&mut self, why: impl Into<String>) {
        self.failed += 1;
        self.failures.push(why.into());
    }
}

/// Runs a step under a heading, and says how long it took.
fn take(step: Step, object: Option<&Path>) -> Tally {
    say(&format!("\n== {}", step.name()));
    let begin = Instant::now();
    let tally = try_take(step, object).unwrap_or_else(|error| {
        let mut tally = Tally::default();
        tally.fail(format!("{}: {error:#}", step.name()));
        tally
    });
    say(&format!(
        "== {} took {}",
        step.name(),
        seconds(begin.elapsed())
    ));
    tally
}

fn try_take(step: Step, object: Option<&Path>) -> Result<Tally> {
    if step == Step::Ebpf {
        return Ok(kernel_side());
    }
    let mut command = step.command(object)?;
    say(&format!("$ {}", shell::show(&command)));
    if step == Step::Tests {
        return tests(&mut command);
    }
    let mut tally = Tally::default();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shell::show(&command)))?;
    if status.success() {
        tally.passed = 1;
    } else {
        tally.fail(step.name());
    }
    Ok(tally)
}

/// Checks the eBPF program; each check counts by itself.
fn kernel_side() -> Tally {
    let mut tally = Tally::default();
    for check in &ebpf::CHECKS {
        say(&format!("-- {}", check.name));
        match (check.run)() {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                let what = format!("ebpf: {}: {error:#}", check.name);
                say(&what);
                tally.fail(what);
            }
        }
    }
    tally
}

/// Runs `cargo test`, shows what it prints, and sums what it reports.
fn tests(command: &mut Command) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shell::show(command)))?;
    let output = child.stdout.take().context("its output is a pipe")?;
    let mut lines = Vec::new();
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        say(&line);
        lines.push(line);
    }
    let status = child.wait()?;
    Ok(sum(lines.iter().map(String::as_str), status.success()))
}

/// The sum of libtest's `test result:` lines. Ignored tests count as failed: a test that did not run
/// proves nothing. So does a run without tests, and a bad exit code without a failed test.
fn sum<'a>(lines: impl Iterator<Item = &'a str>, success: bool) -> Tally {
    let mut tally = Tally::default();
    for line in lines {
        if let Some(result) = line.strip_prefix("test result: ") {
            tally.passed += figure(result, "passed");
            tally.failed += figure(result, "failed") + figure(result, "ignored");
        } else if let Some(test) = line.strip_prefix("test ") {
            // A reason may follow: `… ignored, because`.
            let name = test.split(" ... ").next().unwrap_or(test);
            let verdict = test.rsplit(" ... ").next().unwrap_or_default();
            if verdict == "FAILED" || verdict.starts_with("ignored") {
                tally.failures.push(format!("{name}: {verdict}"));
            }
        }
    }
    if tally.passed + tally.failed == 0 {
        tally.fail("tests: none ran");
    } else if !success && tally.failed == 0 {
        tally.fail("tests: cargo test failed, but no test did: see above");
    }
    tally
}

/// The number before a word: `3 passed; 1 failed; …`.
fn figure(result: &str, word: &str) -> u64 {
    let mut before = "";
    for item in result.split([' ', ';']) {
        if item == word {
            return before.parse().unwrap_or(0);
        }
        before = item;
    }
    0
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
test a::b ... ok
test a::c ... FAILED
test a::d ... ignored, needs a network
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test src/lib.rs - x (line 1) ... ok
test result: ok. 41 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn results_are_summed_and_ignored_tests_have_failed() {
        let tally = sum(OUTPUT.lines(), false);
        assert_eq!((tally.passed, tally.failed), (42, 2));
        assert_eq!(
            tally.failures,
            ["a::c: FAILED", "a::d: ignored, needs a network"]
        );
    }

    #[test]
    fn no_test_is_a_failure_and_so_is_a_crash() {
        assert_eq!(sum("".lines(), true).failed, 1);
        let zero = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(sum(zero.lines(), true).failed, 1);
        let one = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            sum(one.lines(), true),
            Tally {
                passed: 1,
                ..Tally::default()
            }
        );
        assert_eq!(sum(one.lines(), false).failed, 1);
    }

    #[test]
    fn steps_are_chosen_by_name() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            chosen(&words).map(|steps| steps.into_iter().map(Step::name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), Step::ALL.len());
        assert_eq!(
            names(&["--only", "fmt", "--only=tests"]).unwrap(),
            ["fmt", "build", "tests"]
        );
        assert!(names(&["--only"]).is_err() && names(&["fmt"]).is_err());
    }
}
