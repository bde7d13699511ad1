//! The way in: calls that wait to become spans. It never makes anybody wait.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

use super::settings::Content;
use crate::{metrics::OtlpMetrics, record::Record};

/// Calls that wait. A receiver that answers within some ms takes tens of thousands a second; this bridges a short
/// outage at ordinary loads.
pub(super) const QUEUE_CALLS: usize = 16_384;

/// Bytes that they take. Without content a call takes about 2 KiB; with it, up to 640 KiB.
pub(super) const QUEUE_BYTES: usize = 64 << 20;

/// Hands calls to the export. Clones share the queue.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    sender: Sender<Record>,
    bytes: Arc<AtomicUsize>,
    content: Content,
    metrics: OtlpMetrics,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Waiting {
    receiver: Receiver<Record>,
    bytes: Arc<AtomicUsize>,
    metrics: OtlpMetrics,
}

/// A queue's two ends.
pub(super) fn queue(content: Content, metrics: &OtlpMetrics) -> (SpanQueue, Waiting) {
    let (sender, receiver) = mpsc::channel(QUEUE_CALLS);
    let bytes = Arc::new(AtomicUsize::new(0));
    let waiting = Waiting {
        receiver,
        bytes: Arc::clone(&bytes),
        metrics: metrics.clone(),
    };
    let queue = SpanQueue {
        sender,
        bytes,
        content,
        metrics: metrics.clone(),
    };
    (queue, waiting)
}

impl SpanQueue {
    /// Hands on a copy of a call, without its content unless that is sent. What finds no room is counted. The outer
    /// leg of a call is left out, as in all figures.
    pub fn submit(&self, record: &Record) {
        if record.call.outer_of.is_some() {
            return;
        }
        let copy = Record {
            call: record.call.clone(),
            bodies: match self.content {
                Content::Sent => record.bodies.clone(),
                Content::Left => None,
            },
        };
        let bytes = copy.bytes();
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if held.saturating_add(bytes) > QUEUE_BYTES {
            Err("queue_full")
        } else {
            self.sender.try_send(copy).map_err(|error| match error {
                TrySendError::Full(_) => "queue_full",
                TrySendError::Closed(_) => "shutdown",
            })
        };
        match sent {
            Ok(()) => self.metrics.queue.inc(),
            Err(why) => {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.metrics.spans.inc(why);
            }
        }
    }
}

impl Waiting {
    /// The next call; `None` once the queue is closed and empty.
    pub(super) async fn next(&mut self) -> Option<Record> {
        let record = self.receiver.recv().await?;
        self.bytes.fetch_sub(record.bytes(), Ordering::Relaxed);
        self.metrics.queue.dec();
        Some(record)
    }

    /// Takes no more; what waits is still handed out.
    pub(super) fn close(&mut self) {
        self.receiver.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::CallKey, fixtures, metrics::Metrics};

    #[test]
    fn a_full_queue_sheds_and_counts() {
        let metrics = Metrics::new();
        let otlp = metrics.otlp();
        let (queue, _waiting) = queue(Content::Left, otlp);
        let record = fixtures::record(1);
        for _ in 0..QUEUE_CALLS + 5 {
            queue.submit(&record);
        }
        let (calls, shed) = (otlp.queue.get(), otlp.spans.counts());
        assert!(calls > 0 && calls <= QUEUE_CALLS as i64, "{calls}");
        assert_eq!(
            shed,
            [("queue_full", QUEUE_CALLS as u64 + 5 - calls as u64)]
        );
    }

    #[test]
    fn content_fills_the_queue_by_its_bytes() {
        let metrics = Metrics::new();
        let otlp = metrics.otlp();
        let (queue, _waiting) = queue(Content::Sent, otlp);
        let mut record = fixtures::record(1);
        if let Some(bodies) = &mut record.bodies {
            bodies.request.head = vec![b'x'; 1 << 20];
        }
        for _ in 0..100 {
            queue.submit(&record);
        }
        assert_eq!(
            otlp.queue.get(),
            63,
            "of a little more than 1 MiB in 64 MiB"
        );
        assert_eq!(otlp.spans.counts(), [("queue_full", 37)]);
    }

    #[test]
    fn content_and_outer_legs_are_left_out() {
        let metrics = Metrics::new();
        let (queue, mut waiting) = queue(Content::Left, metrics.otlp());
        queue.submit(&fixtures::record(1));
        let mut outer = fixtures::record(2);
        outer.call.outer_of = Some(CallKey([1; 16]));
        queue.submit(&outer);
        waiting.close();
        queue.submit(&fixtures::record(3));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let taken = runtime.block_on(async { (waiting.next().await, waiting.next().await) });
        assert_eq!(taken.0.unwrap().bodies, None);
        assert_eq!(taken.1, None);
        assert_eq!(metrics.otlp().spans.counts(), [("shutdown", 1)]);
        assert_eq!(metrics.otlp().queue.get(), 0);
    }
}
