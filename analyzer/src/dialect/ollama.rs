//! Ollama's own API: `/api/chat`, `/api/generate`, `/api/embed` and the older `/api/embeddings`.
//!
//! Streams are JSON lines, and are the default. The last line has the figures: tokens, and times in nanoseconds.

use super::{
    Answer, Dialect, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, ServerTimes, Text, Unit, Usage},
    openai::{Around, Asked, Flat},
    prompt::{Part, Wrapping},
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    rewrite::Rewriter,
    text::cut_to,
    told::{ARGUMENTS, Told},
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Chats.
pub(super) static CHAT: Dialect = Dialect {
    name: "ollama_chat",
    operation: "chat",
    provider: "ollama",
    paths: &["/api/chat"],
    hints: &[],
    request_signs: &[
        &["messages[].role", "model", "keep_alive"],
        &["messages[].role", "model", "options"],
    ],
    answer_signs: &[&["message.role", "done", "created_at"]],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// Completions of a prompt.
pub(super) static GENERATE: Dialect = Dialect {
    name: "ollama_generate",
    operation: "text_completion",
    paths: &["/api/generate"],
    request_signs: &[
        &["prompt", "model", "keep_alive"],
        &["prompt", "model", "options"],
    ],
    answer_signs: &[&["response", "done", "created_at"]],
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    ..CHAT
};

/// Vectors.
pub(super) static EMBED: Dialect = Dialect {
    name: "ollama_embed",
    operation: "embeddings",
    paths: &["/api/embed", "/api/embeddings"],
    request_signs: &[&["input", "model", "keep_alive"]],
    answer_signs: &[&["embeddings[]", "total_duration"]],
    answer_is_text: false,
    request: || {
        Box::new(JsonRequest::of(Asking {
            streams: false,
            ..Asking::default()
        }))
    },
    ..GENERATE
};

#[derive(Debug)]
struct Asking {
    facts: RequestFacts,
    /// Whether an answer is a stream unless another is asked for.
    streams: bool,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            facts: RequestFacts::default(),
            streams: true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    Options,
    Messages,
    Message,
    Told(Told),
    ToolCalls,
    ToolCall,
    Function,
    /// The system's message, where it stands apart.
    System,
    Raw,
    /// One text, or a list of them.
    Input,
    Element,
    /// `json`, or a schema.
    Format,
}

impl Request for Asking {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }

    fn settle(&mut self) {
        self.facts.stream.get_or_insert(self.streams);
        let wrapping = &mut self.facts.prompt.wrapping;
        if self.streams && *wrapping == Wrapping::Turns {
            *wrapping = Wrapping::Texts;
        }
    }
}

impl Visitor for Asking {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key(key)) => match key {
                "messages" => Asks::Messages,
                "prompt" | "input" => Asks::Input,
                "system" => Asks::System,
                "suffix" => Asks::Told(Told::Text(Part::Suffix)),
                "images" => Asks::Told(Told::Pictures),
                "think" => Asks::Told(Told::Thinking),
                "raw" => Asks::Raw,
                "tools" => Asks::Told(Told::Tools),
                "options" => Asks::Options,
                "format" => Asks::Format,
                "model" | "stream" => Asks::Asked(Asked::of(key)?),
                _ => return None,
            },
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Told(told), step) => Asks::Told(told.child(&mut self.facts.prompt, step)?),
            (Asks::Options, Step::Key("num_predict")) => Asks::Asked(Asked::MaxTokens),
            (Asks::Options, Step::Key("temperature")) => Asks::Asked(Asked::Temperature),
            (Asks::Messages, Step::Index(_)) => Asks::Message,
            (Asks::Message, Step::Key(key)) => match key {
                "role" => Asks::Told(Told::Text(Part::Role)),
                "content" => Asks::Told(Told::Text(Part::Content)),
                "thinking" => Asks::Told(Told::Text(Part::Reasoning)),
                "images" => Asks::Told(Told::Pictures),
                "tool_calls" => Asks::ToolCalls,
                _ => return None,
            },
            (Asks::Function, Step::Key("name")) => Asks::Told(Told::Text(Part::CallName)),
            (Asks::ToolCalls, Step::Index(_)) => Asks::ToolCall,
            (Asks::ToolCall, Step::Key("function")) => Asks::Function,
            (Asks::Function, Step::Key("arguments")) => Asks::Told(ARGUMENTS),
            (Asks::Input, Step::Index(_)) => Asks::Element,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Messages, Kind::Array) => {
                prompt.present = true;
                prompt.messages.get_or_insert_default();
            }
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            (Asks::Message, Kind::Object) => {
                prompt.one_message();
                prompt.place(Part::Turn);
            }
            (Asks::ToolCall, Kind::Object) => prompt.place(Part::Call),
            (Asks::System, Kind::String) => prompt.place(Part::System),
            (Asks::Input, _) => prompt.present = true,
            (Asks::Element, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            (Asks::Format, Kind::Object) => {
                self.facts.response_format = None;
                self.facts.response_format_piece("json_schema");
            }
            (Asks::Format, _) => self.facts.response_format = None,
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Format => self.facts.response_format_piece(piece),
            Asks::Told(told) => told.text(&mut self.facts, piece),
            Asks::System | Asks::Input | Asks::Element => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::Told(told), scalar) => told.scalar(&mut self.facts, scalar),
            (Asks::Raw, Scalar::Bool(true)) => {
                self.facts.prompt.wrapping = Wrapping::Nothing;
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Told(told), kind) => told.end(&mut self.facts, kind),
            (Asks::Input | Asks::Element, Kind::String) => {
                self.facts.prompt.end_part(Part::Text);
            }
            (Asks::System, Kind::String) => self.facts.prompt.end_part(Part::Content),
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    /// Tool calls of the lines before: each line counts its own from 0.
    tools_before: u32,
    /// Tool calls of this line.
    tools: u32,
    rewriter: Rewriter,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Message,
    Text(Text),
    ToolCalls,
    ToolCall,
    Function,
    Arguments,
    Done,
    DoneReason,
    Figure(Figure),
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Input,
    Output,
    Load,
    Prefill,
    Decode,
    Total,
}

