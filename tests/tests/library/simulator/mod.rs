//! The simulator's conversations, read by the library and judged.
//!
//! `LLMTAP_SEEDS` sets how many scenarios there are (default: [`SEEDS`]), `LLMTAP_SEED` picks one.
//! `cargo xtask bench damage` runs many. A scenario that is not read right is shrunk and written to
//! `target/simulator/`, to be replayed with `llmtap replay`.

mod lies;
mod shrink;
mod watch;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use llmtap_tests::simulator::{
    Bait, Costs, Fate, Judgement, KINDS, Kind, Nature, Scenario, Size, capture, judge, to_pcapng,
};

/// Scenarios in each of the two tests, unless the environment says otherwise.
const SEEDS: u64 = 2_048;

/// Failures of a sort that are shown; the others are named.
const SHOWN: usize = 2;

#[test]
fn without_loss_all_is_as_it_was() -> Result<()> {
    run(Nature::Whole)
}

#[test]
fn with_loss_all_is_as_it_was_or_says_that_it_is_not() -> Result<()> {
    run(Nature::Lossy)
}

/// Judges many scenarios with every kind of damage of one nature, and prints what each costs.
fn run(nature: Nature) -> Result<()> {
    let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| kind.nature == nature).collect();
    let (first, count) = seeds()?;
    let mut costs: BTreeMap<&str, Costs> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in first..first + count {
        let kind = kinds
            .get((seed % kinds.len() as u64) as usize)
            .context("there are kinds of damage")?;
        let case = Case::new(seed, kind, Size::WHOLE)?;
        let judgement = case.judge();
        *costs.entry(kind.name).or_default() += judgement.costs;
        if !judgement.faults.is_empty() {
            failures.push((case, judgement));
        }
    }
    print(&kinds, &costs, count)?;
    report(&failures)
}

/// The scenarios that were asked for: the first seed, and how many.
fn seeds() -> Result<(u64, u64)> {
    let number = |name| -> Result<Option<u64>> {
        let text = env::var(name).ok();
        text.map(|text| text.parse().with_context(|| format!("{name} is no number")))
            .transpose()
    };
    Ok(match number("LLMTAP_SEED")? {
        Some(seed) => (seed, 1),
        None => (0, number("LLMTAP_SEEDS")?.unwrap_or(SEEDS)),
    })
}

/// One scenario, and what its tap does.
struct Case<'k> {
    seed: u64,
    kind: &'k Kind,
    size: Size,
    scenario: Scenario,
    fates: Vec<Fate>,
}

impl<'k> Case<'k> {
    fn new(seed: u64, kind: &'k Kind, size: Size) -> Result<Self> {
        let bait = match kind.nature {
            Nature::Whole => Bait::Raw,
            Nature::Lossy => Bait::Escaped,
        };
        let scenario = Scenario::new(seed, size, bait)?;
        let fates = kind.tap.fates(&scenario.frames, seed);
        Ok(Self {
            seed,
            kind,
            size,
            scenario,
            fates,
        })
    }

    fn judge(&self) -> Judgement {
        let captured = capture(&self.scenario.frames, &self.fates);
        let read = watch::read(&self.scenario, &captured);
        let mut judgement = judge(
            &self.scenario,
            &captured,
            self.kind.nature,
            &read.observed,
            read.missing,
        );
        judgement.faults.extend(read.disorder);
        judgement
    }
}

/// Prints what each kind of damage costs, in exchanges; lost and missing are octets.
fn print(kinds: &[&Kind], costs: &BTreeMap<&str, Costs>, count: u64) -> Result<()> {
    let mut lines = vec![format!(
        "{:32} {:>6} {:>9} {:>7} {:>7} {:>7} {:>7} {:>10} {:>9} {:>9}",
        format!("{count} scenarios"),
        "runs",
        "exchanges",
        "equal",
        "marked",
        "halved",
        "absent",
        "collateral",
        "lost",
        "missing"
    )];
    for kind in kinds {
        let Some(cost) = costs.get(kind.name) else {
            continue;
        };
        lines.push(format!(
            "{:32} {:>6} {:>9} {:>7} {:>7} {:>7} {:>7} {:>10} {:>9} {:>9}",
            kind.name,
            cost.runs,
            cost.exchanges,
            cost.equal,
            cost.marked,
            cost.halved,
            cost.absent,
            cost.collateral,
            cost.lost,
            cost.missing
        ));
    }
    // Not through the test harness, which shows what a test prints only when it fails.
    writeln!(io::stdout(), "\n{}", lines.join("\n"))?;
    Ok(())
}

/// Fails where something was not read right: the failures by sort, with the smallest form of the first
/// of each.
fn report(failures: &[(Case<'_>, Judgement)]) -> Result<()> {
    let mut sorts: BTreeMap<String, Vec<&Case<'_>>> = BTreeMap::new();
    for (case, judgement) in failures {
        let sort = judgement.faults.first().map(|fault| shrink::sort(fault));
        sorts
            .entry(sort.unwrap_or_default())
            .or_default()
            .push(case);
    }
    let mut text = String::new();
    for (sort, cases) in sorts {
        let seeds: Vec<u64> = cases.iter().map(|case| case.seed).collect();
        let _ = writeln!(text, "\n{} of {sort:?}: seeds {seeds:?}", cases.len());
        for case in cases.into_iter().take(SHOWN) {
            text += &show(case)?;
        }
    }
    ensure!(
        failures.is_empty(),
        "{} scenarios fail\n{text}",
        failures.len()
    );
    Ok(())
}

/// Shrinks a case and writes its capture and what it holds.
fn show(case: &Case<'_>) -> Result<String> {
    let (small, faults) = shrink::shrink(case)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/simulator");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("seed-{}.pcapng", case.seed));
    let captured = capture(&small.scenario.frames, &small.fates);
    fs::write(&file, to_pcapng(&small.scenario, &captured))?;
    let listing = small.scenario.listing(&small.fates);
    let streams = watch::streams(&small.scenario, &captured);
    let text = format!("{}\n\n{listing}\n\n{streams}", faults.join("\n"));
    fs::write(file.with_extension("txt"), text)?;
    Ok(format!(
        "  seed {} ({}), shrunk to {:?} and {} fates: {}\n    {}\n",
        case.seed,
        case.kind.name,
        small.size,
        small
            .fates
            .iter()
            .filter(|fate| **fate != Fate::NONE)
            .count(),
        file.display(),
        faults.join("\n    "),
    ))
}
