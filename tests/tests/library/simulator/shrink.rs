//! Makes a failing scenario smaller, as long as it fails.

use anyhow::Result;
use llmtap_tests::simulator::{CONNECTIONS, Fate, Size};

use super::Case;

/// The smallest failing form that was found: fewer connections, fewer exchanges, less damage; and its
/// faults.
pub(super) fn shrink<'k>(case: &Case<'k>) -> Result<(Case<'k>, Vec<String>)> {
    let fault = case
        .judge()
        .faults
        .first()
        .map_or_else(String::new, |fault| sort(fault));
    let mut small = Case::new(case.seed, case.kind, case.size)?;
    small.fates.clone_from(&case.fates);
    for connection in 0..CONNECTIONS {
        let connections = 1 << connection;
        let size = Size {
            connections,
            ..small.size
        };
        if let Some(smaller) = failing(case, size, &fault)? {
            small = smaller;
            break;
        }
    }
    for exchanges in 1..=10 {
        let size = Size {
            exchanges,
            ..small.size
        };
        if let Some(smaller) = failing(case, size, &fault)? {
            small = smaller;
            break;
        }
    }
    // What the tap did is undone, by halves and then frame by frame.
    let mut length = small.fates.len().div_ceil(2).max(1);
    loop {
        for start in (0..small.fates.len()).step_by(length) {
            let before = small.fates.clone();
            for fate in small.fates.iter_mut().skip(start).take(length) {
                *fate = Fate::NONE;
            }
            if small.fates != before && !fails(&small, &fault) {
                small.fates = before;
            }
        }
        if length == 1 {
            break;
        }
        length = length.div_ceil(2);
    }
    let faults = small.judge().faults;
    Ok((small, faults))
}

/// The case at another size, if it fails too: its damage is another, so that a few are tried.
fn failing<'k>(case: &Case<'k>, size: Size, fault: &str) -> Result<Option<Case<'k>>> {
    let mut smaller = Case::new(case.seed, case.kind, size)?;
    for attempt in 0..40 {
        if attempt > 0 {
            smaller.fates = case.kind.tap.fates(&smaller.scenario.frames, attempt);
        }
        if fails(&smaller, fault) {
            return Ok(Some(smaller));
        }
    }
    Ok(None)
}

/// Whether a case has a fault of this sort.
fn fails(case: &Case<'_>, fault: &str) -> bool {
    case.judge().faults.iter().any(|found| sort(found) == fault)
}

/// What sort of fault it is: its words up to the first colon, without names and numbers.
pub(super) fn sort(fault: &str) -> String {
    let what = fault.split(':').next().unwrap_or_default();
    let words = what
        .split(' ')
        .filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}
