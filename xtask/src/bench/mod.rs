//! `cargo xtask bench`: figures beside a known program's, or the bare run's, on the same machine.

mod bounds;
mod damage;
mod live;
mod query;
mod replay;
mod scrape;
mod store;
mod table;
mod tokens;
mod turns;

use std::process::ExitCode;

use anyhow::Result;

use self::table::Style;
use crate::Usage;

pub(crate) const USAGE: &str = "\
usage: cargo xtask bench replay [MB] [--markdown]
       cargo xtask bench live [--rounds N] [--markdown]
       cargo xtask bench damage [SEEDS]
       cargo xtask bench bounds [ATTACK]...
       cargo xtask bench turns [MODEL]
       cargo xtask bench scrape
       cargo xtask bench query [ROWS]
       cargo xtask bench store
       cargo xtask bench tokens

  replay [MB]   `llmtap replay` of a generated capture of MB megabytes (default 100), beside
                `tcpdump -r FILE -w /dev/null`: CPU seconds, MB/s, peak memory, and their ratios.
                The best of five runs each, taken in turn.
  live          what tapping costs, in a network namespace of its own, in turn with the bare run: the
                eBPF program's time a packet, small TCP round trips, the daemon's CPU under 200
                streams and idle. Medians of N rounds (default 5; of the longer ones at most 3). Takes
                about seven minutes, and needs root and a quiet machine.
  damage [SEEDS]
                what each kind of damage to a capture costs, in exchanges: the simulator's tables, of
                SEEDS scenarios without loss and as many with it (default 50000)

  bounds [ATTACK]...
                the peak memory of `llmtap replay` under attacks on it (or those named), and what it sheds:
                floods, holes that never fill, bodies and heads without end, bombs. About ten minutes
  store         rows a second of the store's writer, beside a bare loop of inserts with the same schema,
                batches and synchronous mode, in turn: alone, and with a store that is full. What a row takes

  turns [MODEL] what a chat of ten turns costs to count, with and without the memory of counts; by the
                tokenizer of MODEL (default gpt-4o)
  scrape        how long a scrape of 2000 time series takes over HTTP, beside a store of a million rows and
                beside an empty one, in turn: at most 5 ms, and 1.1 of the empty store's, at the 99th percentile.
                About two minutes

  tokens        counting engines beside tiktoken-rs, by kind and size of document, in turn, and whether their
                counts agree. About two minutes after the build
  query [ROWS]  how long questions to the store take over ROWS rows (default 1000000), each beside its limit:
                pages of calls, summaries and series, of all and of the last hour, with filters and without.
                Some minutes, most of them to write the rows

  --markdown    print the tables as Markdown
";

const DEFAULT_ROUNDS: usize = 5;

/// The command.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut style = Style::Text;
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    words.retain(|word| {
        let markdown = *word == "--markdown";
        if markdown {
            style = Style::Markdown;
        }
        !markdown
    });
    let positive = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let wrong = || Usage(USAGE.into());
    match words.as_slice() {
        ["replay"] => replay::run(replay::DEFAULT_MEGABYTES, style)?,
        ["replay", size] => replay::run(positive(size).ok_or_else(wrong)?, style)?,
        ["live"] => live::run(DEFAULT_ROUNDS, style)?,
        ["live", "--rounds", rounds] => {
            let rounds = positive(rounds).ok_or_else(wrong)?;
            live::run(rounds as usize, style)?;
        }
        ["tokens"] => tokens::run()?,
        ["damage"] => damage::run(damage::DEFAULT_SEEDS)?,
        ["damage", seeds] => damage::run(positive(seeds).ok_or_else(wrong)?)?,
        ["bounds", names @ ..] => bounds::run(names)?,
        ["turns", model @ ..] if model.len() < 2 => turns::run(model)?,
        ["scrape"] => scrape::run()?,
        ["query"] => query::run(query::DEFAULT_ROWS)?,
        ["query", rows] => query::run(positive(rows).ok_or_else(wrong)?.into())?,
        ["store"] => store::run()?,
        ["part", part @ ..] => live::part(part)?,
        _ => return Err(wrong().into()),
    }
    Ok(ExitCode::SUCCESS)
}
