//! Flags, environment, file and defaults, put together: for each setting the first of them that says something.
//!
//! The file's values become clap's defaults, so that clap itself knows all four, and which of them spoke.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    path::PathBuf,
};

use anyhow::bail;
use clap::{
    ArgMatches, Command, CommandFactory as _, FromArgMatches as _,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::{
    super::args::Cli,
    definition::{FILE_FLAG, Setting, keys_of, nearest, remedy, settings},
    file::{Place, SettingsFile, default_place},
};

/// What a run of llmtap goes by.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// The command with its arguments.
    pub(crate) cli: Cli,
    /// The words that call the command.
    pub(super) command: String,
    /// Each setting of the command.
    pub(super) values: Vec<Value>,
    /// What the file sets that the command does not have.
    pub(super) unused: Vec<(String, Origin)>,
    /// The file that was read.
    pub(super) file: Option<PathBuf>,
    /// What is odd, and should be logged.
    pub(crate) warnings: Vec<String>,
}

/// One setting as it is.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) setting: Setting,
    /// As the flag takes them; empty: nothing was set.
    pub(super) values: Vec<String>,
    pub(super) origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Flag,
    /// The variable's name.
    Environment(String),
    /// The file, and the line in it, from 1.
    File(PathBuf, usize),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// All that the command needs.
    All,
    /// The settings alone, not the files to work on.
    Settings,
}

/// What these arguments ask for, with what environment and file say. A usage error of clap's, or a request for
/// help, comes as [`clap::Error`].
pub(crate) fn resolve(arguments: &[OsString]) -> anyhow::Result<Resolved> {
    resolve_for(arguments, Demand::All, None)
}

/// [`resolve`], with a file that has to be there, since it was.
pub(super) fn resolve_again(
    arguments: &[OsString],
    file: Option<PathBuf>,
) -> anyhow::Result<Resolved> {
    resolve_for(arguments, Demand::All, file.map(Place::Named))
}

/// [`resolve`], for those who only look.
pub(super) fn resolve_for(
    arguments: &[OsString],
    demand: Demand,
    place: Option<Place>,
) -> anyhow::Result<Resolved> {
    let base = definition(demand, &SettingsFile::default());
    // Without the file first: whatever is wrong here is wrong with any file, and only now is its name known.
    let matches = parse(&base, arguments)?;
    let known = settings();
    let mut warnings = unknown_variables(&known);
    let (command, _) = chosen(&matches);
    let has_settings = known
        .iter()
        .any(|setting| !is_of_all(&base, &setting.key) && setting.commands.contains(&command));
    if demand == Demand::Settings && !has_settings {
        bail!(
            "`llmtap {command}` has no settings of its own: name a command that has, such as run or serve"
        );
    }
    let place = place.or_else(|| {
        let named = matches.get_one::<PathBuf>(FILE_FLAG).cloned();
        named.map(Place::Named).or_else(default_place)
    });
    let file = match place.filter(|_| has_settings) {
        Some(place) => SettingsFile::read(&place, &known)?,
        None => SettingsFile::default(),
    };
    warnings.extend(file.warnings.iter().cloned());

    let matches = parse(&definition(demand, &file), arguments)?;
    let (_, of_command) = chosen(&matches);
    let values: Vec<_> = known
        .into_iter()
        .filter(|setting| setting.commands.contains(&command))
        .map(|setting| value(setting, of_command, &file))
        .collect();
    let unused = file
        .entries
        .iter()
        .filter(|entry| values.iter().all(|value| value.setting.key != entry.key))
        .map(|entry| (entry.key.clone(), origin_of(&file, &entry.key)))
        .collect();
    let cli = Cli::from_arg_matches(&matches)?;
    Ok(Resolved {
        cli,
        command,
        values,
        unused,
        file: file.path,
        warnings,
    })
}

/// clap's definition, with the file's values in the place of the defaults. An empty variable is none:
/// `LLMTAP_PORT=${PORT:-}` in a unit or a Compose file should mean the default, and not a port without a number.
fn definition(demand: Demand, file: &SettingsFile) -> Command {
    change(Cli::command(), &|arg| {
        let set = keys_of(&arg).and_then(|(key, _)| file.get(&key));
        let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
        let arg = match set {
            Some(entry) => arg.default_values(entry.values.clone()),
            None => arg,
        };
        let arg = if arg.get_env().is_some_and(is_empty) {
            arg.env(None::<&str>)
        } else {
            arg
        };
        match demand {
            Demand::All => arg,
            Demand::Settings => arg.required(false),
        }
    })
}

/// The definition with all arguments changed, of all commands.
fn change(command: Command, with: &dyn Fn(clap::Arg) -> clap::Arg) -> Command {
    command
        .mut_args(with)
        .mut_subcommands(|command| change(command, with))
}

