//! Runs a target: its corpus, then mutations of what led somewhere new.
//!
//! The same seed makes the same run. Another thread watches: an execution that takes too long, or a
//! process that grows too large, is a fault as a panic is. A fault is told with the command that
//! repeats it, and its input lies in a file.

use std::{
    any::Any,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use analyzer::tokens::Vocabulary;
use anyhow::{Context as _, Result};

use super::{Features, Target, corpus, features, mutate::Mutator, shrink};

/// One execution takes some milliseconds. On a machine that has far more to do than it can, thirty
/// seconds of it are an endless loop, or one that might as well be.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How much memory the process may have: the vocabularies of the tokenizers take 300 MB.
const MEMORY_LIMIT: u64 = 2 << 30;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// So many mutations.
    Mutations(u64),
    /// So long.
    Time(Duration),
}

/// How a target is run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Another number is another run.
    pub seed: u64,
    /// How long it goes on.
    pub length: Length,
    /// How long one execution may take.
    pub time_limit: Duration,
}

impl Settings {
    /// With the usual limit.
    pub const fn new(seed: u64, length: Length) -> Self {
        Self {
            seed,
            length,
            time_limit: TIME_LIMIT,
        }
    }
}

/// What a run came to without a fault.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Executions, those of the corpus among them.
    pub executions: u64,
    /// Inputs that were kept since they led somewhere new, in the order in which they were found.
    pub kept: Vec<Vec<u8>>,
    /// All features reached.
    pub features: Features,
}

/// Something that must hold did not.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What was wrong.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
    /// It took too long, and would again.
    pub hangs: bool,
}

/// What one execution came to.
pub(super) enum Verdict {
    Good(Features),
    Fault(String),
}

/// What the watcher looks at.
#[derive(Default)]
struct Watched {
    since: Option<Instant>,
    input: Vec<u8>,
}

/// Runs a target over these inputs, then over mutations.
///
/// # Errors
/// The first fault.
pub fn run(
    target: &'static Target,
    inputs: Vec<Vec<u8>>,
    settings: Settings,
) -> Result<Tally, Box<Fault>> {
    let watched = Arc::new(Mutex::new(Watched::default()));
    let (sender, result) = mpsc::channel();
    let shared = Arc::clone(&watched);
    // Not a scoped thread: one that hangs is left behind.
    thread::spawn(move || {
        // A receiver that is gone has told of a fault already.
        let _ = sender.send(work(target, inputs, settings, &shared));
    });
    loop {
        match result.recv_timeout(LOOK) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let fault = fault("its thread is gone", &lock(&watched).input);
                return Err(Box::new(fault));
            }
        }
        let watched = lock(&watched);
        let limit = settings.time_limit;
        if watched.since.is_some_and(|since| since.elapsed() > limit) {
            let mut fault = fault(&format!("it takes longer than {limit:?}"), &watched.input);
            fault.hangs = true;
            return Err(Box::new(fault));
        }
        if resident().is_some_and(|bytes| bytes > MEMORY_LIMIT) {
            let fault = fault("the process has more than 2 GiB", &watched.input);
            return Err(Box::new(fault));
        }
    }
}

fn work(
    target: &Target,
    inputs: Vec<Vec<u8>>,
    settings: Settings,
    watched: &Mutex<Watched>,
) -> Result<Tally, Box<Fault>> {
    // The vocabulary is loaded once a process, which takes seconds on a busy machine: not in an
    // execution that is watched.
    Vocabulary::Cl100kBase.tokenizer().count("a");
    let mut tally = Tally::default();
    for input in inputs {
        try_one(target, input, watched, &mut tally)?;
    }
    if tally.kept.is_empty() {
        tally.kept.push(Vec::new());
    }
    let seed = settings.seed ^ features::hash(&[target.name.as_bytes()]);
    let mut mutator = Mutator::new(seed, target.words, target.longest);
    let begin = Instant::now();
    let mut mutations = 0;
    while match settings.length {
        Length::Mutations(most) => mutations < most,
        Length::Time(most) => begin.elapsed() < most,
    } {
        mutations += 1;
        let input = mutator.next(&tally.kept);
        try_one(target, input, watched, &mut tally)?;
    }
    Ok(tally)
}

fn try_one(
    target: &Target,
    input: Vec<u8>,
    watched: &Mutex<Watched>,
    tally: &mut Tally,
) -> Result<(), Box<Fault>> {
    {
        let mut watched = lock(watched);
        watched.since = Some(Instant::now());
        watched.input.clone_from(&input);
    }
    let verdict = execute(target, &input);
    lock(watched).since = None;
    tally.executions += 1;
    match verdict {
        Verdict::Good(features) => {
            if tally.features.absorb(&features) > 0 {
                tally.kept.push(input);
            }
            Ok(())
        }
        Verdict::Fault(what) => {
            let hangs = false;
            Err(Box::new(Fault { what, input, hangs }))
        }
    }
}

/// One execution.
pub(super) fn execute(target: &Target, input: &[u8]) -> Verdict {
    match catch_unwind(AssertUnwindSafe(|| (target.check)(input))) {
        Ok(features) => Verdict::Good(features),
        Err(panic) => Verdict::Fault(text_of(panic.as_ref())),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned())
}

impl Fault {
    /// Makes the input as small as it may be. Each try panics: quiet the hook before.
    #[must_use]
    pub fn shrunk(mut self, target: &Target) -> Self {
        if !self.hangs && matches!(execute(target, &self.input), Verdict::Fault(_)) {
            self.input = shrink::shrink(target, &self.input);
        }
        self
    }

    /// Puts the input into a file, and says how to try it again.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, target: &Target) -> Result<String> {
        let folder = corpus::scratch("fuzz-faults");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let name = format!("{}-{:016x}", target.name, features::hash(&[&self.input]));
        let file = folder.join(name);
        fs::write(&file, &self.input)
            .with_context(|| format!("cannot write {}", file.display()))?;
        let (name, what, length) = (target.name, &self.what, self.input.len());
        let file = file.display();
        Ok(format!(
            "{name}: {what}\n  the input of {length} bytes is in {file}; again with:\n  \
             cargo xtask fuzz {name} {file}"
        ))
    }
}

fn fault(what: &str, input: &[u8]) -> Fault {
    Fault {
        what: what.to_owned(),
        input: input.to_vec(),
        hangs: false,
    }
}

fn lock(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory that the process has, where the system tells.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes.saturating_mul(1024))
}
