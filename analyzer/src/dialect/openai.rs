//! What the dialects of OpenAI's family have in common: the fields around the choices.

use super::{
    AnswerHead,
    answer::{AnswerFacts, ErrorFacts, MAX_WORD, ServerTimes, Unit, Usage},
    request::RequestFacts,
    text::cut_to,
};
use crate::json::{Kind, Scalar, Step};

/// A field of a request that is read the same in every dialect of the family, and in its cousins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Model,
    User,
    Stream,
    N,
    MaxTokens,
    Temperature,
    Tools,
    Tool,
    /// A word, or an object that names a tool.
    ToolChoice,
    ToolChoiceType,
    ToolChoiceName,
    /// A word, or an object with a `type`.
    ResponseFormat,
    ResponseFormatType,
}

impl Asked {
    /// The field of this name at the root of a request.
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "model" => Self::Model,
            "user" => Self::User,
            "stream" => Self::Stream,
            "n" => Self::N,
            "max_tokens"
            | "max_completion_tokens"
            | "max_output_tokens"
            | "max_tokens_to_sample" => Self::MaxTokens,
            "temperature" => Self::Temperature,
            "tools" | "functions" => Self::Tools,
            "tool_choice" | "function_call" => Self::ToolChoice,
            "response_format" => Self::ResponseFormat,
            _ => return None,
        })
    }

    /// The place one step below.
    pub(super) fn child(self, facts: &RequestFacts, step: Step<'_>) -> Option<Self> {
        Some(match (self, step) {
            (Self::Tools, Step::Index(_)) => Self::Tool,
            // A tool's name says more than that it is one.
            (Self::ToolChoice, Step::Key("type")) if facts.tool_choice.is_none() => {
                Self::ToolChoiceType
            }
            (Self::ToolChoice, Step::Key("function" | "custom")) => Self::ToolChoice,
            (Self::ToolChoice, Step::Key("name")) => Self::ToolChoiceName,
            (Self::ResponseFormat, Step::Key("type")) => Self::ResponseFormatType,
            _ => return None,
        })
    }

    pub(super) fn begin(self, facts: &mut RequestFacts, kind: Kind) {
        match (self, kind) {
            (Self::Model, Kind::String) => facts.model = None,
            (Self::User, Kind::String) => facts.user = None,
            (Self::Tools, Kind::Array) => facts.tools = Some(0),
            (Self::Tool, Kind::Object) => facts.one_tool(),
            (Self::ToolChoice, Kind::String) | (Self::ToolChoiceName, _) => {
                facts.tool_choice = Some(String::new());
            }
            (Self::ResponseFormat, Kind::String) | (Self::ResponseFormatType, _) => {
                facts.response_format = None;
            }
            _ => {}
        }
    }

    pub(super) fn text(self, facts: &mut RequestFacts, piece: &str) {
        match self {
            Self::Model => facts.model_piece(piece),
            Self::User => facts.user_piece(piece),
            Self::ToolChoice | Self::ToolChoiceType | Self::ToolChoiceName => {
                facts.tool_choice_piece(piece);
            }
            Self::ResponseFormat | Self::ResponseFormatType => facts.response_format_piece(piece),
            Self::Stream
            | Self::N
            | Self::MaxTokens
            | Self::Temperature
            | Self::Tools
            | Self::Tool => {}
        }
    }

    pub(super) fn scalar(self, facts: &mut RequestFacts, scalar: Scalar<'_>) {
        match (self, scalar) {
            (Self::Stream, Scalar::Bool(value)) => facts.stream = Some(value),
            (Self::N, Scalar::Number(number)) => {
                facts.choices = Usage::figure(number).and_then(|n| u32::try_from(n).ok());
            }
            (Self::MaxTokens, Scalar::Number(number)) => facts.max_tokens = Usage::figure(number),
            (Self::Temperature, Scalar::Number(number)) => {
                facts.temperature = number.parse().ok().filter(|t: &f64| t.is_finite());
            }
            _ => {}
        }
    }
}

