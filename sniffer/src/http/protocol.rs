//! What a connection speaks, told from the first bytes of either side.

use crate::tcp::Side;

use super::head;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1 (or 0.9).
    Http1,
    /// TLS: encrypted, nothing can be read.
    Tls,
    /// HTTP/2 in clear: by prior knowledge, or after an upgrade to h2c.
    Http2,
    /// A WebSocket, after its handshake.
    WebSocket,
    /// A tunnel: what follows a CONNECT that was granted.
    Tunnel,
    /// None of these.
    Unknown,
}

impl Protocol {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Http1,
        Self::Tls,
        Self::Http2,
        Self::WebSocket,
        Self::Tunnel,
        Self::Unknown,
    ];

    /// The name used in labels and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::WebSocket => "websocket",
            Self::Tunnel => "tunnel",
            Self::Unknown => "unknown",
        }
    }

    /// What a connection becomes that switches to the protocol named in an `Upgrade` field.
    pub(super) fn of_upgrade(upgrade: Option<&str>) -> Self {
        let name = upgrade.unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("websocket") {
            Self::WebSocket
        } else if name.eq_ignore_ascii_case("h2c") || name.eq_ignore_ascii_case("h2") {
            Self::Http2
        } else {
            Self::Unknown
        }
    }
}

/// What bytes in the place of a message's beginning are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The beginning of an HTTP/1 head, as far as can be told.
    Head,
    /// Too few bytes to tell.
    More,
    /// Another protocol.
    Other(Protocol),
    /// None of these.
    No,
}

/// What the HTTP/2 preface (RFC 9113 §3.4) begins with; longer than what an HTTP/1 line could share.
const PREFACE: &[u8] = b"PRI * HTTP/2";
/// The longest method accepted; the longest registered one has 17 letters, tests of others have more.
const MAX_METHOD: usize = 64;
/// The longest unregistered method believed in while searching a damaged stream.
const MAX_SOUGHT_METHOD: usize = 20;

/// Methods that are believed without a look at the rest of the line.
const METHODS: [&[u8]; 10] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE",
    b"QUERY",
];

pub(super) fn is_known_method(method: &[u8]) -> bool {
    METHODS.contains(&method)
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What the bytes are in a stream that is in step: a head is due here.
pub(super) fn due_start(side: Side, bytes: &[u8]) -> Start {
    match side {
        Side::Client => request_start(bytes, Trust::Due),
        Side::Server => response_start(bytes, Trust::Due),
    }
}

/// What the bytes are in a stream that is out of step, where a segment may begin with anything.
pub(super) fn sought_start(side: Side, bytes: &[u8]) -> Start {
    match side {
        Side::Client => request_start(bytes, Trust::Sought),
        Side::Server => response_start(bytes, Trust::Sought),
    }
}

/// Whether a segment of a connection joined late looks like a TLS record of any kind.
pub(super) fn is_tls_record(bytes: &[u8]) -> bool {
    match bytes {
        [20..=23, 3, 0..=4, high, low, _, ..] => {
            // RFC 8446 §5.2: 2^14 octets and up to 256 of expansion.
            let length = u16::from_be_bytes([*high, *low]);
            (1..=(1 << 14) + 256).contains(&length)
        }
        _ => false,
    }
}

/// Which end sends a segment that begins like this, where that can be told.
pub(super) fn sender_of(payload: &[u8]) -> Option<Side> {
    match payload {
        [22, 3, 0..=4, _, _, 1, ..] => return Some(Side::Client),
        [22, 3, 0..=4, _, _, 2, ..] => return Some(Side::Server),
        _ => {}
    }
    if payload.starts_with(b"HTTP/1.") {
        return Some(Side::Server);
    }
    match request_start(payload, Trust::Sought) {
        Start::Head => match memchr::memchr(b'\n', payload) {
            Some(end) => head::request_line(payload.get(..end).unwrap_or_default())
                .is_some()
                .then_some(Side::Client),
            None => Some(Side::Client),
        },
        Start::Other(Protocol::Http2) => Some(Side::Client),
        _ => None,
    }
}

/// How far bytes in the place of a head are believed to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The stream is in step: a head is due.
    Due,
    /// The stream is searched: they may be anything.
    Sought,
}

