//! What may be held, and for how long. All of it is for the whole program; at each limit llmtap sheds, counts
//! and goes on.

use analyzer::analysis;
use bytesize::ByteSize;
use clap::{Args, builder::RangedU64ValueParser};
use jiff::SignedDuration;
use sniffer::{
    http::HttpLimits,
    pipeline::Totals,
    tcp::{SHARDS, TcpSettings},
};

const HEADING: &str = "Limits";

/// The largest size taken: more than any machine has, and far from where sums overflow.
const MAX_SIZE: u64 = 1 << 50;

/// The longest time taken, a year in microseconds.
const MAX_MICROS: i64 = 366 * 86_400 * 1_000_000;

/// Each limit's flag, and the counters that move where it is reached.
const REACHED: &[(&str, &[&str])] = &[
    ("--max-connections", &["evicted"]),
    (
        "--idle-timeout, --answer-timeout or --half-open-timeout",
        &["timed_out"],
    ),
    (
        "--max-connection-buffer or --max-buffered",
        &["gaps_for_budget", "heads_shed"],
    ),
    ("--max-head-bytes", &["heads_too_large"]),
    ("--max-head-fields", &["fields_dropped"]),
    ("--max-open-exchanges", &["exchanges_evicted"]),
    ("--max-body-read", &["bodies_capped"]),
    ("--max-decoder-memory", &["decoders_refused"]),
    ("--max-text", &["texts_shed"]),
    ("--body-head and --body-tail", &["bodies_cut"]),
];

/// Limits of reading traffic.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct CaptureLimits {
    /// Connections followed at once. Past it, those that carried nothing go first, then the idlest
    #[arg(long, value_name = "N", default_value = "262144")]
    #[arg(env = "LLMTAP_MAX_CONNECTIONS", value_parser = at_least(SHARDS as u64))]
    max_connections: usize,

    /// Silence after which a connection is given up
    #[arg(long, value_name = "TIME", default_value = "5m")]
    #[arg(env = "LLMTAP_IDLE_TIMEOUT", value_parser = micros)]
    idle_timeout: i64,

    /// The same while an answer is awaited, where that is longer: a queued call is silent
    #[arg(long, value_name = "TIME", default_value = "30m")]
    #[arg(env = "LLMTAP_ANSWER_TIMEOUT", value_parser = micros)]
    answer_timeout: i64,

    /// The same where one end alone was seen, and nothing was carried, where that is shorter
    #[arg(long, value_name = "TIME", default_value = "60s")]
    #[arg(env = "LLMTAP_HALF_OPEN_TIMEOUT", value_parser = micros)]
    half_open_timeout: i64,

    /// Bytes of one connection that wait for what is missing before them. Past it, its holes are
    /// given up
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    #[arg(env = "LLMTAP_MAX_CONNECTION_BUFFER", value_parser = size)]
    max_connection_buffer: usize,

    /// The same of all connections, heads that are not whole yet included. Past it, what the heaviest
    /// waits for is given up
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    #[arg(env = "LLMTAP_MAX_BUFFERED", value_parser = size)]
    max_buffered: usize,

    /// Bytes of one message's head. A longer one is not read
    #[arg(long, value_name = "SIZE", default_value = "256KiB")]
    #[arg(env = "LLMTAP_MAX_HEAD_BYTES", value_parser = size)]
    max_head_bytes: usize,

    /// Header fields of one message. Later ones are left out
    #[arg(long, value_name = "N", default_value = "2000")]
    #[arg(env = "LLMTAP_MAX_HEAD_FIELDS", value_parser = at_least(1))]
    max_head_fields: usize,

    /// Exchanges of one connection open at once (pipelining). Past it, the connection is given up
    #[arg(long, value_name = "N", default_value = "1024")]
    #[arg(env = "LLMTAP_MAX_OPEN_EXCHANGES", value_parser = at_least(1))]
    max_open_exchanges: usize,

    /// Bytes of one body that are read, content coding taken off. The rest is counted only
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    #[arg(env = "LLMTAP_MAX_BODY_READ", value_parser = size)]
    max_body_read: usize,

    /// Bytes that compressed bodies in flight may take for their windows: 32 KiB each for gzip, as a rule 2 to
    /// 4 MiB for zstd and br. Further ones are not read
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    #[arg(env = "LLMTAP_MAX_DECODER_MEMORY", value_parser = size)]
    max_decoder_memory: usize,
}

