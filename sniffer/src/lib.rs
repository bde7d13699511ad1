//! Packets in, exchange events out.
//!
//! The folder tree reads like a packet's journey: [`capture`] takes frames, [`packet`] gives a
//! frame's meaning as a TCP segment, [`tcp`] puts the segments of a connection in order, and
//! [`http`] rebuilds exchanges from the two streams of a connection.
#![deny(unsafe_code)]

pub mod capture;
pub mod check;
pub mod http;
pub mod packet;
pub mod pipeline;
pub mod tcp;
