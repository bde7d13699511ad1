//! What the content decoders that work at the same time may hold.
//!
//! A decoder's memory is its window, and the coded bytes say how large that is: 32 KiB for deflate, up to 8 MiB
//! for zstd, and up to 16 MiB for br. So bytes are counted, not bodies.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// What an inflater holds: its window of 32 KiB, its tables, and what it gives at a time.
const INFLATE: usize = 96 << 10;

/// What any decoder holds beside its window.
const BESIDE_WINDOW: usize = 256 << 10;

/// The largest zstd window, as a power of two: 8 MiB, what RFC 9659 §3 allows on the web.
pub(super) const ZSTD_WINDOW_LOG: u32 = 23;

/// Counts the bytes that one handler's decoders hold.
#[derive(Clone, Debug, Default)]
pub(super) struct DecoderMemory(Arc<AtomicUsize>);

/// What one decoder holds of it; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: DecoderMemory,
    most: usize,
    held: usize,
}

impl DecoderMemory {
    /// A share that holds nothing yet. `most`: bytes that all of them may hold.
    pub(super) fn share(&self, most: usize) -> Share {
        Share {
            memory: self.clone(),
            most,
            held: 0,
        }
    }
}

impl Share {
    /// Takes so many bytes more; `false`, and nothing, where they are not to be had.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let all = &self.memory.0;
        // One thread owns a handler: nobody else takes between the two.
        let free = self.most.saturating_sub(all.load(Ordering::Relaxed));
        if bytes > free {
            return false;
        }
        all.fetch_add(bytes, Ordering::Relaxed);
        self.held += bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.0.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// What an inflater needs.
pub(super) const fn of_inflate() -> usize {
    INFLATE
}

/// What a br decoder needs for a stream that begins so: the window that its first bits name (RFC 7932 §9.1).
pub(super) fn of_brotli(begin: &[u8]) -> usize {
    let bits = match begin.first() {
        Some(first) if first & 1 == 0 => 16,
        Some(first) => match ((first >> 1) & 7, (first >> 4) & 7) {
            (0, 0) => 17,
            // 1 is reserved: the decoder refuses it.
            (0, small) => 8 + u32::from(small),
            (large, _) => 17 + u32::from(large),
        },
        None => 24,
    };
    (1 << bits) + BESIDE_WINDOW
}

/// What a zstd decoder needs for a stream that begins so: the window that its first frame names, or the length
/// of its content where that is all in one segment (RFC 8878 §3.1.1.1). `None`: too few bytes to tell.
pub(super) fn of_zstd(begin: &[u8]) -> Option<usize> {
    const LARGEST: usize = 1 << ZSTD_WINDOW_LOG;
    let &[first, _, _, _, descriptor, ..] = begin else {
        return None;
    };
    // A frame to be passed over: what follows may be any.
    if first != 0x28 {
        return Some(LARGEST + BESIDE_WINDOW);
    }
    let window = if descriptor & 0x20 == 0 {
        let window = begin.get(5)?;
        let base = 1_u64 << (10 + (window >> 3));
        base + base / 8 * u64::from(window & 7)
    } else {
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let length = 1_usize << (descriptor >> 6);
        let field = begin.get(5 + dictionary..)?.get(..length)?;
        let little = field.iter().rev();
        little.fold(0, |sum, byte| sum << 8 | u64::from(*byte)) + if length == 2 { 256 } else { 0 }
    };
    // The decoder refuses a larger one.
    let window = usize::try_from(window).unwrap_or(LARGEST).min(LARGEST);
    Some(window + BESIDE_WINDOW)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_share_is_given_back() {
        let memory = DecoderMemory::default();
        let mut first = memory.share(100);
        let mut second = memory.share(100);
        assert!(first.take(60) && !second.take(41) && second.take(40));
        assert!(!first.take(1));
        drop(second);
        assert!(first.take(40));
        drop(first);
        assert_eq!(memory.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_streams_beginning_tells_its_window() {
        for (first, bits) in [
            (0x0c_u8, 16),
            (0x01, 17),
            (0x03, 18),
            (0x0b, 22),
            (0x0f, 24),
            (0x21, 10),
            (0x71, 15),
        ] {
            assert_eq!(of_brotli(&[first]) - BESIDE_WINDOW, 1 << bits, "{first:x}");
        }
        let window = |level, text: &[u8]| {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), level).unwrap();
            encoder.write_all(text).unwrap();
            encoder.flush().unwrap();
            let coded = encoder.finish().unwrap();
            of_zstd(&coded).map(|bytes| bytes - BESIDE_WINDOW)
        };
        // As the library's table of levels has it, for content of unknown length.
        assert_eq!(window(3, b"hello"), Some(2 << 20));
        assert_eq!(window(1, b"hello"), Some(512 << 10));
        let whole = zstd::bulk::compress(&vec![7; 70_000], 3).unwrap();
        assert_eq!(of_zstd(&whole), Some(70_000 + BESIDE_WINDOW));
        let small = zstd::bulk::compress(&[7_u8; 300], 3).unwrap();
        assert_eq!(of_zstd(&small), Some(300 + BESIDE_WINDOW));
        assert_eq!(of_zstd(&whole[..4]), None);
        assert_eq!(
            of_zstd(&[0x50, 0x2a, 0x4d, 0x18, 0]),
            Some((8 << 20) + BESIDE_WINDOW)
        );
    }
}
