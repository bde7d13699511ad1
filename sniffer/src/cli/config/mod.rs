//! The settings: what they are, where their values come from, and what becomes of them while llmtap runs.
//!
//! ```text
//!  clap's definition ─▶ definition ─┬─▶ file ─▶ resolve ─▶ show
//!  (args.rs and others)             │            └──────▶ reload
//!                                   └─▶ pages: example file, reference, man pages, completions
//! ```

mod command;
mod contents;
mod definition;
mod file;
mod pages;
mod reload;
mod resolve;
mod show;

use std::path::PathBuf;

use clap::Args;

pub(crate) use self::{
    command::{CompletionsArgs, ConfigCommand, DocsArgs, main, print_completions, write_docs},
    reload::{LogHandle, Reloader, Running},
    resolve::resolve,
};

/// What all commands take.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else
    /// llmtap/llmtap.toml in the XDG configuration folder, where there is one
    #[arg(long, value_name = "FILE", env = "LLMTAP_CONFIG", global = true)]
    #[arg(help_heading = HEADING, display_order = 1_000)]
    pub(crate) config: Option<PathBuf>,

    /// What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as
    /// warn,analyzer=debug
    #[arg(
        long,
        value_name = "LEVEL",
        env = "LLMTAP_LOG",
        global = true,
        default_value = "info"
    )]
    #[arg(help_heading = HEADING, display_order = 1_001)]
    pub(crate) log: LogFilter,
}

const HEADING: &str = "Settings and log";

/// What is logged, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl std::str::FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_level = |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok();
        let is_part = |word: &str| word.contains(['=', '[']);
        let words = || text.split(',').map(str::trim);
        // A lone word that is no level would be taken for a part of the program, and silence all others.
        if !words().all(|word| is_level(word) || is_part(word)) {
            return Err("a level is error, warn, info, debug, trace or off; for a part, such as analyzer=debug".to_owned());
        }
        tracing_subscriber::EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

impl LogFilter {
    /// The filter itself.
    pub(crate) fn filter(&self) -> tracing_subscriber::EnvFilter {
        tracing_subscriber::EnvFilter::new(&self.0)
    }
}
