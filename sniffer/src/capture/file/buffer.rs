//! A read buffer from which records are borrowed.

use std::{
    io::{self, BufRead, ErrorKind, Read},
    mem,
};

/// Reads in large pieces and hands out borrowed bytes. It grows only as bytes arrive, so a length
/// field alone never makes it allocate.
pub(super) struct ReadBuffer {
    reader: Box<dyn Read + Send>,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Position of `data[start]` in the stream.
    offset: u64,
    stream: Stream,
}

/// What is known of the stream's end.
#[derive(Debug)]
enum Stream {
    Open,
    Ended,
    Failed(io::Error),
}

impl ReadBuffer {
    /// A buffer of `capacity` bytes to begin with.
    pub(super) fn new(reader: Box<dyn Read + Send>, capacity: usize) -> Self {
        Self {
            reader,
            data: vec![0; capacity.max(64)],
            start: 0,
            end: 0,
            offset: 0,
            stream: Stream::Open,
        }
    }

    /// Position of the next byte in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The error that ended the stream, if one did.
    pub(super) fn error(&self) -> Option<&io::Error> {
        match &self.stream {
            Stream::Failed(error) => Some(error),
            Stream::Open | Stream::Ended => None,
        }
    }

    /// The bytes at hand.
    pub(super) fn at_hand(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Makes `wanted` bytes be at hand. Fewer are there afterwards only where the stream is over.
    pub(super) fn fill(&mut self, wanted: usize) -> Fill {
        if self.end - self.start >= wanted {
            Fill::Enough
        } else {
            self.fill_slowly(wanted)
        }
    }

    /// Leaves `count` bytes at hand behind.
    pub(super) fn consume_bytes(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset = self.offset.saturating_add(count as u64);
    }

    /// Leaves `count` bytes behind, whether at hand or not.
    pub(super) fn skip(&mut self, mut count: u64) -> Fill {
        while count > 0 {
            if self.fill(1) == Fill::Short {
                return Fill::Short;
            }
            let step = self
                .at_hand()
                .len()
                .min(usize::try_from(count).unwrap_or(usize::MAX));
            self.consume_bytes(step);
            count -= step as u64;
        }
        Fill::Enough
    }

    #[cold]
    fn fill_slowly(&mut self, wanted: usize) -> Fill {
        while self.end - self.start < wanted {
            if !matches!(self.stream, Stream::Open) {
                return Fill::Short;
            }
            if self.start == self.end || self.end == self.data.len() {
                self.data.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.data.len() {
                // Full of bytes that did arrive: doubling keeps the size in proportion to them.
                self.data.resize(self.data.len().saturating_mul(2), 0);
            }
            let Some(room) = self.data.get_mut(self.end..) else {
                return Fill::Short;
            };
            let room_len = room.len();
            match self.reader.read(room) {
                Ok(0) => self.stream = Stream::Ended,
                Ok(count) => self.end += count.min(room_len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.stream = Stream::Failed(error),
            }
        }
        Fill::Enough
    }
}

/// Whether as many bytes are at hand as were wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// They are.
    Enough,
    /// The stream was over before.
    Short,
}

// A decompressor reads the compressed bytes through the same buffer that looked at their beginning.
impl Read for ReadBuffer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume_bytes(count);
        Ok(count)
    }
}

impl BufRead for ReadBuffer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.fill(1) == Fill::Short
            && let Stream::Failed(_) = self.stream
            && let Stream::Failed(error) = mem::replace(&mut self.stream, Stream::Ended)
        {
            return Err(error);
        }
        Ok(self.at_hand())
    }

    fn consume(&mut self, count: usize) {
        self.consume_bytes(count);
    }
}

/// The byte order of a capture file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 16-bit number at `at`, where it is there.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(raw),
            Self::Big => u16::from_be_bytes(raw),
        })
    }

    /// The 32-bit number at `at`, where it is there.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(raw),
            Self::Big => u32::from_be_bytes(raw),
        })
    }

    /// The 64-bit number at `at`, where it is there.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> Option<u64> {
        let raw = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u64::from_le_bytes(raw),
            Self::Big => u64::from_be_bytes(raw),
        })
    }
}
