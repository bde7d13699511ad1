//! Questions about stored calls, and their answers: which calls, how many, how fast, since when.
//!
//! [`filter`] is the one definition of what can be asked for; the API's parameters, the command line's flags
//! and the OpenAPI document come from it. [`select`] finds calls page by page, [`summary`] counts them by
//! groups, [`series`] by groups and time. All three read the same columns of a
//! [`Snapshot`](crate::store::Snapshot) through [`matching`], so that a filter means the same everywhere.
//! [`sketch`] keeps percentiles within 1 %.

mod cursor;
pub mod details;
pub mod filter;
pub mod glance;
mod group;
mod matching;
pub mod nearest;
pub mod output;
pub mod parameter;
mod parse;
pub mod select;
pub mod series;
pub mod sketch;
pub mod summary;
#[cfg(test)]
mod tests;

pub use filter::Filter;
pub use group::{Key, OTHER};

/// The names of the figures that summaries and series show.
pub mod figures {
    pub use super::group::{PERCENTILES, SKETCHES, SUMS};
}
pub use parameter::{BadParameter, Parameter};

/// Stands for a value that is not there, in filters.
pub const NONE: &str = "~none";
