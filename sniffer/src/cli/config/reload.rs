//! SIGHUP: the settings are read again, and what can change while llmtap runs does.
//!
//! [`PARTS`] is the register. A part first makes its new state, which may fail, and hands back what puts it in the
//! place of the old. Only where all parts have theirs is any put in: a bad file changes nothing.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(feature = "tls")]
use analyzer::api::tls::Tls;
use analyzer::{
    analysis, api::access::Access, live::Live, metrics::ReasonCounters, store::Retention,
    tokens::Counter,
};
use tracing_subscriber::EnvFilter;

use super::{
    super::{analysis_settings, args::Cli, counter, storage::StorageArgs},
    contents::Contents,
    resolve::{Origin, Resolved, Value, resolve_again},
};

/// What can be replaced in a running llmtap.
pub(crate) struct Running {
    /// How exchanges become calls. Those under way keep what they began with.
    pub(crate) analysis: Live<analysis::Settings>,
    /// How tokens are counted: by what is in force when a call has ended.
    pub(crate) counter: Live<Counter>,
    /// How long rows and bodies are kept.
    pub(crate) retention: Live<Retention>,
    /// Who may ask the API.
    pub(crate) access: Live<Access>,
    /// The certificate, where the API is served by TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Live<Tls>>,
    /// What is logged.
    pub(crate) log: LogHandle,
    /// Counts the reloads.
    pub(crate) reloads: ReasonCounters,
}

/// What becomes of a reload, for its metric.
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";

/// Replaces the log's filter.
pub(crate) struct LogHandle(Box<dyn Fn(EnvFilter) + Send + Sync>);

impl LogHandle {
    pub(crate) fn new(replace: impl Fn(EnvFilter) + Send + Sync + 'static) -> Self {
        Self(Box::new(replace))
    }
}

/// Settings that change together.
struct Part {
    keys: &'static [&'static str],
    read: Read,
    prepare: fn(&Running, &Cli) -> anyhow::Result<Swap>,
}

/// When a part makes its state anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// At each reload: it reads files, which may have changed under the same names.
    Always,
    /// Where one of its settings, or of their files, changed: it holds what it would be a pity to lose.
    Changed,
}

/// Puts what was prepared in the place of the old.
type Swap = Box<dyn FnOnce(&Running)>;

/// All that can be reloaded.
const PARTS: &[Part] = &[
    Part {
        keys: &[
            "trusted-proxy",
            "user-header",
            "model-header",
            "label",
            "redact",
            "redact-json",
            "redact-file",
            "max-text",
            "body-head",
            "body-tail",
            "prices",
        ],
        read: Read::Always,
        prepare: analysis_part,
    },
    Part {
        keys: &["tokenizer", "count", "audit-rate", "count-cache"],
        read: Read::Changed,
        prepare: counter_part,
    },
    Part {
        keys: &[
            "keep-rows",
            "keep-bodies",
            "max-rows-size",
            "max-bodies-size",
        ],
        read: Read::Changed,
        prepare: |_, cli| Ok(retention_part(cli)),
    },
    Part {
        keys: &[
            "api-token-file",
            "report-token-file",
            "metrics-public",
            "allowed-host",
            "cors-origin",
        ],
        read: Read::Always,
        prepare: access_part,
    },
    #[cfg(feature = "tls")]
    Part {
        keys: &TLS,
        read: Read::Always,
        prepare: tls_part,
    },
    Part {
        keys: &["log"],
        read: Read::Changed,
        prepare: |_, cli| Ok(log_part(cli)),
    },
];

/// With TLS and without are two servers: to begin or to end with it takes a restart.
const TLS: [&str; 2] = ["tls-cert", "tls-key"];

/// Whether a setting can change while llmtap runs.
pub(super) fn is_reloadable(key: &str) -> bool {
    PARTS.iter().any(|part| part.keys.contains(&key))
}

fn analysis_part(running: &Running, cli: &Cli) -> anyhow::Result<Swap> {
    let Some((args, bodies)) = cli.command.analysis() else {
        return Ok(Box::new(|_| {}));
    };
    let old = running.analysis.current();
    let fresh = analysis_settings(args, None, bodies)?;
    let fresh = analysis::Settings {
        // These take a restart: hashes must stay comparable, and the store was opened for these bodies.
        hash_key: old.hash_key.clone(),
        bodies: old.bodies,
        redactor: Arc::new(fresh.redactor.counting_on(&old.redactor)),
        ..fresh
    };
    Ok(Box::new(move |running| running.analysis.replace(fresh)))
}

fn counter_part(_: &Running, cli: &Cli) -> anyhow::Result<Swap> {
    let Some((args, _)) = cli.command.analysis() else {
        return Ok(Box::new(|_| {}));
    };
    let fresh = counter(args)?;
    Ok(Box::new(move |running| running.counter.replace(fresh)))
}

fn retention_part(cli: &Cli) -> Swap {
    let fresh = cli.command.storage().map(StorageArgs::retention);
    Box::new(move |running| {
        if let Some(fresh) = fresh {
            running.retention.replace(fresh);
        }
    })
}

fn access_part(running: &Running, cli: &Cli) -> anyhow::Result<Swap> {
    let Some(serving) = cli.command.serving() else {
        return Ok(Box::new(|_| {}));
    };
    let fresh = serving.access()?;
    // Where it listens takes a restart.
    let reach = running.access.current().reach;
    let fresh = Access { reach, ..fresh };
    Ok(Box::new(move |running| running.access.replace(fresh)))
}

