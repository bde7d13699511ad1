//! Content codings (RFC 9110 §8.4.1) taken off a body, one or several, with a cap on what is handed on.

use analyzer::exchange::Transfer;

use super::codec::{Decompressor, Fault, Out};
use super::memory::DecoderMemory;
use super::settings::MAX_CODINGS;

/// A content or transfer coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// gzip, x-gzip.
    Gzip,
    /// deflate: zlib by the standard, bare deflate by custom.
    Deflate,
    /// br.
    Brotli,
    /// zstd.
    Zstd,
    /// Not one of these.
    Unknown,
}

impl Coding {
    /// The coding of that name; `None` for identity.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("identity") => None,
            () if is("gzip") || is("x-gzip") => Some(Self::Gzip),
            () if is("deflate") => Some(Self::Deflate),
            () if is("br") => Some(Self::Brotli),
            () if is("zstd") => Some(Self::Zstd),
            () => Some(Self::Unknown),
        }
    }
}

/// Takes the codings off one body.
pub(super) struct Decoder {
    chain: Option<Vec<Decompressor>>,
    reading: Reading,
    /// Decoded bytes that may still be handed on.
    room: u64,
    undecoded: u64,
    /// Whether the body ended within its coding.
    cut: bool,
}

/// Whether the rest of the body is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is.
    On,
    /// It cannot be decoded.
    Corrupt,
    /// The cap was reached.
    Capped,
    /// Others that were being decoded held all the memory there is for it.
    Refused,
}

impl Decoder {
    /// `codings`: the one to be taken off first at the front. `cap`: decoded bytes at most. `most`: bytes that
    /// all decoders of this memory may hold.
    pub(super) fn new(codings: &[Coding], cap: u64, memory: &DecoderMemory, most: usize) -> Self {
        let (chain, reading) = if codings.is_empty() {
            (None, Reading::On)
        } else if codings.len() > MAX_CODINGS {
            (None, Reading::Corrupt)
        } else {
            let stage = |&coding| Decompressor::new(coding, cap, memory.share(most));
            (Some(codings.iter().map(stage).collect()), Reading::On)
        };
        Self {
            chain,
            reading,
            room: cap,
            undecoded: 0,
            cut: false,
        }
    }

    /// Decodes a piece of the body; `emit` gets what comes out, never an empty slice.
    pub(super) fn push(
        &mut self,
        piece: &[u8],
        transfer: &mut Transfer,
        emit: &mut dyn FnMut(&[u8]),
    ) {
        let before = transfer.decoded_bytes;
        let fault = match (self.reading, &mut self.chain) {
            (Reading::On, None) => {
                let given = give(&mut self.room, piece, transfer, emit);
                if given.is_err() {
                    self.reading = Reading::Capped;
                    let handed_on = transfer.decoded_bytes.saturating_sub(before);
                    let unread = (piece.len() as u64).saturating_sub(handed_on);
                    transfer.unread = transfer.unread.saturating_add(unread);
                }
                return;
            }
            (Reading::On, Some(stages)) => run(stages, piece, &mut |bytes| {
                give(&mut self.room, bytes, transfer, emit)
            }),
            _ => {
                self.pass(piece.len(), transfer);
                return;
            }
        };
        if let Err(fault) = fault {
            self.stop(fault);
            self.pass(piece.len(), transfer);
        }
    }

    /// The body is over: hands on what was held back.
    pub(super) fn finish(&mut self, transfer: &mut Transfer, emit: &mut dyn FnMut(&[u8])) {
        let (Reading::On, Some(chain)) = (self.reading, &mut self.chain) else {
            return;
        };
        let mut stages = chain.as_mut_slice();
        while let Some((stage, rest)) = stages.split_first_mut() {
            let held = stage.held();
            let result = stage.finish(&mut |bytes| {
                run(rest, bytes, &mut |bytes| {
                    give(&mut self.room, bytes, transfer, emit)
                })
            });
            if let Err(fault) = result {
                self.stop(fault);
                self.pass(held, transfer);
                return;
            }
            stages = rest;
        }
        self.cut = !chain.iter().all(Decompressor::is_whole);
    }

