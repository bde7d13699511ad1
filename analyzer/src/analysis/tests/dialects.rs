//! A room for each dialect: exchanges in its words, written by hand, and the rows that they must come to.
//!
//! "hello", " world" and "user" are one token each in cl100k_base, so that counts can be checked by eye.

mod anthropic;
mod embeddings;

use super::{splits::call_however_cut, *};

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream";

/// A stream's events, each a segment of its own: the first comes at 1,000 µs, each other 10 µs later.
fn events(target: &str, request: &str, events: &[&str]) -> Call {
    let mut script = Script::new().post(target, request).stream(500);
    let mut at = 990;
    for event in events {
        at += 10;
        script = script.piece(*event, at);
    }
    script.complete(at + 10).call()
}

/// The times of the first event with a choice, of the first and of the last with output, in
/// [`events`]' count of them, from 0.
fn marks(call: &Call) -> [Option<i64>; 3] {
    let marks = [
        call.marks.first_event,
        call.marks.first_token,
        call.marks.last_token,
    ];
    marks.map(|mark| Some((mark?.micros_since(t(0)) - 1_000) / 10))
}
