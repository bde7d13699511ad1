//! Places of a request whose values go onto the prompt's tape, the same in every dialect.

use super::{
    answer::MAX_WORD,
    prompt::{Opening, Part, Prompt, Written},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step};

/// A place whose value belongs to the prompt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// A string that is a part.
    Text(Part),
    /// A text, or a list of parts that have one.
    Texts(Part),
    /// A JSON value that is written anew.
    Json(Written),
    /// The list of tools, and one of them.
    Tools,
    Tool(Written),
    /// A picture: an address, bytes in base64, or an object that has them.
    Picture,
    PictureSource,
    PictureDetail,
    /// A list of pictures.
    Pictures,
    /// A sound, a file, a video: what is within is not looked at.
    Other,
    /// Whether the assistant's turn is opened, and whether the last one goes on.
    GenerationPrompt,
    GoesOn,
    /// How long the model is to think, and whether at all.
    Effort,
    Thinking,
}

/// The arguments of a call: text, or a value.
pub(super) const ARGUMENTS: Told = Told::Json(Written::Root(Part::ArgumentsValue, Part::Arguments));

/// A document to read from: text, or a value.
pub(super) const DOCUMENT: Told = Told::Json(Written::Root(Part::Document, Part::Document));

impl Told {
    /// The field of this name at the root of a request to a server that renders chat templates.
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "tools" | "functions" => Self::Tools,
            "chat_template_kwargs" => Self::Json(Written::Root(Part::Settings, Part::Loose)),
            "add_generation_prompt" => Self::GenerationPrompt,
            "continue_final_message" => Self::GoesOn,
            "reasoning_effort" => Self::Effort,
            _ => return None,
        })
    }

    /// A part of a content that is a list, by its field. `None` where its value is no part of a prompt.
    pub(super) fn of_part(key: &str) -> Option<Self> {
        Some(match key {
            "text" | "refusal" | "input_text" => Self::Text(Part::Content),
            "thinking" => Self::Texts(Part::Reasoning),
            "image_url" | "image" => Self::Picture,
            "input_audio" | "audio_url" | "audio" | "video_url" | "video" | "file" => Self::Other,
            _ => return None,
        })
    }

    /// The place one step below.
    pub(super) fn child(self, prompt: &mut Prompt, step: Step<'_>) -> Option<Self> {
        Some(match (self, step) {
            (Self::Texts(_), Step::Index(_)) => self,
            (Self::Texts(part), Step::Key("text" | "thinking")) => Self::Text(part),
            (Self::Json(_) | Self::Tool(_), step) => Self::Json(Written::child(prompt, step)),
            (Self::Tools, Step::Index(_)) => Self::Tool(Written::Root(Part::Tool, Part::Loose)),
            (Self::Pictures, Step::Index(_)) => Self::Picture,
            (Self::Picture, Step::Key("url" | "data")) => Self::PictureSource,
            (Self::Picture, Step::Key("detail")) => Self::PictureDetail,
            // OpenAI sets it as `reasoning: {effort}` elsewhere.
            (Self::Effort, Step::Key("effort")) => Self::Effort,
            _ => return None,
        })
    }

    pub(super) fn begin(self, facts: &mut RequestFacts, kind: Kind) {
        let prompt = &mut facts.prompt;
        match (self, kind) {
            (Self::Json(written), kind) => written.begin(prompt, kind),
            (Self::Tool(written), kind) => {
                if kind == Kind::Object {
                    facts.one_tool();
                }
                written.begin(&mut facts.prompt, kind);
            }
            (Self::Tools, Kind::Array) => facts.tools = Some(0),
            (Self::Picture, _) => prompt.begin_picture(),
            (Self::Other, _) => prompt.place(Part::Other),
            (Self::Effort, Kind::String) => prompt.effort = Some(String::new()),
            _ => {}
        }
    }

    pub(super) fn text(self, facts: &mut RequestFacts, piece: &str) {
        let prompt = &mut facts.prompt;
        match self {
            Self::Text(_) | Self::Texts(_) => prompt.push(piece),
            Self::Json(written) | Self::Tool(written) => written.text(prompt, piece),
            Self::Picture | Self::PictureSource => prompt.picture_piece(piece),
            Self::PictureDetail => prompt.picture_detail(piece),
            Self::Effort => cut_to(prompt.effort.get_or_insert_default(), piece, MAX_WORD),
            _ => {}
        }
    }

    pub(super) fn scalar(self, facts: &mut RequestFacts, scalar: Scalar<'_>) {
        let prompt = &mut facts.prompt;
        match (self, scalar) {
            (Self::Json(written) | Self::Tool(written), scalar) => written.scalar(prompt, scalar),
            (Self::GenerationPrompt, Scalar::Bool(false))
                if prompt.opening == Opening::Generation =>
            {
                prompt.opening = Opening::Nothing;
            }
            (Self::GoesOn, Scalar::Bool(true)) => prompt.opening = Opening::LastMessage,
            (Self::Thinking, Scalar::Bool(value)) => prompt.thinking = Some(value),
            _ => {}
        }
    }

    pub(super) fn end(self, facts: &mut RequestFacts, kind: Kind) {
        let prompt = &mut facts.prompt;
        match (self, kind) {
            (Self::Text(part) | Self::Texts(part), Kind::String) => prompt.end_part(part),
            (Self::Json(written) | Self::Tool(written), kind) => written.end(prompt, kind),
            (Self::Picture, _) => prompt.end_picture(),
            _ => {}
        }
    }
}
