//! The one capped decompressor: one content coding, taken off as the bytes come.
//!
//! Whatever can be decoded from the bytes so far is handed on at once: a stream that is flushed per
//! event keeps its clocks. Checksums at the end are not compared: what was on the wire was on the
//! wire, and the end of a body may be missing.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::coding::Coding;
use super::inflate::Inflate;
use super::memory::{self, Share, ZSTD_WINDOW_LOG};

/// Decoded bytes for one coded byte past which a body is taken for a bomb. Text and vectors stay far
/// below it; deflate ends at 1,032, br and zstd go to 100,000 and more.
const MAX_RATIO: u64 = 200;
/// Decoded bytes that are allowed whatever the ratio.
const FREE_OF_RATIO: u64 = 8 * 1024 * 1024;
/// Bytes decoded at a time.
const STEP: usize = 16 * 1024;
/// First bytes looked at to tell a body that is not coded at all, whatever its label says. All of
/// them printable by chance: below one in a million.
const SNIFF: usize = 16;

/// What a gzip member begins with: its magic number and the one method there is (RFC 1952 §2.3.1).
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

/// Why decoding stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes are not this coding, or are damaged.
    Corrupt,
    /// The cap on decoded bytes, or the guard against bombs.
    Limit,
    /// Other decoders hold all the memory that there is for them.
    Memory,
}

/// Takes decoded bytes; its fault stops the decoding.
pub(super) type Out<'o> = &'o mut dyn FnMut(&[u8]) -> Result<(), Fault>;

/// One coding with its caps.
pub(super) struct Decompressor {
    codec: Codec,
    cap: u64,
    taken: u64,
    given: u64,
    buffer: Vec<u8>,
    share: Share,
}

enum Codec {
    /// The first bytes are not enough to tell whether the label is true.
    Undecided {
        coding: Coding,
        held: Vec<u8>,
    },
    /// Not coded, whatever the label says.
    Plain,
    Inflate(Inflate),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
    Zstd(Box<Zstd>),
    /// The coded stream is over; what follows it is passed over.
    Over,
    Failed,
    /// There was no memory for it.
    Refused,
}

impl Decompressor {
    /// `cap`: decoded bytes at most. `share`: of the memory for decoders.
    pub(super) fn new(coding: Coding, cap: u64, share: Share) -> Self {
        Self {
            codec: Codec::Undecided {
                coding,
                held: Vec::new(),
            },
            cap,
            taken: 0,
            given: 0,
            buffer: Vec::new(),
            share,
        }
    }

    /// Whether the bytes turned out not to be coded.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.codec, Codec::Plain)
    }

    /// Bytes held back to tell the coding.
    pub(super) const fn held(&self) -> usize {
        match &self.codec {
            Codec::Undecided { held, .. } => held.len(),
            _ => 0,
        }
    }

    /// Decodes what can be decoded.
    pub(super) fn push(&mut self, input: &[u8], out: Out<'_>) -> Result<(), Fault> {
        if let Codec::Undecided { coding, held } = &mut self.codec {
            held.extend_from_slice(input);
            let Some(codec) = decide(*coding, held, Sniff::Early, &mut self.share) else {
                return Ok(());
            };
            let held = std::mem::take(held);
            self.codec = codec;
            return self.decode(&held, out);
        }
        self.decode(input, out)
    }

    /// The body is over: hands on what was held back to tell its coding.
    pub(super) fn finish(&mut self, out: Out<'_>) -> Result<(), Fault> {
        if let Codec::Undecided { coding, held } = &mut self.codec {
            let held = std::mem::take(held);
            if held.is_empty() {
                return Ok(());
            }
            let codec = decide(*coding, &held, Sniff::Final, &mut self.share);
            self.codec = codec.unwrap_or(Codec::Failed);
            return self.decode(&held, out);
        }
        Ok(())
    }

    /// Whether the coded stream came to its end, checksums apart, or there is none.
    pub(super) const fn is_whole(&self) -> bool {
        match &self.codec {
            Codec::Plain | Codec::Over | Codec::Undecided { .. } => true,
            Codec::Inflate(inflate) => inflate.is_whole(),
            Codec::Zstd(decoder) => decoder.whole,
            Codec::Brotli(_) | Codec::Failed | Codec::Refused => false,
        }
    }

    fn decode(&mut self, mut input: &[u8], out: Out<'_>) -> Result<(), Fault> {
        match self.codec {
            Codec::Plain => return out(input),
            Codec::Over => return Ok(()),
            Codec::Refused => return Err(Fault::Memory),
            Codec::Failed | Codec::Undecided { .. } => return Err(Fault::Corrupt),
            Codec::Inflate(_) | Codec::Brotli(_) | Codec::Zstd(_) => {}
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; STEP];
        }
        loop {
            let round = match &mut self.codec {
                Codec::Inflate(inflate) => inflate.step(input, &mut self.buffer),
                Codec::Brotli(state) => brotli_step(state, input, &mut self.buffer),
                Codec::Zstd(decoder) => zstd_step(decoder, input, &mut self.buffer),
                _ => return Ok(()),
            };
            input = input.get(round.taken..).unwrap_or_default();
            self.taken = self.taken.saturating_add(round.taken as u64);
            if round.given > 0 {
                self.given = self.given.saturating_add(round.given as u64);
                out(self.buffer.get(..round.given).unwrap_or_default())?;
                let bomb = self.given > FREE_OF_RATIO
                    && self.given / MAX_RATIO > self.taken.saturating_add(1);
                if bomb || self.given > self.cap {
                    self.codec = Codec::Failed;
                    return Err(Fault::Limit);
                }
            }
            match round.next {
                Next::Go => {}
                Next::Wait => return Ok(()),
                Next::Over => {
                    self.codec = Codec::Over;
                    return Ok(());
                }
                Next::Corrupt => {
                    self.codec = Codec::Failed;
                    return Err(Fault::Corrupt);
                }
            }
        }
    }
}

