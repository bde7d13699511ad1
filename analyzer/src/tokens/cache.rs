//! Counts of texts that were counted before: a chat sends all its earlier messages again each turn.
//!
//! Whoever sends prompts chooses what comes in here, so it must not be made to grow, to slow down or
//! to tell: an entry is a keyed hash of 128 bits and a count, never a text; the key is drawn anew in
//! each process, so that nobody can choose texts that collide, or tell from a memory dump whether a
//! text was seen; and the number of entries is bounded. What goes out first is for quick_cache to
//! say, whose rule (S3-FIFO with a clock) keeps what comes again where a flood passes by.

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher as _, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use foldhash::fast::FixedState;
use quick_cache::{
    UnitWeighter,
    sync::{self, DefaultLifecycle},
};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Texts below so many bytes are counted each time: looking one up costs about as much.
pub const MIN_TEXT: usize = 64;

/// Entries unless set: some hundred long conversations, or some thousand short ones, in about 6 MiB.
pub const DEFAULT_ENTRIES: usize = 65_536;

/// Counts by text and tokenizer, bounded in number. Threads share it.
pub struct Cache {
    /// `None`: nothing is kept.
    counts: Option<Counts>,
    keys: (u64, u64),
    lookups: Lookups,
}

type Counts = sync::Cache<Key, u64, UnitWeighter, FixedState>;

/// The keyed hash of a tokenizer's name and a text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key([u64; 2]);

/// How a text is counted; a part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    /// Special tokens are plain text.
    Plain,
    /// Special tokens are one token each.
    Template,
}

#[derive(Default)]
struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
    saved_bytes: AtomicU64,
    counted_bytes: AtomicU64,
}

/// What a cache has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheTotals {
    /// Entries held now.
    pub entries: u64,
    /// Texts whose count was there.
    pub hits: u64,
    /// Texts that had to be counted, though long enough to be kept.
    pub misses: u64,
    /// Bytes of the texts whose count was there.
    pub saved_bytes: u64,
    /// Bytes that had to be counted, those of short texts included.
    pub counted_bytes: u64,
}

impl Cache {
    /// A cache of so many entries; 0: none.
    pub fn new(entries: usize) -> Self {
        // The key of std's maps is random, and two hashes under it are a secret that is ours alone.
        let random = RandomState::new();
        Self {
            counts: (entries > 0).then(|| {
                Counts::with(
                    entries,
                    entries as u64,
                    UnitWeighter,
                    // The key is a hash under a secret already.
                    FixedState::default(),
                    DefaultLifecycle::default(),
                )
            }),
            keys: (random.hash_one(0), random.hash_one(1)),
            lookups: Lookups::default(),
        }
    }

    /// The count of this text by this tokenizer: the one kept, or that of `count`.
    pub(super) fn get(
        &self,
        tokenizer: &str,
        text: &str,
        how: As,
        count: impl FnOnce(&str) -> u64,
    ) -> u64 {
        let bytes = text.len() as u64;
        let add = |to: &AtomicU64, n| to.fetch_add(n, Ordering::Relaxed);
        let kept = self.counts.as_ref().filter(|_| text.len() >= MIN_TEXT);
        let Some(counts) = kept else {
            add(&self.lookups.counted_bytes, bytes);
            return count(text);
        };
        let key = self.key(tokenizer, text, how);
        if let Some(counted) = counts.get(&key) {
            add(&self.lookups.hits, 1);
            add(&self.lookups.saved_bytes, bytes);
            return counted;
        }
        add(&self.lookups.misses, 1);
        add(&self.lookups.counted_bytes, bytes);
        let counted = count(text);
        counts.insert(key, counted);
        counted
    }

    fn key(&self, tokenizer: &str, text: &str, how: As) -> Key {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        // The text's length tells where the name ends and the text begins.
        hasher.write_u64(text.len() as u64);
        hasher.write_u8(how as u8);
        hasher.write(tokenizer.as_bytes());
        hasher.write(text.as_bytes());
        let hash = hasher.finish128();
        Key([hash.h1, hash.h2])
    }

