//! Makes a failing scenario smaller, as long as it fails.

use anyhow::Result;
use llmtap_tests::simulator::{CONNECTIONS, Fate, Size};

use super::Case;

/// The smallest failing form that was found: fewer connections, fewer exchanges, less damage; and its
/// faults.
pub(super) fn shrink<'k>(case: &Case<'k>) -> Result<(Case<'k>, Vec<String>)> {
    let mut small = Case::new(case.seed, case.kind, case.size)?;
    small.fates.clone_from(&case.fates);
    for connection in 0..CONNECTIONS {
        let connections = 1 << connection;
        let size = Size { connections, ..small.size };
        if let Some(smaller) = failing(case, size)? {
            small = smaller;
            break;
        }
    }
    for exchanges in 1..=10 {
        let size = Size { exchanges, ..small.size };
        if let Some(smaller) = failing(case, size)? {
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
            if small.fates != before && small.judge().faults.is_empty() {
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
fn failing<'k>(case: &Case<'k>, size: Size) -> Result<Option<Case<'k>>> {
    let mut smaller = Case::new(case.seed, case.kind, size)?;
    for attempt in 0..40 {
        if attempt > 0 {
            smaller.fates = case.kind.tap.fates(&smaller.scenario.frames, attempt);
        }
        if !smaller.judge().faults.is_empty() {
            return Ok(Some(smaller));
        }
    }
    Ok(None)
}
