//! `POST …/images/generations`, `…/edits` and `…/variations`, in one piece and as a stream of partial pictures. The
//! pictures themselves are passed over.

use super::{
    Answer, Dialect, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, OutputKind},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_images",
    operation: "image_generation",
    provider: "openai",
    paths: &["/images/generations", "/images/edits", "/images/variations"],
    hints: &[],
    request_signs: &[&["size", "prompt"], &["quality", "prompt"]],
    answer_signs: &[
        &["data[].b64_json"],
        &["data[].revised_prompt"],
        &["created", "data[].url"],
        &["type=image_generation."],
        &["type=image_edit."],
    ],
    headers: &[],
    answer_is_text: false,
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
    Prompt,
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
            (Asks::Root, Step::Key("prompt")) => Asks::Prompt,
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Prompt => self.facts.prompt.present = true,
            Asks::Root => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Prompt => self.facts.prompt.push(piece),
            Asks::Root => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        if let Asks::Asked(field) = node {
            field.scalar(&mut self.facts, scalar);
        }
    }

    fn end(&mut self, node: Asks, _kind: Kind) {
        if let Asks::Prompt = node {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    event: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Event,
    Data,
    Element,
    Picture,
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        let event = std::mem::take(&mut self.event);
        if matches!(
            event.as_str(),
            "image_generation.completed" | "image_edit.completed"
        ) {
            self.facts.ended = Final::Seen;
        }
        self.flat
            .settle(&mut self.facts, named_error || event == "error");
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
            (Says::Root, Step::Key("type")) => Says::Event,
            (Says::Root, Step::Key("data")) => Says::Data,
            (Says::Data, Step::Index(_)) => Says::Element,
            (Says::Root | Says::Element, Step::Key("b64_json"))
            | (Says::Element, Step::Key("url")) => Says::Picture,
            (Says::Root, Step::Key(key)) => Says::Around(Around::of(key)?),
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Picture, Kind::String) => self.facts.carries(Carried::Choice),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Event => cut_to(&mut self.event, piece, MAX_WORD),
            Says::Picture if !piece.is_empty() => self.facts.carries_output(OutputKind::Media),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        if let Says::Around(around) = node {
            around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
    }
}