    /// What it has done so far.
    pub fn totals(&self) -> CacheTotals {
        let get = |from: &AtomicU64| from.load(Ordering::Relaxed);
        CacheTotals {
            entries: self.counts.as_ref().map_or(0, |counts| counts.len() as u64),
            hits: get(&self.lookups.hits),
            misses: get(&self.lookups.misses),
            saved_bytes: get(&self.lookups.saved_bytes),
            counted_bytes: get(&self.lookups.counted_bytes),
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(DEFAULT_ENTRIES)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the key nor the hashes: with both, a guessed text could be tested.
        self.totals().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A count that tells how often it was asked for.
    fn counted(cache: &Cache, tokenizer: &str, text: &str) -> u64 {
        cache.get(tokenizer, text, As::Plain, |text| text.len() as u64)
    }

    fn text(number: usize) -> String {
        format!("{number:0>100}")
    }

    #[test]
    fn a_text_is_counted_once_for_each_tokenizer_and_way() {
        let cache = Cache::new(1_000);
        let text = text(1);
        for (tokenizer, how, count) in [
            ("a", As::Plain, 1),
            ("b", As::Plain, 2),
            ("a", As::Template, 3),
        ] {
            assert_eq!(cache.get(tokenizer, &text, how, |_| count), count);
            let again = cache.get(tokenizer, &text, how, |_| unreachable!("it is there"));
            assert_eq!(again, count);
        }
        assert_eq!(
            cache.totals(),
            CacheTotals {
                entries: 3,
                hits: 3,
                misses: 3,
                saved_bytes: 300,
                counted_bytes: 300,
            }
        );
    }

    #[test]
    fn a_name_and_a_text_are_told_apart() {
        let cache = Cache::new(1_000);
        let long = "x".repeat(MIN_TEXT);
        counted(&cache, "a", &format!("b{long}"));
        counted(&cache, "ab", &long);
        assert_eq!(cache.totals().misses, 2);
    }

    #[test]
    fn short_texts_and_a_cache_of_none_keep_nothing() {
        for (cache, text) in [
            (Cache::new(10), "x".repeat(MIN_TEXT - 1)),
            (Cache::new(0), text(1)),
        ] {
            for _ in 0..2 {
                assert_eq!(counted(&cache, "a", &text), text.len() as u64);
            }
            let totals = cache.totals();
            assert_eq!(
                (totals.entries, totals.hits, totals.misses),
                (0, 0, 0),
                "{totals:?}"
            );
            assert_eq!(totals.counted_bytes, 2 * text.len() as u64);
        }
    }

    #[test]
    fn a_flood_of_made_up_texts_stays_in_bounds_and_drives_out_no_conversation() {
        const ENTRIES: usize = 4_096;
        let cache = Cache::new(ENTRIES);
        let conversation: Vec<_> = (0..100).map(text).collect();
        let mut flood = 1_000_000..;
        for round in 0..40 {
            for text in &conversation {
                counted(&cache, "a", text);
            }
            let before = cache.totals();
            for number in flood.by_ref().take(2_500) {
                counted(&cache, "a", &text(number));
                assert!(cache.totals().entries <= ENTRIES as u64);
            }
            // A hundred thousand texts pass, twenty times what there is room for.
            if round > 3 {
                let found = before.hits;
                let again = cache.totals().hits;
                assert_eq!(found, again, "made-up texts are not found");
            }
        }
        let before = cache.totals().hits;
        for text in &conversation {
            counted(&cache, "a", text);
        }
        let kept = cache.totals().hits - before;
        assert!(kept >= 90, "{kept} of 100 messages are still there");
    }

    #[test]
    fn no_text_and_no_hash_can_be_read_off_it() {
        let cache = Cache::new(10);
        let secret = format!("my password is hunter2 {}", text(1));
        counted(&cache, "a", &secret);
        let shown = format!("{cache:?}");
        assert!(shown.starts_with("CacheTotals"), "{shown}");
        // What it holds of a text is 16 bytes of hash and 8 of count, and nothing on the heap.
        assert_eq!(size_of::<(Key, u64)>(), 24);
        assert!(!std::mem::needs_drop::<(Key, u64)>());
        // Another process, another key: a hash tells nothing elsewhere.
        let other = Cache::new(10);
        assert_ne!(
            cache.key("a", &secret, As::Plain).0,
            other.key("a", &secret, As::Plain).0
        );
    }

    #[test]
    fn threads_share_it() {
        let cache = Cache::new(10_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..1_000 {
                        assert_eq!(counted(&cache, "a", &text(number)), 100);
                    }
                });
            }
        });
        let totals = cache.totals();
        assert_eq!(totals.entries, 1_000);
        assert_eq!(totals.hits + totals.misses, 4_000);
    }
}
