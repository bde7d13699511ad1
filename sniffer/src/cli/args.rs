//! The command line. Every flag that a daemon may want has an environment variable too.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use analyzer::{
    analysis::{HeaderName, Label, Network, NetworkError},
    api::access::Access,
    redact::{Expression, JsonPath},
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use sniffer::capture::{MAX_RING_BYTES, MIN_RING_BYTES};

use super::{
    access::AccessArgs,
    config::{CommonArgs, CompletionsArgs, ConfigCommand, DocsArgs},
    counting::CountArgs,
    limits::{CaptureLimits, TextLimits, size},
    metrics::MetricArgs,
    places,
    questions::{CallsArgs, ExportArgs, StatsArgs},
    storage::StorageArgs,
    tokenizers::TokenizerArgs,
    top::TopArgs,
    viewing::ViewArgs,
};

/// A passive tap for LLM traffic: it reads the packets of a model server's port and turns each LLM
/// call into one row: tokens, clocks, outcome. It never stands in the request path.
#[derive(Debug, Parser)]
#[command(
    name = "llmtap",
    version,
    max_term_width = 80,
    arg_required_else_help = true
)]
#[command(after_help = "\
Exit status: 0 good; 1 it ran but found a fault or nothing; 2 a usage or runtime error. Rows go to \
standard output, everything else to standard error. A flag that names a variable ([env: LLMTAP_…]) can \
also stand in a settings file, by its long name: see `llmtap config example`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tap a model server's port, store its calls and serve them
    Run(RunArgs),
    /// Read capture files and print what they hold
    Replay(ReplayArgs),
    /// Serve stored calls and take reports, without capturing
    Serve(ServeArgs),
    /// Watch a running llmtap on a terminal: rates, calls under way, models, last calls, errors, losses
    Top(TopArgs),
    /// Tell what this machine allows, which backend `run` would take, and what is missing
    #[cfg(feature = "ebpf")]
    Check(CheckArgs),
    /// Show, check and explain the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a script that completes commands and flags in a shell
    Completions(CompletionsArgs),
    /// Write what is generated from this definition: pages, an example file, scripts
    #[command(hide = true)]
    Docs(DocsArgs),
    /// Print stored calls, or all of one
    Calls(CallsArgs),
    /// Print counts, sums and percentiles of stored calls, by group and over time
    Stats(StatsArgs),
    /// Write stored calls into a file or a pipe, of any number
    Export(ExportArgs),
}

impl Command {
    /// How long what is kept, in commands that run for long.
    pub(crate) const fn storage(&self) -> Option<&StorageArgs> {
        match self {
            Self::Run(args) => Some(&args.storage),
            Self::Serve(args) => Some(&args.storage),
            _ => None,
        }
    }

    /// Where rows are stored and served, in commands that run for long.
    pub(crate) const fn serving(&self) -> Option<&Serving> {
        match self {
            Self::Run(args) => Some(&args.serving),
            Self::Serve(args) => Some(&args.serving),
            _ => None,
        }
    }

    /// How exchanges become calls, and what of their bodies is kept, in commands that run for long.
    pub(crate) const fn analysis(&self) -> Option<(&AnalysisArgs, Bodies)> {
        match self {
            Self::Run(args) => Some((&args.analysis, args.serving.bodies)),
            Self::Serve(args) => Some((&args.analysis, args.serving.bodies)),
            _ => None,
        }
    }
}

// Each struct of flags has its heading: one without goes under that of the flags before it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Capture and output")]
pub(crate) struct RunArgs {
    /// Tap this interface; repeatable, `any` for all, `veth*` for those of a pattern (eBPF; also those
    /// that appear later). Default: those that own the addresses listening on the tapped ports, and
    /// `lo`
    #[arg(
        short,
        long = "interface",
        value_name = "NAME",
        env = "LLMTAP_INTERFACE"
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) interfaces: Vec<String>,

    /// Tap this TCP port; repeatable. Default: the well-known model-server ports on which
    /// something listens
    #[arg(short, long = "port", value_name = "PORT", env = "LLMTAP_PORT")]
    #[arg(value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports: Vec<u16>,

    /// How packets are taken
    #[arg(long, value_enum, default_value = "auto", env = "LLMTAP_BACKEND")]
    pub(crate) backend: Backend,

    /// Memory in the kernel for packets that llmtap has not read yet, shared by the interfaces; what does
    /// not fit is lost and counted. eBPF takes the next power of two, from 128KiB to 1GiB; libpcap at
    /// least 4MiB an interface
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    #[arg(env = "LLMTAP_RING_SIZE", value_parser = ring_size)]
    pub(crate) ring_size: u32,

    /// Tap the interfaces of another network namespace: its name, the PID of a process in it, or a
    /// file that stands for it (eBPF)
    #[arg(long, value_name = "NAME|PID|FILE", env = "LLMTAP_NETNS")]
    pub(crate) netns: Option<String>,

    /// What is printed for each call as it ends
    #[arg(long, value_enum, default_value = "table", env = "LLMTAP_FORMAT")]
    pub(crate) format: LiveFormat,

    #[command(flatten)]
    pub(crate) serving: Serving,

    #[command(flatten)]
    pub(crate) analysis: AnalysisArgs,

    #[command(flatten)]
    pub(crate) limits: CaptureLimits,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) serving: Serving,

    #[command(flatten)]
    pub(crate) analysis: AnalysisArgs,

    #[command(flatten)]
    pub(crate) storage: StorageArgs,
}

