//! The size of a picture, read from the header of its file while its bytes pass in base64.
//!
//! PNG, GIF and WebP say it within their first 30 bytes, JPEG in the frame that comes after its
//! metadata. Nothing of a picture is kept but its size.

/// How many bytes of a JPEG are looked at: previews and colour profiles before the frame stay below.
pub(super) const MAX_LOOKED_AT: usize = 1 << 20;

/// How closely a picture is to be looked at, by the client's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// `low`
    Low,
    /// `high`, `auto`, or nothing said.
    #[default]
    High,
}

impl Detail {
    pub(super) fn of(word: &str) -> Self {
        if word == "low" { Self::Low } else { Self::High }
    }
}

/// What is known of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Width and height in pixels, where its bytes came along and said so.
    pub size: Option<(u32, u32)>,
    /// How closely it is to be looked at.
    pub detail: Detail,
}

/// Reads a picture's address, or its bytes in base64, in any pieces.
#[derive(Debug, Default)]
pub(super) struct Sniffer {
    pub(super) detail: Detail,
    stage: Stage,
    /// The beginning of the address, then of the file.
    head: Vec<u8>,
    /// Bits of base64 that make no whole byte yet.
    bits: u32,
    bit_count: u32,
    jpeg: Jpeg,
    looked_at: usize,
    size: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Whether this is an address is not known yet.
    #[default]
    Opening,
    /// Behind `data:`, before its comma.
    DataUrl,
    Base64,
    Jpeg,
    Over,
}

/// Where in a JPEG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Jpeg {
    #[default]
    Marker,
    Code,
    Length(Option<u8>, bool),
    Skip(u32),
    Frame(u8, [u8; 5]),
}

/// `https:`; base64 has no colon.
const LONGEST_SCHEME: usize = 6;

/// The header of each format but JPEG's is over by here.
const HEAD: usize = 30;

impl Sniffer {
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match self.stage {
                Stage::Over => return,
                Stage::Opening => self.opening(byte),
                Stage::DataUrl => {
                    if byte == b',' {
                        self.stage = Stage::Base64;
                    }
                }
                Stage::Base64 | Stage::Jpeg => self.base64(byte),
            }
        }
    }

    pub(super) fn finish(mut self) -> Picture {
        if self.stage == Stage::Opening {
            self.decode_opening();
        }
        Picture {
            size: self.size,
            detail: self.detail,
        }
    }

    fn opening(&mut self, byte: u8) {
        if self.head.is_empty() && byte.is_ascii_whitespace() {
            return;
        }
        self.head.push(byte);
        if self.head.eq_ignore_ascii_case(b"data:") {
            self.head.clear();
            self.stage = Stage::DataUrl;
        } else if byte == b':' {
            // Another scheme: the bytes are elsewhere.
            self.stage = Stage::Over;
        } else if self.head.len() >= LONGEST_SCHEME {
            self.decode_opening();
        }
    }

    /// It was no address: the bytes so far are base64.
    fn decode_opening(&mut self) {
        self.stage = Stage::Base64;
        for byte in std::mem::take(&mut self.head) {
            self.base64(byte);
        }
    }

    fn base64(&mut self, byte: u8) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\n' | b'\r' | b' ' => return,
            _ => {
                self.stage = Stage::Over;
                return;
            }
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.bit_count += 6;
        if self.bit_count >= 8 {
            self.bit_count -= 8;
            let whole = (self.bits >> self.bit_count) as u8;
            self.file(whole);
        }
    }

    /// The next byte of the file.
    fn file(&mut self, byte: u8) {
        self.looked_at += 1;
        if self.looked_at > MAX_LOOKED_AT {
            self.stage = Stage::Over;
        } else if self.stage == Stage::Jpeg {
            self.jpeg(byte);
        } else {
            self.head.push(byte);
            if self.head == [0xFF, 0xD8] {
                self.stage = Stage::Jpeg;
            } else if self.head.len() >= HEAD {
                self.size = size_of_head(&self.head);
                self.stage = Stage::Over;
            }
        }
    }

    fn jpeg(&mut self, byte: u8) {
        self.jpeg = match self.jpeg {
            Jpeg::Marker if byte == 0xFF => Jpeg::Code,
            Jpeg::Marker => {
                self.stage = Stage::Over;
                Jpeg::Marker
            }
            Jpeg::Code => match byte {
                0xFF => Jpeg::Code,
                // Markers without a segment.
                0x01 | 0xD0..=0xD8 => Jpeg::Marker,
                // Frames: all of C0 to CF but the tables and the extension among them.
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => Jpeg::Length(None, true),
                _ => Jpeg::Length(None, false),
            },
            Jpeg::Length(None, frame) => Jpeg::Length(Some(byte), frame),
            Jpeg::Length(Some(_), true) => Jpeg::Frame(0, [0; 5]),
            Jpeg::Length(Some(high), false) => {
                match u32::from(u16::from_be_bytes([high, byte])).saturating_sub(2) {
                    0 => Jpeg::Marker,
                    left => Jpeg::Skip(left),
                }
            }
            Jpeg::Skip(1) => Jpeg::Marker,
            Jpeg::Skip(left) => Jpeg::Skip(left - 1),
            // Precision, height, width.
            Jpeg::Frame(at, mut frame) => {
                if let Some(slot) = frame.get_mut(usize::from(at)) {
                    *slot = byte;
                }
                if at == 4 {
                    let [_, h1, h0, w1, w0] = frame;
                    let width = u16::from_be_bytes([w1, w0]);
                    let height = u16::from_be_bytes([h1, h0]);
                    self.size = whole(width.into(), height.into());
                    self.stage = Stage::Over;
                }
                Jpeg::Frame(at.saturating_add(1), frame)
            }
        };
    }
}