/// A place in an answer outside its choices.
#[derive(Clone, Copy, Debug)]
pub(super) enum Around {
    Object,
    Id,
    Model,
    Usage(Figure),
    /// `x_groq`, which holds a usage, or the error that broke a stream off.
    XGroq,
    /// llama.cpp's `timings`, which hold the figures where no usage was asked for.
    Timings(Timing),
    /// vLLM's `metrics`, where they are switched on.
    Metrics,
    Metric(Metric),
    /// vLLM's lists of token ids, where they were asked for: those of the prompt, and those that the
    /// event's choice adds.
    PromptIds,
    OutputIds,
    Error(Fault),
    /// `type`, `code` and `error_type` at the root: vLLM's flat errors and TGI's.
    FlatType,
    FlatCode,
    /// FastAPI's `detail`: a text, or a list of objects with a `type`.
    Detail,
    DetailItem,
    DetailType,
}

/// A place in a usage object.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    Usage,
    InputDetails,
    OutputDetails,
    Input,
    Output,
    Cached,
    CacheWrite,
    Reasoning,
    AudioInput,
    AudioOutput,
    /// Groq's times, which stand beside its figures.
    Time(Span),
}

/// One of vLLM's metrics, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric(Span);

/// A span of the server's time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Span {
    Queue,
    Prefill,
    Decode,
    Total,
}

impl Span {
    fn set(self, facts: &mut AnswerFacts, number: &str, unit: Unit) {
        let times = &mut facts.server_times;
        let slot = match self {
            Self::Queue => &mut times.queue,
            Self::Prefill => &mut times.prefill,
            Self::Decode => &mut times.decode,
            Self::Total => &mut times.total,
        };
        *slot = ServerTimes::micros(number, unit).or(*slot);
    }
}

/// A place in llama.cpp's timings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timing {
    Timings,
    /// Prompt tokens that were computed: those from the cache not included.
    Prompt,
    Cache,
    Predicted,
    Time(Span),
}

/// A place in an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Error,
    Type,
    Code,
}

/// Fields of a response's head in which Text Generation Inference says where its time went.
pub(super) const TIME_HEADERS: &[&str] = &["x-queue-time", "x-inference-time", "x-total-time"];

/// Takes [`TIME_HEADERS`], in milliseconds.
pub(super) fn times_of_head(facts: &mut AnswerFacts, head: &AnswerHead<'_>) {
    let time = |name| ServerTimes::micros(head.headers.get(name)?, Unit::Milliseconds);
    let times = &mut facts.server_times;
    times.queue = time("x-queue-time");
    // Prefill and decode together: the server does not part them.
    times.decode = time("x-inference-time");
    times.total = time("x-total-time");
}

/// Facts that mean something only with others.
#[derive(Debug, Default)]
pub(super) struct Flat {
    kind: Option<String>,
    code: Option<String>,
    detail: Option<ErrorFacts>,
    /// Token ids so far, and those of generated tokens that were told of already.
    prompt_ids: u64,
    output_ids: u64,
    output_ids_told: u64,
}

