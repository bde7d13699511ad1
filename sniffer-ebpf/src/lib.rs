//! The layout of what the kernel side hands to user space.
//!
//! This library holds types alone and builds on the host; the program itself builds for the BPF
//! target only.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
