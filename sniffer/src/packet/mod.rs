//! Frames in, [`Segment`]s out: link layer, IP, defragmentation. Sans-io.
//!
//! [`Decoder`] takes one frame after the other. It trusts lengths only as far as bytes are there, and
//! checksums not at all: a tap sees frames before the card has filled them in.

mod counters;
mod decoder;
mod defrag;
#[cfg(test)]
pub(crate) mod frame;
mod ip;
mod link;
mod segment;
#[cfg(test)]
mod tests;

pub use counters::{PacketCounters, Reason};
pub use decoder::{Decoded, Decoder};
pub use defrag::Limits;
pub use segment::{Flags, Segment};
