//! The contract: the events that the analyzer accepts, whoever took the traffic.
//!
//! One HTTP exchange (a request and its response) is a stream of [`Event`]s with one
//! [`ExchangeId`]: [`EventKind::Begin`] first, [`EventKind::End`] last, in between heads, pieces of
//! bodies and gaps in the order in which they were read. Bodies arrive decoded (transfer framing and
//! content coding taken off), in pieces, each with the time of the packet that brought it; never
//! whole. Request and response events may interleave (an answer can begin before the request's end),
//! and exchanges of one connection may overlap (pipelining).
//!
//! What may be missing: a request that was lost leaves an exchange with no [`EventKind::RequestHead`],
//! a response that was lost or never came one with no [`EventKind::ResponseHead`]. `Begin` and `End`
//! always come.

use std::{borrow::Cow, fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Names one exchange within one run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExchangeId {
    /// The connection's number; unique within one run.
    pub connection: u64,
    /// The exchange's number on its connection, from 0.
    pub number: u32,
}

/// Where an exchange was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Packets mirrored by the eBPF program.
    Ebpf,
    /// Packets taken live through libpcap.
    Pcap,
    /// Packets read from a capture file.
    File,
    /// A record sent to `POST /api/report`.
    Report,
    /// Rows taken over from elsewhere.
    Import,
}

impl Source {
    /// The name used in rows and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ebpf => "ebpf",
            Self::Pcap => "pcap",
            Self::File => "file",
            Self::Report => "report",
            Self::Import => "import",
        }
    }
}

/// One thing that happened in one exchange. Pieces of bodies are borrowed where they can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event<'a> {
    /// The exchange that it belongs to.
    pub id: ExchangeId,
    /// What happened.
    #[serde(borrow)]
    pub kind: EventKind<'a>,
}

/// What happened. See the module's text for the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind<'a> {
    /// The first event of every exchange.
    Begin(Begin),
    /// The request's head, complete.
    RequestHead(RequestHead),
    /// A decoded piece of the request's body, never empty.
    RequestBody {
        /// The bytes.
        #[serde(borrow, with = "body_bytes")]
        bytes: Cow<'a, [u8]>,
        /// When they were all there: the latest packet time in the request up to their last byte.
        time: Timestamp,
    },
    /// The request's last byte (framing included) was read, whole or after gaps.
    RequestEnd {
        /// The time of that byte; the latest packet time in the request.
        time: Timestamp,
    },
    /// The final response head (not a 1xx other than 101), complete.
    ResponseHead(ResponseHead),
    /// A decoded piece of the response's body, never empty.
    ResponseBody {
        /// The bytes.
        #[serde(borrow, with = "body_bytes")]
        bytes: Cow<'a, [u8]>,
        /// When they were all there: the latest packet time in the response up to their last byte.
        time: Timestamp,
    },
    /// Bytes of the exchange that were not seen (or could not be decoded); what follows comes after the hole.
    Gap {
        /// Where they are missing.
        place: Place,
        /// How many bytes of the TCP stream (for undecodable bodies: of the coded body).
        length: u64,
    },
    /// The last event of every exchange.
    End(End),
}

/// Body bytes in formats for people and for machines: text where they are UTF-8, else bytes (JSON:
/// a list of numbers). A piece may end inside a character, so either may come.
mod body_bytes {
    use std::{borrow::Cow, fmt};

    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) if to.is_human_readable() => to.serialize_str(text),
            _ => to.serialize_bytes(bytes),
        }
    }

    pub(super) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Cow<'a, [u8]>, D::Error> {
        if from.is_human_readable() {
            from.deserialize_any(Bytes)
        } else {
            from.deserialize_bytes(Bytes)
        }
    }

    struct Bytes;

    impl<'de> de::Visitor<'de> for Bytes {
        type Value = Cow<'de, [u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or bytes")
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text.as_bytes()))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.as_bytes().to_vec()))
        }

        fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(bytes))
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(Cow::Owned(bytes.to_vec()))
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = list.next_element()? {
                bytes.push(byte);
            }
            Ok(Cow::Owned(bytes))
        }
    }
}

/// The part of an exchange in which bytes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The request's line and headers.
    RequestHead,
    /// The request's body, its framing included.
    RequestBody,
    /// The response's status line and headers.
    ResponseHead,
    /// The response's body, its framing included.
    ResponseBody,
}

