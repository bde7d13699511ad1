//! Exchange events in, calls out.
//!
//! The analyzer knows nothing of packets. It takes the events of HTTP exchanges ([`exchange`], the
//! contract), follows them to their end ([`analysis`]), reads them as LLM calls ([`dialect`]), counts tokens
//! ([`tokens`]), and makes of each call one wide row ([`call`]). Rows go to a `store`, into
//! `metrics`, and out through the `api` and its `ui`.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod call;
pub mod dialect;
pub mod exchange;
pub mod json;
pub mod record;
pub mod report;
pub mod sse;
pub mod time;
pub mod tokens;
