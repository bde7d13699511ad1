//! What a run of base64 is: by what introduces it, and by how it begins.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use super::payload::{LONG, Leave, SHORT};

/// Different characters that a long run must have: base64 has 64, DNA 4, hexadecimal 16 or 22.
const MIXED: u32 = 40;

/// Whether the run is data to be replaced, and of what media type, as far as it is known.
pub(super) fn media(before: &[u8], characters: &[u8], leave: Leave) -> Option<String> {
    let url = data_url(before);
    let said = url.clone().filter(|media| !media.is_empty());
    let media = said.or_else(|| sniff(characters).map(str::to_owned));
    let field = field(before);
    let vector = field == Some(b"embedding") && characters.len() >= LONG;
    let wanted = match leave {
        Leave::Images => media
            .as_ref()
            .is_some_and(|media| media.starts_with("image/")),
        Leave::All => {
            let named = field.is_some_and(|field| FIELDS.contains(&field));
            media.is_some() || url.is_some() || named || is_mixed(characters)
        }
    };
    (wanted || vector).then(|| media.unwrap_or_default())
}

/// Fields of the wire APIs that hold base64 and nothing else.
const FIELDS: [&[u8]; 7] = [
    b"data",
    b"b64_json",
    b"partial_image_b64",
    b"file_data",
    b"bytesBase64Encoded",
    b"imageBytes",
    b"audioContent",
];

/// The media type of the `data:` URL that ends here, empty where it names none.
fn data_url(before: &[u8]) -> Option<String> {
    let head = before.strip_suffix(b"base64,")?;
    let start = memchr::memmem::rfind(head, b"data:")?;
    let head = head.get(start + b"data:".len()..)?;
    let media = head.split(|b| *b == b';').next()?;
    let media: Vec<u8> = media.iter().copied().filter(|b| *b != b'\\').collect();
    let plain = media
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(b));
    plain.then(|| String::from_utf8_lossy(&media).into_owned())
}

/// The field whose string begins here.
fn field(before: &[u8]) -> Option<&[u8]> {
    let key = before.strip_suffix(b"\"")?.trim_ascii_end();
    let key = key
        .strip_suffix(b":")?
        .trim_ascii_end()
        .strip_suffix(b"\"")?;
    let start = memchr::memrchr(b'"', key)?;
    key.get(start + 1..)
}

/// The media type by the first bytes.
fn sniff(characters: &[u8]) -> Option<&'static str> {
    let mut bytes = [0; 24];
    let first = characters.get(..SHORT)?;
    let length = STANDARD_NO_PAD.decode_slice(first, &mut bytes).ok()?;
    Some(match bytes.get(..length)? {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => "audio/wav",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "image/tiff",
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => "image/bmp",
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => "image/avif",
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'h' | b'm',
            b'e' | b'i',
            b'i' | b'f',
            ..,
        ] => "image/heic",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        [b'I', b'D', b'3', ..] => "audio/mpeg",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "video/webm",
        [b'P', b'K', 3, 4, ..] => "application/zip",
        _ => return None,
    })
}

/// Whether a long run has as many different characters as data has.
fn is_mixed(characters: &[u8]) -> bool {
    if characters.len() < LONG {
        return false;
    }
    let seen = characters
        .iter()
        .fold(0_u128, |seen, b| seen | 1 << (b & 0x7F));
    seen.count_ones() >= MIXED
}
