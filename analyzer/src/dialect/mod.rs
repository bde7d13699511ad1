//! Dialects: one file a wire API, and the choice of one for an exchange.
//!
//! A dialect is two incremental readers, one for the request's body and one for the answer's, which
//! keep the fields and the text that a call needs. Adding one is one file and one line in
//! [`DIALECTS`].
//!
//! The path chooses where it says something (its end counts, so that a proxy's prefix changes
//! nothing). Where it says nothing, every dialect reads along and the bodies' shape decides.

pub mod answer;
mod clocks;
mod openai;
mod openai_chat;
mod openai_completions;
mod read;
pub mod request;
mod text;

pub use clocks::{Gaps, MAX_GAPS, STALL_THRESHOLD, StreamClocks};
pub use text::MAX_TEXT;

use crate::{
    json::{Damage, Visitor},
    time::Timestamp,
};
use answer::{AnswerFacts, ErrorFacts};
use request::RequestFacts;

/// Every dialect. Where two suffixes fit a path, the earlier one holds.
pub static DIALECTS: [&Dialect; 2] = [&openai_chat::DIALECT, &openai_completions::DIALECT];

/// Ends of paths that are known to be no call of [`DIALECTS`], though their bodies may look like one.
const OTHER_SUFFIXES: [&str; 34] = [
    "/tokenize",
    "/detokenize",
    "/count_tokens",
    "/apply-template",
    "/apply_template",
    "/embeddings",
    "/embedding",
    "/embed",
    "/rerank",
    "/score",
    "/classify",
    "/pooling",
    "/moderations",
    "/responses",
    "/messages",
    "/batches",
    "/files",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/show",
    "/api/pull",
    "/generate",
    "/generate_stream",
    "/completion",
    "/infill",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    ":generateContent",
    ":streamGenerateContent",
];

/// One wire API.
#[derive(Debug)]
pub struct Dialect {
    /// Its name in rows.
    pub name: &'static str,
    /// The OpenTelemetry operation name.
    pub operation: &'static str,
    /// The family: the provider's name unless one is set.
    pub provider: &'static str,
    /// Ends of the paths at which it is served.
    pub suffixes: &'static [&'static str],
    /// What a prompt costs besides its text.
    pub overhead: Overhead,
    /// A reader for a request's body.
    pub request: fn() -> Box<dyn RequestReader>,
    /// A reader for an answer's body.
    pub answer: fn() -> Box<dyn AnswerReader>,
}

/// Tokens that a prompt costs besides its text, by the old tracker's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// For each message.
    pub message: u64,
    /// For the prompt.
    pub prompt: u64,
}

/// What a path says of the calls made to it.
#[derive(Clone, Copy, Debug)]
pub enum PathSays {
    /// They follow this dialect.
    Dialect(&'static Dialect),
    /// They are no calls.
    NoCall,
    /// Nothing: the shape decides.
    Nothing,
}

/// Reads a request target (its query does not count).
pub fn by_path(target: &str) -> PathSays {
    let path = path_of(target).trim_end_matches('/');
    let known = DIALECTS
        .iter()
        .find(|dialect| dialect.suffixes.iter().any(|end| path.ends_with(end)));
    match known {
        Some(dialect) => PathSays::Dialect(dialect),
        None if OTHER_SUFFIXES.iter().any(|end| path.ends_with(end)) => PathSays::NoCall,
        None => PathSays::Nothing,
    }
}

/// The path of a request target: without its query, and without scheme and host where a proxy
/// sent the absolute form.
pub fn path_of(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => path,
    }
}

/// The model that a path names, as Azure's deployments and the old engines do.
pub fn model_of_path(path: &str) -> Option<&str> {
    let mut segments = path.split('/');
    segments.find(|segment| matches!(*segment, "deployments" | "engines"))?;
    segments.next().filter(|model| !model.is_empty())
}

/// Reads a request's body, in pieces.
pub trait RequestReader: Send {
    /// The next bytes.
    fn push(&mut self, bytes: &[u8]);
    /// Bytes are missing here.
    fn hole(&mut self);
    /// Whether the shape read so far is this dialect's.
    fn claims(&self) -> bool;
    /// Bytes of text kept so far.
    fn held(&mut self) -> usize;
    /// Keeps no more text.
    fn stop_keeping(&mut self);
    /// The body is over, at its end or before: what was read.
    fn finish(self: Box<Self>) -> RequestFacts;
}

