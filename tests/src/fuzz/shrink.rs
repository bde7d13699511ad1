//! A smaller input with the same fault.

use super::Target;
use super::run::{Verdict, execute};

/// Executions that one fault is worth.
const MOST: u32 = 20_000;

/// Takes out of an input what its fault does not need. The order is the same every time.
pub(super) fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut left = MOST;
    let mut size = best.len().div_ceil(2);
    while size > 0 && left > 0 {
        let mut at = 0;
        let before = best.len();
        while at < best.len() && left > 0 {
            let mut shorter = best.clone();
            shorter.drain(at..(at + size).min(best.len()));
            left -= 1;
            if matches!(execute(target, &shorter), Verdict::Fault(_)) {
                best = shorter;
            } else {
                at += size;
            }
        }
        // Single bytes once more, for as long as that takes any away.
        size = if size == 1 && best.len() < before {
            1
        } else {
            size / 2
        };
    }
    best
}
