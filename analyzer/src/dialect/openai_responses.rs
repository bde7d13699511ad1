//! `POST …/responses`, streamed and not.
//!
//! A stream's text comes in `…delta` events; its last event repeats the whole answer, which is read
//! only where no delta came before it. There is one choice; its tool calls go by the index of their
//! output item.

use super::{
    Answer, Dialect, Final, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_TOOL_NAME, MAX_WORD, OutputKind, Text, Tool},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
    told::{ARGUMENTS, Told},
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_responses",
    operation: "chat",
    provider: "openai",
    paths: &["/v1/responses", "/openai/responses"],
    hints: &["/responses"],
    request_signs: &[
        &["input", "model"],
        &["input", "model", "instructions"],
        &["input", "model", "max_output_tokens"],
        &["input", "model", "previous_response_id"],
        &["input", "model", "stream"],
        &["input", "model", "tools"],
        &["input", "input[].role", "model"],
        &["input", "input[].call_id", "model"],
    ],
    answer_signs: &[&["object=response"], &["type=response."]],
    headers: &[],
    answer_is_text: true,
    overhead: super::Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<ResponsesRequest>::default()),
    answer: || Box::new(JsonAnswer::<ResponsesAnswer>::default()),
};

#[derive(Debug, Default)]
struct ResponsesRequest {
    facts: RequestFacts,
    /// The item's tool call has begun: its name and arguments come in any order.
    in_call: bool,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    Told(Told),
    /// A text, or a list of items.
    Input,
    Instructions,
    Item,
    Role,
    /// A content or a summary: a text or a list of parts.
    Content(Part),
    Part(Part),
    /// What a tool gave: the same.
    Output,
    /// The name, arguments or input of a call.
    Call(Told),
    /// `text`, which holds the answer's format.
    TextSettings,
}

impl Request for ResponsesRequest {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Visitor for ResponsesRequest {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("input")) => Asks::Input,
            (Asks::Root, Step::Key("instructions")) => Asks::Instructions,
            (Asks::Root, Step::Key("text")) => Asks::TextSettings,
            (Asks::TextSettings, Step::Key("format")) => Asks::Asked(Asked::ResponseFormat),
            (Asks::Root, Step::Key("safety_identifier")) if self.facts.user.is_none() => {
                Asks::Asked(Asked::User)
            }
            (Asks::Root, Step::Key("tools")) => Asks::Told(Told::Tools),
            (Asks::Root, Step::Key("reasoning")) => Asks::Told(Told::Effort),
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Told(told) | Asks::Call(told), step) => {
                Asks::Told(told.child(&mut self.facts.prompt, step)?)
            }
            (Asks::Input, Step::Index(_)) => Asks::Item,
            (Asks::Item, Step::Key("role")) => Asks::Role,
            (Asks::Item, Step::Key(key)) => match key {
                "content" => Asks::Content(Part::Content),
                "summary" => Asks::Content(Part::Reasoning),
                "output" => Asks::Output,
                "text" => Asks::Told(Told::Text(Part::Content)),
                "call_id" => Asks::Told(Told::Text(Part::ResultRef)),
                "name" => Asks::Call(Told::Text(Part::CallName)),
                "arguments" | "input" => Asks::Call(ARGUMENTS),
                _ => return None,
            },
            (Asks::Content(part), Step::Index(_)) => Asks::Part(part),
            (Asks::Output, Step::Index(_)) => Asks::Part(Part::Content),
            (Asks::Part(part), Step::Key(key)) => Asks::Told(match key {
                "text" | "refusal" => Told::Text(part),
                "image_url" => Told::Picture,
                "file_id" | "file_url" | "file_data" | "input_audio" => Told::Other,
                _ => return None,
            }),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Input, Kind::Array) => prompt.present = true,
            // A text stands for the user's one message, instructions for the system's.
            (Asks::Input, Kind::String) => {
                prompt.one_message();
                prompt.place(Part::Turn);
            }
            (Asks::Instructions, Kind::String) => {
                prompt.one_message();
                prompt.place(Part::System);
            }
            (Asks::Item, _) => {
                self.in_call = false;
                prompt.place(Part::Turn);
            }
            (Asks::Role, _) => prompt.one_message(),
            (Asks::Output, _) => prompt.place(Part::Result),
            (Asks::Call(told), kind) => {
                if !std::mem::replace(&mut self.in_call, true) {
                    prompt.place(Part::Call);
                }
                told.begin(&mut self.facts, kind);
            }
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Told(told) | Asks::Call(told) => told.text(&mut self.facts, piece),
            Asks::Input
            | Asks::Instructions
            | Asks::Role
            | Asks::Content(_)
            | Asks::Output
            | Asks::Part(_) => self.facts.prompt.push(piece),
            Asks::Root | Asks::Item | Asks::TextSettings => {}
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
        let part = match (node, kind) {
            (Asks::Told(told) | Asks::Call(told), kind) => {
                return told.end(&mut self.facts, kind);
            }
            (Asks::Output, kind) => {
                if kind == Kind::String {
                    self.facts.prompt.end_part(Part::Content);
                }
                return self.facts.prompt.place(Part::ResultEnd);
            }
            (Asks::Role, Kind::String) => Part::Role,
            (Asks::Content(part) | Asks::Part(part), Kind::String) => part,
            (Asks::Input | Asks::Instructions | Asks::Item, Kind::String) => Part::Content,
            _ => return,
        };
        self.facts.prompt.end_part(part);
    }
}

