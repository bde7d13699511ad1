//! The command line: settings in, one of the commands run, an exit code out.

mod access;
mod args;
mod backend;
#[cfg(feature = "ebpf")]
mod check;
mod config;
mod counting;
mod daemon;
mod drift;
mod human;
mod layout;
mod limits;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
mod places;
mod print;
mod progress;
mod questions;
mod replay;
mod run;
mod serve;
mod storage;
mod summary;
mod table;
mod terminal;
mod tokenizers;
mod top;
mod viewing;
mod whose;

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::Path,
    process::ExitCode,
    sync::Arc,
    thread,
};

use analyzer::{
    analysis::{self, HashKey, KeepBodies},
    cost::PriceTable,
    exchange::Source,
    live::Live,
    tokens::Counter,
};
use sniffer::{
    capture::discover::WELL_KNOWN_PORTS,
    http::HttpSettings,
    pipeline::{Pace, Settings},
};
use tracing_subscriber::EnvFilter;

use self::{
    args::{AnalysisArgs, Bodies, Command},
    config::{LogHandle, Reloader},
    limits::CaptureLimits,
};

/// It ran, but found a fault or nothing.
const EXIT_NOTHING: u8 = 1;

/// A usage or runtime error.
const EXIT_ERROR: u8 = 2;

/// Runs what the arguments ask for.
pub(crate) fn main() -> ExitCode {
    start().unwrap_or_else(|error| match error.downcast::<clap::Error>() {
        // Usage, or the help that was asked for.
        Ok(error) => error.exit(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "llmtap: {error:#}");
            ExitCode::from(EXIT_ERROR)
        }
    })
}

fn start() -> anyhow::Result<ExitCode> {
    let arguments: Vec<_> = env::args_os().collect();
    let resolved = config::resolve(&arguments)?;
    let log = start_log(resolved.cli.common.log.filter());
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let reloader = || Reloader::new(arguments.clone(), &resolved);
    match &resolved.cli.command {
        Command::Run(args) => run::main(args, (reloader(), log)),
        Command::Replay(args) if args.view.serve => {
            viewing::main(args, resolved.cli.common.config.as_deref(), log)
        }
        Command::Replay(args) => replay::main(args),
        Command::Serve(args) => serve::main(args, (reloader(), log)),
        Command::Top(args) => top::main(args),
        #[cfg(feature = "ebpf")]
        Command::Check(args) => check::main(args),
        Command::Calls(args) => questions::calls(args),
        Command::Stats(args) => questions::stats(args),
        Command::Export(args) => questions::export(args),
        Command::Config(command) => config::main(command, &resolved.cli),
        Command::Completions(args) => config::print_completions(args),
        Command::Docs(args) => config::write_docs(args),
    }
}

/// Logs go to standard error; `NO_COLOR` takes their colours. The filter can be replaced later.
fn start_log(filter: EnvFilter) -> LogHandle {
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_env_filter(filter)
        .with_target(false)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    // It fails only where the log is gone, and then there is nothing to say it in.
    LogHandle::new(move |filter| drop(handle.reload(filter)))
}

/// What the analysis needs, ready.
struct Setup {
    analysis: Live<analysis::Settings>,
    counter: Live<Counter>,
}

fn analysis_setup(
    args: &AnalysisArgs,
    key: Option<&[u8]>,
    bodies: Bodies,
) -> anyhow::Result<Setup> {
    Ok(Setup {
        analysis: analysis_settings(args, key, bodies)?.into(),
        counter: counter(args)?.into(),
    })
}

/// What counts tokens, as the command line says.
fn counter(args: &AnalysisArgs) -> anyhow::Result<Counter> {
    Ok(args.count.counter(args.tokenizers.read()?))
}

/// Makes the analysis' settings from the command line's.
fn analysis_settings(
    args: &AnalysisArgs,
    key: Option<&[u8]>,
    bodies: Bodies,
) -> anyhow::Result<analysis::Settings> {
    let whose = &args.whose;
    let mut settings = analysis::Settings {
        bodies: match bodies {
            Bodies::Full => KeepBodies::Full,
            Bodies::Text => KeepBodies::Text,
            Bodies::None => KeepBodies::No,
        },
        model_header: Some(whose.model_header.clone()),
        user_header: whose.user_header.clone(),
        labels: whose.labels.clone(),
        trusted: whose::trusted(&whose.trusted_proxies)?,
        redactor: Arc::new(whose::redactor(whose)?),
        hash_key: key.map(HashKey::new),
        prices: prices(args.prices.as_deref())?,
        ..analysis::Settings::default()
    };
    args.limits.apply(&mut settings);
    Ok(settings)
}

/// The price table, where there is one.
fn prices(path: Option<&Path>) -> anyhow::Result<Option<Arc<PriceTable>>> {
    let Some(path) = path else { return Ok(None) };
    let table = PriceTable::read(path)?;
    tracing::info!(
        "calls are priced by the {} prices of {}",
        table.len(),
        path.display()
    );
    Ok(Some(Arc::new(table)))
}

impl Setup {
    /// The pipeline's settings for one kind of source. No ports: all.
    fn pipeline(
        &self,
        source: Source,
        pace: Pace,
        ports: Vec<u16>,
        limits: &CaptureLimits,
    ) -> Settings {
        let server_ports = if ports.is_empty() {
            WELL_KNOWN_PORTS.iter().map(|(port, _)| *port).collect()
        } else {
            ports.clone()
        };
        Settings {
            source,
            pace,
            ports,
            workers: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            tcp: limits.tcp(server_ports),
            http: HttpSettings {
                source,
                limits: limits.http(),
            },
            analysis: self.analysis.clone(),
            counter: self.counter.clone(),
            feed: None,
        }
    }
}
