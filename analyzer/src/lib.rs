//! Exchange events in, calls out.
//!
//! The analyzer knows nothing of packets. It takes the events of HTTP exchanges ([`exchange`], the
//! contract), follows them to their end ([`analysis`]), reads them as LLM calls ([`dialect`]), counts tokens
//! ([`tokens`]), and makes of each call one wide row ([`call`]). [`cost`] prices it
//! where there is a price table; [`legs`] finds the rows of one call that was seen on two connections. Rows go to a `store`, into
//! `metrics`, and out through the `api` and its `ui`.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod api;
pub mod audit;
pub mod call;
pub mod columns;
pub mod cost;
pub mod dialect;
pub mod exchange;
pub mod feed;
#[cfg(test)]
mod fixtures;
pub mod json;
pub mod legs;
pub mod live;
pub mod metrics;
pub mod multipart;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod query;
pub mod record;
pub mod redact;
pub mod report;
pub mod sse;
pub mod store;
pub mod time;
pub mod timeline;
pub mod tokens;
mod ui;
