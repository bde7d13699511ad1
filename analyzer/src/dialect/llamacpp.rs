//! llama.cpp's native API: `/completion` and `/infill`, streamed and not, and `/embedding`.
//!
//! Streams end with the event whose `stop` is true, without `[DONE]`; it has the `timings`.

use super::{
    Answer, Dialect, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Staged, Text, Usage},
    embeddings::EmbeddingsAnswer,
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Completions.
pub(super) static COMPLETION: Dialect = Dialect {
    name: "llamacpp",
    operation: "text_completion",
    provider: "llamacpp",
    paths: &["/completion", "/infill"],
    hints: &["/completions"],
    request_signs: &[&["prompt", "n_predict"], &["input_prefix", "input_suffix"]],
    answer_signs: &[&["content", "stop", "tokens_predicted"]],
    headers: &[],
    answer_is_text: true,
    overhead: Overhead {
        message: 0,
        prompt: 0,
    },
    request: || Box::new(JsonRequest::<Asking>::default()),
    answer: || Box::new(JsonAnswer::<Saying>::default()),
};

/// Vectors. (`/embeddings` is OpenAI's.)
pub(super) static EMBEDDING: Dialect = Dialect {
    name: "llamacpp_embedding",
    operation: "embeddings",
    paths: &["/embedding"],
    hints: &[],
    request_signs: &[&["embd_normalize", "content"]],
    answer_signs: &[&["[].embedding", "[].index"]],
    answer_is_text: false,
    answer: || Box::new(JsonAnswer::<EmbeddingsAnswer>::default()),
    ..COMPLETION
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// A text, a list of texts, of token ids, of both mixed, or of lists.
    Prompt,
    Element,
    Token,
    /// A string that counts.
    Text,
    Extra,
    ExtraPart,
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
                "prompt" | "content" | "input" => Asks::Prompt,
                "input_prefix" | "input_suffix" => Asks::Text,
                "input_extra" => Asks::Extra,
                "n_predict" => Asks::Asked(Asked::MaxTokens),
                "json_schema" | "grammar" => return None,
                _ => Asks::Asked(Asked::of(key)?),
            },
            (Asks::Asked(field), step) => Asks::Asked(field.child(&self.facts, step)?),
            (Asks::Prompt, Step::Index(_)) => Asks::Element,
            (Asks::Element, Step::Index(_)) => Asks::Token,
            // A prompt with pictures: its text, and the data, which is none.
            (Asks::Prompt | Asks::Element, Step::Key("prompt_string"))
            | (Asks::ExtraPart, Step::Key("text" | "filename")) => Asks::Text,
            (Asks::Extra, Step::Index(_)) => Asks::ExtraPart,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match (node, kind) {
            (Asks::Asked(field), kind) => field.begin(&mut self.facts, kind),
            (Asks::Prompt | Asks::Text, _) => prompt.present = true,
            (Asks::Element, _) => prompt.prompts = prompt.prompts.saturating_add(1),
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Prompt | Asks::Element | Asks::Text => self.facts.prompt.push(piece),
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
        if kind == Kind::String && matches!(node, Asks::Prompt | Asks::Element | Asks::Text) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    /// One answer: the body, an event, or an element of a list of them.
    Root {
        position: u32,
    },
    Around(Around),
    Index,
    Content,
    Stop,
    StopType,
    /// All tokens of the prompt, those from the cache included.
    Evaluated,
    Predicted,
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn end_event(&mut self, named_error: bool) {
        self.facts.commit(&mut self.staged);
        self.flat.settle(&mut self.facts, named_error);
    }

    fn detail(&mut self) -> Option<ErrorFacts> {
        self.flat.detail()
    }
}

impl Visitor for Saying {
    type Node = Says;

    fn root(&mut self) -> Option<Says> {
        Some(Says::Root { position: 0 })
    }

    fn child(&mut self, node: Says, step: Step<'_>) -> Option<Says> {
        Some(match (node, step) {
            (Says::Root { .. }, Step::Index(position)) => Says::Root { position },
            (Says::Root { .. }, Step::Key(key)) => match key {
                "index" => Says::Index,
                "content" => Says::Content,
                "stop" => Says::Stop,
                "stop_type" => Says::StopType,
                "tokens_evaluated" => Says::Evaluated,
                "tokens_predicted" => Says::Predicted,
                "model" if self.facts.model.is_some() => return None,
                "model" | "error" | "timings" | "detail" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Root { position }, Kind::Object) => {
                self.facts.commit(&mut self.staged);
                self.staged.begin(position);
            }
            (Says::Content, Kind::String) => self.facts.carries(Carried::Choice),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Content if !piece.is_empty() => {
                let kept = self.facts.output(Text::Content, piece);
                self.staged.append(Text::Content, kept);
            }
            Says::StopType => cut_to(&mut self.staged.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Index, Scalar::Number(number)) => self.staged.index = number.parse().ok(),
            (Says::Stop, Scalar::Bool(true)) => self.facts.ended = Final::Seen,
            (Says::Evaluated, Scalar::Number(number)) => {
                self.facts.usage.input = Usage::figure(number);
            }
            (Says::Predicted, Scalar::Number(number)) => {
                if let Some(number) = Usage::figure(number) {
                    self.facts.output_figure(number);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, _kind: Kind) {
        match node {
            Says::Root { .. } => self.facts.commit(&mut self.staged),
            // Of an event before the last.
            Says::StopType if self.staged.reason == "none" => self.staged.reason.clear(),
            Says::StopType => self.staged.end_reason(),
            _ => {}
        }
    }
}