fn request_start(bytes: &[u8], trust: Trust) -> Start {
    if bytes.first() == Some(&22) {
        return hello_start(bytes, 1);
    }
    let common = bytes.len().min(PREFACE.len());
    if bytes.get(..common) == PREFACE.get(..common) {
        return if common == PREFACE.len() {
            Start::Other(Protocol::Http2)
        } else {
            Start::More
        };
    }
    let longest = match trust {
        Trust::Due => MAX_METHOD,
        Trust::Sought => MAX_SOUGHT_METHOD,
    };
    let Some(end) = bytes.iter().position(|&byte| !is_token(byte)) else {
        let believable = trust == Trust::Due || bytes.iter().all(u8::is_ascii_uppercase);
        return if bytes.len() <= longest && believable {
            Start::More
        } else {
            Start::No
        };
    };
    let (method, rest) = bytes.split_at_checked(end).unwrap_or_default();
    if end == 0 || end > longest || rest.first() != Some(&b' ') {
        return Start::No;
    }
    if trust == Trust::Due || is_known_method(method) {
        return Start::Head;
    }
    let named = method
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte));
    match rest.get(1) {
        _ if !named => Start::No,
        None => Start::More,
        Some(b'/' | b'*' | b'h') => Start::Head,
        Some(_) => Start::No,
    }
}

fn response_start(bytes: &[u8], trust: Trust) -> Start {
    // Servers of old answer in lower case, or with other versions.
    let version: &[u8] = match trust {
        Trust::Due => b"HTTP/",
        Trust::Sought => b"HTTP/1.",
    };
    match bytes.first() {
        Some(22) => return hello_start(bytes, 2),
        // An alert instead of a ServerHello.
        Some(21) => return hello_start(bytes, 0),
        _ => {}
    }
    let common = bytes.len().min(version.len());
    let (begin, form) = (bytes.get(..common), version.get(..common));
    let same = match (trust, begin, form) {
        (Trust::Due, Some(begin), Some(form)) => begin.eq_ignore_ascii_case(form),
        _ => begin == form,
    };
    match (same, common == version.len()) {
        (false, _) => Start::No,
        (true, true) => Start::Head,
        (true, false) => Start::More,
    }
}

/// A TLS record (RFC 8446 §5.1) with a handshake message of one type; type 0 takes any content.
fn hello_start(bytes: &[u8], kind: u8) -> Start {
    match bytes {
        [_, 3, 0..=4, _, _, first, ..] if kind == 0 || *first == kind => {
            Start::Other(Protocol::Tls)
        }
        [_] | [_, 3] | [_, 3, 0..=4] | [_, 3, 0..=4, _] | [_, 3, 0..=4, _, _] => Start::More,
        _ => Start::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders() {
        let client: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\n",
            b"POST /v1/chat/comple",
            b"QUERY /users HTTP/1.1\r\n",
            b"BREW /pot HTTP/1.1\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        for payload in client {
            assert_eq!(sender_of(payload), Some(Side::Client), "{payload:?}");
        }
        let server: [&[u8]; 2] = [b"HTTP/1.1 200 OK\r\n", b"\x16\x03\x03\x00\x7a\x02\x00"];
        for payload in server {
            assert_eq!(sender_of(payload), Some(Side::Server), "{payload:?}");
        }
        let neither: [&[u8]; 6] = [
            b"",
            b"{\"model\":",
            b"GET well soon\r\n",
            b"220 mail.example ESMTP\r\n",
            b"Hello world",
            b"data: {}\n\n",
        ];
        for payload in neither {
            assert_eq!(sender_of(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn a_start_is_told_at_any_split() {
        for (side, bytes, start) in [
            (Side::Client, &b"GET / HTTP/1.1"[..], Start::Head),
            (Side::Client, b"PROPFIND /x HTTP/1.1", Start::Head),
            (
                Side::Client,
                b"PRI * HTTP/2.0\r\n",
                Start::Other(Protocol::Http2),
            ),
            (
                Side::Client,
                b"\x16\x03\x01\x00\x10\x01",
                Start::Other(Protocol::Tls),
            ),
            (
                Side::Server,
                b"\x16\x03\x01\x00\x10\x02",
                Start::Other(Protocol::Tls),
            ),
            (
                Side::Server,
                b"\x15\x03\x01\x00\x02\x02\x28",
                Start::Other(Protocol::Tls),
            ),
            (Side::Server, b"HTTP/1.1 200", Start::Head),
            (Side::Server, b"220 smtp", Start::No),
            (Side::Client, b"\xdd\0\0", Start::No),
        ] {
            let mut found = Start::More;
            for cut in 1..=bytes.len() {
                found = due_start(side, &bytes[..cut]);
                if found != Start::More {
                    break;
                }
            }
            assert_eq!(found, start, "{bytes:?}");
            assert_eq!(due_start(side, bytes), start, "{bytes:?}");
        }
    }

    #[test]
    fn records() {
        assert!(is_tls_record(b"\x17\x03\x03\x01\x00abc"));
        assert!(!is_tls_record(b"\x17\x03\x03\xff\xffabc"));
        assert!(!is_tls_record(b"data: x"));
    }
}
