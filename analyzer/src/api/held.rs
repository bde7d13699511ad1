//! Answers that wait for their readers take memory: so much of it in all, and no more.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which room is shared out.
const SHARE: usize = 1024;

/// Room for answers of one kind.
pub(super) struct Held(Arc<Semaphore>);

impl Held {
    /// For so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / SHARE)))
    }

    /// A body that gives its room back when it is sent, or its connection is gone; `None` where there is no room
    /// for it.
    pub(super) fn body(&self, bytes: Bytes) -> Option<Body> {
        let shares = u32::try_from(bytes.len().div_ceil(SHARE)).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.0).try_acquire_many_owned(shares).ok()?;
        Some(Body::new(Holding {
            body: Full::new(bytes),
            _held: held,
        }))
    }
}

struct Holding {
    body: Full<Bytes>,
    _held: OwnedSemaphorePermit,
}

impl hyper::body::Body for Holding {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_taken_as_long_as_a_body_lasts() {
        let held = Held::new(4 * SHARE);
        let three = held.body(vec![0; 2 * SHARE + 1].into());
        assert!(three.is_some());
        assert!(held.body(vec![0; SHARE + 1].into()).is_none());
        let one = held.body(vec![0; SHARE].into());
        assert!(one.is_some());
        drop(three);
        assert!(held.body(vec![0; 3 * SHARE].into()).is_some());
    }
}