/// A picture has both.
fn whole(width: u32, height: u32) -> Option<(u32, u32)> {
    (width > 0 && height > 0).then_some((width, height))
}

/// The size that the first bytes of a PNG, GIF or WebP tell.
fn size_of_head(head: &[u8]) -> Option<(u32, u32)> {
    let at = |at: usize| head.get(at).copied().map(u32::from);
    let le16 = |n: usize| Some(at(n)? | at(n + 1)? << 8);
    let le24 = |n: usize| Some(le16(n)? | at(n + 2)? << 16);
    let be32 = |n: usize| Some(at(n)? << 24 | at(n + 1)? << 16 | at(n + 2)? << 8 | at(n + 3)?);
    if head.starts_with(b"\x89PNG\r\n\x1a\n") && head.get(12..16) == Some(b"IHDR") {
        return whole(be32(16)?, be32(20)?);
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return whole(le16(6)?, le16(8)?);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return match head.get(12..16)? {
            // Lossy: 14 bits each, behind the key frame's start code.
            b"VP8 " => whole(le16(26)? & 0x3FFF, le16(28)? & 0x3FFF),
            // Lossless: 14 bits each, less one, behind a signature.
            b"VP8L" => {
                let bits = le24(21)? | at(24)? << 24;
                whole((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            }
            // Extended: 24 bits each, less one.
            b"VP8X" => whole(le24(24)? + 1, le24(27)? + 1),
            _ => None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;

    use super::*;

    /// The size that is read from a text, in pieces of so many bytes.
    fn size(text: &str, piece: usize) -> Option<(u32, u32)> {
        let mut sniffer = Sniffer::default();
        for piece in text.as_bytes().chunks(piece) {
            sniffer.push(std::str::from_utf8(piece).unwrap());
        }
        sniffer.finish().size
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        file.extend(width.to_be_bytes());
        file.extend(height.to_be_bytes());
        file.extend([8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0]);
        file
    }

    fn jpeg(width: u16, height: u16, metadata: usize) -> Vec<u8> {
        let mut file = b"\xff\xd8".to_vec();
        let mut left = metadata;
        while left > 0 {
            let here = left.min(65_000);
            file.extend([0xff, 0xe1]);
            file.extend(u16::try_from(here + 2).unwrap().to_be_bytes());
            file.extend(std::iter::repeat_n(0xC0, here));
            left -= here;
        }
        file.extend(b"\xff\xdb\0\x04\x01\x02\xff\xff\xc2\0\x11\x08");
        file.extend(height.to_be_bytes());
        file.extend(width.to_be_bytes());
        file.extend([3, 1, 0x22, 0]);
        file
    }

    #[test]
    fn each_format_tells_its_size() {
        let mut gif = b"GIF89a\x40\x01\xf0\x00".to_vec();
        gif.extend([0; 30]);
        let mut lossy =
            b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a\x40\x01\xf0\0".to_vec();
        lossy.extend([0; 10]);
        let bits = (320u32 - 1) + ((240 - 1) << 14);
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend(bits.to_le_bytes());
        lossless.extend([0; 10]);
        let extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x3f\x01\0\xef\0\0".to_vec();
        for (name, file, expected) in [
            ("png", png(320, 240), Some((320, 240))),
            ("gif", gif, Some((320, 240))),
            ("webp, lossy", lossy, Some((320, 240))),
            ("webp, lossless", lossless, Some((320, 240))),
            ("webp, extended", extended, Some((320, 240))),
            ("jpeg", jpeg(320, 240, 0), Some((320, 240))),
            (
                "jpeg, long metadata",
                jpeg(4_000, 3_000, 200_000),
                Some((4_000, 3_000)),
            ),
            (
                "jpeg, endless metadata",
                jpeg(4_000, 3_000, MAX_LOOKED_AT),
                None,
            ),
            ("png without a size", png(0, 240), None),
            (
                "a PDF",
                b"%PDF-1.7 and so on, on and on and on".to_vec(),
                None,
            ),
        ] {
            let base64 = STANDARD.encode(&file);
            let url = format!("data:image/png;base64,{base64}");
            for piece in [1, 2, 3, 7, url.len()] {
                assert_eq!(size(&base64, piece), expected, "{name}, base64");
                assert_eq!(size(&url, piece), expected, "{name}, a data URL");
            }
        }
        assert_eq!(size("https://example.org/cat.png", 3), None);
        assert_eq!(size("", 1), None);
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "\\PC{0,80}", file in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut sniffer = Sniffer::default();
            sniffer.push(&text);
            sniffer.finish();
            let mut jpeg = vec![0xff, 0xd8];
            jpeg.extend(&file);
            for file in [&file, &jpeg] {
                let base64 = STANDARD.encode(file);
                prop_assert_eq!(size(&base64, 1), size(&base64, 100));
            }
        }
    }
}
