//! All automation of llmtap.
#![forbid(unsafe_code)]

fn main() {}
