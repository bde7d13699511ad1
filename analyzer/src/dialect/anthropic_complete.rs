//! Anthropic's first API, `POST …/v1/complete`: a prompt and its continuation, streamed and not.

use super::{
    Answer, Dialect, Final,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Text},
    openai::{Around, Flat},
    openai_completions::CompletionRequest,
    read::{JsonAnswer, JsonRequest},
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "anthropic_complete",
    operation: "text_completion",
    provider: "anthropic",
    paths: &[],
    hints: &["/v1/complete"],
    request_signs: &[&["prompt", "model", "max_tokens_to_sample"]],
    answer_signs: &[&["completion", "stop_reason"], &["completion", "log_id"]],
    headers: &[],
    answer_is_text: true,
    overhead: super::Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<CompletionRequest>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Completion,
    StopReason,
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
            (Says::Root, Step::Key(key)) => match key {
                "completion" => Says::Completion,
                "stop_reason" => Says::StopReason,
                // The first id and name hold: a stream repeats them in every event.
                "id" if self.facts.id.is_some() => return None,
                "model" if self.facts.model.is_some() => return None,
                "id" | "model" | "error" | "detail" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Completion, Kind::String) => {
                self.facts.carries(Carried::Choice);
                self.facts.choice(0);
            }
            (Says::StopReason, Kind::String) => self.reason.clear(),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Completion if !piece.is_empty() => self.facts.add(0, 0, Text::Content, piece),
            Says::StopReason => cut_to(&mut self.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        if let Says::Around(around) = node {
            around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        if let (Says::StopReason, Kind::String) = (node, kind) {
            let reason = std::mem::take(&mut self.reason);
            // The event that has it is the last one.
            self.facts.ended = Final::Seen;
            if let Some(choice) = self.facts.choice(0) {
                choice.finish_reason = Some(reason);
            }
        }
    }
}