    /// Whether the body ended within its coding; told once.
    pub(super) const fn take_cut(&mut self) -> bool {
        std::mem::replace(&mut self.cut, false)
    }

    /// Bytes of the body are missing here.
    pub(super) fn gap(&mut self) {
        let plain = self
            .chain
            .as_ref()
            .is_none_or(|chain| chain.iter().all(Decompressor::is_plain));
        if self.reading == Reading::On && !plain {
            self.stop(Fault::Corrupt);
        }
    }

    /// How far the body was read.
    pub(super) const fn reading(&self) -> Reading {
        self.reading
    }

    /// Coded bytes that were seen and could not be decoded; told once.
    pub(super) fn take_undecoded(&mut self) -> u64 {
        std::mem::take(&mut self.undecoded)
    }

    fn stop(&mut self, fault: Fault) {
        self.reading = match fault {
            Fault::Corrupt => Reading::Corrupt,
            Fault::Limit => Reading::Capped,
            Fault::Memory => Reading::Refused,
        };
        // The windows are not needed any more.
        self.chain = None;
    }

    /// Passes over bytes that are not read. A piece in which decoding stopped counts whole.
    fn pass(&mut self, length: usize, transfer: &mut Transfer) {
        let length = length as u64;
        transfer.unread = transfer.unread.saturating_add(length);
        if self.reading != Reading::Capped {
            self.undecoded = self.undecoded.saturating_add(length);
        }
    }
}

/// Pushes bytes through what is left of the chain.
fn run(stages: &mut [Decompressor], bytes: &[u8], out: Out<'_>) -> Result<(), Fault> {
    match stages.split_first_mut() {
        None => out(bytes),
        Some((stage, rest)) => stage.push(bytes, &mut |bytes| run(rest, bytes, out)),
    }
}