/// A zstd decoder, and whether it stands between frames.
struct Zstd {
    raw: ZstdDecoder<'static>,
    whole: bool,
}

/// One step of a codec.
pub(super) struct Round {
    pub(super) taken: usize,
    pub(super) given: usize,
    pub(super) next: Next,
}

pub(super) enum Next {
    /// There may be more output, or more input to take.
    Go,
    /// All that can be decoded was.
    Wait,
    Over,
    Corrupt,
}

/// Whether more bytes may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sniff {
    Early,
    Final,
}

/// The codec for a body that is labelled `coding` and begins with `held`; `None`: cannot tell yet.
fn decide(coding: Coding, held: &[u8], sniff: Sniff, share: &mut Share) -> Option<Codec> {
    let wait = sniff == Sniff::Early && held.len() < SNIFF;
    if held.iter().take(SNIFF).all(|&byte| is_text(byte)) {
        return (!wait).then_some(Codec::Plain);
    }
    // No raw deflate begins like gzip or zstd, so that the bytes know better than a label of these.
    let gzip = begins(held, &GZIP_MAGIC);
    let zstd = magic(held, is_zstd_magic, 4);
    let coding = match coding {
        Coding::Brotli | Coding::Unknown => coding,
        _ if gzip == Some(true) => Coding::Gzip,
        _ if zstd == Some(true) => Coding::Zstd,
        _ if sniff == Sniff::Early && (gzip.is_none() || zstd.is_none()) => return None,
        Coding::Gzip | Coding::Zstd if has_zlib_header(held) => Coding::Deflate,
        // Text that is not ASCII alone; the coding would have shown itself.
        Coding::Gzip | Coding::Zstd if is_utf8_text(held) => {
            return (!wait).then_some(Codec::Plain);
        }
        Coding::Gzip | Coding::Zstd => return Some(Codec::Failed),
        Coding::Deflate => Coding::Deflate,
    };
    match coding {
        Coding::Unknown => Some(Codec::Failed),
        Coding::Deflate if held.len() < 2 => (sniff == Sniff::Final).then_some(Codec::Failed),
        coding => {
            let needed = match coding {
                Coding::Brotli => memory::of_brotli(held),
                Coding::Zstd => match memory::of_zstd(held) {
                    Some(needed) => needed,
                    None if sniff == Sniff::Early => return None,
                    None => return Some(Codec::Failed),
                },
                _ => memory::of_inflate(),
            };
            Some(if share.take(needed) {
                open(coding, held)
            } else {
                Codec::Refused
            })
        }
    }
}