fn parse(definition: &Command, arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    definition
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| explain(error, definition, arguments))
}

/// The error of a value that came from the environment says so: else it seems to be of a flag that nobody gave.
fn explain(mut error: clap::Error, definition: &Command, arguments: &[OsString]) -> clap::Error {
    let Some(flag) = refused(&error) else {
        return error;
    };
    let Some(setting) = settings().into_iter().find(|setting| setting.key == flag) else {
        return error;
    };
    if setting.is_secret() {
        // Errors are logged.
        error.insert(
            ContextKind::InvalidValue,
            ContextValue::String("(hidden)".to_owned()),
        );
    }
    let mut tips: Vec<StyledStr> = Vec::new();
    tips.extend(remedy(&error).map(Into::into));
    if let Some(value) = from_environment(&setting, definition, arguments) {
        tips.push(format!("the value is that of the variable {}", setting.variable).into());
        if value.to_string_lossy().starts_with("tcp://") {
            // As links between containers do.
            tips.push(
                "Kubernetes sets such a variable for a Service of the name llmtap: `enableServiceLinks: false` in \
                 the pod's spec leaves it out"
                    .into(),
            );
        }
    }
    if !tips.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// The value that the environment gave, if it is the one that is refused.
fn from_environment(
    setting: &Setting,
    definition: &Command,
    arguments: &[OsString],
) -> Option<OsString> {
    let value = env::var_os(&setting.variable)?;
    let without = change(definition.clone(), &|arg| match keys_of(&arg) {
        Some((key, _)) if key == setting.key => arg.env(None::<&str>),
        _ => arg,
    });
    let still = without.try_get_matches_from(arguments).err();
    let is_refused = still
        .as_ref()
        .and_then(refused)
        .is_some_and(|still| still == setting.key);
    (!is_refused).then_some(value)
}

/// The long name of the flag whose value was refused.
fn refused(error: &clap::Error) -> Option<String> {
    if !matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation
    ) {
        return None;
    }
    let ContextValue::String(argument) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let name = argument.strip_prefix("--")?.split([' ', '=']).next()?;
    Some(name.to_owned())
}

/// Variables that are near a setting's, and none: `LLMTAP_PORTS`.
fn unknown_variables(known: &[Setting]) -> Vec<String> {
    let file = format!("LLMTAP_{}", FILE_FLAG.to_uppercase());
    let is_known =
        |name: &str| name == file || known.iter().any(|setting| setting.variable == name);
    let mut found: Vec<_> = env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("LLMTAP_") && !is_known(name))
        .filter_map(|name| {
            let meant = nearest(&name, known.iter().map(|setting| setting.key.as_str()))?;
            let meant = known.iter().find(|setting| setting.key == meant)?;
            let meant = &meant.variable;
            Some(format!(
                "the variable {name} is no setting: did you mean {meant}?"
            ))
        })
        .collect();
    found.sort();
    found
}

fn is_of_all(definition: &Command, key: &str) -> bool {
    definition
        .get_arguments()
        .any(|arg| arg.get_long() == Some(key))
}

/// The words of the command that was chosen, and its own arguments.
fn chosen(matches: &ArgMatches) -> (String, &ArgMatches) {
    let (mut words, mut matches) = (Vec::new(), matches);
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    (words.join(" "), matches)
}

fn value(setting: Setting, matches: &ArgMatches, file: &SettingsFile) -> Value {
    // clap's name of an argument is the field's, not the flag's.
    let id = setting.id();
    let text = |value: &OsStr| value.to_string_lossy().into_owned();
    let raw = matches.get_raw(id).into_iter().flatten();
    let values: Vec<_> = raw.map(text).collect();
    let origin = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Origin::Flag,
        Some(ValueSource::EnvVariable) => Origin::Environment(setting.variable.clone()),
        // An empty list in the file leaves nothing for clap to remember.
        _ => origin_of(file, &setting.key),
    };
    Value {
        setting,
        values,
        origin,
    }
}

fn origin_of(file: &SettingsFile, key: &str) -> Origin {
    match (&file.path, file.get(key)) {
        (Some(path), Some(entry)) => Origin::File(path.clone(), entry.line),
        _ => Origin::Default,
    }
}

/// The arguments of another command, in the same surroundings: the same file and log.
pub(super) fn arguments_for(cli: &Cli, words: &[OsString]) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("llmtap")];
    if let Some(file) = &cli.common.config {
        arguments.extend([format!("--{FILE_FLAG}").into(), file.into()]);
    }
    arguments.extend_from_slice(words);
    arguments
}
