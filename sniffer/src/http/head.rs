//! Message heads: where one ends, and what it says.
//!
//! The end of a head is found by its blank line, line by line as the bytes come, so that a head in
//! many pieces is read once. The fields are then read by httparse; where it refuses them (obs-fold,
//! a line that is no field), line by line, as leniently as the peers that take such heads.
//!
//! In a stream that is out of step a head is sought among bytes that may be anything, such as a prompt
//! that quotes HTTP. There every line must be what RFC 9112 makes it, and nothing is forgiven.

use std::borrow::Cow;

use analyzer::exchange::{Headers, Version};

use crate::tcp::Side;

use super::protocol::{Protocol, Start, Trust, due_start, is_known_method, is_token, sought_start};

/// Fields read without an allocation for their places.
const ORDINARY_FIELDS: usize = 64;
/// Bytes of the first line of a head that is believed in a search: what servers take of a request line.
const MAX_SOUGHT_LINE: usize = 16 * 1024;
/// Bytes of a reason phrase that is believed in a search. The longest registered one has 31.
const MAX_SOUGHT_REASON: usize = 128;
/// Digits of each part of a version.
const MAX_VERSION_DIGITS: usize = 3;

/// Finds the end of a head in a buffer that grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner {
    side: Side,
    trust: Trust,
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
    pub(super) const fn new(side: Side, trust: Trust) -> Self {
        Self {
            side,
            trust,
            line_start: 0,
            scanned: 0,
            lines: 0,
        }
    }

    /// Whether the start line was read, so that this is a head for sure; in a search, whether a field
    /// came behind it.
    pub(super) const fn is_sure(&self) -> bool {
        match self.trust {
            Trust::Due => self.lines > 0,
            Trust::Sought => self.lines > 1,
        }
    }

    /// Whether the start line was read.
    pub(super) const fn is_begun(&self) -> bool {
        self.lines > 0
    }

    /// `bytes` is all of the head that is there: what was given the last time, and more.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Scan {
        loop {
            let fresh = bytes.get(self.scanned..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', fresh) else {
                self.scanned = bytes.len();
                return if self.lines == 0 {
                    match self.start(bytes) {
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
                    Some(_) if self.trust == Trust::Sought && !is_exact(self.side, line) => {
                        return Scan::Invalid;
                    }
                    // RFC 1945 §4.1: a simple request is its line.
                    Some(Version::Http09) => return Scan::Complete(end + 1),
                    Some(_) => {}
                }
            } else if line.is_empty() {
                return Scan::Complete(end + 1);
            } else if self.trust == Trust::Sought && !is_field_line(line) {
                return Scan::Invalid;
            }
            self.lines = self.lines.saturating_add(1);
        }
    }

    /// What a first line is that is not all there.
    fn start(&self, bytes: &[u8]) -> Start {
        match self.trust {
            Trust::Due => due_start(self.side, bytes),
            Trust::Sought if may_become_exact(self.side, bytes) => sought_start(self.side, bytes),
            Trust::Sought => Start::No,
        }
    }
}

/// Whether a first line is what RFC 9112 §3 and §4 make it, with a version of HTTP/1.
pub(super) fn is_exact(side: Side, line: &[u8]) -> bool {
    let line = trim_cr(line);
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return false;
    };
    match side {
        Side::Client => {
            is_target(second) && parts.next().is_some_and(is_http1) && line.len() <= MAX_SOUGHT_LINE
        }
        Side::Server => {
            let reason = parts.next().unwrap_or_default();
            is_http1(first)
                && second.len() == 3
                && second.iter().all(u8::is_ascii_digit)
                && is_reason(reason)
        }
    }
}

/// Whether a first line that goes on after `bytes` can still be exact.
fn may_become_exact(side: Side, bytes: &[u8]) -> bool {
    let line = trim_cr(bytes);
    let parts: Vec<&[u8]> = line.splitn(3, |&byte| byte == b' ').collect();
    match (side, parts.as_slice()) {
        (Side::Client, [_, target, version]) => {
            let form = b"HTTP/1.1";
            let known = form.len().min(version.len()).min(7);
            is_target(target)
                && version.len() <= form.len()
                && version.get(..known) == form.get(..known)
        }
        (Side::Client, [_, target]) => {
            line.len() <= MAX_SOUGHT_LINE && (target.is_empty() || is_target(target))
        }
        (Side::Server, [version, status, reason]) => {
            is_http1(version)
                && status.len() == 3
                && status.iter().all(u8::is_ascii_digit)
                && is_reason(reason)
        }
        (Side::Server, [_, status]) => status.len() <= 3 && status.iter().all(u8::is_ascii_digit),
        _ => true,
    }
}

fn is_target(target: &[u8]) -> bool {
    !target.is_empty()
        && !target
            .iter()
            .any(|byte| byte.is_ascii_control() || b"\"<>\\".contains(byte))
}

/// Quotes and escapes are those of a text that quotes HTTP.
fn is_reason(reason: &[u8]) -> bool {
    let quoted = |byte: &u8| byte.is_ascii_control() || b"\"\\".contains(byte);
    reason.len() <= MAX_SOUGHT_REASON && !reason.iter().any(quoted)
}

fn is_http1(version: &[u8]) -> bool {
    matches!(
        version,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9']
    )
}

/// Whether a line of a head is a field (RFC 9112 §5), or goes on with one.
fn is_field_line(line: &[u8]) -> bool {
    let folded = matches!(line.first(), Some(b' ' | b'\t'));
    let name = memchr::memchr(b':', line).and_then(|colon| line.get(..colon));
    folded || name.is_some_and(|name| !name.is_empty() && name.iter().all(|&byte| is_token(byte)))
}

