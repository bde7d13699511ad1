//! Message heads: where one ends, and what it says.
//!
//! The end of a head is found by its blank line, line by line as the bytes come, so that a head in
//! many pieces is read once. The fields are then read by httparse; where it refuses them (obs-fold,
//! a line that is no field), line by line, as leniently as the peers that take such heads.

use std::borrow::Cow;

use analyzer::exchange::{Headers, Version};

use crate::tcp::Side;

use super::protocol::{Protocol, Start, due_start, is_known_method, is_token};

/// Fields read without an allocation for their places.
const ORDINARY_FIELDS: usize = 64;

/// Finds the end of a head in a buffer that grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner {
    side: Side,
    line_start: usize,
    scanned: usize,
    lines: usize,
}

/// What a look at the bytes so far gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// The head is so many bytes long.
    Complete(usize),
    /// More bytes are needed.
    Incomplete,
    /// This is no HTTP/1 head.
    Invalid,
    /// This is another protocol.
    Other(Protocol),
}

impl Scanner {
    pub(super) const fn new(side: Side) -> Self {
        Self {
            side,
            line_start: 0,
            scanned: 0,
            lines: 0,
        }
    }

    /// Whether the start line was read, so that this is a head for sure.
    pub(super) const fn is_sure(&self) -> bool {
        self.lines > 0
    }

    /// `bytes` is all of the head that is there: what was given the last time, and more.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Scan {
        loop {
            let fresh = bytes.get(self.scanned..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', fresh) else {
                self.scanned = bytes.len();
                return if self.lines == 0 {
                    match due_start(self.side, bytes) {
                        Start::Head | Start::More => Scan::Incomplete,
                        Start::Other(protocol) => Scan::Other(protocol),
                        Start::No => Scan::Invalid,
                    }
                } else {
                    Scan::Incomplete
                };
            };
            let end = self.scanned + length;
            let line = trim_cr(bytes.get(self.line_start..end).unwrap_or_default());
            self.line_start = end + 1;
            self.scanned = end + 1;
            if self.lines == 0 {
                if let Start::Other(protocol) = due_start(self.side, bytes) {
                    return Scan::Other(protocol);
                }
                let version = match self.side {
                    Side::Client => request_line(line).map(|line| line.version),
                    Side::Server => status_line(line).map(|line| line.version),
                };
                match version {
                    None => return Scan::Invalid,
                    // RFC 1945 §4.1: a simple request is its line.
                    Some(Version::Http09) => return Scan::Complete(end + 1),
                    Some(_) => {}
                }
            } else if line.is_empty() {
                return Scan::Complete(end + 1);
            }
            self.lines = self.lines.saturating_add(1);
        }
    }
}

/// A request's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

/// Reads a request line. Spaces within the target are taken (proxies send them); a line without a
/// version is HTTP/0.9, and taken only with a registered method and an absolute path.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let line = trim_cr(line);
    let (method, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return None;
    }
    let rest = rest.trim_ascii();
    if rest.iter().any(u8::is_ascii_control) {
        return None;
    }
    match memchr::memrchr(b' ', rest) {
        Some(space) => {
            let (target, tail) = rest.split_at_checked(space)?;
            let version = version(tail.trim_ascii())?;
            let target = target.trim_ascii();
            (!target.is_empty()).then_some(RequestLine {
                method,
                target,
                version,
            })
        }
        None => (is_known_method(method) && rest.first() == Some(&b'/')).then_some(RequestLine {
            method,
            target: rest,
            version: Version::Http09,
        }),
    }
}

/// A response's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: u16,
}

/// Reads a status line; the reason may be missing.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine> {
    let line = trim_cr(line);
    let (name, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    let version = version(name)?;
    let mut digits = rest.trim_ascii_start().iter();
    let mut status = 0_u16;
    for _ in 0..3 {
        let digit = digits.next().filter(|byte| byte.is_ascii_digit())?;
        status = status * 10 + u16::from(digit - b'0');
    }
    let ends = digits
        .next()
        .is_none_or(|&byte| byte == b' ' || byte == b'\t');
    (ends && status >= 100).then_some(StatusLine { version, status })
}

/// The fields of a head, and what could not be taken of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) headers: Headers,
    /// Lines that are no field.
    pub(super) invalid: u64,
    /// Fields past the limit.
    pub(super) dropped: u64,
}

/// Reads the fields of a complete head: what stands between its first line and its blank line.
pub(super) fn fields(head: &[u8], limit: usize) -> Fields {
    let start = memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    let block = head.get(start..).unwrap_or_default();
    if block.is_empty() {
        return Fields::default();
    }
    let mut ordinary = [httparse::EMPTY_HEADER; ORDINARY_FIELDS];
    let places = limit.min(ORDINARY_FIELDS);
    let parsed = httparse::parse_headers(block, ordinary.get_mut(..places).unwrap_or_default());
    match parsed {
        Ok(httparse::Status::Complete((_, parsed))) => Fields {
            headers: parsed
                .iter()
                .map(|field| (field.name.to_owned(), lossy(field.value)))
                .collect(),
            ..Fields::default()
        },
        Ok(httparse::Status::Partial) | Err(_) => lenient_fields(block, limit),
    }
}

