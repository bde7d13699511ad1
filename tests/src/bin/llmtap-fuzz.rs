//! Fuzzing for as long as it should: `cargo xtask fuzz` runs this.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{self, Write as _},
    panic,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use llmtap_tests::fuzz::{
    TARGETS, Target, corpus,
    run::{self, Length, Settings},
};

const USAGE: &str = "\
usage: llmtap-fuzz [TARGET] [--seconds N] [--seed S]
       llmtap-fuzz TARGET FILE...
       llmtap-fuzz --renew [TARGET] [--mutations N] [--from FOLDER]

Runs a target (default: each of them, in turn), beginning with its corpus; what led somewhere new
stays under target/fuzz-found. With files: feeds these to the target. --renew makes the corpora anew, from
their seeds, what is there, a folder of inputs, and N mutations.

  --seconds N    how long each target runs (default 60)
  --seed S       another run (default 1)
  --mutations N  default 20000
";

/// What was asked for.
#[derive(Default)]
struct Asked {
    target: Option<&'static Target>,
    files: Vec<PathBuf>,
    renew: bool,
    seconds: Option<u64>,
    seed: Option<u64>,
    mutations: Option<u64>,
    from: Option<PathBuf>,
}

fn main() -> ExitCode {
    match asked().and_then(|asked| go(&asked)) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "llmtap-fuzz: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn asked() -> Result<Asked> {
    let mut asked = Asked::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> Result<Option<u64>> {
            let value = words
                .next()
                .with_context(|| format!("{word} needs a number"))?;
            Ok(Some(
                value
                    .parse()
                    .with_context(|| format!("{value} is no number"))?,
            ))
        };
        match word.as_str() {
            "--renew" => asked.renew = true,
            "--seconds" => asked.seconds = number()?,
            "--seed" => asked.seed = number()?,
            "--mutations" => asked.mutations = number()?,
            "--from" => asked.from = words.next().map(PathBuf::from),
            "--help" | "-h" => bail!("{USAGE}"),
            _ if word.starts_with('-') => bail!("unknown argument {word}\n\n{USAGE}"),
            name if asked.target.is_none() => {
                let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
                let target = Target::named(name);
                asked.target = Some(target.with_context(|| {
                    format!("there is no target {name}; there are {}", names.join(", "))
                })?);
            }
            file => asked.files.push(file.into()),
        }
    }
    Ok(asked)
}

fn go(asked: &Asked) -> Result<ExitCode> {
    let chosen: Vec<&'static Target> = match asked.target {
        Some(target) => vec![target],
        None => TARGETS.iter().collect(),
    };
    let mut good = true;
    for target in chosen {
        good &= if asked.renew {
            renew(target, asked)?
        } else if asked.files.is_empty() {
            fuzz(target, asked)?
        } else {
            replay(target, &asked.files)?
        };
    }
    Ok(ExitCode::from(u8::from(!good)))
}

fn renew(target: &'static Target, asked: &Asked) -> Result<bool> {
    let more = match &asked.from {
        Some(folder) => corpus::read_folder(&folder.join(target.name))?,
        None => Vec::new(),
    };
    let mutations = asked.mutations.unwrap_or(20_000);
    let (files, bytes) = corpus::renew(target, more, asked.seed.unwrap_or(1), mutations)?;
    say(&format!(
        "{}: {files} inputs of {bytes} bytes in all",
        target.name
    ));
    Ok(true)
}

fn replay(target: &'static Target, files: &[PathBuf]) -> Result<bool> {
    for file in files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Err(fault) = run::run(target, vec![bytes], Settings::new(0, Length::Mutations(0))) {
            say(&format!("{}: {}", file.display(), fault.what));
            return Ok(false);
        }
        say(&format!("{}: good", file.display()));
    }
    Ok(true)
}

fn fuzz(target: &'static Target, asked: &Asked) -> Result<bool> {
    let seconds = asked.seconds.unwrap_or(60);
    ensure!(seconds > 0, "no time to run in");
    let begin = Instant::now();
    let length = Length::Time(Duration::from_secs(seconds));
    let settings = Settings::new(asked.seed.unwrap_or(1), length);
    let mut inputs = corpus::read(target)?;
    inputs.extend((target.seeds)());
    match run::run(target, inputs, settings) {
        Ok(tally) => {
            let rate = tally.executions as f64 / begin.elapsed().as_secs_f64();
            let (features, kept) = (tally.features.len(), tally.kept.len());
            say(&format!(
                "{}: {} executions, {rate:.0} a second; {features} features, {kept} inputs kept",
                target.name, tally.executions
            ));
            corpus::keep(target, &tally.kept)?;
            Ok(true)
        }
        Err(fault) => {
            // The first panic was told of; those of smaller inputs say the same.
            panic::set_hook(Box::new(|_| {}));
            say(&fault.shrunk(target).save(target)?);
            let _ = panic::take_hook();
            Ok(false)
        }
    }
}

fn say(line: &str) {
    // A reader that has gone is no reason to stop the work.
    let _ = writeln!(io::stdout(), "{line}");
}
