//! The bounds and patience of the TCP room.

use super::key::SHARDS;

/// Connections kept at once, over all shards. A model server has thousands at most; this holds a scan
/// or a SYN flood to some 50 MB (a SYN alone takes under 200 bytes, a connection under 1 KB). At the
/// limit the idlest is evicted: half-open ones first, then those that carried nothing, and those that
/// wait for an answer last.
pub const MAX_CONNECTIONS: usize = 262_144;

/// Octets (and [their overhead](super::assembler::CHUNK_OVERHEAD)) that wait in one connection: twice
/// the largest receive window that Linux gives by default, so a loss at full speed fits. At the limit
/// its holes are given up.
pub const MAX_CONNECTION_BYTES: usize = 16 << 20;

/// Octets that wait in all connections of all shards. At a shard's part of it, the holes of its
/// heaviest connection are given up.
pub const MAX_BUFFERED_BYTES: usize = 256 << 20;

/// Chunks that wait in one direction: a full window of ordinary segments. At the limit its holes are
/// given up.
pub const MAX_CHUNKS: usize = 8_192;

/// Ended connections remembered over all shards, so that their stragglers are known. At the limit the
/// oldest is forgotten.
pub const MAX_CLOSED: usize = 65_536;

/// How long an ended connection is remembered: Linux's TIME-WAIT, 60 s.
pub(super) const CLOSED_MICROS: i64 = 60_000_000;

/// Packets of the connection after which an acknowledged hole is given up: far more than a tap puts
/// out of order.
pub(super) const GAP_PACKETS: u64 = 64;

/// Packet time after which an acknowledged hole is given up, 250 ms: the receiver has the octets, so
/// only the tap's own delay matters.
pub(super) const GAP_MICROS: i64 = 250_000;

/// Packet time after which a hole is given up that was never acknowledged, once both FINs were seen, 10 s:
/// until then its sender may send it again, on a near network some five times (RFC 6298, Linux from
/// 200 ms on).
pub(super) const RESEND_MICROS: i64 = 10_000_000;

/// How far ahead of everything seen a sequence or acknowledgement number may be: the largest window
/// that TCP can express (RFC 7323 §2.3), 1 GiB. What is further is damage or deceit, and ignored.
pub(super) const ABSURD_JUMP: u64 = 1 << 30;

/// A generous receive window, 16 MiB: how far ahead a number is believed at once (further, another packet
/// must speak of the same place), how far an RST may lie from what was seen, and a straggler from the end
/// of its connection.
pub(super) const PLAUSIBLE_WINDOW: u64 = 16 << 20;

/// How far before the first segment seen of a connection joined late its beginning may yet turn up,
/// when the capture put them out of order: some hundred segments, 1 MiB.
pub(super) const LATE_WINDOW: u64 = 1 << 20;

/// The longest payload believed of one packet, 1 MiB: twice what segmentation offload hands over
/// (Linux: 512 KiB). What claims more counts as long as what was captured of it.
pub(super) const MAX_SEGMENT: u32 = 1 << 20;

/// How long a connection is kept after an RST, 1 s of packet time: what the other side sends until
/// the RST reaches it belongs to the connection yet.
pub(super) const RESET_LINGER_MICROS: i64 = 1_000_000;

/// Segments with payload of a connection without a SYN that wait for its beginning, or for a sign of
/// which end is the client, before what is there is taken for the beginning, and the ports decide:
/// what a tap puts out of order is fewer.
pub(super) const JOIN_SEGMENTS: u32 = 8;

/// Packet time for which they wait, 250 ms: the tap's own delay, as in the rule for holes.
pub(super) const JOIN_MICROS: i64 = 250_000;

/// What an operator (or a test) may set. All limits are for the whole program; a shard takes its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// Ports on which servers listen: they tell client and server apart where nothing better does.
    pub server_ports: Vec<u16>,
    /// Default [`MAX_CONNECTIONS`]; at least one a shard.
    pub max_connections: usize,
    /// Default [`MAX_CONNECTION_BYTES`].
    pub max_connection_bytes: usize,
    /// Default [`MAX_BUFFERED_BYTES`].
    pub max_buffered_bytes: usize,
    /// Default [`MAX_CHUNKS`].
    pub max_chunks: usize,
    /// Default [`MAX_CLOSED`].
    pub max_closed: usize,
    /// Microseconds of silence after which a connection is given up: 5 minutes.
    pub idle_micros: i64,
    /// The same while an answer is awaited, as queued calls are silent: 30 minutes.
    pub waiting_micros: i64,
    /// The same where one end alone was seen and nothing was carried: 60 seconds.
    pub half_open_micros: i64,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            server_ports: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            max_connection_bytes: MAX_CONNECTION_BYTES,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
            max_chunks: MAX_CHUNKS,
            max_closed: MAX_CLOSED,
            idle_micros: 300_000_000,
            waiting_micros: 1_800_000_000,
            half_open_micros: 60_000_000,
        }
    }
}

impl TcpSettings {
    /// A shard's part of a limit, at least one.
    pub(super) fn share(limit: usize) -> usize {
        (limit / SHARDS).max(1)
    }
}