#[derive(Debug, Default)]
struct ResponsesAnswer {
    facts: AnswerFacts,
    flat: Flat,
    /// The event's type.
    event: String,
    /// The index of the event's output item.
    item_index: Option<u32>,
    /// The event's delta, until its type and its item's index are known.
    delta: String,
    /// The event's tool call, until the item's index is known.
    tool: Tool,
    /// The type of the part that is being read.
    part: String,
    /// Deltas came: the last event repeats them.
    has_deltas: bool,
    status: String,
    incomplete: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    /// The answer, at the root or in an event.
    Response,
    Around(Around),
    Event,
    Status,
    IncompleteDetails,
    IncompleteReason,
    ItemIndex,
    Delta,
    /// A delta of sound or of a picture: that there is some is all that counts.
    Media,
    /// The item of an event.
    Item,
    ItemTool(Text),
    /// The list of all items, and one of them.
    Output,
    Whole {
        position: u32,
    },
    WholeParts(Text),
    WholePart(Text),
    PartType,
    WholeText {
        position: u32,
        text: Text,
    },
}

/// What a delta event of this type brings. Each API that joins the family adds types; what is no text
/// of the model's is passed over.
fn delta_text(event: &str) -> Option<Text> {
    let kind = event.strip_prefix("response.")?.strip_suffix(".delta")?;
    Some(match kind {
        "output_text" | "text" => Text::Content,
        "refusal" => Text::Refusal,
        "reasoning" | "reasoning_text" | "reasoning_summary" | "reasoning_summary_text" => {
            Text::Reasoning
        }
        "audio.transcript" | "audio_transcript" | "output_audio_transcript" => Text::Transcript,
        "function_call_arguments"
        | "custom_tool_call_input"
        | "mcp_call_arguments"
        | "mcp_call.arguments"
        | "apply_patch_call_operation_diff"
        | "shell_call_command"
        | "code_interpreter_call_code"
        | "code_interpreter_call.code" => Text::ToolArguments,
        _ => return None,
    })
}

impl ResponsesAnswer {
    /// The child of an answer, wherever it stands.
    fn response(&self, key: &str) -> Option<Says> {
        Some(match key {
            "id" if self.facts.id.is_some() => return None,
            "model" if self.facts.model.is_some() => return None,
            "id" | "model" | "object" | "usage" | "error" => Says::Around(Around::of(key)?),
            "status" => Says::Status,
            "incomplete_details" => Says::IncompleteDetails,
            "output" if !self.has_deltas => Says::Output,
            _ => return None,
        })
    }

    /// The event brought a delta: it is assigned now that its type is known.
    fn settle_delta(&mut self) {
        let index = self.item_index.unwrap_or(0);
        let delta = std::mem::take(&mut self.delta);
        let Some(text) = delta_text(&self.event) else {
            return;
        };
        self.facts.carries(Carried::Choice);
        if delta.is_empty() {
            return;
        }
        self.has_deltas = true;
        self.facts.carries_output(text.kind());
        match text {
            Text::ToolArguments => {
                if let Some(tool) = self.facts.tool(0, index) {
                    tool.append(text, &delta);
                }
            }
            _ => {
                if let Some(choice) = self.facts.choice(0) {
                    choice.append(text, &delta);
                }
            }
        }
    }

