//! An exchange as it was read from a capture.

use std::fmt;

use super::Ends;

/// One exchange as it was read.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Its connection.
    pub ends: Option<Ends>,
    /// Its number on the connection.
    pub number: u32,
    /// The request's head.
    pub request: Option<Head>,
    /// The final answer's head.
    pub response: Option<Head>,
    /// The request's body.
    pub request_body: Body,
    /// The answer's body.
    pub response_body: Body,
    /// When the request's last byte was there.
    pub request_end: Option<u64>,
    /// When the answer's last byte was there.
    pub response_end: Option<u64>,
    /// How it ended, as rows name it.
    pub ending: &'static str,
    /// Lengths and losses of the request.
    pub request_carried: Carried,
    /// Lengths and losses of the answer.
    pub response_carried: Carried,
    /// Bytes that its gaps tell of.
    pub gaps: u64,
}

/// A head as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Method and target, or the status.
    pub line: String,
    /// The value of `X-Name`.
    pub name: Option<String>,
    /// The time of its first byte.
    pub first: u64,
    /// The latest time over its bytes.
    pub last: u64,
}

/// A body as it was read, with all codings taken off.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How long it was at each hole.
    pub holes: Vec<usize>,
    /// How long it was after each piece, and the piece's time.
    pub pieces: Vec<(usize, u64)>,
}

/// What a message carried and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of the body with framing taken off.
    pub framed: u64,
    /// The same with content coding taken off.
    pub decoded: u64,
    /// Bytes of the head that are missing.
    pub missing_head: u64,
    /// Bytes of the body that are missing.
    pub missing_body: u64,
    /// Bytes of the body that were passed over.
    pub unread: u64,
}

impl Observed {
    /// Whether it says that something of it may be missing.
    pub fn is_marked(&self) -> bool {
        self.missing() > 0
            || self.request_carried.unread + self.response_carried.unread > 0
            || self.gaps > 0
            || self.request.is_none()
            || self.response.is_none()
            || self.request_end.is_none()
            || self.ending != "complete"
    }

    pub(super) fn missing(&self) -> u64 {
        [self.request_carried, self.response_carried]
            .iter()
            .map(|carried| carried.missing_head + carried.missing_body)
            .sum()
    }

    /// The name of the exchange that it is, as far as it says so.
    pub(super) fn name(&self) -> Option<String> {
        let head = |head: &Option<Head>| head.as_ref().and_then(|head| head.name.clone());
        let target = |head: &Head| {
            let (_, rest) = head.line.split_once("/e/")?;
            let (name, _) = rest.split_once('?')?;
            Some(name.to_owned())
        };
        head(&self.request)
            .or_else(|| self.request.as_ref().and_then(target))
            .or_else(|| head(&self.response))
            .or_else(|| name_in(&self.request_body.bytes))
            .or_else(|| name_in(&self.response_body.bytes))
    }
}

/// The first name in a text: `x1-2:`.
fn name_in(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let text = std::str::from_utf8(line).ok()?;
        let (name, _) = text.split_once(':')?;
        let (one, two) = name.strip_prefix('x')?.split_once('-')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        (is_number(one) && is_number(two)).then(|| name.to_owned())
    })
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.number, self.name().unwrap_or_default())?;
        for head in [&self.request, &self.response] {
            let line = head.as_ref().map_or("-", |head| &head.line);
            write!(f, " [{line}]")?;
        }
        write!(
            f,
            " bodies {} {} {} ends {:?} {:?} {:?} {:?}",
            self.request_body.bytes.len(),
            self.response_body.bytes.len(),
            self.ending,
            self.request_end,
            self.response_end,
            self.request_carried,
            self.response_carried
        )
    }
}
