//! Bytes as a sequence of operations.

/// Reads choices off bytes. Where there are no more, every choice is 0.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// All of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// So many bytes, or what is left.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// One of these.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.bytes(N);
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }
}

/// Cuts bytes into pieces of one to `most` bytes, where `seed` says.
pub fn pieces(bytes: &[u8], seed: u64, most: u64) -> Vec<&[u8]> {
    let mut random = crate::traffic::Random::new(seed);
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let length = random.below(most.max(1)) as usize + 1;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// How long the pieces are into which a second run of the same input is cut, and where.
///
/// Small inputs are mostly cut into single bytes, which meets every boundary.
pub fn cutting(bytes: &[u8]) -> (u64, u64) {
    let seed = super::features::hash(&[bytes]);
    let most = match seed % 4 {
        _ if bytes.len() > 8_192 => 4_096,
        0 | 1 => 1,
        2 => 7,
        _ => 600,
    };
    (seed, most)
}
