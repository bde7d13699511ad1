//! The bounds of this room, each with its reason and what happens at it.

use analyzer::exchange::Source;

/// Bytes of one message head. Servers stop at 8 to 64 KiB; 256 KiB leaves room for large cookies.
/// A longer head makes its message unreadable: counted, and the stream is searched for the next head.
pub const MAX_HEAD_BYTES: usize = 256 * 1024;

/// Header fields of one message. More than 64 do occur; 2,000 is far past what servers take.
/// Later fields are dropped and counted.
pub const MAX_HEAD_FIELDS: usize = 2_000;

/// Open exchanges of one connection. Pipelining clients keep a few dozen; past this the connection
/// is given up: its exchanges end as evicted, and its bytes are counted only.
pub const MAX_OPEN_EXCHANGES: usize = 1_024;

/// Bytes of one chunk-size line with its extensions (RFC 9112 §7.1.1 asks for a limit).
/// A longer line is broken framing.
pub const MAX_CHUNK_LINE: usize = 16 * 1024;

/// Bytes of a chunked body's trailer section. A longer one is broken framing.
pub const MAX_TRAILER_BYTES: usize = 64 * 1024;

/// Decoded bytes of one body that are handed on. What follows is framed and counted, not read.
pub const MAX_BODY_READ: u64 = 64 * 1024 * 1024;

/// Content codings on top of each other. Two are rare already; a deeper list is not decoded.
pub const MAX_CODINGS: usize = 4;

/// Bytes that the content decoders of one handler may hold at the same time: 1,300 gzip streams, or 30 of br and
/// 60 of zstd with their usual windows. Past it a body is not decoded: counted.
pub const MAX_DECODER_MEMORY: usize = 128 << 20;

/// Bytes held back until they prove to be a chunk after a hole: several flushes of a streaming server.
/// A larger chunk is not believed, and passed over.
pub const MAX_PROBE: usize = 64 * 1024;

/// Bytes without a message head after which a connection joined late is called unknown. A long
/// upload or stream that was under way is below it more often than not; the search goes on anyway.
pub const UNKNOWN_AFTER: u64 = 1024 * 1024;

/// The bounds that can be set; each defaults to the constant of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of one message head. See [`MAX_HEAD_BYTES`].
    pub head_bytes: usize,
    /// Header fields of one message. See [`MAX_HEAD_FIELDS`].
    pub head_fields: usize,
    /// Open exchanges of one connection. See [`MAX_OPEN_EXCHANGES`].
    pub open_exchanges: usize,
    /// Decoded bytes of one body that are handed on. See [`MAX_BODY_READ`].
    pub body_read: u64,
    /// Bytes that content decoders may hold at the same time. See [`MAX_DECODER_MEMORY`].
    pub decoder_memory: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes: MAX_HEAD_BYTES,
            head_fields: MAX_HEAD_FIELDS,
            open_exchanges: MAX_OPEN_EXCHANGES,
            body_read: MAX_BODY_READ,
            decoder_memory: MAX_DECODER_MEMORY,
        }
    }
}

/// What a handler must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// How the traffic is taken; goes into every exchange.
    pub source: Source,
    /// The bounds.
    pub limits: HttpLimits,
}

impl HttpSettings {
    /// Settings with the ordinary limits.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            limits: HttpLimits::default(),
        }
    }
}
