//! What leaves the analysis: a finished call with its text.

use crate::call::{Bodies, Call};

/// One call, counted, ready for the store, the metrics and the live feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The row.
    pub call: Call,
    /// What was said, unless bodies are not kept.
    pub bodies: Option<Bodies>,
}
