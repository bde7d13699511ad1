//! Google's `…:generateContent` and `…:streamGenerateContent`, as events (`alt=sse`) or as one JSON array, and
//! `…:embedContent` and `…:batchEmbedContents`; by the same paths on Vertex AI and behind proxies.
//!
//! Names come in camel case, and are taken in snake case as well, as the servers do.

use super::{
    Answer, Dialect, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, OutputKind, Staged, Text, Usage, sum},
    openai::{Around, Asked, Flat},
    prompt::{Part, Written},
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    rewrite::Rewriter,
    text::cut_to,
    told::{ARGUMENTS, Told},
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Answers in one piece.
pub(super) static GENERATE: Dialect = Dialect {
    name: "gemini",
    operation: "generate_content",
    provider: "gcp.gemini",
    paths: &["/models/{model}:generateContent"],
    hints: &[],
    request_signs: &[&["contents[].parts[].text"], &["contents[].parts"]],
    answer_signs: &[
        &["candidates[].content"],
        &["candidates[].finishReason"],
        &["[].candidates[].content"],
        &["usageMetadata.promptTokenCount"],
    ],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 4,
        prompt: 2,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// Streams: that they are asked for stands in the path alone.
pub(super) static STREAM: Dialect = Dialect {
    paths: &["/models/{model}:streamGenerateContent"],
    request: || {
        let mut asking = Asking::default();
        asking.facts.stream = Some(true);
        Box::new(JsonRequest::of(asking))
    },
    ..GENERATE
};

/// Vectors.
pub(super) static EMBED: Dialect = Dialect {
    name: "gemini_embed",
    operation: "embeddings",
    paths: &[
        "/models/{model}:embedContent",
        "/models/{model}:batchEmbedContents",
    ],
    request_signs: &[
        &["content.parts[].text"],
        &["requests[].content", "requests[].model"],
    ],
    answer_signs: &[&["embedding.values"], &["embeddings[].values"]],
    answer_is_text: false,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    ..GENERATE
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    Contents,
    Content,
    System,
    Told(Told),
    Parts,
    Part,
    /// A call, and what it came to.
    Call,
    Response,
    /// Bytes that come along.
    Media,
    Tools,
    Tool,
    Declarations,
    ToolConfig,
    CallingConfig,
    Settings,
    /// The texts of a batch of embeddings, each with its own content.
    Batch,
    BatchItem,
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
            (Asks::Root, Step::Key(key)) => match key {
                "contents" => Asks::Contents,
                "requests" => Asks::Batch,
                "content" | "systemInstruction" | "system_instruction" => Asks::System,
                "tools" => Asks::Tools,
                "toolConfig" | "tool_config" => Asks::ToolConfig,
                "generationConfig" | "generation_config" => Asks::Settings,
                _ => return None,
            },
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Contents, Step::Index(_)) => Asks::Content,
            // One content may stand without its list.
            (Asks::Contents | Asks::Content | Asks::System, Step::Key("parts")) => Asks::Parts,
            (Asks::Parts, Step::Index(_)) => Asks::Part,
            (Asks::Told(told), step) => Asks::Told(told.child(&mut self.facts.prompt, step)?),
            (Asks::Content, Step::Key("role")) => Asks::Told(Told::Text(Part::Role)),
            (Asks::Part | Asks::Parts, Step::Key("text")) => Asks::Told(Told::Text(Part::Content)),
            (Asks::Part, Step::Key("functionCall" | "function_call")) => Asks::Call,
            (Asks::Part, Step::Key("functionResponse" | "function_response")) => Asks::Response,
            (Asks::Part, Step::Key("inlineData" | "inline_data")) => Asks::Media,
            (Asks::Part, Step::Key("fileData" | "file_data")) => Asks::Told(Told::Other),
            (Asks::Media, Step::Key("data")) => Asks::Told(Told::PictureSource),
            (Asks::Call, Step::Key("name")) => Asks::Told(Told::Text(Part::CallName)),
            (Asks::Call, Step::Key("args")) => Asks::Told(ARGUMENTS),
            (Asks::Response, Step::Key("name")) => Asks::Told(Told::Text(Part::Name)),
            (Asks::Response, Step::Key("response")) => {
                Asks::Told(Told::Json(Written::Root(Part::ContentValue, Part::Content)))
            }
            (Asks::Tools, Step::Index(_)) => Asks::Tool,
            (Asks::Tool, Step::Key("functionDeclarations" | "function_declarations")) => {
                Asks::Declarations
            }
            // Each other field is a tool of the server's own: a search, running code.
            (Asks::Tool, Step::Key(_)) => Asks::Asked(Asked::Tool),
            (Asks::Declarations, Step::Index(_)) => {
                Asks::Told(Told::Tool(Written::Root(Part::Tool, Part::Loose)))
            }
            (Asks::ToolConfig, Step::Key("functionCallingConfig" | "function_calling_config")) => {
                Asks::CallingConfig
            }
            (Asks::CallingConfig, Step::Key("mode")) => Asks::Asked(Asked::ToolChoice),
            (Asks::Settings, Step::Key(key)) => Asks::Asked(match key {
                "temperature" => Asked::Temperature,
                "maxOutputTokens" | "max_output_tokens" => Asked::MaxTokens,
                "candidateCount" | "candidate_count" => Asked::N,
                "responseMimeType" | "response_mime_type" => Asked::ResponseFormat,
                _ => return None,
            }),
            (Asks::Batch, Step::Index(_)) => Asks::BatchItem,
            (Asks::BatchItem, Step::Key("content")) => Asks::System,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Contents, Kind::Array) => {
                prompt.present = true;
                prompt.messages.get_or_insert_default();
            }
            (Asks::Contents | Asks::Content, Kind::Object) => {
                prompt.present = true;
                prompt.one_message();
                prompt.place(Part::Turn);
            }
            (Asks::System, _) => {
                prompt.present = true;
                prompt.place(Part::System);
            }
            (Asks::Contents | Asks::Content, Kind::String) => prompt.place(Part::Turn),
            (Asks::Call, Kind::Object) => prompt.place(Part::Call),
            (Asks::Response, Kind::Object) => prompt.place(Part::Result),
            (Asks::Media, Kind::Object) => prompt.begin_picture(),
            (Asks::Told(told), kind) => told.begin(&mut self.facts, kind),
            (Asks::BatchItem, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            (Asks::Tools, Kind::Array) => self.facts.tools = Some(0),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            // An instruction or a content may be a bare text.
            Asks::System | Asks::Contents | Asks::Content => self.facts.prompt.push(piece),
            Asks::Told(told) => told.text(&mut self.facts, piece),
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
            (Asks::Media, Kind::Object) => self.facts.prompt.end_picture(),
            (Asks::Response, Kind::Object) => self.facts.prompt.place(Part::ResultEnd),
            (Asks::System | Asks::Contents | Asks::Content, Kind::String) => {
                self.facts.prompt.end_part(Part::Content);
            }
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
    /// A part's text, until its end tells whether it is a thought.
    part: String,
    thought: bool,
    /// Calls of functions so far: each comes whole, in one event.
    calls: u32,
    rewriter: Rewriter,
    /// The last figure of generated tokens, thoughts not included.
    candidates: u64,
    /// Tokens of the prompt that tools wrote, which the figure of the prompt leaves out.
    tool_use: Option<u64>,
    blocked: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    ErrorStatus,
    Candidates,
    Candidate { position: u32 },
    Index,
    FinishReason,
    Content,
    Parts,
    Part,
    PartText,
    Thought,
    Call,
    CallName,
    Args,
    Media,
    MediaData,
    Feedback,
    BlockReason,
    Usage,
    Figure(Figure),
    Version,
    Id,
}

