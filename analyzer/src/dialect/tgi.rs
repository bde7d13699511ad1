//! Text Generation Inference's own API: `/generate`, `/generate_stream`, and `/`, which serves both.
//!
//! The figures stand in the `details` (of a plain answer only where they were asked for) and, for plain
//! answers, in the head.

use super::{
    Answer, AnswerHead, Dialect, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, Staged, Text, Usage},
    openai::{Around, Asked, Flat, times_of_head},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Bytes of one token's text that are kept. No vocabulary's is near it, but servers that speak the API
/// may send a longer piece as one token.
const MAX_TOKEN_TEXT: usize = 64 << 10;

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "tgi",
    operation: "text_completion",
    provider: "tgi",
    paths: &["/generate_stream"],
    hints: &["/generate"],
    // `inputs` alone is what many servers of other things take, too.
    request_signs: &[
        &["inputs", "parameters.max_new_tokens"],
        &["inputs", "parameters.temperature"],
        &["inputs", "parameters.details"],
        &["inputs", "parameters.do_sample"],
        &["inputs", "stream"],
    ],
    answer_signs: &[
        &["generated_text"],
        &["[].generated_text"],
        &["token.text", "token.id"],
    ],
    headers: &[
        "x-prompt-tokens",
        "x-generated-tokens",
        "x-queue-time",
        "x-inference-time",
        "x-total-time",
    ],
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
    Inputs,
    Parameters,
    ReturnFullText,
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
            (Asks::Root, Step::Key("inputs")) => Asks::Inputs,
            (Asks::Root, Step::Key("parameters")) => Asks::Parameters,
            (Asks::Root, Step::Key("stream")) => Asks::Asked(Asked::Stream),
            (Asks::Root, Step::Key("model")) => Asks::Asked(Asked::Model),
            (Asks::Parameters, Step::Key(key)) => match key {
                "max_new_tokens" => Asks::Asked(Asked::MaxTokens),
                "temperature" => Asks::Asked(Asked::Temperature),
                "return_full_text" => Asks::ReturnFullText,
                // The LoRA that answers.
                "adapter_id" => Asks::Asked(Asked::Model),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Inputs => self.facts.prompt.present = true,
            _ => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Inputs => self.facts.prompt.push(piece),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::ReturnFullText, Scalar::Bool(value)) => self.facts.echo = value,
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, _kind: Kind) {
        if matches!(node, Asks::Inputs) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    staged: Staged,
    /// Output came token by token: the last event repeats it all.
    streams: bool,
    /// The event's token, until it is known whether it is a mark such as `</s>`, which no text has.
    token: String,
    special: bool,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root { position: u32 },
    Around(Around),
    GeneratedText,
    Token,
    TokenText,
    Special,
    Details,
    FinishReason,
    GeneratedTokens,
    InputLength,
}

impl Saying {
    fn end_token(&mut self) {
        let token = std::mem::take(&mut self.token);
        if std::mem::take(&mut self.special) || token.is_empty() {
            return;
        }
        let kept = self.facts.output(Text::Content, &token);
        self.staged.append(Text::Content, kept);
    }
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    /// The figures of a plain answer; a stream's head comes before them.
    fn head(&mut self, head: &AnswerHead<'_>) {
        let figure = |name| head.headers.get(name).and_then(Usage::figure);
        self.facts.usage.input = figure("x-prompt-tokens");
        self.facts.usage.output = figure("x-generated-tokens");
        times_of_head(&mut self.facts, head);
    }

    fn end_event(&mut self, named_error: bool) {
        self.end_token();
        self.facts.commit(&mut self.staged);
        self.flat.settle(&mut self.facts, named_error);
        if self.facts.usage.output.is_some() && !self.streams {
            self.facts.usage_is_behind = false;
        }
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
                "generated_text" => Says::GeneratedText,
                "token" => Says::Token,
                "details" => Says::Details,
                "error" | "error_type" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Token, Step::Key("text")) => Says::TokenText,
            (Says::Token, Step::Key("special")) => Says::Special,
            (Says::Details, Step::Key(key)) => match key {
                "finish_reason" => Says::FinishReason,
                "generated_tokens" => Says::GeneratedTokens,
                "input_length" => Says::InputLength,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Root { position }, Kind::Object) => self.staged.begin(position),
            (Says::GeneratedText, Kind::String) => self.facts.carries(Carried::Choice),
            (Says::Token, Kind::Object) => {
                self.streams = true;
                self.facts.carries(Carried::Choice);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::GeneratedText if !self.streams && !piece.is_empty() => {
                let kept = self.facts.output(Text::Content, piece);
                self.staged.append(Text::Content, kept);
            }
            Says::TokenText => {
                let before = self.token.len();
                cut_to(&mut self.token, piece, MAX_TOKEN_TEXT);
                if self.token.len() - before < piece.len() {
                    self.facts.leave_out();
                }
            }
            Says::FinishReason => cut_to(&mut self.staged.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Says::Around(around), scalar) => {
                around.scalar(&mut self.facts, &mut self.flat, scalar);
            }
            (Says::Special, Scalar::Bool(value)) => self.special = value,
            (Says::GeneratedTokens, Scalar::Number(number)) => {
                if let Some(number) = Usage::figure(number) {
                    self.facts.output_figure(number);
                }
            }
            (Says::InputLength, Scalar::Number(number)) => {
                self.facts.usage.input = Usage::figure(number);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Token, _) => self.end_token(),
            // The last event alone has the whole text.
            (Says::GeneratedText, Kind::String) => self.facts.ended = Final::Seen,
            (Says::FinishReason, _) => self.staged.end_reason(),
            (Says::Root { .. }, Kind::Object) => self.facts.commit(&mut self.staged),
            _ => {}
        }
    }
}
