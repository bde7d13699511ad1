//! Calls that did not go well, by how and why, each kind with calls to look up.

use std::{cmp::Reverse, collections::BTreeMap};

use analyzer::{
    call::{Call, CallKey, Outcome},
    time::Timestamp,
};

use super::start_of;

/// Kinds that are told apart. What a server calls its errors is the wire's, so it is bounded; calls of more kinds are
/// summed by their outcome alone.
const KINDS: usize = 1_000;

/// Calls named of each kind.
const EXAMPLES: usize = 3;

/// Whether a call is one of them.
pub(super) fn is_one(call: &Call) -> bool {
    call.outcome != Outcome::Ok
}

/// Gathers them.
#[derive(Debug, Default)]
pub(super) struct Errors {
    kinds: BTreeMap<Kind, Group>,
}

/// What makes calls alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) outcome: &'static str,
    pub(super) status: Option<u16>,
    /// The server's own word: its error's type, else its code.
    pub(super) word: Option<String>,
}

/// The calls of a kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) calls: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// The first few.
    pub(super) examples: Vec<CallKey>,
}

impl Errors {
    pub(super) fn call(&mut self, call: &Call) {
        if !is_one(call) {
            return;
        }
        let mut kind = Kind {
            outcome: call.outcome.as_str(),
            status: call.status,
            word: call.error_type.clone().or_else(|| call.error_code.clone()),
        };
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            kind = Kind {
                outcome: kind.outcome,
                status: None,
                word: None,
            };
        }
        let group = self.kinds.entry(kind).or_default();
        group.calls += 1;
        let start = start_of(call).or(call.marks.ended);
        group.first = group.first.min(start).or(start).or(group.first);
        group.last = group.last.max(start);
        if group.examples.len() < EXAMPLES {
            group.examples.push(call.call_key);
        }
    }

    /// All kinds, those with the most calls first.
    pub(super) fn most_first(&self) -> Vec<(&Kind, &Group)> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, group)| (Reverse(group.calls), (*kind).clone()));
        kinds
    }
}
