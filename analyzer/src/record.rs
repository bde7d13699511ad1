//! What leaves the analysis: a finished call with its text.

use crate::{
    call::{Bodies, Call},
    columns,
};

/// One call, counted, ready for the store, the metrics and the live feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The row.
    pub call: Call,
    /// What was said, unless bodies are not kept.
    pub bodies: Option<Bodies>,
}

impl Record {
    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(self) + columns::text_bytes(&self.call) + self.body_bytes()
    }

    /// Those of them that its bodies take.
    pub(crate) fn body_bytes(&self) -> usize {
        self.bodies.as_ref().map_or(0, |bodies| {
            [&bodies.request, &bodies.response]
                .map(|body| body.head.capacity() + body.tail.capacity())
                .iter()
                .sum()
        })
    }
}
