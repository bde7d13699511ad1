//! Dialects: one file a wire API, and the choice of one for a request and one for its answer.
//!
//! A dialect is two incremental readers, one for the request's body and one for the answer's, which
//! keep the fields and the text that a call needs. Adding one is one file and one line in
//! [`DIALECTS`].
//!
//! The path chooses where it says something surely (its end counts, so that a proxy's prefix changes
//! nothing). Where it does not, the bodies' shape decides: see [`shape`] for the signs, [`choice`]
//! for how they are used.

pub mod answer;
mod anthropic;
mod anthropic_complete;
mod audio;
mod choice;
mod clocks;
mod cohere;
mod embed;
mod embeddings;
mod form;
mod gemini;
mod images;
mod llamacpp;
mod moderations;
mod ollama;
mod openai;
mod openai_chat;
mod openai_completions;
mod openai_responses;
mod paths;
mod picture;
pub mod prompt;
mod read;
pub mod request;
mod rerank;
mod rewrite;
mod sglang;
mod shape;
mod text;
mod tgi;
mod told;
mod triton;

pub(crate) use choice::{AnswerChoice, RequestChoice};
pub use choice::{MAX_ANSWER_PROBED, MAX_REQUEST_PROBED};
pub use clocks::{Gaps, MAX_GAPS, STALL_THRESHOLD, StreamClocks};
pub use paths::{OTHER_ENDPOINT, PathSays, by_path, endpoint, model_of_path, path_of};
pub use shape::Sign;
pub use text::MAX_TEXT;

use crate::{
    exchange::Headers,
    json::{Damage, Visitor},
    time::Timestamp,
};
use answer::{AnswerFacts, ErrorFacts};
use request::RequestFacts;

/// Every dialect. Where a path or a shape fits several alike, the earlier one holds.
pub static DIALECTS: &[&Dialect] = &[
    &openai_chat::DIALECT,
    &openai_completions::DIALECT,
    &openai_responses::DIALECT,
    &anthropic::DIALECT,
    &anthropic_complete::DIALECT,
    &embeddings::DIALECT,
    &ollama::CHAT,
    &ollama::GENERATE,
    &ollama::EMBED,
    &llamacpp::COMPLETION,
    &llamacpp::EMBEDDING,
    &gemini::GENERATE,
    &gemini::STREAM,
    &gemini::EMBED,
    &cohere::CHAT,
    &cohere::CHAT_V1,
    &tgi::DIALECT,
    &sglang::DIALECT,
    &embed::TEI,
    &embed::COHERE,
    &triton::GENERATE,
    &triton::STREAM,
    &rerank::DIALECT,
    &audio::TRANSCRIPTION,
    &audio::SPEECH,
    &images::DIALECT,
    &moderations::DIALECT,
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
    /// Ends of paths at which nothing else is served: what is posted there is a call of this dialect.
    /// `{model}` stands for the model's name.
    pub paths: &'static [&'static str],
    /// Ends of paths that others use too: a call is what bears a sign besides.
    pub hints: &'static [&'static str],
    /// Signs of a request's body: any one of them is enough.
    pub request_signs: &'static [Sign],
    /// Signs of an answer's body, or of one event of it; errors, which many APIs write alike, are none.
    pub answer_signs: &'static [Sign],
    /// Fields of the response's head that the answer's reader wants to see, in lower case.
    pub headers: &'static [&'static str],
    /// Whether a good answer is text that is worth storing; vectors, sound and pictures are not.
    pub answer_is_text: bool,
    /// What a prompt costs besides its text.
    pub overhead: Overhead,
    /// A reader for a request's body.
    pub request: fn() -> Box<dyn RequestReader>,
    /// A reader for an answer's body.
    pub answer: fn() -> Box<dyn AnswerReader>,
}

impl Dialect {
    /// Whether its prompts are conversations, around which a server puts a chat template.
    pub fn is_chat(&self) -> bool {
        matches!(self.operation, "chat" | "generate_content")
    }

    /// Whether its prompts are texts to be gone on with.
    pub fn is_completion(&self) -> bool {
        self.operation == "text_completion"
    }
}

/// Tokens that a prompt costs besides its text, by the old tracker's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// For each message.
    pub message: u64,
    /// For the prompt.
    pub prompt: u64,
}

/// Reads a request's body, in pieces.
pub trait RequestReader: Send {
    /// Before the first byte: what the head says of the body.
    fn begin(&mut self, content_type: Option<&str>);
    /// The next bytes.
    fn push(&mut self, bytes: &[u8]);
    /// Bytes are missing here.
    fn hole(&mut self);
    /// Bytes of text kept so far.
    fn held(&mut self) -> usize;
    /// Keeps no more text.
    fn stop_keeping(&mut self);
    /// What was read so far.
    fn so_far(&mut self) -> &RequestFacts;
    /// The body is over, at its end or before: what was read.
    fn finish(self: Box<Self>) -> RequestFacts;
}

