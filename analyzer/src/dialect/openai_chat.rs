//! `POST …/chat/completions`, streamed and not, as OpenAI, vLLM, SGLang, Xinference, llama.cpp,
//! TGI, Mistral and many others serve it.

use super::{
    Answer, AnswerHead, Dialect, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, FUNCTION_CALL, MAX_WORD, OutputKind, Staged, Text},
    openai::{Around, Asked, Flat, TIME_HEADERS, times_of_head},
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_chat",
    operation: "chat",
    provider: "openai",
    paths: &["/chat/completions"],
    hints: &[],
    request_signs: &[&["messages[].role"]],
    answer_signs: &[
        &["object=chat.completion"],
        &["choices[].delta"],
        &["choices[].message"],
    ],
    headers: TIME_HEADERS,
    answer_is_text: true,
    overhead: super::Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<ChatRequest>::default()),
    answer: || Box::new(JsonAnswer::<ChatAnswer>::default()),
};

/// Others word their requests the same.
#[derive(Debug, Default)]
pub(super) struct ChatRequest {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    Root,
    Asked(Asked),
    Messages,
    Message,
    Role,
    /// A string of a message, whatever its name.
    Text,
    /// A message's content: a string or a list of parts.
    Content,
    Part,
    ToolCalls,
    ToolCall,
    /// A tool call's function (or custom tool): its strings count.
    Function,
}

impl Request for ChatRequest {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Visitor for ChatRequest {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("messages")) => Asks::Messages,
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Messages, Step::Index(_)) => Asks::Message,
            (Asks::Message, Step::Key("role")) => Asks::Role,
            (Asks::Message, Step::Key("content")) => Asks::Content,
            (Asks::Message, Step::Key("tool_calls")) => Asks::ToolCalls,
            (Asks::Message, Step::Key("function_call"))
            | (Asks::ToolCall, Step::Key("function" | "custom")) => Asks::Function,
            (Asks::Message, Step::Key(_))
            | (Asks::Part, Step::Key("text" | "refusal" | "input_text"))
            | (Asks::Function, Step::Key("name" | "arguments" | "input")) => Asks::Text,
            (Asks::Content, Step::Index(_)) => Asks::Part,
            (Asks::ToolCalls, Step::Index(_)) => Asks::ToolCall,
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
            (Asks::Message, Kind::Object) => {
                let messages = prompt.messages.get_or_insert_default();
                *messages = messages.saturating_add(1);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Role | Asks::Text | Asks::Content | Asks::Part => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        if let Asks::Asked(field) = node {
            field.scalar(&mut self.facts, scalar);
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String
            && matches!(node, Asks::Role | Asks::Text | Asks::Content | Asks::Part)
        {
            self.facts.prompt.end_part();
        }
    }
}

#[derive(Debug, Default)]
struct ChatAnswer {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Choices,
    Choice {
        position: u32,
    },
    Index,
    FinishReason,
    /// `message` or `delta`.
    Message,
    Text(Text),
    /// A part of a content that is a list.
    Part(Text),
    ToolCalls,
    ToolCall {
        position: u32,
    },
    ToolIndex,
    Function,
    Audio,
    AudioData,
}

impl Answer for ChatAnswer {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn head(&mut self, head: &AnswerHead<'_>) {
        times_of_head(&mut self.facts, head);
    }

    fn end_event(&mut self, named_error: bool) {
        self.facts.commit(&mut self.staged);
        self.flat.settle(&mut self.facts, named_error);
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl ChatAnswer {
    fn append(&mut self, text: Text, piece: &str) {
        let kept = self.facts.output(text, piece);
        self.staged.append(text, kept);
    }

    /// The child of a `message` or `delta`.
    fn message(&self, key: &str) -> Option<Says> {
        Some(match key {
            "content" => Says::Text(Text::Content),
            // Some proxies send the same thoughts under both names: the first one holds.
            "reasoning_content" | "reasoning" if self.staged.choice.reasoning.is_empty() => {
                Says::Text(Text::Reasoning)
            }
            "refusal" => Says::Text(Text::Refusal),
            "tool_calls" => Says::ToolCalls,
            "function_call" => Says::ToolCall {
                position: FUNCTION_CALL,
            },
            "audio" => Says::Audio,
            _ => return None,
        })
    }
}

impl Visitor for ChatAnswer {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key("choices")) => Says::Choices,
            // The first id and name hold: a stream repeats them in every event.
            (Says::Root, Step::Key("id")) if self.facts.id.is_some() => return None,
            (Says::Root, Step::Key("model")) if self.facts.model.is_some() => return None,
            (Says::Root, Step::Key(key)) => Says::Around(Around::of(key)?),
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Choices, Step::Index(position)) => Says::Choice { position },
            (Says::Choice { .. }, Step::Key(key)) => match key {
                "index" => Says::Index,
                "delta" | "message" => Says::Message,
                "finish_reason" => Says::FinishReason,
                // Moonshot's place for the one, OpenRouter's for the other.
                "usage" | "error" | "token_ids" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Message, Step::Key(key)) => self.message(key)?,
            (Says::Text(kind @ (Text::Content | Text::Reasoning)), Step::Index(_)) => {
                Says::Part(kind)
            }
            (Says::Part(kind), Step::Key("text")) => Says::Text(kind),
            // Mistral's parts of thought.
            (Says::Part(_), Step::Key("thinking")) => Says::Text(Text::Reasoning),
            (Says::ToolCalls, Step::Index(position)) => Says::ToolCall { position },
            (
                Says::ToolCall {
                    position: FUNCTION_CALL,
                }
                | Says::Function,
                Step::Key(key),
            ) => match key {
                "name" => Says::Text(Text::ToolName),
                "arguments" | "input" => Says::Text(Text::ToolArguments),
                _ => return None,
            },
            (Says::ToolCall { .. }, Step::Key("index")) => Says::ToolIndex,
            (Says::ToolCall { .. }, Step::Key("function" | "custom")) => Says::Function,
            (Says::Audio, Step::Key("transcript")) => Says::Text(Text::Transcript),
            (Says::Audio, Step::Key("data")) => Says::AudioData,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Choice { position }, Kind::Object) => {
                self.facts.carries(Carried::Choice);
                self.staged.begin(position);
            }
            (Says::ToolCall { position }, Kind::Object) => self.staged.begin_tool(position),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Text(kind) | Says::Part(kind) => self.append(kind, piece),
            Says::FinishReason => cut_to(&mut self.staged.reason, piece, MAX_WORD),
            // The sound itself is not kept; that there is some makes the event output.
            Says::AudioData => self.facts.carries_output(OutputKind::Media),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => self.staged.index = number.parse().ok(),
            (Says::ToolIndex, Scalar::Number(number)) => {
                self.staged.tool.index = number.parse().ok();
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, _kind: Kind) {
        match node {
            Says::Choice { .. } => self.facts.commit(&mut self.staged),
            Says::ToolCall { .. } => self.staged.commit_tool(),
            Says::FinishReason => self.staged.end_reason(),
            _ => {}
        }
    }
}
