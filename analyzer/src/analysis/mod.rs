//! From events to finished exchanges and calls. Sans-io; one [`Analyzer`] a shard.
//!
//! [`Analyzer::event`] follows the exchanges in flight. The end of one yields a [`Finished`]: the
//! row of the exchange, and, if it is an LLM call, the call without its counted tokens. Counting is
//! slow beside all else, so it is left to whoever has time for it: [`Uncounted::count`].

mod count;
mod finish;
mod forwarded;
mod header_rules;
mod leg;
mod open;
mod outcome;
mod output;
mod progress;
mod report;
mod settings;
mod stored;
#[cfg(test)]
mod tests;
mod trusted;
mod whose;

use std::{collections::HashMap, sync::Arc};

pub use count::Uncounted;
pub use finish::Finished;
pub use header_rules::{HeaderError, HeaderName, Label};
pub use progress::{News, Stage, UnderWay};
pub use report::analyze_report;
pub use settings::{HashKey, KeepBodies, Settings};
pub use stored::{STORED_HEAD, STORED_TAIL};
pub use trusted::{Network, NetworkError, TrustedPeers};

use crate::{
    exchange::{Event, EventKind, ExchangeId},
    legs::Leg,
    live::Live,
};
use open::Open;

/// Exchanges that one analyzer follows at a time. The capture side bounds its connections far
/// lower; an exchange past this is not followed, and counted.
pub const MAX_OPEN: usize = 1 << 17;

/// Bytes of text and stored bodies that the exchanges in flight of one analyzer may hold. Past it,
/// the exchange at hand keeps no more (its call says `truncated`), and that is counted.
pub const MAX_HELD: usize = 128 << 20;

/// What the analysis has done and seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnalyzerCounters {
    /// Exchanges that ended.
    pub exchanges: u64,
    /// Those of them that were calls.
    pub calls: u64,
    /// Durations that came out negative, and are NULL.
    pub negative_durations: u64,
    /// Events of exchanges that are not followed.
    pub orphan_events: u64,
    /// Exchanges not followed for want of room.
    pub exchanges_shed: u64,
    /// Exchanges of which no more text was kept for want of room.
    pub texts_shed: u64,
    /// Calls with text or choices past a bound of one call.
    pub calls_cut: u64,
    /// Bodies of calls of which the middle is not stored.
    pub bodies_cut: u64,
    /// Sequences of bytes in JSON strings that were no UTF-8.
    pub json_replaced: u64,
    /// JSON containers skipped for their depth.
    pub json_too_deep: u64,
    /// Request bodies of calls that were not read to the end of their JSON.
    pub requests_unread: u64,
}

impl AnalyzerCounters {
    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("exchanges", self.exchanges),
            ("calls", self.calls),
            ("negative_durations", self.negative_durations),
            ("orphan_events", self.orphan_events),
            ("exchanges_shed", self.exchanges_shed),
            ("texts_shed", self.texts_shed),
            ("calls_cut", self.calls_cut),
            ("bodies_cut", self.bodies_cut),
            ("json_replaced", self.json_replaced),
            ("json_too_deep", self.json_too_deep),
            ("requests_unread", self.requests_unread),
        ]
        .into_iter()
    }

    /// Adds another analyzer's figures.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.exchanges, other.exchanges),
            (&mut self.calls, other.calls),
            (&mut self.negative_durations, other.negative_durations),
            (&mut self.orphan_events, other.orphan_events),
            (&mut self.exchanges_shed, other.exchanges_shed),
            (&mut self.texts_shed, other.texts_shed),
            (&mut self.calls_cut, other.calls_cut),
            (&mut self.bodies_cut, other.bodies_cut),
            (&mut self.json_replaced, other.json_replaced),
            (&mut self.json_too_deep, other.json_too_deep),
            (&mut self.requests_unread, other.requests_unread),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Follows the exchanges of one shard.
#[derive(Debug)]
pub struct Analyzer {
    live: Live<Settings>,
    /// Those that were in force when the last exchange began.
    settings: Arc<Settings>,
    open: HashMap<ExchangeId, Box<Followed>, foldhash::fast::FixedState>,
    /// What the open exchanges hold, in bytes.
    held: usize,
    counters: AnalyzerCounters,
}

/// An exchange in flight, and the settings that it goes by from its beginning to its end.
#[derive(Debug)]
struct Followed {
    open: Open,
    settings: Arc<Settings>,
}

impl Analyzer {
    /// An analyzer with no exchange in flight.
    pub fn new(settings: impl Into<Live<Settings>>) -> Self {
        let live = settings.into();
        Self {
            settings: live.current(),
            live,
            // Keys are numbers that this program gives out, so nobody can make them collide.
            open: HashMap::default(),
            held: 0,
            counters: AnalyzerCounters::default(),
        }
    }

    /// How many exchanges are in flight.
    pub fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// What the matching of legs must know of an exchange in flight whose request was seen whole; none
    /// where it was not, or is no call's.
    pub fn leg(&self, id: ExchangeId) -> Option<Leg> {
        self.open.get(&id)?.open.leg()
    }

    /// What is new of an exchange in flight, and is to be told of it: each stage once. Nothing of one that is no
    /// call, or not known to be one yet.
    pub fn news(&mut self, id: ExchangeId) -> Option<News> {
        self.open.get_mut(&id)?.open.news()
    }

    /// The calls in flight, at most so many, and how many more exchanges were not looked at.
    pub fn under_way(&mut self, most: usize) -> (Vec<(ExchangeId, UnderWay)>, usize) {
        let more = self.open.len().saturating_sub(most);
        let open = self.open.iter_mut().take(most);
        let calls = open.filter_map(|(id, followed)| Some((*id, followed.open.under_way()?)));
        (calls.collect(), more)
    }

    /// What was done and seen so far.
    pub const fn counters(&self) -> AnalyzerCounters {
        self.counters
    }

    /// Takes one event; the end of an exchange yields what became of it.
    pub fn event(&mut self, event: &Event<'_>) -> Option<Finished> {
        if let EventKind::Begin(begin) = &event.kind {
            if self.open.len() >= MAX_OPEN {
                self.counters.exchanges_shed = self.counters.exchanges_shed.saturating_add(1);
                return None;
            }
            self.live.refresh(&mut self.settings);
            let fresh = Box::new(Followed {
                open: Open::new(event.id, *begin, &self.settings),
                settings: Arc::clone(&self.settings),
            });
            if let Some(old) = self.open.insert(event.id, fresh) {
                self.held = self.held.saturating_sub(old.open.held);
            }
            return None;
        }
        if let EventKind::End(end) = &event.kind {
            let Some(followed) = self.open.remove(&event.id) else {
                self.orphan();
                return None;
            };
            let open = followed.open;
            self.held = self.held.saturating_sub(open.held);
            return Some(open.finish(end, &mut self.counters));
        }
        let Some(followed) = self.open.get_mut(&event.id) else {
            self.orphan();
            return None;
        };
        let Followed { open, settings } = followed.as_mut();
        let before = open.held;
        open.event(&event.kind, settings);
        self.held = self.held.saturating_sub(before).saturating_add(open.held);
        if self.held > self.settings.max_held && open.stop_keeping() {
            self.counters.texts_shed = self.counters.texts_shed.saturating_add(1);
        }
        None
    }

    fn orphan(&mut self) {
        self.counters.orphan_events = self.counters.orphan_events.saturating_add(1);
    }
}