/// Reads an answer's body, in pieces.
pub trait AnswerReader: Send {
    /// Before the first byte.
    fn begin(&mut self, head: &AnswerHead<'_>);
    /// The next bytes, and when they were there.
    fn push(&mut self, bytes: &[u8], time: Timestamp);
    /// Bytes are missing here.
    fn hole(&mut self);
    /// Bytes of text kept so far.
    fn held(&mut self) -> usize;
    /// Keeps no more text.
    fn stop_keeping(&mut self);
    /// What was read so far, and its clocks where it is a stream.
    fn so_far(&mut self) -> (&AnswerFacts, Option<&StreamClocks>);
    /// The body is over, at its end or before: what was read.
    fn finish(self: Box<Self>, asked: &RequestFacts) -> Answered;
}

/// What is known of an answer before its body.
#[derive(Clone, Copy, Debug)]
pub struct AnswerHead<'a> {
    /// What its Content-Type promises.
    pub expected: Expected,
    /// The fields that some dialect wants to see.
    pub headers: &'a KeptHeaders,
    /// Above how many microseconds a gap between events is a stall.
    pub stall_threshold: i64,
}

/// Bytes of one field's value that are kept: they are figures and words.
const MAX_HEADER: usize = 128;

/// Fields of a response's head that dialects want to see.
#[derive(Clone, Debug, Default)]
pub struct KeptHeaders(Vec<(&'static str, String)>);

impl KeptHeaders {
    /// Those of the head's fields that some dialect names: the first value of each.
    pub fn of(headers: &Headers) -> Self {
        let names = DIALECTS.iter().flat_map(|dialect| dialect.headers);
        let mut kept: Vec<(&'static str, String)> = Vec::new();
        for name in names {
            if let Some(value) = headers.get(name)
                && !kept.iter().any(|(known, _)| known == name)
            {
                let end = value.floor_char_boundary(MAX_HEADER);
                kept.push((name, value.get(..end).unwrap_or_default().to_owned()));
            }
        }
        Self(kept)
    }

    /// The value of this field, by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(known, _)| *known == name);
        field.map(|(_, value)| value.trim())
    }
}

/// What a Content-Type promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// `text/event-stream`
    Events,
    /// `application/x-ndjson` and its other names.
    Lines,
    /// Sound, pictures and other bytes.
    Binary,
    /// Plain text, subtitles and the like (some servers call JSON that, too).
    Text,
    /// Anything else, or nothing.
    #[default]
    Anything,
}

impl Expected {
    /// What this Content-Type promises.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        if kind.contains("event-stream") {
            return Self::Events;
        }
        match kind.as_str() {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines"
            | "application/json-lines"
            | "application/stream+json"
            | "application/x-json-stream" => Self::Lines,
            "application/octet-stream" => Self::Binary,
            "application/x-subrip" => Self::Text,
            _ if kind.starts_with("text/") => Self::Text,
            _ if ["audio/", "image/", "video/"]
                .iter()
                .any(|t| kind.starts_with(t)) =>
            {
                Self::Binary
            }
            _ => Self::Anything,
        }
    }

    /// The form of an answer that promises this and of which no byte was seen.
    pub const fn unseen(self) -> Form {
        match self {
            Self::Events => Form::Events,
            Self::Lines => Form::Lines,
            Self::Binary | Self::Text | Self::Anything => Form::Unseen,
        }
    }
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
    /// JSON values, each on a line (NDJSON).
    Lines,
    /// A JSON array whose elements are sent one by one.
    Array,
    /// None of these: sound, plain text, an error page.
    Other,
}

impl Form {
    /// Whether it is a stream of events.
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Events | Self::Lines | Self::Array)
    }
}

/// Whether an answer came to its own end, whatever the transport did later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Final {
    /// The dialect's final event (or the end of its JSON value) was read.
    Seen,
    /// It was not.
    #[default]
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
    /// The body is over.
    fn settle(&mut self) {}
}

/// The dialect's side of an answer's reader.
pub(crate) trait Answer: Visitor + Default {
    /// Whether the elements of an array at the root are events of a stream.
    const ARRAY_IS_STREAM: bool = false;
    /// Whether a body whose type is text is just that, however it begins.
    const PLAIN_TEXT: bool = false;

    fn facts(&mut self) -> &mut AnswerFacts;
    /// Before the first byte.
    fn head(&mut self, _head: &AnswerHead<'_>) {}
    /// Bytes of a body that is neither JSON nor a stream.
    fn other(&mut self, _bytes: &[u8], _time: Timestamp) {}
    /// An event (or the plain body) is over, at its end or cut off.
    fn end_event(&mut self, named_error: bool);
    /// Bytes of text held besides what the facts keep.
    fn staged(&self) -> usize {
        0
    }
    /// The body is over: brings the figures to the meaning that [`answer::Usage`] states.
    fn settle(&mut self) {}
    /// FastAPI's `detail`, an error only where the status is one.
    fn detail(&mut self) -> Option<ErrorFacts> {
        None
    }
}
