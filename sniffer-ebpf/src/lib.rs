//! The layout of what the kernel side hands to user space.
//!
//! The kernel side is one small program on the TC hook of an interface: it looks whether a packet
//! belongs to a tapped port, copies it whole into a ring, and counts what it could not copy. It
//! lies in the folder `program` beside this one, as a package of its own that builds for the BPF
//! target alone. This library holds what both sides have to agree on, and builds on the host:
//! the head of a [`record`] in the ring, and the [`maps`] that user space fills and reads.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod maps;
pub mod record;
