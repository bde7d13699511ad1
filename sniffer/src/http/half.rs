//! One direction of a connection, as far as it was read.

use analyzer::exchange::{Ending, Transfer};
use analyzer::time::Timestamp;

use crate::tcp::Side;

use super::body::Body;
use super::head::Scanner;
use super::protocol::Trust;

/// The capacity of a head buffer that is kept for the next head.
const KEPT_HEAD_BUFFER: usize = 8 * 1024;

/// One direction.
pub(super) struct Half {
    pub(super) state: State,
    /// The message that is being read.
    pub(super) message: Message,
    /// How far the stream has come, with what was not seen of it.
    pub(super) offset: u64,
    /// How much of the other side's stream its sender had received by the piece that is being read.
    pub(super) received: Option<u64>,
    /// The same of the piece before it.
    pub(super) before: Option<u64>,
    /// The length of the piece that is being read.
    pub(super) piece: usize,
    /// The beginning of a head that came in pieces.
    pub(super) head: Vec<u8>,
    pub(super) scanner: Scanner,
    /// Whether the next byte may begin a message in a stream that is out of step: at the start of a
    /// segment, and after framing that broke.
    pub(super) candidate: bool,
    /// Whether bytes in the place of a head were none.
    pub(super) refused: bool,
    /// How and when this direction ended.
    pub(super) ended: Option<(Ending, Timestamp)>,
    /// What passed since the last head without being read.
    pub(super) lost: Lost,
    /// The exchange of whose message the head was read in part only, as long as its bytes are passed
    /// over.
    pub(super) damaged: Option<u32>,
    /// What may hide whole messages since the place in the other side's order was last certain.
    pub(super) hidden: Hidden,
    /// Bytes that may be a chunk, held back until its end proves it.
    pub(super) probe: Vec<u8>,
    /// Whether the head that is being read was found in a search, where bytes may be anything.
    pub(super) sought: bool,
    side: Side,
}

/// What the next byte of a direction is.
pub(super) enum State {
    /// The first of a head.
    Idle,
    /// Within a head.
    Head,
    /// Within a body.
    Body(Body),
    /// Within a chunked body, at an unknown place: a hole took part of its framing.
    Resync(Body),
    /// Anything: the stream is searched for a head.
    Seek,
    /// Nothing to be read: not HTTP, or over.
    Silent,
}

/// The message that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    /// Its exchange; `None` while a head is read, and when the exchange ended before the message.
    pub(super) exchange: Option<u32>,
    /// The time of its first byte.
    pub(super) first: Timestamp,
    /// Its place, and what its sender knew.
    pub(super) origin: Origin,
    /// The latest time over its bytes so far.
    pub(super) last: Timestamp,
    pub(super) transfer: Transfer,
}

/// A byte of a stream: where it stands, and what its sender knew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// Its offset.
    pub(super) at: u64,
    /// How much of the other side's stream its sender had received, where that is known.
    pub(super) received: Option<u64>,
    /// The same for the last byte before it that was seen.
    pub(super) before: Option<u64>,
}

impl Origin {
    /// Whether its sender may have received something between another byte and this one.
    pub(super) fn received_more_than(self, other: Option<Self>) -> bool {
        match (self.received, other.and_then(|other| other.received)) {
            (Some(own), Some(other)) => own > other,
            _ => true,
        }
    }

    const NONE: Self = Self {
        at: 0,
        received: None,
        before: None,
    };
}

/// Bytes that belong to no message that was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    pub(super) missing: u64,
    pub(super) skipped: u64,
}

/// Bytes that may hold messages of which nothing else is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hidden {
    /// So many bytes, missing or passed over.
    pub(super) bytes: u64,
    /// How far the server's stream had been seen before the first of them. Holes of both sides that
    /// meet are noticed in any order, so that one right before counts as if it came after.
    pub(super) after: u64,
    /// Whether a message began at the first of them, so that they hold one at least.
    pub(super) one: bool,
}

impl Half {
    /// `state`: [`State::Idle`] where the stream is seen from its beginning, else [`State::Seek`].
    pub(super) const fn new(side: Side, state: State) -> Self {
        Self {
            state,
            message: Message {
                exchange: None,
                first: Timestamp::from_micros(0),
                origin: Origin::NONE,
                last: Timestamp::from_micros(0),
                transfer: Transfer {
                    body_bytes: 0,
                    decoded_bytes: 0,
                    missing_head: 0,
                    missing_body: 0,
                    unread: 0,
                },
            },
            offset: 0,
            received: None,
            before: None,
            piece: 0,
            head: Vec::new(),
            scanner: Scanner::new(side, Trust::Due),
            candidate: false,
            refused: false,
            ended: None,
            lost: Lost {
                missing: 0,
                skipped: 0,
            },
            damaged: None,
            hidden: Hidden {
                bytes: 0,
                after: 0,
                one: false,
            },
            probe: Vec::new(),
            sought: false,
            side,
        }
    }

    /// The byte at `time` is taken for the first of a head; with it, `left` bytes of its piece are unread.
    pub(super) fn begin_head(&mut self, time: Timestamp, left: usize) {
        self.sought = matches!(self.state, State::Seek | State::Resync(_));
        self.state = State::Head;
        let trust = if self.sought {
            Trust::Sought
        } else {
            Trust::Due
        };
        self.scanner = Scanner::new(self.side, trust);
        self.head.clear();
        self.message = Message {
            first: time,
            last: time,
            origin: Origin {
                at: self.offset.saturating_sub(left as u64),
                received: self.received,
                before: if left < self.piece {
                    self.received
                } else {
                    self.before
                },
            },
            ..Message::default()
        };
    }

    /// The memory that the beginning of a head takes. An empty buffer is kept for the next one, and small.
    pub(super) fn held(&self) -> usize {
        if self.head.is_empty() {
            0
        } else {
            self.head.capacity()
        }
    }

    /// Gives up the head that is being read, and tells how many bytes of it were kept.
    pub(super) fn drop_head(&mut self) -> u64 {
        let length = self.head.len() as u64;
        self.keep_buffer(Vec::new());
        length
    }

    /// Takes a head buffer back for the next head, unless it grew large.
    pub(super) fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > KEPT_HEAD_BUFFER {
            buffer = Vec::new();
        }
        buffer.clear();
        self.head = buffer;
    }
}
