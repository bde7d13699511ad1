//! Frames in, [`Segment`]s out: link layers, IP, defragmentation, tunnels. Sans-io.
//!
//! [`Decoder`] takes one frame after the other, and one header after the other off it. It trusts lengths
//! only as far as bytes are there, and checksums not at all: a tap sees frames before the card has filled
//! them in.

mod counters;
mod decoder;
mod defrag;
#[cfg(test)]
pub(crate) mod frame;
mod ip;
mod layer;
mod link;
mod payload;
mod segment;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;
mod usual;

use payload::Payload;

pub use counters::{PacketCounters, Reason};
pub use decoder::{Decoded, Decoder};
pub use defrag::Limits;
pub use segment::{Flags, Segment};
pub use tunnel::Tunnels;
