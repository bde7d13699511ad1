//! `POST …/v1/messages`, streamed and not, as Anthropic, Vertex, vLLM, llama.cpp and proxies serve it.

use super::{
    Answer, Dialect, Final, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Staged, Text, Usage, sum},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    rewrite::Rewriter,
    text::cut_to,
    told::{ARGUMENTS, Told},
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "anthropic",
    operation: "chat",
    provider: "anthropic",
    paths: &["/v1/messages"],
    hints: &[
        "/messages",
        "/models/{model}:rawPredict",
        "/models/{model}:streamRawPredict",
    ],
    request_signs: &[
        &["messages[].role", "system"],
        &["messages[].role", "tools[].input_schema"],
        &["messages[].role", "thinking.type"],
        &["messages[].role", "stop_sequences"],
        &["messages[].role", "anthropic_version"],
        &["messages[].role", "messages[].content[].type=tool_"],
    ],
    answer_signs: &[
        &["type=message_"],
        &["type=content_block_"],
        &["type=message", "role"],
    ],
    headers: &[],
    answer_is_text: true,
    overhead: super::Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<MessagesRequest>::default()),
    answer: || Box::new(JsonAnswer::<MessagesAnswer>::default()),
};

#[derive(Debug, Default)]
struct MessagesRequest {
    facts: RequestFacts,
    /// The block's tool call has begun: its id, name and input come in any order.
    in_call: bool,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    Metadata,
    UserId,
    Messages,
    Message,
    Told(Told),
    System,
    /// A content, or the system prompt: a string or a list of blocks.
    Content,
    Block,
    /// What a tool gave: a string or a list of blocks.
    Result,
    Source,
    /// A field of a tool call.
    Call(Told),
}

impl Request for MessagesRequest {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Visitor for MessagesRequest {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("messages")) => Asks::Messages,
            (Asks::Root, Step::Key("metadata")) => Asks::Metadata,
            (Asks::Root, Step::Key("system")) => Asks::System,
            (Asks::Root, Step::Key("tools")) => Asks::Told(Told::Tools),
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Told(told) | Asks::Call(told), step) => {
                Asks::Told(told.child(&mut self.facts.prompt, step)?)
            }
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Metadata, Step::Key("user_id")) => Asks::UserId,
            (Asks::Messages, Step::Index(_)) => Asks::Message,
            (Asks::Message, Step::Key("role")) => Asks::Told(Told::Text(Part::Role)),
            (Asks::Message, Step::Key("content")) => Asks::Content,
            (Asks::System | Asks::Content | Asks::Result, Step::Index(_)) => Asks::Block,
            (Asks::Block, Step::Key(key)) => match key {
                "text" => Asks::Told(Told::Text(Part::Content)),
                "thinking" => Asks::Told(Told::Text(Part::Reasoning)),
                "content" => Asks::Result,
                "tool_use_id" => Asks::Told(Told::Text(Part::ResultRef)),
                "source" => Asks::Source,
                "id" => Asks::Call(Told::Text(Part::CallId)),
                "name" => Asks::Call(Told::Text(Part::CallName)),
                "input" => Asks::Call(ARGUMENTS),
                _ => return None,
            },
            (Asks::Source, Step::Key("data" | "url")) => Asks::Told(Told::PictureSource),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Messages, Kind::Array) => {
                self.facts.prompt.present = true;
                self.facts.prompt.messages.get_or_insert_default();
            }
            (Asks::Message, Kind::Object) => {
                self.facts.prompt.one_message();
                self.facts.prompt.place(Part::Turn);
            }
            (Asks::System, _) => self.facts.prompt.place(Part::System),
            (Asks::Block, _) => self.in_call = false,
            (Asks::Result, _) => self.facts.prompt.place(Part::Result),
            (Asks::Source, _) => self.facts.prompt.begin_picture(),
            (Asks::Call(told), kind) => {
                if !std::mem::replace(&mut self.in_call, true) {
                    self.facts.prompt.place(Part::Call);
                }
                told.begin(&mut self.facts, kind);
            }
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            (Asks::UserId, Kind::String) => self.facts.user = None,
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::UserId => self.facts.user_piece(piece),
            Asks::Told(told) | Asks::Call(told) => told.text(&mut self.facts, piece),
            Asks::System | Asks::Content | Asks::Result => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match node {
            Asks::Asked(field) => field.scalar(&mut self.facts, scalar),
            Asks::Told(told) | Asks::Call(told) => told.scalar(&mut self.facts, scalar),
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Told(told) | Asks::Call(told), kind) => told.end(&mut self.facts, kind),
            (Asks::Source, _) => self.facts.prompt.end_picture(),
            (Asks::System | Asks::Content, Kind::String) => {
                self.facts.prompt.end_part(Part::Content);
            }
            (Asks::Result, kind) => {
                if kind == Kind::String {
                    self.facts.prompt.end_part(Part::Content);
                }
                self.facts.prompt.place(Part::ResultEnd);
            }
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct MessagesAnswer {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
    /// The event's type.
    event: String,
    /// The index of the event's content block.
    block: Option<u32>,
    /// A tool call is staged.
    in_tool: bool,
    rewriter: Rewriter,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    /// The message at the root, or in `message_start`.
    Message,
    Around(Around),
    Event,
    Content,
    /// A content block, whole or in its start event; the position is that in the list.
    Block {
        position: Option<u32>,
    },
    Index,
    Delta,
    Text(Text),
    /// A tool's input, at any depth.
    Input,
    StopReason,
    Usage,
    OutputDetails,
    Figure(Figure),
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Input,
    CacheRead,
    CacheWrite,
    Output,
    Thinking,
}