/// A request's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

/// Reads a request line. Spaces within the target are taken (proxies send them); a line without a
/// version is HTTP/0.9, and taken only with a registered method and an absolute path, or where the
/// space before the version is what is missing. A target may be missing before a version.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let line = trim_cr(line);
    let (method, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return None;
    }
    let rest = rest.trim_ascii();
    // Where a version tells that this is a request, controls in its target are taken: Zeek does, too.
    let controls = rest.iter().any(u8::is_ascii_control);
    if rest.iter().any(|byte| matches!(byte, 0 | b'\r')) {
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
        None if is_known_method(method)
            && let Some(version) = version(rest) =>
        {
            Some(RequestLine {
                method,
                target: b"",
                version,
            })
        }
        None if controls => None,
        None => {
            let simple = is_known_method(method) && rest.first() == Some(&b'/');
            (simple || rest.starts_with(b"/HTTP/1.")).then_some(RequestLine {
                method,
                target: rest,
                version: Version::Http09,
            })
        }
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

/// `HTTP/` and two numbers, in any case. Whatever the numbers, the message has the form of HTTP/1, else
/// it could not be read: a later version is read as 1.1 (RFC 9110 §2.5), an earlier one as 1.0.
fn version(name: &[u8]) -> Option<Version> {
    let (form, numbers) = name.split_at_checked(5)?;
    if !form.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    let (major, minor) = numbers.split_at_checked(memchr::memchr(b'.', numbers)?)?;
    let minor = minor.get(1..)?;
    let is_number = |digits: &[u8]| {
        (1..=MAX_VERSION_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
    };
    if !is_number(major) || !is_number(minor) {
        return None;
    }
    let is_zero = |digits: &[u8]| digits.iter().all(|&digit| digit == b'0');
    let early = is_zero(major) || (major == b"1" && is_zero(minor));
    Some(if early {
        Version::Http10
    } else {
        Version::Http11
    })
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
        assert_eq!(line("GET  HTTP/1.1"), Some(("GET", "", "1.1")));
        assert_eq!(line("BREW /HTTP/1.1"), Some(("BREW", "/HTTP/1.1", "0.9")));
        assert_eq!(line("GET / http/1.1"), Some(("GET", "/", "1.1")));
        assert_eq!(
            line("GET /\u{1b}[1m HTTP/1.1"),
            Some(("GET", "/\u{1b}[1m", "1.1"))
        );
        assert_eq!(line("GET / HTTP/2.0"), Some(("GET", "/", "1.1")));
        assert_eq!(line("GET / HTTP/0.9"), Some(("GET", "/", "1.0")));
        for text in [
            "",
            "GET",
            "GET ",
            "BREW HTTP/1.1",
            "T /x",
            "T / HTTP",
            "GET / HTTP/2",
            "GET / HTTP/1.",
            "GET / HTTP/1.1111",
            "G\u{1}T / HTTP/1.1",
            "GET /\0 HTTP/1.1",
            "GET /\u{1}",
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
                Scanner::new(side, Trust::Due).advance(stream.as_bytes()),
                Scan::Complete(head.len())
            );
            let mut scanner = Scanner::new(side, Trust::Due);
            for cut in 1..head.len() {
                let scan = scanner.advance(&stream.as_bytes()[..cut]);
                assert_eq!(scan, Scan::Incomplete, "{head:?} at {cut}");
            }
            let scan = scanner.advance(&stream.as_bytes()[..head.len()]);
            assert_eq!(scan, Scan::Complete(head.len()));
        }
    }

    #[test]
    fn in_a_search_nothing_is_forgiven() {
        let scan = |side, bytes: &str| {
            let whole = Scanner::new(side, Trust::Sought).advance(bytes.as_bytes());
            let mut scanner = Scanner::new(side, Trust::Sought);
            let pieces = (1..=bytes.len()).map(|cut| scanner.advance(&bytes.as_bytes()[..cut]));
            let piecewise = pieces
                .into_iter()
                .find(|scan| *scan != Scan::Incomplete)
                .unwrap_or(Scan::Incomplete);
            assert_eq!(piecewise, whole, "{bytes:?}");
            whole
        };
        for (side, head) in [
            (Side::Client, "POST /v1 HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
            (Side::Client, "BREW http://a/b HTTP/1.0\nA:\n\n"),
            (Side::Server, "HTTP/1.1 200\r\nA: b\r\n\r\n"),
            (Side::Server, "HTTP/1.0 404 Not Found\r\n\r\n"),
        ] {
            assert_eq!(scan(side, head), Scan::Complete(head.len()), "{head:?}");
        }
        for (side, text) in [
            (Side::Client, "POST /v1 is how it begins"),
            (Side::Client, "POST /v1/chat\\r\\nHost: a"),
            (Side::Client, "GET /a\",\"b\":1} HTTP/1.1\r\n"),
            (Side::Client, "GET /a HTTP/1.1 and more\r\n"),
            (Side::Client, "GET /a HTTP/1.1\r\nthen it says\r\n"),
            (Side::Client, "GET /a  HTTP/1.1\r\n"),
            (Side::Server, "HTTP/1.1 means"),
            (Side::Server, "HTTP/1.1 200 OK\r\nand so on: it"),
            (Side::Server, "HTTP/1.1 2000"),
        ] {
            let scan = scan(side, &format!("{text}\r\n"));
            assert_eq!(scan, Scan::Invalid, "{text:?}");
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
