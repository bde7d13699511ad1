//! `POST …/embeddings`: texts, or token ids, and their vectors, which are passed over.

use super::{
    Answer, Dialect, Request,
    answer::{AnswerFacts, ErrorFacts},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_embeddings",
    operation: "embeddings",
    provider: "openai",
    paths: &["/embeddings"],
    hints: &[],
    request_signs: &[
        &["input", "model"],
        &["input", "model", "encoding_format"],
        &["input", "model", "dimensions"],
    ],
    answer_signs: &[&["data[].embedding"], &["data[].object=embedding"]],
    headers: &[],
    answer_is_text: false,
    overhead: super::Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<EmbeddingsRequest>::default()),
    answer: || Box::new(JsonAnswer::<EmbeddingsAnswer>::default()),
};

#[derive(Debug, Default)]
struct EmbeddingsRequest {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    EncodingFormat,
    /// A text, a list of texts, of token ids, of lists of those, or of objects with a text.
    Input,
    Element,
    Token,
    Text,
    /// vLLM's form for models that embed chats.
    Messages,
    Message,
    Part,
}

impl Request for EmbeddingsRequest {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Visitor for EmbeddingsRequest {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("input")) => Asks::Input,
            (Asks::Root, Step::Key("messages")) => Asks::Messages,
            (Asks::Root, Step::Key("encoding_format")) => Asks::EncodingFormat,
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Input, Step::Index(_)) => Asks::Element,
            (Asks::Element, Step::Index(_)) => Asks::Token,
            (Asks::Element | Asks::Part, Step::Key("text"))
            | (Asks::Message, Step::Key("role")) => Asks::Text,
            (Asks::Messages, Step::Index(_)) => Asks::Message,
            (Asks::Message, Step::Key("content")) | (Asks::Part, Step::Index(_)) => Asks::Part,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Input, Kind::String | Kind::Array) => prompt.present = true,
            // Of a list of token ids, no element begins anything: it is one prompt.
            (Asks::Element, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            (Asks::Message, Kind::Object) => prompt.one_message(),
            (Asks::EncodingFormat, _) => self.facts.response_format = None,
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::EncodingFormat => self.facts.response_format_piece(piece),
            Asks::Input | Asks::Element | Asks::Text | Asks::Part => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::Element | Asks::Token, Scalar::Number(_)) => {
                let ids = &mut self.facts.prompt.token_ids;
                *ids = ids.saturating_add(1);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String
            && matches!(node, Asks::Input | Asks::Element | Asks::Text | Asks::Part)
        {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct EmbeddingsAnswer {
    facts: AnswerFacts,
    flat: Flat,
}

impl Answer for EmbeddingsAnswer {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.flat.settle(&mut self.facts, named_error);
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl Visitor for EmbeddingsAnswer {
    /// The root, or what stands around the vectors.
    type Node = Option<Around>;

    fn root(&mut self) -> Option<Self::Node> {
        Some(None)
    }

    fn child(&mut self, node: Self::Node, step: Step<'_>) -> Option<Self::Node> {
        let around = match (node, step) {
            (None, Step::Key(key)) => Around::of(key)?,
            (Some(around), step) => around.child(step)?,
            (None, Step::Index(_)) => return None,
        };
        Some(Some(around))
    }

    fn begin(&mut self, node: Self::Node, kind: Kind) {
        if let Some(around) = node {
            around.begin(&mut self.facts, &mut self.flat, kind);
        }
    }

    fn text(&mut self, node: Self::Node, piece: &str) {
        if let Some(around) = node {
            around.text(&mut self.facts, &mut self.flat, piece);
        }
    }

    fn scalar(&mut self, node: Self::Node, scalar: Scalar<'_>) {
        if let Some(around) = node {
            around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
    }
}