#[cfg(feature = "ebpf")]
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Look for a model server on this port; repeatable. Default: the well-known ones
    #[arg(short, long = "port", value_name = "PORT", env = "LLMTAP_PORT")]
    #[arg(value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports: Vec<u16>,

    /// How it is printed
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: CheckFormat,
}

#[cfg(feature = "ebpf")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// pcap or pcapng files, also gzip- or zstd-compressed, merged in time; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Read this TCP port alone; repeatable. Default: HTTP on any port, recognised by content
    #[arg(short, long = "port", value_name = "PORT")]
    #[arg(value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) ports: Vec<u16>,

    /// How rows are printed
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,

    /// Which rows are printed
    #[arg(long, value_enum, default_value = "calls")]
    pub(crate) rows: Rows,

    /// Play the capture at its own pace. On a terminal, it is watched as by `llmtap top`, and the report comes
    /// after; else rows are printed as their calls end
    #[arg(long)]
    pub(crate) realtime: bool,

    /// Play it so many times as fast (with --realtime)
    #[arg(long, value_name = "N", default_value = "1", requires = "realtime")]
    #[arg(value_parser = speed)]
    pub(crate) speed: f64,

    /// Store the calls in this SQLite file as well. Without it nothing is stored
    #[arg(long, value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,

    /// What of request and response bodies is stored (with --db)
    #[arg(long, value_enum, default_value = "full", env = "LLMTAP_BODIES")]
    pub(crate) bodies: Bodies,

    #[command(flatten)]
    pub(crate) view: ViewArgs,

    #[command(flatten)]
    pub(crate) analysis: AnalysisArgs,

    #[command(flatten)]
    pub(crate) limits: CaptureLimits,
}

/// Where rows are stored and served.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store and API")]
pub(crate) struct Serving {
    /// Serve metrics and the API on this address; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:9464",
        env = "LLMTAP_LISTEN"
    )]
    pub(crate) listen: SocketAddr,

    /// Store calls in this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else
    /// llmtap/llmtap.db in the XDG state folder
    #[arg(long, value_name = "FILE", env = "LLMTAP_DB")]
    pub(crate) db: Option<PathBuf>,

    /// What of request and response bodies is stored
    #[arg(long, value_enum, default_value = "full", env = "LLMTAP_BODIES")]
    pub(crate) bodies: Bodies,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    #[command(flatten)]
    pub(crate) metrics: MetricArgs,

    #[cfg(feature = "otlp")]
    #[command(flatten)]
    pub(crate) otlp: super::otlp::OtlpArgs,
}

/// How exchanges become calls.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens and keys")]
pub(crate) struct AnalysisArgs {
    #[command(flatten)]
    pub(crate) tokenizers: TokenizerArgs,

    /// The secret with which API keys are hashed. Default: llmtap.key beside the store, made when
    /// missing; without a store, keys are left out
    #[arg(long, value_name = "FILE", env = "LLMTAP_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// Give each call its cost by this price table (TOML; see deploy/prices.toml): prices by model and kind of
    /// token. It is read at the start and on SIGHUP; a row keeps the price that held when its call began
    #[arg(long, value_name = "FILE", env = "LLMTAP_PRICES")]
    pub(crate) prices: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) count: CountArgs,

    #[command(flatten)]
    pub(crate) whose: WhoseArgs,

    #[command(flatten)]
    pub(crate) limits: TextLimits,
}