impl MessagesAnswer {
    fn append(&mut self, text: Text, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let kept = self.facts.output(text, piece);
        self.staged.append(text, kept);
    }

    fn begin_block(&mut self, position: Option<u32>) {
        self.facts.carries(Carried::Choice);
        self.staged.begin(0);
        self.block = position.or(self.block);
    }

    fn begin_tool(&mut self) {
        if !std::mem::replace(&mut self.in_tool, true) {
            self.staged.begin_tool(0);
        }
    }

    fn end_block(&mut self) {
        if std::mem::take(&mut self.in_tool) {
            self.staged.tool.index = self.block;
        }
        self.facts.commit(&mut self.staged);
    }

    fn figure(&mut self, figure: Figure, number: &str) {
        let Some(number) = Usage::figure(number) else {
            return;
        };
        let usage = &mut self.facts.usage;
        match figure {
            // Some proxies write a zero into the last event: no prompt is empty.
            Figure::Input if number == 0 && usage.input.is_some() => {}
            Figure::Input => usage.input = Some(number),
            Figure::CacheRead => usage.cached = Some(number),
            Figure::CacheWrite => usage.cache_write = Some(number),
            Figure::Output => self.facts.output_figure(number),
            Figure::Thinking => usage.reasoning = Some(number),
        }
    }
}

impl Answer for MessagesAnswer {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.end_block();
        self.block = None;
        let event = std::mem::take(&mut self.event);
        if event == "message_stop" {
            self.facts.ended = Final::Seen;
        }
        self.flat
            .settle(&mut self.facts, named_error || event == "error");
    }

    /// The API's `input_tokens` are those beside the cache.
    fn settle(&mut self) {
        let usage = &mut self.facts.usage;
        self.facts.reported_input = usage.input;
        usage.input = usage
            .input
            .map(|input| sum(Some(input), sum(usage.cached, usage.cache_write)).unwrap_or(input));
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl Visitor for MessagesAnswer {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key(key)) => match key {
                "type" => Says::Event,
                "message" => Says::Message,
                "index" => Says::Index,
                "content_block" => Says::Block { position: None },
                "delta" => Says::Delta,
                _ => message(key)?,
            },
            (Says::Message, Step::Key(key)) => message(key)?,
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Content, Step::Index(position)) => Says::Block {
                position: Some(position),
            },
            (Says::Block { .. } | Says::Delta, Step::Key(key)) => match key {
                "text" => Says::Text(Text::Content),
                "thinking" => Says::Text(Text::Reasoning),
                "name" => Says::Text(Text::ToolName),
                "partial_json" => Says::Text(Text::ToolArguments),
                "stop_reason" => Says::StopReason,
                // In a block's start it is an empty object; its text comes in the deltas.
                "input" if matches!(node, Says::Block { position: Some(_) }) => {
                    self.begin_tool();
                    Says::Input
                }
                _ => return None,
            },
            (Says::Input, step) => {
                let text = self.rewriter.step(step);
                self.append(Text::ToolArguments, &text);
                Says::Input
            }
            (Says::Usage, Step::Key(key)) => Says::Figure(match key {
                "input_tokens" => Figure::Input,
                "cache_read_input_tokens" => Figure::CacheRead,
                "cache_creation_input_tokens" => Figure::CacheWrite,
                "output_tokens" => Figure::Output,
                "output_tokens_details" => return Some(Says::OutputDetails),
                _ => return None,
            }),
            (Says::OutputDetails, Step::Key("thinking_tokens")) => Says::Figure(Figure::Thinking),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Block { position }, Kind::Object) => self.begin_block(position),
            (Says::Text(Text::ToolName | Text::ToolArguments), Kind::String) => self.begin_tool(),
            (Says::Input, kind) => {
                let text = self.rewriter.begin(kind);
                self.append(Text::ToolArguments, text);
            }
            (Says::StopReason, Kind::String) => self.reason.clear(),
            _ => {}
        }
        // A delta's block may have been begun by an event that was lost.
        if let (Says::Text(_), Kind::String) = (node, kind) {
            self.begin_block(None);
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Event => cut_to(&mut self.event, piece, MAX_WORD),
            Says::Text(text) => self.append(text, piece),
            Says::Input => {
                let text = Rewriter::text(piece);
                self.append(Text::ToolArguments, &text);
            }
            Says::StopReason => cut_to(&mut self.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => self.block = number.parse().ok(),
            (Says::Figure(figure), Scalar::Number(number)) => self.figure(figure, number),
            (Says::Input, scalar) => {
                let text = self.rewriter.scalar(scalar);
                self.append(Text::ToolArguments, text);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        match node {
            Says::Input => {
                let text = self.rewriter.end(kind);
                self.append(Text::ToolArguments, text);
            }
            Says::Block { position: Some(_) } => self.end_block(),
            Says::StopReason => {
                let reason = std::mem::take(&mut self.reason);
                if let Some(choice) = self.facts.choice(0).filter(|_| !reason.is_empty()) {
                    choice.finish_reason = Some(reason);
                }
            }
            _ => {}
        }
    }
}

/// The child of a message, wherever it stands.
fn message(key: &str) -> Option<Says> {
    Some(match key {
        "id" | "model" | "error" | "detail" => Says::Around(Around::of(key)?),
        "content" => Says::Content,
        "stop_reason" => Says::StopReason,
        "usage" => Says::Usage,
        _ => return None,
    })
}
