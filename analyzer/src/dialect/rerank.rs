//! `POST …/rerank`, as Jina, Cohere, Text Embeddings Inference, vLLM and Xinference serve it: a query, texts, and their scores.

use super::{
    Answer, Dialect, Overhead, Request,
    answer::{AnswerFacts, ErrorFacts, Usage},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "rerank",
    operation: "rerank",
    provider: "rerank",
    paths: &["/rerank"],
    hints: &[],
    request_signs: &[&["documents", "query"], &["texts", "query"]],
    answer_signs: &[&["results[].relevance_score"], &["[].score", "[].index"]],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// A string that counts.
    Text,
    Documents,
    /// A text, or an object with one.
    Document,
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
                "query" => Asks::Text,
                "documents" | "texts" => Asks::Documents,
                "model" | "user" => Asks::Asked(Asked::of(key)?),
                _ => return None,
            },
            (Asks::Documents, Step::Index(_)) => Asks::Document,
            (Asks::Document, Step::Key("text")) => Asks::Text,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Text | Asks::Documents, _) => prompt.present = true,
            (Asks::Document, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Text | Asks::Document => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String && matches!(node, Asks::Text | Asks::Document) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    /// The sum, which is all that some servers tell.
    total: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    /// Cohere's `meta`.
    Meta,
    Usage,
    Input,
    Output,
    Total,
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.flat.settle(&mut self.facts, named_error);
    }

    /// Nothing is generated: the sum is the input.
    fn settle(&mut self) {
        let usage = &mut self.facts.usage;
        usage.input = usage.input.or(self.total);
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
            (Says::Root, Step::Key("usage")) | (Says::Meta, Step::Key("tokens")) => Says::Usage,
            (Says::Root, Step::Key(key)) => Says::Around(Around::of(key)?),
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Usage, Step::Key(key)) => match key {
                "prompt_tokens" | "input_tokens" => Says::Input,
                "completion_tokens" | "output_tokens" => Says::Output,
                "total_tokens" => Says::Total,
                _ => return None,
            },
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
        if let Says::Around(around) = node {
            return around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
        let Scalar::Number(number) = scalar else {
            return;
        };
        // Xinference writes them as null, others as 0, where they do not count.
        let figure = Usage::figure(number);
        match node {
            Says::Input => self.facts.usage.input = figure.filter(|figure| *figure > 0),
            Says::Output => self.facts.usage.output = figure.filter(|figure| *figure > 0),
            Says::Total => self.total = figure,
            _ => {}
        }
    }
}