/// Reads an answer's body, in pieces.
pub trait AnswerReader: Send {
    /// Before the first byte: what the answer's head promises, and above how many microseconds a
    /// gap between events is a stall.
    fn begin(&mut self, form: Expected, stall_threshold: i64);
    /// The next bytes, and when they were there.
    fn push(&mut self, bytes: &[u8], time: Timestamp);
    /// Bytes are missing here.
    fn hole(&mut self);
    /// Whether the shape read so far is this dialect's.
    fn claims(&self) -> bool;
    /// Bytes of text kept so far.
    fn held(&mut self) -> usize;
    /// Keeps no more text.
    fn stop_keeping(&mut self);
    /// The body is over, at its end or before: what was read.
    fn finish(self: Box<Self>, asked: &RequestFacts) -> Answered;
}

/// What a Content-Type promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// `text/event-stream`
    Events,
    /// Anything else, or nothing.
    #[default]
    Anything,
}

/// The form that an answer's body had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// No byte of it was seen.
    Unseen,
    /// One JSON value.
    Json,
    /// Server-sent events.
    Events,
    /// Neither, such as an error page.
    Other,
}

/// Whether an answer came to its own end, whatever the transport did later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// The dialect's final event (or the end of its JSON value) was read.
    Seen,
    /// It was not.
    Unseen,
}

/// What was read from an answer.
#[derive(Debug)]
pub struct Answered {
    /// Its facts.
    pub facts: AnswerFacts,
    /// FastAPI's `detail`: an error where the status is one.
    pub detail: Option<ErrorFacts>,
    /// Its form.
    pub form: Form,
    /// Whether it came to its end.
    pub ended: Final,
    /// Its clocks, if it is a stream.
    pub clocks: StreamClocks,
    /// What was wrong with its JSON.
    pub damage: Damage,
}

/// The dialect's side of a request's reader.
pub(crate) trait Request: Visitor + Default {
    fn facts(&mut self) -> &mut RequestFacts;
    fn claims(&self) -> bool;
}

/// The dialect's side of an answer's reader.
pub(crate) trait Answer: Visitor + Default {
    fn facts(&mut self) -> &mut AnswerFacts;
    fn claims(&self) -> bool;
    /// An event (or the plain body) is over, at its end or cut off.
    fn end_event(&mut self, named_error: bool);
    fn detail(&mut self) -> Option<ErrorFacts>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(target: &str) -> &'static str {
        match by_path(target) {
            PathSays::Dialect(dialect) => dialect.name,
            PathSays::NoCall => "no call",
            PathSays::Nothing => "nothing",
        }
    }

    #[test]
    fn the_end_of_the_path_chooses() {
        for (target, expected) in [
            ("/v1/chat/completions", "openai_chat"),
            ("/v1/chat/completions/", "openai_chat"),
            (
                "/proxy/a/v1/chat/completions?api-version=1&x=/tokenize",
                "openai_chat",
            ),
            ("/chat/completions", "openai_chat"),
            ("http://llm:8000/v1/chat/completions", "openai_chat"),
            (
                "/openai/deployments/gpt/chat/completions?api-version=2",
                "openai_chat",
            ),
            ("/v1/completions", "openai_completions"),
            ("/completions", "openai_completions"),
            ("/engines/davinci/completions", "openai_completions"),
            ("/v1/xcompletions", "nothing"),
            ("/v1/chat/completions/extra", "nothing"),
            ("/", "nothing"),
            ("", "nothing"),
            ("*", "nothing"),
            ("http://host", "nothing"),
            ("/tokenize", "no call"),
            ("/v1/messages", "no call"),
            ("/v1/messages/count_tokens", "no call"),
            ("/completion", "no call"),
            ("/api/chat", "no call"),
            ("/v1beta/models/g:streamGenerateContent?alt=sse", "no call"),
            ("/v1/embeddings", "no call"),
        ] {
            assert_eq!(name(target), expected, "{target}");
        }
    }

    #[test]
    fn a_deployments_path_names_the_model() {
        assert_eq!(
            model_of_path("/openai/deployments/my-gpt/chat/completions"),
            Some("my-gpt")
        );
        assert_eq!(
            model_of_path("/v1/engines/davinci/completions"),
            Some("davinci")
        );
        assert_eq!(model_of_path("/v1/chat/completions"), None);
        assert_eq!(model_of_path("/deployments//x"), None);
    }
}
