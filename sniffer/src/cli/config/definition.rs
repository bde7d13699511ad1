//! The settings, read off clap's definition of the command line: whatever flag has a variable is a setting,
//! and its long name is its key in the file. A new flag needs nothing else.

use std::{
    ffi::OsString,
    net::AddrParseError,
    num::{ParseFloatError, ParseIntError},
};

use clap::{
    Arg, ArgAction, Command, CommandFactory as _, builder::PossibleValue, error::ErrorKind,
};

use super::super::args::Cli;

/// The flag that names the file: it cannot stand in the file.
pub(super) const FILE_FLAG: &str = "config";

/// How like two words must be (Jaro-Winkler, 0 to 1) for the one to be offered for the other. At clap's own 0.7,
/// `keep-alive` would be offered `key-file`.
const LIKE: f64 = 0.8;

/// One setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// The flag's long name, and the key in the file.
    pub(super) key: String,
    /// The environment's variable.
    pub(super) variable: String,
    /// The commands that have it, in the order of the help.
    pub(super) commands: Vec<String>,
    arg: Arg,
}

/// All settings, each once, in the order of the help: `run`'s, those that others have, those of all.
pub(super) fn settings() -> Vec<Setting> {
    let mut command = Cli::command();
    command.build();
    let (mut found, mut common): (Vec<Setting>, Vec<Setting>) = (Vec::new(), Vec::new());
    let of_all: Vec<_> = command.get_arguments().filter_map(keys_of).collect();
    for (path, sub) in leaves(&command, "") {
        for arg in sub.get_arguments() {
            let Some((key, _)) = keys_of(arg) else {
                continue;
            };
            let list = if of_all.iter().any(|(of_all, _)| *of_all == key) {
                &mut common
            } else {
                &mut found
            };
            match list.iter_mut().find(|setting| setting.key == key) {
                Some(known) => known.commands.push(path.clone()),
                None => list.extend(Setting::of(arg, &path)),
            }
        }
    }
    found.extend(common);
    found
}

/// The commands that do something, by the words that call them.
fn leaves<'c>(command: &'c Command, path: &str) -> Vec<(String, &'c Command)> {
    let mut found = Vec::new();
    for sub in command.get_subcommands() {
        if sub.get_name() == "help" {
            continue;
        }
        let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
        if sub.has_subcommands() {
            found.extend(leaves(sub, &path));
        } else {
            found.push((path, sub));
        }
    }
    found
}

/// Key and variable of a flag that is a setting.
pub(super) fn keys_of(arg: &Arg) -> Option<(String, String)> {
    let key = arg.get_long().filter(|key| *key != FILE_FLAG)?;
    let variable = arg.get_env()?.to_str()?;
    Some((key.to_owned(), variable.to_owned()))
}

impl Setting {
    /// That of a flag, if it is one.
    pub(super) fn of(arg: &Arg, command: &str) -> Option<Self> {
        let (key, variable) = keys_of(arg)?;
        Some(Self {
            key,
            variable,
            commands: vec![command.to_owned()],
            arg: arg.clone(),
        })
    }

    /// clap's name of the argument.
    pub(super) fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// The heading under which the help lists it.
    pub(super) fn heading(&self) -> &str {
        self.arg.get_help_heading().unwrap_or("General")
    }

    /// What it does, in one line of text.
    pub(super) fn help(&self) -> String {
        let help = self.arg.get_long_help().or_else(|| self.arg.get_help());
        let text = help.map(ToString::to_string).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// What stands for its value in the help; none for a switch.
    pub(super) fn value_name(&self) -> Option<String> {
        if self.is_switch() {
            return None;
        }
        let names = self.arg.get_value_names()?;
        Some(
            names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    /// Its letter.
    pub(super) fn short(&self) -> Option<char> {
        self.arg.get_short()
    }

    /// The values that it takes, where they are few.
    pub(super) fn choices(&self) -> Vec<PossibleValue> {
        if self.is_switch() {
            return Vec::new();
        }
        let choices = self.arg.get_possible_values();
        choices
            .into_iter()
            .filter(|value| !value.is_hide_set())
            .collect()
    }

    /// What it is where nobody sets it; empty: nothing, or what the help says.
    pub(super) fn default(&self) -> Vec<String> {
        let defaults = self.arg.get_default_values().iter();
        defaults
            .map(|value| value.to_string_lossy().into_owned())
            .collect()
    }

    /// Whether it is on or off.
    pub(super) fn is_switch(&self) -> bool {
        matches!(
            self.arg.get_action(),
            ArgAction::SetTrue | ArgAction::SetFalse
        )
    }

    /// Whether it takes more than one value.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
            || self
                .arg
                .get_num_args()
                .is_some_and(|range| range.max_values() > 1)
    }

    /// Whether its values are whole numbers to the program.
    pub(super) fn is_number(&self) -> bool {
        use std::any::TypeId;
        let parsed = self.arg.get_value_parser().type_id();
        [
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<i64>(),
        ]
        .iter()
        .any(|number| parsed == *number)
    }

    /// Whether its value is not to be shown: clap's `hide_env_values` says so, for the help too.
    pub(super) fn is_secret(&self) -> bool {
        self.arg.is_hide_env_values_set()
    }

    /// What separates values in the one text of a variable.
    pub(super) fn delimiter(&self) -> Option<char> {
        self.arg.get_value_delimiter()
    }

    /// Whether the flag would take these values, and if not, why.
    pub(super) fn check(&self, values: &[String]) -> Result<(), String> {
        // The flag itself may refer to others (conflicts, groups), which are not here.
        let mut arg = Arg::new("value")
            .long("value")
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .value_parser(self.arg.get_value_parser().clone());
        if let Some(delimiter) = self.delimiter() {
            arg = arg.value_delimiter(delimiter);
        }
        let command = Command::new("llmtap").no_binary_name(true).arg(arg);
        let words = values.iter().map(|value| {
            let mut word = OsString::from("--value=");
            word.push(value);
            word
        });
        match command.try_get_matches_from(words) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.reason(&error)),
        }
    }

