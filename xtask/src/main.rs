//! All automation of llmtap: `cargo xtask COMMAND`.
//!
//! [`setup`] sees to what a command needs, and says what it installs; the other modules are a
//! command each.
#![forbid(unsafe_code)]

mod bench;
mod captures;
mod deny;
mod docs;
mod ebpf;
mod fuzz;
mod prompts;
mod run;
mod setup;
mod shell;
mod test;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run           install what is missing, build, and tap a demonstration (or your own server)
  test          all that CI runs; the last line is `N passed, N failed`
  ebpf          build the kernel side, or say whether the committed object is stale
  bench         measure
  captures      record the real client libraries anew, for the tests
  docs          write what is generated from the command line's definition
  prompts       ask the reference implementations anew what prompts count, for the tests
  fuzz          feed the library what nobody would send, for as long as you like
  deny          licences, bans and sources of the dependencies
  advisories    known faults of the dependencies (needs the advisory database, from GitHub)
  help          this text; `cargo xtask COMMAND --help` tells more
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let help = rest
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--help" || argument == "-h");
    let result = match command.as_str() {
        "run" if help => shell::print(run::USAGE),
        "run" => run::run(&rest),
        "test" if help => shell::print(test::USAGE),
        "test" => test::run(&rest),
        "ebpf" if help => shell::print(ebpf::USAGE),
        "ebpf" => ebpf::run(&rest),
        "bench" if help => shell::print(bench::USAGE),
        "bench" => bench::run(&rest),
        "captures" if help => shell::print(captures::USAGE),
        "captures" => captures::run(&rest),
        "docs" if help => shell::print(docs::USAGE),
        "docs" => docs::run(&rest),
        "prompts" if help => shell::print(prompts::USAGE),
        "prompts" => prompts::run(&rest),
        "fuzz" if help => shell::print(fuzz::USAGE),
        "fuzz" => fuzz::run(&rest),
        "deny" if help => shell::print(deny::USAGE),
        "deny" => deny::run(deny::Check::Policy, &rest),
        "advisories" if help => shell::print(deny::ADVISORIES_USAGE),
        "advisories" => deny::run(deny::Check::Advisories, &rest),
        "help" | "--help" | "-h" => shell::print(USAGE),
        "" => Err(Usage(USAGE.into()).into()),
        unknown => Err(Usage(format!("there is no command {unknown}\n\n{USAGE}")).into()),
    };
    finish(result)
}

/// What a person typed that cannot be: exit code 2, and the text alone.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl std::error::Error for Usage {}

fn finish(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "xtask: {error:#}");
        ExitCode::from(2)
    })
}
