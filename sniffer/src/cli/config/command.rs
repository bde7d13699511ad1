//! The commands about settings: `llmtap config`, and those that print what is generated from the definition.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::{
    super::{EXIT_NOTHING, args::Cli},
    pages, reload,
    resolve::{Demand, Origin, Resolved, arguments_for, resolve_for},
    show::{Origins, ShowFormat, show},
};

/// The commands that run for long, and are worth a check before.
const CHECKED: [&str; 2] = ["run", "serve"];

/// `llmtap config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what a command would go by: each setting with its value
    Show(ShowArgs),
    /// Look for faults in the settings of file and environment
    Check,
    /// Print a settings file with every setting, explained
    Example,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Tell where each value comes from: a flag, a variable, a line of the file, or the default
    #[arg(long)]
    pub(crate) origin: bool,

    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ShowFormat,

    /// The command whose settings are shown, with flags of its own or without. Default: run
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct DocsArgs {
    /// The folder: that of the repository, or one to look at
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// Runs `llmtap config`.
pub(crate) fn main(command: &ConfigCommand, cli: &Cli) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Show(args) => show_settings(args, cli),
        ConfigCommand::Check => check(cli),
        ConfigCommand::Example => print(pages::example().as_bytes()),
    }
}

/// Runs `llmtap completions`.
pub(crate) fn print_completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    print(&pages::completions(args.shell))
}

/// Runs `llmtap docs`.
pub(crate) fn write_docs(args: &DocsArgs) -> anyhow::Result<ExitCode> {
    pages::write(&args.folder)?;
    Ok(ExitCode::SUCCESS)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn show_settings(args: &ShowArgs, cli: &Cli) -> anyhow::Result<ExitCode> {
    let mut words = args.command.clone();
    let names_none = |word: &OsString| word.to_string_lossy().starts_with('-');
    if words.first().is_none_or(names_none) {
        words.insert(0, "run".into());
    }
    let resolved = resolve_for(&arguments_for(cli, &words), Demand::Settings, None)?;
    warn(&resolved.warnings);
    let origins = if args.origin {
        Origins::Told
    } else {
        Origins::Left
    };
    print(show(&resolved, args.format, origins).as_bytes())
}

fn check(cli: &Cli) -> anyhow::Result<ExitCode> {
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    let mut good: Option<Resolved> = None;
    for command in CHECKED {
        let arguments = arguments_for(cli, &[command.into()]);
        match look(&arguments, &mut good) {
            Ok(more) => warnings.extend(more),
            Err(error) => faults.push(in_short(&error)),
        }
    }
    warnings.sort();
    warnings.dedup();
    warn(&warnings);
    faults.dedup();
    let Some(good) = good.filter(|_| faults.is_empty()) else {
        let _ = writeln!(io::stderr(), "{}", faults.join("\n"));
        return Ok(ExitCode::from(EXIT_NOTHING));
    };
    let from = match &good.file {
        Some(file) => format!("{} is good", file.display()),
        None => "there is no settings file".to_owned(),
    };
    let set = good
        .values
        .iter()
        .filter(|value| value.origin != Origin::Default);
    print(format!("{from}; {} settings of run are set\n", set.count()).as_bytes())
}

/// Goes as far as a start can without starting; gives the warnings.
fn look(arguments: &[OsString], good: &mut Option<Resolved>) -> anyhow::Result<Vec<String>> {
    let resolved = resolve_for(arguments, Demand::Settings, None)?;
    reload::rehearse(&resolved.cli)?;
    let warnings = resolved.warnings.clone();
    good.get_or_insert(resolved);
    Ok(warnings)
}

/// What is wrong with the settings, without what is about the command line alone.
fn in_short(error: &anyhow::Error) -> String {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        let text = usage.to_string();
        let lines = text
            .lines()
            .map(|line| line.trim().trim_start_matches("error: "));
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more"));
        return lines.collect::<Vec<_>>().join("; ");
    }
    format!("{error:#}")
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(io::stderr(), "warning: {warning}");
    }
}