/// Hands on as much as the cap allows.
fn give(
    room: &mut u64,
    bytes: &[u8],
    transfer: &mut Transfer,
    emit: &mut dyn FnMut(&[u8]),
) -> Result<(), Fault> {
    let take = usize::try_from(*room)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    *room = room.saturating_sub(take as u64);
    let piece = bytes.get(..take).unwrap_or_default();
    if !piece.is_empty() {
        transfer.decoded_bytes = transfer.decoded_bytes.saturating_add(take as u64);
        emit(piece);
    }
    if take < bytes.len() {
        return Err(Fault::Limit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(text, 3).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    struct Read {
        pieces: Vec<Vec<u8>>,
        transfer: Transfer,
        undecoded: u64,
        reading: Reading,
    }

    impl Read {
        fn text(&self) -> Vec<u8> {
            self.pieces.concat()
        }
    }

    fn read_capped(codings: &[Coding], pieces: &[&[u8]], cap: u64) -> Read {
        let memory = DecoderMemory::default();
        let mut decoder = Decoder::new(codings, cap, &memory, 1 << 30);
        let mut transfer = Transfer::default();
        let mut out = Vec::new();
        for piece in pieces {
            let mut now = Vec::new();
            decoder.push(piece, &mut transfer, &mut |bytes| {
                now.extend_from_slice(bytes);
            });
            out.push(now);
        }
        let mut last = Vec::new();
        decoder.finish(&mut transfer, &mut |bytes| last.extend_from_slice(bytes));
        out.push(last);
        Read {
            pieces: out,
            transfer,
            undecoded: decoder.take_undecoded(),
            reading: decoder.reading(),
        }
    }

    fn read(codings: &[Coding], pieces: &[&[u8]]) -> Read {
        read_capped(codings, pieces, 1 << 30)
    }

    const TEXT: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"hello hello\"}}]}\n\n";
    /// br at quality 11 of `BROTLI_TEXT`.
    const BROTLI: &str =
        "1b7a00f81d0976ec841bc7e04e2922b6576178c9a2d3071b70c01c68914d4477000cb83084f64a04e75203";

    fn brotli_text() -> Vec<u8> {
        format!("{{\"model\":\"x\",\"text\":\"{}\"}}", "ab".repeat(50)).into_bytes()
    }

    fn gzip_with_all_fields() -> Vec<u8> {
        let plain = gzip(TEXT);
        let mut out = plain[..3].to_vec();
        out.push(2 | 4 | 8 | 16);
        out.extend_from_slice(&plain[4..10]);
        out.extend_from_slice(b"\x03\0abcname\0comment\0\x12\x34");
        out.extend_from_slice(&plain[10..]);
        out
    }

    /// A name, the codings, the coded bytes and the text.
    type Case = (&'static str, Vec<Coding>, Vec<u8>, Vec<u8>);

    /// Found by fuzzing: where the decoder's window wraps with the last byte of a piece, a match is
    /// half written out, and there is room for the rest.
    #[test]
    fn nothing_is_held_back_where_the_window_wraps() {
        let coded = hex(concat!(
            "1f8b08000000000004ffedd0010d00000c8330adf76fe23616521cd0130102040810204080000102",
            "0408102090173048800001020408102040800001020408f4051c1220408000010204081020408000",
            "016f690187040810204080000102040810204080405fc021010204081020408000010204081020d0",
            "177048800001020408102040800001020408f4051c122040800001020408102040800001027d0408",
            "10204080000102040810204080405fc021",
        ));
        let bytes: Vec<&[u8]> = coded.chunks(1).collect();
        assert_eq!(read(&[Coding::Gzip], &bytes).text().len(), 32_795);
    }

    /// Each reads as its text, whole, at every split, and byte by byte.
    fn check(cases: Vec<Case>) {
        for (name, codings, coded, text) in cases {
            let whole = read(&codings, &[&coded]);
            assert_eq!(whole.text(), text, "{name}");
            assert_eq!(whole.transfer.unread, 0, "{name}");
            assert_eq!(whole.transfer.decoded_bytes, text.len() as u64, "{name}");
            assert_eq!(whole.reading, Reading::On, "{name}");
            for cut in 0..=coded.len() {
                let (left, right) = coded.split_at(cut);
                let split = read(&codings, &[left, right]);
                assert_eq!(split.text(), text, "{name} at {cut}");
            }
            let single: Vec<&[u8]> = coded.chunks(1).collect();
            assert_eq!(read(&codings, &single).text(), text, "{name} byte by byte");
        }
    }

    #[test]
    fn every_coding_at_every_split() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        let mut stored = deflate(TEXT);
        stored.extend_from_slice(b"junk");
        let cases: Vec<Case> = vec![
            ("plain", vec![], TEXT.to_vec(), TEXT.to_vec()),
            ("gzip", vec![Gzip], gzip(TEXT), TEXT.to_vec()),
            (
                "gzip fields",
                vec![Gzip],
                gzip_with_all_fields(),
                TEXT.to_vec(),
            ),
            (
                "members",
                vec![Gzip],
                [gzip(b"one "), gzip(b"two")].concat(),
                b"one two".to_vec(),
            ),
            (
                "padding",
                vec![Gzip],
                [gzip(TEXT), vec![0; 9]].concat(),
                TEXT.to_vec(),
            ),
            (
                "no trailer",
                vec![Gzip],
                gzip(TEXT)[..gzip(TEXT).len() - 8].to_vec(),
                TEXT.to_vec(),
            ),
            ("zlib", vec![Deflate], zlib(TEXT), TEXT.to_vec()),
            ("bare deflate", vec![Deflate], stored, TEXT.to_vec()),
            ("zstd", vec![Zstd], zstd(TEXT), TEXT.to_vec()),
            (
                "frames",
                vec![Zstd],
                [zstd(b"one "), zstd(b"two")].concat(),
                b"one two".to_vec(),
            ),
            ("br", vec![Brotli], hex(BROTLI), brotli_text()),
            ("two", vec![Brotli, Gzip], hex(BROTLI), brotli_text()),
            (
                "gzip on zstd",
                vec![Gzip, Zstd],
                gzip(&zstd(TEXT)),
                TEXT.to_vec(),
            ),
        ];
        check(cases);
    }

    #[test]
    fn wrong_labels_at_every_split() {
        use Coding::{Brotli, Deflate, Gzip, Unknown, Zstd};
        let cases: Vec<Case> = vec![
            ("mislabelled gzip", vec![Gzip], TEXT.to_vec(), TEXT.to_vec()),
            (
                "mislabelled deflate",
                vec![Deflate],
                TEXT.to_vec(),
                TEXT.to_vec(),
            ),
            (
                "mislabelled br",
                vec![Brotli],
                b"{}".to_vec(),
                b"{}".to_vec(),
            ),
            (
                "mislabelled zstd",
                vec![Zstd],
                b"(short)".to_vec(),
                b"(short)".to_vec(),
            ),
            (
                "gzip called deflate",
                vec![Deflate],
                gzip(TEXT),
                TEXT.to_vec(),
            ),
            ("gzip called zstd", vec![Zstd], gzip(TEXT), TEXT.to_vec()),
            ("zstd called gzip", vec![Gzip], zstd(TEXT), TEXT.to_vec()),
            ("zlib called gzip", vec![Gzip], zlib(TEXT), TEXT.to_vec()),
            (
                "coded once, labelled twice",
                vec![Gzip, Gzip],
                gzip(TEXT),
                TEXT.to_vec(),
            ),
            // Its client takes off one, too.
            (
                "coded twice, labelled once",
                vec![Gzip],
                gzip(&gzip(TEXT)),
                gzip(TEXT),
            ),
            (
                "text in UTF-8",
                vec![Gzip],
                "{\"a\":\"\u{4f60}\u{597d}\u{4e16}\u{754c}\"}".into(),
                "{\"a\":\"\u{4f60}\u{597d}\u{4e16}\u{754c}\"}".into(),
            ),
            ("a charset", vec![Unknown], TEXT.to_vec(), TEXT.to_vec()),
            ("empty", vec![Gzip], vec![], vec![]),
        ];
        check(cases);
    }

    #[test]
    fn a_coding_that_breaks_off_is_told() {
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        for (coding, coded) in [
            (Gzip, gzip(TEXT)),
            (Deflate, zlib(TEXT)),
            (Deflate, deflate(TEXT)),
            (Zstd, zstd(TEXT)),
            (Brotli, hex(BROTLI)),
        ] {
            for (length, cut) in [(coded.len(), false), (coded.len() - 12, true)] {
                let memory = DecoderMemory::default();
                let mut decoder = Decoder::new(&[coding], 1 << 20, &memory, 1 << 30);
                let mut transfer = Transfer::default();
                decoder.push(&coded[..length], &mut transfer, &mut |_| {});
                decoder.finish(&mut transfer, &mut |_| {});
                assert_eq!(decoder.take_cut(), cut, "{coding:?}, {length}");
                assert_eq!(decoder.reading(), Reading::On, "{coding:?}, {length}");
            }
        }
    }

    #[test]
    fn flushed_pieces_come_out_at_once() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut zstd = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        let events: [&[u8]; 3] = [
            b"data: {\"a\":1}\n\n",
            b"data: {\"b\":2}\n\n",
            b"data: [DONE]\n\n",
        ];
        let (mut gzipped, mut zstded) = (Vec::new(), Vec::new());
        for event in events {
            gzip.write_all(event).unwrap();
            gzip.flush().unwrap();
            gzipped.push(std::mem::take(gzip.get_mut()));
            zstd.write_all(event).unwrap();
            zstd.flush().unwrap();
            zstded.push(std::mem::take(zstd.get_mut()));
        }
        for (coding, pieces) in [(Coding::Gzip, gzipped), (Coding::Zstd, zstded)] {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            assert_eq!(read(&[coding], &slices).pieces[..3], events, "{coding:?}");
        }
        let pieces = [
            hex("030a80646174613a207b2261223a2268656c6c6f227d0a0a"),
            hex("a80000405a0144a44f2e224a30555903ce1a0c"),
            hex("68000040c043d65f3395755384e81285a6c60703"),
            hex("03"),
        ];
        let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let read = read(&[Coding::Brotli], &slices);
        assert_eq!(
            read.pieces[..3],
            [
                &b"data: {\"a\":\"hello\"}\n\n"[..],
                b"data: {\"a\":\" world\"}\n\n",
                b"data: [DONE]\n\n"
            ]
        );
    }

    #[test]
    fn damage_leaves_the_rest_unread() {
        let text: Vec<u8> = (0..40_000_u32)
            .flat_map(|n| (n * 7919).to_le_bytes())
            .collect();
        let mut coded = gzip(&text);
        let half = coded.len() / 2;
        coded[half..half + 64].fill(0xff);
        let (left, right) = coded.split_at(half);
        let read = read(&[Coding::Gzip], &[left, right, b"more"]);
        assert_eq!(read.reading, Reading::Corrupt);
        assert_eq!(read.transfer.unread, right.len() as u64 + 4);
        assert_eq!(read.undecoded, read.transfer.unread);
        let got = read.text();
        assert!(got.len() > 1_000 && text.starts_with(&got[..got.len() - 300]));
    }

    #[test]
    fn what_is_neither_coded_nor_text_is_unread() {
        // Too short to be told before its end.
        let short = read(&[Coding::Zstd], &[b"\x28\xb5"]);
        assert_eq!((short.text().len(), short.transfer.unread), (0, 2));
        for coding in [Coding::Gzip, Coding::Zstd, Coding::Unknown] {
            let read = read(&[coding], &[b"\x00\x01\x02\x03", b"rest"]);
            assert_eq!(
                (read.text().len(), read.transfer.unread),
                (0, 8),
                "{coding:?}"
            );
        }
        let deep = read(&[Coding::Gzip; 5], &[b"\x1f\x8b"]);
        assert_eq!(deep.transfer.unread, 2);
    }

    #[test]
    fn the_cap_and_the_guard_hold() {
        let zeros = vec![0; 20 << 20];
        for (coding, coded) in [
            (Coding::Gzip, gzip(&zeros)),
            (Coding::Deflate, deflate(&zeros)),
            (Coding::Zstd, zstd(&zeros)),
            (
                Coding::Brotli,
                hex(
                    "cbffff3f002400e2b14072effff8ffff078004401c1680eefd5ffeffff00900088c302d0bdff01",
                ),
            ),
        ] {
            let read = read(&[coding], &[&coded, b"more"]);
            let decoded = read.transfer.decoded_bytes;
            assert_eq!(read.reading, Reading::Capped, "{coding:?}");
            assert!(
                (8 << 20..9 << 20).contains(&decoded),
                "{coding:?}: {decoded}"
            );
            assert_eq!(read.undecoded, 0);
            let capped = read_capped(&[coding], &[&coded], 1_000);
            assert_eq!(capped.transfer.decoded_bytes, 1_000, "{coding:?}");
        }
        let plain = read_capped(&[], &[b"0123456789", b"abc"], 4);
        assert_eq!((plain.text(), plain.transfer.unread), (b"0123".to_vec(), 9));
        // An inner stage that gives nothing out must not let the outer one run on.
        let bomb = gzip(&gzip(b"").repeat(1 << 20));
        let read = read_capped(&[Coding::Gzip, Coding::Gzip], &[&bomb], 1 << 20);
        assert_eq!(read.reading, Reading::Capped);
    }

    #[test]
    fn decoders_share_their_memory() {
        let memory = DecoderMemory::default();
        let room = super::super::memory::of_inflate();
        let coded = gzip(b"a text");
        let mut transfer = Transfer::default();
        let mut read = || {
            let mut decoder = Decoder::new(&[Coding::Gzip], 10, &memory, room);
            decoder.push(&coded, &mut transfer, &mut |_| {});
            decoder
        };
        let (first, second) = (read(), read());
        assert_eq!(
            (first.reading(), second.reading()),
            (Reading::On, Reading::Refused)
        );
        drop(first);
        assert_eq!(read().reading(), Reading::On);
    }
}
