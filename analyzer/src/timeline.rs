//! The events of one stream, compactly: what a waterfall of the call is drawn from.
//!
//! In JSON a timeline is an array of arrays `[wait, span, kind, events, bytes]`:
//!
//! | field | meaning |
//! |---|---|
//! | `wait` | microseconds since the end of the entry before; of the first entry, since the request's first byte (`null` where that was not seen) |
//! | `span` | microseconds from the entry's first event to its last; 0 for a single event, and for events of one segment |
//! | `kind` | what its events carried: `content`, `reasoning`, `tool`, `media`, `empty` (a choice without output), `other` (no choice: usage, pings) |
//! | `events` | how many events it stands for |
//! | `bytes` | bytes of their data |
//!
//! Up to [`MAX_ENTRIES`] events stand for themselves. Of a longer stream, neighbours are joined, those first
//! that take the least time together, so that the bars come out about alike. The first event, the
//! end of the last one, the sums and the [`MAX_SILENCES`] longest silences stay exact.

use crate::time::Timestamp;

/// Entries of one timeline: more bars than that cannot be told apart in a waterfall, and a row
/// stays near 1 KiB.
pub const MAX_ENTRIES: usize = 64;

/// The longest silences, which stay visible however long the stream.
pub const MAX_SILENCES: usize = 16;

/// Entries that remain when neighbours have been joined for want of room.
const THINNED: usize = 48;

/// What events carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// No choice.
    Other,
    /// A choice without output.
    Empty,
    /// The answer itself.
    Content,
    /// Thoughts.
    Reasoning,
    /// Tool calls.
    Tool,
    /// Sound or pictures.
    Media,
}

impl EventKind {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Empty => "empty",
            Self::Content => "content",
            Self::Reasoning => "reasoning",
            Self::Tool => "tool",
            Self::Media => "media",
        }
    }
}

/// Neighbouring events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    first: Timestamp,
    last: Timestamp,
    kind: EventKind,
    events: u64,
    bytes: u64,
}

impl Entry {
    /// Takes in the entry that follows; the kind is that of more bytes.
    fn join(&mut self, next: &Self) {
        if next.bytes > self.bytes {
            self.kind = next.kind;
        }
        self.last = next.last;
        self.events = self.events.saturating_add(next.events);
        self.bytes = self.bytes.saturating_add(next.bytes);
    }
}

/// When the events of a stream came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    start: Option<Timestamp>,
    entries: Vec<Entry>,
}

impl Timeline {
    /// Adds an event, not earlier than the one before it: one that is, counts as at the same time.
    pub fn push(&mut self, kind: EventKind, bytes: u64, time: Timestamp) {
        let time = self.entries.last().map_or(time, |e| e.last.max(time));
        if self.entries.len() >= MAX_ENTRIES {
            self.thin();
        }
        self.entries.push(Entry {
            first: time,
            last: time,
            kind,
            events: 1,
            bytes,
        });
    }

    /// The first byte of the request: the first wait counts from there.
    pub fn set_start(&mut self, start: Option<Timestamp>) {
        self.start = start;
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.entries.iter().map(|entry| entry.events).sum()
    }

