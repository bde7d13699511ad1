//! Every fuzz target: its committed corpus, then mutations of it.

use std::{collections::VecDeque, sync::Mutex, thread, time::Instant};

use anyhow::{Result, ensure};
use llmtap_tests::fuzz::{
    TARGETS, Target, corpus,
    run::{self, Length, Settings, Tally},
};

/// Another number is another run.
const SEED: u64 = 4;

#[test]
fn corpora_and_mutations() {
    let left: Mutex<VecDeque<&'static Target>> = Mutex::new(TARGETS.iter().collect());
    let next = || left.lock().ok().and_then(|mut left| left.pop_front());
    let (faults, lines) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(target) = next() {
                    match one(target) {
                        Ok(line) => lines.lock().unwrap().push(line),
                        Err(error) => faults.lock().unwrap().push(format!("{error:#}")),
                    }
                }
            });
        }
    });
    println!("{}", lines.into_inner().unwrap().join("\n"));
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What it came to, for people.
fn one(target: &'static Target) -> Result<String> {
    let inputs = corpus::read(target)?;
    ensure!(!inputs.is_empty(), "{} has no corpus", target.name);
    let begin = Instant::now();
    let tally = tried(target, inputs, target.mutations)?;
    Ok(format!(
        "{:10} {:7} executions, {:4} features, {:5.1} s",
        target.name,
        tally.executions,
        tally.features.len(),
        begin.elapsed().as_secs_f64()
    ))
}

fn tried(target: &'static Target, inputs: Vec<Vec<u8>>, mutations: u64) -> Result<Tally> {
    match run::run(
        target,
        inputs,
        Settings::new(SEED, Length::Mutations(mutations)),
    ) {
        Ok(tally) => Ok(tally),
        Err(fault) => Err(anyhow::anyhow!(fault.save(target)?)),
    }
}

#[test]
fn a_corpus_reaches_what_its_seeds_reach() -> Result<()> {
    for target in &TARGETS {
        let mut tally = tried(target, corpus::read(target)?, 0)?;
        let seeds = tried(target, (target.seeds)(), 0)?;
        let new = tally.features.absorb(&seeds.features);
        ensure!(new == 0, "{}: {new} more: renew its corpus", target.name);
    }
    Ok(())
}

/// The runner itself: it must see a fault, an endless loop included, or all of this proves nothing.
mod runner {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use llmtap_tests::fuzz::Features;

    use super::*;

    const fn target(check: fn(&[u8]) -> Features) -> Target {
        Target {
            name: "runner",
            check,
            seeds: Vec::new,
            words: &["ma", "gic"],
            longest: 64,
            mutations: 0,
        }
    }

    /// Finds "magic" only if what leads nearer is kept.
    fn magic(bytes: &[u8]) -> Features {
        let mut features = Features::default();
        let text = String::from_utf8_lossy(bytes).into_owned();
        for part in ["m", "ma", "magi"] {
            if text.contains(part) {
                features.seen(part);
            }
        }
        assert!(!text.contains("magic"), "the magic word");
        features
    }

    fn endless(bytes: &[u8]) -> Features {
        // Left behind, it ends with the test.
        while bytes == b"stay" && !DONE.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        Features::default()
    }

    static DONE: AtomicBool = AtomicBool::new(false);
    static MAGIC: Target = target(magic);
    static ENDLESS: Target = target(endless);

    #[test]
    fn a_fault_is_found_shrunk_and_the_same_again() {
        let settings = Settings::new(1, Length::Mutations(100_000));
        let find = || run::run(&MAGIC, vec![b"m".to_vec()], settings);
        let fault = find().unwrap_err();
        assert_eq!(fault.what, "the magic word");
        assert_eq!(find().unwrap_err().input, fault.input);
        assert_eq!(fault.shrunk(&MAGIC).input, b"magic");
    }

    #[test]
    fn an_endless_loop_is_a_fault() {
        let settings = Settings {
            time_limit: Duration::from_millis(50),
            ..Settings::new(1, Length::Mutations(0))
        };
        let fault = run::run(&ENDLESS, vec![b"stay".to_vec()], settings).unwrap_err();
        DONE.store(true, Ordering::Relaxed);
        assert!(fault.hangs && fault.input == b"stay", "{fault:?}");
    }
}
