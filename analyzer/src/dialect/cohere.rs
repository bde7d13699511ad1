//! Cohere's `…/v2/chat` and `…/v1/chat`, streamed and not.
//!
//! A request of the second version is worded as OpenAI's is; its stream names each event with a hyphen
//! (`content-delta`). The first version asks with one `message`, answers with one `text`, and its stream is
//! lines, the last of which repeats the whole answer: that is read only where nothing came before it.

use super::{
    Answer, Dialect, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Text, Usage},
    openai::{Around, Asked, Flat},
    openai_chat::ChatRequest,
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    rewrite::Rewriter,
    text::cut_to,
    told::{DOCUMENT, Told},
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The second version.
pub(super) static CHAT: Dialect = Dialect {
    name: "cohere_chat",
    operation: "chat",
    provider: "cohere",
    paths: &[],
    hints: &["/v2/chat"],
    request_signs: &[&["messages[].role"]],
    answer_signs: &[
        &["type=message-", "delta"],
        &["type=content-", "delta.message"],
        &["type=tool-", "delta.message"],
        &["id", "message.content[].type"],
        &["id", "message.tool_plan"],
    ],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<ChatRequest>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// The first version.
pub(super) static CHAT_V1: Dialect = Dialect {
    hints: &["/v1/chat"],
    request_signs: &[&["message", "chat_history"], &["message", "preamble"]],
    answer_signs: &[
        &["event_type=stream-"],
        &["event_type=text-generation"],
        &["event_type=tool-calls-"],
        &["text", "generation_id"],
    ],
    request: || Box::new(JsonRequest::<Asking>::default()),
    ..CHAT
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// What is asked now: one more message.
    Message,
    History,
    Turn,
    Told(Told),
    Preamble,
    Documents,
    Document,
}

impl Request for Asking {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Visitor for Asking {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("message")) => Asks::Message,
            (Asks::Root, Step::Key("chat_history")) => Asks::History,
            (Asks::Root, Step::Key("preamble")) => Asks::Preamble,
            (Asks::Root, Step::Key("documents")) => Asks::Documents,
            (Asks::Root, Step::Key("tools")) => Asks::Told(Told::Tools),
            (Asks::Told(told), step) => Asks::Told(told.child(&mut self.facts.prompt, step)?),
            (Asks::Turn, Step::Key("role")) => Asks::Told(Told::Text(Part::Role)),
            (Asks::Turn, Step::Key("message")) => Asks::Told(Told::Text(Part::Content)),
            (Asks::Documents, Step::Index(_)) => Asks::Document,
            (Asks::Document, Step::Key(_)) => Asks::Told(DOCUMENT),
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::History, Step::Index(_)) => Asks::Turn,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            (Asks::Preamble, Kind::String) => self.facts.prompt.place(Part::System),
            (Asks::Message, Kind::String) | (Asks::Turn, Kind::Object) => {
                self.facts.prompt.one_message();
                self.facts.prompt.place(Part::Turn);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Told(told) => told.text(&mut self.facts, piece),
            Asks::Message | Asks::Preamble | Asks::Document => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match node {
            Asks::Asked(field) => field.scalar(&mut self.facts, scalar),
            Asks::Told(told) => told.scalar(&mut self.facts, scalar),
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Told(told), kind) => told.end(&mut self.facts, kind),
            (Asks::Message | Asks::Preamble, Kind::String) => {
                self.facts.prompt.end_part(Part::Content);
            }
            (Asks::Document, Kind::String) => self.facts.prompt.end_part(Part::Document),
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    /// The event's type.
    event: String,
    /// The index of the event's content or tool call; it comes before them.
    index: u32,
    reason: String,
    rewriter: Rewriter,
    /// Figures as billed, which leave out what the server put around the prompt: they stand in for
    /// figures that are missing.
    billed: Usage,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Event,
    Index,
    Delta,
    /// The first version's whole answer, in its stream's last line.
    Response,
    Message,
    /// A list of parts, or the part of one event.
    Content,
    Text(Text),
    ToolCalls,
    /// A tool call; its position is that in the list, where there is one.
    Tool {
        index: Option<u32>,
    },
    ToolText {
        index: Option<u32>,
        text: Text,
    },
    /// The first version's arguments, at any depth.
    Parameters {
        index: Option<u32>,
    },
    FinishReason,
    Usage,
    Tokens,
    Billed,
    Figure(Figure),
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Input,
    Output,
    BilledInput,
    BilledOutput,
    Cached,
}

impl Saying {
    fn append(&mut self, tool: Option<u32>, text: Text, piece: &str) {
        if !piece.is_empty() {
            let tool = tool.unwrap_or(self.index);
            self.facts.add(0, tool, text, piece);
        }
    }

    fn has_text(&self) -> bool {
        let mut choices = self.facts.choices.values();
        choices.any(|choice| !choice.content.is_empty())
    }

    fn has_tools(&self) -> bool {
        let mut choices = self.facts.choices.values();
        choices.any(|choice| !choice.tools.is_empty())
    }

    /// The child of an answer, at the root or where a stream's end repeats it.
    fn answer(&self, key: &str) -> Option<Says> {
        Some(match key {
            "id" | "response_id" if self.facts.id.is_none() => Says::Around(Around::Id),
            "message" => Says::Message,
            // The last lines of a stream repeat what its pieces brought.
            "text" if self.event == "tool-calls-generation" && self.has_text() => return None,
            "text" => Says::Text(Text::Content),
            "tool_calls" if !self.has_tools() => Says::ToolCalls,
            "finish_reason" => Says::FinishReason,
            "usage" | "meta" => Says::Usage,
            _ => return None,
        })
    }

    fn figure(&mut self, figure: Figure, number: &str) {
        let Some(number) = Usage::figure(number) else {
            return;
        };
        match figure {
            Figure::Input => self.facts.usage.input = Some(number),
            Figure::Output => self.facts.output_figure(number),
            Figure::BilledInput => self.billed.input = Some(number),
            Figure::BilledOutput => self.billed.output = Some(number),
            Figure::Cached => self.facts.usage.cached = Some(number),
        }
    }
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        let event = std::mem::take(&mut self.event);
        if matches!(event.as_str(), "message-end" | "stream-end") {
            self.facts.ended = Final::Seen;
        }
        self.index = 0;
        self.flat.settle(&mut self.facts, named_error);
    }

    fn settle(&mut self) {
        let usage = &mut self.facts.usage;
        usage.input = usage.input.or(self.billed.input);
        usage.output = usage.output.or(self.billed.output);
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl Visitor for Saying {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key(key)) => match key {
                "type" | "event_type" => Says::Event,
                "index" => Says::Index,
                "delta" => Says::Delta,
                "response" => Says::Response,
                "tool_call_delta" => Says::Tool { index: None },
                "error" | "detail" => Says::Around(Around::of(key)?),
                _ => self.answer(key)?,
            },
            (Says::Response, Step::Key("text")) if self.has_text() => return None,
            (Says::Response | Says::Delta, Step::Key(key)) => self.answer(key)?,
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Message, Step::Key(key)) => match key {
                "content" => Says::Content,
                "tool_plan" => Says::Text(Text::Reasoning),
                "tool_calls" => Says::ToolCalls,
                _ => return None,
            },
            (Says::Content, Step::Index(_)) => Says::Content,
            (Says::Content, Step::Key("text")) => Says::Text(Text::Content),
            (Says::Content, Step::Key("thinking")) => Says::Text(Text::Reasoning),
            (Says::ToolCalls, Step::Index(position)) => Says::Tool {
                index: Some(position),
            },
            // An event has the one call that it is of.
            (Says::ToolCalls, Step::Key("function")) => Says::Tool { index: None },
            (Says::Tool { index }, Step::Key(key)) => match key {
                "function" => Says::Tool { index },
                "index" => Says::Index,
                "name" => Says::ToolText {
                    index,
                    text: Text::ToolName,
                },
                // The first version's: an object, or a piece of its text in an event of its own.
                "parameters" if index.is_some() => Says::Parameters { index },
                "arguments" | "parameters" => Says::ToolText {
                    index,
                    text: Text::ToolArguments,
                },
                _ => return None,
            },
            (Says::Parameters { index }, step) => {
                let text = self.rewriter.step(step);
                self.append(index, Text::ToolArguments, &text);
                Says::Parameters { index }
            }
            (Says::Usage, Step::Key(key)) => match key {
                "tokens" => Says::Tokens,
                "billed_units" => Says::Billed,
                "cached_tokens" => Says::Figure(Figure::Cached),
                _ => return None,
            },
            (Says::Tokens, Step::Key("input_tokens")) => Says::Figure(Figure::Input),
            (Says::Tokens, Step::Key("output_tokens")) => Says::Figure(Figure::Output),
            (Says::Billed, Step::Key("input_tokens")) => Says::Figure(Figure::BilledInput),
            (Says::Billed, Step::Key("output_tokens")) => Says::Figure(Figure::BilledOutput),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Content | Says::Tool { .. }, Kind::Object)
            | (Says::Text(Text::Content), Kind::String) => {
                self.facts.carries(Carried::Choice);
                self.facts.choice(0);
            }
            (Says::Parameters { index }, kind) => {
                let text = self.rewriter.begin(kind);
                self.append(index, Text::ToolArguments, text);
            }
            (Says::FinishReason, Kind::String) => self.reason.clear(),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Event => cut_to(&mut self.event, piece, MAX_WORD),
            Says::Text(text) => self.append(None, text, piece),
            Says::ToolText { index, text } => self.append(index, text, piece),
            Says::Parameters { index } => {
                let text = Rewriter::text(piece);
                self.append(index, Text::ToolArguments, &text);
            }
            Says::FinishReason => cut_to(&mut self.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => {
                self.index = number.parse().unwrap_or_default();
            }
            (Says::Figure(figure), Scalar::Number(number)) => self.figure(figure, number),
            (Says::Parameters { index }, scalar) => {
                let text = self.rewriter.scalar(scalar);
                self.append(index, Text::ToolArguments, text);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Parameters { index }, kind) => {
                let text = self.rewriter.end(kind);
                self.append(index, Text::ToolArguments, text);
            }
            (Says::FinishReason, Kind::String) => {
                let reason = std::mem::take(&mut self.reason);
                if let Some(choice) = self.facts.choice(0) {
                    choice.finish_reason = Some(reason);
                }
            }
            _ => {}
        }
    }
}