#[derive(Clone, Copy, Debug)]
enum Figure {
    Prompt,
    ToolUse,
    Cached,
    Candidates,
    Thoughts,
}

impl Saying {
    fn append(&mut self, text: Text, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let kept = self.facts.output(text, piece);
        self.staged.append(text, kept);
    }

    fn end_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if std::mem::take(&mut self.thought) {
            if !part.is_empty() {
                self.facts.carries_output(OutputKind::Reasoning);
            }
            self.staged.append(Text::Reasoning, &part);
        } else {
            self.staged.append(Text::Content, &part);
        }
    }

    fn figure(&mut self, figure: Figure, number: &str) {
        let Some(number) = Usage::figure(number) else {
            return;
        };
        let usage = &mut self.facts.usage;
        match figure {
            Figure::Prompt => usage.input = Some(number),
            Figure::ToolUse => self.tool_use = Some(number),
            Figure::Cached => usage.cached = Some(number),
            Figure::Candidates => {
                self.candidates = number;
                self.facts.output_figure(number);
            }
            Figure::Thoughts => {
                usage.reasoning = Some(number);
                let candidates = self.candidates;
                self.facts.output_figure(candidates);
            }
        }
    }
}

impl Answer for Saying {
    const ARRAY_IS_STREAM: bool = true;

    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.end_part();
        self.facts.commit(&mut self.staged);
        let blocked = std::mem::take(&mut self.blocked);
        if !blocked.is_empty()
            && let Some(choice) = self.facts.choice(0)
        {
            choice.finish_reason = Some(blocked);
        }
        self.flat.settle(&mut self.facts, named_error);
    }

    /// The API's figure of the candidates leaves the thoughts out, that of the prompt what tools wrote.
    fn settle(&mut self) {
        let usage = &mut self.facts.usage;
        if self.tool_use.is_some() {
            self.facts.reported_input = usage.input;
            usage.input = sum(usage.input, self.tool_use);
        }
        if usage.reasoning.is_some() {
            self.facts.reported_output = usage.output;
            usage.output = sum(usage.output, usage.reasoning);
        }
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
                "candidates" => Says::Candidates,
                "usageMetadata" => Says::Usage,
                "promptFeedback" => Says::Feedback,
                // Every event has them.
                "modelVersion" if self.facts.model.is_none() => Says::Version,
                "responseId" if self.facts.id.is_none() => Says::Id,
                "error" | "detail" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Around(Around::Error(_)), Step::Key("status")) => Says::ErrorStatus,
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Candidates, Step::Index(position)) => Says::Candidate { position },
            (Says::Candidate { .. }, Step::Key(key)) => match key {
                "index" => Says::Index,
                "finishReason" => Says::FinishReason,
                "content" => Says::Content,
                _ => return None,
            },
            (Says::Content, Step::Key("parts")) => Says::Parts,
            (Says::Parts, Step::Index(_)) => Says::Part,
            (Says::Part, Step::Key(key)) => match key {
                "text" => Says::PartText,
                "thought" => Says::Thought,
                "functionCall" => Says::Call,
                "inlineData" => Says::Media,
                _ => return None,
            },
            (Says::Call, Step::Key("name")) => Says::CallName,
            (Says::Call, Step::Key("args")) => Says::Args,
            (Says::Args, step) => {
                let text = self.rewriter.step(step);
                self.append(Text::ToolArguments, &text);
                Says::Args
            }
            (Says::Media, Step::Key("data")) => Says::MediaData,
            (Says::Feedback, Step::Key("blockReason")) => Says::BlockReason,
            (Says::Usage, Step::Key(key)) => Says::Figure(match key {
                "promptTokenCount" => Figure::Prompt,
                "toolUsePromptTokenCount" => Figure::ToolUse,
                "cachedContentTokenCount" => Figure::Cached,
                "candidatesTokenCount" => Figure::Candidates,
                "thoughtsTokenCount" => Figure::Thoughts,
                _ => return None,
            }),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::ErrorStatus, Kind::String) => {
                self.facts.error.get_or_insert_default().kind = None;
            }
            (Says::Candidate { position }, Kind::Object) => {
                self.facts.carries(Carried::Choice);
                self.staged.begin(position);
            }
            (Says::Call, Kind::Object) => {
                self.staged.begin_tool(self.calls);
                self.calls = self.calls.saturating_add(1);
            }
            (Says::Args, kind) => {
                let text = self.rewriter.begin(kind);
                self.append(Text::ToolArguments, text);
            }
            (Says::BlockReason, Kind::String) => self.blocked.clear(),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::ErrorStatus => {
                let error = self.facts.error.get_or_insert_default();
                cut_to(error.kind.get_or_insert_default(), piece, MAX_WORD);
            }
            Says::PartText if !piece.is_empty() => {
                let kept = self.facts.output(Text::Content, piece);
                self.part.push_str(kept);
            }
            Says::CallName => self.append(Text::ToolName, piece),
            Says::Args => {
                let text = Rewriter::text(piece);
                self.append(Text::ToolArguments, &text);
            }
            // Sound or a picture: that there is some makes the event output.
            Says::MediaData if !piece.is_empty() => {
                self.facts.carries_output(OutputKind::Media);
            }
            Says::FinishReason => cut_to(&mut self.staged.reason, piece, MAX_WORD),
            Says::BlockReason => cut_to(&mut self.blocked, piece, MAX_WORD),
            Says::Version => self.facts.model_piece(piece),
            Says::Id => self.facts.id_piece(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => self.staged.index = number.parse().ok(),
            (Says::Thought, Scalar::Bool(value)) => self.thought = value,
            (Says::Figure(figure), Scalar::Number(number)) => self.figure(figure, number),
            (Says::Args, scalar) => {
                let text = self.rewriter.scalar(scalar);
                self.append(Text::ToolArguments, text);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        match node {
            Says::Part => self.end_part(),
            Says::Call => self.staged.commit_tool(),
            Says::Args => {
                let text = self.rewriter.end(kind);
                self.append(Text::ToolArguments, text);
            }
            Says::FinishReason => self.staged.end_reason(),
            Says::Candidate { .. } => self.facts.commit(&mut self.staged),
            _ => {}
        }
    }
}
