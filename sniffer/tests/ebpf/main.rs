//! The kernel side, on a real kernel: the classifier by test-run on hand-made frames, and attached
//! in network namespaces of the tests' own.
//!
//! They need root. `LLMTAP_BPF_OBJECT` names another object than the committed one, such as one
//! built just before.
#![cfg(feature = "ebpf")]
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests: a failure is the test's, and what was not tested is said"
)]

mod frames;
mod namespaces;
mod program;
mod support;
