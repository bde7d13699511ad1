//! Segments on their way to a worker, many at once, in one buffer that is used again.

use std::net::SocketAddr;

use analyzer::time::Timestamp;
use crossbeam_channel::{Receiver, Sender as Channel};

use crate::{
    packet::{Flags, Segment},
    tcp::SeqNumber,
};

/// A batch is sent on when its payloads pass this: enough that the queue costs nothing a packet.
const BATCH_BYTES: usize = 256 * 1024;

/// A batch is sent on when it holds so many items.
const BATCH_ITEMS: usize = 2_048;

/// One thing for a worker to do.
#[derive(Debug)]
pub(super) enum Item {
    /// A segment of one of the worker's shards.
    Segment(Stored),
    /// Packet time has come this far.
    Tick {
        order: u64,
        now: Timestamp,
        /// What exchanges that begin from here on are shifted by.
        correction: i64,
    },
    /// The capture has ended.
    Finish { now: Timestamp },
}

/// A segment whose payload lies in the batch's buffer.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) order: u64,
    pub(super) shard: usize,
    time: Timestamp,
    source: SocketAddr,
    destination: SocketAddr,
    seq: SeqNumber,
    ack: Option<SeqNumber>,
    flags: Flags,
    start: usize,
    len: usize,
    wire_len: u32,
    interface: u32,
    ip_id: Option<u16>,
}

/// Items and the bytes that they speak of.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    pub(super) items: Vec<Item>,
}

impl Batch {
    /// The stored segment with its payload.
    pub(super) fn segment(&self, stored: &Stored) -> Segment<'_> {
        Segment {
            time: stored.time,
            source: stored.source,
            destination: stored.destination,
            seq: stored.seq,
            ack: stored.ack,
            flags: stored.flags,
            payload: self
                .bytes
                .get(stored.start..stored.start + stored.len)
                .unwrap_or_default(),
            wire_len: stored.wire_len,
            interface: stored.interface,
            ip_id: stored.ip_id,
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.items.len() >= BATCH_ITEMS
    }
}

/// Fills batches for one worker.
pub(super) struct Sender {
    batch: Batch,
    batches: Channel<Batch>,
    spares: Receiver<Batch>,
}

impl Sender {
    pub(super) fn new(batches: Channel<Batch>, spares: Receiver<Batch>) -> Self {
        Self {
            batch: Batch::default(),
            batches,
            spares,
        }
    }

    /// Adds an item; says whether the batch is full, and it is time to flush.
    pub(super) fn push(&mut self, item: Item) -> bool {
        self.batch.items.push(item);
        self.batch.is_full()
    }

    /// Adds a segment, its payload copied; says whether the batch is full.
    pub(super) fn push_segment(&mut self, order: u64, shard: usize, segment: &Segment<'_>) -> bool {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(segment.payload);
        self.push(Item::Segment(Stored {
            order,
            shard,
            time: segment.time,
            source: segment.source,
            destination: segment.destination,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            start,
            len: segment.payload.len(),
            wire_len: segment.wire_len,
            interface: segment.interface,
            ip_id: segment.ip_id,
        }))
    }

    /// Sends what there is; waits where the worker is behind.
    pub(super) fn flush(&mut self) {
        if self.batch.items.is_empty() {
            return;
        }
        let next = self.spares.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        // The worker outlives its sender: it ends on the last batch alone.
        let _ = self.batches.send(batch);
    }
}