#[cfg(feature = "tls")]
fn tls_part(running: &Running, cli: &Cli) -> anyhow::Result<Swap> {
    let fresh = match (&running.tls, cli.command.serving()) {
        (Some(_), Some(serving)) => serving.access.tls()?,
        _ => None,
    };
    Ok(Box::new(move |running| {
        if let (Some(tls), Some(fresh)) = (&running.tls, fresh) {
            tls.replace(fresh);
        }
    }))
}

fn log_part(cli: &Cli) -> Swap {
    let filter = cli.common.log.filter();
    Box::new(move |running| (running.log.0)(filter))
}

/// Whether a start would go well, as far as the settings alone tell.
pub(super) fn rehearse(cli: &Cli) -> anyhow::Result<()> {
    if let Some((args, bodies)) = cli.command.analysis() {
        analysis_settings(args, None, bodies)?;
        counter(args)?;
    }
    if let Some(serving) = cli.command.serving() {
        serving.access.named(serving.listen)?;
        #[cfg(feature = "tls")]
        serving.access.tls()?;
    }
    Ok(())
}

/// What is other than it was.
#[derive(Debug, Default)]
struct Changed {
    /// In force now.
    applied: Vec<String>,
    /// How many take a restart.
    left: usize,
}

/// Reads the settings again.
pub(crate) struct Reloader {
    arguments: Vec<OsString>,
    file: Option<PathBuf>,
    /// What llmtap goes by.
    in_force: Vec<Value>,
    /// What the files of that held.
    contents: Contents,
}

impl Reloader {
    /// With the arguments that led to these settings; before the files that they name are read, so that what is
    /// written to one meanwhile is a change.
    pub(crate) fn new(arguments: Vec<OsString>, resolved: &Resolved) -> Self {
        Self {
            arguments,
            file: resolved.file.clone(),
            in_force: resolved.values.clone(),
            contents: Contents::of(&resolved.values),
        }
    }

    /// The API's own token, where it was missing before.
    pub(crate) fn own_token_is_made(&mut self) {
        self.contents.add_own_token(&self.in_force);
    }

    /// Both results stand in the metrics from the start on.
    pub(crate) fn count_from_zero(reloads: &ReasonCounters) {
        for result in [APPLIED, REFUSED] {
            reloads.inc_by(result, 0);
        }
    }

    /// Reads the settings again and puts what can be into force. Says in the log what became of it.
    pub(crate) fn reload(&mut self, running: &Running) {
        let attempt = self.attempt(running);
        let result = if attempt.is_ok() { APPLIED } else { REFUSED };
        running.reloads.inc_by(result, 1);
        match attempt {
            Ok(Changed { applied, left: 0 }) if applied.is_empty() => {
                tracing::info!("settings read again: nothing changed");
            }
            Ok(Changed { applied, .. }) if applied.is_empty() => {
                tracing::info!("settings read again: nothing else changed");
            }
            Ok(Changed { applied, .. }) => {
                tracing::info!("settings read again: {} changed", applied.join(", "));
            }
            Err(error) => {
                let why = format!("{error:#}").trim_end().replace('\n', "; ");
                tracing::error!("settings not read again, those in force stay: {why}");
            }
        }
    }

    /// Puts into force what can be, and says in the log what takes a restart.
    fn attempt(&mut self, running: &Running) -> anyhow::Result<Changed> {
        let fresh = resolve_again(&self.arguments, self.file.clone())?;
        let contents = Contents::of(&fresh.values);
        let changed = |part: &&Part| {
            let of_part = |value: &&Value| part.keys.contains(&value.setting.key.as_str());
            let mut values = fresh.values.iter().filter(of_part);
            part.read == Read::Always
                || values.any(|value| {
                    self.differs(value) || self.contents.differ(&contents, &value.setting.key)
                })
        };
        let swaps = PARTS
            .iter()
            .filter(changed)
            .map(|part| (part.prepare)(running, &fresh.cli))
            .collect::<Result<Vec<_>, _>>()?;
        for swap in swaps {
            swap(running);
        }
        for warning in &fresh.warnings {
            tracing::warn!("{warning}");
        }
        self.file.clone_from(&fresh.file);
        let mut changed = Changed::default();
        for value in fresh.values {
            let key = &value.setting.key;
            let Some(old) = self.in_force.iter_mut().find(|old| old.setting.key == *key) else {
                continue;
            };
            let what = if old.values != value.values {
                format!("--{key}")
            } else if self.contents.differ(&contents, key) {
                format!("the file of --{key}")
            } else {
                continue;
            };
            let begins_or_ends = old.values.is_empty() != value.values.is_empty();
            if is_reloadable(key) && !(TLS.contains(&key.as_str()) && begins_or_ends) {
                changed.applied.push(what);
                self.contents.take(key, &contents);
                *old = value;
            } else {
                changed.left += 1;
                // Said at each reload, until it is applied or taken back.
                let place = if old.values == value.values {
                    String::new()
                } else {
                    place(&value, self.file.as_deref())
                };
                tracing::warn!("{what} changed{place}: restart llmtap to apply it");
            }
        }
        Ok(changed)
    }

    /// Whether a value is another than the one in force.
    fn differs(&self, value: &Value) -> bool {
        let mut in_force = self.in_force.iter();
        in_force.any(|old| old.setting.key == value.setting.key && old.values != value.values)
    }
}

/// Where a value changed: in its line, or, gone from the file, there.
fn place(value: &Value, file: Option<&Path>) -> String {
    match (&value.origin, file) {
        (origin @ Origin::File(..), _) => format!(" in {origin}"),
        (_, Some(file)) => format!(" in {}", file.display()),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::definition::settings, *};

    #[test]
    fn what_can_be_reloaded_are_settings() {
        let settings = settings();
        for key in PARTS.iter().flat_map(|part| part.keys) {
            assert!(settings.iter().any(|setting| setting.key == **key), "{key}");
        }
    }
}
