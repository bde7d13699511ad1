//! The chunked transfer coding (RFC 9112 §7.1), read as it comes.

use super::settings::{MAX_CHUNK_LINE, MAX_TRAILER_BYTES};

/// Where in the coding the next byte stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of the current size line or of the trailer section.
    held: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size; `digits` tells whether there was one.
    Size {
        value: u64,
        digits: Digits,
    },
    /// White space after the size.
    SizeEnd {
        value: u64,
    },
    /// In a chunk extension.
    Extension {
        value: u64,
    },
    /// CR was read in a size line.
    SizeLf {
        value: u64,
    },
    /// In a size line that cannot be read; the error is told at its end.
    BadLine,
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// In a line of the trailer section.
    Trailer {
        line: Line,
    },
    /// CR was read on an empty trailer line.
    TrailerLf,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digits {
    None,
    Some,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Empty,
    Started,
}

/// What the next bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A piece of the body.
    Data(&'a [u8]),
    /// All bytes are used; more are needed.
    More,
    /// The body and its trailers ended here.
    End,
    /// This is not the chunked coding; a line that cannot be read is used up.
    Invalid,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Size {
                value: 0,
                digits: Digits::None,
            },
            held: 0,
        }
    }

    /// Reads up to the next piece of the body. Gives how many bytes were used, and what they were.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> (usize, Step<'a>) {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            if let State::Data { left } = self.state {
                let rest = bytes.get(used..).unwrap_or_default();
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                self.state = match left.saturating_sub(take as u64) {
                    0 => State::DataCr,
                    left => State::Data { left },
                };
                return (
                    used + take,
                    Step::Data(rest.get(..take).unwrap_or_default()),
                );
            }
            used += 1;
            match self.frame(byte) {
                Frame::Go => {}
                Frame::End => return (used, Step::End),
                // The byte is not part of the coding; it may begin something else.
                Frame::InvalidBefore => return (used - 1, Step::Invalid),
                Frame::InvalidAfter => return (used, Step::Invalid),
            }
        }
        (used, Step::More)
    }

    /// Bytes of the current chunk's data that are still to come; `None` outside of data.
    pub(super) const fn left_in_chunk(&self) -> Option<u64> {
        match self.state {
            State::Data { left } => Some(left),
            _ => None,
        }
    }

    /// Passes over bytes of the current chunk's data.
    pub(super) const fn pass(&mut self, length: u64) {
        if let State::Data { left } = self.state {
            self.state = match left.saturating_sub(length) {
                0 => State::DataCr,
                left => State::Data { left },
            };
        }
    }

    /// One byte of the framing.
    fn frame(&mut self, byte: u8) -> Frame {
        self.held = self.held.saturating_add(1);
        let limit = match self.state {
            State::Trailer { .. } | State::TrailerLf => MAX_TRAILER_BYTES,
            _ => MAX_CHUNK_LINE,
        };
        if self.held > limit {
            return Frame::InvalidAfter;
        }
        let next = match (self.state, byte) {
            (State::Size { value, .. }, _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                // 2^64 and more cannot be a length; leading zeros are harmless.
                match value
                    .checked_mul(16)
                    .and_then(|value| value.checked_add(u64::from(digit)))
                {
                    Some(value) => State::Size {
                        value,
                        digits: Digits::Some,
                    },
                    None => State::BadLine,
                }
            }
            (
                State::Size {
                    digits: Digits::None,
                    ..
                },
                b'\r' | b'\n',
            ) => return Frame::InvalidBefore,
            (State::BadLine, b'\n') => return Frame::InvalidAfter,
            (
                State::Size {
                    digits: Digits::None,
                    ..
                }
                | State::BadLine,
                _,
            ) => State::BadLine,
            (
                State::Size { value, .. } | State::SizeEnd { value } | State::Extension { value },
                b'\r',
            ) => State::SizeLf { value },
            (
                State::Size { value, .. }
                | State::SizeEnd { value }
                | State::Extension { value }
                | State::SizeLf { value },
                b'\n',
            ) => self.chunk(value),
            (State::Size { value, .. } | State::SizeEnd { value }, b' ' | b'\t') => {
                State::SizeEnd { value }
            }
            (State::Size { value, .. } | State::SizeEnd { value }, b';')
            | (State::Extension { value }, _) => State::Extension { value },
            (State::Size { .. } | State::SizeEnd { .. } | State::SizeLf { .. }, _) => {
                State::BadLine
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr | State::DataLf, b'\n') => {
                self.held = 0;
                State::Size {
                    value: 0,
                    digits: Digits::None,
                }
            }
            (State::Trailer { line: Line::Empty }, b'\r') => State::TrailerLf,
            (State::Trailer { line: Line::Empty } | State::TrailerLf, b'\n') => {
                self.state = State::Over;
                return Frame::End;
            }
            (State::Trailer { .. }, b'\n') => State::Trailer { line: Line::Empty },
            (State::Trailer { .. } | State::TrailerLf, _) => State::Trailer {
                line: Line::Started,
            },
            (State::DataCr | State::DataLf | State::Over | State::Data { .. }, _) => {
                return Frame::InvalidBefore;
            }
        };
        self.state = next;
        Frame::Go
    }

    fn chunk(&mut self, size: u64) -> State {
        self.held = 0;
        match size {
            0 => State::Trailer { line: Line::Empty },
            left => State::Data { left },
        }
    }
}

