//! A room for each dialect: exchanges in its words, written by hand, and the rows that they must come to.
//!
//! "hello", " world" and "user" are one token each in cl100k_base, so that counts can be checked by eye.

mod anthropic;
mod anthropic_complete;
mod audio;
mod choice;
mod cohere;
mod embed;
mod embeddings;
mod gemini;
mod images;
mod llamacpp;
mod moderations;
mod ollama;
mod openai_chat;
mod openai_completions;
mod openai_responses;
mod rerank;
mod sglang;
mod tgi;
mod triton;

use super::{splits::call_however_cut, *};

/// An exchange of each dialect, for the tests that cut and damage bodies: a line a dialect.
pub(super) fn examples() -> Vec<Example> {
    let example = |path, request: &str, response: String| Example {
        path,
        request: request.to_owned(),
        response,
    };
    vec![
        example(
            anthropic::PATH,
            anthropic::ASK,
            anthropic::THINKING.concat(),
        ),
        example(
            embeddings::PATH,
            embeddings::ASK,
            embeddings::VECTORS.to_owned(),
        ),
        example(
            openai_chat::PATH,
            openai_chat::ASK_ALL,
            openai_chat::interleaved().concat(),
        ),
        example(
            openai_completions::PATH,
            openai_completions::ASK,
            openai_completions::stream().concat(),
        ),
        example(
            openai_responses::PATH,
            openai_responses::ASK,
            openai_responses::stream().concat(),
        ),
        example("/api/chat", ollama::ASK, ollama::THINKING.concat()),
        example(gemini::STREAM, gemini::ASK, gemini::sse().concat()),
        example(llamacpp::PATH, llamacpp::ASK, llamacpp::EVENTS.concat()),
        example(cohere::PATH, cohere::ASK, cohere::EVENTS.concat()),
        example("/generate_stream", tgi::ASK, tgi::EVENTS.concat()),
        example("/generate", sglang::ASK, sglang::EVENTS.concat()),
        example(triton::PATH, triton::ASK, triton::EVENTS.concat()),
        example("/v1/rerank", rerank::ASK, rerank::BODY.to_owned()),
        example(
            "/v1/moderations",
            moderations::ASK,
            moderations::BODY.to_owned(),
        ),
        example(
            "/v1/images/generations",
            images::ASK,
            images::STREAM.concat(),
        ),
        example(audio::PATH, audio::ASK, audio::EVENTS.concat()),
    ]
}

/// One exchange.
#[derive(Clone, Debug)]
pub(super) struct Example {
    pub(super) path: &'static str,
    pub(super) request: String,
    pub(super) response: String,
}

pub(super) const SGLANG_ASK: &str = sglang::ASK;

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
