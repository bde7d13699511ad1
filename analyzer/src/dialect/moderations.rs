//! `POST …/moderations`: texts and pictures, and what is objectionable in them.

use super::{
    Dialect, Overhead, Request,
    embeddings::EmbeddingsAnswer,
    openai::Asked,
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_moderations",
    operation: "moderation",
    provider: "openai",
    paths: &["/moderations"],
    hints: &[],
    // The same as of a request for vectors: the answer tells.
    request_signs: &[&["input", "model"]],
    answer_signs: &[&["results[].category_scores"], &["results[].flagged"]],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<EmbeddingsAnswer>::default()),
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// A text, a list of texts, or of parts.
    Input,
    Element,
    Text,
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
            (Asks::Root, Step::Key("input")) => Asks::Input,
            (Asks::Root, Step::Key(key @ ("model" | "user"))) => Asks::Asked(Asked::of(key)?),
            (Asks::Input, Step::Index(_)) => Asks::Element,
            (Asks::Element, Step::Key("text")) => Asks::Text,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Input => self.facts.prompt.present = true,
            Asks::Root | Asks::Element | Asks::Text => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Input | Asks::Element | Asks::Text => self.facts.prompt.push(piece),
            Asks::Root => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        if let Asks::Asked(field) = node {
            field.scalar(&mut self.facts, scalar);
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String && matches!(node, Asks::Input | Asks::Element | Asks::Text) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}
