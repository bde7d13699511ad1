//! The one binary, `llmtap`.
#![forbid(unsafe_code)]

fn main() {}
