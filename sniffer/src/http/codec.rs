//! The one capped decompressor: one content coding, taken off as the bytes come.
//!
//! Whatever can be decoded from the bytes so far is handed on at once: a stream that is flushed per
//! event keeps its clocks. Checksums at the end are not compared: what was on the wire was on the
//! wire, and the end of a body may be missing.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::coding::Coding;

/// Decoded bytes for one coded byte past which a body is taken for a bomb. Text and vectors stay far
/// below it; deflate ends at 1,032, br and zstd go to 100,000 and more.
const MAX_RATIO: u64 = 200;
/// Decoded bytes that are allowed whatever the ratio.
const FREE_OF_RATIO: u64 = 8 * 1024 * 1024;
/// Bytes decoded at a time.
const STEP: usize = 16 * 1024;
/// The largest zstd window, as a power of two: 8 MiB, what RFC 9659 §3 allows on the web.
const ZSTD_WINDOW_LOG: u32 = 23;
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
}

impl Decompressor {
    /// `cap`: decoded bytes at most.
    pub(super) fn new(coding: Coding, cap: u64) -> Self {
        Self {
            codec: Codec::Undecided {
                coding,
                held: Vec::new(),
            },
            cap,
            taken: 0,
            given: 0,
            buffer: Vec::new(),
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
            let Some(codec) = decide(*coding, held, Sniff::Early) else {
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
            self.codec = decide(*coding, &held, Sniff::Final).unwrap_or(Codec::Failed);
            return self.decode(&held, out);
        }
        Ok(())
    }

    /// Whether the coded stream came to its end, checksums apart, or there is none.
    pub(super) const fn is_whole(&self) -> bool {
        match &self.codec {
            Codec::Plain | Codec::Over | Codec::Undecided { .. } => true,
            Codec::Inflate(inflate) => matches!(inflate.place, Place::Trailer(_) | Place::Between),
            Codec::Zstd(decoder) => decoder.whole,
            Codec::Brotli(_) | Codec::Failed => false,
        }
    }

    fn decode(&mut self, mut input: &[u8], out: Out<'_>) -> Result<(), Fault> {
        match self.codec {
            Codec::Plain => return out(input),
            Codec::Over => return Ok(()),
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
struct Round {
    taken: usize,
    given: usize,
    next: Next,
}

enum Next {
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
fn decide(coding: Coding, held: &[u8], sniff: Sniff) -> Option<Codec> {
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
        coding => Some(open(coding, held)),
    }
}

fn open(coding: Coding, held: &[u8]) -> Codec {
    match coding {
        Coding::Gzip => Codec::Inflate(Inflate::new(Wrap::Gzip(Header::START))),
        Coding::Deflate => Codec::Inflate(Inflate::new(if has_zlib_header(held) {
            Wrap::Zlib(2)
        } else {
            Wrap::Raw
        })),
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

/// Deflate in its wrappings: gzip (RFC 1952, any number of members), zlib (RFC 1950), none.
struct Inflate {
    raw: Decompress,
    wrap: Wrap,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrap {
    Gzip(Header),
    /// Header bytes that are still to be passed over.
    Zlib(u8),
    Raw,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Header,
    Data,
    /// Bytes of the trailer still to come.
    Trailer(u8),
    /// After a gzip member: another may follow.
    Between,
}

impl Inflate {
    fn new(wrap: Wrap) -> Self {
        Self {
            raw: Decompress::new(false),
            wrap,
            place: Place::Header,
        }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Round {
        let round = |taken, next| Round {
            taken,
            given: 0,
            next,
        };
        match self.place {
            Place::Header => self.header(input),
            Place::Data => self.data(input, output),
            Place::Trailer(left) => {
                let taken = input.len().min(usize::from(left));
                let left = left - taken as u8;
                if left > 0 {
                    self.place = Place::Trailer(left);
                    return round(taken, Next::Wait);
                }
                match self.wrap {
                    Wrap::Gzip(_) => {
                        self.place = Place::Between;
                        round(taken, Next::Go)
                    }
                    Wrap::Zlib(_) | Wrap::Raw => round(taken, Next::Over),
                }
            }
            Place::Between => match input.first() {
                None => round(0, Next::Wait),
                Some(0x1f) => {
                    self.raw.reset(false);
                    self.wrap = Wrap::Gzip(Header::START);
                    self.place = Place::Header;
                    round(0, Next::Go)
                }
                // Padding after the last member.
                Some(_) => round(input.len(), Next::Over),
            },
        }
    }

    fn header(&mut self, input: &[u8]) -> Round {
        let mut taken = 0;
        let next = loop {
            match &mut self.wrap {
                Wrap::Raw | Wrap::Zlib(0) => {
                    self.place = Place::Data;
                    break Next::Go;
                }
                Wrap::Gzip(header) if header.field == Field::Over => {
                    self.place = Place::Data;
                    break Next::Go;
                }
                wrap => {
                    let Some(&byte) = input.get(taken) else {
                        break Next::Wait;
                    };
                    taken += 1;
                    match wrap {
                        Wrap::Gzip(header) => {
                            if header.take(byte).is_err() {
                                break Next::Corrupt;
                            }
                        }
                        Wrap::Zlib(left) => *left -= 1,
                        Wrap::Raw => {}
                    }
                }
            }
        };
        Round {
            taken,
            given: 0,
            next,
        }
    }

    fn data(&mut self, input: &[u8], output: &mut [u8]) -> Round {
        let (before_in, before_out) = (self.raw.total_in(), self.raw.total_out());
        let status = self.raw.decompress(input, output, FlushDecompress::None);
        let taken = self.raw.total_in().saturating_sub(before_in) as usize;
        let given = self.raw.total_out().saturating_sub(before_out) as usize;
        let next = match status {
            Ok(Status::StreamEnd) => match self.wrap {
                Wrap::Raw => Next::Over,
                Wrap::Gzip(_) => {
                    self.place = Place::Trailer(8);
                    Next::Go
                }
                Wrap::Zlib(_) => {
                    self.place = Place::Trailer(4);
                    Next::Go
                }
            },
            Ok(_) if given == output.len() || (taken > 0 && taken < input.len()) => Next::Go,
            Ok(_) if taken == input.len() => Next::Wait,
            Ok(_) if given > 0 => Next::Go,
            // Neither took nor gave, with bytes to take and room to give: it never will.
            Ok(_) | Err(_) => Next::Corrupt,
        };
        Round { taken, given, next }
    }
}

/// A gzip member's header, byte by byte (RFC 1952 §2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    field: Field,
    flags: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Fixed(u8),
    ExtraLow,
    ExtraHigh(u8),
    Extra(u16),
    Name,
    Comment,
    Crc(u8),
    Over,
}

impl Header {
    const START: Self = Self {
        field: Field::Fixed(0),
        flags: 0,
    };
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        self.field = match self.field {
            Field::Fixed(0) if byte != 0x1f => return Err(Fault::Corrupt),
            Field::Fixed(1) if byte != 0x8b => return Err(Fault::Corrupt),
            Field::Fixed(2) if byte != 8 => return Err(Fault::Corrupt),
            Field::Fixed(3) if byte & Self::RESERVED != 0 => return Err(Fault::Corrupt),
            Field::Fixed(9) if self.flags & Self::EXTRA != 0 => Field::ExtraLow,
            Field::Fixed(9..) | Field::Extra(..=1) => self.after_extra(),
            Field::Fixed(at) => {
                if at == 3 {
                    self.flags = byte;
                }
                Field::Fixed(at + 1)
            }
            Field::ExtraLow => Field::ExtraHigh(byte),
            Field::ExtraHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.after_extra(),
                left => Field::Extra(left),
            },
            Field::Extra(left) => Field::Extra(left - 1),
            Field::Name if byte == 0 => self.after_name(),
            Field::Comment if byte == 0 => self.after_comment(),
            Field::Crc(..=1) | Field::Over => Field::Over,
            Field::Crc(left) => Field::Crc(left - 1),
            field @ (Field::Name | Field::Comment) => field,
        };
        Ok(())
    }

    const fn after_extra(self) -> Field {
        if self.flags & Self::NAME != 0 {
            Field::Name
        } else {
            self.after_name()
        }
    }

    const fn after_name(self) -> Field {
        if self.flags & Self::COMMENT != 0 {
            Field::Comment
        } else {
            self.after_comment()
        }
    }

    const fn after_comment(self) -> Field {
        if self.flags & Self::CRC != 0 {
            Field::Crc(2)
        } else {
            Field::Over
        }
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