/// Text of the wire, with U+FFFD in place of bytes that are not UTF-8.
pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Fields one line at a time, any number of them up to the limit.
fn lenient_fields(block: &[u8], limit: usize) -> Fields {
    let mut read = Fields::default();
    let mut taken: Vec<(String, String)> = Vec::new();
    for line in block.split(|&byte| byte == b'\n') {
        let line = trim_cr(line);
        if line.is_empty() {
            continue;
        }
        // RFC 9112 §5.2: obs-fold stands for spaces. A fold of the first line is none.
        if matches!(line.first(), Some(b' ' | b'\t')) {
            match taken.last_mut() {
                Some((_, value)) if read.dropped == 0 => {
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(&String::from_utf8_lossy(line.trim_ascii()));
                }
                Some(_) => {}
                None => read.invalid += 1,
            }
            continue;
        }
        let Some((name, value)) = split_field(line) else {
            read.invalid += 1;
            continue;
        };
        if taken.len() == limit {
            read.dropped += 1;
            continue;
        }
        taken.push((name.into_owned(), lossy(value)));
    }
    read.headers = taken.into_iter().collect();
    read
}

fn split_field(line: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return None;
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    Some((String::from_utf8_lossy(name), value))
}

/// `HTTP/1.` and a digit; a later minor version is read as 1.1 (RFC 9110 §2.5).
fn version(name: &[u8]) -> Option<Version> {
    match name.strip_prefix(b"HTTP/1.")? {
        b"0" => Some(Version::Http10),
        [b'1'..=b'9'] => Some(Version::Http11),
        _ => None,
    }
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(&str, &str, &str)> {
        let line = request_line(text.as_bytes())?;
        Some((
            std::str::from_utf8(line.method).unwrap(),
            std::str::from_utf8(line.target).unwrap(),
            line.version.as_str(),
        ))
    }

    #[test]
    fn request_lines() {
        assert_eq!(line("GET / HTTP/1.1\r"), Some(("GET", "/", "1.1")));
        assert_eq!(line("GET  /a  HTTP/1.0"), Some(("GET", "/a", "1.0")));
        assert_eq!(
            line("CONNECT host:25 / HTTP/1.0"),
            Some(("CONNECT", "host:25 /", "1.0"))
        );
        assert_eq!(line("GET /old"), Some(("GET", "/old", "0.9")));
        for text in [
            "",
            "GET",
            "GET ",
            "GET HTTP/1.1",
            "T /x",
            "T / HTTP",
            "GET / HTTP/2.0",
            "GET / HTTP/1.",
            "G\u{1}T / HTTP/1.1",
            "GET /\0 HTTP/1.1",
            "HELO mail.example",
        ] {
            assert_eq!(line(text), None, "{text:?}");
        }
    }

    #[test]
    fn status_lines() {
        let status = |text: &str| status_line(text.as_bytes()).map(|line| line.status);
        assert_eq!(status("HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status("HTTP/1.0 404"), Some(404));
        assert_eq!(status("HTTP/1.1 429 \r"), Some(429));
        for text in [
            "HTTP/1.1",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 099",
            "HTTP/2 200",
        ] {
            assert_eq!(status(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_head_ends_at_its_blank_line_at_any_split() {
        for (side, head) in [
            (Side::Client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (Side::Client, "GET / HTTP/1.1\nHost: a\n\n"),
            (Side::Client, "GET /old\r\n"),
            (Side::Server, "HTTP/1.1 200 OK\r\n\r\n"),
        ] {
            let stream = format!("{head}GET body");
            assert_eq!(
                Scanner::new(side).advance(stream.as_bytes()),
                Scan::Complete(head.len())
            );
            let mut scanner = Scanner::new(side);
            for cut in 1..head.len() {
                let scan = scanner.advance(&stream.as_bytes()[..cut]);
                assert_eq!(scan, Scan::Incomplete, "{head:?} at {cut}");
            }
            let scan = scanner.advance(&stream.as_bytes()[..head.len()]);
            assert_eq!(scan, Scan::Complete(head.len()));
        }
    }

    #[test]
    fn fields_of_ordinary_and_odd_heads() {
        let read = |head: &str| {
            let read = fields(head.as_bytes(), 2_000);
            let list: Vec<String> = read
                .headers
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            (list.join("|"), read.invalid)
        };
        let first = "GET / HTTP/1.1\r\n";
        assert_eq!(
            read(&format!("{first}A: 1\r\nB:2\r\n\r\n")),
            ("A=1|B=2".into(), 0)
        );
        assert_eq!(
            read(&format!("{first}TE:\r\n chunked\r\nB: x\r\n\ty\r\n\r\n")),
            ("TE=chunked|B=x y".into(), 0)
        );
        assert_eq!(
            read(&format!("{first}Mozilla 4.0 (x)\r\nA : 1\r\n\r\n")),
            ("A=1".into(), 1)
        );
    }

    #[test]
    fn many_fields_and_too_many() {
        use std::fmt::Write as _;
        let mut head = String::from("GET / HTTP/1.1\r\n");
        for number in 0..150 {
            write!(head, "X-{number}: {number}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let all = fields(head.as_bytes(), 2_000);
        assert_eq!((all.headers.iter().count(), all.dropped), (150, 0));
        let some = fields(head.as_bytes(), 100);
        assert_eq!((some.headers.iter().count(), some.dropped), (100, 50));
        assert_eq!(some.headers.get("x-99"), Some("99"));
    }

    #[test]
    fn bad_utf8_is_replaced() {
        let read = fields(b"GET / HTTP/1.1\r\nA: \xff\r\n\r\n", 10);
        assert_eq!(read.headers.get("a"), Some("\u{fffd}"));
    }
}