impl Around {
    /// The field of this name at the root of an answer.
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "object" => Self::Object,
            "id" => Self::Id,
            "model" => Self::Model,
            "usage" => Self::Usage(Figure::Usage),
            "x_groq" => Self::XGroq,
            "timings" => Self::Timings(Timing::Timings),
            "metrics" => Self::Metrics,
            "prompt_token_ids" => Self::PromptIds,
            "token_ids" => Self::OutputIds,
            "error" => Self::Error(Fault::Error),
            "type" | "error_type" => Self::FlatType,
            "code" => Self::FlatCode,
            "detail" => Self::Detail,
            _ => return None,
        })
    }

    pub(super) fn child(self, step: Step<'_>) -> Option<Self> {
        Some(match (self, step) {
            (Self::XGroq, Step::Key("usage")) => Self::Usage(Figure::Usage),
            (Self::XGroq, Step::Key("error")) => Self::Error(Fault::Error),
            (Self::Usage(figure), Step::Key(key)) => Self::Usage(figure.child(key)?),
            (Self::Timings(Timing::Timings), Step::Key(key)) => Self::Timings(match key {
                "prompt_n" => Timing::Prompt,
                "cache_n" => Timing::Cache,
                "predicted_n" => Timing::Predicted,
                "prompt_ms" => Timing::Time(Span::Prefill),
                "predicted_ms" => Timing::Time(Span::Decode),
                _ => return None,
            }),
            (Self::Metrics, Step::Key(key)) => Self::Metric(Metric(match key {
                "queue_time_ms" => Span::Queue,
                "prefill_time_ms" => Span::Prefill,
                "generation_time_ms" | "decode_time_ms" => Span::Decode,
                "e2e_latency_ms" | "total_time_ms" => Span::Total,
                _ => return None,
            })),
            (Self::PromptIds | Self::OutputIds, Step::Index(_)) => self,
            (Self::Error(Fault::Error), Step::Key("type")) => Self::Error(Fault::Type),
            (Self::Error(Fault::Error), Step::Key("code")) => Self::Error(Fault::Code),
            (Self::Detail, Step::Index(0)) => Self::DetailItem,
            (Self::DetailItem, Step::Key("type")) => Self::DetailType,
            _ => return None,
        })
    }

    pub(super) fn begin(self, facts: &mut AnswerFacts, flat: &mut Flat, kind: Kind) {
        match (self, kind) {
            (Self::Object, Kind::String) => facts.object.clear(),
            (Self::Error(Fault::Error), Kind::Object) => facts.error = Some(ErrorFacts::default()),
            (Self::Error(Fault::Type), _) => {
                facts.error.get_or_insert_default().kind = None;
            }
            (Self::Error(Fault::Code), _) => {
                facts.error.get_or_insert_default().code = None;
            }
            (Self::FlatType, _) => flat.kind = None,
            (Self::FlatCode, _) => flat.code = None,
            (Self::Detail, _) => flat.detail = Some(ErrorFacts::default()),
            _ => {}
        }
    }

    pub(super) fn text(self, facts: &mut AnswerFacts, flat: &mut Flat, piece: &str) {
        let word = match self {
            Self::Object => &mut facts.object,
            Self::Id => return facts.id_piece(piece),
            Self::Model => return facts.model_piece(piece),
            Self::Error(fault) => {
                let error = facts.error.get_or_insert_default();
                match fault {
                    Fault::Type => error.kind.get_or_insert_default(),
                    Fault::Code => error.code.get_or_insert_default(),
                    // An error that is a text: there is one, and that is all.
                    Fault::Error => return,
                }
            }
            Self::FlatType => flat.kind.get_or_insert_default(),
            Self::FlatCode => flat.code.get_or_insert_default(),
            Self::DetailType => {
                let detail = flat.detail.get_or_insert_default();
                detail.kind.get_or_insert_default()
            }
            Self::Usage(_)
            | Self::XGroq
            | Self::Timings(_)
            | Self::Metrics
            | Self::Metric(_)
            | Self::PromptIds
            | Self::OutputIds
            | Self::Detail
            | Self::DetailItem => return,
        };
        cut_to(word, piece, MAX_WORD);
    }

    pub(super) fn scalar(self, facts: &mut AnswerFacts, flat: &mut Flat, scalar: Scalar<'_>) {
        let Scalar::Number(number) = scalar else {
            return;
        };
        match self {
            Self::Usage(figure) => figure.set(facts, number),
            Self::Timings(timing) => timing.set(facts, number),
            Self::Metric(Metric(span)) => span.set(facts, number, Unit::Milliseconds),
            Self::PromptIds => flat.prompt_ids = flat.prompt_ids.saturating_add(1),
            Self::OutputIds => flat.output_ids = flat.output_ids.saturating_add(1),
            Self::Error(Fault::Code) => {
                facts.error.get_or_insert_default().code = Some(number.to_owned());
            }
            Self::FlatCode => flat.code = Some(number.to_owned()),
            _ => {}
        }
    }
}

