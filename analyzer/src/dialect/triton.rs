//! Triton's generate extension: `/v2/models/{model}/generate` and `…/generate_stream`, with vLLM's and
//! TensorRT-LLM's backends behind it.

use super::{
    Answer, Dialect, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, Text},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Answers in one piece.
pub(super) static GENERATE: Dialect = Dialect {
    name: "triton",
    operation: "text_completion",
    provider: "triton",
    paths: &["/v2/models/{model}/generate"],
    hints: &[],
    request_signs: &[&["text_input"]],
    answer_signs: &[&["text_output", "model_name"]],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// Streams: the path asks for them.
pub(super) static STREAM: Dialect = Dialect {
    paths: &["/v2/models/{model}/generate_stream"],
    request: || {
        let mut asking = Asking::default();
        asking.facts.stream = Some(true);
        Box::new(JsonRequest::of(asking))
    },
    ..GENERATE
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    /// The root, or the `parameters` in it: backends take either.
    Root,
    Asked(Asked),
    Input,
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
                "text_input" => Asks::Input,
                "parameters" | "sampling_parameters" => Asks::Root,
                "stream" => Asks::Asked(Asked::Stream),
                "temperature" => Asks::Asked(Asked::Temperature),
                "max_tokens" => Asks::Asked(Asked::MaxTokens),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Input => self.facts.prompt.present = true,
            Asks::Root => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        if let Asks::Input = node {
            self.facts.prompt.push(piece);
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        if let Asks::Asked(field) = node {
            field.scalar(&mut self.facts, scalar);
        }
    }

    fn end(&mut self, node: Asks, _kind: Kind) {
        if let Asks::Input = node {
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
    Model,
    Output { choice: u32 },
}

impl Answer for Saying {
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

impl Visitor for Saying {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key("text_output")) => Says::Output { choice: 0 },
            (Says::Root, Step::Key("model_name")) if self.facts.model.is_none() => Says::Model,
            (Says::Root, Step::Key("error")) => Says::Around(Around::of("error")?),
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            // The beams of one prompt.
            (Says::Output { .. }, Step::Index(choice)) => Says::Output { choice },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Output { choice }, Kind::String) => {
                self.facts.carries(Carried::Choice);
                self.facts.choice(choice);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Model => self.facts.model_piece(piece),
            Says::Output { choice } if !piece.is_empty() => {
                self.facts.add(choice, 0, Text::Content, piece);
            }
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        if let Says::Around(around) = node {
            around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
    }
}
