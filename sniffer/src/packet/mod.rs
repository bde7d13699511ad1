//! Frames in, [`Segment`]s out: link layer, IP, defragmentation.

mod segment;

pub use segment::{Flags, Segment};
