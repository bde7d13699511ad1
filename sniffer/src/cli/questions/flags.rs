//! The API's parameters as flags: from the one definition, so that both take the same.

use std::marker::PhantomData;

use analyzer::query::{Parameter, filter::FILTERS, parameter::Takes};
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, builder::PossibleValuesParser,
};

/// The parameters that a command takes beside the filters.
pub(super) trait Others: Send + Sync + Clone + 'static {
    fn others() -> Vec<Parameter>;
}

/// The parameters that were given, under the API's names.
#[derive(Clone, Debug)]
pub(super) struct Given<O> {
    pub(super) pairs: Vec<(String, String)>,
    others: PhantomData<O>,
}

const FILTER_HEADING: &str = "Filters";
const OTHER_HEADING: &str = "Order and groups";

impl<O: Others> Args for Given<O> {
    fn augment_args(command: Command) -> Command {
        let filters = FILTERS.iter().map(|filter| (filter, FILTER_HEADING));
        let others = O::others();
        let others = others.iter().map(|other| (other, OTHER_HEADING));
        let flags: Vec<Arg> = filters
            .chain(others)
            .map(|(parameter, heading)| flag(parameter).help_heading(heading))
            .collect();
        command.args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<O: Others> FromArgMatches for Given<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut pairs = Vec::new();
        for parameter in FILTERS.iter().copied().chain(O::others()) {
            let id = id(&parameter);
            let values = matches.get_many::<String>(&id).into_iter().flatten();
            for value in values {
                pairs.push(pair(&parameter, value)?);
            }
        }
        Ok(Self {
            pairs,
            others: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn id(parameter: &Parameter) -> String {
    parameter.name.trim_end_matches('.').replace('_', "-")
}

fn flag(parameter: &Parameter) -> Arg {
    let id = id(parameter);
    let value = match parameter.name {
        "label." => "NAME=VALUE",
        _ => parameter.value,
    };
    let action = if parameter.repeats {
        ArgAction::Append
    } else {
        ArgAction::Set
    };
    let flag = Arg::new(id.clone())
        .long(id)
        .value_name(value)
        .action(action)
        .help(parameter.doc);
    match parameter.takes {
        // -1h is a time.
        Takes::Time => flag.allow_hyphen_values(true),
        Takes::OneOf(words) => flag.value_parser(PossibleValuesParser::new(words)),
        _ => flag,
    }
}

/// As the API names it: `--label team=blue` is `label.team=blue`, and `--label team=!blue` its opposite.
fn pair(parameter: &Parameter, value: &str) -> Result<(String, String), clap::Error> {
    if !parameter.name.ends_with('.') {
        return Ok((parameter.name.to_owned(), value.to_owned()));
    }
    match value.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok((format!("{}{name}", parameter.name), value.to_owned()))
        }
        _ => Err(clap::Error::raw(
            clap::error::ErrorKind::ValueValidation,
            format!(
                "--{} takes NAME=VALUE, such as team=blue, not {value:?}\n",
                id(parameter)
            ),
        )),
    }
}
