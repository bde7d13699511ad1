//! `POST …/chat/completions`, streamed and not, as OpenAI, vLLM, SGLang, Xinference, llama.cpp,
//! TGI, Mistral and many others serve it.

use super::{
    Answer, AnswerHead, Dialect, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, FUNCTION_CALL, MAX_WORD, OutputKind, Staged, Text},
    openai::{Around, Asked, Flat, TIME_HEADERS, times_of_head},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
    told::{ARGUMENTS, DOCUMENT, Told},
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
    Told(Told),
    Messages,
    Message,
    /// A message's content: a string or a list of parts.
    Content,
    Part,
    ToolCalls,
    ToolCall,
    /// The one call of the API's first years.
    FunctionCall,
    /// A tool call's function (or custom tool).
    Function,
    /// What Cohere's chats can read from: a list of texts, or of objects.
    Documents,
    Document,
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
            (Asks::Root, Step::Key("documents")) => Asks::Documents,
            (Asks::Root, Step::Key(key)) => match Told::of(key) {
                Some(told) => Asks::Told(told),
                None => Asks::Asked(Asked::of(key)?),
            },
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Told(told), step) => Asks::Told(told.child(&mut self.facts.prompt, step)?),
            (Asks::Messages, Step::Index(_)) => Asks::Message,
            (Asks::Message, Step::Key("content")) => Asks::Content,
            (Asks::Message, Step::Key("tool_calls")) => Asks::ToolCalls,
            (Asks::Message, Step::Key("function_call")) => Asks::FunctionCall,
            (Asks::ToolCall, Step::Key("function" | "custom")) => Asks::Function,
            (Asks::Message, Step::Key(key)) => Asks::Told(Told::Text(match key {
                "role" => Part::Role,
                "name" => Part::Name,
                "reasoning_content" | "reasoning" | "thinking" => Part::Reasoning,
                "refusal" => Part::Content,
                "tool_call_id" => Part::ResultId,
                // A string of a message counts, whatever its name.
                _ => Part::Loose,
            })),
            (Asks::Part, Step::Key(key)) => Asks::Told(Told::of_part(key)?),
            (Asks::ToolCall, Step::Key("id")) => Asks::Told(Told::Text(Part::CallId)),
            (Asks::Function | Asks::FunctionCall, Step::Key("name")) => {
                Asks::Told(Told::Text(Part::CallName))
            }
            (Asks::Function | Asks::FunctionCall, Step::Key("arguments" | "input")) => {
                Asks::Told(ARGUMENTS)
            }
            (Asks::Content, Step::Index(_)) => Asks::Part,
            (Asks::ToolCalls, Step::Index(_)) => Asks::ToolCall,
            (Asks::Documents, Step::Index(_)) => Asks::Document,
            (Asks::Document, Step::Key(_)) => Asks::Told(DOCUMENT),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            (Asks::Messages, Kind::Array) => {
                prompt.present = true;
                prompt.messages.get_or_insert_default();
            }
            (Asks::Message, Kind::Object) => {
                let messages = prompt.messages.get_or_insert_default();
                *messages = messages.saturating_add(1);
                prompt.place(Part::Turn);
            }
            (Asks::ToolCall | Asks::FunctionCall, Kind::Object) => prompt.place(Part::Call),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Told(told) => told.text(&mut self.facts, piece),
            Asks::Content | Asks::Part | Asks::Document => self.facts.prompt.push(piece),
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
            (Asks::Content | Asks::Part, Kind::String) => {
                self.facts.prompt.end_part(Part::Content);
            }
            (Asks::Content, Kind::Array) => self.facts.prompt.end_contents(),
            (Asks::Document, Kind::String) => self.facts.prompt.end_part(Part::Document),
            _ => {}
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
