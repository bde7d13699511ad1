//! New bytes of old ones.

use crate::traffic::Random;

/// Numbers at which things go wrong.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    7,
    16,
    64,
    100,
    127,
    128,
    255,
    256,
    32_767,
    65_535,
    i32::MAX as u64,
    u32::MAX as u64,
    u64::MAX,
];

/// The most changes that are made to one input.
const MOST_CHANGES: u64 = 6;

/// Makes new inputs of those that are there.
#[derive(Clone, Debug)]
pub struct Mutator {
    random: Random,
    words: &'static [&'static str],
    longest: usize,
}

impl Mutator {
    /// The same inputs from the same seed.
    pub const fn new(seed: u64, words: &'static [&'static str], longest: usize) -> Self {
        Self {
            random: Random::new(seed),
            words,
            longest,
        }
    }

    /// A mutation of one of these inputs.
    pub fn next(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one(pool).to_vec();
        for _ in 0..=self.random.below(MOST_CHANGES) {
            self.change(&mut bytes, pool);
        }
        bytes.truncate(self.longest);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
        match self.random.below(13) {
            0 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
            1 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = self.random.any() as u8;
                }
            }
            2 => {
                let at = self.place(bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = byte
                        .wrapping_add(self.random.below(33) as u8)
                        .wrapping_sub(16);
                }
            }
            3 => self.number(bytes),
            4 => {
                let range = self.block(bytes);
                bytes.drain(range);
            }
            5 => {
                let range = self.block(bytes);
                let copy = bytes[range].to_vec();
                self.insert(bytes, &copy);
            }
            6 => {
                let range = self.block(bytes);
                let copy = bytes[range].to_vec();
                self.overwrite(bytes, &copy);
            }
            7 => {
                let copy = self.piece(pool);
                self.insert(bytes, &copy);
            }
            8 => {
                let copy = self.piece(pool);
                self.overwrite(bytes, &copy);
            }
            9 => {
                // The beginning of one and the end of another.
                let at = self.place(bytes);
                let other = self.one(pool);
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(at..).unwrap_or(other));
            }
            10 | 11 => {
                if let Some(word) = self.word() {
                    if self.random.below(2) == 0 {
                        self.insert(bytes, word);
                    } else {
                        self.overwrite(bytes, word);
                    }
                }
            }
            _ => {
                let at = self.place(bytes);
                bytes.truncate(at);
            }
        }
    }

    /// Writes a number, as text or in two, four or eight bytes of either order.
    fn number(&mut self, bytes: &mut Vec<u8>) {
        let number = NUMBERS[self.random.below(NUMBERS.len() as u64) as usize];
        let number = number.wrapping_add(self.random.below(3)).wrapping_sub(1);
        let width = 1 << (1 + self.random.below(3));
        let mut raw = number.to_le_bytes()[..width].to_vec();
        match self.random.below(4) {
            0 => return self.insert(bytes, number.to_string().as_bytes()),
            1 => return self.insert(bytes, format!("{number:x}").as_bytes()),
            2 => raw.reverse(),
            _ => {}
        }
        self.overwrite(bytes, &raw);
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, new: &[u8]) {
        let at = self.random.below(bytes.len() as u64 + 1) as usize;
        bytes.splice(at..at, new.iter().copied());
    }

    fn overwrite(&mut self, bytes: &mut Vec<u8>, new: &[u8]) {
        let at = self.random.below(bytes.len() as u64 + 1) as usize;
        let end = (at + new.len()).min(bytes.len());
        bytes.splice(at..end, new.iter().copied());
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        self.random.below(bytes.len() as u64) as usize
    }

    /// Some of the bytes, a few more often than many.
    fn block(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let most = 1 << self.random.below(11);
        let at = self.random.below(bytes.len() as u64 + 1) as usize;
        let length = self.random.below(most) as usize + 1;
        at..(at + length).min(bytes.len())
    }

    fn piece(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let other = self.one(pool);
        let range = self.block(other);
        other[range].to_vec()
    }

    fn one<'p>(&mut self, pool: &'p [Vec<u8>]) -> &'p [u8] {
        let place = self.random.below(pool.len() as u64) as usize;
        pool.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    fn word(&mut self) -> Option<&'static [u8]> {
        let place = self.random.below(self.words.len() as u64) as usize;
        self.words.get(place).map(|word| word.as_bytes())
    }
}
