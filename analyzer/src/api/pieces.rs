//! A body that is sent as it is made.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::{sync::mpsc, time::timeout};

use super::patient::PATIENCE;

/// Pieces between who makes them and the connection: with the one that waits to be put in, at most three.
const WAITING: usize = 2;

/// Where pieces go in.
pub(super) struct Sender(mpsc::Sender<Result<Bytes, Broken>>);

/// The answer cannot be sent to its end; the connection is closed without it, so that nobody takes a part for all.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be made to its end")]
pub(super) struct Broken;

/// Nobody reads any more.
pub(super) struct Gone;

/// A body, and the way into it.
pub(super) fn body() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Sender(sender), Body::new(Pieces(receiver)))
}

impl Sender {
    /// Puts a piece in when there is room.
    pub(super) async fn send(&self, piece: Vec<u8>) -> Result<(), Gone> {
        let sent = timeout(PATIENCE, self.0.send(Ok(piece.into()))).await;
        sent.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    /// Breaks the answer off.
    pub(super) async fn fail(self) {
        let _ = timeout(PATIENCE, self.0.send(Err(Broken))).await;
    }
}

struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = self.0.poll_recv(context);
        next.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