/// Opens an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// How the traffic was taken.
    pub source: Source,
    /// The TCP client: usually the proxy. `None` for reports.
    pub peer: Option<SocketAddr>,
    /// The TCP server: the model server. `None` for reports.
    pub server: Option<SocketAddr>,
}

/// The HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Version {
    /// HTTP/0.9: a request line without a version.
    #[serde(rename = "0.9")]
    Http09,
    /// HTTP/1.0
    #[serde(rename = "1.0")]
    Http10,
    /// HTTP/1.1
    #[serde(rename = "1.1")]
    Http11,
}

impl Version {
    /// `0.9`, `1.0` or `1.1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http09 => "0.9",
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
        }
    }
}

/// A request's line and headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHead {
    /// The method, as sent.
    pub method: String,
    /// The request target, as sent: with its query string, which must not be stored.
    pub target: String,
    /// The HTTP version.
    pub version: Version,
    /// The headers.
    pub headers: Headers,
    /// The time of the request's first byte.
    pub first: Timestamp,
    /// The time of the head's last byte.
    pub last: Timestamp,
}

/// A response's status line and headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// The status code, 100–999.
    pub status: u16,
    /// The HTTP version.
    pub version: Version,
    /// The headers.
    pub headers: Headers,
    /// The time of the first byte of this head.
    pub first: Timestamp,
    /// The time of the head's last byte.
    pub last: Timestamp,
}

/// Header fields in the order of the wire. Values that are not UTF-8 have U+FFFD in place of bad bytes.
///
/// Heads hold credentials; [`fmt::Debug`] therefore shows names alone.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value of a field; names are compared without regard to ASCII case (RFC 9110 §5.1).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// All values of a field, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// How an exchange came to its end: what was seen first of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The response reached the end that its framing gives it (also: a server's FIN after an until-close body).
    Complete,
    /// The server's FIN came before the response's end.
    ServerFin,
    /// The server's RST came before the response's end.
    ServerReset,
    /// The client's FIN came, and the response never reached its end (whatever the server did later).
    ClientFin,
    /// The client's RST came before the response's end.
    ClientReset,
    /// Nothing more was seen for as long as the time-out allows.
    TimedOut,
    /// The capture ended first.
    CaptureEnd,
    /// The connection was given up to stay within a budget.
    Evicted,
    /// The stream could not be read on: bytes that are no HTTP, or a hole without a way back.
    Lost,
    /// The connection changed to another protocol (101, or 2xx to CONNECT); what follows is not HTTP.
    Upgraded,
}

impl Ending {
    /// The name used in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ServerFin => "server_fin",
            Self::ServerReset => "server_reset",
            Self::ClientFin => "client_fin",
            Self::ClientReset => "client_reset",
            Self::TimedOut => "timed_out",
            Self::CaptureEnd => "capture_end",
            Self::Evicted => "evicted",
            Self::Lost => "lost",
            Self::Upgraded => "upgraded",
        }
    }

    /// Whether the true end of the exchange was seen, good or bad.
    pub const fn observed(self) -> bool {
        !matches!(
            self,
            Self::TimedOut | Self::CaptureEnd | Self::Evicted | Self::Lost
        )
    }
}

/// Closes an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub ending: Ending,
    /// The time of the response's last byte, framing included; only with [`Ending::Complete`] and [`Ending::Upgraded`].
    pub response_end: Option<Timestamp>,
    /// `response_end`, or else the time of the last response byte, FIN, RST or time-out that broke the exchange off.
    pub time: Timestamp,
    /// When the client's FIN or RST was seen while this exchange was open, if it was.
    pub client_left: Option<Timestamp>,
    /// The time of the last payload that the server sent while this exchange was open, if any.
    pub server_last: Option<Timestamp>,
    /// Lengths and losses of the request.
    pub request: Transfer,
    /// Lengths and losses of the response.
    pub response: Transfer,
}

/// What one message of an exchange carried and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Bytes of the body that were seen, transfer framing taken off, content coding still on.
    pub body_bytes: u64,
    /// Bytes of the body that were handed on: content coding taken off too.
    pub decoded_bytes: u64,
    /// Bytes of the head that were not seen.
    pub missing_head: u64,
    /// Bytes of the body (framing included) that were not seen.
    pub missing_body: u64,
    /// Body bytes that were seen but not handed on: past the read cap, or not decodable.
    pub unread: u64,
}
