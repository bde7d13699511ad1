//! The files in `analyzer/vocabularies/`; the README there tells their form.

use std::io;

/// The bytes that a vocabulary unpacks to at most: that of Qwen 3.5 has 2 MB.
const MOST: usize = 16 << 20;

/// A vocabulary file, unpacked.
pub(super) struct File {
    data: Vec<u8>,
    lengths: Vec<u32>,
    body: usize,
    /// The special tokens.
    pub(super) specials: Vec<String>,
}

impl File {
    /// Unpacks a file.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) fn read(packed: &[u8]) -> io::Result<Self> {
        let data = zstd::bulk::decompress(packed, MOST)?;
        Self::parse(data).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    fn parse(data: Vec<u8>) -> Option<Self> {
        let mut rest = data.strip_prefix(b"LTV1")?;
        let count = varint(&mut rest)?;
        let lengths: Vec<u32> = (0..count)
            .map(|_| varint(&mut rest))
            .collect::<Option<_>>()?;
        let body = data.len() - rest.len();
        let size: usize = lengths.iter().map(|length| *length as usize).sum();
        rest = rest.get(size..)?;
        let specials = (0..varint(&mut rest)?)
            .map(|_| {
                let length = varint(&mut rest)? as usize;
                let (text, after) = rest.split_at_checked(length)?;
                rest = after;
                String::from_utf8(text.to_vec()).ok()
            })
            .collect::<Option<_>>()?;
        Some(Self {
            data,
            lengths,
            body,
            specials,
        })
    }

    /// The tokens in the order of their ranks.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        let longest = self.lengths.iter().copied().max().unwrap_or(0) as usize;
        // The bytes stand sorted by the length of their token, then by rank.
        let mut places = vec![0; longest + 1];
        for length in &self.lengths {
            places[*length as usize] += *length as usize;
        }
        let mut begin = self.body;
        for place in &mut places {
            begin += std::mem::replace(place, begin);
        }
        self.lengths.iter().map(move |length| {
            let place = &mut places[*length as usize];
            let token = &self.data[*place..][..*length as usize];
            *place += token.len();
            token
        })
    }
}

/// A number in groups of seven bits, the lowest first.
fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u32::from(byte & 127) << shift;
        if *byte < 128 {
            return Some(value);
        }
    }
    None
}