impl Saying {
    fn append(&mut self, text: Text, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let tool = self
            .tools_before
            .saturating_add(self.tools)
            .saturating_sub(1);
        self.facts.add(0, tool, text, piece);
    }

    fn begin_choice(&mut self) {
        self.facts.carries(Carried::Choice);
        self.facts.choice(0);
    }

    fn figure(&mut self, figure: Figure, number: &str) {
        let micros = || ServerTimes::micros(number, Unit::Nanoseconds);
        let times = &mut self.facts.server_times;
        match figure {
            Figure::Input => self.facts.usage.input = Usage::figure(number),
            Figure::Output => {
                if let Some(number) = Usage::figure(number) {
                    self.facts.output_figure(number);
                }
            }
            Figure::Load => times.load = micros(),
            Figure::Prefill => times.prefill = micros(),
            Figure::Decode => times.decode = micros(),
            Figure::Total => times.total = micros(),
        }
    }
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.tools_before = self.tools_before.saturating_add(self.tools);
        self.tools = 0;
        self.flat.settle(&mut self.facts, named_error);
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
                "message" => Says::Message,
                "response" => Says::Text(Text::Content),
                "thinking" => Says::Text(Text::Reasoning),
                "done" => Says::Done,
                "done_reason" => Says::DoneReason,
                // Every line has it.
                "model" if self.facts.model.is_some() => return None,
                "model" | "error" => Says::Around(Around::of(key)?),
                "prompt_eval_count" => Says::Figure(Figure::Input),
                "eval_count" => Says::Figure(Figure::Output),
                "load_duration" => Says::Figure(Figure::Load),
                "prompt_eval_duration" => Says::Figure(Figure::Prefill),
                "eval_duration" => Says::Figure(Figure::Decode),
                "total_duration" => Says::Figure(Figure::Total),
                _ => return None,
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Message, Step::Key(key)) => match key {
                "content" => Says::Text(Text::Content),
                "thinking" => Says::Text(Text::Reasoning),
                "tool_calls" => Says::ToolCalls,
                _ => return None,
            },
            (Says::ToolCalls, Step::Index(_)) => Says::ToolCall,
            (Says::ToolCall, Step::Key("function")) => Says::Function,
            (Says::Function, Step::Key("name")) => Says::Text(Text::ToolName),
            (Says::Function, Step::Key("arguments")) => Says::Arguments,
            (Says::Arguments, step) => {
                let text = self.rewriter.step(step);
                self.append(Text::ToolArguments, &text);
                Says::Arguments
            }
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Message, Kind::Object)
            | (Says::Text(Text::Content | Text::Reasoning), Kind::String) => self.begin_choice(),
            (Says::ToolCall, Kind::Object) => self.tools = self.tools.saturating_add(1),
            (Says::Arguments, kind) => {
                let text = self.rewriter.begin(kind);
                self.append(Text::ToolArguments, text);
            }
            (Says::DoneReason, Kind::String) => self.reason.clear(),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Text(text) => self.append(text, piece),
            Says::Arguments => {
                let text = Rewriter::text(piece);
                self.append(Text::ToolArguments, &text);
            }
            Says::DoneReason => {
                cut_to(&mut self.reason, piece, MAX_WORD);
            }
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Done, Scalar::Bool(true)) => self.facts.ended = Final::Seen,
            (Says::Figure(figure), Scalar::Number(number)) => self.figure(figure, number),
            (Says::Arguments, scalar) => {
                let text = self.rewriter.scalar(scalar);
                self.append(Text::ToolArguments, text);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        match node {
            Says::Arguments => {
                let text = self.rewriter.end(kind);
                self.append(Text::ToolArguments, text);
            }
            Says::DoneReason => {
                let reason = std::mem::take(&mut self.reason);
                if let Some(choice) = self.facts.choice(0).filter(|_| !reason.is_empty()) {
                    choice.finish_reason = Some(reason);
                }
            }
            _ => {}
        }
    }
}
