//! SGLang's own API, `/generate`: text or token ids, and an answer whose stream repeats all that came
//! before in each event (unless the server was started to send pieces).

use super::{
    Answer, Dialect, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, ServerTimes, Text, Unit, Usage},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step, Visitor};

/// Bytes of one event's text that are compared with what came before it: as much as a million tokens.
const MAX_EVENT_TEXT: usize = 4 << 20;

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect {
    name: "sglang",
    operation: "text_completion",
    provider: "sglang",
    paths: &[],
    hints: &["/generate"],
    request_signs: &[
        &["sampling_params", "text"],
        &["sampling_params", "input_ids"],
        &["input_ids"],
    ],
    answer_signs: &[
        &["meta_info.prompt_tokens"],
        &["[].meta_info.prompt_tokens"],
    ],
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
    /// A text, or a list of them.
    Text,
    TextElement,
    /// Token ids, or lists of them.
    Ids,
    Sampling,
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
                "text" => Asks::Text,
                "input_ids" => Asks::Ids,
                "sampling_params" => Asks::Sampling,
                "stream" => Asks::Asked(Asked::Stream),
                "model" | "lora_path" => Asks::Asked(Asked::Model),
                _ => return None,
            },
            (Asks::Text, Step::Index(_)) => Asks::TextElement,
            (Asks::Ids, Step::Index(_)) => Asks::Ids,
            (Asks::Sampling, Step::Key(key)) => Asks::Asked(match key {
                "max_new_tokens" => Asked::MaxTokens,
                "temperature" => Asked::Temperature,
                "n" => Asked::N,
                _ => return None,
            }),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        let prompt = &mut self.facts.prompt;
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Text | Asks::Ids => prompt.present = true,
            Asks::TextElement => prompt.prompts = prompt.prompts.saturating_add(1),
            Asks::Root | Asks::Sampling => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Text | Asks::TextElement => self.facts.prompt.push(piece),
            Asks::Root | Asks::Ids | Asks::Sampling => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        match (node, scalar) {
            (Asks::Asked(field), scalar) => field.scalar(&mut self.facts, scalar),
            (Asks::Ids, Scalar::Number(_)) => {
                let ids = &mut self.facts.prompt.token_ids;
                *ids = ids.saturating_add(1);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Asks, kind: Kind) {
        if kind == Kind::String && matches!(node, Asks::Text | Asks::TextElement) {
            self.facts.prompt.end_part(Part::Text);
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    /// What the event (or element) at hand says; its index may come after its text.
    index: Option<u32>,
    position: u32,
    text: String,
    has_text: bool,
    reason: String,
    /// Generated tokens of each answer: their sum is the call's.
    generated: std::collections::BTreeMap<u32, u64>,
    prompts: std::collections::BTreeMap<u32, u64>,
    generated_here: Option<u64>,
    prompt_here: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root { position: u32 },
    Around(Around),
    Text,
    Index,
    Meta,
    Id,
    Finish,
    FinishType,
    Prompt,
    Completion,
    Cached,
    Total,
    Queue,
}

impl Saying {
    /// One answer of the event is over: what is new of its text is output.
    fn end_answer(&mut self) {
        let index = self.index.take().unwrap_or(self.position);
        let text = std::mem::take(&mut self.text);
        if std::mem::take(&mut self.has_text) {
            let before = self.facts.choice(index).map(|choice| choice.content.len());
            let repeats = self
                .facts
                .choices
                .get(&index)
                .is_some_and(|choice| text.starts_with(&choice.content));
            let start = before.filter(|_| repeats).unwrap_or(0);
            if let Some(fresh) = text.get(start..).filter(|fresh| !fresh.is_empty()) {
                self.facts.add(index, 0, Text::Content, fresh);
            }
        }
        let reason = std::mem::take(&mut self.reason);
        if !reason.is_empty()
            && let Some(choice) = self.facts.choice(index)
        {
            choice.finish_reason = Some(reason);
        }
        // No more are kept apart than there are choices.
        let known = self.facts.choices.contains_key(&index) || self.facts.choice(index).is_some();
        if let Some(figure) = self.prompt_here.take().filter(|_| known) {
            self.prompts.insert(index, figure);
            self.facts.usage.input = Some(self.prompts.values().sum());
        }
        if let Some(figure) = self.generated_here.take().filter(|_| known) {
            self.generated.insert(index, figure);
            self.facts.output_figure(self.generated.values().sum());
        }
    }
}

impl Answer for Saying {
    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn staged(&self) -> usize {
        self.text.len()
    }

    fn end_event(&mut self, named_error: bool) {
        if self.has_text {
            self.end_answer();
        }
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
                "text" => Says::Text,
                "index" => Says::Index,
                "meta_info" => Says::Meta,
                "error" | "detail" => Says::Around(Around::of(key)?),
                _ => return None,
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Meta, Step::Key(key)) => match key {
                "id" if self.facts.id.is_none() => Says::Id,
                "finish_reason" => Says::Finish,
                "prompt_tokens" => Says::Prompt,
                "completion_tokens" => Says::Completion,
                "cached_tokens" => Says::Cached,
                "e2e_latency" => Says::Total,
                "queue_time" => Says::Queue,
                _ => return None,
            },
            (Says::Finish, Step::Key("type")) => Says::FinishType,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Root { position }, Kind::Object) => self.position = position,
            (Says::Text, Kind::String) => {
                self.has_text = true;
                self.facts.carries(Carried::Choice);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Text => {
                let before = self.text.len();
                cut_to(&mut self.text, piece, MAX_EVENT_TEXT);
                if self.text.len() - before < piece.len() {
                    self.facts.leave_out();
                }
            }
            Says::Id => self.facts.id_piece(piece),
            Says::FinishType => cut_to(&mut self.reason, piece, MAX_WORD),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        let Scalar::Number(number) = scalar else {
            return;
        };
        match node {
            Says::Around(around) => around.scalar(&mut self.facts, &mut self.flat, scalar),
            Says::Index => self.index = number.parse().ok(),
            Says::Prompt => self.prompt_here = Usage::figure(number),
            Says::Completion => self.generated_here = Usage::figure(number),
            Says::Cached => self.facts.usage.cached = Usage::figure(number),
            Says::Total => {
                self.facts.server_times.total = ServerTimes::micros(number, Unit::Seconds);
            }
            Says::Queue => {
                self.facts.server_times.queue = ServerTimes::micros(number, Unit::Seconds);
            }
            _ => {}
        }
    }

    fn end(&mut self, node: Says, kind: Kind) {
        if let (Says::Root { .. }, Kind::Object) = (node, kind) {
            self.end_answer();
        }
    }
}
