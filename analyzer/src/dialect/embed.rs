//! `POST …/embed`: texts and their vectors, as Text Embeddings Inference and Cohere serve it. The vectors are passed over.

use super::{
    Answer, AnswerHead, Dialect, Overhead, Request,
    answer::{AnswerFacts, ErrorFacts, Usage},
    openai::{Around, Asked, Flat, times_of_head},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Text Embeddings Inference; its figure stands in the head.
pub(super) static TEI: Dialect = Dialect {
    name: "tei_embed",
    operation: "embeddings",
    provider: "tei",
    paths: &["/embed", "/embed_all", "/embed_sparse"],
    hints: &[],
    request_signs: &[&["inputs", "normalize"], &["inputs", "truncate"]],
    // Sparse vectors; dense ones are lists of numbers, which anything may answer.
    answer_signs: &[&["[][].index", "[][].value"]],
    headers: &[
        "x-compute-tokens",
        "x-queue-time",
        "x-inference-time",
        "x-total-time",
    ],
    answer_is_text: false,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// Cohere, in both versions.
pub(super) static COHERE: Dialect = Dialect {
    name: "cohere_embed",
    provider: "cohere",
    paths: &[],
    hints: &["/v2/embed", "/v1/embed"],
    request_signs: &[&["texts", "input_type"]],
    answer_signs: &[
        &["embeddings.float"],
        &["response_type=embeddings_"],
        &["texts", "embeddings[]"],
    ],
    headers: &[],
    ..TEI
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// A text, or a list of texts or of token ids.
    Texts,
    Element,
    Token,
}

impl Request for Asking {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl Asking {
    fn token_id(&mut self) {
        let ids = &mut self.facts.prompt.token_ids;
        *ids = ids.saturating_add(1);
    }
}

impl Visitor for Asking {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("inputs" | "texts")) => Asks::Texts,
            (Asks::Root, Step::Key(key @ ("model" | "user"))) => Asks::Asked(Asked::of(key)?),
            (Asks::Texts, Step::Index(_)) => Asks::Element,
            (Asks::Element, Step::Index(_)) => Asks::Token,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Texts, Kind::String | Kind::Array) => prompt.present = true,
            (Asks::Element, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Texts | Asks::Element => self.facts.prompt.push(piece),
            Asks::Root | Asks::Token => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::Element | Asks::Token, Scalar::Number(_)) => self.token_id(),
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String && matches!(node, Asks::Texts | Asks::Element) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    /// Cohere's `meta`.
    Meta,
    Units,
    Input,
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn head(&mut self, head: &AnswerHead<'_>) {
        let figure = head.headers.get("x-compute-tokens");
        self.facts.usage.input = figure.and_then(Usage::figure);
        times_of_head(&mut self.facts, head);
    }

    fn end_event(&mut self, named_error: bool) {
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
            (Says::Root, Step::Key("meta")) => Says::Meta,
            (Says::Root, Step::Key(key @ ("id" | "model" | "error" | "error_type" | "detail"))) => {
                Says::Around(Around::of(key)?)
            }
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Meta, Step::Key("billed_units" | "tokens")) => Says::Units,
            (Says::Units, Step::Key("input_tokens")) => Says::Input,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        if let Says::Around(around) = node {
            around.begin(&mut self.facts, &mut self.flat, kind);
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        if let Says::Around(around) = node {
            around.text(&mut self.facts, &mut self.flat, piece);
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Input, Scalar::Number(number)) => {
                self.facts.usage.input = Usage::figure(number).or(self.facts.usage.input);
            }
            _ => {}
        }
    }
}
