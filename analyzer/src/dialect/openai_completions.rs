//! `POST …/completions`, streamed and not: a plain prompt, or token ids, and its continuation.

use super::{
    Answer, AnswerHead, Dialect, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Staged, Text},
    openai::{Around, Asked, Flat, TIME_HEADERS, times_of_head},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "openai_completions",
    operation: "text_completion",
    provider: "openai",
    paths: &["/completions"],
    hints: &[],
    request_signs: &[&["prompt", "model"]],
    answer_signs: &[&["object=text_completion"], &["choices[].text"]],
    headers: TIME_HEADERS,
    answer_is_text: true,
    overhead: super::Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<CompletionRequest>::default()),
    answer: || Box::new(JsonAnswer::<CompletionAnswer>::default()),
};

/// Others word their requests the same.
#[derive(Debug, Default)]
pub(super) struct CompletionRequest {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    Root,
    Asked(Asked),
    /// A text, a list of texts, of token ids, or of lists of those.
    Prompt,
    Element,
    Token,
    /// What comes after the text to be filled in: it is part of the prompt.
    Suffix,
    Echo,
}

impl Request for CompletionRequest {
    fn facts(&mut self) -> &mut RequestFacts {
        &mut self.facts
    }
}

impl CompletionRequest {
    fn token_id(&mut self) {
        let ids = &mut self.facts.prompt.token_ids;
        *ids = ids.saturating_add(1);
    }
}

impl Visitor for CompletionRequest {
    type Node = Asks;

    fn root(&mut self) -> Option<Asks> {
        Some(Asks::Root)
    }

    fn child(&mut self, node: Asks, step: Step<'_>) -> Option<Asks> {
        Some(match (node, step) {
            (Asks::Root, Step::Key("prompt")) => Asks::Prompt,
            (Asks::Root, Step::Key("suffix")) => Asks::Suffix,
            (Asks::Root, Step::Key("echo")) => Asks::Echo,
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Prompt, Step::Index(_)) => Asks::Element,
            (Asks::Element, Step::Index(_)) => Asks::Token,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Prompt, Kind::String | Kind::Array) => self.facts.prompt.present = true,
            // Of a list of token ids, no element begins anything: it is one prompt.
            (Asks::Element, Kind::String | Kind::Array) => {
                let prompts = &mut self.facts.prompt.prompts;
                *prompts = prompts.saturating_add(1);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Prompt | Asks::Element | Asks::Suffix => self.facts.prompt.push(piece),
            Asks::Root | Asks::Token | Asks::Echo => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::Element | Asks::Token, Scalar::Number(_)) => self.token_id(),
            (Asks::Echo, Scalar::Bool(value)) => self.facts.echo = value,
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        match (node, kind) {
            (Asks::Prompt | Asks::Element, Kind::String) => self.facts.prompt.end_part(Part::Text),
            (Asks::Suffix, Kind::String) => self.facts.prompt.end_part(Part::Suffix),
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct CompletionAnswer {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Choices,
    Choice {
        position: u32,
    },
    Index,
    FinishReason,
    Text,
    /// Thoughts, where a server splits them off.
    Reasoning,
}

impl Answer for CompletionAnswer {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn head(&mut self, head: &AnswerHead<'_>) {
        times_of_head(&mut self.facts, head);
    }

    fn end_event(&mut self, named_error: bool) {
        self.facts.commit(&mut self.staged);
        self.flat.settle(&mut self.facts, named_error);
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl CompletionAnswer {
    fn append(&mut self, text: Text, piece: &str) {
        let kept = self.facts.output(text, piece);
        self.staged.append(text, kept);
    }
}

impl Visitor for CompletionAnswer {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root)
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root, Step::Key("choices")) => Says::Choices,
            // The first id and name hold: a stream repeats them in every event.
            (Says::Root, Step::Key("id")) if self.facts.id.is_some() => return None,
            (Says::Root, Step::Key("model")) if self.facts.model.is_some() => return None,
            (Says::Root, Step::Key(key)) => Says::Around(Around::of(key)?),
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Choices, Step::Index(position)) => Says::Choice { position },
            (Says::Choice { .. }, Step::Key(key)) => match key {
                "index" => Says::Index,
                "text" => Says::Text,
                "reasoning_content" | "reasoning" if self.staged.choice.reasoning.is_empty() => {
                    Says::Reasoning
                }
                "finish_reason" => Says::FinishReason,
                "usage" | "error" | "token_ids" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Choice { position }, Kind::Object) => {
                self.facts.carries(Carried::Choice);
                self.staged.begin(position);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Text => self.append(Text::Content, piece),
            Says::Reasoning => self.append(Text::Reasoning, piece),
            Says::FinishReason => cut_to(&mut self.staged.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => self.staged.index = number.parse().ok(),
            _ => {}
        }
    }

    fn end(&mut self, node: Says, _kind: Kind) {
        match node {
            Says::Choice { .. } => self.facts.commit(&mut self.staged),
            Says::FinishReason => self.staged.end_reason(),
            _ => {}
        }
    }
}