/// Whose call it was, and what of it is kept from view.
#[derive(Debug, Args)]
#[command(next_help_heading = "Whose call and privacy")]
pub(crate) struct WhoseArgs {
    /// Believe the X-Forwarded-For, X-Real-Ip and Forwarded of peers in this network, such as 10.0.0.0/8;
    /// repeatable; or `none`, or `any`. Default: private and loopback addresses
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "LLMTAP_TRUSTED_PROXY"
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<TrustedProxy>,

    /// The header that names the user where the body does not, such as X-Forwarded-User
    #[arg(long, value_name = "NAME", env = "LLMTAP_USER_HEADER")]
    pub(crate) user_header: Option<HeaderName>,

    /// The header that names the model where neither body nor path does
    #[arg(
        long,
        value_name = "NAME",
        default_value = "X-Model",
        env = "LLMTAP_MODEL_HEADER"
    )]
    pub(crate) model_header: HeaderName,

    /// Keep this header's value in the column `labels` under a name, such as team=x-team; repeatable
    #[arg(long = "label", value_name = "NAME=HEADER", env = "LLMTAP_LABEL")]
    #[arg(value_delimiter = ',')]
    pub(crate) labels: Vec<Label>,

    /// Take what matches this regular expression out of all that is stored and shown, as well as the secrets
    /// that are known by their shape; repeatable (in the environment: one a line)
    #[arg(long = "redact", value_name = "REGEX", env = "LLMTAP_REDACT")]
    #[arg(value_delimiter = '\n')]
    pub(crate) redact: Vec<Expression>,

    /// Take what stands at this JSON path out of stored bodies, such as $.metadata.notes; repeatable
    /// (in the environment: one a line)
    #[arg(long = "redact-json", value_name = "PATH", env = "LLMTAP_REDACT_JSON")]
    #[arg(value_delimiter = '\n')]
    pub(crate) redact_json: Vec<JsonPath>,

    /// Read more of both from this file, one a line: lines that begin with $ are JSON paths, those that begin
    /// with # are comments, all others are regular expressions
    #[arg(long, value_name = "FILE", env = "LLMTAP_REDACT_FILE")]
    pub(crate) redact_file: Option<PathBuf>,
}

/// Peers that are believed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TrustedProxy {
    /// Those of a network.
    In(Network),
    /// Nobody.
    None,
    /// Everybody.
    Any,
}

impl Serving {
    /// Who may ask the API.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let db = self.db.clone().map_or_else(places::default_db, Ok)?;
        self.access.rules(self.listen, &db)
    }
}

impl FromStr for TrustedProxy {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text.trim() {
            "none" => Ok(Self::None),
            "any" => Ok(Self::Any),
            network => network.parse().map(Self::In),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// The best that this machine allows
    Auto,
    /// The kernel's TC hook
    Ebpf,
    /// libpcap
    Pcap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bodies {
    /// All, but images and vectors; --keep-bodies and --max-bodies-size say how long
    Full,
    /// The same without other base64 data, such as sounds and documents
    Text,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line a row, and a summary
    Table,
    /// One JSON array
    Json,
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LiveFormat {
    /// A line a call
    Table,
    /// A JSON object a line
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rows {
    /// A row an LLM call
    Calls,
    /// A row an HTTP exchange, LLM or not
    Exchanges,
}

/// Bytes of the ring, within what both backends can have.
fn ring_size(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?)
        .ok()
        .filter(|bytes| (MIN_RING_BYTES..=MAX_RING_BYTES).contains(bytes))
        .ok_or_else(|| "it must be from 128KiB to 1GiB".to_owned())
}

/// A factor above nothing.
fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("it must be a number above 0, such as 0.5 or 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_ring_is_as_large_as_the_capture_has_it_unless_told_otherwise() {
        let of = |words: &[&str]| {
            let words = ["llmtap", "run"].iter().chain(words);
            let Command::Run(args) = Cli::try_parse_from(words)?.command else {
                unreachable!("it runs");
            };
            Ok::<_, clap::Error>(args.ring_size)
        };
        assert_eq!(of(&[]).unwrap(), sniffer::capture::DEFAULT_RING_BYTES);
        assert_eq!(of(&["--ring-size", "1GiB"]).unwrap(), 1 << 30);
        for wrong in ["127KiB", "1025MiB", "0", "much"] {
            let error = of(&["--ring-size", wrong]).unwrap_err().to_string();
            assert!(error.contains("--ring-size"), "{error}");
        }
    }
}
