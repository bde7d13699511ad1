//! What an input reached.

use std::collections::BTreeSet;

/// What an input reached: the counters that it moved, by magnitude, and what followed what. It stands
/// in for coverage, which stable Rust does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(BTreeSet<u64>);

impl Features {
    /// Something was seen.
    pub fn seen(&mut self, name: &str) {
        self.0.insert(hash(&[name.as_bytes()]));
    }

    /// Something was seen so often; 0 is nothing.
    pub fn count(&mut self, name: &str, count: u64) {
        let magnitude = match count {
            0 => return,
            1 => 1_u8,
            2..16 => 2,
            16..4096 => 3,
            _ => 4,
        };
        self.0.insert(hash(&[name.as_bytes(), &[magnitude]]));
    }

    /// All these counters.
    pub fn counters<'n>(&mut self, counters: impl IntoIterator<Item = (&'n str, u64)>) {
        for (name, count) in counters {
            self.count(name, count);
        }
    }

    /// One thing came right after another.
    pub fn followed(&mut self, before: &str, after: &str) {
        self.0.insert(hash(&[before.as_bytes(), after.as_bytes()]));
    }

    /// Takes those of others in; says how many were new.
    pub fn absorb(&mut self, others: &Self) -> usize {
        let before = self.0.len();
        self.0.extend(&others.0);
        self.0.len() - before
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// FNV-1a: the same everywhere and always, so that a corpus is made the same way again.
pub fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
