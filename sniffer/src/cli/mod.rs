//! The command line: settings in, one of the commands run, an exit code out.

mod args;
mod backend;
#[cfg(feature = "ebpf")]
mod check;
mod daemon;
mod human;
mod limits;
mod places;
mod print;
mod questions;
mod replay;
mod run;
mod serve;
mod storage;
mod summary;
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
    tokens::Tokenizers,
};
use clap::Parser as _;
use sniffer::{
    capture::discover::WELL_KNOWN_PORTS,
    http::HttpSettings,
    pipeline::{Pace, Settings},
};
use tracing_subscriber::EnvFilter;

use self::{
    args::{AnalysisArgs, Bodies, Cli, Command},
    limits::CaptureLimits,
};

/// It ran, but found a fault or nothing.
const EXIT_NOTHING: u8 = 1;

/// A usage or runtime error.
const EXIT_ERROR: u8 = 2;

/// Runs what the arguments ask for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    let result = match &cli.command {
        Command::Run(args) => run::main(args),
        Command::Replay(args) => replay::main(args),
        Command::Serve(args) => serve::main(args),
        #[cfg(feature = "ebpf")]
        Command::Check(args) => check::main(args),
        Command::Calls(args) => questions::calls(args),
        Command::Stats(args) => questions::stats(args),
        Command::Export(args) => questions::export(args),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "llmtap: {error:#}");
        ExitCode::from(EXIT_ERROR)
    })
}

/// Logs go to standard error; `LLMTAP_LOG` filters them, `NO_COLOR` takes their colours.
fn start_log() {
    let filter = EnvFilter::try_from_env("LLMTAP_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_env_filter(filter)
        .with_target(false)
        .init();
}

/// What the analysis needs, ready.
struct Setup {
    analysis: Arc<analysis::Settings>,
    tokenizers: Arc<Tokenizers>,
}

/// Makes the analysis' settings from the command line's.
fn analysis_setup(
    args: &AnalysisArgs,
    key: Option<&[u8]>,
    bodies: Bodies,
) -> anyhow::Result<Setup> {
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
    Ok(Setup {
        analysis: Arc::new(settings),
        tokenizers: Arc::new(Tokenizers::from_setting(args.tokenizer.as_deref())?),
    })
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
            analysis: Arc::clone(&self.analysis),
            tokenizers: Arc::clone(&self.tokenizers),
        }
    }
}
