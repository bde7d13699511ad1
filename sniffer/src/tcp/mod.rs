//! Segments in, ordered bytes and gaps out. Sans-io.
//!
//! A [`ConnectionTable`] holds the connections of one shard. Each has two directions, each with an
//! assembler; the connection decides the roles of its ends, the order between the directions, and
//! what will never come. [`StreamHandler`] is the seam to what reads the streams.

mod assembler;
mod closed;
mod connection;
mod copies;
mod counters;
mod deadlines;
mod doubt;
mod half;
mod handler;
mod key;
mod late;
mod lone;
mod opening;
mod outlet;
mod seq;
mod settings;
mod table;
#[cfg(test)]
mod tests;

pub use counters::TcpCounters;
pub use handler::{CloseReason, ConnectionInfo, Sent, Side, StreamHandler};
pub use key::{SHARDS, shard_of};
pub use seq::{SeqNumber, SeqSpace, StreamOffset};
pub use settings::{
    MAX_BUFFERED_BYTES, MAX_CHUNKS, MAX_CLOSED, MAX_CONNECTION_BYTES, MAX_CONNECTIONS, TcpSettings,
};
pub use table::ConnectionTable;