impl Figure {
    fn child(self, key: &str) -> Option<Self> {
        Some(match (self, key) {
            (Self::Usage, "prompt_tokens" | "input_tokens") => Self::Input,
            (Self::Usage, "completion_tokens" | "output_tokens") => Self::Output,
            (
                Self::Usage,
                "prompt_tokens_details" | "input_tokens_details" | "input_token_details",
            ) => Self::InputDetails,
            (
                Self::Usage,
                "completion_tokens_details" | "output_tokens_details" | "output_token_details",
            ) => Self::OutputDetails,
            // DeepSeek's name for it.
            (Self::Usage, "prompt_cache_hit_tokens")
            | (Self::Usage | Self::InputDetails, "cached_tokens") => Self::Cached,
            (Self::InputDetails, "cache_write_tokens") => Self::CacheWrite,
            (Self::InputDetails, "audio_tokens") => Self::AudioInput,
            (Self::Usage | Self::OutputDetails, "reasoning_tokens") => Self::Reasoning,
            (Self::OutputDetails, "audio_tokens") => Self::AudioOutput,
            (Self::Usage, "queue_time") => Self::Time(Span::Queue),
            (Self::Usage, "prompt_time") => Self::Time(Span::Prefill),
            (Self::Usage, "completion_time") => Self::Time(Span::Decode),
            (Self::Usage, "total_time") => Self::Time(Span::Total),
            _ => return None,
        })
    }

    fn set(self, facts: &mut AnswerFacts, number: &str) {
        if let Self::Time(span) = self {
            return span.set(facts, number, Unit::Seconds);
        }
        let Some(figure) = Usage::figure(number) else {
            return;
        };
        let usage = &mut facts.usage;
        let slot = match self {
            Self::Output => return facts.output_figure(figure),
            // Some proxies write both families' names, and a zero under one of them: no prompt is empty.
            Self::Input if figure == 0 && usage.input.is_some() => return,
            Self::Input => &mut usage.input,
            Self::Cached => &mut usage.cached,
            Self::CacheWrite => &mut usage.cache_write,
            Self::Reasoning => &mut usage.reasoning,
            Self::AudioInput => &mut usage.audio_input,
            Self::AudioOutput => &mut usage.audio_output,
            Self::Usage | Self::InputDetails | Self::OutputDetails | Self::Time(_) => return,
        };
        *slot = Some(figure);
    }
}

impl Timing {
    fn set(self, facts: &mut AnswerFacts, number: &str) {
        if let Self::Time(span) = self {
            return span.set(facts, number, Unit::Milliseconds);
        }
        let Some(figure) = Usage::figure(number) else {
            return;
        };
        match self {
            Self::Prompt => facts.timings.prompt = Some(figure),
            Self::Cache => facts.timings.cache = Some(figure),
            Self::Predicted => facts.predicted_figure(figure),
            Self::Timings | Self::Time(_) => {}
        }
    }
}

impl Flat {
    /// The event is over. It is an error by its name, or by what its `object` field says.
    pub(super) fn settle(&mut self, facts: &mut AnswerFacts, named_error: bool) {
        // The ids are as good as a usage, which may follow and then holds.
        if self.output_ids > self.output_ids_told {
            self.output_ids_told = self.output_ids;
            facts.output_figure(self.output_ids);
        }
        if self.prompt_ids > 0 {
            facts.usage.input.get_or_insert(self.prompt_ids);
        }
        facts.end_event();
        let (kind, code) = (self.kind.take(), self.code.take());
        if named_error || facts.object == "error" {
            let error = facts.error.get_or_insert_default();
            error.kind = error.kind.take().or(kind);
            error.code = error.code.take().or(code);
        } else if let Some(error) = &mut facts.error {
            error.kind = error.kind.take().or(kind);
        }
    }

    /// What `detail` says: an error only where the status is one.
    pub(super) fn detail(&mut self) -> Option<ErrorFacts> {
        self.detail.take()
    }
}