    /// Why clap refuses a value, in half a sentence.
    fn reason(&self, error: &clap::Error) -> String {
        use std::error::Error as _;
        let choices: Vec<_> = self
            .choices()
            .iter()
            .map(|one| one.get_name().to_owned())
            .collect();
        match (error.kind(), error.source()) {
            (_, Some(source)) => {
                let remedy = remedy(error).map(|remedy| format!("; {remedy}"));
                source.to_string().trim_end().to_owned() + &remedy.unwrap_or_default()
            }
            (ErrorKind::InvalidValue, None) if self.is_switch() => "it is true or false".to_owned(),
            (ErrorKind::InvalidValue, None) if !choices.is_empty() => {
                format!("it is one of {}", choices.join(", "))
            }
            (ErrorKind::InvalidValue, None) => "it has no value".to_owned(),
            _ => error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// What a value should look like, where the reason of its refusal does not say so: those of the standard
/// library's own readers.
pub(super) fn remedy(error: &clap::Error) -> Option<&'static str> {
    use std::error::Error as _;
    let source = error.source()?;
    if source.is::<ParseIntError>() {
        Some("it takes a whole number")
    } else if source.is::<ParseFloatError>() {
        Some("it takes a number")
    } else if source.is::<AddrParseError>() {
        Some("it takes an address with a port, such as 127.0.0.1:9464 or [::]:9464")
    } else {
        None
    }
}

/// The one of the known words that was likely meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase().replace('_', "-");
    let word = word.strip_prefix("llmtap-").unwrap_or(&word);
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_one_variable_and_one_form_in_all_commands() {
        let mut command = Cli::command();
        command.build();
        let settings = settings();
        for (path, sub) in leaves(&command, "") {
            for arg in sub.get_arguments() {
                let Some((key, variable)) = keys_of(arg) else {
                    continue;
                };
                let expected = format!("LLMTAP_{}", key.to_uppercase().replace('-', "_"));
                assert_eq!(variable, expected, "{path} --{key}");
                let known = settings.iter().find(|setting| setting.key == key).unwrap();
                let names = |arg: &Arg| {
                    let values = arg.get_possible_values();
                    values
                        .iter()
                        .map(|one| one.get_name().to_owned())
                        .collect::<Vec<_>>()
                };
                assert_eq!(names(&known.arg), names(arg), "{path} --{key}");
                assert!(!known.help().is_empty(), "{path} --{key} has no help");
            }
        }
    }

    #[test]
    fn what_is_named_as_a_secret_is_hidden() {
        for setting in settings() {
            let named = ["token", "secret", "password", "otlp-header"]
                .iter()
                .any(|word| {
                    setting.key.split('-').any(|part| part == *word) || setting.key == *word
                })
                // Where a secret is kept is none.
                && !setting.key.ends_with("-file");
            assert!(
                !named || setting.is_secret(),
                "--{} must hide its value",
                setting.key
            );
        }
    }

    #[test]
    fn a_switch_is_on_or_off() {
        let switch = Arg::new("on")
            .long("on")
            .env("LLMTAP_ON")
            .action(ArgAction::SetTrue);
        let mut command = Command::new("llmtap").arg(switch);
        command.build();
        let built = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some("on"));
        let setting = Setting::of(built.unwrap(), "run").unwrap();
        assert!(setting.is_switch() && !setting.is_list() && setting.value_name().is_none());
        assert_eq!(setting.default(), ["false"]);
        assert_eq!(setting.check(&["true".to_owned()]), Ok(()));
        let why = setting.check(&["yes".to_owned()]).unwrap_err();
        assert_eq!(why, "it is true or false");
        // As the file's value is handed to clap.
        let set = command.mut_arg("on", |arg| arg.env(None::<&str>).default_values(["true"]));
        assert!(set.get_matches_from(["llmtap"]).get_flag("on"));
    }

    #[test]
    fn a_word_is_offered_only_where_it_is_like_the_other() {
        let known = [
            "listen",
            "interface",
            "max-text",
            "redact-json",
            "redact",
            "key-file",
        ];
        let nearest = |word| nearest(word, known);
        assert_eq!(nearest("listn"), Some("listen"));
        assert_eq!(nearest("interfaces"), Some("interface"));
        assert_eq!(nearest("max_text"), Some("max-text"));
        assert_eq!(nearest("LLMTAP_REDACT_JSON"), Some("redact-json"));
        assert_eq!(nearest("colour"), None);
    }
}