enum Frame {
    Go,
    End,
    InvalidBefore,
    InvalidAfter,
}

/// What bytes that may begin a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A chunk, or the end of the body, beyond doubt.
    Sure,
    /// A size line; whether its chunk ends where it must is yet to be seen.
    Open,
    /// Neither.
    No,
}

/// Where a chunk begins in bytes that follow a hole, at their start or after a CRLF in them: the first
/// place where one does beyond doubt, or else the first where one may.
pub(super) fn find_boundary(bytes: &[u8]) -> Option<(usize, Boundary)> {
    let starts = memchr::memmem::find_iter(bytes, b"\r\n").map(|at| at + 2);
    let mut first = None;
    for at in std::iter::once(0).chain(starts) {
        match boundary(bytes.get(at..).unwrap_or_default()) {
            Boundary::Sure => return Some((at, Boundary::Sure)),
            Boundary::Open => {
                first.get_or_insert((at, Boundary::Open));
            }
            Boundary::No => {}
        }
    }
    first
}

/// Looks at bytes that may begin a chunk. A chunk is believed when the CRLF after its data stands where
/// its size says, with nothing but another size line behind it.
fn boundary(bytes: &[u8]) -> Boundary {
    let Some((size, rest)) = size_line(bytes) else {
        return Boundary::No;
    };
    let Some(rest) = rest else {
        return Boundary::No;
    };
    if size == 0 {
        return match rest {
            [b'\r', b'\n', ..] => Boundary::Sure,
            [] | [b'\r'] => Boundary::Open,
            _ => Boundary::No,
        };
    }
    let after = usize::try_from(size).ok().and_then(|size| rest.get(size..));
    match after {
        None | Some([] | [b'\r']) => Boundary::Open,
        Some([b'\r', b'\n', next @ ..]) if next.is_empty() || size_line(next).is_some() => {
            Boundary::Sure
        }
        Some(_) => Boundary::No,
    }
}

/// A size line and what follows it; nothing follows where the line is not all there. `None`: it is none.
fn size_line(bytes: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    let digits = bytes
        .iter()
        .take(MAX_SOUGHT_DIGITS + 1)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if digits > MAX_SOUGHT_DIGITS {
        return None;
    }
    let (size, rest) = bytes.split_at_checked(digits)?;
    let size = size.iter().try_fold(0_u64, |size, &byte| {
        let digit = (byte as char).to_digit(16)?;
        size.checked_mul(16)?.checked_add(u64::from(digit))
    })?;
    match rest {
        [b'\r', b'\n', rest @ ..] if digits > 0 => Some((size, Some(rest))),
        [] | [b'\r'] => Some((size, None)),
        // RFC 9112 §7.1.1; such a line is not sought, but may follow a chunk.
        [b';' | b' ', ..] if digits > 0 => Some((size, None)),
        _ => None,
    }
}

