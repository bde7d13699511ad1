//! `llmtap run` as the tests start it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::process::{self, Daemon};

/// What to tap, and how.
#[derive(Clone, Debug)]
pub struct Tap {
    arguments: Vec<String>,
    /// The command that runs `llmtap`, such as `setpriv`, with its arguments.
    wrapper: Vec<String>,
    store: PathBuf,
}

impl Tap {
    /// Taps these ports of an interface into a store, and prints the rows as NDJSON.
    pub fn new(backend: &str, interface: &str, ports: &[u16], store: &Path) -> Self {
        let mut arguments = ["run", "--backend", backend, "-i", interface]
            .map(str::to_owned)
            .to_vec();
        arguments.extend(
            ports
                .iter()
                .flat_map(|port| ["-p".to_owned(), port.to_string()]),
        );
        Self {
            arguments,
            wrapper: Vec::new(),
            store: store.to_owned(),
        }
    }

    /// More arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Run by another command, such as `setpriv` or `ip netns exec`.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper.extend(wrapper.iter().map(ToString::to_string));
        self
    }

    /// The command, not yet run.
    ///
    /// # Errors
    /// Where `llmtap` was not built.
    pub fn command(&self) -> Result<Command> {
        let mut command = process::llmtap_under(&self.wrapper, &self.arguments)?;
        command
            .args(["--listen", "127.0.0.1:0", "--format", "ndjson", "--db"])
            .arg(&self.store);
        Ok(command)
    }

    /// Starts it. It taps once it says that it is ready.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub fn start(&self) -> Result<Daemon> {
        Daemon::start(self.command()?)
    }
}
