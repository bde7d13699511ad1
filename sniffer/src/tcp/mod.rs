//! Segments in, ordered bytes and gaps out. Sans-io.

mod handler;
mod seq;

pub use handler::{CloseReason, ConnectionInfo, Side, StreamHandler};
pub use seq::SeqNumber;
