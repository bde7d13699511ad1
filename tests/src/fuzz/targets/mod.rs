//! What is fuzzed.

mod captures;
mod chunked;
mod codings;
mod dialects;
mod exchanges;
mod frames;
mod grammar;
mod http;
mod json;
mod pipeline;
mod report;
mod rows;
mod segments;
mod sse;
mod words;

use super::Target;

/// Every target, in the order of a packet's journey.
pub static TARGETS: [Target; 13] = [
    captures::TARGET,
    frames::TARGET,
    segments::TARGET,
    http::TARGET,
    chunked::TARGET,
    codings::TARGET,
    json::TARGET,
    sse::TARGET,
    dialects::REQUESTS,
    dialects::ANSWERS,
    exchanges::TARGET,
    report::TARGET,
    pipeline::TARGET,
];