    /// Whether there was no event.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Moves all times alike.
    pub(crate) fn shift(&mut self, micros: i64) {
        self.start = self.start.map(|start| start.plus_micros(micros));
        for entry in &mut self.entries {
            entry.first = entry.first.plus_micros(micros);
            entry.last = entry.last.plus_micros(micros);
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        use std::fmt::Write as _;
        let mut json = "[".to_owned();
        let mut before = self.start;
        for entry in &self.entries {
            json.push_str(if json.len() > 1 { ",[" } else { "[" });
            match before {
                Some(before) => {
                    let _ = write!(json, "{}", entry.first.micros_since(before));
                }
                None => json.push_str("null"),
            }
            let _ = write!(
                json,
                ",{},\"{}\",{},{}]",
                entry.last.micros_since(entry.first),
                entry.kind.as_str(),
                entry.events,
                entry.bytes,
            );
            before = Some(entry.last);
        }
        json.push(']');
        json
    }

    /// Joins neighbours until few enough remain; never into the first entry, whose time stays its own.
    fn thin(&mut self) {
        let mut silences: Vec<i64> = self.gaps().skip(1).collect();
        silences.sort_unstable_by(|a, b| b.cmp(a));
        // Of alike ones, none is long.
        let long = silences.get(MAX_SILENCES).copied().unwrap_or(i64::MAX);
        while self.entries.len() > THINNED {
            let mut spans: Vec<i64> = self
                .entries
                .windows(2)
                .skip(1)
                .filter_map(|pair| joined_span(pair.first()?, pair.last()?, long))
                .collect();
            spans.sort_unstable();
            let Some(limit) = spans.get(spans.len() / 2).copied() else {
                return;
            };
            self.join_pairs(limit, long);
        }
    }

    /// Joins pairs that take at most so long together, until few enough entries remain.
    fn join_pairs(&mut self, limit: i64, long: i64) {
        let mut excess = self.entries.len().saturating_sub(THINNED);
        let mut joined: Vec<Entry> = Vec::with_capacity(self.entries.len());
        // A pair's entries are taken once: bars would grow from one end else.
        let mut may_join = false;
        for entry in self.entries.drain(..) {
            let span = joined
                .get(1..)
                .and_then(<[Entry]>::last)
                .and_then(|last| joined_span(last, &entry, long));
            match joined.last_mut() {
                Some(last) if may_join && excess > 0 && span.is_some_and(|s| s <= limit) => {
                    last.join(&entry);
                    excess -= 1;
                    may_join = false;
                }
                _ => {
                    joined.push(entry);
                    may_join = true;
                }
            }
        }
        self.entries = joined;
    }

    /// The silence before each entry but the first.
    fn gaps(&self) -> impl Iterator<Item = i64> {
        let pairs = self.entries.iter().zip(self.entries.iter().skip(1));
        pairs.map(|(a, b)| b.first.micros_since(a.last))
    }
}

/// How long two neighbours take together; `None` where the silence between them is a long one.
fn joined_span(a: &Entry, b: &Entry, long: i64) -> Option<i64> {
    let silence = b.first.micros_since(a.last);
    (silence <= long).then(|| b.last.micros_since(a.first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_short_stream_is_told_event_by_event() {
        let mut timeline = Timeline::default();
        assert!(timeline.is_empty());
        assert_eq!(timeline.to_json(), "[]");
        timeline.push(EventKind::Empty, 40, at(1_050));
        timeline.push(EventKind::Content, 30, at(1_060));
        timeline.push(EventKind::Other, 20, at(1_055));
        assert_eq!(
            timeline.to_json(),
            r#"[[null,0,"empty",1,40],[10,0,"content",1,30],[0,0,"other",1,20]]"#
        );
        timeline.set_start(Some(at(1_000)));
        timeline.shift(7);
        assert_eq!(
            timeline.to_json(),
            r#"[[50,0,"empty",1,40],[10,0,"content",1,30],[0,0,"other",1,20]]"#
        );
    }

    #[test]
    fn a_long_stream_keeps_its_ends_its_stalls_and_its_sums() {
        for (count, stall_at) in [(65, 30), (1_000, 500), (20_000, 19_998)] {
            let mut timeline = Timeline::default();
            timeline.set_start(Some(at(0)));
            let mut time = 100;
            for event in 0..count {
                time += if event == stall_at {
                    2_000_000
                } else {
                    10 + i64::from(event % 7)
                };
                timeline.push(EventKind::Content, 3, at(time));
            }
            assert!(timeline.entries.len() <= MAX_ENTRIES);
            assert!(timeline.entries.len() >= THINNED);
            assert_eq!(
                timeline.entries.iter().map(|e| e.events).sum::<u64>(),
                u64::from(count as u32)
            );
            assert_eq!(
                timeline.entries.iter().map(|e| e.bytes).sum::<u64>(),
                3 * count as u64
            );
            assert_eq!(timeline.entries[0].first, at(110));
            assert_eq!(timeline.entries[0].events, 1);
            assert_eq!(timeline.entries.last().unwrap().last, at(time));
            assert_eq!(timeline.gaps().max(), Some(2_000_000));
        }
    }

    #[test]
    fn bars_of_an_even_stream_come_out_about_alike() {
        let mut timeline = Timeline::default();
        for event in 0..10_000 {
            timeline.push(EventKind::Content, 1, at(event * 20_000));
        }
        let longest = timeline.entries.iter().map(|e| e.events).max();
        // 10,000 events in 48 to 64 bars, the newest of them fresh.
        assert!(longest <= Some(10_000 / 16), "{longest:?}");
    }

    #[test]
    fn the_longest_silences_stay_whatever_surrounds_them() {
        let mut timeline = Timeline::default();
        let mut time = 0;
        let mut state = 1u64;
        let mut silences = Vec::new();
        for _ in 0..5_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let silence = (state >> 40) as i64;
            time += silence;
            silences.push(silence);
            timeline.push(EventKind::Content, 1, at(time));
        }
        silences.remove(0);
        silences.sort_unstable();
        let mut told: Vec<_> = timeline.gaps().collect();
        told.sort_unstable();
        let longest = |all: &[i64]| all[all.len() - MAX_SILENCES..].to_vec();
        assert_eq!(longest(&told), longest(&silences));
    }

    #[test]
    fn events_of_one_time_are_joined_too() {
        let mut timeline = Timeline::default();
        for _ in 0..1_000 {
            timeline.push(EventKind::Tool, 1, at(5));
        }
        assert!(timeline.entries.len() <= MAX_ENTRIES);
        assert_eq!(
            timeline.entries.iter().map(|e| e.events).sum::<u64>(),
            1_000
        );
    }
}