/// Digits of a chunk size that is believed in while searching for a boundary after a hole: 256 MiB.
const MAX_SOUGHT_DIGITS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, how it ended, and what was left over.
    fn read(pieces: &[&[u8]]) -> (String, &'static str, String) {
        let mut chunked = Chunked::new();
        let mut body = Vec::new();
        let mut end = "more";
        let mut rest = Vec::new();
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() && end == "more" {
                let (used, step) = chunked.next(piece);
                piece = &piece[used..];
                match step {
                    Step::Data(data) => body.extend_from_slice(data),
                    Step::More => {}
                    Step::End => end = "end",
                    Step::Invalid => end = "invalid",
                }
            }
            rest.extend_from_slice(piece);
        }
        (
            String::from_utf8(body).unwrap(),
            end,
            String::from_utf8(rest).unwrap(),
        )
    }

    #[test]
    fn bodies_at_every_split() {
        let long = "0".repeat(40);
        for (stream, body, end, rest) in [
            ("5\r\nhello\r\n0\r\n\r\nnext", "hello", "end", "next"),
            ("5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n", "hello", "end", ""),
            ("05 \t\r\nhello\r\n000\r\n\r\n", "hello", "end", ""),
            ("5\nhello\n0\n\n", "hello", "end", ""),
            (
                "a\r\n0123456789\r\nB\r\n0123456789x\r\n0\r\n\r\n",
                "01234567890123456789x",
                "end",
                "",
            ),
            (
                "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\nrest",
                "x",
                "end",
                "rest",
            ),
            ("10000000000000000\r\n\r\nGET", "", "invalid", "\r\nGET"),
            ("zz\r\nGET", "", "invalid", "GET"),
            ("-5\r\nGET", "", "invalid", "GET"),
            ("1\r\nxGET", "x", "invalid", "GET"),
            ("\r\nGET", "", "invalid", "\r\nGET"),
            ("5\r\nhel", "hel", "more", ""),
            (&format!("{long}1\r\nx\r\n0\r\n\r\n"), "x", "end", ""),
        ] {
            let bytes = stream.as_bytes();
            let expected = (body.to_owned(), end, rest.to_owned());
            assert_eq!(read(&[bytes]), expected, "{stream:?}");
            for cut in 0..bytes.len() {
                let (left, right) = bytes.split_at(cut);
                assert_eq!(read(&[left, right]), expected, "{stream:?} at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), expected, "{stream:?} byte by byte");
        }
    }

    #[test]
    fn lines_and_trailers_are_bounded() {
        let line = format!("1;{}", "x".repeat(MAX_CHUNK_LINE));
        assert_eq!(read(&[line.as_bytes()]).1, "invalid");
        let trailers = format!("0\r\n{}", "A: b\r\n".repeat(MAX_TRAILER_BYTES / 6 + 1));
        assert_eq!(read(&[trailers.as_bytes()]).1, "invalid");
    }

    #[test]
    fn boundaries_after_a_hole() {
        for (bytes, found) in [
            ("5\r\nhello\r\n", Some((0, Boundary::Sure))),
            ("\r\n5\r\nhello\r\n0\r\n\r\n", Some((2, Boundary::Sure))),
            ("tail\r\n5\r\nhel", Some((6, Boundary::Open))),
            ("tail\r\n5\r\nhello\r", Some((6, Boundary::Open))),
            ("tail\r\n5\r\nhello\r\n6;a=b\r", Some((6, Boundary::Sure))),
            ("tail\r\n0\r\n\r\n", Some((6, Boundary::Sure))),
            ("tail\r\n0\r\n", Some((6, Boundary::Open))),
            ("2\r\n is no size\r\n", None),
            ("5\r\nhello\r\nno size", None),
            ("a\r\n0123456789 2\r\n", None),
            ("12345678\r\nhello", None),
            ("0\r\nx", None),
            ("data: x\n\n", None),
            ("", None),
        ] {
            assert_eq!(find_boundary(bytes.as_bytes()), found, "{bytes:?}");
        }
        // A size line that may be text does not hide the chunk behind it.
        let both = find_boundary(b"feed\r\n5\r\nhello\r\n");
        assert_eq!(both, Some((6, Boundary::Sure)));
    }
}