fn open(coding: Coding, held: &[u8]) -> Codec {
    match coding {
        Coding::Gzip => Codec::Inflate(Inflate::gzip()),
        Coding::Deflate if has_zlib_header(held) => Codec::Inflate(Inflate::zlib()),
        Coding::Deflate => Codec::Inflate(Inflate::bare()),
        Coding::Brotli => {
            let alloc = StandardAlloc::default;
            // Strict: a "large window" stream could ask for 1 GiB.
            Codec::Brotli(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
        }
        Coding::Zstd => match ZstdDecoder::new().and_then(|mut decoder| {
            decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))?;
            Ok(decoder)
        }) {
            Ok(raw) => Codec::Zstd(Box::new(Zstd { raw, whole: false })),
            Err(_) => Codec::Failed,
        },
        Coding::Unknown => Codec::Failed,
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)
}

/// Whether the first bytes are text in UTF-8; the last character may be cut.
fn is_utf8_text(held: &[u8]) -> bool {
    let begin = held.get(..SNIFF).unwrap_or(held);
    let text = match std::str::from_utf8(begin) {
        Ok(text) => text,
        Err(fault) if fault.error_len().is_none() => {
            let valid = begin.get(..fault.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.bytes().all(|byte| is_text(byte) || !byte.is_ascii())
}

/// Whether the first bytes are these; `None` while all of too few are.
fn begins(held: &[u8], expected: &[u8]) -> Option<bool> {
    let known = held.len().min(expected.len());
    if held.get(..known) != expected.get(..known) {
        return Some(false);
    }
    (known == expected.len()).then_some(true)
}

/// Whether the first bytes satisfy `expected`; `None` while all of too few do.
fn magic(held: &[u8], expected: fn(usize, u8) -> bool, length: usize) -> Option<bool> {
    let begin = held.iter().take(length);
    if !begin
        .enumerate()
        .all(|(index, &byte)| expected(index, byte))
    {
        return Some(false);
    }
    (held.len() >= length).then_some(true)
}

/// RFC 8878 §3.1.1 and §3.1.2: a frame, or a frame to be skipped.
fn is_zstd_magic(index: usize, byte: u8) -> bool {
    matches!(
        (index, byte),
        (0, 0x28 | 0x50..=0x5f) | (1, 0xb5 | 0x2a) | (2, 0x2f | 0x4d) | (3, 0xfd | 0x18)
    )
}

/// RFC 1950 §2.2. Without it the body is bare deflate, as some servers send it.
fn has_zlib_header(held: &[u8]) -> bool {
    match held {
        [first, second, ..] => {
            first & 0x0f == 8
                && first >> 4 <= 7
                && second & 0x20 == 0
                && u16::from_be_bytes([*first, *second]) % 31 == 0
        }
        _ => false,
    }
}

fn brotli_step(
    state: &mut BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    input: &[u8],
    output: &mut [u8],
) -> Round {
    let (mut left_in, mut taken) = (input.len(), 0);
    let (mut left_out, mut given) = (output.len(), 0);
    let mut total = 0;
    let result = BrotliDecompressStream(
        &mut left_in,
        &mut taken,
        input,
        &mut left_out,
        &mut given,
        output,
        &mut total,
        state,
    );
    let next = match result {
        BrotliResult::NeedsMoreInput => Next::Wait,
        BrotliResult::NeedsMoreOutput if taken > 0 || given > 0 => Next::Go,
        BrotliResult::ResultSuccess => Next::Over,
        BrotliResult::NeedsMoreOutput | BrotliResult::ResultFailure => Next::Corrupt,
    };
    Round { taken, given, next }
}

fn zstd_step(decoder: &mut Zstd, input: &[u8], output: &mut [u8]) -> Round {
    let room = output.len();
    let mut source = InBuffer::around(input);
    let mut target = OutBuffer::around(output);
    let result = decoder.raw.run(&mut source, &mut target);
    if !input.is_empty() {
        // What is left of the frame, by zstd's own reckoning.
        decoder.whole = matches!(result, Ok(0));
    }
    let (taken, given) = (source.pos(), target.pos());
    let next = match result {
        Ok(_) if given == room => Next::Go,
        Ok(_) if taken == input.len() => Next::Wait,
        Ok(_) if taken > 0 || given > 0 => Next::Go,
        Ok(_) | Err(_) => Next::Corrupt,
    };
    Round { taken, given, next }
}