/// Limits of what is kept of calls.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct TextLimits {
    /// Bytes of text that the calls in flight may hold. Past it, those at hand keep no more
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    #[arg(env = "LLMTAP_MAX_TEXT", value_parser = size)]
    max_text: usize,

    /// Bytes of a body's beginning that are stored
    #[arg(long, value_name = "SIZE", default_value = "256KiB")]
    #[arg(env = "LLMTAP_BODY_HEAD", value_parser = size_or_none)]
    body_head: usize,

    /// Bytes of a longer body's end that are stored
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    #[arg(env = "LLMTAP_BODY_TAIL", value_parser = size_or_none)]
    body_tail: usize,
}

impl CaptureLimits {
    /// The settings of reassembly.
    pub(crate) fn tcp(&self, server_ports: Vec<u16>) -> TcpSettings {
        TcpSettings {
            server_ports,
            max_connections: self.max_connections,
            max_connection_bytes: self.max_connection_buffer,
            max_buffered_bytes: self.max_buffered,
            idle_micros: self.idle_timeout,
            // Deadlines are looked up in this order: a connection that changes from one to the next gets a later one.
            waiting_micros: self.answer_timeout.max(self.idle_timeout),
            half_open_micros: self.half_open_timeout.min(self.idle_timeout),
            ..TcpSettings::default()
        }
    }

    /// The limits of HTTP reading. A shard has its part of the memory for decoders.
    pub(crate) fn http(&self) -> HttpLimits {
        HttpLimits {
            head_bytes: self.max_head_bytes,
            head_fields: self.max_head_fields,
            open_exchanges: self.max_open_exchanges,
            body_read: self.max_body_read as u64,
            decoder_memory: self.max_decoder_memory / SHARDS,
        }
    }
}

impl TextLimits {
    /// Puts the limits into the settings of the analysis. A shard has its part of the text.
    pub(crate) fn apply(&self, settings: &mut analysis::Settings) {
        settings.max_held = self.max_text / SHARDS;
        settings.stored_head = self.body_head;
        settings.stored_tail = self.body_tail;
    }
}

/// The limits that were reached: how often, the counter and the flag.
pub(crate) fn reached(totals: &Totals) -> impl Iterator<Item = (u64, &'static str, &'static str)> {
    let counters = totals.tcp.iter().chain(totals.http.iter());
    let counters = counters.chain(totals.analysis.iter());
    counters
        .filter(|(_, count)| *count > 0)
        .filter_map(|(name, count)| {
            let (flag, _) = REACHED.iter().find(|(_, names)| names.contains(&name))?;
            Some((count, name, *flag))
        })
}