    /// The event brought an item: a tool call's name comes with its beginning, and what no delta
    /// brought with its end.
    fn settle_tool(&mut self) {
        let Tool { name, arguments } = std::mem::take(&mut self.tool);
        if name.is_empty() && arguments.is_empty() {
            return;
        }
        let index = self.item_index.unwrap_or(0);
        let Some(tool) = self.facts.tool(0, index) else {
            return;
        };
        let mut is_new = false;
        for (has, brings) in [(&mut tool.name, name), (&mut tool.arguments, arguments)] {
            if has.is_empty() && !brings.is_empty() {
                *has = brings;
                is_new = true;
            }
        }
        if is_new {
            self.has_deltas = true;
            self.facts.carries_output(OutputKind::Tool);
        }
    }

    /// The event told the answer's status: the last one counts.
    fn settle_status(&mut self) {
        let status = std::mem::take(&mut self.status);
        let reason = std::mem::take(&mut self.incomplete);
        if !matches!(
            status.as_str(),
            "completed" | "incomplete" | "failed" | "cancelled"
        ) {
            return;
        }
        let reason = if reason.is_empty() { status } else { reason };
        if let Some(choice) = self.facts.choice(0) {
            choice.finish_reason = Some(reason);
        }
    }
}

impl Answer for ResponsesAnswer {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.settle_delta();
        self.settle_tool();
        self.settle_status();
        let event = std::mem::take(&mut self.event);
        self.item_index = None;
        match event.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" | "response.done" => {
                self.facts.ended = Final::Seen;
            }
            "response.output_item.added" | "response.content_part.added" => {
                self.facts.carries(Carried::Choice);
            }
            _ => {}
        }
        self.flat
            .settle(&mut self.facts, named_error || event == "error");
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl Visitor for ResponsesAnswer {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key(key)) => match key {
                "type" => Says::Event,
                "response" => Says::Response,
                "output_index" => Says::ItemIndex,
                "delta" if self.event.ends_with("audio.delta") => Says::Media,
                "delta" => Says::Delta,
                "partial_image_b64" => Says::Media,
                "item" => Says::Item,
                "code" | "detail" => Says::Around(Around::of(key)?),
                _ => self.response(key)?,
            },
            (Says::Response, Step::Key(key)) => self.response(key)?,
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::IncompleteDetails, Step::Key("reason")) => Says::IncompleteReason,
            (Says::Item, Step::Key("name")) => Says::ItemTool(Text::ToolName),
            (Says::Item, Step::Key("arguments" | "input")) => Says::ItemTool(Text::ToolArguments),
            (Says::Output, Step::Index(position)) => Says::Whole { position },
            (Says::Whole { position }, Step::Key(key)) => match key {
                "content" => Says::WholeParts(Text::Content),
                "summary" => Says::WholeParts(Text::Reasoning),
                "name" => Says::WholeText {
                    position,
                    text: Text::ToolName,
                },
                "arguments" | "input" | "code" => Says::WholeText {
                    position,
                    text: Text::ToolArguments,
                },
                // A picture.
                "result" => Says::Media,
                _ => return None,
            },
            (Says::WholeParts(text), Step::Index(_)) => Says::WholePart(text),
            (Says::WholePart(_), Step::Key("type")) => Says::PartType,
            (Says::WholePart(_), Step::Key("text")) if self.part == "reasoning_text" => {
                Says::WholeText {
                    position: 0,
                    text: Text::Reasoning,
                }
            }
            (Says::WholePart(text), Step::Key("text")) => Says::WholeText { position: 0, text },
            (Says::WholePart(_), Step::Key("refusal")) => Says::WholeText {
                position: 0,
                text: Text::Refusal,
            },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Whole { .. }, Kind::Object) => {
                self.facts.carries(Carried::Choice);
                self.facts.choice(0);
            }
            (Says::WholePart(_), Kind::Object) => self.part.clear(),
            (Says::Status, _) => self.status.clear(),
            (Says::IncompleteReason, _) => self.incomplete.clear(),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Event => cut_to(&mut self.event, piece, MAX_WORD),
            Says::PartType => cut_to(&mut self.part, piece, MAX_WORD),
            Says::Status => cut_to(&mut self.status, piece, MAX_WORD),
            Says::IncompleteReason => cut_to(&mut self.incomplete, piece, MAX_WORD),
            Says::Delta => self.delta.push_str(self.facts.room.take(piece)),
            Says::Media => self.facts.carries_output(OutputKind::Media),
            Says::ItemTool(Text::ToolName) => cut_to(&mut self.tool.name, piece, MAX_TOOL_NAME),
            Says::ItemTool(_) => {
                let kept = self.facts.room.take(piece);
                self.tool.arguments.push_str(kept);
            }
            Says::WholeText { position, text } => self.facts.add(0, position, text, piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::ItemIndex, Scalar::Number(number)) => self.item_index = number.parse().ok(),
            _ => {}
        }
    }
}
