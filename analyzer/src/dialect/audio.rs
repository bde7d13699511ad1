//! `POST …/audio/transcriptions`, `…/translations` (a form with a sound, and its text) and `…/audio/speech` (a text, and
//! its sound).

use super::{
    Answer, AnswerHead, Dialect, Expected, Final, Overhead, Request,
    answer::{AnswerFacts, Carried, ErrorFacts, MAX_WORD, OutputKind, Text},
    openai::{Around, Asked, Flat},
    prompt::Part,
    read::{JsonAnswer, JsonRequest},
    request::RequestFacts,
    text::{Utf8, cut_to},
};
use crate::{
    json::{Kind, Scalar, Step, Visitor},
    time::Timestamp,
};

/// From sound to text.
pub(super) static TRANSCRIPTION: Dialect = Dialect {
    name: "openai_transcription",
    operation: "transcription",
    provider: "openai",
    paths: &["/audio/transcriptions", "/audio/translations"],
    hints: &[],
    request_signs: &[&["timestamp_granularities", "model"]],
    answer_signs: &[
        &["type=transcript.text."],
        &["segments[].avg_logprob", "text"],
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

/// From text to sound.
pub(super) static SPEECH: Dialect = Dialect {
    name: "openai_speech",
    operation: "speech",
    paths: &["/audio/speech"],
    request_signs: &[&["voice", "input"]],
    answer_signs: &[&["type=speech.audio."]],
    answer_is_text: false,
    ..TRANSCRIPTION
};

#[derive(Debug, Default)]
struct Asking {
    facts: RequestFacts,
    stream_format: String,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    Root,
    Asked(Asked),
    /// The text to speak, or the one that leads a transcription.
    Prompt,
    /// `sse`: speech as a stream of events.
    StreamFormat,
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
            (Asks::Root, Step::Key("prompt" | "input" | "instructions")) => Asks::Prompt,
            (Asks::Root, Step::Key("stream_format")) => Asks::StreamFormat,
            (Asks::Root, Step::Key(key)) => Asks::Asked(Asked::of(key)?),
            _ => return None,
        })
    }

    fn begin(&mut self, node: Asks, kind: Kind) {
        match node {
            Asks::Asked(field) => field.begin(&mut self.facts, kind),
            Asks::Prompt => self.facts.prompt.present = true,
            Asks::Root | Asks::StreamFormat => {}
        }
    }

    fn text(&mut self, node: Asks, piece: &str) {
        match node {
            Asks::Asked(field) => field.text(&mut self.facts, piece),
            Asks::Prompt => self.facts.prompt.push(piece),
            Asks::StreamFormat => cut_to(&mut self.stream_format, piece, MAX_WORD),
            Asks::Root => {}
        }
    }

    fn scalar(&mut self, node: Asks, scalar: Scalar<'_>) {
        if let Asks::Asked(field) = node {
            field.scalar(&mut self.facts, scalar);
        }
    }

    fn end(&mut self, node: Asks, _kind: Kind) {
        match node {
            Asks::Prompt => self.facts.prompt.end_part(Part::Text),
            Asks::StreamFormat => {
                let format = std::mem::take(&mut self.stream_format);
                self.facts.stream = Some(format == "sse");
            }
            Asks::Root | Asks::Asked(_) => {}
        }
    }
}

#[derive(Debug, Default)]
struct Saying {
    facts: AnswerFacts,
    flat: Flat,
    event: String,
    /// Text that came in deltas: the last event repeats it all.
    in_deltas: bool,
    /// The body is plain text.
    is_text: bool,
    utf8: Utf8,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Root,
    Around(Around),
    Event,
    Delta,
    Whole,
    Sound,
    /// vLLM streams transcripts as chats.
    Choices,
    Choice,
    ChatDelta,
}

impl Saying {
    fn append(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.facts.add(0, 0, Text::Content, piece);
        }
    }
}

impl Answer for Saying {
    const PLAIN_TEXT: bool = true;

    fn facts(&mut self) -> &mut AnswerFacts {
        &mut self.facts
    }

    fn head(&mut self, head: &AnswerHead<'_>) {
        self.is_text = head.expected == Expected::Text;
    }

    /// A transcript that is plain text or subtitles; sound is no text.
    fn other(&mut self, bytes: &[u8], _time: Timestamp) {
        if self.is_text {
            let piece = self.utf8.push(bytes);
            self.append(&piece);
        }
    }

    fn end_event(&mut self, named_error: bool) {
        let event = std::mem::take(&mut self.event);
        if matches!(event.as_str(), "transcript.text.done" | "speech.audio.done") {
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
            (Says::Root, Step::Key(key)) => match key {
                "type" => Says::Event,
                "delta" => Says::Delta,
                "text" => Says::Whole,
                "audio" => Says::Sound,
                "choices" => Says::Choices,
                // Every event of vLLM's has them.
                "id" if self.facts.id.is_some() => return None,
                "model" if self.facts.model.is_some() => return None,
                _ => Says::Around(Around::of(key)?),
            },
            (Says::Around(around), step) => Says::Around(around.child(step)?),
            (Says::Choices, Step::Index(_)) => Says::Choice,
            (Says::Choice, Step::Key("delta")) => Says::ChatDelta,
            (Says::ChatDelta, Step::Key("content")) => Says::Delta,
            _ => return None,
        })
    }

    fn begin(&mut self, node: Says, kind: Kind) {
        match (node, kind) {
            (Says::Around(around), kind) => around.begin(&mut self.facts, &mut self.flat, kind),
            (Says::Delta, Kind::String) => {
                self.in_deltas = true;
                self.facts.carries(Carried::Choice);
            }
            (Says::Whole | Says::Sound, Kind::String) => self.facts.carries(Carried::Choice),
            _ => {}
        }
    }

    fn text(&mut self, node: Says, piece: &str) {
        match node {
            Says::Around(around) => around.text(&mut self.facts, &mut self.flat, piece),
            Says::Event => cut_to(&mut self.event, piece, MAX_WORD),
            Says::Delta => self.append(piece),
            Says::Whole if !self.in_deltas => self.append(piece),
            Says::Sound if !piece.is_empty() => self.facts.carries_output(OutputKind::Media),
            _ => {}
        }
    }

    fn scalar(&mut self, node: Says, scalar: Scalar<'_>) {
        if let Says::Around(around) = node {
            around.scalar(&mut self.facts, &mut self.flat, scalar);
        }
    }
}