pub(super) fn at_least(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..=MAX_SIZE)
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    match size_or_none(text)? {
        0 => Err("it must be at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

fn size_or_none(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.trim().parse().map_err(|_| {
        "a size is a number of bytes, or of KiB, MiB or GiB, such as 64MiB".to_owned()
    })?;
    if size.as_u64() > MAX_SIZE {
        return Err(format!("it must be at most {}", ByteSize(MAX_SIZE)));
    }
    usize::try_from(size.as_u64()).map_err(|_| "this machine's memory has fewer bytes".to_owned())
}

fn micros(text: &str) -> Result<i64, String> {
    let time: SignedDuration = text
        .trim()
        .parse()
        .map_err(|_| "a time has a unit: s, m or h, such as 90s, 5m or 1h30m".to_owned())?;
    match i64::try_from(time.as_micros()) {
        Ok(micros @ 1..=MAX_MICROS) => Ok(micros),
        Ok(..=0) => Err("it must be more than nothing".to_owned()),
        _ => Err("it must be at most a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct All {
        #[command(flatten)]
        capture: CaptureLimits,
        #[command(flatten)]
        text: TextLimits,
    }

    /// Parsed without the environment of the test.
    fn parse(arguments: &[&str]) -> Result<All, clap::Error> {
        let command = All::command().mut_args(|argument| argument.env(None::<&str>));
        let matches = command.try_get_matches_from([&["llmtap"], arguments].concat())?;
        All::from_arg_matches(&matches)
    }

    fn analysis(limits: &TextLimits) -> [usize; 3] {
        let mut settings = analysis::Settings::default();
        limits.apply(&mut settings);
        [
            settings.max_held,
            settings.stored_head,
            settings.stored_tail,
        ]
    }

    #[test]
    fn the_defaults_are_those_of_the_rooms() {
        let all = parse(&[]).unwrap();
        assert_eq!(all.capture.tcp(Vec::new()), TcpSettings::default());
        assert_eq!(all.capture.http(), HttpLimits::default());
        let defaults = analysis::Settings::default();
        assert_eq!(
            analysis(&all.text),
            [
                defaults.max_held,
                defaults.stored_head,
                defaults.stored_tail
            ]
        );
    }

    #[test]
    fn each_flag_reaches_its_setting() {
        let all = parse(&[
            "--max-connections=100",
            "--idle-timeout=2m",
            "--answer-timeout=1h30m",
            "--half-open-timeout=1s",
            "--max-connection-buffer=1KiB",
            "--max-buffered=2MiB",
            "--max-head-bytes=3000",
            "--max-head-fields=4",
            "--max-open-exchanges=5",
            "--max-body-read=6GiB",
            "--max-decoder-memory=160MiB",
            "--max-text=16MiB",
            "--body-head=0",
            "--body-tail=9kB",
        ])
        .unwrap();
        let tcp = TcpSettings {
            server_ports: vec![8000],
            max_connections: 100,
            max_connection_bytes: 1 << 10,
            max_buffered_bytes: 2 << 20,
            idle_micros: 120_000_000,
            waiting_micros: 5_400_000_000,
            half_open_micros: 1_000_000,
            ..TcpSettings::default()
        };
        assert_eq!(all.capture.tcp(vec![8000]), tcp);
        let http = HttpLimits {
            head_bytes: 3_000,
            head_fields: 4,
            open_exchanges: 5,
            body_read: 6 << 30,
            decoder_memory: 10 << 20,
        };
        assert_eq!(all.capture.http(), http);
        assert_eq!(analysis(&all.text), [1 << 20, 0, 9_000]);
    }

    #[test]
    fn the_times_keep_their_order() {
        let times = |arguments: &[&str]| {
            let tcp = parse(arguments).unwrap().capture.tcp(Vec::new());
            [tcp.half_open_micros, tcp.idle_micros, tcp.waiting_micros]
        };
        let (short, long) = (1_000_000, 7_200_000_000);
        assert_eq!(times(&["--idle-timeout=1s"]), [short, short, 1_800_000_000]);
        assert_eq!(times(&["--idle-timeout=2h"]), [60_000_000, long, long]);
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for (argument, why) in [
            ("--max-connections=15", "15 is not in 16..="),
            ("--max-connections=-1", "invalid digit"),
            ("--max-head-fields=0", "0 is not in 1..="),
            ("--max-buffered=0", "at least 1 byte"),
            ("--max-buffered=lots", "such as 64MiB"),
            ("--max-buffered=-1MiB", "such as 64MiB"),
            ("--max-buffered=", "such as 64MiB"),
            ("--max-buffered=5000TiB", "at most 1.0 PiB"),
            ("--idle-timeout=5", "such as 90s"),
            ("--idle-timeout=0s", "more than nothing"),
            ("--idle-timeout=-5m", "more than nothing"),
            ("--idle-timeout=1000000h", "at most a year"),
        ] {
            let error = parse(&[argument]).unwrap_err().to_string();
            assert!(error.contains(why), "{argument}: {error}");
        }
    }

    #[test]
    fn every_flag_has_counters_that_exist_and_a_variable() {
        let totals = Totals::default();
        let (tcp, http, analysis) = (
            totals.tcp.iter(),
            totals.http.iter(),
            totals.analysis.iter(),
        );
        let names: Vec<_> = tcp
            .chain(http)
            .chain(analysis)
            .map(|(name, _)| name)
            .collect();
        for (_, counters) in REACHED {
            for counter in *counters {
                assert!(names.contains(counter), "{counter}");
            }
        }
        for argument in All::command().get_arguments() {
            let long = argument.get_long().unwrap();
            let flag = format!("--{long}");
            let mut rows = REACHED
                .iter()
                .flat_map(|(flags, _)| flags.split([',', ' ']));
            assert!(rows.any(|named| named == flag), "{flag}");
            let variable = format!("LLMTAP_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                argument.get_env().unwrap().to_str(),
                Some(variable.as_str())
            );
        }
    }
}
